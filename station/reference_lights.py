"""What a recipe expects of its lights now, when it learned under the lights of another calibration.

Reference levels and the model's pictures belong to the lights that shone then. Under another calibration each light is
as much stronger or weaker as the two calibrations say, and that is no fault.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from calibration.record import CalibratedLight, Calibration
from station.recipe_fields import LightChoice, Recipe, ReferenceLight

MOVED_DEG = 0.5  # from there on shadows lie elsewhere than in what the demo models learned, and scores rise


def reference_lights(calibration: Calibration, lights: Sequence[LightChoice]) -> dict[str, ReferenceLight]:
    """What a recipe keeps of the calibration under which it learns, by the light's name."""
    kept = {}
    for light in lights:
        found = calibration.light(light.channel)
        kept[light.name] = ReferenceLight(
            relative_intensity=found.relative_intensity, plane_level_per_ms=found.plane_level_per_ms,
            direction=_direction(found),
        )  # fmt: skip
    return kept


def _direction(light: CalibratedLight) -> tuple[float, float, float] | None:
    if light.kind == "diffuse":
        return None
    x, y, z = light.unit_direction()
    return round(x, 5), round(y, 5), round(z, 5)


def strengths_now(recipe: Recipe, calibration: Calibration) -> dict[str, float]:
    """By light: its strength under this calibration over that under which the recipe learned.

    By the white plane where both know it, which compares the diffuse light and the camera's aperture too; else by the
    intensities, which compare directional lights with each other alone.
    """
    now = reference_lights(calibration, recipe.lights)
    then = recipe.reference_lights or now
    plane = {n: (now[n].plane_level_per_ms, then[n].plane_level_per_ms) for n in now}
    known = {n: a / b for n, (a, b) in plane.items() if a is not None and b is not None}
    if len(known) == len(now):
        return known
    return {n: now[n].relative_intensity / then[n].relative_intensity for n in now}


def expected_levels(levels: Mapping[str, float], strengths: Mapping[str, float]) -> dict[str, float]:
    """A view's reference levels as these lights should give them."""
    return {name: level * strengths[name] for name, level in levels.items()}


def moved_lights(recipe: Recipe, calibration: Calibration) -> dict[str, float]:
    """Degrees by light, of those that stand elsewhere than where the recipe learned, by more than MOVED_DEG."""
    now = reference_lights(calibration, recipe.lights)
    angles = {name: _apart_deg(now[name], then) for name, then in recipe.reference_lights.items()}
    return {name: angle for name, angle in angles.items() if angle > MOVED_DEG}


def _apart_deg(a: ReferenceLight, b: ReferenceLight) -> float:
    if a.direction is None or b.direction is None:
        return 0.0
    u, v = (np.asarray(d, np.float64) / np.linalg.norm(d) for d in (a.direction, b.direction))
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(u, v)), u @ v)))
