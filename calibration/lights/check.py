"""Faults of a set of lights: estimates that disagree, a table with wrong directions, an arrangement that is poor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from calibration.camera_model import F64
from calibration.lights.rays import angle_deg, unit

OUTLIER_RATIO = 2.5  # of the median light
LEAST_DISAGREEMENT_DEG = 1.0
LEFT_OUT_RATIO = 1.8
FEWEST_FOR_STRENGTHS = 4  # see `intensities_from_part`
TABLE_TOLERANCE_DEG = 3.0
SIGMAS = 3.0
BEST_SLANT_DEG = 54.7  # where a ring's L^T L is a multiple of the identity
POOR_CONDITION, FLAT_CONDITION = 10.0, 1000.0


def disagreements(first: F64, second: F64) -> tuple[F64, list[str | None]]:
    """Angles (K,) between two independent estimates (K, 3) of each direction, and a flag for each light that stands
    out.
    """
    angles = angle_deg(unit(first), unit(second))
    flags: list[str | None] = []
    for k, angle in enumerate(angles):
        others = np.delete(angles, k)
        usual = float(np.median(others)) if len(others) else 0.0
        bad = angle > max(OUTLIER_RATIO * usual, LEAST_DISAGREEMENT_DEG)
        flags.append(
            f"two independent estimates disagree by {angle:.2f} degrees (the others by {usual:.2f}); measure again"
            if bad
            else None
        )
    return angles, flags


def table_faults(
    measured: F64, table: F64, spreads_deg: F64, names: Sequence[str], tolerance_deg: float = TABLE_TOLERANCE_DEG
) -> list[list[str]]:
    """The faults of a table of directions (K, 3), light by light, against measured directions (K, 3).

    Distinguishes two channels exchanged, the sphere's normal taken for the light (half the angle to the viewing axis)
    and a direction mirrored in the picture (left-right, up-down); anything else is given by its angle.
    """
    table, measured = unit(table), unit(measured)
    angles = angle_deg(measured, table)
    common = _common_turn(measured, table)
    limits = np.maximum(tolerance_deg, SIGMAS * np.sqrt(2) * spreads_deg)
    faults: list[list[str]] = [[] for _ in names]
    swapped = _exchanged(measured, table, limits)
    for k, angle in enumerate(angles):
        if angle <= limits[k]:
            continue
        if swapped[k] != k:
            faults[k].append(
                f"swapped channels: the table's direction of {names[swapped[k]]} fits ({angle:.1f} degrees off)"
            )
            continue
        faults[k].append(_kind_of_error(measured[k], table[k], float(angle), float(limits[k])))
    if all(faults) and common is not None:
        for k in range(len(names)):
            faults[k].append(common)
    return faults


def _kind_of_error(measured: F64, table: F64, angle: float, limit: float) -> str:
    """The known mistake that explains the table's direction, else the angle alone."""
    candidates = {
        "sphere's normal taken for the light: the table has half the slant": unit(measured + np.array([0.0, 0.0, 1.0])),
        "mirrored left-right in the table": measured * [-1.0, 1.0, 1.0],
        "mirrored up-down in the table": measured * [1.0, -1.0, 1.0],
        "points away from the light in the table (turned by 180 degrees)": measured * [-1.0, -1.0, 1.0],
    }
    misses = {text: float(angle_deg(table, vector)) for text, vector in candidates.items()}
    best = min(misses, key=lambda text: misses[text])
    if misses[best] < min(limit, 0.4 * angle):
        return f"{best} ({angle:.1f} degrees off)"
    return f"table and measurement differ by {angle:.1f} degrees"


def _common_turn(measured: F64, table: F64) -> str | None:
    """A flag where one rotation about the viewing axis explains a table that is wrong for all lights."""
    azimuth = np.arctan2(measured[:, 1], measured[:, 0]) - np.arctan2(table[:, 1], table[:, 0])
    mean = np.angle(np.exp(1j * azimuth).mean())
    cos, sin = np.cos(mean), np.sin(mean)
    turned = table @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    if float(np.median(angle_deg(measured, turned))) > TABLE_TOLERANCE_DEG:
        return None
    return f"all lights are turned by {np.degrees(mean):.0f} degrees about the viewing axis: camera or table rotated"


def _exchanged(measured: F64, table: F64, limits: F64) -> list[int]:
    """For each light the row of the table that fits it; itself unless an exchange makes the fit whole."""
    angles = angle_deg(measured[:, None, :], table[None, :, :])
    rows, columns = linear_sum_assignment(angles**2)
    best = dict(zip(rows.tolist(), columns.tolist(), strict=True))
    return [
        best[k] if best[k] != k and angles[k, best[k]] <= max(limits[k], 0.3 * angles[k, k]) else k
        for k in range(len(measured))
    ]


@dataclass(frozen=True)
class LeftOut:
    """How well the other lights predict each light."""

    residuals: F64  # (K,) median |predicted - seen| over the mean seen
    ratios: F64  # (K,) residuals over the median of the other lights
    flags: tuple[str | None, ...]


