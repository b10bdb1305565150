"""Every fault of the camera that the rig can play, injected by its back door, and how the driver reports it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from faults.table import FRAME_TIMEOUT_S, reported_by

from drivers.errors import (
    CommandRefused,
    DeviceError,
    DeviceLost,
    DeviceNotFound,
    DeviceTimeout,
    FrameIncomplete,
    FrameOutOfOrder,
)
from drivers.genicam.camera import GenicamCamera
from drivers.protocols import CameraSettings, Frame
from station.rig.devices import open_camera

SETTINGS = CameraSettings("Mono8", binning=8, width=64, height=48, offset_x=312, offset_y=204)
DRIVER = "genicam"


@dataclass(frozen=True, slots=True)
class FaultRow:
    injected: str
    error: type[DeviceError]
    words: str


ROWS = (
    FaultRow("camera.incomplete", FrameIncomplete, "fewer bytes"),
    FaultRow("camera.dropped", DeviceTimeout, "lost on the way"),
    FaultRow("camera.stale", FrameOutOfOrder, "is stale: exposed"),
    FaultRow("camera.duplicate", FrameOutOfOrder, "a duplicate"),
)


class CameraBench:
    """A camera on its rig; every frame that is returned is held against the rig's own list."""

    def __init__(self, bench: Any, table: Any) -> None:
        self.bench = bench
        camera = open_camera(bench.file)
        assert isinstance(camera, GenicamCamera)
        self.camera = camera
        self.camera.configure(SETTINGS)
        self._table = table

    def inject(self, words: str) -> None:
        self.bench.inject(words)

    def shoot(self) -> Frame:
        frame = self.camera.expose(200.0)
        taken = self.bench.process.control.call("frames", since_ns=frame.timestamp_ns)["frames"]
        truth = next(entry for entry in taken if entry["timestamp_ns"] == frame.timestamp_ns)
        assert (truth["frame_id"], truth["fault"] in (None, "late")) == (frame.frame_id, True)
        return frame

    def note(self, injected: str, said: DeviceError | str, after_s: float, then: str) -> None:
        self._table.note("Camera", DRIVER, injected, "at the exposure", said, after_s, then)


@pytest.fixture(scope="module")
def bench(make_bench: Callable[..., Any], table: Any) -> Iterator[CameraBench]:
    bench = CameraBench(make_bench(), table)
    bench.shoot()  # the first picture is rendered, on a busy machine slowly
    yield bench
    bench.camera.close()


def reported(work: Callable[[], Any]) -> tuple[DeviceError, float]:
    error, after_s = reported_by(work)
    assert error is not None, "nothing was reported"
    return error, after_s


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.injected)
def test_a_spoilt_frame_is_told_by_its_kind(bench: CameraBench, row: FaultRow) -> None:
    before = bench.shoot()
    bench.inject(row.injected)
    error, after_s = reported(bench.shoot)
    after = bench.shoot()
    assert type(error) is row.error
    assert row.words in str(error)
    assert after_s < FRAME_TIMEOUT_S + 1.5
    assert after.frame_id == before.frame_id + 2
    assert after.timestamp_ns > before.timestamp_ns
    bench.note(row.injected, error, after_s, "a good frame")


def test_a_late_frame_within_the_timeout_is_a_good_frame(bench: CameraBench) -> None:
    bench.inject("camera.late")
    started_s = time.monotonic()
    frame = bench.shoot()
    taken = bench.bench.process.control.call("frames", since_ns=frame.timestamp_ns)["frames"][0]
    assert (taken["fault"], taken["frame_id"]) == ("late", frame.frame_id)
    said = "nothing: the frame, proven by id and time"
    bench.note("camera.late", said, time.monotonic() - started_s, "a good frame")


def test_unplugging_is_told_and_plugging_in_brings_it_back(bench: CameraBench) -> None:
    bench.inject("camera.unplug")
    error, after_s = reported(bench.shoot)
    assert type(error) is DeviceLost
    assert after_s < FRAME_TIMEOUT_S + 1.0
    assert bench.camera.is_lost
    assert type(reported(bench.camera.reconnect)[0]) is DeviceNotFound
    assert type(reported(bench.shoot)[0]) is DeviceLost  # and nothing comes back by itself
    bench.inject("camera.plug")
    bench.camera.reconnect()
    assert bench.shoot().frame_id == 1
    bench.note("camera.unplug", error, after_s, "`camera.plug`, reconnected: a good frame")


def test_saturation_is_in_the_pixels(bench: CameraBench) -> None:
    bench.inject("ambient 0.5")
    usual = bench.shoot()
    bench.inject("camera.saturation 5000")
    started_s = time.monotonic()
    blinded = bench.shoot()
    after_s = time.monotonic() - started_s
    bench.inject("camera.saturation 1")
    bench.inject("ambient 0")
    share = float(np.mean(blinded.pixels >= blinded.full_scale_dn))
    assert share > 0.5
    assert float(np.mean(usual.pixels >= 255)) < share
    said = f"nothing: a true frame, {share:.0%} of it at full scale"
    bench.note("camera.saturation 5000", said, after_s, "a good frame")


def test_temperature_is_told(bench: CameraBench) -> None:
    usual_c = bench.camera.temperature_c()
    bench.inject("camera.temperature 25")
    started_s = time.monotonic()
    warm_c = bench.camera.temperature_c()
    after_s = time.monotonic() - started_s
    bench.inject("camera.temperature 0")
    assert usual_c is not None
    assert warm_c is not None
    assert 24.0 < warm_c - usual_c < 27.0
    bench.note("camera.temperature 25", f"DeviceTemperature {warm_c - usual_c:.0f} C higher", after_s, "a good frame")


def test_unknown_faults_are_refused_with_those_that_exist(bench: CameraBench) -> None:
    with pytest.raises(CommandRefused, match="duplicate"):
        bench.inject("camera.nonsense")
