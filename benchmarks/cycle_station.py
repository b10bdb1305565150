"""What `cycle.py` measures with: stored frames, a camera that plays them in real time, and a recipe with K lights.

Frames are drawn once by the simulated rig at an eighth of the resolution, enlarged to full size, and given fresh noise
of a 12-bit sensor, so that they compress, saturate and solve as frames do. The lights that the rig does not have (K =
16) lie between those that it has: their frames are the mean of their neighbours'.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from drivers.errors import CommandRefused
from drivers.geometry.pose import Pose
from drivers.protocols import Arm, CameraSettings, DeviceIdentity, Frame, Landing, Pixels
from drivers.simulated.config import CameraTiming, Imperfections, SimulatedRigConfig
from station.acquire.capture import capture
from station.acquire.job_signal import JobSignal
from station.acquire.plan import CaptureStep, make_plan
from station.acquire.stage_times import StageTimes
from station.documents.document import dump_document, read_document
from station.recipe.demo import DEMO_RECIPES, SIMULATED_RIG_DRAWING
from station.recipe.loaded import LoadedRecipe, load_recipe
from station.rig.devices import open_rig
from station.rig.simulated import running_rig

SENSOR_WIDTH, SENSOR_HEIGHT = 5472, 3648
DRAWN_BINNING = 8
RIG_LIGHTS = 8  # directional, on channels 1 to 8; 9 is the dome
DOME = 9
GAIN_DN_PER_E, READ_NOISE_E = 0.35, 4.0  # of a 12-bit sensor (notes of the simulated one)
SEED = 7
READ_ROWS = 16  # at a time: a small copy, which the processor's caches hold


@dataclass(frozen=True)
class Case:
    """What is measured: directional lights a view, bits a pixel, binning (1 is the full 5472 x 3648)."""

    lights: int
    bits: int = 12
    binning: int = 1

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of a frame."""
        return SENSOR_HEIGHT // self.binning, SENSOR_WIDTH // self.binning

    @property
    def pixel_format(self) -> str:
        return f"Mono{self.bits}"

    @property
    def channels(self) -> tuple[int, ...]:
        """Of the directional lights; beyond 9 they are lights that the rig does not have."""
        if self.lights == 4:
            return (2, 4, 6, 8)
        return tuple(range(1, RIG_LIGHTS + 1)) + tuple(range(DOME + 1, DOME + 1 + self.lights - RIG_LIGHTS))


def write_recipe(folder: Path, case: Case, settle_s: float) -> Path:
    """A recipe of the connector with K lights, its calibration and model beside it; returns the recipe's path."""
    folder.mkdir(parents=True, exist_ok=True)
    calibration = _plain(SIMULATED_RIG_DRAWING)
    known = {light["channel"]: light for light in calibration["lights"]}
    calibration["lights"] += [_between(known, channel) for channel in case.channels if channel > DOME]
    (folder / "rig.calibration.yaml").write_text(dump_document(calibration), encoding="utf-8")
    recipe = _plain(DEMO_RECIPES / "connector_full.yaml")
    shutil.copyfile(DEMO_RECIPES / recipe["model"]["file"], folder / "model.onnx")
    recipe["calibration"], recipe["model"]["file"] = "rig.calibration.yaml", "model.onnx"
    recipe["capture"] |= {"pixel_format": case.pixel_format, "binning": case.binning, "settle_s": settle_s}
    light = {"brightness": 1.0, "exposure_us": 8000.0}
    recipe["lights"] = [{"name": f"L{c}", "channel": c, "kind": "directional", **light} for c in case.channels]
    recipe["lights"].append({"name": "dome", "channel": DOME, "kind": "diffuse", **light})
    del recipe["reference_levels"]  # they are of other lights
    path = folder / "recipe.yaml"
    path.write_text(dump_document(recipe), encoding="utf-8")
    return path


def _plain(path: Path) -> dict[str, Any]:
    content: Any = read_document(path).data
    return dict(content)


