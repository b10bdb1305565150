"""What a Gardasoft RT controller can say between two `>` prompts: pure functions.

Only a bare prompt, or the text that was asked for, is an acknowledge.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_ERROR = re.compile(r"Err ?(\d{1,3})")
_EVENT = re.compile(r"Evt ?(\d{1,2}),(\d{1,3})")

ERROR_TEXTS = {
    1: "value out of range",
    2: "unknown command",
    3: "bad number",
    4: "wrong number of parameters",
    5: "value adjusted by the controller",
}


@dataclass(frozen=True, slots=True)
class Event:
    """Came unasked: channel 0 means none, 32..47 are lighting errors."""

    channel: int
    code: int


@dataclass(frozen=True, slots=True)
class Answer:
    """One prompt: its text lines without echo and events, the error it named, the events in it."""

    lines: tuple[str, ...]
    error: int | None
    events: tuple[Event, ...]

    @property
    def is_only_events(self) -> bool:
        """Then it answers nothing: an event ends with a prompt of its own."""
        return bool(self.events) and not self.lines and self.error is None

    @property
    def is_bare(self) -> bool:
        return not self.lines and self.error is None and not self.events


def parse_answer(raw: bytes, command: str) -> Answer | None:
    """What came before one `>`, the echo of `command` removed; None when it is not plain ASCII text."""
    try:
        text = raw.decode("ascii")
    except UnicodeDecodeError:
        return None
    if not all(c.isprintable() or c in "\r\n" for c in text):
        return None
    lines, events, error = [], [], None
    for line in text.replace("\r", "\n").split("\n"):
        line = line.strip()
        if match := _EVENT.fullmatch(line):
            events.append(Event(int(match[1]), int(match[2])))
        elif match := _ERROR.fullmatch(line):
            error = int(match[1])
        elif line and line != command:
            lines.append(line)
    return Answer(tuple(lines), error, tuple(events))


def error_text(code: int) -> str:
    return f"Err {code} ({ERROR_TEXTS.get(code, 'see the manual')})"


def continuous(channel: int, brightness: float) -> str:
    """`RSc,s`: on steadily at 0..1."""
    return f"RS{channel},{_percent(brightness)}"


def switched(channel: int, brightness: float) -> str:
    """`RWc,s`: on while the trigger input is high."""
    return f"RW{channel},{_percent(brightness)}"


def pulsed(channel: int, width_us: float, delay_us: float, brightness: float) -> str:
    """`RTc,p,d,s`: one pulse per trigger."""
    return f"RT{channel},{width_us:.0f}us,{delay_us:.0f}us,{_percent(brightness)}"


def _percent(brightness: float) -> str:
    return f"{100.0 * brightness:.1f}".removesuffix(".0")
