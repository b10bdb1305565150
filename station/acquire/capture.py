"""The only code that commands devices: it walks a plan and yields each frame with its step."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator
from itertools import zip_longest
from typing import cast

from drivers.errors import FrameOutOfOrder
from drivers.protocols import Camera, Frame, StrobeCamera
from station.acquire.captured_view import CapturedFrame
from station.acquire.job_signal import JobSignal
from station.acquire.landing import Landing
from station.acquire.plan import CaptureStep
from station.acquire.re_exposure import NOT_WHOLE, ReExposures
from station.acquire.stage_times import StageTimes
from station.acquire.takes import Retakes, take_views
from station.acquire.trip import Trip
from station.photometric_stereo.recycled import RecycledMemory
from station.rig.devices import STROBE_CAMERA, Rig, Strobes

log = logging.getLogger(__name__)


def capture(
    rig: Rig,
    plan: tuple[CaptureStep, ...],
    stop: JobSignal,
    times: StageTimes,
    settle_s: float = 0.0,
    retakes: Retakes | None = None,
    takes_before: int = 0,
    landing: Landing | None = None,
) -> Generator[CapturedFrame]:
    """Walk the plan: move, light, expose. Lights are off during every move, and afterwards whatever happens.

    A frame belongs to a light for three reasons: the driver triggered it, its id follows the last one, and its
    exposure began after the light was acknowledged and settled, on the camera's own clock. With strobes its exposure
    was also over, on that clock, before the next light was armed. Where the camera reports the end of an exposure, the
    arm leaves at the end of a view's last one, while its frame is still read out (`trip.py`); the frame proves that its
    exposure was over. `settle_s` is waited after each move. A frame that did not come whole is exposed again, a few
    times a view (`re_exposure.py`). A view whose frames disagree with their proof is taken again as often as `retakes`
    allows (`takes.py`); without it, never. `takes_before` counts the takes of an earlier walk to the same views.
    `landing` says where the frames are unpacked to.

    Raises Stopped, and DeviceError naming the device.
    """

    trip = Trip(rig, plan, stop, times, settle_s)
    landing = landing or Landing(RecycledMemory(0), lambda: False)

    def take(steps: tuple[CaptureStep, ...]) -> Iterator[CapturedFrame]:
        return _take(rig, steps, stop, times, trip, landing)

    try:
        with landing.of(rig.camera):
            yield from take_views(plan, stop, retakes or Retakes(), times, take, rig.lights.off, takes_before)
    except BaseException:
        _lights_off_after_fault(rig)
        raise
    finally:
        trip.end()
    with times.stage("light"):
        rig.lights.off()
        rig.lights.check()


def _take(
    rig: Rig, steps: tuple[CaptureStep, ...], stop: JobSignal, times: StageTimes, trip: Trip, landing: Landing
) -> Iterator[CapturedFrame]:
    """One view, once."""
    position = trip.arrive(steps[0])
    times.enter_view(steps[0].view)
    dark = tuple(step for step in steps if step.kind == "dark")
    lit = tuple(step for step in steps if step.kind != "dark")
    again = ReExposures(rig.camera)
    landing.begin((*dark, *lit), stop, times)
    for step, frame in _dark(rig, dark, stop, times, again):  # first, while the lights are off from the move
        yield CapturedFrame(step, frame, position, again.take_off(), memory=landing.taken())
    if lit:
        expose = _by_software if rig.strobes is None else _by_strobe
        for step, frame, lit_ns in expose(rig, lit, stop, times, again, trip):
            yield CapturedFrame(step, frame, position, again.take_off(), lit_ns, memory=landing.taken())


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
                frame = rig.camera.expose(step.exposure_us, step.gain_db)
            _note_end(rig.camera, frame, times)
            return frame
        except NOT_WHOLE as error:
            again.allow(step, error)
            rig.lights.check()


def _by_software(
    rig: Rig, steps: tuple[CaptureStep, ...], stop: JobSignal, times: StageTimes, again: ReExposures, trip: Trip
) -> Iterator[tuple[CaptureStep, Frame, int]]:
    for step in steps:
        leaves = step is steps[-1] and trip.leaves(step.view) and _reports_ends(rig.camera)
        frame = None
        while frame is None:
            stop.check(at_view_boundary=False)
            with times.stage("light"):
                rig.lights.on(step.channel, step.brightness)
                lit_ns = rig.camera.time_ns()
            if leaves:
                frame = _last_by_software(rig, step, times, again, trip)
            else:
                frame = _whole_frame(rig, step, stop, times, "expose", again)
        _prove_lit(step, frame, lit_ns)
        rig.lights.check()
        yield step, frame, lit_ns


def _last_by_software(rig: Rig, step: CaptureStep, times: StageTimes, again: ReExposures, trip: Trip) -> Frame | None:
    """The view's last frame under the light that shines, while the arm leaves; None: it is to be exposed again."""
    flash = _flash(cast(StrobeCamera, rig.camera), step, lambda: _leave(trip, step), times, again, trip)
    if flash is None:
        return None
    frame, over_ns, _ = flash
    if over_ns is not None:
        _prove_over(step, frame, over_ns, "the arm left")
    return frame


