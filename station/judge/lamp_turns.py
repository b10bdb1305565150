"""Whether a lamp shines from elsewhere than its calibration has it, told from how it lights the fixture.

A lamp that is knocked aside is nearer to one edge of the fixture and farther from the other, so its light over the
fixture tilts: at 250 mm by some percent a degree, and more where it grazes. The tilt is fitted to each view's frame
beside the strengths of all lamps and the sway of good parts (`station.judge.fixture_lights`). One view measures a
degree to some tenths; the lamps are fixed to the camera, so a part's views must agree, and together measure to a tenth.

What a part lacks changes the light on the fixture beside it, and some tilt always fits that a little. A turned lamp
explains most of what is otherwise in its frame, and is blamed only where it does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calibration.record import CalibratedLight
from drivers.geometry.pose import Pose
from station.inspection.reasons import Reason, ReasonKind
from station.inspection.result import ViewResult
from station.judge.part_checks import PART_MOVED
from station.recipe.loaded import LoadedRecipe

TURNED_X, TURNED_Y, UNSURE, EXPLAINED = (
    "light_turned_x_deg_", "light_turned_y_deg_", "light_turned_unsure_deg_", "light_turned_explained_",
)  # fmt: skip
LEAST_UNSURE_DEG = 0.05  # of one view: its reference is from few parts
UNSURE_DEG_PER_MM = 0.25  # a part off its seat shades and lights the fixture otherwise: 15 knobs 2 mm off, to 0.72 deg
FEWEST_VIEWS = 2  # lamps move with the camera, so one view alone may be mistaken
SURE = 3.0  # times the uncertainty that a turn must exceed before a lamp is blamed
# Of the squared misfit: on the 68 of 74 knobs and connectors that measure a lamp truly turned by 1 degree, the turn
# explains 0.26 at least. On 5 parts, two of them without a rib, that seemed to turn a lamp as far, it explains 0.15 at
# most (simulated).
LEAST_EXPLAINED = 0.2
F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Turn:
    """How far a lamp has turned about the target point, along the two axes of `axes_across`, and how unsure that is.

    `explained` is the share of what is odd about its frames that goes with the turn.
    """

    x_deg: float
    y_deg: float
    unsure_deg: float
    explained: float = 1.0  # archives from before it was measured

    @property
    def deg(self) -> float:
        """The angle."""
        return float(np.hypot(self.x_deg, self.y_deg))


def axes_across(position_mm: Sequence[float]) -> tuple[F64, F64]:
    """Two unit vectors across the line from the target point to the lamp: level, and toward the camera's axis."""
    toward = np.asarray(position_mm, np.float64)
    toward = toward / np.linalg.norm(toward)
    level = np.cross(toward, [0.0, 0.0, 1.0] if abs(toward[2]) < 0.95 else [0.0, 1.0, 0.0])
    level /= np.linalg.norm(level)
    return level, np.cross(toward, level)


def fixture_points_mm(pose: Pose, distance_mm: float, cell_mm: float, center: tuple[float, float],
                      shape: tuple[int, int]) -> tuple[F64, F64]:  # fmt: skip
    """(h, w, 3) where each cell's centre sees the fixture's plane, and that plane's unit normal, in the camera's axes.

    Origin at the target point, x right, y up, z toward the camera. `center` (x, y) is where the target point is seen,
    in cells. The plane is z = 0 of the station frame.
    """
    tilt, pan = np.radians(pose.tilt_deg), np.radians(pose.pan_deg)
    ahead = -np.array([np.sin(tilt) * np.cos(pan), np.sin(tilt) * np.sin(pan), np.cos(tilt)])
    target_height = pose.z_mm + distance_mm * float(ahead[2])
    normal = np.array([0.0, np.sin(tilt), np.cos(tilt)])
    y, x = np.mgrid[: shape[0], : shape[1]]
    rays = np.stack([(x - center[0]) * cell_mm, (center[1] - y) * cell_mm, np.full(shape, -distance_mm)], axis=-1)
    camera = np.array([0.0, 0.0, distance_mm])
    along = (-target_height - camera @ normal) / (rays @ normal)
    return camera + along[..., None] * rays, normal


def tilts_of(light: CalibratedLight, points_mm: F64, normal: F64) -> NDArray[np.float32] | None:
    """(2, h, w): by what share the light on the plane grows per degree that the lamp turns along either axis.

    None for a light whose position is not known: one that is far away tilts nothing.
    """
    if light.position_mm is None:
        return None
    at = np.array(light.position_mm)
    rays = at - points_mm
    slope = normal / np.maximum(rays @ normal, 1.0)[..., None] - 3 * rays / (rays**2).sum(axis=-1)[..., None]
    step_mm = float(np.radians(1.0) * np.linalg.norm(at))
    return np.stack([slope @ axis * step_mm for axis in axes_across(light.position_mm)]).astype(np.float32)


