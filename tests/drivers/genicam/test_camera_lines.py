"""Trigger line, strobe, counter, user set and faults on demand: driver and producer together."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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
from drivers.genicam.producers import Producer
from drivers.protocols import CameraSettings
from drivers.simulated import simcam
from drivers.simulated.simcam import ENDPOINTS_VARIABLE

BUILT = Path(simcam.__file__).with_name("simcam.cti")
pytestmark = pytest.mark.skipif(not BUILT.is_file(), reason="simcam.cti was not built: no C compiler")
SMALL = CameraSettings("Mono8", binning=8, width=64, height=48)


@pytest.fixture
def camera(camera_rig: Any) -> Iterator[GenicamCamera]:
    environment = {ENDPOINTS_VARIABLE: str(camera_rig.folder)}
    with GenicamCamera.open("simcam", camera_rig.serial_number, environment, 10.0) as camera:
        yield camera


@pytest.fixture
def pattern(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GenicamCamera]:
    """The producer without a rig, in a library of its own."""
    monkeypatch.delenv(ENDPOINTS_VARIABLE, raising=False)
    producer = Producer(Path(shutil.copy(BUILT, tmp_path / "copy.cti")))
    with GenicamCamera(producer, None, frame_timeout_s=0.5) as camera:
        yield camera


def nodes_of(camera: GenicamCamera) -> Any:
    """The node map, as another GenTL consumer would use it."""
    return camera._connection.acquirer.remote_device.node_map  # noqa: SLF001 - see above


def waiting_frames(camera: GenicamCamera) -> int:
    """Frames that have arrived and that nobody has taken."""
    return int(camera._connection.acquirer.data_streams[0].num_awaiting_delivery)  # noqa: SLF001 - see above


def test_an_edge_on_the_line_exposes(camera_rig: Any, camera: GenicamCamera, wait_until: Callable[..., None]) -> None:
    """The driver triggers by software; the producer's trigger input is for other consumers."""
    assert camera.describe()["trigger sources"] == ("Software", "Line0")
    camera.configure(SMALL)
    acquirer, nodes = camera._connection.acquirer, nodes_of(camera)  # noqa: SLF001 - as another GenTL consumer would
    acquirer.stop()
    nodes.TriggerSource.value = "Line0"
    acquirer.start()
    for number in (1, 2, 3):
        nodes.ExposureTime.value = 100.0 + number
        wait_until(lambda: camera_rig.say("line") == 1)  # an edge before the camera waits for it counts for nothing
        with acquirer.fetch(timeout=10.0) as buffer:
            assert (buffer.module.frame_id, nodes.ChunkExposureTime.value) == (number, 100.0 + number)
    nodes.TriggerSource.value = "Software"
    camera.configure(SMALL)
    camera_rig.say("line")
    assert camera.expose(100.0).frame_id == 1


def test_strobe_goes_out_during_the_exposure(camera_rig: Any, camera: GenicamCamera) -> None:
    camera.configure(SMALL)
    assert camera.set_strobe("Line1", "ExposureActive") == "ExposureActive"
    camera.expose(100.0)
    assert camera_rig.say("last")["active_lines"] == 0b010
    assert camera.set_strobe("Line2", "ExposureActive") == "ExposureActive"
    camera.configure(SMALL)  # from the default user set; the strobe is set again
    camera.expose(100.0)
    assert camera_rig.say("last")["active_lines"] == 0b110
    with pytest.raises(FeatureMissing, match="can give out Off, ExposureActive, UserOutput0"):
        camera.set_strobe("Line1", "Timer1Active")


def test_the_end_of_an_exposure_is_reported_before_its_frame(camera_rig: Any, camera: GenicamCamera) -> None:
    camera.configure(SMALL)
    with pytest.raises(CommandRefused, match="call trigger"):
        camera.collect()
    camera_rig.say("keep")
    camera.trigger(2000.0)
    assert camera.wait_exposed()
    ended_ns = camera.time_ns()
    camera_rig.say("deliver")
    frame = camera.collect()
    assert frame.timestamp_ns + 2_000_000 <= ended_ns
    assert camera.expose(100.0).frame_id == 2


def test_an_exposure_given_up_is_not_taken_for_the_next(camera: GenicamCamera, wait_until: Callable[..., None]) -> None:
    camera.configure(SMALL)
    camera.expose(100.0)
    camera.trigger(100.0)
    wait_until(lambda: waiting_frames(camera) == 1)
    camera.trigger(200.0)
    frame = camera.collect()
    assert (frame.frame_id, frame.exposure_us) == (3, 200.0)


def test_without_a_rig_it_counts_too(pattern: GenicamCamera) -> None:
    pattern.configure(SMALL)
    pattern.trigger(1000.0)
    assert pattern.wait_exposed()
    assert pattern.collect().frame_id == 1


