"""The camera driver through harvesters, over the real producer, against a rig in a process of its own."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivers.errors import (
    CommandRefused,
    DeviceLost,
    DeviceNotFound,
    DeviceTimeout,
    FeatureMissing,
    FrameIncomplete,
    FrameOutOfOrder,
)
from drivers.genicam.camera import GenicamCamera
from drivers.genicam.pixels import BY_NAME, decode
from drivers.genicam.producers import find_producer
from drivers.protocols import Camera, CameraSettings
from drivers.simulated import simcam
from drivers.simulated.simcam import ENDPOINTS_VARIABLE

SMALL = CameraSettings("Mono8", binning=8, width=64, height=48)
SHORT_S = 0.5

pytestmark = pytest.mark.skipif(
    not Path(simcam.__file__).with_name("simcam.cti").is_file(), reason="simcam.cti was not built: no C compiler"
)


@pytest.fixture
def make_rig(make_camera_rig: Callable[..., Any]) -> Callable[..., Any]:
    return partial(make_camera_rig, serial_number="SIM-1")


@pytest.fixture
def rig(make_rig: Callable[..., Any]) -> Any:
    return make_rig()


@pytest.fixture
def camera(rig: Any) -> Iterator[GenicamCamera]:
    with rig.open() as camera:
        camera.configure(SMALL)
        yield camera


def formula(settings: CameraSettings, exposure_us: float, full_scale: int) -> np.ndarray:
    assert settings.width is not None
    assert settings.height is not None
    x = (np.arange(settings.width) + settings.offset_x) * settings.binning
    y = (np.arange(settings.height) + settings.offset_y) * settings.binning
    return (3 * x[None, :] + 5 * y[:, None] + int(exposure_us)) % full_scale


@pytest.mark.parametrize("transport", ["map", "socket"])
@pytest.mark.parametrize(
    ("name", "dtype", "full_scale"),
    [
        ("Mono8", np.uint8, 256),
        ("Mono12", np.uint16, 4096),
        ("BayerRG8", np.uint8, 256),
        ("BayerRG12", np.uint16, 4096),
        ("Mono12p", np.uint16, 4096),
        ("BayerRG12p", np.uint16, 4096),
    ],
)
def test_pixels_are_exact(
    make_rig: Callable[..., Any], transport: str, name: str, dtype: type, full_scale: int
) -> None:
    rig = make_rig(transport)
    wish = CameraSettings(name, binning=2, width=200, height=100, offset_x=12, offset_y=34)
    with rig.open() as camera:
        assert camera.configure(wish) == wish
        frame = camera.expose(1234.0, 6.0)
    np.testing.assert_array_equal(frame.pixels, formula(wish, 1234.0, full_scale))
    assert frame.pixels.dtype == dtype
    assert frame.pixel_format == name
    assert 2**frame.significant_bits == full_scale
    assert frame.black_level_dn == full_scale / 64


def test_full_sensor_is_the_default(rig: Any) -> None:
    with rig.open() as camera:
        actual = camera.configure(CameraSettings("Mono8"))
        frame = camera.expose(20.0)
    assert (actual.width, actual.height) == (5472, 3648)
    np.testing.assert_array_equal(frame.pixels, formula(actual, 20.0, 256))


def test_registers_arrive_at_the_rig_and_come_back_in_the_frame(rig: Any, camera: GenicamCamera) -> None:
    for exposure_us, gain_db in ((500.0, 0.0), (750.5, 12.0), (500.0, 3.0)):
        frame = camera.expose(exposure_us, gain_db)
        assert (frame.exposure_us, frame.gain_db) == (exposure_us, gain_db)
        last = rig.say("last")
        assert isinstance(last, dict)
        assert (last["exposure_us"], last["gain_db"]) == (exposure_us, gain_db)
        assert (last["binning"], last["black_level_dn"], last["frame_id"]) == (8, 4.0, frame.frame_id)


def test_ids_count_by_one_and_time_goes_forward(camera: GenicamCamera) -> None:
    before_ns = camera.time_ns()
    frames = [camera.expose(200.0) for _ in range(5)]
    after_ns = camera.time_ns()
    times = [f.timestamp_ns for f in frames]
    assert [f.frame_id for f in frames] == list(range(frames[0].frame_id, frames[0].frame_id + 5))
    assert times == sorted(times)
    assert before_ns <= times[0]
    assert times[-1] <= after_ns


def test_identity_and_protocol(camera: GenicamCamera) -> None:
    as_camera: Camera = camera
    assert as_camera.identity.serial_number == "SIM-1"
    assert as_camera.identity.model == "SimCam20M"
    assert camera.describe()["missing"] == ()


def test_frames_own_their_pixels(camera: GenicamCamera) -> None:
    frames = [camera.expose(100.0 + i) for i in range(8)]
    for i, frame in enumerate(frames):
        np.testing.assert_array_equal(frame.pixels, formula(SMALL, 100.0 + i, 256))


def test_incomplete_frame_is_told_and_the_next_one_is_good(rig: Any, camera: GenicamCamera) -> None:
    rig.say("incomplete")
    with pytest.raises(FrameIncomplete):
        camera.expose(100.0)
    assert camera.expose(100.0).frame_id == 2


class HeldUp:
    """Stands in for the module `time` within harvesters: so many of its looks at the clock come late."""

    def __init__(self, looks: int) -> None:
        self.left = looks
        self._now_s = 0.0

    def time(self) -> float:
        self.left -= 1
        self._now_s += 1.0 if self.left >= 0 else 0.0
        return self._now_s

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def test_a_whole_frame_is_taken_though_fetching_was_held_up_before_it_looked(
    camera: GenicamCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 15, point 7: `try_fetch` returns None where a millisecond goes by before its first look."""
    clock = HeldUp(looks=6)  # two at each call
    monkeypatch.setattr("harvesters.core.time", clock)
    assert camera.expose(100.0).frame_id == 1
    assert clock.left < 0


