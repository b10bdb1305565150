"""Light levels that a recipe expects under a calibration other than the one it was trained with.

Reference levels and the model's pictures belong to the lights at training time. Under another calibration each light
is stronger or weaker by the ratio of the two calibrations, and that difference is no fault.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from calibration.record import CalibratedLight, Calibration
from drivers.protocols import Frame
from station.recipe.fields import LightChoice, Recipe, ReferenceLight

SAME_EXPOSURE_US, SAME_EXPOSURE = 1.0, 0.01  # a camera may expose in steps: frames are not refused for so little
MOVED_DEG = 0.5  # from here on shadows fall elsewhere than in the demo models' training data, and scores rise


def reference_lights(
    calibration: Calibration, lights: Sequence[LightChoice], gain_db: float
) -> dict[str, ReferenceLight]:
    """Per light name: strength and direction in this calibration, and exposure, brightness and gain in the recipe.

    A recipe stores these at training time; see `strengths_now`. Raises KeyError for a channel without calibration.
    """
    kept = {}
    for light in lights:
        found = calibration.light(light.channel)
        kept[light.name] = ReferenceLight(
            relative_intensity=found.relative_intensity, plane_level_per_ms=found.plane_level_per_ms,
            direction=_direction(found), exposure_us=light.exposure_us, brightness=light.brightness, gain_db=gain_db,
        )  # fmt: skip
    return kept


def _direction(light: CalibratedLight) -> tuple[float, float, float] | None:
    if light.kind == "diffuse":
        return None
    x, y, z = light.unit_direction()
    return round(x, 5), round(y, 5), round(z, 5)


def strengths_now(recipe: Recipe, calibration: Calibration) -> dict[str, float]:
    """Per light name: the level of a frame now over its level at training time, for the same part.

    The ratio covers the lamp, and the exposure, brightness and gain, which an operator may have changed since. Lamps
    are compared by the white plane where both calibrations measured it: this covers the diffuse light and the camera's
    aperture too. Otherwise they are compared by intensity, which covers the directional lights among themselves alone.
    """
    now = reference_lights(calibration, recipe.lights, recipe.capture.gain_db)
    then = recipe.reference_lights or now
    return {n: strength * _use(now[n], then[n]) for n, strength in _lamps(now, then).items()}


def _lamps(now: Mapping[str, ReferenceLight], then: Mapping[str, ReferenceLight]) -> dict[str, float]:
    plane = {n: (now[n].plane_level_per_ms, then[n].plane_level_per_ms) for n in now}
    known = {n: a / b for n, (a, b) in plane.items() if a is not None and b is not None}
    if len(known) == len(now):
        return known
    return {n: now[n].relative_intensity / then[n].relative_intensity for n in now}


def _use(now: ReferenceLight, then: ReferenceLight) -> float:
    """Exposure x brightness x gain, now over then. Values that the recipe did not record are taken as unchanged."""
    ratio = 1.0
    for a, b in ((now.exposure_us, then.exposure_us), (now.brightness, then.brightness)):
        if a is not None and b is not None:
            ratio *= a / b
    if now.gain_db is not None and then.gain_db is not None:
        ratio *= 10 ** ((now.gain_db - then.gain_db) / 20)
    return ratio


def exposure_ratios(recipe: Recipe, frames: Mapping[str, Frame]) -> dict[str, float]:
    """Per light name: the exposure of its frame over the recipe's; 1 but for a view that was looked at again."""
    exposures_us = {light.name: light.exposure_us for light in recipe.lights}
    return {name: _ratio(frame.exposure_us, exposures_us[name]) for name, frame in frames.items()}


def _ratio(taken_us: float, asked_us: float) -> float:
    is_same = abs(taken_us - asked_us) <= SAME_EXPOSURE_US + SAME_EXPOSURE * asked_us
    return 1.0 if is_same else taken_us / asked_us


def with_use(recipe: Recipe) -> dict[str, ReferenceLight]:
    """The recipe's reference lights; missing exposures, brightnesses and gains are taken from the recipe."""
    kept = dict(recipe.reference_lights)
    for light in recipe.lights:
        now = {"exposure_us": light.exposure_us, "brightness": light.brightness, "gain_db": recipe.capture.gain_db}
        then = kept[light.name]
        kept[light.name] = then.model_copy(update={n: v for n, v in now.items() if getattr(then, n) is None})
    return kept


def expected_levels(levels: Mapping[str, float], strengths: Mapping[str, float]) -> dict[str, float]:
    """A view's reference levels (shares of full scale, per light) times the lights' strengths."""
    return {name: level * strengths[name] for name, level in levels.items()}


def moved_lights(recipe: Recipe, calibration: Calibration) -> dict[str, float]:
    """Light name -> degrees between its direction now and at training time, where that is more than MOVED_DEG."""
    now = reference_lights(calibration, recipe.lights, recipe.capture.gain_db)
    angles = {name: _apart_deg(now[name], then) for name, then in recipe.reference_lights.items()}
    return {name: angle for name, angle in angles.items() if angle > MOVED_DEG}


def _apart_deg(a: ReferenceLight, b: ReferenceLight) -> float:
    if a.direction is None or b.direction is None:
        return 0.0
    u, v = (np.asarray(d, np.float64) / np.linalg.norm(d) for d in (a.direction, b.direction))
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(u, v)), u @ v)))