def test_line_and_counter_follow_the_exposure_not_the_readout(
    camera_rig: Any, camera: GenicamCamera, wait_until: Callable[..., None]
) -> None:
    camera.configure(SMALL)
    nodes = nodes_of(camera)
    nodes.LineSelector.value = "Line1"
    before = nodes.CounterValue.value
    camera_rig.say("keep")
    camera_rig.say("hold")
    camera.trigger(1000.0)
    wait_until(lambda: nodes.LineStatus.value)
    assert (nodes.LineStatus.value, nodes.CounterValue.value) == (True, before)
    camera_rig.say("release")
    assert camera.wait_exposed()
    assert (nodes.LineStatus.value, nodes.CounterValue.value) == (False, before + 1)
    assert waiting_frames(camera) == 0
    camera_rig.say("deliver")
    camera.collect()
    nodes.CounterReset.execute()
    assert nodes.CounterValue.value == 0
    nodes.CounterEventSource.value = "Off"
    camera.expose(100.0)
    assert nodes.CounterValue.value == 0


def test_values_are_written_and_the_temperature_is_reported(camera: GenicamCamera) -> None:
    camera.configure(SMALL)
    camera.expose(123.0, 6.0)
    nodes = nodes_of(camera)
    assert (nodes.ExposureTime.value, nodes.Gain.value, nodes.PixelFormat.value) == (123.0, 6.0, "Mono8")
    assert camera.temperature_c() == pytest.approx(41.5, abs=0.01)


def test_faults_of_the_producer_itself(pattern: GenicamCamera) -> None:
    pattern.configure(SMALL)
    nodes = nodes_of(pattern)
    nodes.SimulateIncompleteFrames.value = 1
    with pytest.raises(FrameIncomplete):
        pattern.expose(100.0)
    nodes.SimulateDroppedFrames.value = 1
    with pytest.raises(DeviceTimeout):
        pattern.expose(100.0)
    assert pattern.expose(100.0).frame_id == 3
    nodes.SimulateUnplugTime.value = 3_600_000
    nodes.SimulateUnplug.execute()
    with pytest.raises(DeviceLost):
        pattern.expose(100.0)
    with pytest.raises(DeviceNotFound, match="found none"):
        pattern.reconnect()


def test_ids_may_be_missing_for_exposures_that_were_given_up_and_for_no_others(
    pattern: GenicamCamera, wait_until: Callable[..., None]
) -> None:
    """Issue 15, point 7: the proof that ids follow each other outlives a frame that did not come whole."""
    pattern.configure(SMALL)
    nodes = nodes_of(pattern)
    first = pattern.expose(100.0)
    for _ in range(2):
        nodes.SimulateIncompleteFrames.value = 1
        with pytest.raises(FrameIncomplete):
            pattern.expose(100.0)
    again = pattern.expose(100.0)
    assert again.frame_id == first.frame_id + 3
    nodes.SimulateIncompleteFrames.value = 1
    with pytest.raises(FrameIncomplete):
        pattern.expose(100.0)
    nodes.TriggerSoftware.execute()  # a trigger that is not the driver's
    wait_until(lambda: waiting_frames(pattern) == 1)
    with pytest.raises(FrameOutOfOrder, match="lost in between: 2, of which 1 were given up"):
        pattern.expose(100.0)


def test_user_set_output_and_test_pattern(pattern: GenicamCamera) -> None:
    nodes = nodes_of(pattern)
    nodes.Gain.value = 3.0
    nodes.UserSetSelector.value = "UserSet1"
    nodes.UserSetSave.execute()
    nodes.UserSetSelector.value = "Default"
    nodes.UserSetLoad.execute()
    assert nodes.Gain.value == 0.0
    nodes.UserSetSelector.value = "UserSet1"
    nodes.UserSetLoad.execute()
    assert nodes.Gain.value == 3.0
    nodes.LineSelector.value = "Line2"
    nodes.LineSource.value = "UserOutput1"
    assert nodes.LineStatus.value is False
    nodes.UserOutputSelector.value = "UserOutput1"
    nodes.UserOutputValue.value = True
    assert nodes.LineStatus.value is True
    assert nodes.TestPattern.symbolics == ("Off", "GreyHorizontalRampMoving")


def test_a_foreign_camera_reports_what_it_lacks() -> None:
    try:
        camera = GenicamCamera.open("viky", None)
    except DeviceNotFound as error:
        pytest.skip(str(error))
    with camera:
        offered = camera.describe()
        assert "TriggerMode" in offered["missing"]  # type: ignore[operator] - a tuple of names
        assert offered["trigger sources"] == ()
        with pytest.raises(FeatureMissing, match="no LineSelector"):
            camera.set_strobe()
        assert camera.temperature_c() is None
