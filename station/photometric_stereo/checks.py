"""Checks of normals: their errors against truth, and the residual of each light.

Relighting compares each frame with what the normals predict of it; leave-one-out predicts it from the other lights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivers.protocols import Frame
from station.photometric_stereo.flat_field import FlatField
from station.photometric_stereo.lights import LightModel, light_vectors, mosaic_intensities
from station.photometric_stereo.normal_map import NormalMap, PackedNormalMap
from station.photometric_stereo.radiometry import grey_frame, reciprocal_signals, saturation_limit_dn
from station.photometric_stereo.reference import shared, solve_tile
from station.photometric_stereo.settings import SolverSettings
from station.photometric_stereo.spread import spread_pixels

SHADOW_OF_ALBEDO = 0.08  # a light predicted darker than this on a pixel is not judged by it
JUDGED_OF_ALBEDO = 0.25  # below it a light grazes, and a fixed error of height looks like one of the light
FEWEST_JUDGED = 20  # pixels
SAMPLES = 20_000  # pixels that the leave-one-out check solves; their medians are known to 1 or 2 %


@dataclass(frozen=True)
class AngularErrors:
    """How far normals lie from the truth, over the pixels where both are known."""

    pixels: int
    mean_deg: float
    median_deg: float
    p95_deg: float
    share_above_5_deg: float


def angular_error_map(normals: NDArray[np.float32], truth: NDArray[np.float64]) -> NDArray[np.float64]:
    """(H, W) degrees between two (3, H, W) maps of unit normals; NaN where either is 0 0 0.

    atan2 of cross and dot: arccos loses all digits near 0 degrees.
    """
    a, b = normals.astype(np.float64), truth
    cross = np.linalg.norm(np.cross(a, b, axis=0), axis=0)
    dot = (a * b).sum(axis=0)
    known = (np.abs(a).sum(axis=0) > 0) & (np.abs(b).sum(axis=0) > 0)
    return np.where(known, np.rad2deg(np.arctan2(cross, dot)), np.nan)


def angular_errors(error_deg: NDArray[np.float64]) -> AngularErrors | None:
    """Figures of an error map in degrees, over its finite pixels; None where it has none."""
    known = error_deg[np.isfinite(error_deg)]
    if known.size == 0:
        return None
    return AngularErrors(
        pixels=int(known.size),
        mean_deg=float(known.mean()),
        median_deg=float(np.median(known)),
        p95_deg=float(np.percentile(known, 95)),
        share_above_5_deg=float((known > 5).mean()),
    )


def relighting_residuals(
    frames: Sequence[Frame],
    lights: LightModel,
    normal_map: NormalMap | PackedNormalMap,
    *,
    stride: int | None = None,
    flat_field: FlatField | None = None,
) -> dict[str, float]:
    """Per light, median |I - L g| over mean I, over observable pixels that the light should light.

    `frames` are in the lights' order. Where a frame is darker on the whole than its prediction, the
    prediction's mean divides instead: a dead light has residual 1. Every `stride`-th pixel counts (default:
    enough for 200,000 or more). NaN for a light without any such pixel.
    """
    step = stride or max(1, int(np.sqrt(normal_map.albedo.size / 200_000)))
    at = np.s_[::step, ::step]
    rows, columns = (np.arange(0, size, step) for size in normal_map.albedo.shape)
    x, y = columns[None, :].astype(np.float64), rows[:, None].astype(np.float64)
    directions, strengths = light_vectors(lights, x, y)
    if flat_field is not None:
        strengths = strengths * flat_field.at(x, y)
    thinned = normal_map.thinned(step).unpacked()
    g = thinned.normals.astype(np.float64) * thinned.albedo
    signals = reciprocal_signals(frames)
    phases = (rows & 1)[:, None], (columns & 1)[None, :]
    residuals = {}
    for k, frame in enumerate(map(grey_frame, frames)):
        scale = signals[k] / mosaic_intensities(lights)[k][phases] / strengths[..., k]
        seen = (frame.pixels[at] - frame.black_level_dn) * scale
        predicted = np.einsum("yxc,cyx->yx", directions[..., k, :], g)
        lit = thinned.observable & (predicted > SHADOW_OF_ALBEDO * thinned.albedo)
        lit &= frame.pixels[at] < saturation_limit_dn(frame, 0.99)
        residuals[lights.names[k]] = relative_residual(seen[lit], predicted[lit])
    return residuals


def leave_one_out_residuals(
    frames: Sequence[Frame],
    lights: LightModel,
    settings: SolverSettings,
    mask: NDArray[np.bool_] | None = None,
    *,
    flat_field: FlatField | None = None,
    samples: int = SAMPLES,
) -> dict[str, float]:
    """Per light: solve without it, predict p = max(0, L g), and give median |p - I| / mean(I) over lit pixels.

    A light far above the others has a wrong direction or strength, or is another light. With K = 4 the level rises
    but no light stands out; with K = 3 two lights are left, which decide nothing, and the residual is NaN. A light is
    judged where it meets the surface by JUDGED_OF_ALBEDO and more, on FEWEST_JUDGED pixels or more, else it is NaN
    too: a good light that grazed most of a part stood out by 8 to 10 times (renderings of a lever).
    """
    values, usable, directions = sampled_values(frames, lights, settings, mask, samples, flat_field=flat_field)
    count = len(values)
    if count < 4:
        return dict.fromkeys(lights.names, float("nan"))
    result = {}
    for k, name in enumerate(lights.names):
        rest = [j for j in range(count) if j != k]
        tile = solve_tile(values[rest], usable[rest], shared(directions)[..., rest, :], settings)
        predicted = np.maximum(np.einsum("nc,nc->n", directions[:, k], tile.g), 0)
        albedo = np.linalg.norm(tile.g, axis=1)
        least = max(JUDGED_OF_ALBEDO, settings.shadow_fraction)
        lit = tile.observable & usable[k] & (predicted > least * albedo)
        judged = lit.sum() >= FEWEST_JUDGED
        result[name] = relative_residual(values[k][lit], predicted[lit]) if judged else float("nan")
    return result


def relative_residual(seen: NDArray[np.float64], predicted: NDArray[np.float64]) -> float:
    """Median |I - p| over the mean of I, or of p where that is larger (so that a dead light has 1); NaN for nothing."""
    if seen.size == 0:
        return float("nan")
    return float(np.median(np.abs(seen - predicted)) / max(seen.mean(), predicted.mean()))


def sampled_values(
    frames: Sequence[Frame],
    lights: LightModel,
    settings: SolverSettings,
    mask: NDArray[np.bool_] | None = None,
    samples: int = SAMPLES,
    *,
    flat_field: FlatField | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    """Values (K, n) divided by the lights' strengths, which are usable (K, n), and directions (n, K, 3).

    About `samples` pixels are taken, evenly spread over the mask (default: the whole picture).
    """
    shape = frames[0].pixels.shape[:2]
    y, x = spread_pixels(np.broadcast_to(np.True_, shape) if mask is None else mask, samples)
    sample = sample_pixels(frames, lights, settings, y, x, flat_field=flat_field)
    return sample.values, sample.usable, sample.directions


@dataclass(frozen=True)
class Sampled:
    """Light at n chosen pixels."""

    values: NDArray[np.float64]  # (K, n) over each light's strength
    usable: NDArray[np.bool_]  # (K, n) False where saturated
    directions: NDArray[np.float64]  # (n, K, 3) unit vectors toward the lights
    scale: NDArray[np.float64]  # (K, n) that turned counts above black into values
    raw: NDArray[np.uint16]  # (K, n) counts
    x_px: NDArray[np.float64]  # (n,)
    y_px: NDArray[np.float64]


def sample_pixels(
    frames: Sequence[Frame],
    lights: LightModel,
    settings: SolverSettings,
    y: NDArray[np.intp],
    x: NDArray[np.intp],
    *,
    flat_field: FlatField | None = None,
) -> Sampled:
    """Signals, directions and saturation at the pixels y, x (n,); `frames` are in the lights' order."""
    grey = [grey_frame(f) for f in frames]
    at = x.astype(np.float64), y.astype(np.float64)
    directions, strengths = light_vectors(lights, *at)
    if flat_field is not None:
        strengths = strengths * flat_field.at(*at)
    raw = np.stack([f.pixels[y, x].astype(np.uint16) for f in grey])
    black = np.array([f.black_level_dn for f in grey])[:, None]
    scale = reciprocal_signals(grey)[:, None] / mosaic_intensities(lights)[:, y & 1, x & 1] / strengths.T
    usable = raw < saturation_limit_dn(grey[0], settings.saturation_fraction)
    return Sampled((raw - black) * scale, usable, np.asarray(directions), scale, raw, *at)
