"""The lights that ride on the camera head: where they stand, how strong they are, how far from nominal.

Head coordinates: mm from the target point at the working distance, x right, y up, z toward the camera.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

WORKING_DISTANCE_MM = 250.0
LIGHT_DISTANCE_MM = 250.0
SLANT_DEG = 40.0
DIRECTIONAL_CHANNELS = tuple(range(1, 9))
DIFFUSE_CHANNEL = 9


@dataclass(frozen=True, slots=True)
class Light:
    """One channel. position_mm: x right, y up, z toward the camera, from the target point at 250 mm."""

    channel: int
    position_mm: tuple[float, float, float]
    power: float = 1.0  # relative to nominal
    lobe: float = 1.0  # exponent of the LED's cosine lobe, which points at the target point
    is_dome: bool = False


@dataclass(frozen=True)
class LightHead:
    """All lights of the head by channel."""

    lights: tuple[Light, ...]

    def light(self, channel: int) -> Light:
        """Raises ValueError if the head has no such channel."""
        for light in self.lights:
            if light.channel == channel:
                return light
        raise ValueError(f"light head: no channel {channel}; there are {[light.channel for light in self.lights]}")

    @classmethod
    def nominal(cls) -> LightHead:
        """Channels 1..8 at azimuth 0, 45, ... 315 degrees (0 right, 90 up), slant 40; channel 9 diffuse."""
        ring = [Light(k, position(45.0 * (k - 1), SLANT_DEG, LIGHT_DISTANCE_MM)) for k in DIRECTIONAL_CHANNELS]
        return cls((*ring, Light(DIFFUSE_CHANNEL, (0.0, 0.0, WORKING_DISTANCE_MM), is_dome=True)))

    @classmethod
    def toleranced(cls, seed: int, direction_deg: float = 0.5, intensity_percent: float = 1.0) -> LightHead:
        """A head as built: each light's direction and intensity off by a normal draw of that spread."""
        rng = np.random.default_rng([seed, 41])
        lights = []
        for light in cls.nominal().lights:
            tilt = np.radians(rng.normal(0.0, direction_deg, 2)) * LIGHT_DISTANCE_MM
            power = light.power * (1.0 + 0.01 * float(rng.normal(0.0, intensity_percent)))
            moved = light.position_mm if light.is_dome else _shifted(light.position_mm, float(tilt[0]), float(tilt[1]))
            lights.append(replace(light, position_mm=moved, power=power))
        return cls(tuple(lights))


def position(azimuth_deg: float, slant_deg: float, distance_mm: float) -> tuple[float, float, float]:
    """A point in head coordinates; azimuth 0 is right and 90 up, slant is measured from the optical axis."""
    a, s = math.radians(azimuth_deg), math.radians(slant_deg)
    return (
        distance_mm * math.sin(s) * math.cos(a),
        distance_mm * math.sin(s) * math.sin(a),
        distance_mm * math.cos(s),
    )


def _shifted(p: tuple[float, float, float], along_mm: float, across_mm: float) -> tuple[float, float, float]:
    """`p` moved by two distances at right angles to the line of sight from the target."""
    line = np.asarray(p) / np.linalg.norm(p)
    side = np.cross(line, (0.0, 0.0, 1.0))
    side /= np.linalg.norm(side)
    moved = np.asarray(p) + along_mm * np.cross(side, line) + across_mm * side
    return (float(moved[0]), float(moved[1]), float(moved[2]))
