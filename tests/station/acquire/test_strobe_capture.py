"""Stepping by strobe on a simulated rig: whose light a frame saw is told by the Scene, not by the station."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drivers.errors import (
    CommandRefused,
    DeviceError,
    DeviceTimeout,
    FeatureMissing,
    FrameIncomplete,
    FrameOutOfOrder,
    LightFault,
)
from drivers.geometry.pose import Pose
from drivers.protocols import CameraSettings
from drivers.serial_line.lights.gardasoft.lights import GardasoftLights
from drivers.simulated import simcam
from drivers.simulated.config import Imperfections, SimulatedRigConfig
from drivers.simulated.process import RigProcess
from station.acquire.capture import capture
from station.acquire.captured_view import CapturedFrame
from station.acquire.job_signal import JobSignal, Stopped
from station.acquire.plan import CaptureStep
from station.acquire.stage_times import StageTimes
from station.rig.devices import Rig, Strobes, open_rig, set_up_strobes
from station.rig.file import RigFile, load_rig
from station.rig.simulated import running_rig

pytestmark = pytest.mark.skipif(
    not Path(simcam.__file__).with_name("simcam.cti").is_file(), reason="simcam.cti was not built: no C compiler"
)
SMALL = CameraSettings("Mono8", binning=8, width=64, height=48)
POSES = {"top": Pose(0.0, 0.0, 258.0, 0.0, -90.0), "near": Pose(5.0, 0.0, 258.0, 0.0, -90.0)}
LIGHTS = (2, 4, 6, 8, 9)
PLAN = tuple(
    CaptureStep(i, view, pose, f"L{channel}", channel, "directional", 0.5, 2000.0 + 100.0 * channel, 0.0)
    for i, (view, pose, channel) in enumerate((v, p, c) for v, p in POSES.items() for c in LIGHTS)
)


@pytest.fixture(scope="module", params=["gardasoft", "ccs_strobe"])
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[RigProcess, RigFile]]:
    config = SimulatedRigConfig(
        name="strobes", serial_number=f"STROBE-{request.param[:3]}", clock_speed=20.0, prerendered=True,
        lights_kind=request.param, stepping="strobe", imperfections=Imperfections(light_bounces=0),  # drawn in time
    )  # fmt: skip
    with running_rig(tmp_path_factory.mktemp("strobes"), config, frame_timeout_s=60.0) as (process, path):
        file = load_rig(path)
        yield process, file.model_copy(update={"lights": file.lights.model_copy(update={"reply_timeout_s": 1.0})})


@pytest.fixture(scope="module")
def open_one(running: tuple[RigProcess, RigFile]) -> Iterator[Rig]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACET_SIMCAM_ENDPOINTS", "")  # what opening sets is undone
        with open_rig(running[1]) as rig:
            rig.arm.home()
            rig.camera.configure(SMALL)
            yield rig


@pytest.fixture
def rig(running: tuple[RigProcess, RigFile], open_one: Rig) -> Iterator[Rig]:
    yield open_one
    running[0].control.inject("lights.strobe_line_mended")
    if isinstance(open_one.lights, GardasoftLights):
        open_one.lights.clear_errors()


def captured(
    rig: Rig, then: Callable[[int], object] = lambda _count: None, stop: JobSignal | None = None
) -> tuple[list[CapturedFrame], DeviceError | Stopped | None]:
    """All frames until the end or the first fault; `then` is called after each with their number."""
    frames: list[CapturedFrame] = []
    try:
        for frame in capture(rig, PLAN, stop or JobSignal(), StageTimes()):
            frames.append(frame)
            then(len(frames))
    except (DeviceError, Stopped) as error:
        return frames, error
    return frames, None


def lights_of(process: RigProcess, frame: CapturedFrame) -> dict[int, float]:
    """What really shone during this frame."""
    for entry in process.control.call("frames", since_ns=frame.frame.timestamp_ns)["frames"]:
        if entry["timestamp_ns"] == frame.frame.timestamp_ns:
            return {int(channel): level for channel, level in entry["lights"].items()}
    raise AssertionError(f"frame {frame.frame.frame_id} was never exposed")


def assert_right(process: RigProcess, frames: list[CapturedFrame]) -> None:
    for frame in frames:
        assert lights_of(process, frame) == pytest.approx({frame.step.channel: 0.5}, abs=0.01)


def test_every_frame_saw_its_own_light_alone(running: Any, rig: Rig) -> None:
    process, _ = running
    frames, error = captured(rig)
    assert error is None
    assert [f.step for f in frames] == list(PLAN)
    assert_right(process, frames)
    assert set(process.control.call("status")["light_levels"].values()) == {0.0}


def test_the_dark_frame_of_a_part_saw_no_light(running: Any, rig: Rig) -> None:
    process, _ = running
    steps = PLAN[: len(LIGHTS)]
    dark_step = replace(steps[0], light="dark", channel=0, kind="dark", brightness=0.0)
    dark, *frames = capture(rig, (dark_step, *steps), JobSignal(), StageTimes())
    assert dark.step == dark_step
    assert lights_of(process, dark) == {}
    assert [f.step for f in frames] == list(steps)
    assert_right(process, frames)


@pytest.mark.parametrize("after", [1, 9])
def test_a_frame_that_did_not_come_whole_is_exposed_again_under_its_own_light(
    running: Any, rig: Rig, after: int
) -> None:
    """Issue 15, point 7: the following light was armed meanwhile; frame 10 is the plan's last."""
    process, _ = running
    frames, error = captured(rig, lambda n: process.control.inject("camera.incomplete", "2") if n == after else None)
    assert error is None
    assert [f.step for f in frames] == list(PLAN)
    assert [f.re_exposed for f in frames] == [2 * (n == after) for n in range(len(PLAN))]
    assert_right(process, frames)


