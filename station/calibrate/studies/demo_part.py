"""The worth of a calibration: the demo parts' normals in all views, solved with one calibration and with another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from calibration.record import Calibration
from drivers.geometry.pose import Pose
from drivers.protocols import Frame
from drivers.simulated.control import RigControl
from station.calibrate.bench.target_bench import LiveBench, Progress
from station.calibrate.viewpoints.taught_views import STATION_VIEWS
from station.photometric_stereo.flat_field import FlatField
from station.photometric_stereo.gloss import Gloss, GlossView, fit_gloss, without_gloss
from station.photometric_stereo.lights import LightModel, PointLights
from station.photometric_stereo.normal_map import NormalMap
from station.photometric_stereo.solve import PhotometricStereo, SolverSettings
from station.recipe.calibrated_lights import directional_channels, light_model
from station.recipe.flat_field_file import FieldMaps

PARTS = ("connector", "knob")
TAUGHT_SEED, MEASURED_SEED = 5, 6  # two individual parts: heights and gloss are found on one, used on the other
PART_BINNING, PART_EXPOSURE_US = 8, 8000.0
LIMIT_DEG = 1.0  # mean, on lit and unshadowed pixels of one part
CLOSE_DEG = (
    0.1  # to what exact lights and camera give: bounced light may stand above LIMIT_DEG, and is no calibration's
)
When = Literal["before", "after", "exact"]


@dataclass(frozen=True)
class Used:
    """A calibration to solve with, and its flat field if it has one."""

    calibration: Calibration
    maps: FieldMaps | None = None


@dataclass(frozen=True)
class ProductOptions:
    """What the solver knows of a product: its height in each view and its gloss."""

    heights_mm: Mapping[str, float]
    gloss: Gloss


@dataclass(frozen=True)
class Seen:
    """One view of a part: frames in the order of the lights, and its truth."""

    frames: list[Frame]
    normals: NDArray[np.float32]  # (3, H, W) camera axes
    lit: NDArray[np.bool_]  # (H, W): on the part, and in no light's shadow
    height_mm: float  # median of the part, above the camera's target plane


@dataclass(frozen=True)
class NormalErrors:
    """Angles to the exact normals on lit, unshadowed pixels of a part; `view` is `all` for the five together.

    `when`: `before` calibration, `after` it, or with the `exact` lights and camera.
    """

    part: str
    view: str
    when: When
    mean_deg: float
    median_deg: float
    p95_deg: float
    pixels: int

    @property
    def ok(self) -> bool:
        """Whether the mean is within LIMIT_DEG."""
        return self.mean_deg <= LIMIT_DEG

    def as_text(self) -> str:
        """One line of figures."""
        return (
            f"{self.part} {self.view} {self.when}: mean {self.mean_deg:.2f}, median {self.median_deg:.2f}, "
            f"95 % {self.p95_deg:.2f} degrees ({self.pixels} lit pixels)"
        )


def measure_parts(
    bench: LiveBench, control: RigControl, used: Mapping[When, Used], progress: Progress,
    parts: Sequence[str] = PARTS, views: Mapping[str, Pose] = STATION_VIEWS,
) -> tuple[NormalErrors, ...]:  # fmt: skip
    """Photographs each part in each view under all directional lights, and solves with each of the calibrations."""
    found: list[NormalErrors] = []
    for part in parts:
        options = _taught(bench, control, used["after"], part, views, progress)
        control.load(part, MEASURED_SEED)
        angles: dict[When, list[NDArray[np.float64]]] = {when: [] for when in used}
        for view, pose in views.items():
            progress(f"{part}, {view}: normals before and after")
            seen = _seen(bench, control, pose, used["after"].calibration)
            for when, own in used.items():
                angles[when].append(angles_deg(seen, own, options, view))
                found.append(_errors(part, view, when, angles[when][-1]))
        found += [_errors(part, "all", when, np.concatenate(each)) for when, each in angles.items()]
    return tuple(found)


def _taught(
    bench: LiveBench, control: RigControl, used: Used, part: str, views: Mapping[str, Pose], progress: Progress
) -> ProductOptions:
    """Height and gloss of a product, found on one individual part with the calibration `used`."""
    progress(f"{part}: height and gloss of the product")
    control.load(part, TAUGHT_SEED)
    heights, fitted = {}, []
    for view, pose in views.items():
        seen = _seen(bench, control, pose, used.calibration)
        heights[view] = round(seen.height_mm, 1)
        lights = _lights(used, heights[view])
        fitted.append(GlossView(seen.frames, lights, _solved(seen, used, lights), _camera_mm(used), _field(seen, used)))
    return ProductOptions(heights, fit_gloss(fitted, SolverSettings()).gloss)


def _seen(bench: LiveBench, control: RigControl, pose: Pose, calibration: Calibration) -> Seen:
    """Photographs one view under all directional lights, and asks the simulated rig for its truth."""
    bench.stand_at(pose)
    channels = directional_channels(calibration)
    frames = [bench.photograph(c, PART_EXPOSURE_US, PART_BINNING) for c in channels]
    answer = control.call("truth", pose=list(pose.as_tuple()), binning=PART_BINNING, channels=list(channels))
    with np.load(answer["file"]) as truth:
        depth = float(np.median(truth["depth_mm"][truth["part_mask"]]))
        return Seen(frames, truth["normals"], truth["lit"], calibration.working_distance_mm - depth)


def angles_deg(seen: Seen, used: Used, options: ProductOptions, view: str) -> NDArray[np.float64]:
    """(N,) angles to the true normals at lit, unshadowed pixels that the solver calls observable."""
    lights = _lights(used, options.heights_mm[view])
    first = _solved(seen, used, lights)
    found = without_gloss(
        seen.frames, lights, first, SolverSettings(), options.gloss, camera_mm=_camera_mm(used),
        flat_field=_field(seen, used),
    )  # fmt: skip
    at = seen.lit & found.observable
    cosine = (found.normals * seen.normals).sum(axis=0)[at].clip(-1, 1)
    return np.asarray(np.degrees(np.arccos(cosine.astype(np.float64))), np.float64)


def _lights(used: Used, height_mm: float) -> LightModel:
    lights = light_model(used.calibration, directional_channels(used.calibration), PART_BINNING)
    return replace(lights, plane_height_mm=height_mm) if isinstance(lights, PointLights) else lights


def _field(seen: Seen, used: Used) -> FlatField | None:
    """The maps on the grid of the view; None for a calibration without them."""
    if used.maps is None:
        return None
    shape = (seen.lit.shape[0], seen.lit.shape[1])
    return used.maps.flat_field(directional_channels(used.calibration), PART_BINNING, shape)


def _camera_mm(used: Used) -> float:
    return used.calibration.working_distance_mm


def _solved(seen: Seen, used: Used, lights: LightModel) -> NormalMap:
    """Normals by masked least squares, before gloss is taken into account."""
    shape = (seen.lit.shape[0], seen.lit.shape[1])
    solver = PhotometricStereo(lights, shape, SolverSettings(method="masked"), flat_field=_field(seen, used))
    for k, frame in enumerate(seen.frames):
        solver.add(k, frame)
    return solver.solve()


def _errors(part: str, view: str, when: When, angles: NDArray[np.float64]) -> NormalErrors:
    """Mean, median and 95th percentile of the angles; NaN where no pixel was lit."""
    if not len(angles):
        return NormalErrors(part, view, when, float("nan"), float("nan"), float("nan"), 0)
    return NormalErrors(
        part, view, when, float(angles.mean()), float(np.median(angles)), float(np.quantile(angles, 0.95)), len(angles)
    )


def is_wanted(own: Mapping[When, NormalErrors]) -> bool:
    """Whether one part's normals were poor before, and are now as good as exact lights make them, or within LIMIT_DEG.

    Without an `exact` solution, LIMIT_DEG alone decides.
    """
    floor = own["exact"].mean_deg + CLOSE_DEG if "exact" in own else LIMIT_DEG
    return not own["before"].ok and own["after"].mean_deg <= max(LIMIT_DEG, floor)


def summary(found: Sequence[NormalErrors]) -> Iterator[str]:
    """One line per part and view, the calibrations side by side."""
    for part, view in dict.fromkeys((n.part, n.view) for n in found):
        own = {n.when: n for n in found if (n.part, n.view) == (part, view)}
        figures = ", ".join(f"{when} {n.mean_deg:.2f} (95 % {n.p95_deg:.2f})" for when, n in own.items())
        mark = "" if view != "all" else (" ok" if is_wanted(own) else " NOT as wanted")
        yield f"normals of {part}, {view}: mean {figures} degrees{mark}"