def test_a_frame_that_waits_when_the_time_is_over_is_taken(
    rig: Any, monkeypatch: pytest.MonkeyPatch, wait_until: Callable[..., None]
) -> None:
    """Issue 15, point 7: what came late may have been this process, so it looks once more."""
    with rig.open(1e-6) as camera:
        camera.configure(SMALL)
        camera.trigger(10.0)
        stream = camera._connection.acquirer.data_streams[0]  # noqa: SLF001 - the frame is there before it is asked for
        wait_until(lambda: stream.num_awaiting_delivery == 1)
        monkeypatch.setattr("harvesters.core.time", HeldUp(looks=4))
        assert camera.collect().frame_id == 1


def test_dropped_frame_is_a_timeout_and_the_next_one_is_good(rig: Any) -> None:
    with rig.open(SHORT_S) as camera:
        camera.configure(SMALL)
        rig.say("dropped")
        with pytest.raises(DeviceTimeout, match="lost on the way"):
            camera.expose(100.0)
        assert camera.expose(100.0).frame_id == 2


@pytest.mark.parametrize("fault", ["early", "repeat"])
def test_an_old_frame_is_never_returned(rig: Any, camera: GenicamCamera, fault: str) -> None:
    camera.expose(100.0)
    rig.say(fault)
    with pytest.raises(FrameOutOfOrder):
        camera.expose(100.0)
    np.testing.assert_array_equal(camera.expose(333.0).pixels, formula(SMALL, 333.0, 256))


def test_loss_in_mid_exposure_is_told_and_the_camera_comes_back(rig: Any) -> None:
    camera = rig.open()
    camera.configure(SMALL)
    camera.expose(100.0)
    rig.say("die")
    with pytest.raises(DeviceLost):
        camera.expose(100.0)
    assert camera.is_lost
    with pytest.raises(DeviceLost):
        camera.expose(100.0)
    with pytest.raises(DeviceNotFound, match="rig has ended"):
        camera.reconnect()
    rig.kill()
    rig.start()
    camera.reconnect()
    assert camera.expose(100.0).frame_id == 1
    camera.close()


def test_loss_while_idle_is_told_and_opening_anew_works(rig: Any) -> None:
    lost = rig.open()
    lost.configure(SMALL)
    rig.kill()
    with pytest.raises(DeviceLost):
        lost.expose(100.0)
    rig.start()
    with rig.open() as camera:
        camera.configure(SMALL)
        assert camera.expose(100.0).frame_id == 1
    lost.close()


def test_a_frozen_rig_is_a_timeout_and_closing_still_works(rig: Any) -> None:
    camera = rig.open(SHORT_S)
    camera.configure(SMALL)
    rig.say("freeze")
    with pytest.raises(DeviceTimeout):
        camera.expose(100.0)
    camera.close()
    with pytest.raises(DeviceLost, match="closed"):
        camera.expose(100.0)


