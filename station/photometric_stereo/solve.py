"""Photometric stereo of one view: frames in as they arrive, one tiled pass after the last one, normals out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Literal

import numpy as np

from drivers.protocols import Frame, Pixels
from station.photometric_stereo.checks import relative_residual
from station.photometric_stereo.flat_field import FlatField
from station.photometric_stereo.heights import Height, HeightMap
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
from station.photometric_stereo.normal_map import NormalMap, PackedNormalMap
from station.photometric_stereo.radiometry import grey_frame, reciprocal_signals, saturation_limit_dn
from station.photometric_stereo.reference import plain_rows
from station.photometric_stereo.settings import Method, PhotometricStereoError, SolverSettings
from station.photometric_stereo.work import (
    DarkFrame,
    Maps,
    Region,
    Ring,
    Rows,
    Work,
    empty_map,
    empty_packed_map,
    empty_ring,
    padded,
    radiometry_of,
)

__all__ = [
    "DirectionalLights",
    "LightGeometryError",
    "Method",
    "PhotometricStereo",
    "PhotometricStereoError",
    "PointLights",
    "Region",
    "SolverSettings",
    "check_lights",
    "relighting_residuals",
    "warm_up",
]

MAXIMUM_LIGHTS = 32
SHADOW_OF_ALBEDO = 0.08  # a light predicted darker than this on a pixel is not judged by it
MOST_SPARE_MAPS = 4
BLOCK_PIXELS = 1 << 19  # what one thread takes at a time: a call costs some 50 us
Engine = Literal["numba", "numpy"]


def default_engine() -> Engine:
    """numba where it can be imported, else the numpy twin (slower, the same normals)."""
    try:
        import numba  # noqa: F401
    except ImportError:
        return "numpy"
    return "numba"


def default_threads() -> int:
    """As many as the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def shared_threads(count: int) -> ThreadPoolExecutor:
    """One pool for all that solves in the process: views are solved one after the other, and cores are few."""
    return ThreadPoolExecutor(count, thread_name_prefix="photometric-stereo")


