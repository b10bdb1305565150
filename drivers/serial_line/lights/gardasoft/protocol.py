"""What a Gardasoft RT controller sends between two `>` prompts (RT-20 series manual p. 56-65): pure functions.

Only a bare prompt, or the text that was asked for, is an acknowledge.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_ERROR = re.compile(r"Err ?(\d{1,3})")
_EVENT = re.compile(r"Evt ?(\d{1,2}),(\d{1,3});?")
_STATUS_ITEM = re.compile(r"([A-Z]{1,2}) ?(-?[0-9.]+)([a-zA-Z%]*)")
_UNITS_US = {"us": 1.0, "ms": 1e3, "": 1e3, "s": 1e6}  # of times; milliseconds where none is given

CONTINUOUS, PULSED, SWITCHED = 0, 1, 2  # modes, as `STc` reports them

ERROR_TEXTS = {
    1: "value out of range",
    2: "unknown command",
    3: "bad number",
    4: "wrong number of parameters",
    5: "value adjusted by the controller",
}


LEVEL_TOLERANCE_PERCENT = 0.2  # of what was set; the controller may round
TIME_TOLERANCE_US, TIME_TOLERANCE_SHARE = 2.0, 0.01  # the same of times, whichever is more
LONGEST_SWITCHED_US = 100_000.0  # beyond it the controller also needs the rate
EVENT_TEXTS = {
    44: "the controller is too hot",
    45: "more current than expected",
    46: "more than 30 W in one output",
    47: "too much heat in the output driver",
    128: "a light was connected and works",
    129: "a light without a rating was connected",
    130: "too hot",
    131: "too much current",
    132: "the rating of a light could not be sensed",
    140: "switched off: on for too large a share of the time",
}
_HARMLESS_EVENTS = (128, 129, 138, 139)


@dataclass(frozen=True, slots=True)
class Event:
    """A report that came unasked. Channel 0 is the controller itself; codes below 128 are error codes."""

    channel: int
    code: int

    @property
    def is_fault(self) -> bool:
        """Whether the light can no longer be relied on; unknown codes count as faults."""
        return self.code not in _HARMLESS_EVENTS

    def __str__(self) -> str:
        what = EVENT_TEXTS.get(self.code, "see the manual's event codes")
        return f"event {self.code} of {f'channel {self.channel}' if self.channel else 'the controller'} ({what})"


@dataclass(frozen=True, slots=True)
class ChannelStatus:
    """Answer to `STc`; `items` has every two-letter item of it, numbers only (MD mode, IP trigger input ...).

    The pulse's times are None where the controller does not report them, or does in a unit that is not known.
    """

    channel: int
    mode: int
    percent: float
    items: dict[str, float]
    width_us: float | None = None
    delay_us: float | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """A command that sets a channel, and what `STc` must report afterwards."""

    command: str
    mode: int
    percent: float
    width_us: float | None = None
    delay_us: float | None = None

    def difference(self, found: ChannelStatus) -> str | None:
        """What the controller holds instead, in words; None when it is what was set."""
        if found.mode != self.mode:
            return f"in mode {found.mode}, not {self.mode}"
        if abs(found.percent - self.percent) > LEVEL_TOLERANCE_PERCENT:
            return f"at {found.percent:g} %"
        for name, wanted_us, found_us in (
            ("pulse", self.width_us, found.width_us),
            ("delay", self.delay_us, found.delay_us),
        ):
            if wanted_us is None or found_us is None:
                continue
            if abs(found_us - wanted_us) > max(TIME_TOLERANCE_US, TIME_TOLERANCE_SHARE * wanted_us):
                return f"set to a {name} of {found_us:g} us, not {wanted_us:g} us"
        return None


@dataclass(frozen=True, slots=True)
class Answer:
    """One prompt: its text lines without echo and events, the error it named, the events in it."""

    lines: tuple[str, ...]
    error: int | None
    events: tuple[Event, ...]

    @property
    def is_only_events(self) -> bool:
        """Whether it answers nothing: an event ends with a prompt of its own."""
        return bool(self.events) and not self.lines and self.error is None

    @property
    def is_bare(self) -> bool:
        """Whether it is an acknowledge: a prompt and nothing else."""
        return not self.lines and self.error is None and not self.events


def parse_answer(raw: bytes, command: str) -> Answer | None:
    """The text before one `>`, without the echo of `command`; None when it is not plain ASCII."""
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


def parse_status(line: str) -> ChannelStatus | None:
    """`CH 1, MD 0, S 50.0, ...`; None for anything else."""
    found: dict[str, float] = {}
    times_us: dict[str, float] = {}
    for item in line.split(","):
        match = _STATUS_ITEM.fullmatch(item.strip())
        if match is None or match[2].count(".") > 1:
            return None
        try:
            found[match[1]] = float(match[2])
        except ValueError:
            return None
        if (factor := _UNITS_US.get(match[3].lower())) is not None:
            times_us[match[1]] = found[match[1]] * factor
    if not {"CH", "MD", "S"} <= found.keys():
        return None
    return ChannelStatus(int(found["CH"]), int(found["MD"]), found["S"], found, times_us.get("PU"), times_us.get("DL"))


def error_text(code: int) -> str:
    """`Err n`, and what it means."""
    return f"Err {code} ({ERROR_TEXTS.get(code, 'see the manual')})"


def continuous(channel: int, brightness: float) -> Setting:
    """`RSc,s`: on steadily at brightness 0..1."""
    return Setting(f"RS{channel},{_percent(brightness)}", CONTINUOUS, 100.0 * brightness)


def switched(channel: int, brightness: float) -> Setting:
    """`RWc,s`: on while the trigger input is high."""
    return Setting(f"RW{channel},{_percent(brightness)}", SWITCHED, 100.0 * brightness)


def trigger_input(channel: int, number: int) -> str:
    """`RPc,p`: which input triggers the channel."""
    return f"RP{channel},{number}"


def pulsed(channel: int, width_us: float, delay_us: float, brightness: float) -> Setting:
    """`RTc,p,d,s`: one pulse per trigger."""
    command = f"RT{channel},{width_us:.0f}us,{delay_us:.0f}us,{_percent(brightness)}"
    return Setting(command, PULSED, 100.0 * brightness, width_us, delay_us)


def _percent(brightness: float) -> str:
    return f"{100.0 * brightness:.1f}".removesuffix(".0")
