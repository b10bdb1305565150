"""From a recipe and its calibration to the light model that photometric stereo solves with."""

from __future__ import annotations

import numpy as np

from station.photometric_stereo.lights import DirectionalLights, PointLights
from station.photometric_stereo.solve import SolverSettings
from station.recipe import LoadedRecipe, Recipe


def solver_settings(recipe: Recipe) -> SolverSettings:
    stereo = recipe.photometric_stereo
    return SolverSettings(method=stereo.method, shadow_fraction=stereo.shadow_fraction)


def lights_for(loaded: LoadedRecipe) -> PointLights | DirectionalLights:
    """The recipe's directional lights on the grid of its captures, brightness folded in.

    Near point lights where the calibration knows every light's position, else directions.
    """
    recipe, calibration = loaded.recipe, loaded.calibration
    lights = [light for light in recipe.lights if light.kind == "directional"]
    calibrated = [calibration.light(light.channel) for light in lights]
    names = tuple(light.name for light in lights)
    intensities = np.array(
        [c.relative_intensity * light.brightness for c, light in zip(calibrated, lights, strict=True)]
    )
    positions = [c.position_mm for c in calibrated]
    if all(p is not None for p in positions):
        binning = recipe.capture.binning
        centre = ((calibration.cx_px + 0.5) / binning - 0.5, (calibration.cy_px + 0.5) / binning - 0.5)
        return PointLights(
            names=names,
            positions_mm=np.array(positions, dtype=np.float64),
            intensities=intensities,
            mm_per_px=calibration.mm_per_px(binning),
            center_px=centre,
        )
    return DirectionalLights(
        names=names, directions=np.array([c.unit_direction() for c in calibrated]), intensities=intensities
    )
