"""When the arm leaves a view, by devices that record what is asked of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from drivers.errors import DeviceLost, FrameIncomplete, FrameOutOfOrder, PositionError
from drivers.geometry.pose import Pose
from drivers.protocols import Frame
from station.acquire.capture import capture
from station.acquire.captured_view import CapturedFrame
from station.acquire.job_signal import JobSignal, Stopped
from station.acquire.plan import CaptureStep
from station.acquire.stage_times import StageTimes
from station.acquire.takes import Retakes
from station.rig.devices import Rig, Strobes

WAIT_S = 20.0
VIEWS = {"top": Pose(0, 0, 250, 0, 0), "left": Pose(50, 0, 250, 0, 0)}
PLAN = tuple(
    CaptureStep(i, view, pose, light, 1, "directional", 1.0, 1000.0, 0.0)
    for i, (view, pose, light) in enumerate((v, p, name) for v, p in VIEWS.items() for name in ("a", "b"))
)


class Devices:
    """Camera, arm and lights in one; `told` is what was asked, in its order."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.moving = threading.Event()  # the second move has begun
        self.before_collect: Callable[[str], None] = lambda _light: None
        self.before_move: Callable[[Pose], None] = lambda _pose: None
        self.reports_ends = True
        self.exposure_ends_late_ns = 0
        self._clock = 0
        self._triggered: list[CaptureStep] = []
        self._order = list(PLAN)

    def _tell(self, what: str) -> None:
        self.told.append(what)

    def time_ns(self) -> int:
        self._clock += 10_000_000
        return self._clock

    def trigger(self, *_: float) -> None:
        self._began = self.time_ns()
        self._tell("trigger")

    def wait_exposed(self) -> bool:
        if self.reports_ends:
            self._tell("exposed")
        return self.reports_ends

    def collect(self) -> Frame:
        self.before_collect("b" if self.told.count("trigger") % 2 == 0 else "a")
        self._tell("collect")
        count = self.told.count("trigger")
        began = self._began + self.exposure_ends_late_ns
        return Frame(np.zeros((2, 2), np.uint8), "Mono8", 8, 0.0, 1000.0, 0.0, began, count)

    def move_to(self, pose: Pose) -> Pose:
        self._tell(f"move {pose.x_mm:g}")
        self.before_move(pose)
        if pose.x_mm:
            self.moving.set()
        self._tell("stands")
        return pose

    def off(self) -> None:
        self._tell("off")

    def arm(self, *_: float) -> None:
        self._tell("armed")

    def check(self) -> None:
        """Nothing was reported."""

    def rig(self) -> Rig:
        device = cast(Any, self)
        camera = SimpleNamespace(
            **{name: getattr(self, name) for name in ("time_ns", "trigger", "wait_exposed", "collect")}
        )
        return Rig("bench", True, cast(Any, camera), device, device, Strobes(cast(Any, camera), device))


@pytest.fixture
def devices() -> Devices:
    return Devices()


def taken(devices: Devices, signal: JobSignal | None = None, retakes: Retakes | None = None) -> list[CapturedFrame]:
    return list(capture(devices.rig(), PLAN, signal or JobSignal(), StageTimes(), retakes=retakes))


def test_the_move_begins_after_the_last_exposure_ended_and_before_its_frame_has_come(devices: Devices) -> None:
    """Were the frame awaited first, this would fail: it comes only once the arm moves."""

    def need_the_move(_light: str) -> None:
        if devices.told.count("trigger") == 2:
            assert devices.moving.wait(WAIT_S), "the arm waits for the frame"

    devices.before_collect = need_the_move
    frames = taken(devices)
    assert [frame.step for frame in frames] == list(PLAN)
    assert [frame.position for frame in frames] == [step.pose for step in PLAN]
    before = devices.told[: devices.told.index("move 50")]
    assert before[-4:] == ["armed", "trigger", "exposed", "off"] or before[-2:] == ["exposed", "off"]


def test_an_arm_is_kept_until_the_frame_has_come_where_the_camera_does_not_report_ends(devices: Devices) -> None:
    devices.reports_ends = False
    taken(devices)
    before = devices.told[: devices.told.index("move 50")]
    assert before.count("collect") == 2


def test_a_frame_that_was_exposed_after_its_end_had_been_reported_is_refused(devices: Devices) -> None:
    devices.exposure_ends_late_ns = 40_000_000
    with pytest.raises(FrameOutOfOrder, match="still being exposed"):
        taken(devices)


def test_a_stop_that_is_wanted_keeps_the_arm_where_it_is(devices: Devices) -> None:
    signal = JobSignal()
    devices.before_collect = lambda light: signal.stop("enough") if light == "a" else None
    with pytest.raises(Stopped, match="enough"):
        taken(devices, signal)
    assert "move 50" not in devices.told
    assert devices.told[-1] == "off"


def test_a_pause_that_is_wanted_keeps_the_arm_where_it_is(devices: Devices) -> None:
    signal = JobSignal()

    def want(light: str) -> None:
        if light == "a" and devices.told.count("trigger") == 1:
            signal.pause("look", now=False)

    devices.before_collect = want
    seen: list[str] = []

    def ask() -> None:
        seen.extend(devices.told)
        signal.resume()

    signal._ask, signal._ask_every_s = ask, 0.001  # noqa: SLF001
    frames = taken(devices, signal)
    assert len(frames) == len(PLAN)
    assert "move 50" not in seen
    assert "collect" in seen


def test_a_capture_that_ends_by_a_fault_waits_until_the_arm_stands(devices: Devices) -> None:
    def lose(_light: str) -> None:
        if devices.told.count("trigger") == 2:
            raise DeviceLost("camera", "unplugged")

    may_arrive = threading.Event()
    devices.before_collect = lose
    devices.before_move = lambda pose: None if not pose.x_mm else _later(may_arrive)
    with pytest.raises(DeviceLost):
        taken(devices)
    assert devices.told[-1] == "stands"
    assert devices.told.count("off") >= 3


def _later(may_arrive: threading.Event) -> None:
    threading.Timer(0.05, may_arrive.set).start()
    assert may_arrive.wait(WAIT_S)


def test_an_arm_that_does_not_arrive_ends_the_capture_after_the_frames_of_the_view_it_left(devices: Devices) -> None:
    def stray(pose: Pose) -> None:
        if pose.x_mm:
            raise PositionError("arm", "stands elsewhere")

    devices.before_move = stray
    frames: list[CapturedFrame] = []
    with pytest.raises(PositionError, match="stands elsewhere"):
        frames.extend(capture(devices.rig(), PLAN, JobSignal(), StageTimes()))
    assert [frame.step.view for frame in frames] == ["top", "top"]
    assert devices.told.count("collect") == 2


def test_a_view_whose_last_frame_was_lost_is_taken_again_once_the_arm_is_back(devices: Devices) -> None:
    lost: list[str] = []

    def lose(light: str) -> None:
        if light == "b" and not lost:
            lost.append(light)
            raise FrameIncomplete("camera", "too short")

    devices.before_collect = lose
    retakes = Retakes()
    frames = taken(devices, retakes=retakes)
    assert [(f.step.view, f.take) for f in frames] == [
        ("top", 1), ("top", 2), ("top", 2), ("left", 1), ("left", 1)
    ]  # fmt: skip
    assert [r.view for r in retakes.done] == ["top"]
    moves = [what for what in devices.told if what.startswith("move")]
    assert moves == ["move 0", "move 50", "move 0", "move 50"]
