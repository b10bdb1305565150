"""What the banner says: one word, its lines, and whether to keep out of the cell. No Qt.

The texts are read in a second, from a few steps away: what happened, what it means, what to press.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from station.console.situation import Situation
from station.engine.events import State
from station.inspection.causes import causes_of
from station.inspection.result import Inspection, Verdict
from station.inspection.score_text import score_text

DETAILS_KEY = "F10"


class BannerKind(StrEnum):
    """What the banner can say. Each kind has its own word, which is its value, its own symbol and its own colour."""

    PASS = "PASS"
    FAIL = "FAIL"
    UNDECIDED = "UNDECIDED"
    INSPECTING = "INSPECTING"
    PAUSED = "PAUSED"
    READY = "READY"
    NOT_READY = "NOT READY"
    STOPPED = "STOPPED"
    FAULT = "FAULT"


_OF_THE_PART = (
    BannerKind.PASS, BannerKind.FAIL, BannerKind.UNDECIDED, BannerKind.INSPECTING, BannerKind.PAUSED,
)  # fmt: skip
_VERDICTS = (BannerKind.PASS, BannerKind.FAIL, BannerKind.UNDECIDED)
KEEP_OUT = "KEEP OUT"
DRAFT_LINE = "DRAFT: this recipe is not the active release"
_MAY_REMOVE = "the part may be removed"
_MOVES = "keep out: the arm moves"
_ANYWHERE = "Do not reach in: the arm may stand anywhere."
_KEPT_IN = "Do not reach in. To take the part out: STOP (F12), then RESET (F8)."
_HELD = "The arm stands still and all lights are off."
_HOMES = "the arm drives to its reference switches"
_OPENING = f"Look at the cell, then press RESET (F8): {_HOMES}"
_LEAVE_HALT = f"Look at the cell, then press RESET (F8): {_HOMES}; then you can START."
_RESETTING = (f"RESET is running, keep clear: {_HOMES}.", "STOP (F12) ends it at once.")


@dataclass(frozen=True, slots=True)
class BannerContent:
    """What the banner shows: one word, the lines beside it, and how far an inspection has come."""

    kind: BannerKind
    lines: tuple[str, ...] = ()
    progress: float | None = None  # 0..1 while inspecting
    muted: tuple[str, ...] = ()  # what is past, drawn smaller and paler
    keep_out: bool = False  # drawn as a sign of its own

    @property
    def word(self) -> str:
        return self.kind.value


def banner_of(situation: Situation) -> BannerContent:
    """The one word for now: a running inspection goes before a fault or a stop, and these before a verdict.

    A verdict fills the banner as long as nothing else has begun; then it is one pale line.
    """
    kind, lines = _word_and_lines(situation)
    is_about_the_part = kind in _OF_THE_PART
    muted = () if is_about_the_part else last_part_lines(situation)
    if situation.is_draft and (is_about_the_part or kind is BannerKind.READY):
        lines = (DRAFT_LINE, *lines)
    if kind in _VERDICTS and situation.result is not None and situation.result.judged_alone:
        lines = (*lines, situation.result.judged_alone)
    return BannerContent(kind, lines, _progress(situation, kind), muted, situation.must_keep_out)


def _word_and_lines(situation: Situation) -> tuple[BannerKind, tuple[str, ...]]:
    if situation.is_paused:
        return BannerKind.PAUSED, _paused_lines(situation)
    if situation.is_busy or situation.is_starting:
        return BannerKind.INSPECTING, _inspecting(situation)
    if situation.is_resetting:
        return BannerKind.NOT_READY, _RESETTING
    result = situation.result
    if result is not None and not situation.is_result_stored:
        return _verdict(situation, result), result_lines(situation, result)
    if situation.state is State.ERROR:
        return BannerKind.FAULT, (_ANYWHERE, *_fault_lines(situation))
    if situation.state is State.HALTED:
        return BannerKind.STOPPED, _halt_lines(situation)
    if result is not None and not situation.is_result_past:
        return _verdict(situation, result), result_lines(situation, result)
    if situation.state is State.READY:
        return BannerKind.READY, _ready_lines(situation)
    if situation.fault is not None:
        return BannerKind.FAULT, (_ANYWHERE, *_fault_lines(situation))
    return BannerKind.NOT_READY, _not_ready_lines(situation)


def _progress(situation: Situation, kind: BannerKind) -> float | None:
    if kind not in (BannerKind.INSPECTING, BannerKind.PAUSED):
        return None
    if situation.job is None:
        return 0.0
    return 1.0 if situation.is_cell_clear else situation.steps_done / max(situation.job.steps, 1)


def _paused_lines(situation: Situation) -> tuple[str, ...]:
    """What stands still, and which button leads on."""
    part = "" if situation.job is None else f"part {situation.job.part_id}, "
    at = f"{part}view {situation.view}: {situation.reason}" if situation.view else f"{part}{situation.reason}"
    return at, _HELD, "RESUME (F11): the arm moves at once. STOP (F12) ends the part."


def _inspecting(situation: Situation) -> tuple[str, ...]:
    """Progress, and after all frames of a sound run that the part may be removed while the judge still works."""
    job = situation.job
    if job is None:
        return "starting", _MOVES
    again = "" if situation.attempt <= 1 else f", attempt {situation.attempt}"
    first = f"part {job.part_id}{again}"
    if situation.is_cell_clear:
        return first, f"last picture taken: {_MAY_REMOVE}"
    if situation.is_stopping:
        return first, "stopping at the next safe point; STOP again aborts at once", _MOVES
    if situation.is_pausing:
        return first, "pausing after this view; PAUSE again pauses at once, and takes the view again", _MOVES
    if not situation.view:
        return first, "moving to the first view", _MOVES
    views = situation.recipe.views if situation.recipe else ()
    number = views.index(situation.view) + 1 if situation.view in views else 1
    per_view = job.steps_per_view.get(situation.view, job.steps // max(len(views), 1))
    step = f"{situation.view_steps_done}/{per_view} {situation.light}"
    return first, f"view {number}/{max(len(views), 1)} {situation.view}   light {step}", _MOVES


def _halt_lines(situation: Situation) -> tuple[str, ...]:
    """What happened, what it means for the machine, and what to press."""
    reason = situation.reason or "stopped by the operator"
    held = () if "not confirmed" in reason else (_HELD,)
    return (_ANYWHERE, f"{reason[0].upper()}{reason[1:]}", *held, _LEAVE_HALT)


def _fault_lines(situation: Situation) -> tuple[str, ...]:
    """The fault and its remedy, also where the engine stands in Error without having reported a fault."""
    if situation.fault is None:
        reason = situation.reason or "The station reports an error without a cause"
        return reason, "Look at the cell, clear the cause, then press RESET (F8)"
    return situation.fault.text, f"What to do: {situation.fault.action}"


def _ready_lines(situation: Situation) -> tuple[str, ...]:
    if situation.is_cell_clear:
        return ("Scan or type a part id, then START",)
    return _KEPT_IN, "START inspects the part again; the arm moves at once"


def _not_ready_lines(situation: Situation) -> tuple[str, ...]:
    """Why, and which button leads on."""
    if situation.is_reading_recipe:
        return "Reading the recipe", _ANYWHERE
    if situation.state is State.PREOPERATIONAL:
        return _OPENING, _ANYWHERE
    return situation.reason or "No recipe is prepared", f"Press RESET (F8): {_HOMES}", _ANYWHERE


def _verdict(situation: Situation, result: Inspection) -> BannerKind:
    """The verdict's word; what is not stored is no PASS."""
    if not situation.is_result_stored and result.verdict is Verdict.PASS:
        return BannerKind.UNDECIDED
    return BannerKind(result.verdict.value)


