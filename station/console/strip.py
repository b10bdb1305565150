"""What the strip at the bottom says: what needs a person, and what to do about it. No Qt.

It never says that there is no fault while the banner, a verdict's reasons or the engine's state say otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from station.archive.outlook import Mark, Outlook
from station.console.banner import unstored_lines
from station.console.situation import Situation
from station.engine.events import State
from station.inspection.reasons import ReasonKind

_OF_THE_RUN = (ReasonKind.DEVICE_FAULT, ReasonKind.STOPPED)  # over with the run, once a reset has led out of it


class StripKind(StrEnum):
    """How the strip looks."""

    QUIET = "quiet"
    CAUSE = "cause"  # the part could not be judged, or the judge found more than the part
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class StripContent:
    """Kind and text; `can_acknowledge` for what is over once it was read, `has_details` where there is more to read."""

    kind: StripKind
    text: str
    can_acknowledge: bool = False
    has_details: bool = False


def strip_of(situation: Situation) -> StripContent:
    """A fault first, then the state that stands without one, then what spoiled the last part."""
    has_details = bool(situation.result and situation.result.reasons)
    if situation.fault is not None:
        text = f"{situation.fault.text}   What to do: {situation.fault.action}"
        return StripContent(StripKind.FAULT, text, True, True)
    if situation.state in (State.ERROR, State.HALTED) and not situation.is_resetting:
        word = "Fault" if situation.state is State.ERROR else "Stopped"
        reason = f": {situation.reason}" if situation.reason else ""
        text = f"{word}{reason}   What to do: look at the cell, clear the cause, then press RESET (F8)"
        return StripContent(StripKind.FAULT, text, False, has_details)
    of_the_archive = _of_the_archive(situation.room)
    return _of_the_part(situation, has_details) or of_the_archive or StripContent(StripKind.QUIET, _quiet(situation))


def _of_the_archive(room: Outlook | None) -> StripContent | None:
    """From the first watermark on: a person has days to act, and then no part is started."""
    if room is None or room.mark is Mark.WELL:
        return None
    return StripContent(StripKind.CAUSE, f"{_capital(room.sentence())}   What to do: {room.remedy}")


def _of_the_part(situation: Situation, has_details: bool) -> StripContent | None:
    result = situation.result
    if result is None:
        return None
    which = f"{'Last part' if situation.is_result_past else 'Part'} {result.part_id}"
    if not situation.is_result_stored:
        return StripContent(StripKind.CAUSE, f"{which}: {'   '.join(unstored_lines(result))}", False, has_details)
    cause = next(iter(situation.causes), None)
    if cause is None or (situation.is_result_past and cause.kind in _OF_THE_RUN):
        return None
    remedy = f"   What to do: {cause.remedy}" if cause.remedy else ""
    text = f"{which}: {cause.sentence(len(result.expected_views))}{remedy}"
    return StripContent(StripKind.CAUSE, text, False, has_details)


def _quiet(situation: Situation) -> str:
    if situation.is_resetting:
        return "Reset is running"
    if situation.state not in (State.READY, State.SINGLE_EXECUTION, State.PAUSED):
        return "Not ready: press RESET (F8)"
    return "No fault" if situation.room is None else f"No fault   {situation.room.short()}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