def tilts_for(
    loaded: LoadedRecipe, pose: Pose, names: Sequence[str], cell_px: int, shape: tuple[int, int]
) -> dict[str, NDArray[np.float32]]:
    """Per light of the recipe with a known position, on a grid of `shape` cells of `cell_px` pixels of its captures."""
    record, binning = loaded.calibration, loaded.recipe.capture.binning
    x, y = record.center_px(binning)
    center = ((x + 0.5) / cell_px - 0.5, (y + 0.5) / cell_px - 0.5)
    cell_mm = record.mm_per_px(binning) * cell_px
    points_mm, normal = fixture_points_mm(pose, record.working_distance_mm, cell_mm, center, shape)
    found = {
        light.name: tilts_of(record.light(light.channel), points_mm, normal)
        for light in loaded.recipe.lights
        if light.name in names and light.kind == "directional"
    }
    return {name: tilts for name, tilts in found.items() if tilts is not None}


def figures_of(turns: Mapping[str, Turn]) -> dict[str, float]:
    """The figures that are archived with the view's quality."""
    found: dict[str, float] = {}
    for name, turn in turns.items():
        found |= {TURNED_X + name: turn.x_deg, TURNED_Y + name: turn.y_deg, UNSURE + name: turn.unsure_deg}
        found[EXPLAINED + name] = turn.explained
    return found


def turns_of(quality: Mapping[str, float]) -> dict[str, Turn]:
    """From a view's quality, by lamp."""
    names = [name.removeprefix(UNSURE) for name in quality if name.startswith(UNSURE)]
    return {
        name: Turn(
            quality[TURNED_X + name], quality[TURNED_Y + name], quality[UNSURE + name],
            quality.get(EXPLAINED + name, 1.0),
        )
        for name in names
    }  # fmt: skip


def turned_lamps(views: Sequence[ViewResult], tolerance_deg: float) -> Iterator[Reason]:
    """A reason of the whole part for each lamp that its views together show beyond the tolerance.

    A view that has another cause to be doubted proves nothing of lamps, and light that a turn explains badly was
    changed by something else: by the part.
    """
    of_lamp: dict[str, list[Turn]] = {}
    for view in views:
        if all(reason.kind in _BEARS for reason in view.reasons):
            off_mm = view.quality.get(PART_MOVED, 0.0)
            for name, turn in turns_of(view.quality).items():
                unsure_deg = float(np.hypot(turn.unsure_deg, UNSURE_DEG_PER_MM * off_mm))
                of_lamp.setdefault(name, []).append(replace(turn, unsure_deg=unsure_deg))
    for name, turns in of_lamp.items():
        together = _together(turns)
        if together is not None and _is_beyond(together, tolerance_deg):
            text = (
                f"light {name!r} shines from about {together.deg:.1f} degrees beside its calibrated place, as "
                f"{len(turns)} views show (tolerance {tolerance_deg:g} degrees)"
            )
            yield Reason(ReasonKind.LIGHT_MOVED, text, REMEDY, light=name)


# A few pixels without a normal, or a lamp that seems to be moved in one view, do not spoil what the fixture shows.
_BEARS = (ReasonKind.FEW_OBSERVABLE, ReasonKind.LIGHT_MOVED)
REMEDY = "look whether the lamp or its bracket was knocked or turned; put it back, or calibrate the lights"


def _is_beyond(turn: Turn, tolerance_deg: float) -> bool:
    is_sure = not turn.deg <= max(tolerance_deg, SURE * turn.unsure_deg)
    return is_sure and not turn.explained < LEAST_EXPLAINED


def _together(turns: Sequence[Turn]) -> Turn | None:
    """The mean by certainty, which is less where the views contradict each other; None for too few views."""
    if len(turns) < FEWEST_VIEWS:
        return None
    found = np.array([(turn.x_deg, turn.y_deg) for turn in turns])
    weights = np.array([1 / turn.unsure_deg**2 for turn in turns])
    mean = weights @ found / weights.sum()
    spread = float(np.sqrt((weights[:, None] * (found - mean) ** 2).sum() / (2 * (len(turns) - 1))))
    explained = float(weights @ np.array([turn.explained for turn in turns]) / weights.sum())
    return Turn(float(mean[0]), float(mean[1]), max(1.0, spread) / float(np.sqrt(weights.sum())), explained)