def test_close_ends_a_wait_in_another_thread(rig: Any) -> None:
    camera = rig.open(60.0)
    camera.configure(SMALL)
    rig.say("freeze")
    caught: list[BaseException] = []

    def wait() -> None:
        try:
            camera.expose(100.0)
        except DeviceLost as error:
            caught.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    while rig.say("last") is None:
        assert thread.is_alive()
    camera.close()
    thread.join(timeout=20.0)
    assert len(caught) == 1


def test_other_threads_run_while_a_frame_is_awaited(rig: Any, camera: GenicamCamera) -> None:
    """The frame comes only after the other thread has got its turns; with the GIL held it would get none."""
    rig.say("hold")

    def take_turns() -> None:
        for _ in range(30):
            time.sleep(0.001)
        rig.say("release")

    thread = threading.Thread(target=take_turns)
    thread.start()
    assert camera.expose(100.0).frame_id == 1
    thread.join()


def test_interrupt_handler_is_left_alone(rig: Any) -> None:
    before = signal.getsignal(signal.SIGINT)
    with rig.open() as camera:
        camera.configure(SMALL)
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (CameraSettings("Mono14"), "Mono14"),
        (CameraSettings("Mono8", width=9999), "16 to 5472"),
        (CameraSettings("Mono8", width=17), "steps of 4"),
        (CameraSettings("Mono8", width=5472, offset_x=8), "OffsetX"),
    ],
)
def test_what_the_camera_cannot_do_is_named(rig: Any, wish: CameraSettings, words: str) -> None:
    with rig.open() as camera:
        with pytest.raises(FeatureMissing, match=words):
            camera.configure(wish)
        with pytest.raises(CommandRefused, match="configure"):
            camera.expose(100.0)


def test_exposure_outside_the_range_is_refused(camera: GenicamCamera) -> None:
    with pytest.raises(FeatureMissing, match="ExposureTime"):
        camera.expose(1e9)
    with pytest.raises(FeatureMissing, match="Gain"):
        camera.expose(100.0, 99.0)
    assert camera.expose(100.0).frame_id == 1


def test_unknown_camera_names_those_that_are_there(rig: Any) -> None:
    with pytest.raises(DeviceNotFound, match="found 'SIM-1'"):
        GenicamCamera.open("simcam", "OTHER", {ENDPOINTS_VARIABLE: str(rig.folder)})


def test_missing_producer_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeviceNotFound, match="full path"):
        GenicamCamera.open(tmp_path / "none.cti")
    monkeypatch.setattr(simcam, "__file__", str(tmp_path / "__init__.py"))
    with pytest.raises(DeviceNotFound, match="C compiler"):
        GenicamCamera.open("simcam")


def test_broken_producer_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken.cti"
    broken.write_bytes(b"not a library")
    with pytest.raises(DeviceNotFound, match=r"broken\.cti"):
        GenicamCamera.open(broken)


def test_foreign_camera_gets_a_report_of_what_it_lacks() -> None:
    try:
        find_producer("viky")
    except DeviceNotFound as error:
        pytest.skip(str(error))
    producer = find_producer("viky")
    with GenicamCamera.open(producer, None) as camera:
        lacking = {"ExposureTime or ExposureTimeAbs or ExposureTimeRaw", "TimestampLatch", "TimestampLatchValue"}
        assert lacking <= set(camera.describe()["missing"])
        with pytest.raises(FeatureMissing, match=r"no TriggerMode.*no ExposureTime.*no Gain"):
            camera.configure(CameraSettings("Mono8"))


def test_packed_pixels_and_padding() -> None:
    pixels = np.array([[1, 0xABC, 0xFFF], [0x123, 0x456, 0x789]], np.uint16)
    packed = b""
    for a, b, c in pixels.tolist():
        packed += bytes([a & 255, a >> 8 | (b & 15) << 4, b >> 4, c & 255, c >> 8]) + b"\xee\xee"
    found = decode(packed, BY_NAME["Mono12p"].code, (2, 3), 2, 0, "camera")
    np.testing.assert_array_equal(found, pixels)
    rgb = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    raw = b"head" + b"".join(row.tobytes() + b"\xee" for row in rgb)
    np.testing.assert_array_equal(decode(raw, BY_NAME["RGB8"].code, (2, 3), 1, 4, "camera"), rgb)


def test_short_and_unknown_buffers_are_refused() -> None:
    with pytest.raises(FrameIncomplete, match="needs 6 bytes, found 5"):
        decode(b"12345", BY_NAME["Mono8"].code, (2, 3), 0, 0, "camera")
    with pytest.raises(FeatureMissing, match="0x01020304"):
        decode(b"", 0x01020304, (2, 3), 0, 0, "camera")
