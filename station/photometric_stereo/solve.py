"""Photometric stereo of one view: frames in as they arrive, one tiled pass after the last one, normals out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from drivers.protocols import Frame, Pixels
from station.inspection import NormalMap
from station.photometric_stereo.checks import relative_residual
from station.photometric_stereo.flat_field import FlatField
from station.photometric_stereo.lights import (
    SEGMENT_PX,
    DirectionalLights,
    LightGeometryError,
    LightModel,
    PointLights,
    check_lights,
    knot_step_px,
    light_vectors,
    mosaic_intensities,
)
from station.photometric_stereo.network import comparators, quantile_index
from station.photometric_stereo.radiometry import grey_frame, reciprocal_signals, saturation_limit_dn
from station.photometric_stereo.reference import solve_tile
from station.photometric_stereo.settings import Method, PhotometricStereoError, SolverSettings

__all__ = [
    "DirectionalLights",
    "LightGeometryError",
    "Method",
    "PhotometricStereo",
    "PhotometricStereoError",
    "PointLights",
    "SolverSettings",
    "check_lights",
    "relighting_residuals",
    "warm_up",
]

MAXIMUM_LIGHTS = 32
SHADOW_OF_ALBEDO = 0.08  # a light predicted darker than this on a pixel is not judged by it
BLOCK_ROWS = 32  # what one thread takes at a time
Engine = Literal["numba", "numpy"]


def default_engine() -> Engine:
    """numba where it can be imported, else the numpy twin (slower, the same normals)."""
    try:
        import numba  # noqa: F401
    except ImportError:
        return "numpy"
    return "numba"


@cache
def _threads(count: int) -> ThreadPoolExecutor:
    """One pool for all solvers of the process: views are solved one after the other, and cores are few."""
    return ThreadPoolExecutor(count, thread_name_prefix="photometric-stereo")


@dataclass(frozen=True)
class _Radiometry:
    """What turns the ring's raw counts into light; see `kernels.solve_rows`."""

    black_dn: NDArray[np.float32]  # (K,)
    scale: NDArray[np.float32]  # (K, 2, 2) per DN
    limit_dn: np.uint16


