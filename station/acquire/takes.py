"""Each view whole or not at all: a take that breaks is thrown away, recorded, and the view is taken again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from itertools import groupby

from drivers.errors import DeviceError, FrameIncomplete, FrameOutOfOrder
from station.acquire.captured_view import CapturedFrame
from station.acquire.job_signal import JobSignal, TakeBroken
from station.acquire.plan import CaptureStep
from station.acquire.stage_times import StageTimes
from station.inspection.retakes import Retake, RetakeKind

log = logging.getLogger(__name__)

# A frame that disagrees with its proof, or that did not come whole however often it was exposed. A device's own fault,
# as a lost light or an arm that stands elsewhere, is none of these: it ends the capture.
REJECTS_THE_VIEW = (FrameOutOfOrder, FrameIncomplete)
Steps = tuple[CaptureStep, ...]


class Retakes:
    """Counts the takes that a frame's proof rejected, allows `most` of them a view, and keeps a record of all."""

    def __init__(self, most: int = 0, report: Callable[[Retake], None] = lambda _retake: None) -> None:
        """`report` is called with each retake as it begins, on the walk's thread."""
        self._most = most
        self._report = report
        self.done: list[Retake] = []

    def note(self, retake: Retake) -> None:
        """The view is taken again."""
        log.warning("%s", retake)
        self.done.append(retake)
        self._report(retake)

    def allow(self, retake: Retake, error: DeviceError) -> None:
        """Note it if the view may be taken again. Raises `error` anew once the view's retakes are used up."""
        of_view = [done for done in self.done if done.view == retake.view and done.kind is RetakeKind.FRAME_PROOF]
        if not self._most:
            raise error
        if len(of_view) >= self._most:
            used_up = f"(view {retake.view!r} was taken again {len(of_view)} times before: check the camera's link)"
            raise type(error)(error.device, f"{error.message} {used_up}") from error
        self.note(retake)


def take_views(
    plan: Steps,
    signal: JobSignal,
    retakes: Retakes,
    times: StageTimes,
    take: Callable[[Steps], Iterator[CapturedFrame]],
    lights_off: Callable[[], None],
    takes_before: int = 0,
) -> Generator[CapturedFrame]:
    """The frames of all views; `take` takes one view. A frame whose `take` is higher than those of its view before
    replaces them all: whoever collects frames throws those away. `takes_before` counts the takes of an earlier walk.
    Raises what `take` and `signal` raise.
    """
    views = [tuple(steps) for _, steps in groupby(plan, key=lambda step: step.view)]
    try:
        for number, steps in enumerate(views, start=1):
            is_last = number == len(views)
            yield from _whole_view(steps, is_last, signal, retakes, times, take, lights_off, takes_before + 1)
    finally:
        signal.end_walk()


def _whole_view(
    steps: Steps,
    is_last: bool,
    signal: JobSignal,
    retakes: Retakes,
    times: StageTimes,
    take: Callable[[Steps], Iterator[CapturedFrame]],
    lights_off: Callable[[], None],
    number: int,
) -> Iterator[CapturedFrame]:
    while True:
        frame_ids: list[int] = []
        signal.begin_take(steps[0].view)
        try:
            signal.check(at_view_boundary=True)
            for captured in take(steps):
                frame_ids.append(captured.frame.frame_id)
                yield replace(captured, take=number)
            while not signal.end_take(is_last=is_last):
                _rest(signal, times, lights_off, is_all_seen=is_last)
            return
        except TakeBroken as broken:
            retakes.note(Retake(steps[0].view, number, broken.kind, str(broken), tuple(frame_ids)))
        except REJECTS_THE_VIEW as error:
            found = Retake(steps[0].view, number, RetakeKind.FRAME_PROOF, str(error), tuple(frame_ids))
            retakes.allow(found, error)
        lights_off()
        _rest(signal, times, lights_off)
        number += 1


def _rest(signal: JobSignal, times: StageTimes, lights_off: Callable[[], None], *, is_all_seen: bool = False) -> None:
    """Wait while a pause is wanted."""
    paused_s = signal.rest(lights_off, is_all_seen=is_all_seen)
    if paused_s:
        times.add("paused", paused_s * 1e3)
