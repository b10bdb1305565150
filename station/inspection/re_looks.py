"""What is recorded of a view that was looked at again with other exposures, because its first look decided nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

from station.inspection.reasons import Reason


@dataclass(frozen=True, slots=True)
class ReLook:
    """One view's second look: a whole take of its own, of which no frame is mixed with the first one's.

    The first look was UNDECIDED for exposure or coverage alone; its frames are kept, whichever look counts.
    """

    view: str
    why: tuple[Reason, ...]  # what the first look was UNDECIDED for
    first_take: int
    take: int  # of the second look; frames.json tells the frames of both by it
    exposures_us: dict[str, tuple[float, float]] = field(default_factory=dict)  # light -> first and second look's
    frame_ids: tuple[int, ...] = ()  # the camera's, of the second look
    counts: bool = False  # whether the second look decided: then it is the view's result, else the first one stays
    reasons: tuple[Reason, ...] = ()  # why the second look decided nothing either
    first_score: float | None = None
    score: float | None = None  # of the second look
    not_done: str = ""  # why there was no whole second look, such as a takt that was over

    @property
    def is_done(self) -> bool:
        """Whether the second look is whole and was judged."""
        return not self.not_done

    @property
    def discarded_take(self) -> int | None:
        """The take of this view that its result does not rest on; None where there is only one."""
        if not self.frame_ids:
            return None
        return self.first_take if self.counts else self.take

    def change(self) -> str:
        """What was changed, such as "diffuse 900 to 450 us"."""
        return ", ".join(f"{name} {a:g} to {b:g} us" for name, (a, b) in self.exposures_us.items())

    def __str__(self) -> str:
        """The line for a terminal."""
        because = "; ".join(reason.text for reason in self.why)
        if not self.is_done:
            return f"view {self.view!r}: not looked at again ({because}): {self.not_done}"
        outcome = (
            "this look counts" if self.counts else f"the first look stays, for this one had {_listed(self.reasons)}"
        )
        return f"view {self.view!r}: looked at again with {self.change()} ({because}): {outcome}"


def _listed(reasons: tuple[Reason, ...]) -> str:
    return "; ".join(reason.text for reason in reasons) or "no result"