def test_a_last_frame_lost_after_the_arm_had_left_has_its_view_taken_again_whole(running: Any, rig: Rig) -> None:
    """Frames from before and after a move never make one view; the second time the arm waits for its frame."""
    process, _ = running
    taken = len(LIGHTS)

    def lose_one(count: int) -> None:
        if count in (taken - 1, 2 * taken - 2):
            process.control.inject("camera.incomplete", "1")

    frames, error = captured(rig, lose_one)
    assert error is None
    assert [f.step for f in frames] == [*PLAN[: taken - 1], *PLAN]
    assert [f.take for f in frames] == [1] * (taken - 1) + [2] * taken + [1] * taken
    assert sum(f.re_exposed for f in frames) == 1
    assert_right(process, frames)


def test_the_arm_leaves_while_the_last_frame_of_a_view_is_read_out_and_never_moves_in_an_exposure(
    running: Any, rig: Rig
) -> None:
    process, _ = running
    times = StageTimes()
    frames = list(capture(rig, PLAN, JobSignal(), times))
    assert_right(process, frames)
    since = process.control.call("frames", since_ns=frames[0].frame.timestamp_ns)["frames"]
    assert [entry["moving"] for entry in since] == [False] * len(PLAN)
    (move,) = [s for s in times.timeline().spans if (s.stage, s.view) == ("move", "near")]
    exposed, read_out = (
        [s for s in times.timeline().spans if (s.stage, s.view) == (stage, "top")][-1]
        for stage in ("expose", "transfer")
    )
    assert exposed.end_ms <= move.begin_ms < read_out.end_ms


def test_the_third_in_a_view_is_not_exposed_again(running: Any, rig: Rig) -> None:
    """Issue 15, point 7."""
    process, _ = running
    frames, error = captured(rig, lambda n: process.control.inject("camera.incomplete", "3") if n == 2 else None)
    assert isinstance(error, FrameIncomplete)
    assert "view 'top', light 'L6'; 2 frames of this view were exposed again before" in str(error)
    assert len(frames) == 2
    assert set(process.control.call("status")["light_levels"].values()) == {0.0}


@pytest.mark.parametrize(
    ("fault", "after"), [("drop_reply", 0), ("drop_reply", 2), ("drop_reply", 6), ("garble_reply", 2), ("refuse", 2)]
)
def test_a_lost_acknowledge_of_arming_never_makes_a_frame_of_another_light(
    running: Any, rig: Rig, fault: str, after: int
) -> None:
    process, _ = running
    frames, error = captured(rig, lambda n: process.control.inject(f"lights.{fault}") if n == after + 1 else None)
    assert isinstance(error, (DeviceTimeout, CommandRefused))
    assert after < len(frames) <= after + 2
    assert_right(process, frames)
    frames, error = captured(rig)  # the conversation is in step again
    assert (len(frames), error) == (len(PLAN), None)
    assert_right(process, frames)


def test_a_frame_still_exposed_when_the_next_light_was_armed_is_refused(rig: Rig) -> None:
    """As of a camera that tells the end of its exposure too early."""
    assert rig.strobes is not None

    class Hasty:
        def __getattr__(self, name: str) -> Any:
            return getattr(rig.camera, name)

        def wait_exposed(self) -> bool:
            return True

    hasty: Any = Hasty()
    long = tuple(replace(step, exposure_us=30_000.0) for step in PLAN[:2])
    with pytest.raises(FrameOutOfOrder, match="still being exposed"):
        list(capture(replace(rig, strobes=Strobes(hasty, rig.strobes.lights)), long, JobSignal(), StageTimes()))


def test_a_camera_that_does_not_tell_its_exposure_is_waited_for(running: Any, rig: Rig) -> None:
    process, _ = running
    assert rig.strobes is not None

    class Silent:
        def __getattr__(self, name: str) -> Any:
            return getattr(rig.camera, name)

        def wait_exposed(self) -> bool:
            return False

    silent: Any = Silent()
    frames = list(
        capture(replace(rig, strobes=Strobes(silent, rig.strobes.lights)), PLAN[:3], JobSignal(), StageTimes())
    )
    assert len(frames) == 3
    assert_right(process, frames)


def test_a_cut_exposure_line_leaves_frames_dark(running: Any, rig: Rig) -> None:
    process, _ = running
    process.control.inject("lights.strobe_line_cut")
    frames, error = captured(rig)
    assert error is None
    assert [lights_of(process, frame) for frame in frames] == [{}] * len(PLAN)


def test_a_stop_disarms(running: Any, rig: Rig) -> None:
    stop = JobSignal()
    _, error = captured(rig, lambda _count: stop.abort("enough"), stop)
    assert isinstance(error, Stopped)
    before = rig.camera.expose(2000.0)
    process, _ = running
    last = process.control.call("frames", since_ns=before.timestamp_ns)["frames"]
    assert [entry["lights"] for entry in last] == [{}]


def test_a_lighting_error_fails_the_step(running: Any, rig: Rig) -> None:
    process, _ = running
    if not isinstance(rig.lights, GardasoftLights):
        pytest.skip("only this controller tells lighting errors")
    frames, error = captured(rig, lambda n: process.control.inject("lights.lighting_error", "6") if n == 2 else None)
    assert isinstance(error, LightFault)
    assert "channel 6" in str(error)
    assert [f.step.channel for f in frames] == [2, 4]


def test_a_driver_that_cannot_is_named() -> None:
    camera: Any = object()
    with pytest.raises(FeatureMissing, match="set_strobe, trigger, wait_exposed, collect; choose `stepping: software`"):
        set_up_strobes(camera, camera, "Line1")
