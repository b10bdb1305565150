"""What a rig file states of any light controller on a serial port."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from drivers.settings import Channels, DriverSettings, Pause, Text, Timeout

BaudRate = Annotated[int, Field(ge=300, le=921600)]


class SerialLightsSettings(DriverSettings):
    """The keys that every such driver has; each adds its own, with `baud_rate` and its default."""

    port: Text
    channels: Channels
    settle_s: Pause = 0.005  # from acknowledge to stable light
    reply_timeout_s: Timeout = 0.5