class PhotometricStereo:
    """Solves the views of one light set at one picture size: `begin`, `add` each frame, `solve`.

    Frames may land in blocks of rows (`add_rows`); `solve_landed` then solves what is there under all lights, while
    the rest is on its way, and `solve` gives the same bits as if all had come at once.
    `flat_field` corrects each light over the picture, whatever its model. `dark_frame` (H, W), in DN at the frames'
    exposure, is subtracted from each pixel instead of the frames' black level. `threads` solve at a time (default:
    the cores of this process; fewer leave some to others, as onnxruntime). Holds the raw frames of one view.
    The maps that `solve` returns belong to the caller; hand them to `recycle` once nobody reads them any more and
    the next view is solved without touching fresh memory.
    A `packed` solver writes 16-bit maps, and `solve_packed` returns them instead of `solve`.
    Not thread-safe: one view at a time.
    """

    def __init__(
        self,
        lights: LightModel,
        shape: tuple[int, int],
        settings: SolverSettings | None = None,
        *,
        threads: int | None = None,
        engine: Engine | None = None,
        flat_field: FlatField | None = None,
        dark_frame: DarkFrame | None = None,
        packed: bool = False,
    ) -> None:
        self.condition = check_lights(lights)
        if len(lights.names) > MAXIMUM_LIGHTS:
            raise LightGeometryError(f"{len(lights.names)} lights given, at most {MAXIMUM_LIGHTS} can be solved")
        if flat_field is not None and len(flat_field.factors) != len(lights.names):
            raise PhotometricStereoError(f"flat field of {len(flat_field.factors)} lights for {len(lights.names)}")
        if threads is not None and threads < 1:
            raise PhotometricStereoError(f"{threads} threads cannot solve anything, give 1 or more")
        self.lights = lights
        self.shape = shape
        self.settings = settings or SolverSettings()
        self._engine: Engine = engine or default_engine()
        self._threads = threads or default_threads()
        self._pool = shared_threads(self._threads)
        self._flat_field = flat_field
        self._dark = None if dark_frame is None else _checked_dark(dark_frame, shape)
        self._step_px = _step_px(lights, flat_field)
        self._ring: Ring | None = None
        self._packed = packed
        self._spare: list[Maps] = []
        self._frames: dict[int, Frame] = {}
        self._landed = [0] * len(lights.names)  # rows
        self._work: Work | None = None
        self._solved = 0  # rows of the work's region
        self._region = Region(0, 0, *shape)
        self._height: Height | None = None

    def begin(self, region: Region | None = None, *, height: Height | None = None) -> None:
        """Forget the frames of the last view. Only `region` of the next one will be solved (default: all of it).

        Maps have the region's size, and cost what it holds. `height` is that of the part for near lights; far ones
        do not look at it. Raises PhotometricStereoError if the region leaves the picture or the height has another
        size.
        """
        if isinstance(height, HeightMap) and height.heights_mm.shape != self.shape:
            raise PhotometricStereoError(f"height map of {height.heights_mm.shape} for pictures of {self.shape}")
        self._height = height
        if region is not None:
            region.check(self.shape)
        self._region = region or Region(0, 0, *self.shape)
        self._frames.clear()
        self._landed = [0] * len(self.lights.names)
        self._work, self._solved = None, 0

    def add(self, index: int, frame: Frame) -> None:
        """Keep the frame taken under light `index`. Colour frames (H, W, 3) are folded to grey.

        Raises PhotometricStereoError if the light is unknown or was already there, or the frame has another size
        or depth than the rest of the view.
        """
        if frame.pixels.shape[:2] != self.shape and 0 <= index < len(self.lights.names):
            raise PhotometricStereoError(
                f"light {self.lights.names[index]!r}: frame of {frame.pixels.shape[:2]}, expected {self.shape}"
            )
        self.add_rows(index, frame, 0)

    def add_rows(self, index: int, block: Frame, top: int) -> None:
        """Keep rows of the frame under light `index`: `block` holds them from row `top` on, at full width.

        Blocks of a light come from the top down, without gaps. Raises PhotometricStereoError as `add` does.
        """
        if not 0 <= index < len(self.lights.names):
            raise PhotometricStereoError(f"light {index} is unknown, there are {len(self.lights.names)} lights")
        name, landed = self.lights.names[index], self._landed[index]
        grey = grey_frame(block)
        height, width = grey.pixels.shape
        if landed == self.shape[0]:
            raise PhotometricStereoError(f"light {name!r} already has its frame in this view")
        if top != landed or width != self.shape[1] or not 0 < height <= self.shape[0] - top:
            raise PhotometricStereoError(
                f"light {name!r}: rows {top}..{top + height} of {width} pixels, expected rows from {landed} on of a "
                f"frame of {self.shape}"
            )
        first = next(iter(self._frames.values()), grey)
        if (grey.pixel_format, grey.significant_bits) != (first.pixel_format, first.significant_bits):
            raise PhotometricStereoError(
                f"light {name!r}: frame of {grey.pixel_format} with {grey.significant_bits} bits among frames of "
                f"{first.pixel_format} with {first.significant_bits} bits"
            )
        self._ring_for(grey)[index, top : top + height, :width] = grey.pixels
        self._frames.setdefault(index, grey)
        self._landed[index] = top + height

    def solve_landed(self) -> int:
        """Solve the rows that have landed under every light and are not solved yet; how many of the region are."""
        if len(self._frames) < len(self.lights.names):
            return 0
        work = self._work_of_view()
        ready = min(max(min(self._landed) - work.region.top, 0), work.region.height)
        if ready > self._solved:
            self._solve_rows(work, self._solved, ready)
            self._solved = ready
        return self._solved

    def solve(self) -> NormalMap:
        """Normals, albedo and quality of the view. Raises PhotometricStereoError naming lights without a frame.

        The region's rows must have landed under all lights. A second call solves the same frames again.
        """
        found = self._solve()
        if not isinstance(found, NormalMap):
            raise PhotometricStereoError("this solver was made for 16-bit maps, call solve_packed")
        return found

    def solve_packed(self) -> PackedNormalMap:
        """The same in 16 bits, from a solver made with `packed`."""
        found = self._solve()
        if not isinstance(found, PackedNormalMap):
            raise PhotometricStereoError("this solver was made for float32 maps, call solve")
        return found

    def _solve(self) -> Maps:
        last = self._region.top + self._region.height
        missing = [name for name, landed in zip(self.lights.names, self._landed, strict=True) if landed < last]
        if missing:
            raise PhotometricStereoError(f"no frame for light {', '.join(missing)}")
        self.solve_landed()
        result = self._work_of_view().result
        self._work, self._solved = None, 0
        return result

    def recycle(self, normal_map: Maps) -> None:
        """Take back a map that this solver returned; its arrays will be overwritten by a later view."""
        if isinstance(normal_map, PackedNormalMap) != self._packed:
            raise PhotometricStereoError("the map is not of the kind that this solver makes")
        if normal_map.albedo.shape not in (self.shape, self._region.shape):
            raise PhotometricStereoError(f"map of {normal_map.albedo.shape} handed to a solver of {self.shape}")
        if len(self._spare) < MOST_SPARE_MAPS:
            self._spare.append(normal_map)

    def _ring_for(self, frame: Frame) -> Ring:
        if self._ring is None or self._ring.dtype != frame.pixels.dtype:
            self._ring = empty_ring(len(self.lights.names), self.shape, frame.pixels.dtype)
        return self._ring

    def _work_of_view(self) -> Work:
        if self._work is None:
            assert self._ring is not None
            frames = [self._frames[k] for k in range(len(self.lights.names))]
            self._work = Work(
                self.lights,
                self.settings,
                radiometry_of(frames, self.lights, self.settings),
                self._ring,
                self._region,
                self._map(self._region.shape),
                self._flat_field,
                self._dark,
                self._step_px,
                self._height,
            )
        return self._work

    def _map(self, shape: tuple[int, int]) -> Maps:
        self._spare = [spare for spare in self._spare if spare.albedo.shape == shape]
        if self._spare:
            return self._spare.pop()
        return empty_packed_map(shape) if self._packed else empty_map(shape)

    def _solve_rows(self, work: Work, first: int, last: int) -> None:
        rows = self._rows(work)
        block = max(1, min(BLOCK_PIXELS // work.region.width, -(-(last - first) // self._threads)))
        list(self._pool.map(lambda start: rows(start, min(start + block, last)), range(first, last, block)))

    def _rows(self, work: Work) -> Rows:
        if self._engine == "numpy":
            return plain_rows(work)
        from station.photometric_stereo.compiled import compiled_rows

        return compiled_rows(work)


def _step_px(lights: LightModel, flat_field: FlatField | None) -> int:
    """Between the knots of near light: a power of two, eight at least."""
    finest = min(knot_step_px(lights), SEGMENT_PX if flat_field is None else flat_field.step_px)
    return 1 << max(finest.bit_length() - 1, 3)


def _checked_dark(dark_frame: DarkFrame, shape: tuple[int, int]) -> DarkFrame:
    """A copy with rows padded as the ring's."""
    if dark_frame.shape != shape:
        raise PhotometricStereoError(f"dark frame of {dark_frame.shape} for pictures of {shape}")
    if dark_frame.dtype not in (np.uint8, np.uint16, np.float32):
        raise PhotometricStereoError(f"dark frame of {dark_frame.dtype}, expected uint8, uint16 or float32")
    if not np.isfinite(dark_frame).all():
        raise PhotometricStereoError("dark frame holds values that are not finite")
    copy = np.zeros(padded(shape), dark_frame.dtype)
    copy[:, : shape[1]] = dark_frame
    return copy


def warm_up(lights: LightModel | None = None, *, packed: bool = False) -> None:
    """Compile, or load from the cache, the kernels for these lights (default: three far ones), once at start.

    A kernel is made for a number of lights, far or near, a depth of frames (8 bits or 16), and float32 maps or packed.
    """
    lights = lights or DirectionalLights(("a", "b", "c"), np.eye(3), np.ones(3))
    pictures: tuple[Pixels, ...] = (np.ones((2, 2), np.uint8), np.ones((2, 2), np.uint16))
    for pixels in pictures:
        solver = PhotometricStereo(lights, (2, 2), threads=1, packed=packed)
        for k in range(len(lights.names)):
            solver.add(k, Frame(pixels, "Mono", 8, 0.0, 1.0, 0.0, 0, k))
        solver.solve_packed() if packed else solver.solve()


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
