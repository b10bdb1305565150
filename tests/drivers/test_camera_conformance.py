"""What every Camera must do, on every implementation that can be had without hardware.

`simcam` behind a rig process, and `simcam` on its own with its built-in pattern; cameras without a trigger
must refuse by name what they cannot do.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivers.errors import CommandRefused, DeviceLost, DeviceNotFound, FeatureMissing
from drivers.genicam.camera import GenicamCamera
from drivers.genicam.pixels import BY_NAME
from drivers.genicam.producers import Producer
from drivers.protocols import Camera, CameraSettings
from drivers.simulated import simcam
from drivers.simulated.simcam import ENDPOINTS_VARIABLE

BUILT = Path(simcam.__file__).with_name("simcam.cti")
pytestmark = pytest.mark.skipif(not BUILT.is_file(), reason="simcam.cti was not built: no C compiler")
SMALL = CameraSettings("Mono8", binning=8, width=64, height=48)


@pytest.fixture(params=["simcam with a rig", "simcam alone"])
def camera(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Camera]:
    opened: GenicamCamera
    if request.param == "simcam with a rig":
        rig: Any = request.getfixturevalue("camera_rig")
        opened = GenicamCamera.open("simcam", rig.serial_number, {ENDPOINTS_VARIABLE: str(rig.folder)}, 10.0)
    else:
        monkeypatch.delenv(ENDPOINTS_VARIABLE, raising=False)
        opened = GenicamCamera(Producer(Path(shutil.copy(BUILT, tmp_path / "alone.cti"))), None, frame_timeout_s=10.0)
    yield opened
    opened.close()


def test_it_says_who_it_is(camera: Camera) -> None:
    identity = camera.identity
    assert all((identity.vendor, identity.model, identity.serial_number, identity.firmware))
    assert camera.frame_timeout_s > 0


def test_nothing_is_exposed_before_it_is_configured(camera: Camera) -> None:
    with pytest.raises(CommandRefused, match="configure"):
        camera.expose(100.0)


def test_configure_tells_what_is_and_can_be_repeated(camera: Camera) -> None:
    assert camera.configure(SMALL) == SMALL
    full = camera.configure(CameraSettings("Mono12", binning=8))
    assert (full.width, full.height) == (684, 456)
    assert camera.configure(full) == full
    assert camera.expose(100.0).pixels.shape == (456, 684)


@pytest.mark.parametrize("name", list(BY_NAME))
def test_every_format_has_its_shape_and_range(camera: Camera, name: str) -> None:
    camera.configure(CameraSettings(name, binning=8, width=64, height=48))
    frame = camera.expose(100.0)
    bits = BY_NAME[name].significant_bits
    assert frame.pixels.shape == ((48, 64, 3) if name == "RGB8" else (48, 64))
    assert frame.pixels.dtype == (np.uint8 if bits == 8 else np.uint16)
    assert int(frame.pixels.max()) < 2**bits
    assert (frame.pixel_format, frame.significant_bits) == (name, bits)
    assert 0 <= frame.black_level_dn < 2**bits


def test_frames_count_by_one_on_the_cameras_clock(camera: Camera) -> None:
    camera.configure(SMALL)
    before_ns = camera.time_ns()
    frames = [camera.expose(100.0 + n, float(n)) for n in range(4)]
    after_ns = camera.time_ns()
    assert [f.frame_id - frames[0].frame_id for f in frames] == [0, 1, 2, 3]
    assert before_ns <= frames[0].timestamp_ns
    assert all(a.timestamp_ns + 100_000 <= b.timestamp_ns for a, b in pairwise(frames))
    assert frames[-1].timestamp_ns <= after_ns
    assert [(f.exposure_us, f.gain_db) for f in frames] == [(100.0 + n, float(n)) for n in range(4)]


def test_a_frame_is_not_changed_by_those_after_it(camera: Camera) -> None:
    camera.configure(SMALL)
    first = camera.expose(100.0)
    kept = first.pixels.copy()
    for _ in range(6):
        camera.expose(5000.0)
    np.testing.assert_array_equal(first.pixels, kept)


@pytest.mark.parametrize(
    "wish",
    [CameraSettings("Mono14"), CameraSettings("Mono8", width=17), CameraSettings("Mono8", binning=3)],
    ids=["format", "width", "binning"],
)
def test_what_it_cannot_do_is_refused(camera: Camera, wish: CameraSettings) -> None:
    with pytest.raises(FeatureMissing):
        camera.configure(wish)
    camera.configure(SMALL)
    assert camera.expose(100.0).frame_id == 1


def test_values_out_of_range_are_refused_and_leave_it_usable(camera: Camera) -> None:
    camera.configure(SMALL)
    with pytest.raises(FeatureMissing):
        camera.expose(1e12)
    with pytest.raises(FeatureMissing):
        camera.expose(100.0, 1000.0)
    assert camera.expose(100.0).frame_id == 1


def test_closing_ends_a_wait_and_twice_is_once(camera: Camera) -> None:
    camera.configure(SMALL)
    caught: list[BaseException] = []

    def wait() -> None:
        try:
            camera.expose(9_000_000.0)
        except DeviceLost as error:
            caught.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    started_ns = time.monotonic_ns()
    while time.monotonic_ns() - started_ns < 50_000_000:
        assert waiting.is_alive()
    camera.close()
    waiting.join(timeout=8.0)
    assert not waiting.is_alive()
    assert len(caught) == 1
    camera.close()
    with pytest.raises(DeviceLost):
        camera.expose(100.0)


def test_a_camera_without_trigger_refuses_by_name() -> None:
    try:
        stranger = GenicamCamera.open("viky", None)
    except DeviceNotFound as error:
        pytest.skip(str(error))
    with stranger, pytest.raises(FeatureMissing, match="no TriggerMode, no TriggerSource, no TriggerSoftware"):
        stranger.configure(CameraSettings("Mono8"))