def _between(known: dict[int, dict[str, Any]], channel: int) -> dict[str, Any]:
    """The light half-way between two of the rig's."""
    first, second = _neighbours(channel)
    middle = np.mean([known[first]["position_mm"], known[second]["position_mm"]], axis=0)
    return {**known[first], "channel": channel, "name": f"L{channel}", "position_mm": [float(v) for v in middle]}


def _neighbours(channel: int) -> tuple[int, int]:
    index = channel - DOME - 1
    return index + 1, (index + 1) % RIG_LIGHTS + 1


def draw_frames(folder: Path, case: Case) -> None:
    """Write a raw file for each step of the plan into `folder`: once, in a process that is not measured."""
    loaded = load_recipe(write_recipe(folder / "drawn", replace(case, lights=8, binning=DRAWN_BINNING), 0.0))
    config = SimulatedRigConfig(
        name="drawn", serial_number="FACET-SIM-0001", seed=SEED, clock_speed=50.0, prerendered=True,
        imperfections=Imperfections(light_bounces=0),
    )  # fmt: skip
    drawn: dict[tuple[str, str], NDArray[np.float32]] = {}
    with running_rig(folder / "drawn/rig", config, frame_timeout_s=120.0) as (_, rig_file), open_rig(rig_file) as rig:
        rig.arm.home()
        rig.camera.configure(loaded.recipe.camera_settings())
        for captured in capture(rig, make_plan(loaded.recipe), JobSignal(), StageTimes()):
            drawn[captured.step.view, captured.step.light] = captured.frame.pixels.astype(np.float32)
    random = np.random.default_rng(SEED)
    noise = random.standard_normal(case.shape, np.float32)
    for step in make_plan(load_recipe(folder / "recipe.yaml").recipe):
        channels = _neighbours(step.channel) if step.channel > DOME else (step.channel,)
        names = {0: "dark", DOME: "dome"}
        level = np.mean([drawn[step.view, names.get(c, f"L{c}")] for c in channels], axis=0)
        rolled = np.roll(noise, random.integers(0, case.shape[0]), axis=0)
        _noisy(level, rolled, case).tofile(frame_file(folder, step))


def _noisy(level: NDArray[np.float32], noise: NDArray[np.float32], case: Case) -> Pixels:
    """The small picture, in DN of `case.bits`, at the size of `case`, with shot and read noise."""
    large = cv2.resize(level, case.shape[::-1], interpolation=cv2.INTER_LINEAR)
    gain = GAIN_DN_PER_E / 2 ** (12 - case.bits)
    large += noise * np.sqrt(np.maximum(large, 0) * np.float32(gain) + np.float32(READ_NOISE_E * gain) ** 2)
    found = np.clip(np.rint(large), 0, 2**case.bits - 1)
    return found.astype(np.uint8) if case.bits == 8 else found.astype(np.uint16)


def frame_file(folder: Path, step: CaptureStep) -> Path:
    return folder / f"{step.view}_{step.light}.raw"