def result_lines(situation: Situation, inspection: Inspection) -> tuple[str, ...]:
    """The lines beside a verdict: the part, the view that is highest against its limit, one cause and one remedy."""
    again = "" if situation.attempt <= 1 else f", attempt {situation.attempt}"
    late = ", stored now" if situation.was_stored_late else ""
    lines = [f"part {inspection.part_id}{again}{late}"]
    if not situation.is_result_stored:
        lines += unstored_lines(inspection)
    elif inspection.verdict is not Verdict.UNDECIDED:
        lines += _highest_lines(inspection)
    lines += _cause_lines(inspection, without_storing=not situation.is_result_stored)
    if situation.is_cell_clear:
        return (*lines, _MAY_REMOVE)
    return (*lines, _KEPT_IN if situation.is_part_kept_in else _ANYWHERE)


def unstored_lines(inspection: Inspection) -> list[str]:
    """That the part is not stored, why, and what to do before the next START."""
    reason = next((reason for reason in inspection.reasons if str(reason.kind) == "not stored"), None)
    why = "" if reason is None else f": {reason.text}"
    remedy = (
        reason.remedy if reason else ""
    ) or "free the disk or restore the archive; storing is tried again by itself"
    return [f"NOT STORED{why}", f"What to do: {remedy}. START waits until the part is stored."]


def _highest_lines(inspection: Inspection) -> list[str]:
    """The view that the rule names, in the rule's own measure: the score against the view's limit."""
    view = next((v for v in inspection.views if v.view == inspection.deciding_view), None)
    if view is None or view.pred_score is None:
        return []
    return [
        f"highest against its limit: {view.view}, score {score_text(view.pred_score)}, limit {score_text(view.limit)}"
    ]


def _cause_lines(inspection: Inspection, *, without_storing: bool) -> list[str]:
    """The first cause with its remedy, and how many more there are behind DETAILS."""
    causes = [c for c in causes_of(inspection.reasons) if not (without_storing and str(c.kind) == "not stored")]
    if not causes:
        return []
    more = "" if len(inspection.reasons) == 1 else f"   (all findings: DETAILS {DETAILS_KEY})"
    lines = [f"{causes[0].sentence(len(inspection.expected_views))}{more}"]
    return [*lines, f"What to do: {causes[0].remedy}"] if causes[0].remedy else lines


def last_part_lines(situation: Situation) -> tuple[str, ...]:
    """The verdict of the last part, once something else has begun; empty without a part."""
    result = situation.result
    if result is None:
        return ()
    when = result.creation_time.astimezone().strftime("%H:%M")
    stored = "" if situation.is_result_stored else ", NOT STORED"
    late = ", stored now" if situation.was_stored_late else ""
    return (f"last part: {result.part_id}, {_verdict(situation, result).value}{stored}{late} at {when}",)
