"""What a calibration is worth: the demo parts' normals in all views, solved with one calibration and with another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from calibration.record import Calibration
from drivers.protocols import Frame, Pose
from drivers.simulated.control import RigControl
from station.calibrate.bench import LiveBench, Progress
from station.calibrate.viewpoints import STATION_VIEWS
from station.calibrated_lights import directional_channels, light_model
from station.flat_field_file import FieldMaps
from station.photometric_stereo.solve import PhotometricStereo, SolverSettings

PARTS = ("connector", "knob")
PART_SEED, PART_BINNING, PART_EXPOSURE_US = 1, 8, 8000.0
LIMIT_DEG = 1.0  # mean, on lit and unshadowed pixels of one part
When = Literal["before", "after", "exact"]


@dataclass(frozen=True)
class Used:
    """A calibration with its flat field if it has one."""

    calibration: Calibration
    maps: FieldMaps | None = None


@dataclass(frozen=True)
class NormalErrors:
    """Angles to the exact normals where every light reached the part; `view` is `all` for the five together.

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
        return self.mean_deg <= LIMIT_DEG

    def as_text(self) -> str:
        return (
            f"{self.part} {self.view} {self.when}: mean {self.mean_deg:.2f}, median {self.median_deg:.2f}, "
            f"95 % {self.p95_deg:.2f} degrees ({self.pixels} lit pixels)"
        )


def measure_parts(
    bench: LiveBench, control: RigControl, used: Mapping[When, Used], progress: Progress,
    parts: Sequence[str] = PARTS, views: Mapping[str, Pose] = STATION_VIEWS,
) -> tuple[NormalErrors, ...]:  # fmt: skip
    """Each part photographed once in each view under all directional lights; normals with each of the calibrations."""
    found: list[NormalErrors] = []
    for part in parts:
        control.load(part, PART_SEED)
        angles: dict[When, list[NDArray[np.float64]]] = {when: [] for when in used}
        for view, pose in views.items():
            progress(f"{part}, {view}: normals before and after")
            bench.stand_at(pose)
            channels = directional_channels(used["before"].calibration)
            frames = [bench.photograph(c, PART_EXPOSURE_US, PART_BINNING) for c in channels]
            answer = control.call("truth", pose=list(pose.as_tuple()), binning=PART_BINNING)
            with np.load(answer["file"]) as truth:
                normals, mask = truth["normals"], truth["part_mask"]
            for when, own in used.items():
                angles[when].append(angles_deg(frames, own, normals, mask))
                found.append(_errors(part, view, when, angles[when][-1]))
        found += [_errors(part, "all", when, np.concatenate(each)) for when, each in angles.items()]
    return tuple(found)


def angles_deg(
    frames: Sequence[Frame], used: Used, truth: NDArray[np.float32], part: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """(N,) at pixels of the part on which no light is in shadow or saturated, by the solver's own judgement.

    frames in the order of the calibration's directional lights; truth (3, H, W), camera axes.
    """
    channels, shape = directional_channels(used.calibration), (part.shape[0], part.shape[1])
    solver = PhotometricStereo(
        light_model(used.calibration, channels, PART_BINNING), shape, SolverSettings(method="masked"),
        flat_field=None if used.maps is None else used.maps.flat_field(channels, PART_BINNING, shape),
    )  # fmt: skip
    for k, frame in enumerate(frames):
        solver.add(k, frame)
    result = solver.solve()
    lit = part & result.observable & (result.lit_count == len(frames))
    cosine = (result.normals * truth).sum(axis=0)[lit].clip(-1, 1)
    return np.asarray(np.degrees(np.arccos(cosine.astype(np.float64))), np.float64)


def _errors(part: str, view: str, when: When, angles: NDArray[np.float64]) -> NormalErrors:
    if not len(angles):
        return NormalErrors(part, view, when, float("nan"), float("nan"), float("nan"), 0)
    return NormalErrors(
        part, view, when, float(angles.mean()), float(np.median(angles)), float(np.quantile(angles, 0.95)), len(angles)
    )


def summary(found: Sequence[NormalErrors]) -> Iterator[str]:
    """One line per part and view, the calibrations side by side."""
    for part, view in dict.fromkeys((n.part, n.view) for n in found):
        own = {n.when: n for n in found if (n.part, n.view) == (part, view)}
        figures = ", ".join(f"{when} {n.mean_deg:.2f} (95 % {n.p95_deg:.2f})" for when, n in own.items())
        mark = "" if view != "all" else (" ok" if own["after"].ok and not own["before"].ok else " NOT as wanted")
        yield f"normals of {part}, {view}: mean {figures} degrees{mark}"
