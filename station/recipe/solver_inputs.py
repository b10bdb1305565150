"""From a recipe and its calibration to the lights, flat field and settings that photometric stereo solves with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from drivers.protocols import Frame
from station.photometric_stereo.flat_field import FlatField
from station.photometric_stereo.lights import LightModel, PointLights
from station.photometric_stereo.solve import SolverSettings
from station.photometric_stereo.uncertainty import SensorNoise, usual_noise
from station.recipe.calibrated_lights import light_model
from station.recipe.loaded import LoadedRecipe, Recipe


def solver_settings(recipe: Recipe) -> SolverSettings:
    """The method and shadow threshold of the first solution; a refinement brings its own method."""
    stereo = recipe.photometric_stereo
    return SolverSettings(method=stereo.method, shadow_fraction=stereo.shadow_fraction)


def lights_for(loaded: LoadedRecipe, view: str | None = None) -> LightModel:
    """The recipe's directional lights on the grid of its captures, brightness folded in.

    Near lights shine on a plane through the target point, or, for `view`, on the plane that lies `plane_height_mm` of
    that viewpoint above it. An error of 5 mm in height costs about 0.5 degrees at a light distance of 250 mm.
    """
    lights = loaded.recipe.directional_lights
    found = light_model(
        loaded.calibration, [light.channel for light in lights], loaded.recipe.capture.binning,
        names=[light.name for light in lights], brightness=np.array([light.brightness for light in lights]),
    )  # fmt: skip
    if view is None or not isinstance(found, PointLights):
        return found
    heights_mm = {v.name: v.plane_height_mm for v in loaded.recipe.viewpoints}
    return replace(found, plane_height_mm=heights_mm[view])


def noise_for(loaded: LoadedRecipe, frame: Frame) -> SensorNoise:
    """The sensor's noise (EMVA 1288) at the frame's gain, depth and binning.

    It is the calibrated noise, or that of a usual sensor where the calibration did not measure it.
    """
    binning = loaded.recipe.capture.binning
    sensor = loaded.calibration.sensor
    if sensor is None:
        usual = usual_noise(frame)
        return SensorNoise(usual.system_gain_dn_per_e / binning**2, usual.dark_noise_e * binning)
    bits = 8 if sensor.pixel_format.endswith("8") else 12
    gain = sensor.gain_dn_per_e * 10 ** ((frame.gain_db - sensor.gain_db) / 20) * frame.full_scale_dn / (2**bits - 1)
    # a binned pixel is the mean of binning^2 pixels, so the gain per electron falls by binning^2 and the dark noise,
    # counted in electrons of all of them, rises by binning
    return SensorNoise(gain / binning**2, sensor.read_noise_e * binning)


def flat_field_for(loaded: LoadedRecipe, shape: tuple[int, int]) -> FlatField | None:
    """The calibration's flat field on pictures of `shape` (H, W), one map per directional light; None without maps."""
    if loaded.flat_field is None:
        return None
    channels = [light.channel for light in loaded.recipe.directional_lights]
    return loaded.flat_field.flat_field(channels, loaded.recipe.capture.binning, shape)
