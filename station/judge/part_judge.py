"""What a job asks of whoever judges the views of a part, with a model or without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from station.acquire.captured_view import CapturedFrame, CapturedView
from station.acquire.stage_times import StageTimes
from station.inspection.reasons import Reason
from station.inspection.result import ViewResult
from station.judge.re_look import ReLookWish


class PartJudge(Protocol):
    """Judges the views of one part after the other, on one thread; see `ViewJudge` and `CaptureJudge`."""

    def begin_part(self, times: StageTimes) -> None:
        """Forget the last part; stage times go to `times` from now on."""
        ...

    def take(self, captured: CapturedFrame) -> None:
        """See a frame as it arrives. Raises what `refused_frame` tells."""
        ...

    def judge(self, view: CapturedView) -> ViewResult:
        """The result of a complete view whose frames were all taken; never raises."""
        ...

    def refine(self, view: CapturedView, result: ViewResult) -> ViewResult:
        """The result with what may be left out when the station is behind."""
        ...

    def re_look(self, result: ViewResult) -> ReLookWish | None:
        """With which other exposures another look may decide this view; None where nothing speaks for one."""
        ...

    def reasons_of_part(self, views: Sequence[ViewResult]) -> tuple[Reason, ...]:
        """What only all views together show to be wrong with the rig; the part is UNDECIDED then."""
        ...

    def undecided(self, view: str, reason: Reason) -> ViewResult:
        """The result of a view that cannot be judged, for this reason."""
        ...
