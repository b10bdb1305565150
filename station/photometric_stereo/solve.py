"""Photometric stereo of one view: frames in as they arrive, one tiled pass after the last one, normals out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from math import lcm
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from drivers.protocols import Frame, Pixels
from station.photometric_stereo.checks import relighting_residuals
from station.photometric_stereo.engine import Engine, default_engine, default_threads, shared_threads
from station.photometric_stereo.flat_field import FlatField
from station.photometric_stereo.lights import (
    SEGMENT_PX,
    DirectionalLights,
    LightGeometryError,
    LightModel,
    PointLights,
    check_lights,
    knot_step_px,
)
from station.photometric_stereo.memory import DarkFrame, empty_map, empty_packed_map, padded
from station.photometric_stereo.normal_map import NormalMap, PackedNormalMap
from station.photometric_stereo.recycled import RecycledMemory
from station.photometric_stereo.reference import plain_band, plain_rows
from station.photometric_stereo.ring import FrameRing
from station.photometric_stereo.saturation import withdraw_clipped
from station.photometric_stereo.settings import Method, PhotometricStereoError, SolverSettings
from station.photometric_stereo.view_memory import ViewMemory
from station.photometric_stereo.work import Band, Maps, Region, Rows, Work, radiometry_of

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

MOST_SPARE_MAPS = 4  # of a kind
MOST_SPARE_PACKED = 2  # that nobody recycled, and nobody reads any more
BAND_ROWS = 128  # of 5472 pixels in float32: 16 MB a thread
BLOCK_PIXELS = 1 << 19  # what one thread takes at a time: a call costs some 50 us
M = TypeVar("M", NormalMap, PackedNormalMap)


class PhotometricStereo:
    """Solves the views of one light set at one picture size: `begin`, `add` each frame, `solve`.

    Frames may land in blocks of rows (`add_rows`); `solve_landed` then solves what is there under all lights, while
    the rest is on its way, and `solve` gives the same bits as if all had come at once. `solve_packed` writes the same
    view in 16 bits, as the archive stores it.

    `flat_field` corrects each light over the picture, whatever its model. `dark_frame` (H, W), in DN at the frames'
    exposure, is subtracted from each pixel instead of the frames' black level. `threads` solve at a time (default:
    the cores of this process; fewer leave some to others, such as onnxruntime).

    The ring holds the counts of one view until `begin`. Maps belong to the caller; hand them to `recycle` once nobody
    reads them any more, and the next view is solved without touching fresh memory. Not thread-safe: one view at a time.

    Raises LightGeometryError for lights that cannot decide a normal, PhotometricStereoError for a flat field, dark
    frame or number of threads that does not fit.
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
    ) -> None:
        check_lights(lights)
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
        self._ring = FrameRing(
            lights.names,
            shape,
            keeps_values=self.settings.method == "ls",
            saturation_fraction=self.settings.saturation_fraction,
        )
        self._spare: _Spare[NormalMap] = _Spare()
        self._spare_packed: _Spare[PackedNormalMap] = _Spare()
        self._packed_memory = RecycledMemory(MOST_SPARE_PACKED)
        self._spare_bands: _Spare[NormalMap] = _Spare()
        self._result: NormalMap | None = None  # of the current view, while its rows land
        self._work: Work | None = None
        self._solved = 0  # rows of the work's region
        self._region = Region(0, 0, *shape)

    def begin(self, region: Region | None = None, memory: ViewMemory | None = None) -> None:
        """Forget the frames of the last view. Only `region` of the next one will be solved (default: all of it).

        Frames that lie in `memory` are read there, and not copied; others are copied as ever.

        Maps have the region's size, and cost what it holds. Raises PhotometricStereoError if the region leaves the
        picture.
        """
        if region is not None:
            region.check(self.shape)
        self._region = region or Region(0, 0, *self.shape)
        self._ring.clear(memory)
        self._result, self._work, self._solved = None, None, 0

    def add(self, index: int, frame: Frame, clipped: NDArray[np.bool_] | None = None) -> None:
        """Copy the frame taken under light `index` into the ring. Colour frames (H, W, 3) are folded to grey.

        `clipped` (H, W) marks, in a frame that was folded before, pixels with a colour at full scale.
        Raises PhotometricStereoError if the light is unknown or was already there, or the frame has another size
        or depth than the rest of the view.
        """
        self._ring.add(index, frame, clipped)

    def add_rows(self, index: int, block: Frame, top: int) -> None:
        """Copy rows of the frame under light `index`: `block` holds them from row `top` on, at full width.

        Blocks of a light come from the top down, without gaps. Raises PhotometricStereoError as `add` does.
        """
        self._ring.add_rows(index, block, top)

    def solve_landed(self) -> int:
        """Solve the rows that have landed under every light and are not solved yet; how many of the region are."""
        if self._ring.landed_rows == 0:
            return 0
        if self._work is None or self._result is None:
            self._result = self._spare.take(self._region.shape) or empty_map(self._region.shape)
            self._work = self._work_into(self._result)
        ready = min(max(self._ring.landed_rows - self._region.top, 0), self._region.height)
        if ready > self._solved:
            self._solve_rows(self._work, self._solved, ready)
            self._solved = ready
        return self._solved

    def solve(self) -> NormalMap:
        """Normals, albedo and quality of the view. Raises PhotometricStereoError naming lights without a frame.

        The region's rows must have landed under all lights. A second call solves the same frames again.
        """
        self._check_landed()
        self.solve_landed()
        result, self._result, self._work, self._solved = self._result, None, None, 0
        assert result is not None
        return result

    def solve_packed(self) -> PackedNormalMap:
        """The view in 16 bits, before or after `solve`: one more pass over the ring. Raises as `solve` does.

        The kernel rounds what `solve` finds, with the fixed full scales of `packing`.
        """
        self._check_landed()
        result = self._packed_map()
        self._solve_rows(self._work_into(result), 0, self._region.height)
        return result

    def solve_packed_in_bands(self, multiple: int, look: Callable[[slice, NormalMap], None]) -> PackedNormalMap:
        """As `solve_packed`; `look` also gets all rows in float32, as `solve` finds them, a band of rows at a time.

        A band begins at a multiple of `multiple` and is that high, but for the last. `look` is called with the band's
        rows of the region and a map of these alone, which is overwritten afterwards, on several threads at once. So no
        map of the whole view in float32 is in memory: at 20 megapixels that would be 460 MB. Raises as `solve` does,
        and what `look` raises.
        """
        self._check_landed()
        result = self._packed_map()
        work = self._work_into(result)
        band, pack, height = self._band(work), self._pack(work), _band_height(work, multiple)

        def solve(first: int) -> None:
            last = min(first + height, self._region.height)
            shape = last - first, self._region.width
            found = self._spare_bands.take(shape) or empty_map(shape)
            band(first, last, found)
            self._withdraw_clipped(found, 0, first, last)
            look(slice(first, last), found)
            pack(first, last, found)
            self._spare_bands.give(found)

        list(self._pool.map(solve, range(0, self._region.height, height)))
        return result

    def recycle(self, normal_map: Maps) -> None:
        """Take back a map that this solver returned; its arrays will be overwritten by a later view."""
        if normal_map.albedo.shape not in (self.shape, self._region.shape):
            raise PhotometricStereoError(f"map of {normal_map.albedo.shape} handed to a solver of {self.shape}")
        if isinstance(normal_map, PackedNormalMap):
            self._spare_packed.give(normal_map)
        else:
            self._spare.give(normal_map)

    def _packed_map(self) -> PackedNormalMap:
        shape = self._region.shape
        return self._spare_packed.take(shape) or empty_packed_map(shape, self._packed_memory)

    def _check_landed(self) -> None:
        missing = self._ring.lights_without(self._region.top + self._region.height)
        if missing:
            raise PhotometricStereoError(f"no frame for light {', '.join(missing)}")

    def _work_into(self, result: Maps) -> Work:
        """The view as it lies in the ring, to be solved into `result`. Every light must have a frame."""
        return Work(
            self.lights,
            self.settings,
            radiometry_of(self._ring.frames, self.lights, self.settings),
            self._ring.counts,
            self._region,
            result,
            self._flat_field,
            self._dark,
            self._step_px,
        )

    def _solve_rows(self, work: Work, first: int, last: int) -> None:
        rows = self._rows(work)
        block = max(1, min(BLOCK_PIXELS // work.region.width, -(-(last - first) // self._threads)))
        list(self._pool.map(lambda start: rows(start, min(start + block, last)), range(first, last, block)))
        self._withdraw_clipped(work.result, first, first, last)

    def _withdraw_clipped(self, result: Maps, top: int, first: int, last: int) -> None:
        """Of rows first..last of the region, which lie in `result` from `top` on."""
        clipped, region = self._ring.clipped, self._region
        if clipped is not None:
            columns = slice(region.left, region.left + region.width)
            withdraw_clipped(result, top, clipped[region.top + first : region.top + last, columns])

    def _band(self, work: Work) -> Band:
        if self._engine == "numpy":
            return plain_band(work)
        from station.photometric_stereo.compiled.view import compiled_band

        return compiled_band(work)

    def _pack(self, work: Work) -> Band:
        """A function that writes a band into the packed map. The numpy twin solves it again, for it rounds float64."""
        assert isinstance(work.result, PackedNormalMap)
        result = work.result
        if self._engine == "numpy":
            rows = self._rows(work)

            def again(first: int, last: int, _band: Maps) -> None:
                rows(first, last)
                self._withdraw_clipped(result, first, first, last)

            return again
        from station.photometric_stereo.compiled.packed import pack_band

        return lambda first, _last, band: pack_band(band.unpacked(), result, first)

    def _rows(self, work: Work) -> Rows:
        if self._engine == "numpy":
            return plain_rows(work)
        from station.photometric_stereo.compiled.view import compiled_rows

        return compiled_rows(work)


class _Spare(Generic[M]):
    """Maps that nobody reads any more, all of one size; `take` and `give` may be called by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._maps: list[M] = []

    def take(self, shape: tuple[int, int]) -> M | None:
        """One of that size, if there is any; those of other sizes are dropped."""
        with self._lock:
            self._maps = [spare for spare in self._maps if spare.albedo.shape == shape]
            return self._maps.pop() if self._maps else None

    def give(self, normal_map: M) -> None:
        """Keep the map for `take`, unless there are enough already."""
        with self._lock:
            if len(self._maps) < MOST_SPARE_MAPS:
                self._maps.append(normal_map)


def _band_height(work: Work, multiple: int) -> int:
    """Rows of a band: as near to BAND_ROWS as whole multiples and the knots of near light allow."""
    least = lcm(multiple, work.step_px) if work.is_near else multiple
    return least * max(1, BAND_ROWS // least)


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

    A kernel is made for a number of lights, far or near, a depth of frames (8 bits or 16), and float32 maps or packed
    ones; `packed` prepares those instead.
    """
    lights = lights or DirectionalLights(("a", "b", "c"), np.eye(3), np.ones(3))
    pictures: tuple[Pixels, ...] = (np.ones((2, 2), np.uint8), np.ones((2, 2), np.uint16))
    for pixels in pictures:
        solver = PhotometricStereo(lights, (2, 2), threads=1)
        for k in range(len(lights.names)):
            solver.add(k, Frame(pixels, "Mono", 8, 0.0, 1.0, 0.0, 0, k))
        solver.solve_packed() if packed else solver.solve()
