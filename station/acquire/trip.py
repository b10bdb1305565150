"""The arm's way from view to view: it begins while the last frame of a view is still read out.

The arm leaves once the camera has reported the end of the view's last exposure and the lights are off, acknowledged.
The frame itself then proves, on the camera's clock, that its exposure was over before (`capture.py`). Where a frame is
lost after the arm has left, the view is taken again, whole, and this time the arm waits for the frame.
"""

from __future__ import annotations

import logging
import threading
import time
from itertools import pairwise

from drivers.errors import DeviceError
from drivers.geometry.pose import Pose
from station.acquire.job_signal import JobSignal, TakeBroken
from station.acquire.plan import CaptureStep
from station.acquire.stage_times import StageTimes
from station.inspection.retakes import RetakeKind
from station.rig.devices import Rig

log = logging.getLogger(__name__)


class Trip:
    """Moves one rig's arm from view to view of one plan. All methods belong to the thread that captures."""

    def __init__(
        self, rig: Rig, plan: tuple[CaptureStep, ...], signal: JobSignal, times: StageTimes, settle_s: float
    ) -> None:
        """`settle_s` is waited after each move."""
        self._rig, self._signal, self._times, self._settle_s = rig, signal, times, settle_s
        first = {step.view: step for step in reversed(plan)}
        views = list(dict.fromkeys(step.view for step in plan))
        self._following = {view: first[after] for view, after in pairwise(views)}
        self._move: _Move | None = None
        self._waits_for: set[str] = set()  # views whose last frame was lost once, after the arm had left

    def leaves(self, view: str) -> bool:
        """Whether the arm may leave this view while its last frame is still to come."""
        return view in self._following and view not in self._waits_for

    def leave(self, view: str) -> None:
        """Lights off, then begin the move to the next view in the background.

        The arm stays where the job is to end or to pause at this boundary. Raises DeviceError of the lights.
        """
        if self._signal.may_leave():
            self._begin(self._following[view])

    def arrive(self, step: CaptureStep) -> Pose:
        """The position read back at the step's pose, once the arm stands and has settled there.

        The lights went off, acknowledged, before the arm began to move. Raises DeviceError of arm or lights.
        """
        if self._move is not None and self._move.step.view != step.view:  # the view before is taken again
            self._move.ended()
            self._move = None
        if self._move is None:
            self._begin(step)
        assert self._move is not None
        move, self._move = self._move, None
        return move.ended()

    def lost(self, step: CaptureStep, error: DeviceError) -> None:
        """Raise TakeBroken if the arm has left before this step's frame was lost; else do nothing."""
        if self._move is None:
            return
        self._waits_for.add(step.view)
        text = f"the last frame, under light {step.light!r}, was lost after the arm had left: {error}"
        raise TakeBroken(RetakeKind.FRAME_LOST, text) from error

    def end(self) -> None:
        """Return once the arm stands, whatever became of its move: nobody waits for its position any more."""
        move, self._move = self._move, None
        if move is not None and (error := move.problem()) is not None:
            log.warning("the move that had begun meanwhile did not end well: %s", error)

    def _begin(self, step: CaptureStep) -> None:
        with self._times.stage("light"):
            self._rig.lights.off()
        self._move = _Move(self._rig, step, self._settle_s, self._times)


class _Move:
    """One move in a thread of its own, from its construction on."""

    def __init__(self, rig: Rig, step: CaptureStep, settle_s: float, times: StageTimes) -> None:
        self.step = step
        self._rig, self._settle_s, self._times = rig, settle_s, times
        self._position: Pose | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="move")
        self._thread.start()

    def problem(self) -> BaseException | None:
        """What the arm's driver raised, once the move is over."""
        self._thread.join()
        return self._error

    def ended(self) -> Pose:
        """The position read back, once the move is over. Raises what the arm's driver raised."""
        if (error := self.problem()) is not None:
            raise error
        assert self._position is not None
        return self._position

    def _run(self) -> None:
        self._times.enter_view(self.step.view)
        try:
            with self._times.stage("move"):
                self._position = self._rig.arm.move_to(self.step.pose)
            if self._settle_s > 0:
                with self._times.stage("settle"):
                    time.sleep(self._settle_s)
        except BaseException as error:  # handed to the thread that captures
            self._error = error