def leave_one_out(values: F64, directions: F64, strengths: F64) -> LeftOut:
    """Predicts each light's picture of N matte points from those under all other lights.

    `values` (K, N) are brightnesses with the dark level taken off. Points in a light's shadow are left out by their
    level. Naming the faulty light needs K >= 5: with four lights a point has one spare equation only. Fewer than four
    give NaN.
    """
    count = len(values)
    if count < 4:
        return LeftOut(np.full(count, np.nan), np.full(count, np.nan), (None,) * count)
    rows = directions * strengths[:, None]
    lit = values > 0.1 * np.quantile(values, 0.7, axis=0)
    residuals = np.full(count, np.nan)
    for k in range(count):
        others = np.arange(count) != k
        usable = lit.all(axis=0) if lit.all(axis=0).sum() >= 200 else (lit[others].sum(axis=0) >= 3) & lit[k]
        weights = lit[others][:, usable].astype(np.float64)
        predicted = _solve(rows[others], values[others][:, usable], weights) @ rows[k]
        seen = values[k, usable]
        if len(seen):
            residuals[k] = float(np.median(np.abs(np.maximum(predicted, 0) - seen)) / seen.mean())
    usual = np.array([np.nanmedian(np.delete(residuals, k)) for k in range(count)])
    ratios = residuals / np.maximum(usual, 1e-9)
    worst = int(np.nanargmax(ratios))
    flags: list[str | None] = [None] * count
    if count >= 5 and ratios[worst] > LEFT_OUT_RATIO and residuals[worst] > 0.005:
        flags[worst] = (
            f"inconsistent with the other lights: left-out residual {residuals[worst]:.3f}, "
            f"{ratios[worst]:.1f} times the others'"
        )
    return LeftOut(residuals, ratios, tuple(flags))


def _solve(rows: F64, values: F64, weights: F64) -> F64:
    """(N, 3) weighted least squares, one 3 x 3 system per point."""
    matrix = np.einsum("kn,ki,kj->nij", weights, rows, rows) + 1e-9 * np.eye(3)
    right = np.einsum("kn,ki,kn->ni", weights, rows, values)
    return np.asarray(np.linalg.solve(matrix, right[..., None])[..., 0], np.float64)


def intensities_from_part(values: F64, directions: F64, iterations: int = 30) -> F64:
    """(K,) relative strengths of mean 1, from matte points of unknown normals: values (K, N), directions (K, 3).

    Semi-calibrated photometric stereo: solves for the normals with the strengths held, then for the strengths with the
    normals held, in turn. The points need many different normals, because on a flat part strength and tilt look the
    same. NaN for fewer than 4 lights: three always explain a point.
    """
    if len(values) < FEWEST_FOR_STRENGTHS:
        return np.full(len(values), np.nan)
    strengths: F64 = np.asarray(values.mean(axis=1) / values.mean(), np.float64)
    lit = (values > 0.15 * np.quantile(values, 0.7, axis=0)).astype(np.float64)
    keep = lit.sum(axis=0) >= FEWEST_FOR_STRENGTHS
    seen, weights = values[:, keep], lit[:, keep]
    for _ in range(iterations):
        normals = _solve(directions * strengths[:, None], seen, weights)
        predicted = directions @ normals.T
        for k in range(len(values)):
            good = (predicted[k] > 0.5 * np.quantile(predicted[k], 0.98)) & (weights[k] > 0)
            strengths[k] = float(np.median(seen[k, good] / predicted[k, good]))
        strengths /= strengths.mean()
    return strengths


@dataclass(frozen=True)
class SetCondition:
    """How well the lights together determine a normal."""

    condition: float  # of L^T L
    weakest: F64  # (3,) unit: the component of a normal that they determine worst
    advice: tuple[str, ...]


def set_condition(directions: F64, names: Sequence[str]) -> SetCondition:
    """The condition of L^T L for directions (K, 3); where it is poor, also which light to move, and to where."""
    unit_directions = unit(directions)
    gram = unit_directions.T @ unit_directions
    values, vectors = np.linalg.eigh(gram)
    condition = float(values[-1] / max(values[0], 1e-12))
    if condition <= POOR_CONDITION:
        return SetCondition(condition, vectors[:, 0], ())
    slants = np.degrees(np.arccos(np.clip(unit_directions[:, 2], -1, 1)))
    best_k, best_to, best_value = 0, unit_directions[0], np.inf
    for k in range(len(names)):
        rest = gram - np.outer(unit_directions[k], unit_directions[k])
        for to in _candidate_directions():
            value = float(np.linalg.cond(rest + np.outer(to, to)))
            if value < best_value:
                best_k, best_to, best_value = k, to, value
    azimuth, slant = np.degrees(np.arctan2(best_to[1], best_to[0])) % 360, np.degrees(np.arccos(best_to[2]))
    advice = [
        f"condition {condition:.1f} of L^T L: move {names[best_k]} to azimuth {azimuth:.0f}, slant {slant:.0f} degrees "
        f"(condition {best_value:.1f})"
    ]
    if slants.max() < 35:
        advice.append(f"all lights stand within {slants.max():.0f} degrees of the viewing axis: lower the ring")
    return SetCondition(condition, vectors[:, 0], tuple(advice))


def _candidate_directions() -> F64:
    """(N, 3) unit directions, all round at three slants, to which a light might be moved."""
    azimuth, slant = np.meshgrid(np.radians(np.arange(0, 360, 15)), np.radians([30.0, 40.0, BEST_SLANT_DEG]))
    return np.stack([np.sin(slant) * np.cos(azimuth), np.sin(slant) * np.sin(azimuth), np.cos(slant)], axis=-1).reshape(
        -1, 3
    )
