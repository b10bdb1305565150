"""Predicted error of each normal from the sensor's noise alone; no truth is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivers.protocols import Frame
from station.photometric_stereo.checks import Sampled, sample_pixels
from station.photometric_stereo.flat_field import FlatField
from station.photometric_stereo.lights import LightModel
from station.photometric_stereo.network import quantile_index
from station.photometric_stereo.normal_map import NormalMap, PackedNormalMap
from station.photometric_stereo.reference import predicted, weighted_products
from station.photometric_stereo.settings import SolverSettings
from station.photometric_stereo.spread import spread_pixels

QUANTISATION_VARIANCE_DN2 = 1 / 12
USUAL_SATURATION_E, USUAL_DARK_NOISE_E = 10_000.0, 5.0  # of a machine-vision sensor whose figures nobody measured
ROWS_AT_A_TIME, SAMPLES_AT_A_TIME = 16, 1 << 20  # a sample is one pixel under one light
SUMMARY_PIXELS = 1_500  # their median is known to 3 %
Z_68, Z_95 = 0.4677, 1.6449  # of the normal distribution, one-sided


@dataclass(frozen=True)
class SensorNoise:
    """EMVA 1288: var(DN) = system_gain^2 dark_noise^2 + 1/12 + system_gain (DN - black), at the frame's gain."""

    system_gain_dn_per_e: float
    dark_noise_e: float

    def variance_dn2(self, signal_dn: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of one pixel's count, given its signal above black."""
        dark = (self.system_gain_dn_per_e * self.dark_noise_e) ** 2 + QUANTISATION_VARIANCE_DN2
        return dark + self.system_gain_dn_per_e * np.maximum(signal_dn, 0)


@dataclass(frozen=True)
class Uncertainty:
    """Predicted error of the normals, every `stride`-th pixel; NaN where the normal is not observable."""

    rms_deg: NDArray[np.float32]  # (h, w) root of the expected squared angle
    p68_deg: NDArray[np.float32]  # (h, w) 68 % of errors are expected at or under this
    p95_deg: NDArray[np.float32]  # (h, w) 95 % of errors are expected at or under this
    condition: NDArray[np.float32]  # (h, w) tr(A) tr(A^-1) / 9 of the lights that counted
    stride: int


@dataclass(frozen=True)
class UncertaintySummary:
    """Over the observable pixels of a view: half of them, and 95 %, have an expected error (rms) under these."""

    median_deg: float
    p95_deg: float


def usual_noise(frame: Frame) -> SensorNoise:
    """Noise of a usual machine-vision sensor, for frames whose sensor is not calibrated.

    `frame` gives gain and full scale: 10,000 electrons fill it at 0 dB.
    """
    gain = frame.full_scale_dn / USUAL_SATURATION_E * 10 ** (frame.gain_db / 20)
    return SensorNoise(gain, USUAL_DARK_NOISE_E)


def predicted_uncertainty(
    frames: Sequence[Frame],
    lights: LightModel,
    normal_map: NormalMap | PackedNormalMap,
    noise: SensorNoise,
    settings: SolverSettings,
    *,
    stride: int = 4,
    flat_field: FlatField | None = None,
) -> Uncertainty:
    """From the covariance of weighted least squares, A^-1 (sum w sigma^2 l l^T) A^-1, on the tangent plane.

    Covers noise only: a wrong light model, gloss and interreflection come on top (relighting and leave-one-out
    residuals show those). Lights count as in `masked`; for `robust` with well-fitting lights that is the same.
    """
    height, width = normal_map.albedo.shape
    rows, columns = np.arange(0, height, stride), np.arange(0, width, stride)
    out = np.empty((4, len(rows), len(columns)), np.float32)
    at_a_time = min(max(SAMPLES_AT_A_TIME // (len(frames) * len(columns)), 1), ROWS_AT_A_TIME)
    for start in range(0, len(rows), at_a_time):
        block = rows[start : start + at_a_time]
        y, x = (a.ravel() for a in np.meshgrid(block, columns, indexing="ij"))
        found = _at(frames, lights, normal_map, noise, settings, y, x, flat_field)
        out[:, start : start + len(block)] = np.stack(found).reshape(4, len(block), len(columns))
    out[:3] = np.rad2deg(out[:3])
    return Uncertainty(out[0], out[1], out[2], out[3], stride)


def uncertainty_summary(
    frames: Sequence[Frame],
    lights: LightModel,
    normal_map: NormalMap | PackedNormalMap,
    noise: SensorNoise,
    settings: SolverSettings,
    *,
    flat_field: FlatField | None = None,
) -> UncertaintySummary | None:
    """Of SUMMARY_PIXELS observable pixels spread over the picture; a few milliseconds. None where there are none."""
    y, x = spread_pixels(normal_map.observable, SUMMARY_PIXELS)
    if y.size == 0:
        return None
    rms = np.rad2deg(_at(frames, lights, normal_map, noise, settings, y, x, flat_field)[0])
    return UncertaintySummary(float(np.nanmedian(rms)), float(np.nanpercentile(rms, 95)))


def _at(
    frames: Sequence[Frame],
    lights: LightModel,
    normal_map: NormalMap | PackedNormalMap,
    noise: SensorNoise,
    settings: SolverSettings,
    y: NDArray[np.intp],
    x: NDArray[np.intp],
    flat_field: FlatField | None,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """rms, 68 % and 95 % radius in radians, and the condition, at pixels (n,)."""
    sample = sample_pixels(frames, lights, settings, y, x, flat_field=flat_field)
    directions = sample.directions
    n, albedo = (values.astype(np.float64) for values in normal_map.at(y, x))
    counts = np.ones_like(sample.values) if settings.method == "ls" else _counts(sample, settings)
    signal = np.maximum(predicted(directions, n.T) * albedo, 0) / sample.scale
    variance = noise.variance_dn2(signal) * sample.scale**2
    matrix = weighted_products(counts, directions)
    scatter = weighted_products(counts * variance, directions)
    decided = np.linalg.det(matrix) > 1e-9 * np.trace(matrix, axis1=1, axis2=2) ** 3
    seen = normal_map.observable[y, x] & decided
    inverse = np.linalg.inv(np.where(seen[:, None, None], matrix, np.eye(3)))
    covariance = inverse @ scatter @ inverse
    tangent = np.eye(3) - np.einsum("cn,dn->ncd", n, n)
    on_plane = tangent @ covariance @ tangent / np.where(seen, albedo, np.nan)[:, None, None] ** 2
    trace = np.trace(on_plane, axis1=1, axis2=2)
    square = np.einsum("ncd,ndc->n", on_plane, on_plane)
    spread = np.trace(matrix, axis1=1, axis2=2) * np.trace(inverse, axis1=1, axis2=2) / 9
    return np.sqrt(trace), _radius(trace, square, Z_68), _radius(trace, square, Z_95), np.where(seen, spread, np.nan)


def _counts(sample: Sampled, settings: SolverSettings) -> NDArray[np.float64]:
    """(K, n): 1 where `masked` counts the light, else 0."""
    scale = np.sort(sample.values, axis=0)[quantile_index(len(sample.values))]
    return np.asarray(sample.usable & (sample.values > settings.shadow_fraction * scale), np.float64)


def _radius(trace: NDArray[np.float64], trace_of_square: NDArray[np.float64], z: float) -> NDArray[np.float64]:
    """Quantile of the length of a two-dimensional error that need not be round.

    Its square is close to c chi^2 with nu = tr^2 / tr(C^2) degrees of freedom, 1 to 2 (Satterthwaite), whose
    quantile is that of Wilson and Hilferty.
    """
    freedom = trace**2 / trace_of_square
    term = 2 / (9 * freedom)
    return np.asarray(np.sqrt(trace * np.maximum(1 - term + z * np.sqrt(term), 0) ** 3))
