"""What a factory does to a good part's raw frames and to the solver's inputs, each a small record with a name.

Frames are changed as the sensor would have given them: noise that a change takes away is added again (shot noise from
the level, and read noise, EMVA 1288), counts stay whole and in range, and a pixel at full scale stays there, because
nobody knows how much more light it got. A frame that is made brighter has a little more noise than the sensor's: what
was taken with less light cannot be made cleaner. A light whose direction is off changes no frame: the solver is told
another direction than the true one.

The same seed gives the same frames.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.special import ive

from calibration.record import CalibratedLight, vector_of
from drivers.protocols import Frame, Pixels
from station.photometric_stereo.uncertainty import QUANTISATION_VARIANCE_DN2, SensorNoise
from station.recipe.loaded import LoadedRecipe

Frames = Mapping[str, Frame]  # light -> frame of one view
# an ordinary day: what a recipe shall bear at least
DAY_LAMP, DAY_ALL_LAMPS, DAY_NOISE, DAY_BLUR_PX, DAY_TURN_DEG = 0.02, 0.05, 1.5, 0.5, 0.5
LEAST_KERNEL_WEIGHT = 1e-4  # of the largest


@dataclass(frozen=True, slots=True)
class Sensor:
    """What must be known of the camera: its noise, and capture pixels per pixel of the model's grid."""

    noise: SensorNoise
    grid_factor: int = 1


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to one frame: its light, the lens's Gaussian in pixels of the model's grid, the sensor's noise."""

    brightness: float = 1.0
    blur_px: float = 0.0
    noise: float = 1.0  # the standard deviation of every count over the sensor's, 1 or more

    def and_then(self, other: Change) -> Change:
        """Both."""
        blur_px = float(np.hypot(self.blur_px, other.blur_px))
        return Change(self.brightness * other.brightness, blur_px, self.noise * other.noise)


@dataclass(frozen=True, slots=True)
class Turn:
    """The solver is told a direction of `light` that is off by `degrees`, toward `azimuth_deg` around it."""

    light: str
    degrees: float
    azimuth_deg: float = 0.0


class Disturbance(Protocol):
    """What is wrong, by name: with each light's frame, and with what the solver is told of the lights."""

    @property
    def name(self) -> str:
        """As tables and data sets show it."""

    def change(self, light: str) -> Change:
        """Of the frame under that light."""

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The lights whose direction the solver is told wrongly."""


@dataclass(frozen=True, slots=True)
class Everywhere:
    """The same change of every frame."""

    name: str
    of_all: Change = Change()
    turns: tuple[Turn, ...] = ()

    def change(self, light: str) -> Change:
        """Whatever the light."""
        del light
        return self.of_all


@dataclass(frozen=True, slots=True)
class OneLamp:
    """A change of the frames under one light."""

    name: str
    lamp: str
    of_lamp: Change
    turns: tuple[Turn, ...] = ()

    def change(self, light: str) -> Change:
        """None under the other lights."""
        return self.of_lamp if light == self.lamp else Change()


@dataclass(frozen=True, slots=True)
class Combined:
    """Several disturbances at once."""

    name: str
    parts: tuple[Disturbance, ...]

    def change(self, light: str) -> Change:
        """Those of all parts."""
        found = Change()
        for part in self.parts:
            found = found.and_then(part.change(light))
        return found

    @property
    def turns(self) -> tuple[Turn, ...]:
        """Those of all parts."""
        return tuple(turn for part in self.parts for turn in part.turns)


def nothing() -> Everywhere:
    """The frames as they were taken."""
    return Everywhere("plain")


def lamp_at(light: str, factor: float) -> OneLamp:
    """One lamp gives `factor` of its light."""
    return OneLamp(f"lamp {light} {factor - 1:+.0%}", light, Change(brightness=factor))


def all_lamps_at(factor: float) -> Everywhere:
    """Every lamp gives `factor` of its light."""
    return Everywhere(f"all lamps {factor - 1:+.0%}", Change(brightness=factor))


def exposure_at(factor: float) -> Everywhere:
    """The camera exposes `factor` times as long as it reports. Without ambient light it is what all lamps would do."""
    return Everywhere(f"exposure {factor - 1:+.0%}", Change(brightness=factor))


def noise_times(factor: float) -> Everywhere:
    """The standard deviation of every count is `factor` times the sensor's. Raises ValueError below 1."""
    if not factor >= 1:
        raise ValueError(f"noise x{factor:g}: frames cannot be made cleaner than they were taken; choose 1 or more")
    return Everywhere(f"noise x{factor:g}", Change(noise=factor))


def blurred_by(sigma_px: float) -> Everywhere:
    """The lens is out of focus by a Gaussian of `sigma_px` pixels of the model's grid."""
    return Everywhere(f"blur {sigma_px:g} px", Change(blur_px=sigma_px))


def light_turned(light: str, degrees: float, azimuth_deg: float = 0.0) -> Everywhere:
    """One light's direction is off."""
    return Everywhere(f"light {light} {degrees:g} deg", turns=(Turn(light, degrees, azimuth_deg),))


