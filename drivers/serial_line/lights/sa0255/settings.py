"""What a rig file states of a controller of the `SA0255#` family; every default stands here alone."""

from __future__ import annotations

from pydantic import model_validator

from drivers.serial_line.lights.sa0255.protocol import MOST_CHANNELS, AllLetter
from drivers.serial_line.lights.settings import BaudRate, SerialLightsSettings
from drivers.settings import SettingsError


class Sa0255Settings(SerialLightsSettings):
    """The section `lights:` of a rig file with `driver: sa0255`."""

    baud_rate: BaudRate = 19200
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