class PhotometricStereo:
    """Solves the views of one light set at one picture size: `begin`, `add` each frame, `solve`.

    `flat_field` corrects each light over the picture, whatever its model. Holds the raw frames of one view.
    The maps that `solve` returns belong to the caller; hand them to `recycle` once nobody reads them any more and
    the next view is solved without touching fresh memory.
    Not thread-safe: one view at a time.
    """

    def __init__(
        self,
        lights: LightModel,
        shape: tuple[int, int],
        settings: SolverSettings | None = None,
        *,
        threads: int = 2,
        engine: Engine | None = None,
        flat_field: FlatField | None = None,
    ) -> None:
        self.condition = check_lights(lights)
        if len(lights.names) > MAXIMUM_LIGHTS:
            raise LightGeometryError(f"{len(lights.names)} lights given, at most {MAXIMUM_LIGHTS} can be solved")
        self.lights = lights
        self.shape = shape
        self.settings = settings or SolverSettings()
        self._engine: Engine = engine or default_engine()
        self._pool = _threads(threads)
        self._ring: NDArray[np.uint8] | NDArray[np.uint16] | None = None
        self._frames: dict[int, Frame] = {}
        self._spare: list[NormalMap] = []
        if flat_field is not None and len(flat_field.factors) != len(lights.names):
            raise PhotometricStereoError(f"flat field of {len(flat_field.factors)} lights for {len(lights.names)}")
        self._flat = flat_field
        self._near = isinstance(lights, PointLights) or flat_field is not None
        self._step_px = min(knot_step_px(lights), SEGMENT_PX if flat_field is None else flat_field.step_px)
        self._knots = (
            _knots(lights, shape, self._step_px, flat_field) if self._near else np.zeros((2, 2, 1, 7), np.float32)
        )
        self._directions = _at_center(lights, shape)

    def begin(self) -> None:
        """Forget the frames of the last view."""
        self._frames.clear()

    def add(self, index: int, frame: Frame) -> None:
        """Keep the frame taken under light `index`. Colour frames (H, W, 3) are folded to grey.

        Raises PhotometricStereoError if the light is unknown or was already there, or the frame has another size
        or depth than the rest of the view.
        """
        if not 0 <= index < len(self.lights.names):
            raise PhotometricStereoError(f"light {index} is unknown, there are {len(self.lights.names)} lights")
        name = self.lights.names[index]
        if index in self._frames:
            raise PhotometricStereoError(f"light {name!r} already has its frame in this view")
        grey = grey_frame(frame)
        if grey.pixels.shape != self.shape:
            raise PhotometricStereoError(f"light {name!r}: frame of {grey.pixels.shape}, expected {self.shape}")
        first = next(iter(self._frames.values()), grey)
        if (grey.pixel_format, grey.significant_bits) != (first.pixel_format, first.significant_bits):
            raise PhotometricStereoError(
                f"light {name!r}: frame of {grey.pixel_format} with {grey.significant_bits} bits among frames of "
                f"{first.pixel_format} with {first.significant_bits} bits"
            )
        ring = self._ring_for(grey)
        ring[index] = grey.pixels
        self._frames[index] = grey

    def solve(self) -> NormalMap:
        """Normals, albedo and quality of the view. Raises PhotometricStereoError naming lights without a frame."""
        missing = [name for k, name in enumerate(self.lights.names) if k not in self._frames]
        if missing or self._ring is None:
            raise PhotometricStereoError(f"no frame for light {', '.join(missing)}")
        frames = [self._frames[k] for k in range(len(self.lights.names))]
        radiometry = _radiometry(frames, self.lights, self.settings)
        result = self._spare.pop() if self._spare else _empty_map(self.shape)
        rows = (
            self._compiled_rows(radiometry, result) if self._engine == "numba" else self._plain_rows(radiometry, result)
        )
        starts = range(0, self.shape[0], BLOCK_ROWS)
        list(self._pool.map(rows, starts))
        return result

    def recycle(self, normal_map: NormalMap) -> None:
        """Take back a map that `solve` returned; its arrays will be overwritten by a later view."""
        if normal_map.albedo.shape != self.shape:
            raise PhotometricStereoError(f"map of {normal_map.albedo.shape} handed to a solver of {self.shape}")
        self._spare.append(normal_map)

    def _ring_for(self, frame: Frame) -> NDArray[np.uint8] | NDArray[np.uint16]:
        if self._ring is None or self._ring.dtype != frame.pixels.dtype:
            self._ring = np.empty((len(self.lights.names), *self.shape), frame.pixels.dtype)
        return self._ring

    def _compiled_rows(self, radiometry: _Radiometry, result: NormalMap) -> Callable[[int], None]:
        from station.photometric_stereo import kernels

        assert self._ring is not None
        s, count = self.settings, len(self.lights.names)
        network, quantile = comparators(count, quantile_index(count))
        directions = self._directions.astype(np.float32)
        inverse = np.linalg.pinv(self._directions).astype(np.float32)
        set_condition = np.float32(_spread(self._directions))
        limit = radiometry.limit_dn.astype(self._ring.dtype)
        out = (result.normals, result.albedo, result.lit_count, result.residual, result.observable)
        f32 = np.float32

        def rows(start: int) -> None:
            kernels.solve_rows(
                self._ring, start, min(start + BLOCK_ROWS, self.shape[0]),
                radiometry.black_dn, radiometry.scale, limit,
                directions, inverse, set_condition, self._knots, self._step_px, self._near, network, quantile,
                kernels.CODES[s.method], f32(s.shadow_fraction), f32(s.dark_fraction),
                f32(np.inf) if s.method == "ls" else f32(s.maximum_condition),
                s.iterations, f32(s.cauchy_fraction), result.saturated, out,
            )  # fmt: skip

        return rows

    def _plain_rows(self, radiometry: _Radiometry, result: NormalMap) -> Callable[[int], None]:
        def rows(start: int) -> None:
            for y in range(start, min(start + BLOCK_ROWS, self.shape[0])):
                self._plain_row(y, radiometry, result)

        return rows

    def _plain_row(self, y: int, radiometry: _Radiometry, result: NormalMap) -> None:
        assert self._ring is not None
        width = self.shape[1]
        raw = self._ring[:, y]
        scale = np.tile(radiometry.scale[:, y & 1].astype(np.float64), (width + 1) // 2)[:, :width]
        values = (raw - radiometry.black_dn[:, None].astype(np.float64)) * scale
        directions: NDArray[np.float64] = self._directions
        if self._near:
            at = np.arange(width, dtype=np.float64), np.full(1, y, np.float64)
            directions, strengths = light_vectors(self.lights, *at)
            if self._flat is not None:
                strengths = strengths * self._flat.at(*at)
            values = values / strengths.T
        usable = raw < radiometry.limit_dn
        tile = solve_tile(values, usable, directions, self.settings)
        length = np.linalg.norm(tile.g, axis=1) * tile.observable
        unit = tile.g * tile.observable[:, None] / np.where(length > 0, length, 1)[:, None]
        result.normals[:, y] = unit.T
        result.albedo[y] = length
        result.lit_count[y] = tile.lit_count
        result.residual[y] = tile.residual
        result.observable[y] = tile.observable
        result.saturated[y] = ~usable.all(axis=0)


def _empty_map(shape: tuple[int, int]) -> NormalMap:
    return NormalMap(
        normals=np.empty((3, *shape), np.float32),
        albedo=np.empty(shape, np.float32),
        lit_count=np.empty(shape, np.uint8),
        residual=np.empty(shape, np.float32),
        observable=np.empty(shape, np.bool_),
        saturated=np.empty(shape, np.bool_),
    )


def _radiometry(frames: Sequence[Frame], lights: LightModel, settings: SolverSettings) -> _Radiometry:
    scale = reciprocal_signals(frames)[:, None, None] / mosaic_intensities(lights)
    black = np.array([f.black_level_dn for f in frames], np.float32)
    limit = np.uint16(saturation_limit_dn(frames[0], settings.saturation_fraction))
    return _Radiometry(black, scale.astype(np.float32), limit)


def _spread(directions: NDArray[np.float64]) -> float:
    """tr(A) tr(A^-1) / 9 of A = L^T L."""
    matrix = directions.T @ directions
    return float(np.trace(matrix) * np.trace(np.linalg.inv(matrix)) / 9)


def _at_center(lights: LightModel, shape: tuple[int, int]) -> NDArray[np.float64]:
    center = lights.center_px if isinstance(lights, PointLights) else (shape[1] / 2, shape[0] / 2)
    directions, _ = light_vectors(lights, np.full(1, center[0]), np.full(1, center[1]))
    return np.ascontiguousarray(directions[0])


def _knots(
    lights: LightModel, shape: tuple[int, int], step_px: int, flat_field: FlatField | None
) -> NDArray[np.float32]:
    """(Y, X, K, 7): unit light vector, reciprocal strength, column of the pseudo-inverse; one knot beyond each edge."""
    y, x = (np.arange(0, size + step_px, step_px, dtype=np.float64) for size in shape)
    directions, strengths = light_vectors(lights, x[None, :], y[:, None])
    if flat_field is not None:
        strengths = strengths * flat_field.at(x[None, :], y[:, None])
    inverse = np.moveaxis(np.linalg.pinv(directions), -1, -2)
    return np.concatenate([directions, 1 / strengths[..., None], inverse], axis=-1).astype(np.float32)


def warm_up() -> None:
    """Compile, or load from the cache, every kernel that a cycle could need: once, before the first part."""
    lights = DirectionalLights(("a", "b", "c"), np.eye(3)[[0, 1, 2]], np.ones(3))
    pictures: tuple[Pixels, ...] = (np.ones((2, 2), np.uint8), np.ones((2, 2), np.uint16))
    for pixels in pictures:
        solver = PhotometricStereo(lights, (2, 2), threads=1)
        for k in range(3):
            solver.add(k, Frame(pixels, "Mono", 8, 0.0, 1.0, 0.0, 0, k))
        solver.solve()


def relighting_residuals(
    frames: Sequence[Frame],
    lights: LightModel,
    normal_map: NormalMap,
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
    g = normal_map.normals[:, *at].astype(np.float64) * normal_map.albedo[at]
    signals = reciprocal_signals(frames)
    phases = (rows & 1)[:, None], (columns & 1)[None, :]
    residuals = {}
    for k, frame in enumerate(map(grey_frame, frames)):
        scale = signals[k] / mosaic_intensities(lights)[k][phases] / strengths[..., k]
        seen = (frame.pixels[at] - frame.black_level_dn) * scale
        predicted = np.einsum("yxc,cyx->yx", directions[..., k, :], g)
        lit = normal_map.observable[at] & (predicted > SHADOW_OF_ALBEDO * normal_map.albedo[at])
        lit &= frame.pixels[at] < saturation_limit_dn(frame, 0.99)
        residuals[lights.names[k]] = relative_residual(seen[lit], predicted[lit])
    return residuals
