"""Normals of satin parts: the highlight under every light is predicted and subtracted, and the rest solved again.

A narrow highlight is an outlier of one light, and `robust` leaves it out. A broad one (turned metal, satin plastic)
lies in all frames at once, leaves nothing to leave out, and bends all normals. Two figures per product describe it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.protocols import Frame
from station.photometric_stereo.checks import Sampled, sample_pixels, sampled_values
from station.photometric_stereo.diffuse_base import (
    FEWEST_WITH_FIXTURE,
    LEAST_EXPLAINED_WITH_FIXTURE,
    diffuse_base,
    pooled,
)
from station.photometric_stereo.engine import default_engine, default_threads, shared_threads
from station.photometric_stereo.flat_field import FlatField
from station.photometric_stereo.lights import LightModel, PointLights
from station.photometric_stereo.network import quantile_index
from station.photometric_stereo.normal_map import NormalMap
from station.photometric_stereo.reference import Tile, solve_tile
from station.photometric_stereo.settings import PhotometricStereoError, SolverSettings

F64 = NDArray[np.float64]
ROUNDS = 10  # each leaves about 0.6 of the error: from 10 degrees to a few hundredths
BLOCK_PIXELS = 16_384
CLIPPED = 0.1  # of the albedo: a pixel that fits worse than this is of another material, and counts no more than that
MOST_MISSED = 0.06  # of the albedo, by the best gloss: with more, its normals stay 12 degrees wrong (measured metals)
FIT_PIXELS, BASE_PIXELS = 600, 2_000  # per view
FIT_ROUNDS, FIT_ROUNDS_TOLD = 80, 10  # at most; a line of progress after each ten
FIT_LIT_SHARE = 0.7  # of the lights must count on a pixel: a face that leans away loses one or two to its own horizon
BRIGHT_SHARE = 0.3  # of the 90 % quantile of the albedo: darker pixels (the fixture) do not describe the part


@dataclass(frozen=True)
class Gloss:
    """A part's highlight as that of a rough surface of microfacets (Trowbridge and Reitz, 1975; Smith's masking)."""

    of_albedo: float  # reflectance facing the light, over the diffuse albedo; 0 is matte
    roughness: float  # alpha, 0..1: 0.1 polished, 0.4 satin

    def __post_init__(self) -> None:
        if not 0 <= self.of_albedo <= 20:
            raise PhotometricStereoError(f"gloss: of_albedo is {self.of_albedo}, must be 0 to 20")
        if not 0.02 <= self.roughness <= 1:
            raise PhotometricStereoError(f"gloss: roughness is {self.roughness}, must be 0.02 to 1")

    def added(self, normals: F64, directions: F64, views: F64) -> F64:
        """(n, K): highlight over albedo, where a matte surface has n.l; normals, views (n, 3), directions (n, K, 3).

        Fresnel's rise is left out: camera and lights stand together, so no half angle is near grazing.
        """
        light = np.maximum(np.einsum("nc,nkc->nk", normals, directions), 0)
        view = np.maximum((normals * views).sum(axis=1), 1e-3)[:, None]
        half = directions + views[:, None]
        half /= np.linalg.norm(half, axis=2, keepdims=True)
        square = self.roughness**2
        spread = np.einsum("nc,nkc->nk", normals, half) ** 2 * (square - 1) + 1
        masking = light * np.sqrt(square + (1 - square) * view**2) + view * np.sqrt(square + (1 - square) * light**2)
        return np.asarray(self.of_albedo * light * 0.5 * square / (spread**2 * np.maximum(masking, 1e-6)))


@dataclass(frozen=True)
class GlossFit:
    """What `fit_gloss` found, and how much better it explains the frames than a matte surface (mean |I - model|)."""

    gloss: Gloss
    residual_of_albedo: float
    matte_residual_of_albedo: float


def without_gloss(
    frames: Sequence[Frame],
    lights: LightModel,
    normal_map: NormalMap,
    settings: SolverSettings,
    gloss: Gloss,
    *,
    camera_mm: float | None = None,
    flat_field: FlatField | None = None,
    threads: int | None = None,
) -> NormalMap:
    """A new map with the highlight taken off; `frames` in the lights' order, `normal_map` their first solution.

    `camera_mm` is the distance of the camera from the target point, far if None. Pixels that were not observable
    stay so. float64 in blocks, on as many `threads` (default: the cores of this process).
    """
    normals, albedo = normal_map.normals.copy(), normal_map.albedo.copy()
    lit_count, residual = normal_map.lit_count.copy(), normal_map.residual.copy()
    observable = normal_map.observable.copy()
    where = np.flatnonzero(normal_map.observable)

    def block(start: int) -> None:
        y, x = np.divmod(where[start : start + BLOCK_PIXELS], albedo.shape[1])
        sample = sample_pixels(frames, lights, settings, y, x, flat_field=flat_field)
        tile = _solved(sample, _views(lights, sample, camera_mm), settings, gloss)
        seen, length = tile.observable, np.linalg.norm(tile.g, axis=1)
        normals[:, y, x] = (tile.g / np.where(seen & (length > 0), length, np.inf)[:, None]).T
        albedo[y, x], residual[y, x] = length * seen, tile.residual
        lit_count[y, x], observable[y, x] = tile.lit_count, seen

    list(shared_threads(threads or default_threads()).map(block, range(0, where.size, BLOCK_PIXELS)))
    return NormalMap(normals, albedo, lit_count, residual, observable, normal_map.saturated.copy())


def warm_up_gloss() -> None:
    """Compile the kernel, or load it from the cache, once at start."""
    if default_engine() == "numba":
        nothing, x = np.zeros((3, 1)), np.zeros(1)
        sample = Sampled(nothing, nothing > 0, np.eye(3)[None], nothing, nothing.astype(np.uint16), x, x)
        solved_compiled(sample, np.array([[0.0, 0.0, 1.0]]), SolverSettings(), Gloss(0.1, 0.4))


def _solved(sample: Sampled, views: F64, settings: SolverSettings, gloss: Gloss) -> Tile:
    solved = solved_compiled if default_engine() == "numba" else solved_in_arrays
    return solved(sample, views, settings, gloss)


def solved_in_arrays(sample: Sampled, views: F64, settings: SolverSettings, gloss: Gloss) -> Tile:
    """Solve the pixels from what remains without the highlight, in float64 arrays."""
    inverse = _counted_inverse(sample, settings)
    taken = np.zeros_like(sample.values)  # (K, n)
    for _ in range(ROUNDS):
        g = np.einsum("nck,kn->nc", inverse, sample.values - taken)
        taken += 0.5 * (_highlight(g, sample, views, gloss) - taken)  # the whole step would overshoot
    return solve_tile(sample.values - taken, sample.usable, sample.directions, settings)


def solved_compiled(sample: Sampled, views: F64, settings: SolverSettings, gloss: Gloss) -> Tile:
    """`solved_in_arrays` by the compiled kernel; its condition is NaN, because the kernel does not return it."""
    from station.photometric_stereo.compiled.gloss import solve_glossy

    values, usable = np.ascontiguousarray(sample.values.T), np.ascontiguousarray(sample.usable.T)
    pixels, count = values.shape
    g, rms, taken = np.empty((pixels, 3)), np.empty(pixels), np.empty_like(values)
    number, observable = np.empty(pixels, np.int64), np.empty(pixels, np.bool_)
    worst = np.inf if settings.method == "ls" else settings.maximum_condition
    rules = (
        settings.method == "ls", quantile_index(count), settings.shadow_fraction, settings.dark_fraction, float(worst),
    )  # fmt: skip
    solve_glossy(
        values, usable, np.ascontiguousarray(sample.directions), views, gloss.of_albedo, gloss.roughness, ROUNDS,
        rules, g, number, rms, observable, taken,
    )  # fmt: skip
    if settings.method == "robust":
        return solve_tile((values - taken).T, sample.usable, sample.directions, settings)
    return Tile(g, number, rms, np.full(pixels, np.nan), observable)


def _counted_inverse(sample: Sampled, settings: SolverSettings) -> F64:
    """(n, 3, K): pseudo-inverse of the lights that count in the unchanged frames; 0 where they decide nothing."""
    weighted = sample.directions * _counted(sample, settings).T[:, :, None]
    matrix = np.einsum("nkc,nkd->ncd", weighted, sample.directions)
    decided = np.linalg.det(matrix) > 1e-9 * np.trace(matrix, axis1=1, axis2=2) ** 3
    solved = np.linalg.inv(np.where(decided[:, None, None], matrix, np.eye(3)))
    return np.asarray(np.einsum("ncd,nkd->nck", solved, weighted) * decided[:, None, None])


def _counted(sample: Sampled, settings: SolverSettings) -> F64:
    """(K, n): 1 where a light counts in the unchanged frames, else 0; under ls all count."""
    if settings.method == "ls":
        return np.ones_like(sample.values)
    scale = np.sort(sample.values, axis=0)[quantile_index(len(sample.values))]
    return np.asarray((sample.usable & (sample.values > settings.shadow_fraction * scale)).astype(np.float64))


def _highlight(g: F64, sample: Sampled, views: F64, gloss: Gloss) -> F64:
    """(K, n) of the values: albedo and highlight together fit them best, so that the highlight is not counted twice."""
    length = np.linalg.norm(g, axis=1)
    normals = g / np.where(length > 0, length, 1)[:, None]
    added = gloss.added(normals, sample.directions, views)
    model = np.maximum(np.einsum("nc,nkc->nk", normals, sample.directions), 0) + added
    counted = sample.usable.T * model
    albedo = (counted * sample.values.T).sum(axis=1) / np.maximum((counted * model).sum(axis=1), 1e-12)
    return np.asarray((np.maximum(albedo, 0)[:, None] * added).T)


def _views(lights: LightModel, sample: Sampled, camera_mm: float | None) -> F64:
    """(n, 3) unit vectors toward the camera."""
    views = np.zeros((len(sample.x_px), 3))
    views[:, 2] = 1
    if camera_mm is not None and isinstance(lights, PointLights):
        views[:, 0] = -(sample.x_px - lights.center_px[0]) * lights.mm_per_px / camera_mm
        views[:, 1] = -(lights.center_px[1] - sample.y_px) * lights.mm_per_px / camera_mm
    return np.asarray(views / np.linalg.norm(views, axis=1, keepdims=True))


@dataclass(frozen=True)
class GlossView:
    """One view of a good part, from which its gloss may be fitted: eight lights or more, all alike in exposure."""

    frames: Sequence[Frame]
    lights: LightModel
    normal_map: NormalMap
    camera_mm: float | None = None
    flat_field: FlatField | None = None


def fit_gloss(
    views: Sequence[GlossView], settings: SolverSettings, progress: Callable[[str], None] | None = None
) -> GlossFit:
    """The gloss that explains the frames of a good part best, from the frames alone: no truth is needed.

    Minimises the mean residual over the albedo, clipped, over pixels that most lights reach (Nelder and Mead). Every
    light would leave only the fixture on a rig whose lights stand so that each face of the part loses one.
    Raises PhotometricStereoError where fewer than 100 such pixels are left, and where even the best gloss misses the
    frames by more than MOST_MISSED: the surface has no diffuse base that a highlight could be added to.
    """
    from scipy.optimize import minimize

    _check_base(views, settings)
    samples = [(s, _views(v.lights, s, v.camera_mm)) for v in views for s in [_fit_sample(v, settings)]]
    count = sum(s.values.shape[1] for s, _ in samples)
    if count < 100:
        raise PhotometricStereoError(
            f"gloss: only {count} pixels are lit by {FIT_LIT_SHARE:.0%} of the lights; 100 are needed for a fit"
        )

    def cost(point: F64) -> float:
        gloss = Gloss(float(np.exp(min(point[0], 2.9))), float(np.clip(1 / (1 + np.exp(-point[1])), 0.02, 1)))
        return float(np.concatenate([_misfit(s, v, settings, gloss) for s, v in samples]).mean())

    rounds = itertools.count(1)

    def tell(intermediate_result: Any) -> None:
        done = next(rounds)
        if progress is not None and done % FIT_ROUNDS_TOLD == 0:
            residual = float(intermediate_result.fun)
            progress(f"fit: round {done} of at most {FIT_ROUNDS}, mean residual {residual:.4f} of the albedo")

    found = minimize(
        cost,
        [np.log(0.3), np.log(0.4 / 0.6)],
        method="Nelder-Mead",
        callback=tell,
        options={"xatol": 0.02, "fatol": 1e-6, "maxiter": FIT_ROUNDS},
    )
    gloss = Gloss(float(np.exp(min(found.x[0], 2.9))), float(np.clip(1 / (1 + np.exp(-found.x[1])), 0.02, 1)))
    matte = np.concatenate([_misfit(s, v, settings, Gloss(0.0, 1.0)) for s, v in samples]).mean()
    _check_applies(float(found.fun), float(matte), count)
    return GlossFit(gloss, float(found.fun), float(matte))


def _check_base(views: Sequence[GlossView], settings: SolverSettings) -> None:
    """Raises PhotometricStereoError where the views show much of a surface that no matte plane explains.

    The fit alone would take its pixels from a matte fixture, and find the fixture's gloss. With fewer lights than
    FEWEST_WITH_FIXTURE the fit's own misfit has to say it.
    """
    if any(len(v.frames) < FEWEST_WITH_FIXTURE for v in views):
        return
    bases = [
        diffuse_base(
            *sampled_values(
                v.frames, v.lights, settings, v.normal_map.observable, BASE_PIXELS, flat_field=v.flat_field
            ),
            settings,
        )
        for v in views
    ]  # fmt: skip
    base = pooled(bases)
    if base.explained_share is not None and base.explained_share < LEAST_EXPLAINED_WITH_FIXTURE:
        raise PhotometricStereoError(
            f"gloss: {base.text(LEAST_EXPLAINED_WITH_FIXTURE)}: this surface has no diffuse base, so gloss does not "
            "apply; leave `refine: gloss` out, and dull such a part before its normals are used"
        )


def _check_applies(missed: float, matte: float, pixels: int) -> None:
    """Raises PhotometricStereoError for metal."""
    if missed > MOST_MISSED:
        raise PhotometricStereoError(
            f"gloss: this surface has no diffuse base, so gloss does not apply: on {pixels} pixels the best gloss "
            f"misses the frames by {missed:.3f} of the albedo (limit {MOST_MISSED}), a matte surface by {matte:.3f}; "
            "leave `refine: gloss` out, and dull such a part before its normals are used"
        )


def _fit_sample(view: GlossView, settings: SolverSettings) -> Sampled:
    """Evenly spread bright pixels, FIT_PIXELS or a few more, under FIT_LIT_SHARE of the lights or more."""
    found = view.normal_map
    bright = found.observable & ~found.saturated
    if bright.any():
        bright &= found.albedo > BRIGHT_SHARE * np.quantile(found.albedo[bright], 0.9)
    bright &= found.lit_count >= max(4, round(FIT_LIT_SHARE * len(view.lights.names)))
    where = np.flatnonzero(bright)
    y, x = np.divmod(where[:: max(1, where.size // FIT_PIXELS)], found.albedo.shape[1])
    return sample_pixels(view.frames, view.lights, settings, y, x, flat_field=view.flat_field)


def _misfit(sample: Sampled, views: F64, settings: SolverSettings, gloss: Gloss) -> F64:
    """(n,) mean |I - model| over the albedo, CLIPPED at most, for these gloss figures."""
    g = _solved(sample, views, settings, gloss).g
    taken = _highlight(g, sample, views, gloss)
    shaded = np.maximum(np.einsum("nkc,nc->kn", sample.directions, g), 0)
    albedo = np.maximum(np.linalg.norm(g, axis=1), 1e-9)
    counted = _counted(sample, settings)
    missed = (counted * np.abs(sample.values - taken - shaded)).sum(axis=0) / np.maximum(counted.sum(axis=0), 1)
    return np.asarray(np.minimum(missed / albedo, CLIPPED))
