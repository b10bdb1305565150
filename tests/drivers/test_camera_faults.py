"""Every fault of the camera that the rig can play, injected by its back door, and what the driver says of it.

With FACET_FAULT_TABLES naming a folder, the run writes `camera-faults.md` there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

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
from drivers.simulated import simcam
from drivers.simulated.config import SimulatedPart, SimulatedRigConfig
from drivers.simulated.process import RigProcess
from drivers.simulated.simcam import ENDPOINTS_VARIABLE

pytestmark = pytest.mark.skipif(
    not Path(simcam.__file__).with_name("simcam.cti").is_file(), reason="simcam.cti was not built: no C compiler"
)

SETTINGS = CameraSettings("Mono8", binning=8, width=64, height=48, offset_x=312, offset_y=204)
FRAME_TIMEOUT_S = 8.0  # the first picture under a light is rendered, on a busy machine slowly
TABLE_HEAD = """# Faults of the camera

Written by `tests/drivers/test_camera_faults.py` with `FACET_FAULT_TABLES=docs`: what was injected with
`station rig inject`, what the driver reported, and the time until it did (frame timeout 8 s, exposure 0.2 ms).

| injected | the driver reported | after ms | the next frame |
|---|---|---|---|
"""


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


class Bench:
    """A rig in a process of its own, its camera, and the rows seen so far."""

    def __init__(self, folder: Path) -> None:
        # clock_speed above 1 lets the simulated gantry and lights hurry; frames then come faster than from hardware
        config = SimulatedRigConfig(name="faults", serial_number="FAULT-1", clock_speed=5.0, part=SimulatedPart(seed=3))
        self.rig = RigProcess(folder, config).start()
        self.camera = GenicamCamera.open(
            "simcam", "FAULT-1", {ENDPOINTS_VARIABLE: str(folder / "cameras")}, FRAME_TIMEOUT_S
        )
        self.camera.configure(SETTINGS)
        self.rows: list[str] = []

    def inject(self, fault: str, *arguments: str) -> None:
        self.rig.control.inject(fault, *arguments)

    def shoot(self) -> Frame:
        return self.camera.expose(200.0)

    def note(self, injected: str, reported: str, after_s: float, then: str) -> None:
        self.rows.append(f"| `{injected}` | {reported} | {after_s * 1e3:.0f} | {then} |")

    def close(self) -> None:
        self.camera.close()
        self.rig.close()


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ENDPOINTS_VARIABLE, "")  # what opening sets is undone with the module
        bench = Bench(tmp_path_factory.mktemp("rig"))
        yield bench
        bench.close()
    folder = os.environ.get("FACET_FAULT_TABLES")
    if folder:
        text = TABLE_HEAD + "\n".join(bench.rows) + "\n"
        (Path(folder) / "camera-faults.md").write_text(text, encoding="utf-8")


def reported(work: Callable[[], object]) -> tuple[DeviceError, float]:
    """The error that `work` ends with, and after how many seconds."""
    started_s = time.monotonic()
    with pytest.raises(DeviceError) as caught:
        work()
    return caught.value, time.monotonic() - started_s


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.injected)
def test_a_spoilt_frame_is_told_by_its_kind(bench: Bench, row: FaultRow) -> None:
    before = bench.shoot()
    bench.inject(row.injected)
    error, after_s = reported(bench.shoot)
    after = bench.shoot()
    assert type(error) is row.error
    assert row.words in str(error)
    assert after.frame_id == before.frame_id + 2
    assert after.timestamp_ns > before.timestamp_ns
    bench.note(row.injected, f"{row.error.__name__}: {error.message}", after_s, "good")


def test_a_late_frame_within_the_timeout_is_a_good_frame(bench: Bench) -> None:
    bench.inject("camera.late")
    started_s = time.monotonic()
    frame = bench.shoot()
    taken = bench.rig.control.call("frames", since_ns=frame.timestamp_ns)["frames"][0]
    assert (taken["fault"], taken["frame_id"]) == ("late", frame.frame_id)
    bench.note("camera.late", "nothing: the frame, proven by id and time", time.monotonic() - started_s, "good")


def test_unplugging_is_told_and_plugging_in_brings_it_back(bench: Bench) -> None:
    bench.inject("camera.unplug")
    error, after_s = reported(bench.shoot)
    assert type(error) is DeviceLost
    assert bench.camera.is_lost
    missing, _ = reported(bench.camera.reconnect)
    assert type(missing) is DeviceNotFound
    again, _ = reported(bench.shoot)
    assert type(again) is DeviceLost  # and nothing comes back by itself
    bench.inject("camera.plug")
    bench.camera.reconnect()
    assert bench.shoot().frame_id == 1
    bench.note("camera.unplug", f"DeviceLost: {error.message}", after_s, "good, after `camera.plug` and reconnect")


def test_saturation_is_in_the_pixels(bench: Bench) -> None:
    bench.inject("ambient", "0.5")
    usual = bench.shoot()
    bench.inject("camera.saturation", "5000")
    started_s = time.monotonic()
    blinded = bench.shoot()
    after_s = time.monotonic() - started_s
    bench.inject("camera.saturation", "1")
    bench.inject("ambient", "0")
    share = float(np.mean(blinded.pixels >= 2**blinded.significant_bits - 1))
    assert share > 0.5
    assert float(np.mean(usual.pixels >= 255)) < share
    bench.note("camera.saturation 5000", f"nothing: a true frame, {share:.0%} of it at full scale", after_s, "good")


def test_temperature_is_told(bench: Bench) -> None:
    usual_c = bench.camera.temperature_c()
    bench.inject("camera.temperature", "25")
    started_s = time.monotonic()
    warm_c = bench.camera.temperature_c()
    after_s = time.monotonic() - started_s
    bench.inject("camera.temperature", "0")
    assert usual_c is not None
    assert warm_c is not None
    assert 24.0 < warm_c - usual_c < 27.0
    bench.note("camera.temperature 25", f"DeviceTemperature {usual_c:.1f}, then {warm_c:.1f} C", after_s, "good")


def test_unknown_faults_are_refused_with_those_that_exist(bench: Bench) -> None:
    with pytest.raises(CommandRefused, match="duplicate"):
        bench.inject("camera.nonsense")
