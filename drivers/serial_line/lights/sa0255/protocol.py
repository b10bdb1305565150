"""Commands of the `SA0255#` family of light controllers and their answers: pure functions.

Answers have neither terminator nor checksum: `a` to a setting, `a0255` to a question, `H` and `L` to the
common switch. One letter is easily a remnant of something else, so settings are asked back.
"""

from __future__ import annotations

import re
import string
from typing import Literal

FULL = 255
AllLetter = Literal["S", "T"]
MOST_CHANNELS = {"S": 7, "T": 26}  # with S, the letter H of channel 8 is taken by SH#

_LEVEL = re.compile(rb"([a-z])(\d{4})")


def letter(channel: int) -> str:
    """A for channel 1."""
    return string.ascii_uppercase[channel - 1]


def steps_of(brightness: float) -> int:
    """Brightness 0..1 on 255 steps; anything above 0 shines with at least one step."""
    return 0 if brightness <= 0 else max(1, round(FULL * brightness))


def set_level(channel: int, steps: int) -> bytes:
    """`SA0255#`, answered with `a`."""
    return f"S{letter(channel)}{steps:04d}#".encode("ascii")


def ask_level(channel: int) -> bytes:
    """`SA#`, answered with `a0255`."""
    return f"S{letter(channel)}#".encode("ascii")


def switch_all(is_on: bool, all_letter: AllLetter) -> bytes:
    """`SH#` or `SL#`, answered with `H` or `L`: the common switch, which leaves every level as it is."""
    return f"{all_letter}{'H' if is_on else 'L'}#".encode("ascii")


def parse_level(raw: bytes, channel: int) -> int | None:
    """Steps from an answer to `ask_level`; None for anything else, a level above full included."""
    match = _LEVEL.fullmatch(raw)
    if match is None or match[1] != letter(channel).lower().encode("ascii") or int(match[2]) > FULL:
        return None
    return int(match[2])
