"""Photon transfer after EMVA 1288: system gain, noise, saturation and linearity from pairs of evenly lit frames.

The variance of photon noise grows with the mean as K times the mean, so the slope of variance over mean is the gain K
in DN per electron, and all other figures follow in electrons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
LEAST_LEVELS = 6
LEAST_PIXELS = 10_000
FIT_SHARE = 0.7  # of saturation: EMVA 1288 fits the gain up to here
LINEAR_SHARES = (0.05, 0.95)
HIGH_PASS_PX = 11
MISFIT = 3.0  # reduced chi square above which the curve is no straight line


class SensorCalibrationError(ValueError):
    """Frames from which no gain can be measured; the text says what was found and what is needed."""


@dataclass(frozen=True)
class FramePair:
    """Two successive frames (H, W) of raw counts under the same even light, unbinned."""

    exposure_us: float
    first: NDArray[np.uint8] | NDArray[np.uint16]
    second: NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True)
class TransferPoint:
    """One level of light: mean and temporal variance, less those of the dark."""

    exposure_us: float
    mean_dn: float
    variance_dn2: float
    clipped_share: float


@dataclass(frozen=True)
class SensorCharacter:
    """The sensor's figures under the names of EMVA 1288; spreads are one sigma."""

    gain_dn_per_e: float  # K
    gain_spread: float
    read_noise_e: float  # temporal dark noise
    read_noise_spread_e: float
    black_level_dn: float
    saturation_dn: float  # above dark
    saturation_capacity_e: float
    dynamic_range_db: float
    snr_maximum_db: float
    linearity_error_percent: float  # mean absolute deviation from the fitted line, 5 to 95 % of saturation; may be NaN
    dsnu_e: float
    prnu_percent: float
    misfit: float  # reduced chi square of the photon transfer line
    points: tuple[TransferPoint, ...]
    flags: tuple[str, ...]

    def as_text(self) -> str:
        """The figures with 95 % intervals in a line, then the flags."""
        text = (
            f"K {self.gain_dn_per_e:.4f} +- {1.96 * self.gain_spread:.4f} DN/e-, read noise {self.read_noise_e:.2f} "
            f"e-, saturation {self.saturation_capacity_e:.0f} e-, linearity error "
            f"{self.linearity_error_percent:.3f} %"
        )
        return "\n".join([text, *(f"! {flag}" for flag in self.flags)])


def temporal_variance(first: NDArray[np.generic], second: NDArray[np.generic]) -> float:
    """Half the variance of the difference (EMVA 1288): fixed pattern and uneven light drop out."""
    difference = first.astype(np.float64) - second.astype(np.float64)
    return float(((difference - difference.mean()) ** 2).mean() / 2)


def photon_transfer(pairs: Sequence[FramePair], dark: FramePair, significant_bits: int) -> SensorCharacter:
    """Characterises a sensor from pairs at at least LEAST_LEVELS exposures and a dark pair.

    Flags what makes the figures doubtful. Raises SensorCalibrationError where they cannot be computed.
    """
    pixels = _check(pairs, dark)
    full_scale = 2**significant_bits - 1
    black = float((dark.first.mean() + dark.second.mean()) / 2)
    dark_variance = temporal_variance(dark.first, dark.second)
    points = tuple(_point(p, black, dark_variance, full_scale) for p in sorted(pairs, key=lambda p: p.exposure_us))
    usable, saturation_dn = _below_saturation(points, full_scale - black)
    mean = np.array([p.mean_dn for p in usable])
    variance = np.array([p.variance_dn2 for p in usable])
    # The variance of a variance of N normal deviates is 2 sigma^4 / N; the dark's own is common to all points.
    sigma = (variance + dark_variance) * np.sqrt(2 / pixels)
    gain = float((mean * variance / sigma**2).sum() / (mean**2 / sigma**2).sum())
    misfit = float((((variance - gain * mean) / sigma) ** 2).sum() / max(len(mean) - 1, 1))
    common = dark_variance * np.sqrt(2 / pixels) * float((mean / sigma**2).sum() / (mean**2 / sigma**2).sum())
    gain_spread = float(np.sqrt(max(misfit, 1.0) / (mean**2 / sigma**2).sum() + common**2))
    # EMVA 1288 subtracts the quantisation noise of 1/12 DN^2.
    own = max(dark_variance - 1 / 12, 0.0)
    read_e = float(np.sqrt(own) / gain)
    own_spread = dark_variance * np.sqrt(2 / pixels) / (2 * max(np.sqrt(own), 1e-6) * gain)
    linearity = _linearity_percent(points, saturation_dn)
    middle = min(points, key=lambda p: abs(p.mean_dn - saturation_dn / 2))
    capacity = saturation_dn / gain
    threshold = np.sqrt(dark_variance) / gain + 0.5
    return SensorCharacter(
        gain_dn_per_e=gain,
        gain_spread=gain_spread,
        read_noise_e=read_e,
        read_noise_spread_e=float(np.hypot(own_spread, read_e * gain_spread / gain)),
        black_level_dn=black,
        saturation_dn=saturation_dn,
        saturation_capacity_e=capacity,
        dynamic_range_db=float(20 * np.log10(capacity / threshold)),
        snr_maximum_db=float(10 * np.log10(capacity)),
        linearity_error_percent=linearity,
        dsnu_e=_pattern_dn(dark) / gain,
        prnu_percent=_response_percent(pairs, middle, dark),
        misfit=misfit,
        points=points,
        flags=_flags(misfit, linearity, points, full_scale, own),
    )


