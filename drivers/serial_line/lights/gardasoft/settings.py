"""What a rig file states of a Gardasoft RT controller; every default stands here alone."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from drivers.serial_line.lights.settings import BaudRate, SerialLightsSettings
from drivers.settings import Timeout

Delay = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]  # us


class GardasoftSettings(SerialLightsSettings):
    """The section `lights:` of a rig file with `driver: gardasoft`.

    An armed channel is lit while the trigger input is high (`switched`), or for a pulse that begins
    `strobe_delay_us` after the trigger and ends with the on time (`pulsed`).
    """

    baud_rate: BaudRate = 115200
    strobe: Literal["switched", "pulsed"] = "switched"  # for stepping by strobe
    strobe_delay_us: Delay = 20.0  # less than the controller can is answered with Err 5, and refused
    trigger_input: Annotated[int, Field(ge=1, le=255)] | None = None  # of all channels; None leaves the unit's own
    read_back: bool = True  # each setting is asked back (`STc`) before it counts: the protocol has no checksum
    keep_alive_s: Timeout | None = None  # over TCP: the controller hangs up after 10 s without a word


EXAMPLE = """\
driver: gardasoft
port: /dev/serial/by-id/usb-FTDI_Lights_0001-if00-port0
channels: [1, 2, 3, 4, 5, 6, 7, 8, 9]
settle_s: 0.005          # from acknowledge to stable light
reply_timeout_s: 0.5
baud_rate: 115200
strobe: switched         # for stepping by strobe: lit while the trigger input is high; or `pulsed`
strobe_delay_us: 20      # of a pulse after the trigger; the pulse ends with the exposure
trigger_input: 1         # where the camera's exposure line arrives; may be left out
read_back: true          # each setting is asked back before it counts: the protocol has no checksum
"""