def ordinary_day(seed: int | Sequence[int], lights: Sequence[str], directional: Sequence[str]) -> Combined:
    """A random day within what is promised: each lamp +-2 %, all +-5 %, noise x1 to x1.5, blur to 0.5 px, 0.5 deg.

    `lights` are all of the recipe's, `directional` those whose direction the solver uses.
    """
    rng = np.random.default_rng(seed)

    def within(most: float) -> float:
        return float(most * rng.uniform(-1, 1))

    of_all = (all_lamps_at(1 + within(DAY_ALL_LAMPS)), noise_times(float(rng.uniform(1, DAY_NOISE))))
    lamps = tuple(lamp_at(light, 1 + within(DAY_LAMP)) for light in lights)
    turned = tuple(light_turned(light, abs(within(DAY_TURN_DEG)), within(180)) for light in directional)
    return Combined("ordinary-day", (*of_all, blurred_by(abs(within(DAY_BLUR_PX))), *lamps, *turned))


def seed_of(*words: str | int) -> list[int]:
    """The seed that belongs to these names and numbers, the same on every machine."""
    return [zlib.crc32(str(word).encode()) for word in words]


def disturbed_frames(
    disturbance: Disturbance, frames: Frames, sensor: Sensor, rng: np.random.Generator
) -> dict[str, Frame]:
    """The frames of one view under this disturbance; the given ones are not changed."""
    return {light: changed(frame, disturbance.change(light), sensor, rng) for light, frame in frames.items()}


def changed(frame: Frame, change: Change, sensor: Sensor, rng: np.random.Generator) -> Frame:
    """The frame as the sensor would have given it after this change; itself where nothing changes."""
    if change == Change():
        return frame
    signal = frame.pixels.astype(np.float32) - np.float32(frame.black_level_dn)
    kept = 1.0  # share of the noise's variance that the blur leaves
    if change.blur_px > 0:
        kept = _blur(signal, change.blur_px * sensor.grid_factor, is_mosaic=frame.pixel_format.startswith("Bayer"))
    f, noise = change.brightness, sensor.noise
    signal *= np.float32(f)
    # (dark + shot signal) noise^2 is wanted; of the frame's own noise kept (f^2 dark + f shot signal) is there
    dark = (noise.system_gain_dn_per_e * noise.dark_noise_e) ** 2 + QUANTISATION_VARIANCE_DN2
    dark_missing = dark * (change.noise**2 - kept * f**2) - QUANTISATION_VARIANCE_DN2  # rounding brings that much
    shot_missing = noise.system_gain_dn_per_e * (change.noise**2 - kept * f)
    missing = np.float32(dark_missing) + np.float32(shot_missing) * np.maximum(signal, 0)
    counts = rng.standard_normal(signal.shape, np.float32)
    counts *= np.sqrt(np.maximum(missing, 0))
    counts += signal + np.float32(frame.black_level_dn)
    counts = np.clip(np.rint(counts), 0, frame.full_scale_dn)
    whole: Pixels = counts.astype(np.uint8) if frame.pixels.dtype == np.uint8 else counts.astype(np.uint16)
    whole[frame.pixels >= frame.full_scale_dn] = frame.full_scale_dn
    return replace(frame, pixels=whole)


def _blur(signal: NDArray[np.float32], sigma_px: float, *, is_mosaic: bool) -> float:
    """Blur in place by a Gaussian of `sigma_px` pixels of the capture, on a mosaic each colour plane for itself.

    Returns the share of white noise's variance that is left.
    """
    kernel = blur_kernel(sigma_px / 2 if is_mosaic else sigma_px)
    step = 2 if is_mosaic else 1
    for y in range(step):
        for x in range(step):
            plane = np.ascontiguousarray(signal[y::step, x::step])
            signal[y::step, x::step] = cv2.sepFilter2D(plane, -1, kernel, kernel, borderType=cv2.BORDER_REFLECT_101)
    return float((kernel**2).sum()) ** 2


def blur_kernel(sigma_px: float) -> NDArray[np.float64]:
    """The discrete Gaussian exp(-t) I_n(t), t = sigma^2 (Lindeberg 1990): its variance is right for any sigma."""
    half = ive(np.arange(int(np.ceil(6 * sigma_px)) + 2), sigma_px**2)
    half = half[: int(np.count_nonzero(half >= LEAST_KERNEL_WEIGHT * half[0]))]
    kernel = np.concatenate([half[:0:-1], half])
    return np.asarray(kernel / kernel.sum(), np.float64)


def with_turned_lights(loaded: LoadedRecipe, turns: Sequence[Turn]) -> LoadedRecipe:
    """The recipe under a calibration whose lights are turned so; the same object where `turns` is empty.

    Raises KeyError for a light that the recipe does not have.
    """
    if not turns:
        return loaded
    channels = {light.name: light.channel for light in loaded.recipe.lights}
    of_channel = {channels[turn.light]: turn for turn in turns}
    lights = tuple(
        _turned(light, of_channel[light.channel]) if light.channel in of_channel else light
        for light in loaded.calibration.lights
    )
    return replace(loaded, calibration=loaded.calibration.model_copy(update={"lights": lights}))


def _turned(light: CalibratedLight, turn: Turn) -> CalibratedLight:
    """The light at the same distance in another direction."""
    field = "direction" if light.position_mm is None else "position_mm"
    at = np.array(getattr(light, field), np.float64)
    toward = at / np.linalg.norm(at)
    right = np.cross(toward, [0.0, 1.0, 0.0] if abs(toward[1]) < 0.9 else [1.0, 0.0, 0.0])
    right /= np.linalg.norm(right)
    azimuth, angle = np.radians(turn.azimuth_deg), np.radians(turn.degrees)
    aside = np.cos(azimuth) * right + np.sin(azimuth) * np.cross(toward, right)
    turned = np.linalg.norm(at) * (np.cos(angle) * toward + np.sin(angle) * aside)
    return light.model_copy(update={field: vector_of(turned)})