def _check(pairs: Sequence[FramePair], dark: FramePair) -> int:
    """The number of pixels of a frame. Raises SensorCalibrationError for too few levels or pixels, or unlike shapes."""
    if len(pairs) < LEAST_LEVELS:
        raise SensorCalibrationError(f"{len(pairs)} levels of light, at least {LEAST_LEVELS} are needed")
    shape = dark.first.shape
    for pair in (*pairs, dark):
        if pair.first.shape != shape or pair.second.shape != shape or len(shape) != 2:
            raise SensorCalibrationError(
                f"frames of {pair.exposure_us:g} us have shapes {pair.first.shape} and {pair.second.shape}, "
                f"the dark ones {shape}; all must be alike and grey"
            )
    pixels = int(np.prod(shape))
    if pixels < LEAST_PIXELS:
        raise SensorCalibrationError(f"frames of {pixels} pixels; at least {LEAST_PIXELS} are needed")
    return pixels


def _point(pair: FramePair, black: float, dark_variance: float, full_scale: int) -> TransferPoint:
    mean = float((pair.first.mean() + pair.second.mean()) / 2) - black
    clipped = float(((pair.first >= full_scale).mean() + (pair.second >= full_scale).mean()) / 2)
    return TransferPoint(pair.exposure_us, mean, temporal_variance(pair.first, pair.second) - dark_variance, clipped)


def _below_saturation(points: tuple[TransferPoint, ...], span_dn: float) -> tuple[list[TransferPoint], float]:
    """The points from which the gain is fitted, and the saturation level above dark.

    Saturation is where the variance is greatest or clipping begins; `span_dn` where no point reaches it.
    """
    best = max(range(len(points)), key=lambda i: points[i].variance_dn2)
    reached = best < len(points) - 1 or points[-1].clipped_share > 0.001
    saturation = max(p.mean_dn for p in points) if reached else span_dn
    usable = [p for p in points if 0 < p.mean_dn <= FIT_SHARE * saturation and p.clipped_share == 0]
    if len(usable) < LEAST_LEVELS - 2:
        raise SensorCalibrationError(
            f"only {len(usable)} levels lie between dark and {FIT_SHARE:.0%} of saturation; add short exposures"
        )
    return usable, saturation


def _linearity_percent(points: tuple[TransferPoint, ...], saturation_dn: float) -> float:
    """Mean relative deviation from the line through the levels of LINEAR_SHARES; NaN for fewer than three."""
    low, high = (share * saturation_dn for share in LINEAR_SHARES)
    used = [p for p in points if low <= p.mean_dn <= high and p.clipped_share == 0]
    if len(used) < 3:
        return float("nan")
    time = np.array([p.exposure_us for p in used])
    mean = np.array([p.mean_dn for p in used])
    # relative deviations count, so the fit is weighted by 1 / mean (EMVA 1288 release 4)
    slope, offset = np.linalg.lstsq(np.stack([time / mean, 1 / mean], 1), np.ones(len(mean)), rcond=None)[0]
    return float(100 * np.abs((mean - (slope * time + offset)) / (slope * time + offset)).mean())


def _pattern_dn(pair: FramePair) -> float:
    """Spatial deviation of the pixels' means, without slow changes over the picture and without temporal noise."""
    mean = (pair.first.astype(np.float32) + pair.second.astype(np.float32)) / 2
    fast = mean - cv2.boxFilter(mean, -1, (HIGH_PASS_PX, HIGH_PASS_PX))
    variance = float(fast.var()) / (1 - 1 / HIGH_PASS_PX**2)
    return float(np.sqrt(max(variance - temporal_variance(pair.first, pair.second) / 2, 0.0)))


def _response_percent(pairs: Sequence[FramePair], middle: TransferPoint, dark: FramePair) -> float:
    """PRNU: the pattern of the pair at half saturation, without that of the dark, over its mean."""
    pair = next(p for p in pairs if p.exposure_us == middle.exposure_us)
    pattern = _pattern_dn(pair) ** 2 - _pattern_dn(dark) ** 2
    return float(100 * np.sqrt(max(pattern, 0.0)) / middle.mean_dn)


def _flags(
    misfit: float, linearity: float, points: tuple[TransferPoint, ...], full_scale: int, own_variance: float
) -> tuple[str, ...]:
    """What makes the figures doubtful, each with the likely cause."""
    flags = []
    if misfit > MISFIT:
        flags.append(f"photon transfer is no straight line (misfit {misfit:.1f}): light or gain changed between frames")
    if linearity > 1.0:
        flags.append(f"linearity error {linearity:.1f} %: is gamma or a look-up table on?")
    if max(p.mean_dn for p in points) < 0.8 * full_scale:
        flags.append("saturation was not reached: take longer exposures as well")
    if own_variance <= 0.0:
        flags.append("dark noise under one step: read noise cannot be measured; use a finer pixel format or more gain")
    return tuple(flags)
