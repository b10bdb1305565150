"""What a Grbl-dialect controller said last: the first thing to know when it stops answering."""

from __future__ import annotations

import time
from dataclasses import dataclass

from drivers.serial_line.grbl.protocol import Alarm, Banner, Info, Refusal, Reply, Status, alarm_text, error_text


@dataclass(frozen=True, slots=True)
class Said:
    """One remark in words, and when it came (`time.monotonic`)."""

    words: str
    time_s: float


class LastWords:
    """The latest state, and the latest alarm, message or refusal. Noted in the reader thread, read in any."""

    def __init__(self) -> None:
        self._state: Said | None = None
        self._remark: Said | None = None

    def note(self, reply: Reply) -> None:
        """Keep a reply that states how the controller is."""
        match reply:
            case Status():
                pins = f", Pn:{reply.pins}" if reply.pins else ""
                self._state = Said(f"state {reply.name}{pins}", time.monotonic())
            case Alarm(code):
                self._remark = Said(alarm_text(code), time.monotonic())
            case Refusal(code):
                self._remark = Said(error_text(code), time.monotonic())
            case Info("MSG", text) if text:
                self._remark = Said(f"[MSG:{text}]", time.monotonic())
            case Banner():
                self._state, self._remark = None, Said("its banner", time.monotonic())
            case _:
                return

    def in_words(self) -> str:
        """`it said last: ...` with the age of each remark; `it has said nothing yet` before the first."""
        now_s = time.monotonic()
        said = [f"{s.words} ({now_s - s.time_s:.1f} s before)" for s in (self._state, self._remark) if s is not None]
        return f"it said last: {', '.join(said)}" if said else "it has said nothing yet"

    @property
    def is_silent(self) -> bool:
        """Whether nothing that a Grbl-dialect controller says was ever heard."""
        return self._state is None and self._remark is None
