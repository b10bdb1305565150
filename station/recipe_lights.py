"""From a recipe and its calibration to the lights, flat field and settings that photometric stereo solves with."""

from __future__ import annotations

import numpy as np

from station.calibrated_lights import light_model
from station.photometric_stereo.flat_field import FlatField
from station.photometric_stereo.lights import LightModel
from station.photometric_stereo.solve import SolverSettings
from station.recipe import LoadedRecipe, Recipe


def solver_settings(recipe: Recipe) -> SolverSettings:
    stereo = recipe.photometric_stereo
    return SolverSettings(method=stereo.method, shadow_fraction=stereo.shadow_fraction)


def lights_for(loaded: LoadedRecipe) -> LightModel:
    """The recipe's directional lights on the grid of its captures, brightness folded in."""
    lights = loaded.recipe.directional_lights
    return light_model(
        loaded.calibration, [light.channel for light in lights], loaded.recipe.capture.binning,
        names=[light.name for light in lights], brightness=np.array([light.brightness for light in lights]),
    )  # fmt: skip


def flat_field_for(loaded: LoadedRecipe, shape: tuple[int, int]) -> FlatField | None:
    """The calibration's flat field for pictures (H, W); None where it holds none."""
    if loaded.flat_field is None:
        return None
    channels = [light.channel for light in loaded.recipe.directional_lights]
    return loaded.flat_field.flat_field(channels, loaded.recipe.capture.binning, shape)
