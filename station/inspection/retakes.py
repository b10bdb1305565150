"""What is recorded of a view that was taken again: which take was rejected, why, and its frames."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class RetakeKind(StrEnum):
    """Who or what rejected a take."""

    FRAME_PROOF = "frame proof"  # a frame did not fit its trigger, its light or its place in the sequence
    PAUSED = "paused"  # frames from before and after a pause never make one view
    FRAME_LOST = "frame lost"  # the view's last one did not come whole, and the arm had left meanwhile
    ASKED = "asked for"  # by a person


@dataclass(frozen=True, slots=True)
class Retake:
    """One rejected take of a view; the view was then taken again, whole, as take `take + 1`."""

    view: str
    take: int  # the rejected one, counted from 1
    kind: RetakeKind
    text: str  # what was found, or who asked
    frame_ids: tuple[int, ...] = ()  # the camera's ids of the frames that were thrown away

    def __str__(self) -> str:
        """The line for a terminal."""
        return f"view {self.view!r}: take {self.take} was rejected ({self.kind}): {self.text}"
