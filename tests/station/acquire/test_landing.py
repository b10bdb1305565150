"""Frames are unpacked into the memory of their view, and no more views are begun than memory has room for."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

import numpy as np
import pytest

from drivers.geometry.pose import Pose
from drivers.protocols import Landing as Land
from drivers.protocols import Pixels
from station.acquire import landing as landing_module
from station.acquire.job_signal import JobSignal, Stopped
from station.acquire.landing import Landing
from station.acquire.plan import CaptureStep
from station.acquire.stage_times import StageTimes
from station.photometric_stereo.recycled import RecycledMemory
from station.photometric_stereo.view_memory import ViewMemory

SHAPE, U16 = (6, 10), np.dtype(np.uint16)
DIRECTIONAL = CaptureStep(1, "top", Pose(0, 0, 100, 0, 0), "north", 1, "directional", 1.0, 100.0, 0.0)
STEPS = (
    replace(DIRECTIONAL, index=0, light="dark", kind="dark", channel=0),
    DIRECTIONAL,
    replace(DIRECTIONAL, index=2, light="dome", kind="diffuse", channel=2),
    replace(DIRECTIONAL, index=3, light="south", channel=3),
)


@dataclass
class Camera:
    landing: Land | None = None

    def land_in(self, landing: Land | None) -> None:
        self.landing = landing

    def frame(self) -> Pixels:
        assert self.landing is not None
        place = self.landing(SHAPE, U16)
        return np.zeros(SHAPE, np.uint16) if place is None else place


def view_of(landing: Landing, camera: Camera, stop: JobSignal | None = None) -> tuple[list[Pixels], ViewMemory | None]:
    landing.begin(STEPS, stop or JobSignal(), StageTimes())
    pixels, memory = [], None
    for _ in STEPS:
        pixels.append(camera.frame())
        memory = landing.taken()
    return pixels, memory


def test_directional_frames_lie_in_the_solvers_order_and_the_dark_frame_elsewhere() -> None:
    camera, landing = Camera(), Landing(RecycledMemory(0), lambda: False)
    with landing.of(camera):  # type: ignore[arg-type]
        (dark, north, dome, south), memory = view_of(landing, camera)
        assert memory is not None
        assert [memory.holds(0, north), memory.holds(1, south)] == [True, True]
        assert np.shares_memory(dome, memory.plane("dome"))
        assert not np.shares_memory(dark, memory.ring)
        assert landing((*SHAPE[:1], 12), U16) is None  # no further step
    assert camera.landing is None


def test_a_frame_that_is_exposed_again_lands_in_the_same_place() -> None:
    camera, landing = Camera(), Landing(RecycledMemory(0), lambda: False)
    with landing.of(camera):  # type: ignore[arg-type]
        landing.begin(STEPS[1:], JobSignal(), StageTimes())
        first = camera.frame()
        assert camera.frame().ctypes.data == first.ctypes.data


def test_a_camera_that_lands_nowhere_is_left_alone() -> None:
    with Landing(RecycledMemory(0), lambda: False).of(object()):  # type: ignore[arg-type]
        pass


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landing_module, "LARGE_PX", 1)
    monkeypatch.setattr(landing_module, "MOST_VIEWS", 2)


@pytest.mark.usefixtures("large")
def test_the_next_view_waits_until_one_is_free_or_nobody_will_free_one() -> None:
    is_at_work = threading.Event()
    is_at_work.set()
    camera, memory = Camera(), RecycledMemory(2)
    landing = Landing(memory, is_at_work.is_set)
    begun = threading.Event()
    with landing.of(camera):  # type: ignore[arg-type]
        kept = [view_of(landing, camera)[0], view_of(landing, camera)[0]]

        def third() -> None:
            kept.append(view_of(landing, camera)[0])
            begun.set()

        thread = threading.Thread(target=third)
        thread.start()
        assert not begun.wait(0.05)
        del kept[0]  # it is on the disk
        assert begun.wait(5.0)
        thread.join()
        assert memory.lent == 2
        is_at_work.clear()  # the archive has given up: frames stay in memory, and the part goes on
        kept.append(view_of(landing, camera)[0])
        assert memory.lent == 3


@pytest.mark.usefixtures("large")
def test_a_stop_ends_the_wait() -> None:
    camera, stop = Camera(), JobSignal()
    landing = Landing(RecycledMemory(0), lambda: True)
    with landing.of(camera):  # type: ignore[arg-type]
        kept = [view_of(landing, camera)[0] for _ in range(2)]
        stop.abort("a person")
        with pytest.raises(Stopped):
            view_of(landing, camera, stop)
    assert len(kept) == 2
