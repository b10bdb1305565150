"""The only code that commands devices: it walks a plan and yields each frame with its step."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Iterator
from itertools import zip_longest

from drivers.errors import FrameOutOfOrder
from drivers.geometry.pose import Pose
from drivers.protocols import Frame
from station.acquire.captured_view import CapturedFrame
from station.acquire.job_signal import JobSignal
from station.acquire.plan import CaptureStep
from station.acquire.re_exposure import NOT_WHOLE, ReExposures
from station.acquire.stage_times import StageTimes
from station.acquire.takes import Retakes, take_views
from station.rig.devices import Rig, Strobes

log = logging.getLogger(__name__)


def capture(
    rig: Rig,
    plan: tuple[CaptureStep, ...],
    stop: JobSignal,
    times: StageTimes,
    settle_s: float = 0.0,
    retakes: Retakes | None = None,
) -> Generator[CapturedFrame]:
    """Walk the plan: move, light, expose. Lights are off during every move, and afterwards whatever happens.

    A frame belongs to a light for three reasons: the driver triggered it, its id follows the last one, and its
    exposure began after the light was acknowledged and settled, on the camera's own clock. With strobes its exposure
    was also over, on that clock, before the next light was armed. `settle_s` is waited after each move. A frame that
    did not come whole is exposed again, a few times a view (`re_exposure.py`). A view whose frames disagree with their
    proof is taken again as often as `retakes` allows (`takes.py`); without it, never.

    Raises Stopped, and DeviceError naming the device.
    """

    def take(steps: tuple[CaptureStep, ...]) -> Iterator[CapturedFrame]:
        return _take(rig, steps, stop, times, settle_s)

    try:
        yield from take_views(plan, stop, retakes or Retakes(), times, take, rig.lights.off)
    except BaseException:
        _lights_off_after_fault(rig)
        raise
    with times.stage("light"):
        rig.lights.off()
        rig.lights.check()


def _take(
    rig: Rig, steps: tuple[CaptureStep, ...], stop: JobSignal, times: StageTimes, settle_s: float
) -> Iterator[CapturedFrame]:
    """One view, once."""
    position = _go(rig, steps[0].pose, settle_s, times)
    dark = tuple(step for step in steps if step.kind == "dark")
    lit = tuple(step for step in steps if step.kind != "dark")
    again = ReExposures(rig.camera)
    for step, frame in _dark(rig, dark, stop, times, again):  # first, while the lights are off from the move
        yield CapturedFrame(step, frame, position, again.take_off())
    if lit:
        expose = _by_software if rig.strobes is None else _by_strobe
        for step, frame, lit_ns in expose(rig, lit, stop, times, again):
            yield CapturedFrame(step, frame, position, again.take_off(), lit_ns)


def _dark(
    rig: Rig, steps: tuple[CaptureStep, ...], stop: JobSignal, times: StageTimes, again: ReExposures
) -> Iterator[tuple[CaptureStep, Frame]]:
    """Frames without light: the lights went off, acknowledged, before the arm moved here."""
    for step in steps:
        frame = _whole_frame(rig, step, stop, times, "dark_frame", again)
        rig.lights.check()
        yield step, frame


def _whole_frame(
    rig: Rig, step: CaptureStep, stop: JobSignal, times: StageTimes, stage: str, again: ReExposures
) -> Frame:
    """Expose under the light that shines, again while the frame does not come whole and the view allows it."""
    while True:
        stop.check(at_view_boundary=False)
        try:
            with times.stage(stage):
                return rig.camera.expose(step.exposure_us, step.gain_db)
        except NOT_WHOLE as error:
            again.allow(step, error)
            rig.lights.check()


def _by_software(
    rig: Rig, steps: tuple[CaptureStep, ...], stop: JobSignal, times: StageTimes, again: ReExposures
) -> Iterator[tuple[CaptureStep, Frame, int]]:
    for step in steps:
        stop.check(at_view_boundary=False)
        with times.stage("light"):
            rig.lights.on(step.channel, step.brightness)
            lit_ns = rig.camera.time_ns()
        frame = _whole_frame(rig, step, stop, times, "expose", again)
        _prove_lit(step, frame, lit_ns)
        rig.lights.check()
        yield step, frame, lit_ns


def _by_strobe(
    rig: Rig, steps: tuple[CaptureStep, ...], stop: JobSignal, times: StageTimes, again: ReExposures
) -> Iterator[tuple[CaptureStep, Frame, int]]:
    """While a frame is read out, the next light is armed; never while the sensor may still gather light."""
    assert rig.strobes is not None
    strobes = rig.strobes
    stop.check(at_view_boundary=False)
    armed_ns = _arm(strobes, steps[0], times)
    for step, following in zip_longest(steps, steps[1:]):
        stop.check(at_view_boundary=False)
        while (flash := _flash(strobes, step, following, times, again)) is None:
            strobes.lights.check()
            stop.check(at_view_boundary=False)
            armed_ns = _arm(strobes, step, times)  # the following light may be armed already
        frame, over_ns, next_ns = flash
        _prove_lit(step, frame, armed_ns)
        if over_ns is not None:
            _prove_over(step, frame, over_ns)
        strobes.lights.check()
        if following is not None and over_ns is None:
            next_ns = _arm(strobes, following, times)
        yield step, frame, armed_ns
        armed_ns = next_ns


def _flash(
    strobes: Strobes, step: CaptureStep, following: CaptureStep | None, times: StageTimes, again: ReExposures
) -> tuple[Frame, int | None, int] | None:
    """One exposure under the armed light: its frame, the camera's clock once it was over, and once the following
    light was armed; None for the second where the camera does not report it. None at all: the step is to be armed and
    exposed again."""
    camera = strobes.camera
    try:
        with times.stage("expose"):
            camera.trigger(step.exposure_us, step.gain_db)
            is_over = following is not None and camera.wait_exposed()
    except NOT_WHOLE as error:
        again.allow(step, error)
        return None
    over_ns = camera.time_ns() if is_over else None
    next_ns = _arm(strobes, following, times) if following is not None and is_over else 0
    try:
        with times.stage("expose"):
            frame = camera.collect()
    except NOT_WHOLE as error:
        again.allow(step, error)
        return None
    return frame, over_ns, next_ns


def _arm(strobes: Strobes, step: CaptureStep, times: StageTimes) -> int:
    """Returns the camera's clock once the armed light is acknowledged."""
    with times.stage("light"):
        strobes.lights.arm(step.channel, step.brightness, step.exposure_us)
        return strobes.camera.time_ns()


def _prove_lit(step: CaptureStep, frame: Frame, lit_ns: int) -> None:
    if frame.timestamp_ns < lit_ns:
        raise FrameOutOfOrder(
            "camera",
            f"frame {frame.frame_id} for view {step.view!r}, light {step.light!r} began "
            f"{(lit_ns - frame.timestamp_ns) / 1e6:.3f} ms before the light was stable",
        )


def _prove_over(step: CaptureStep, frame: Frame, next_light_ns: int) -> None:
    ended_ns = frame.timestamp_ns + round(frame.exposure_us * 1e3)
    if ended_ns > next_light_ns:
        raise FrameOutOfOrder(
            "camera",
            f"frame {frame.frame_id} for view {step.view!r}, light {step.light!r} was still being exposed "
            f"{(ended_ns - next_light_ns) / 1e6:.3f} ms after the next light had begun to be armed",
        )


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
    except Exception:  # whatever a driver of another package raises, the first fault is reported
        log.exception("lights off could not be confirmed after a fault")