class PlayedCamera:
    """Exposes, reads out and hands over stored frames in the order of a plan, each at the times of the hardware.

    The one copy that a driver makes out of its buffer is the reading of the file, which the system holds in memory,
    to where the station wants the frame.
    `exposure_ends_s` are on the clock of `time.perf_counter`.
    """

    identity = DeviceIdentity("Facet", "played", "FACET-SIM-0001", "1")
    frame_timeout_s = 5.0

    def __init__(self, folder: Path, plan: tuple[CaptureStep, ...], case: Case, timing: CameraTiming) -> None:
        self._folder, self._plan, self._case = folder, plan, case
        size = case.shape[0] * case.shape[1] * (1 if case.bits == 8 else 2)
        readout_s = timing.readout_ms_full / 1e3 / case.binning
        self.readout_s = max(readout_s, size / timing.link_bytes_per_s)
        self._count = 0
        self._began_ns = 0
        self._exposure_s = 0.0
        self._free_s = 0.0  # when the last readout ends: the sensor may be exposed again then
        self.exposure_ends_s: list[float] = []
        self.exposed_s = 0.0
        self._landing: Landing | None = None

    def land_in(self, landing: Landing | None) -> None:
        self._landing = landing

    def configure(self, settings: CameraSettings) -> CameraSettings:
        height, width = self._case.shape
        return replace(settings, width=width, height=height)

    def time_ns(self) -> int:
        return time.perf_counter_ns()

    def set_strobe(self, line: str = "Line1", source: str = "ExposureActive") -> str:  # noqa: ARG002 - as the Protocol
        return line

    def trigger(self, exposure_us: float, gain_db: float = 0.0) -> None:  # noqa: ARG002 - as the Protocol
        _sleep_until(self._free_s)
        self._began_ns, self._exposure_s = time.perf_counter_ns(), exposure_us / 1e6
        self._free_s = self._began_ns / 1e9 + self._exposure_s + self.readout_s
        self.exposure_ends_s.append(self._began_ns / 1e9 + self._exposure_s)
        self.exposed_s += self._exposure_s

    def wait_exposed(self) -> bool:
        _sleep_until(self.exposure_ends_s[-1])
        return True

    def collect(self) -> Frame:
        _sleep_until(self._free_s)
        step = self._plan[self._count % len(self._plan)]
        self._count += 1
        return self.stored(step)

    def stored(self, step: CaptureStep) -> Frame:
        """The frame of that step, read at once."""
        dtype = np.dtype(np.uint8 if self._case.bits == 8 else np.uint16)
        wanted = None if self._landing is None else self._landing(self._case.shape, dtype)
        pixels: Any = np.empty(self._case.shape, dtype) if wanted is None else wanted
        with open(frame_file(self._folder, step), "rb", buffering=0) as file:
            for row in range(0, len(pixels), READ_ROWS):
                rows = pixels[row : row + READ_ROWS]
                rows[:] = np.frombuffer(file.read(rows.size * dtype.itemsize), dtype).reshape(rows.shape)
        black = 64.0 / 2 ** (12 - self._case.bits)
        return Frame(
            pixels, self._case.pixel_format, self._case.bits, black, step.exposure_us, 0.0, self._began_ns,
            self._count,
        )  # fmt: skip

    def expose(self, exposure_us: float, gain_db: float = 0.0) -> Frame:
        self.trigger(exposure_us, gain_db)
        return self.collect()

    def close(self) -> None:
        if self.exposure_ends_s and time.perf_counter() < self.exposure_ends_s[-1]:
            raise CommandRefused("camera", "closed while it exposes")


def _sleep_until(moment_s: float) -> None:
    time.sleep(max(0.0, moment_s - time.perf_counter()))


class TimedArm:
    """The arm's driver, and how long each of its moves took."""

    def __init__(self, arm: Arm) -> None:
        self._arm = arm
        self.moves_s: list[float] = []
        self.departures_s: list[float] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._arm, name)

    def move_to(self, pose: Pose) -> Pose:
        started = time.perf_counter()
        self.departures_s.append(started)
        try:
            return self._arm.move_to(pose)
        finally:
            self.moves_s.append(time.perf_counter() - started)


class FewerChannels:
    """The lights' driver, for a recipe with more lights than the rig has: they shine on the channels that it has."""

    def __init__(self, lights: Any) -> None:
        self._lights = lights

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lights, name)

    def on(self, channel: int, brightness: float) -> None:
        self._lights.on(_own(channel), brightness)

    def arm(self, channel: int, brightness: float, on_time_us: float) -> None:
        self._lights.arm(_own(channel), brightness, on_time_us)


def _own(channel: int) -> int:
    return channel if channel <= DOME else channel - DOME


def loaded_case(folder: Path) -> LoadedRecipe:
    return load_recipe(folder / "recipe.yaml")
