"""Frames of CCS light controllers (PDS-30 manual p. 15-18): `@` channel header data checksum CR LF. Pure functions.

Only a whole frame with a right checksum, from the channel that was asked, is an acknowledge.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

LEVELS = 255
MOST_CHANNELS = 98  # a frame has two digits for the channel, and numbers may begin at 0 or 1
STROBE_WIDTHS_US = (20, 33_000)
_SETTINGS = re.compile(r"(\d{3})(\d{5})(\d{5})(\d{5})")
_REPLY = re.compile(rb"@(\d\d)([A-Z])([ -~]*)([0-9A-F]{2})")


@dataclass(frozen=True, slots=True)
class CcsDialect:
    """What differs between models: numbering, the digits after an intensity, whether a number means all."""

    first_number: int = 1  # of channel 1 in a frame; 0 on PDS
    all_number: int | None = 0  # None where each channel is switched on its own
    intensity_suffix: str = "00"  # the write flag, after every value that is set; some models have none


@dataclass(frozen=True, slots=True)
class Settings:
    """Answer to `Q`: what the unit holds of one channel."""

    steps: int  # of 255
    strobe_width_us: int
    strobe_delay_us: int
    trigger_delay_us: int


@dataclass(frozen=True, slots=True)
class Reply:
    """`header` is O (done), N (refused, `text` is the code) or A (answer to a query)."""

    number: int
    header: str
    text: str

    @property
    def is_acknowledge(self) -> bool:
        return self.header == "O" and not self.text


def checksum(body: bytes) -> int:
    """Low byte of the sum of all bytes before it, the `@` included."""
    return sum(body) & 0xFF


def frame(number: int, header: str, data: str = "") -> bytes:
    """One whole frame; `number` is the channel's, 0..99."""
    body = f"@{number:02d}{header}{data}".encode("ascii")
    return body + b"%02X\r\n" % checksum(body)


def intensity(number: int, brightness: float, dialect: CcsDialect) -> bytes:
    """`F`: brightness 0..1 on 255 steps; anything above 0 shines with at least one step."""
    steps = 0 if brightness <= 0 else max(1, round(LEVELS * brightness))
    return frame(number, "F", f"{steps:03d}{dialect.intensity_suffix}")


def strobe_width(number: int, width_us: int, dialect: CcsDialect) -> bytes:
    """`S`: how long the channel shines after a trigger."""
    return frame(number, "S", f"{width_us:05d}{dialect.intensity_suffix}")


def parse_settings(reply: Reply) -> Settings | None:
    """The content of an answer to `Q`; None for any other reply."""
    match = _SETTINGS.fullmatch(reply.text) if reply.header == "A" else None
    return None if match is None else Settings(*(int(part) for part in match.groups()))


def switch(number: int, is_on: bool) -> bytes:
    """`L`: the channel on or off, at the intensity set before."""
    return frame(number, "L", "1" if is_on else "0")


def parse_reply(line: bytes) -> Reply | None:
    """One line without its line feed; None for anything but a whole frame with a right checksum."""
    match = _REPLY.fullmatch(line.removesuffix(b"\r"))
    if match is None or checksum(match[0][:-2]) != int(match[4], 16):
        return None
    return Reply(int(match[1]), match[2].decode("ascii"), match[3].decode("ascii"))
