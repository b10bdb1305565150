"""The numbers of Gardasoft's RT ASCII commands, and the errors that refuse a command (RT-20 manual, p. 56-65)."""

from __future__ import annotations

import math

BAD_VALUE, UNKNOWN_COMMAND, BAD_NUMBER, BAD_COUNT, ADJUSTED = 1, 2, 3, 4, 5


class CommandError(Exception):
    """Answered as `Err n`."""

    def __init__(self, code: int) -> None:
        super().__init__(f"Err {code}")
        self.code = code


def read_numbers(parameters: str, least: int, most: int) -> list[float]:
    """The comma-separated numbers of a command, from `least` to `most` of them."""
    words = parameters.split(",")
    if not least <= len(words) <= most:
        raise CommandError(BAD_COUNT)
    return [read_number(w) for w in words]


def read_number(word: str) -> float:
    """A finite number; a percent sign behind it is accepted."""
    try:
        number = float(word.removesuffix("%"))
    except ValueError:
        raise CommandError(BAD_NUMBER) from None
    if not math.isfinite(number):
        raise CommandError(BAD_NUMBER)
    return number


def read_level(percent: float) -> float:
    """A brightness of 0 to 100 % as 0 to 1."""
    if not 0.0 <= percent <= 100.0:
        raise CommandError(BAD_VALUE)
    return percent / 100.0


def read_duration_s(word: str) -> float:
    """Seconds, from a number in ms unless it ends with US, MS or S."""
    for suffix, factor in (("US", 1e-6), ("MS", 1e-3), ("S", 1.0)):
        if word.endswith(suffix):
            return read_number(word.removesuffix(suffix)) * factor
    return read_number(word) * 1e-3
