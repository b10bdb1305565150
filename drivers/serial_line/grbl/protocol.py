"""The lines that a Grbl-dialect controller sends, what its numbers mean, and how it plans a move: pure functions.

Only a line that is exactly `ok` is an acknowledge; anything not understood is `Unknown`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

from drivers.serial_line.grbl.codes import alarm_text as alarm_text
from drivers.serial_line.grbl.codes import error_text as error_text

Axes = tuple[float, ...]

HOLD = b"!"
STATUS_QUERY = b"?"
SOFT_RESET = b"\x18"
JOG_CANCEL = b"\x85"


@dataclass(frozen=True, slots=True)
class Ok:
    """The line was taken: for a move that means planned, not done."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """`error:n`, the answer to a line."""

    code: int


@dataclass(frozen=True, slots=True)
class Alarm:
    """`ALARM:n`, unasked."""

    code: int


@dataclass(frozen=True, slots=True)
class Banner:
    """The controller has just started, or was reset."""

    text: str


@dataclass(frozen=True, slots=True)
class Setting:
    """`$n=value`, one line of the answer to `$$`."""

    number: int
    value: float


@dataclass(frozen=True, slots=True)
class Info:
    """`[KEY:text]`, a message or a part of the answer to `$I`; or a setting that holds text, its key `$n`."""

    key: str
    text: str


@dataclass(frozen=True, slots=True)
class Status:
    """`<State:sub|MPos:..|..>`, the answer to `?`.

    `mpos` is in the controller's order of axes, None where it was not reported; `pins` are the letters of `Pn:`.
    """

    state: str
    substate: int | None
    mpos: tuple[float, ...] | None
    pins: str = ""
    fields: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """State and substate as they were written: `Hold:0`."""
        return self.state if self.substate is None else f"{self.state}:{self.substate}"


# What grblHAL's `$H` refuses as well (errors 13, 18, 50, 51). Every other input may be closed: a probe, a hold or start
# button, a limit switch that homing is to leave.
SAFETY_INPUTS = {
    "D": "door open",
    "R": "reset input active",
    "E": "emergency stop pressed",
    "M": "motor fault input active",
}
UNREADY_STATES = {
    "Alarm": "the controller is locked by an alarm",
    "Check": "the controller is in check mode",
    "Door": "the door was opened",
    "Hold": "a feed hold is active",
    "Sleep": "the controller sleeps",
    "Tool": "the controller waits for a tool change",
}


def safety_trouble(report: Status) -> str | None:
    """The safety input that is active, in words that name its pin; None when none is."""
    for pin, text in SAFETY_INPUTS.items():
        if pin in report.pins:
            return f"{text} (input {pin} of Pn:{report.pins})"
    return None


def trouble(report: Status) -> str | None:
    """Why this report forbids motion, in words: an active safety input, or the state itself; None if nothing does."""
    if (why := safety_trouble(report)) is not None:
        return why
    if report.state not in UNREADY_STATES:
        return None
    return f"{UNREADY_STATES[report.state]} (state {report.name})"


@dataclass(frozen=True, slots=True)
class Unknown:
    """Noise, or text of a dialect not known here; never an acknowledge."""

    raw: bytes


Reply = Ok | Refusal | Alarm | Banner | Setting | Info | Status | Unknown

_REFUSAL = re.compile(r"error:(\d{1,3})")
_ALARM = re.compile(r"ALARM:(\d{1,3})")
_BANNER = re.compile(r"Grbl(?:HAL)? \d\S* \[.*\]", re.IGNORECASE)
_SETTING = re.compile(r"\$(\d{1,4})=(-?\d+(?:\.\d+)?)(?: \(.*\))?")
_TEXT_SETTING = re.compile(r"(\$(?:N\d|[3-9]\d{2,3}))=([\x20-\x7e]*)")  # grblHAL's names and addresses, and `$N0`
_INFO = re.compile(r"\[(\w[\w ]*):(.*)\]")  # a key may hold a blank: `[DRIVER VERSION:260324]`
_STATE = re.compile(r"([A-Z][a-z]+)(?::(\d{1,2}))?")
_NUMBER = re.compile(r"-?\d{1,9}(?:\.\d{1,9})?")


def parse(line: bytes) -> Reply:
    """One line without its newline. A trailing carriage return is allowed; any other deviation makes it `Unknown`."""
    try:
        text = line.removesuffix(b"\r").decode("ascii")
    except UnicodeDecodeError:
        return Unknown(line)
    if text == "ok":
        return Ok()
    if text.startswith("<"):
        return _parse_status(text) or Unknown(line)
    if match := _REFUSAL.fullmatch(text):
        return Refusal(int(match[1]))
    if match := _ALARM.fullmatch(text):
        return Alarm(int(match[1]))
    if match := _SETTING.fullmatch(text):
        return Setting(int(match[1]), float(match[2]))
    if match := _INFO.fullmatch(text) or _TEXT_SETTING.fullmatch(text):
        return Info(match[1], match[2])
    return Banner(text) if _BANNER.fullmatch(text) else Unknown(line)


def _parse_status(text: str) -> Status | None:
    if not text.endswith(">"):
        return None
    head, *parts = text[1:-1].split("|")
    state = _STATE.fullmatch(head)
    if state is None:
        return None
    fields = dict(p.partition(":")[::2] for p in parts)
    mpos = None
    if "MPos" in fields:
        mpos = _parse_numbers(fields["MPos"])
        if mpos is None:
            return None
    return Status(state[1], None if state[2] is None else int(state[2]), mpos, fields.get("Pn", ""), fields)


def _parse_numbers(text: str) -> tuple[float, ...] | None:
    words = text.split(",")
    if not all(_NUMBER.fullmatch(w) for w in words):
        return None
    return tuple(float(w) for w in words)


@dataclass(frozen=True, slots=True)
class MovePlan:
    """A straight move as Grbl's planner will run it: all axes together, none beyond its own limits."""

    length: float  # over all axes alike, millimetres and degrees mixed, as the controller counts
    rate_per_s: float
    acceleration_per_s2: float

    @property
    def duration_s(self) -> float:
        """d/v + v/a when the full rate is reached, else 2 sqrt(d/a)."""
        if self.length == 0.0:
            return 0.0
        v, a = self.rate_per_s, self.acceleration_per_s2
        return self.length / v + v / a if self.length >= v * v / a else 2.0 * math.sqrt(self.length / a)


def plan_move(start: Axes, target: Axes, rates_per_s: Axes, accelerations: Axes) -> MovePlan:
    """Plan as Grbl does: the slowest axis decides, in proportion to its share of the way.

    Lengths in mm and degrees alike, rates per second, accelerations per second squared.
    """
    steps = [b - a for a, b in zip(start, target, strict=True)]
    length = math.sqrt(sum(s * s for s in steps))
    if length < 1e-9:
        return MovePlan(0.0, min(rates_per_s), min(accelerations))
    shares = [abs(s) / length for s in steps]
    return MovePlan(
        length,
        min(v / s for v, s in zip(rates_per_s, shares, strict=True) if s > 0),
        min(a / s for a, s in zip(accelerations, shares, strict=True) if s > 0),
    )