def _reports_ends(camera: Camera) -> bool:
    """Whether the driver has what it takes to report the end of an exposure before its frame has come."""
    return all(hasattr(type(camera), method) for method in STROBE_CAMERA)


def _leave(trip: Trip, step: CaptureStep) -> int:
    trip.leave(step.view)
    return 0


def _by_strobe(
    rig: Rig, steps: tuple[CaptureStep, ...], stop: JobSignal, times: StageTimes, again: ReExposures, trip: Trip
) -> Iterator[tuple[CaptureStep, Frame, int]]:
    """While a frame is read out, the next light is armed; never while the sensor may still gather light."""
    assert rig.strobes is not None
    strobes = rig.strobes
    stop.check(at_view_boundary=False)
    armed_ns = _arm(strobes, steps[0], times)
    for step, following in zip_longest(steps, steps[1:]):
        stop.check(at_view_boundary=False)
        then = _next_act(strobes, step, following, times, trip)
        while (flash := _flash(strobes.camera, step, then, times, again, trip)) is None:
            strobes.lights.check()
            stop.check(at_view_boundary=False)
            armed_ns = _arm(strobes, step, times)  # the following light may be armed already
        frame, over_ns, next_ns = flash
        _prove_lit(step, frame, armed_ns)
        if over_ns is not None:
            _prove_over(step, frame, over_ns, "the arm left" if following is None else "the next light was armed")
        strobes.lights.check()
        if following is not None and over_ns is None:
            next_ns = _arm(strobes, following, times)
        yield step, frame, armed_ns
        armed_ns = next_ns


def _next_act(
    strobes: Strobes, step: CaptureStep, following: CaptureStep | None, times: StageTimes, trip: Trip
) -> Callable[[], int] | None:
    """What is done while the step's frame is read out: the next light is armed, or the arm leaves."""
    if following is not None:
        return lambda: _arm(strobes, following, times)
    return (lambda: _leave(trip, step)) if trip.leaves(step.view) else None


def _flash(
    camera: StrobeCamera,
    step: CaptureStep,
    then: Callable[[], int] | None,
    times: StageTimes,
    again: ReExposures,
    trip: Trip,
) -> tuple[Frame, int | None, int] | None:
    """One exposure: its frame, the camera's clock once it was over, and what `then` returned, which is called then.

    Where the camera does not report the end, the second is None, and `then` is not called. None at all: the step is to
    be lit and exposed again. Raises TakeBroken: so is the whole view.
    """
    try:
        with times.stage("expose"):
            camera.trigger(step.exposure_us, step.gain_db)
            is_over = camera.wait_exposed()
    except NOT_WHOLE as error:
        again.allow(step, error)
        return None
    if is_over:
        times.exposure_ended()
    over_ns = camera.time_ns() if is_over and then is not None else None
    next_ns = then() if then is not None and is_over else 0
    try:
        with times.stage("transfer"):
            frame = camera.collect()
    except NOT_WHOLE as error:
        trip.lost(step, error)
        again.allow(step, error)
        return None
    if not is_over:
        _note_end(camera, frame, times)
    return frame, over_ns, next_ns


def _note_end(camera: Camera, frame: Frame, times: StageTimes) -> None:
    """When the frame's exposure was over, from the camera's clock."""
    end_ns = frame.timestamp_ns + round(frame.exposure_us * 1e3)
    times.exposure_ended(max(0.0, (camera.time_ns() - end_ns) / 1e9))


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


def _prove_over(step: CaptureStep, frame: Frame, reported_ns: int, what: str) -> None:
    """The camera reported the end of the exposure at `reported_ns`, on its clock, and `what` was done upon that."""
    ended_ns = frame.timestamp_ns + round(frame.exposure_us * 1e3)
    if ended_ns > reported_ns:
        raise FrameOutOfOrder(
            "camera",
            f"frame {frame.frame_id} for view {step.view!r}, light {step.light!r} was still being exposed "
            f"{(ended_ns - reported_ns) / 1e6:.3f} ms after its end had been reported and {what}",
        )


def _lights_off_after_fault(rig: Rig) -> None:
    """The first fault is the one to report; that the lights stayed on comes with it in the log."""
    try:
        rig.lights.off()
    except Exception:  # whatever a driver of another package raises, the first fault is reported
        log.exception("lights off could not be confirmed after a fault")
