"""From a calibration record to the light model with which photometric stereo solves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from calibration.record import Calibration
from station.photometric_stereo.lights import DirectionalLights, LightModel, PointLights


def directional_channels(calibration: Calibration) -> tuple[int, ...]:
    """The channels of all directional lights, in the record's order."""
    return tuple(light.channel for light in calibration.lights if light.kind == "directional")


def light_model(
    calibration: Calibration,
    channels: Sequence[int],
    binning: int,
    *,
    names: Sequence[str] | None = None,
    brightness: NDArray[np.float64] | float = 1.0,
) -> LightModel:
    """The lights of these channels, on the pixel grid of pictures of that binning.

    `brightness`, one value or (K,), is what the light controller is set to, 0..1. The model is one of near point lights
    where the calibration knows every light's position, else one of directions. Raises KeyError for an unknown channel.
    """
    chosen = [calibration.light(channel) for channel in channels]
    called = tuple(names or (light.name for light in chosen))
    intensities = calibration.intensities(channels) * brightness
    positions = calibration.positions_mm(channels)
    if positions is None:
        return DirectionalLights(called, calibration.directions(channels), intensities)
    lobes = [light.lobe_exponent for light in chosen if light.lobe_exponent is not None]
    return PointLights(
        called, positions, intensities, calibration.mm_per_px(binning), calibration.center_px(binning),
        lobe_exponent=float(np.mean(lobes)) if lobes else 0.0,
    )  # fmt: skip
