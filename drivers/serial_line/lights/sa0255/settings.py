"""What a rig file states of a controller of the `SA0255#` family; every default stands here alone."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from drivers.serial_line.lights.sa0255.protocol import MOST_CHANNELS, AllLetter
from drivers.settings import Channels, DriverSettings, NotNegative, Positive, SettingsError, Text


class Sa0255Settings(DriverSettings):
    """The section `lights:` of a rig file with `driver: sa0255`."""

    port: Text
    channels: Channels
    settle_s: NotNegative = 0.005  # from acknowledge to stable light
    reply_timeout_s: Positive = 0.5
    baud_rate: Annotated[int, Field(ge=300, le=921600)] = 19200
    all_letter: AllLetter = "S"  # SH# and SL# switch all, up to seven channels; TH# and TL# on larger units

    @model_validator(mode="after")
    def _each_channel_has_a_letter(self) -> Sa0255Settings:
        most = MOST_CHANNELS[self.all_letter]
        for index, channel in enumerate(self.channels):
            if channel > most:
                found = f"channels are numbers of 1..{most} where {self.all_letter}H# switches all, found {channel}"
                raise SettingsError(("channels", index), found)
        return self


EXAMPLE = """\
driver: sa0255
port: '0403:6001:LIGHTS7'   # USB identity VID:PID:SERIAL; or a path such as one of /dev/serial/by-id
channels: [1, 2, 3, 4]
settle_s: 0.005          # from acknowledge to stable light
reply_timeout_s: 0.5
baud_rate: 19200         # 9600 on many
all_letter: S            # SH# and SL# switch all, up to seven channels; T on units with TH# and TL#
"""
