"""How far a normal may be off because of the sensor's noise, pixel by pixel, before anything was compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivers.protocols import Frame
from station.inspection import NormalMap
from station.photometric_stereo.flat_field import FlatField
from station.photometric_stereo.lights import LightModel, light_vectors, mosaic_intensities
from station.photometric_stereo.network import quantile_index
from station.photometric_stereo.radiometry import grey_frame, reciprocal_signals, saturation_limit_dn
from station.photometric_stereo.settings import SolverSettings

QUANTISATION_VARIANCE_DN2 = 1 / 12


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
    p95_deg: NDArray[np.float32]  # (h, w) 95 % of errors are expected at or under this
    condition: NDArray[np.float32]  # (h, w) tr(A) tr(A^-1) / 9 of the lights that counted
    stride: int


def predicted_uncertainty(
    frames: Sequence[Frame],
    lights: LightModel,
    normal_map: NormalMap,
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
    rms, p95, spread = [], [], []
    for y in range(0, normal_map.albedo.shape[0], stride):
        row = _row(y, frames, lights, normal_map, noise, settings, stride, flat_field)
        rms.append(row[0])
        p95.append(row[1])
        spread.append(row[2])
    return Uncertainty(
        rms_deg=np.rad2deg(np.array(rms)).astype(np.float32),
        p95_deg=np.rad2deg(np.array(p95)).astype(np.float32),
        condition=np.array(spread).astype(np.float32),
        stride=stride,
    )


def _row(
    y: int,
    frames: Sequence[Frame],
    lights: LightModel,
    normal_map: NormalMap,
    noise: SensorNoise,
    settings: SolverSettings,
    stride: int,
    flat_field: FlatField | None,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    columns = np.arange(0, normal_map.albedo.shape[1], stride)
    x = columns.astype(np.float64)
    directions, strengths = light_vectors(lights, x, np.full(1, float(y)))
    if flat_field is not None:
        strengths = strengths * flat_field.at(x, np.full(1, float(y)))
    grey = [grey_frame(f) for f in frames]
    black = np.array([f.black_level_dn for f in grey])[:, None]
    raw = np.stack([f.pixels[y, columns].astype(np.float64) for f in grey])
    scale = reciprocal_signals(grey)[:, None] / mosaic_intensities(lights)[:, y & 1, columns & 1] / strengths.T
    n, albedo = normal_map.normals[:, y, columns].astype(np.float64), normal_map.albedo[y, columns].astype(np.float64)
    limit = saturation_limit_dn(grey[0], settings.saturation_fraction)
    counts = np.ones_like(raw) if settings.method == "ls" else _counts(raw, (raw - black) * scale, limit, settings)
    signal = np.maximum(np.einsum("nkc,cn->kn", directions, n) * albedo, 0) / scale
    variance = noise.variance_dn2(signal) * scale**2
    matrix = np.einsum("kn,nkc,nkd->ncd", counts, directions, directions, optimize=True)
    scatter = np.einsum("kn,nkc,nkd->ncd", counts * variance, directions, directions, optimize=True)
    seen = normal_map.observable[y, columns]
    inverse = np.linalg.inv(np.where(seen[:, None, None], matrix, np.eye(3)))
    covariance = inverse @ scatter @ inverse
    tangent = np.eye(3) - np.einsum("cn,dn->ncd", n, n)
    on_plane = tangent @ covariance @ tangent / np.where(seen, albedo, np.nan)[:, None, None] ** 2
    trace = np.trace(on_plane, axis1=1, axis2=2)
    spread = np.trace(matrix, axis1=1, axis2=2) * np.trace(inverse, axis1=1, axis2=2) / 9
    return np.sqrt(trace), _p95(trace, np.einsum("ncd,ndc->n", on_plane, on_plane)), np.where(seen, spread, np.nan)


def _counts(
    raw: NDArray[np.float64], values: NDArray[np.float64], limit: int, settings: SolverSettings
) -> NDArray[np.float64]:
    scale = np.sort(values, axis=0)[quantile_index(len(values))]
    return np.asarray((raw < limit) & (values > settings.shadow_fraction * scale), np.float64)


def _p95(trace: NDArray[np.float64], trace_of_square: NDArray[np.float64]) -> NDArray[np.float64]:
    """95 % radius of a two-dimensional error that need not be round.

    Its square is close to c chi^2 with nu = tr^2 / tr(C^2) degrees of freedom, 1 to 2 (Satterthwaite), whose
    quantile is that of Wilson and Hilferty.
    """
    freedom = trace**2 / trace_of_square
    term = 2 / (9 * freedom)
    return np.asarray(np.sqrt(trace * np.maximum(1 - term + 1.6449 * np.sqrt(term), 0) ** 3))
