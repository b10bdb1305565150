"""How a job is directed from another thread: paused, resumed, sent back a view, cut short, stopped or aborted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

from station.inspection.retakes import RetakeKind

ASK_EVERY_S = 0.4  # while paused, the devices are asked as often as at rest


class Stopped(Exception):
    """The job was stopped or aborted; the text says by whom or what."""


class Skipped(Stopped):
    """The verdict is wanted on what has been seen so far."""


class TakeBroken(Exception):
    """The view that is being taken is to be taken again, whole."""

    def __init__(self, kind: RetakeKind, text: str) -> None:
        super().__init__(text)
        self.kind = kind


def _nothing() -> None:
    """There is nothing to ask."""


class JobSignal:
    """One for each job. The verbs may come from any thread; the walk through the plan asks before every step.

    `stop` takes effect at the next view boundary, `abort` and `skip` at the next step. `pause` takes effect after the
    view that is being taken, or at the next step; then that view is taken again, because frames from before and after
    a pause never make one view. The first reason given stays. Every verb may be given twice.
    """

    def __init__(
        self,
        pausing: Callable[[str], AbstractContextManager[None]] = lambda _reason: nullcontext(),
        ask: Callable[[], None] = _nothing,
        *,
        ask_every_s: float = ASK_EVERY_S,
    ) -> None:
        """`pausing` surrounds each pause, on the walk's thread; it is left by an exception where the job ends.

        `ask` is called every `ask_every_s` seconds of a pause, and raises DeviceError for a device that is lost.
        """
        self._pausing, self._ask, self._ask_every_s = pausing, ask, ask_every_s
        self._changed = threading.Condition()
        self._stop_reason: str | None = None
        self._abort_reason: str | None = None
        self._skip_reason: str | None = None
        self._pause: Literal["after this view", "now"] | None = None
        self._pause_reason = ""
        self._retake_reason: str | None = None
        self._view: str | None = None  # that is being taken
        self._is_walking = True  # until the last view is over: from then on there is nothing to pause or to retake

    # -- verbs ------------------------------------------------------------------------------

    def stop(self, reason: str) -> None:
        with self._changed:
            self._stop_reason = self._stop_reason or reason
            self._changed.notify_all()

    def abort(self, reason: str) -> None:
        with self._changed:
            self._abort_reason = self._abort_reason or reason
            self._changed.notify_all()

    def pause(self, reason: str, *, now: bool) -> bool:
        """Pause after this view, or `now`; a later `now` hastens it. False: every view has been taken."""
        with self._changed:
            if self._is_walking:
                self._pause = "now" if now else self._pause or "after this view"
                self._pause_reason = reason
            return self._is_walking

    def resume(self) -> None:
        """End the pause, or the wish for one."""
        with self._changed:
            self._pause = None
            self._changed.notify_all()

    def retake(self, reason: str) -> bool:
        """Take the present view again: at once, or when the pause after it ends. False: every view has been taken."""
        with self._changed:
            if self._is_walking:
                self._retake_reason = self._retake_reason or reason
            return self._is_walking

    def skip(self, reason: str) -> bool:
        """Take no further frame. False: every view has been taken, and the verdict comes by itself."""
        with self._changed:
            if self._is_walking:
                self._skip_reason = self._skip_reason or reason
                self._changed.notify_all()
            return self._is_walking

    @property
    def aborted(self) -> bool:
        return self._abort_reason is not None

    # -- the walk ---------------------------------------------------------------------------

    def may_leave(self) -> bool:
        """Whether the arm may go on to the next view: nothing wants the job to end or to pause, or this view again."""
        with self._changed:
            return not self._ends and self._pause is None and self._retake_reason is None

    def check(self, *, at_view_boundary: bool) -> None:
        """Raise Stopped or Skipped if the job must not go on from here, TakeBroken if this take must not."""
        with self._changed:
            if self._abort_reason is not None:
                raise Stopped(self._abort_reason)
            if at_view_boundary and self._stop_reason is not None:
                raise Stopped(self._stop_reason)
            if self._is_walking and self._skip_reason is not None:
                raise Skipped(self._skip_reason)
            if self._view is not None:
                self._break_take()

    def begin_take(self, view: str) -> None:
        """From now on `check` breaks the take of this view where a person wants that.

        An earlier wish to take it again is granted by this very take.
        """
        with self._changed:
            self._view, self._retake_reason = view, None

    def end_take(self, *, is_last: bool) -> bool:
        """Whether the view is over; False where a pause is wanted first. Raises TakeBroken: it is to be taken again."""
        with self._changed:
            if self._pause is not None and not self._ends:
                return False
            if self._retake_reason is not None and not self._ends:
                self._break_take()
            self._view = None
            self._is_walking = not is_last
            return True

    def end_walk(self) -> None:
        """Nothing is taken any more, whatever ended it."""
        with self._changed:
            self._is_walking, self._view = False, None

    def rest(self, lights_off: Callable[[], None], *, is_all_seen: bool = False) -> float:
        """Wait while a pause is wanted; returns how long, in seconds. The lights are switched off first.

        `is_all_seen`: the last view is complete; then a wish for the verdict ends the pause and nothing else.
        Raises Stopped, Skipped, and DeviceError for a device that is lost meanwhile.
        """
        with self._changed:
            if self._pause is None or self._ends:
                return 0.0
            reason, self._view = self._pause_reason, None
        lights_off()
        began_s = time.monotonic()
        with self._pausing(reason):
            self._wait()
        with self._changed:
            if is_all_seen and self._retake_reason is None:
                self._skip_reason = None
        self.check(at_view_boundary=True)
        return time.monotonic() - began_s

    def _wait(self) -> None:
        while True:
            with self._changed:
                is_over = self._changed.wait_for(lambda: self._pause is None or self._ends, self._ask_every_s)
                if self._abort_reason is not None:
                    raise Stopped(self._abort_reason)
                if is_over:
                    self._pause = None
                    return
            self._ask()

    @property
    def _ends(self) -> bool:
        """Whether the job is to end; a pause does not outlast that."""
        return not (self._abort_reason is None and self._stop_reason is None and self._skip_reason is None)

    def _break_take(self) -> None:
        """Raise TakeBroken where a person wants this take broken; the wish is granted by that."""
        if self._retake_reason is not None:
            reason, self._retake_reason, self._view = self._retake_reason, None, None
            raise TakeBroken(RetakeKind.ASKED, reason)
        if self._pause == "now":
            self._view = None
            raise TakeBroken(RetakeKind.PAUSED, self._pause_reason)
