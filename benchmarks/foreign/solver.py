"""The solver on a renderer's frames, against the renderer's own normals."""

from __future__ import annotations

import importlib.util
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from foreign.pixels import Mask, concave
from foreign.scene import LAMP_UNIT_E_PER_US
from foreign.views import RenderedView
from numpy.typing import NDArray
from truth_views import DISTANCE_MM, EIGHT, FOUR

from drivers.protocols import Frame
from drivers.simulated.scene import DEFAULT_BLACK_LEVEL_DN, Sensor
from drivers.simulated.scene.sensor import expose_rows, exposure_values
from station.photometric_stereo.checks import angular_error_map
from station.photometric_stereo.lights import PointLights
from station.photometric_stereo.normal_map import NormalMap
from station.photometric_stereo.settings import SolverSettings
from station.photometric_stereo.solve import PhotometricStereo
from station.photometric_stereo.uncertainty import SensorNoise, predicted_uncertainty

F64 = NDArray[np.float64]
Solver = Callable[[list[Frame], PointLights], tuple[NormalMap, NDArray[np.float32]]]

NOISE_BINNING, EXPOSURE_US = 4, 8000.0


def frames_of(view: RenderedView, channels: tuple[int, ...], light: str, seed: int) -> list[Frame]:
    """`total` or `direct` light as the simulated sensor would give it, exposed by the albedo."""
    sensor, exposure_us = Sensor(), EXPOSURE_US * 0.5 / float(view.albedo[view.part].max())
    values = exposure_values(sensor, exposure_us, 0.0, 12, NOISE_BINNING, DEFAULT_BLACK_LEVEL_DN)
    frames = []
    for k, channel in enumerate(channels):
        electrons = (getattr(view, light)[channel - 1] * LAMP_UNIT_E_PER_US).astype(np.float32)
        pixels = np.empty(electrons.shape, np.uint16)
        keys = np.random.default_rng([seed, channel]).integers(1 << 63, size=2).astype(np.uint64)
        expose_rows(electrons, values, keys, np.zeros(2, np.int32), pixels, 0, len(pixels))
        frames.append(Frame(pixels, "Mono12", 12, DEFAULT_BLACK_LEVEL_DN, exposure_us, 0.0, k, k))
    return frames


def lights_of(view: RenderedView, channels: tuple[int, ...]) -> PointLights:
    """The lamps as a calibration would give them, with the part's mean height as a recipe would."""
    height_mm = round(DISTANCE_MM - float(np.median(view.depth_mm[view.part])), 1)
    rows = [channel - 1 for channel in channels]
    names = tuple(str(channel) for channel in channels)
    ones = np.ones(len(rows))
    return PointLights(names, view.positions_mm[rows], ones, view.mm_per_px, view.center_px, height_mm, 1.0)


def noise_of_frames() -> SensorNoise:
    sensor = Sensor()
    dark_e = math.hypot(sensor.read_noise_e, sensor.dsnu_e)
    return SensorNoise(sensor.gain_dn_per_e(12, 0.0) / NOISE_BINNING**2, dark_e * NOISE_BINNING)


def solvers() -> dict[str, Solver]:
    """By name: from frames and lights to a map, and to the bound that 95 % of its errors keep, (H, W) degrees."""
    found: dict[str, Solver] = {"masked": _masked}
    if importlib.util.find_spec("station.photometric_stereo.bounced") is not None:
        found["bounced"] = _bounced
    return found


def _masked(frames: list[Frame], lights: PointLights) -> tuple[NormalMap, NDArray[np.float32]]:
    settings = SolverSettings(method="masked")
    solver = PhotometricStereo(lights, frames[0].pixels.shape, settings)
    for k, frame in enumerate(frames):
        solver.add(k, frame)
    found = solver.solve()
    return found, predicted_uncertainty(frames, lights, found, noise_of_frames(), settings, stride=1).p95_deg


def _bounced(frames: list[Frame], lights: PointLights) -> tuple[NormalMap, NDArray[np.float32]]:
    """The refinement under bounced light; it does not know how white the part is."""
    refine = importlib.import_module("station.photometric_stereo.bounced.refine")
    found = refine.without_bounced_light(
        frames, lights, SolverSettings(method="masked"), noise_of_frames(), camera_mm=DISTANCE_MM
    )
    return found.normal_map, found.p95_deg


@dataclass(frozen=True)
class Pixels:
    """All pixels of parts, one after the other."""

    error_deg: F64  # NaN where not observable
    stated_deg: F64  # 95 % interval
    reached: NDArray[np.int64]  # by how many of the lamps in use
    concave: Mask

    @classmethod
    def joined(cls, several: list[Pixels]) -> Pixels:
        return cls(*(np.concatenate([getattr(p, name) for p in several]) for name in cls.__dataclass_fields__))


@dataclass(frozen=True)
class SolverRow:
    """Errors of one solver on one part."""

    product: str
    albedo: float
    view: str
    lights: int
    light: str  # total or direct
    solver: str
    mean_deg: float
    mean_of_three_deg: float
    observable_share: float
    fewer_than_three: int  # pixels called observable with fewer than three real lamps
    held_open: float
    held_concave: float
    held: float

    def as_text(self) -> str:
        start = f"{self.product:<10}{self.albedo:>5.2f} {self.view:<6}{self.lights:>2} {self.light:<7}{self.solver:<10}"
        errors = f"{self.mean_deg:>8.2f}{self.mean_of_three_deg:>8.2f}{self.observable_share:>9.1%}"
        return (
            f"{start}{errors}{self.fewer_than_three:>8}{self.held_open:>9.1%}{self.held_concave:>9.1%}{self.held:>8.1%}"
        )


def pixels_of(view: RenderedView, channels: tuple[int, ...], light: str, solver: Solver) -> Pixels:
    found, stated = solver(frames_of(view, channels, light, 7), lights_of(view, channels))
    error = angular_error_map(found.normals, view.normals.astype(np.float64))
    error = np.where(found.observable, error, np.nan)
    reached = view.lit[[channel - 1 for channel in channels]].sum(axis=0)
    part = view.part
    return Pixels(error[part], stated[part].astype(np.float64), reached[part], concave(view)[part])


def solver_row(product: str, albedo: float, view: str, lights: int, light: str, solver: str, p: Pixels) -> SolverRow:
    seen = np.isfinite(p.error_deg)
    held = p.error_deg <= p.stated_deg
    return SolverRow(
        product, albedo, view, lights, light, solver,
        _mean(p.error_deg[seen]), _mean(p.error_deg[seen & (p.reached >= 3)]), float(seen.mean()),
        int((seen & (p.reached < 3)).sum()),
        _mean(held[seen & ~p.concave]), _mean(held[seen & p.concave]), _mean(held[seen]),
    )  # fmt: skip


def _mean(values: NDArray[Any]) -> float:
    return float(np.mean(values)) if values.size else float("nan")


def solver_rows(product: str, albedo: float, views: dict[str, RenderedView]) -> Iterator[SolverRow]:
    """One row a view, and one for all of them where there are several; `masked` also on direct light alone."""
    cases = [("direct", "masked", _masked), *(("total", name, solver) for name, solver in solvers().items())]
    for channels, (light, name, solver) in itertools.product((EIGHT, FOUR), cases):
        found = {view: pixels_of(rendered, channels, light, solver) for view, rendered in views.items()}
        if len(found) > 1:
            found["all"] = Pixels.joined(list(found.values()))
        for view, pixels in found.items():
            yield solver_row(product, albedo, view, len(channels), light, name, pixels)
