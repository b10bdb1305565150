"""The simulated controller's reading of one G-code line, with Grbl's own error numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_COMMENT = re.compile(r"\([^)]*\)|;.*")
_WORD = re.compile(r"([A-Z])([+-]?(?:\d+\.?\d*|\.\d+))")

_MOTION = (0.0, 1.0)
_ACCEPTED_G = {17.0, 40.0, 49.0, 50.0, 54.0, 61.0, 80.0}
_ACCEPTED_M = {2.0, 5.0, 9.0, 30.0}


class GcodeError(Exception):
    """A line is refused: answered as `error:n`, with Grbl's own number."""

    def __init__(self, code: int) -> None:
        super().__init__(f"error:{code}")
        self.code = code


@dataclass(slots=True)
class GcodeLine:
    """One line, parsed; None where the line does not mention it. `axes`: letter -> mm or degrees."""

    motion: int | None = None
    is_in_inches: bool | None = None
    distance_is_absolute: bool | None = None
    feed_mode: int | None = None  # G93 (one over minutes) or G94 (units per minute)
    in_machine_coordinates: bool = False
    is_dwell: bool = False
    feed: float | None = None
    dwell_s: float | None = None
    axes: dict[str, float] = field(default_factory=dict)


def read_gcode(line: str, axis_letters: str) -> GcodeLine:
    """Raises GcodeError: 1 no letter, 2 bad number, 4 negative, 20 unsupported, 25 repeated, 28 G4 without P."""
    result = GcodeLine()
    seen: set[str] = set()
    for letter, number in _words(line):
        if letter not in "GM" and letter in seen:
            raise GcodeError(25)
        seen.add(letter)
        _take_word(result, letter, number, axis_letters)
    if result.is_dwell and result.dwell_s is None:
        raise GcodeError(28)
    return result


def _words(line: str) -> list[tuple[str, float]]:
    """Letter and number of each word; comments, blanks and case do not count."""
    text = _COMMENT.sub("", line).replace(" ", "").upper()
    words, at = [], 0
    while at < len(text):
        if not text[at].isalpha() or not text[at].isascii():
            raise GcodeError(1)
        match = _WORD.match(text, at)
        if match is None:
            raise GcodeError(2)
        words.append((match[1], float(match[2])))
        at = match.end()
    return words


def _take_word(result: GcodeLine, letter: str, number: float, axis_letters: str) -> None:
    """Axis words, F, P, G; N, S and a few M are accepted and mean nothing here."""
    if letter == "G":
        _take_g(result, number)
    elif letter in axis_letters:
        result.axes[letter] = number
    elif letter == "F":
        if number < 0:
            raise GcodeError(4)
        result.feed = number
    elif letter == "P":
        if number < 0:
            raise GcodeError(4)
        result.dwell_s = number
    elif letter not in "NS" and not (letter == "M" and number in _ACCEPTED_M):
        raise GcodeError(20)


def _take_g(result: GcodeLine, number: float) -> None:
    if number in _MOTION:
        result.motion = int(number)
    elif number == 4.0:
        result.is_dwell = True
    elif number == 53.0:
        result.in_machine_coordinates = True
    elif number in (20.0, 21.0):
        result.is_in_inches = number == 20.0
    elif number in (90.0, 91.0):
        result.distance_is_absolute = number == 90.0
    elif number in (93.0, 94.0):
        result.feed_mode = int(number)
    elif number not in _ACCEPTED_G:
        raise GcodeError(20)
