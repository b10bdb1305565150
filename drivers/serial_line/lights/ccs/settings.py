"""What a rig file states of a CCS controller; every default stands here alone."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from drivers.serial_line.lights.ccs.protocol import MOST_CHANNELS, CcsDialect
from drivers.serial_line.lights.settings import BaudRate, SerialLightsSettings
from drivers.settings import Channels, SettingsError


def _within_two_digits(channels: tuple[int, ...]) -> tuple[int, ...]:
    for index, channel in enumerate(channels):
        if channel > MOST_CHANNELS:
            raise SettingsError((index,), f"channel {channel} is beyond {MOST_CHANNELS}, the last that a frame holds")
    return channels


class CcsSettings(SerialLightsSettings):
    """The section `lights:` of a rig file with `driver: ccs`; numbering and trailing digits differ between models."""

    channels: Annotated[Channels, AfterValidator(_within_two_digits)]
    baud_rate: BaudRate = 9600
    first_number: Annotated[int, Field(ge=0, le=99)] = 1  # of channel 1 in a frame; 0 on PDS
    all_number: Annotated[int, Field(ge=0, le=99)] | None = None  # where one number means all channels
    intensity_suffix: Annotated[str, Field(pattern=r"^[0-9]{0,4}$")] = "00"
    strobe_mode: bool = False  # what the unit's own switch is at

    def dialect(self) -> CcsDialect:
        """What differs between models, for the frames."""
        return CcsDialect(self.first_number, self.all_number, self.intensity_suffix)


EXAMPLE = """\
driver: ccs
port: /dev/serial/by-id/usb-FTDI_Lights_0001-if00-port0
channels: [1, 2, 3, 4, 5, 6, 7, 8, 9]
settle_s: 0.005          # from acknowledge to stable light
reply_timeout_s: 0.5
baud_rate: 9600
first_number: 1          # of channel 1 in a frame; 0 on PDS units
all_number: 0            # where one number means all channels; leave it out where there is none
intensity_suffix: '00'   # the digits after a value; some models have none
strobe_mode: false       # true where the unit's own switch is at strobe: then step by strobe
"""
