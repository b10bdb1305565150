"""The only code that commands devices: it walks a plan and yields each frame with its step."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from drivers.errors import DeviceError, FrameOutOfOrder
from drivers.protocols import Frame, Pose
from station.devices import Rig
from station.plan import CaptureStep
from station.stages import StageTimes

log = logging.getLogger(__name__)


class Stopped(Exception):
    """The job was told to stop or abort; the text says by what."""


class StopSignal:
    """Asked at every step. `stop` waits for the view's end, `abort` does not."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stop_reason: str | None = None
        self._abort_reason: str | None = None

    def stop(self, reason: str) -> None:
        with self._lock:
            self._stop_reason = self._stop_reason or reason

    def abort(self, reason: str) -> None:
        with self._lock:
            self._abort_reason = self._abort_reason or reason

    @property
    def aborted(self) -> bool:
        return self._abort_reason is not None

    def check(self, *, at_view_boundary: bool) -> None:
        """Raise Stopped if the job must not go on from here."""
        with self._lock:
            if self._abort_reason is not None:
                raise Stopped(self._abort_reason)
            if at_view_boundary and self._stop_reason is not None:
                raise Stopped(self._stop_reason)


@dataclass(frozen=True, slots=True)
class CapturedFrame:
    """A frame bound to the step that made it, with the position read back."""

    step: CaptureStep
    frame: Frame
    position: Pose


def capture(
    rig: Rig, plan: tuple[CaptureStep, ...], stop: StopSignal, times: StageTimes, settle_s: float = 0.0
) -> Iterator[CapturedFrame]:
    """Walk the plan: move, light, expose; lights are off during every move and whatever happens.

    A frame belongs to a light because the driver triggered it, its id follows the last one, and its
    exposure began after the light was acknowledged and settled, on the camera's own clock.
    """
    try:
        yield from _walk(rig, plan, stop, times, settle_s)
    except BaseException:
        _lights_off_after_fault(rig)
        raise
    with times.stage("light"):
        rig.lights.off()


def _walk(
    rig: Rig, plan: tuple[CaptureStep, ...], stop: StopSignal, times: StageTimes, settle_s: float
) -> Iterator[CapturedFrame]:
    position: Pose | None = None
    commanded: Pose | None = None
    for step in plan:
        arrives = step.pose != commanded
        stop.check(at_view_boundary=arrives)
        if position is None or arrives:
            position = _go(rig, step.pose, settle_s, times)
            commanded = step.pose
        with times.stage("light"):
            rig.lights.on(step.channel, step.brightness)
            lit_ns = rig.camera.time_ns()
        stop.check(at_view_boundary=False)
        with times.stage("expose"):
            frame = rig.camera.expose(step.exposure_us, step.gain_db)
        if frame.timestamp_ns < lit_ns:
            raise FrameOutOfOrder(
                "camera",
                f"frame {frame.frame_id} for view {step.view!r}, light {step.light!r} began "
                f"{(lit_ns - frame.timestamp_ns) / 1e6:.3f} ms before the light was stable",
            )
        yield CapturedFrame(step, frame, position)


def _go(rig: Rig, pose: Pose, settle_s: float, times: StageTimes) -> Pose:
    with times.stage("light"):
        rig.lights.off()
    with times.stage("move"):
        position = rig.arm.move_to(pose)
        time.sleep(settle_s)
    return position


def _lights_off_after_fault(rig: Rig) -> None:
    """The first fault is the one to report; that the lights stayed on comes with it in the log."""
    try:
        rig.lights.off()
    except DeviceError:
        log.exception("lights off could not be confirmed after a fault")
