"""Normals with bounced light taken off, and the doubt that remains: the refinement `bounced`.

Round 0 earns each pixel's lit set from its own values. Each further round makes coarse cells of what was found, gives
them heights (`relief`), lets light bounce between them (`transport`), takes it off and solves again: the iteration of
Nayar, Ikeuchi and Kanade (1991), by horizons, with the walls that the view cannot see.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from drivers.protocols import Frame
from station.photometric_stereo.bounced.doubt import COULD_BOUNCE_LIMIT, DOUBT_LIMIT_DEG, doubt_p95_deg
from station.photometric_stereo.bounced.kernels import FIGURES, earn_rows, follow_shadows, turn_by_height
from station.photometric_stereo.bounced.relief import Relief, relief_from
from station.photometric_stereo.bounced.signals import Signals, signals_of
from station.photometric_stereo.bounced.transport import BRIGHT_SHARE, Cells, Transport, bounced, transport_of
from station.photometric_stereo.engine import default_threads, shared_threads
from station.photometric_stereo.flat_field import FlatField
from station.photometric_stereo.lights import DirectionalLights, LightModel, PointLights, light_vectors
from station.photometric_stereo.normal_map import MOST_COUNTED, NormalMap
from station.photometric_stereo.settings import PhotometricStereoError, SolverSettings
from station.photometric_stereo.uncertainty import SensorNoise

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
ROUNDS = 2  # of bounced light; a third one changes little
CELLS = 8_700  # into which the picture is divided
LEAST_CELL_PX = 3
KNOWN_SHARE = 1 / 3  # of a cell's pixels must be solved
LONGEST_SHADOW_MM, LONGEST_SHADOW_PX = 25.0, 300  # the latter under far lights, whose pixels have no size
DARK_SHARE = 0.1  # of the settings' dark fraction: without light nothing is said, and the noise says the rest
MODEL_ERROR, MISFIT, GAP = 0.012, 1.5, 2.0  # see `kernels.earn_rows`
BLOCK_ROWS = 32
BYTES_PER_PIXEL, BYTES_PER_SAMPLE = 120, 10  # measured, maps included; a sample is one pixel under one light
MOST_BYTES = 4 << 30
AROUND_CELLS = 5
NEARBY_CELLS = 2
TRANSPORT_LOSS = 1.15  # of the bounced light in shadows, over that which coarse cells send there
LEAST_FILL, LEAST_JUDGED = 0.01, 30  # bounced irradiance, and cells of so much, by which the albedo is judged
USUAL_ALBEDO, LEAST_ALBEDO, MOST_ALBEDO, WHITE_STEPS = 0.5, 0.005, 0.95, 3  # of the brightest cells


@dataclass(frozen=True)
class BouncedMap:
    """The refined normals and what is known of their error.

    `p95_deg` covers the sensor's noise, the bounced light as far as it was estimated, what the lit lights do not
    agree on, and the height of the surface. It does not cover wrong light positions, gloss, or a mirror's image.
    """

    normal_map: NormalMap
    p95_deg: F32  # (H, W) 95 % of errors are expected at or under this; NaN where not observable
    bounced_share: F32  # (H, W) of the signal of the lit lights, 0..1, that was taken off as bounced
    figures: dict[str, F32]  # each (H, W), see `kernels.FIGURES`

    @property
    def median_p95_deg(self) -> float:
        """Over the observable pixels; NaN where there are none."""
        seen = self.p95_deg[self.normal_map.observable]
        return float(np.median(seen)) if seen.size else float("nan")

    def summary(self) -> dict[str, float]:
        """Share observable and, where that is not 0, the medians of doubt (degrees) and of the bounced share.

        The doubt of a pixel is what 95 % of the errors stay within: see `p95_deg` for what it covers.
        """
        seen = self.normal_map.observable
        share = {"refined_observable_share": self.normal_map.observable_share}
        if not seen.any():
            return share
        taken_off = float(np.median(self.bounced_share[seen]))
        return share | {"refined_p95_median_deg": self.median_p95_deg, "bounced_share_median": taken_off}


def without_bounced_light(
    frames: Sequence[Frame],
    lights: LightModel,
    settings: SolverSettings,
    noise: SensorNoise,
    *,
    white: float | None = None,
    camera_mm: float | None = None,
    flat_field: FlatField | None = None,
    threads: int | None = None,
) -> BouncedMap:
    """Normals from lit sets that are earned, after the bounced light was estimated and taken off.

    `frames` are in the lights' order. `white` is the value that albedo 1 would have in the map of a first solution;
    without it, the darkness of shadows decides it. `camera_mm` is the camera's distance from the target point.
    Raises PhotometricStereoError for frames that do not fit the lights, and where `white` is not above 0.
    """
    if white is not None and not (np.isfinite(white) and white > 0):
        raise PhotometricStereoError(f"white is {white}, must be a finite value above 0")
    seen = signals_of(frames, lights, settings, noise, flat_field, camera_mm)
    view = _View(seen, lights, settings, threads or default_threads())
    view.solve(None, 1.0)
    for number in range(ROUNDS):
        view.bounce(white, is_last=number == ROUNDS - 1)
    return view.result()


def bytes_needed(pixels: int, lights: int) -> int:
    """Memory that one view takes meanwhile; more than MOST_BYTES is not to be asked for."""
    return pixels * (BYTES_PER_PIXEL + BYTES_PER_SAMPLE * lights)


def warm_up_bounced() -> None:
    """Compile the kernels, or load them from the cache, once at start."""
    pixels = np.full((24, 24), 100, np.uint16)
    slanted = ((0.6, 0.0, 0.8), (-0.6, 0.0, 0.8), (0.0, 0.6, 0.8), (0.0, -0.6, 0.8))
    lights = DirectionalLights(tuple("abcd"), np.array(slanted), np.ones(4))
    frames = [Frame(pixels, "Mono8", 8, 0.0, 1.0, 0.0, k, k) for k in range(4)]
    without_bounced_light(frames, lights, SolverSettings(), SensorNoise(0.1, 5.0), threads=1)


def _weighted_median(values: F64, weights: F64) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])


def _surroundings(cells: Cells) -> F64:
    """(h, w) the largest albedo within AROUND_CELLS of each cell."""
    return np.asarray(maximum_filter(np.where(cells.known, cells.albedo, 0.0), 2 * AROUND_CELLS + 1))


def _apart(height: int, width: int) -> int:
    """Every how many pixels the rounds before the last look at one, so that a cell keeps LEAST_CELL_PX squared."""
    return max(1, int(np.ceil(np.sqrt(height * width / CELLS))) // LEAST_CELL_PX)


class _View:
    """One view under way: the state that each round reads and writes."""

    def __init__(self, seen: Signals, lights: LightModel, settings: SolverSettings, threads: int) -> None:
        self.whole, self.lights, self.settings, self.threads = seen, lights, settings, threads
        self.apart = _apart(*seen.values.shape[:2])
        self.seen = seen.every(self.apart)
        height, width, _ = self.seen.values.shape
        self.plane_mm = lights.plane_height_mm if isinstance(lights, PointLights) else 0.0
        self.mm_per_px = self.apart * (lights.mm_per_px if isinstance(lights, PointLights) else 1.0)
        self.cell_px = max(LEAST_CELL_PX, int(np.ceil(np.sqrt(height * width / CELLS))))
        self.shape = max(1, height // self.cell_px), max(1, width // self.cell_px)
        self.is_near = False  # whether the state is that of pixels nearby
        self._allocate()
        self.heights = np.full(self.shape, self.plane_mm)
        self.white = 0.0  # not yet known
        self.is_white_known = False
        self.nearby, self.beyond, self.turn = np.zeros(self.shape), np.zeros(self.shape), np.zeros(self.shape)
        size = self.cell_px * self.apart
        x, y = (np.arange(number + 1) * size + (size - 1) / 2 for number in self.shape[::-1])
        self.cell_lights = np.ascontiguousarray(light_vectors(lights, x[None, :], y[:, None])[0])

    def _allocate(self) -> None:
        height, width, count = self.seen.values.shape
        self.lit: NDArray[np.uint8] = np.zeros((height, width, count), np.uint8)
        self.g: F32 = np.zeros((height, width, 3), np.float32)
        self.figures: F32 = np.zeros((height, width, len(FIGURES)), np.float32)

    def on_all_pixels(self) -> None:
        """From the picked pixels to all: each begins with what is known of the picked one of its square."""
        if self.apart == 1:
            return
        lit, g = self.lit, self.g
        rows, columns = (
            np.minimum(np.arange(self.whole.values.shape[i]) // self.apart, g.shape[i] - 1) for i in (0, 1)
        )
        self.seen, self.cell_px, self.is_near = self.whole, self.cell_px * self.apart, True
        self._allocate()
        self.lit[:], self.g[:] = lit[rows[:, None], columns], g[rows[:, None], columns]

    def solve(self, cells: Cells | None, white: float, sky: F64 | None = None) -> None:
        """Earn the lit sets and solve, after taking off `sky` (h, w, K), the bounced irradiance of the cells."""
        count = self.lit.shape[2]
        none = np.zeros((*self.shape, count)) if sky is None else sky
        normals = np.zeros((3, *self.shape)) if cells is None else cells.normals
        known = np.zeros(self.shape, np.bool_) if cells is None else cells.known
        around = np.zeros(self.shape) if cells is None else _surroundings(cells)
        most_dark = max(count - 3, 0)
        rules = (MODEL_ERROR, MISFIT, GAP, most_dark, float(self.settings.maximum_condition))

        def block(first: int) -> None:
            earn_rows(
                self.seen.values, self.seen.usable, self.seen.sources, self.seen.lens, self.heights, none, normals,
                known, around, self.cell_px, white, self.seen.noise, rules, self.lit, self.g, self.figures,
                self.is_near, first, min(first + BLOCK_ROWS, len(self.lit)),
            )  # fmt: skip

        list(shared_threads(self.threads).map(block, range(0, len(self.lit), BLOCK_ROWS)))

    def bounce(self, white: float | None, *, is_last: bool) -> None:
        """Cells, their heights, the light between them, and the solution without it; the last time of all pixels."""
        cells, relief = self._cells(), self._relief
        if not cells.known.any():
            if is_last:
                self.on_all_pixels()
                self.solve(None, 1.0)
            return
        ground = relief(cells)
        bright = cells.known & (cells.albedo > BRIGHT_SHARE * np.quantile(cells.albedo[cells.known], 0.98))
        if isinstance(self.lights, PointLights):
            self.heights = ground.z_mm - np.median(ground.z_mm[bright]) + self.plane_mm
        transport = transport_of(cells, ground)
        if white is not None:
            self.white, self.is_white_known = white, True
        elif self.white == 0:
            self.white = TRANSPORT_LOSS * self._white(cells, transport)
        sky = bounced(transport, self.white)
        self.beyond = transport.beyond
        self._turn_by_height(cells)
        if is_last:
            self.on_all_pixels()
        self.solve(cells, self.white, sky)
        self.nearby = maximum_filter(sky.mean(axis=2), 2 * NEARBY_CELLS + 1)

    def _turn_by_height(self, cells: Cells) -> None:
        lens = self.seen.lens
        turn_by_height(self.seen.sources, lens, self.heights, cells.normals, cells.lit, self.cell_px, self.turn)

    def _white(self, cells: Cells, transport: Transport) -> float:
        """The value of albedo 1, by which the bounced light in shadows is as bright on the whole as it is seen there.

        Bounced light grows with the albedo, so a few proportional steps find it. Kept where no shadow is seen.
        """
        brightest = float(np.quantile(cells.albedo[cells.known], 0.98))
        white = brightest / USUAL_ALBEDO
        pixels = self._dark_pixels()
        dark = self._sums(np.where(pixels, self.figures[..., FIGURES.index("dark")], 0))[..., 0]
        albedo = self._sums(np.where(pixels, np.linalg.norm(self.g, axis=2), 0))[..., 0]
        without = 1 - cells.lit
        judged = cells.known & (albedo > 0) & (cells.albedo > BRIGHT_SHARE * brightest)
        at = np.zeros(self.shape, np.bool_)
        for step in range(WHITE_STEPS):
            expected = (bounced(transport, white) * without).sum(axis=2) / np.maximum(without.sum(axis=2), 1e-9)
            if step == 0:
                at = judged & (expected > LEAST_FILL)
            if at.sum() < LEAST_JUDGED:
                break
            self.is_white_known = True
            ratio = expected[at] * albedo[at] / np.maximum(dark[at], 1e-9)
            white *= min(max(_weighted_median(ratio, expected[at]), 0.5), 8.0)
            white = min(max(white, brightest / MOST_ALBEDO), brightest / LEAST_ALBEDO)
        return white

    def _dark_pixels(self) -> NDArray[np.bool_]:
        """(H, W) solved pixels with a usable light that does not reach them."""
        return np.asarray((self.g[..., 2] > 0) & (self.seen.usable.sum(axis=2) > self.lit.sum(axis=2)))

    def _relief(self, cells: Cells) -> Relief:
        found = np.zeros((self.lit.shape[0] * self.lit.shape[1], 7))
        longest = (
            int(LONGEST_SHADOW_MM / self.mm_per_px)
            if isinstance(self.lights, PointLights)
            else LONGEST_SHADOW_PX // self.apart
        )
        unit = self.g / np.maximum(np.linalg.norm(self.g, axis=2), 1e-12)[..., None]
        number = follow_shadows(self.lit, self.cell_lights, self.cell_px, unit, longest, found)
        return relief_from(cells.normals, cells.known, found[:number], self.cell_px, self.mm_per_px)

    def _sums(self, plane: NDArray[np.generic]) -> F64:
        """(h, w, C) sums over each cell of a plane (H, W) or (H, W, C)."""
        (height, width), size = self.shape, self.cell_px
        cut = plane[: height * size, : width * size].reshape(height, size, width, size, -1)
        return np.asarray(cut.sum(axis=(1, 3), dtype=np.float64))

    def _on_pixels(self, plane: F64) -> F64:
        """(H, W) of a plane of the cells (h, w): each pixel has its cell's value."""
        rows, columns = (
            np.minimum(np.arange(pixels) // self.cell_px, cells - 1)
            for pixels, cells in zip(self.lit.shape[:2], self.shape, strict=True)
        )
        return plane[np.ix_(rows, columns)]

    def _cells(self) -> Cells:
        height, width = self.shape
        size = self.cell_px

        solved = (self.g[..., 2] > 0).astype(np.float32)
        number = self._sums(solved)[..., 0]
        g = self._sums(self.g) / np.maximum(number, 1)[..., None]
        length = np.linalg.norm(g, axis=2)
        albedo = self._sums(np.linalg.norm(self.g, axis=2))[..., 0] / np.maximum(number, 1)
        normals = np.ascontiguousarray(np.moveaxis(g / np.maximum(length, 1e-12)[..., None], 2, 0))
        lit = self._sums(self.lit) / size**2
        lights = np.ascontiguousarray(self.cell_lights[:height, :width])
        return Cells(normals, albedo, number >= KNOWN_SHARE * size**2, lit, lights)

    def result(self) -> BouncedMap:
        """The map, with normals kept where the doubt is within its limit."""
        figures = {name: self.figures[..., i] for i, name in enumerate(FIGURES)}
        length = np.linalg.norm(self.g, axis=2)
        figures["nearby"] = self._on_pixels(self.nearby).astype(np.float32)
        figures["beyond"] = self._on_pixels(self.beyond).astype(np.float32)
        figures["turn_per_mm"] = self._on_pixels(self.turn).astype(np.float32)
        figures["height_mm"] = self._on_pixels(self.heights - self.plane_mm).astype(np.float32)
        figures["whiteness"] = np.minimum(length / max(self.white, 1e-9), 1).astype(np.float32)
        figures["albedo"] = length.astype(np.float32)
        number = self.lit.sum(axis=2, dtype=np.int64)
        figures["lit"] = number.astype(np.float32)
        p95 = doubt_p95_deg(figures, is_white_known=self.is_white_known)
        trusted = (figures["could_bounce"] <= COULD_BOUNCE_LIMIT) & (p95 <= DOUBT_LIMIT_DEG)
        bright = length > self.settings.dark_fraction * DARK_SHARE
        observable = np.asarray((number >= 3) & bright & trusted, np.bool_)
        unit = self.g / np.where(observable & (length > 0), length, np.inf)[..., None]
        found = NormalMap(
            np.ascontiguousarray(np.moveaxis(unit, 2, 0)), length.astype(np.float32) * observable,
            np.minimum(number, MOST_COUNTED).astype(np.uint8), figures["rms"].copy(), observable,
            np.logical_not(self.seen.usable.all(axis=2)),
        )  # fmt: skip
        return BouncedMap(found, np.where(observable, p95, np.nan), figures["bounced_share"].copy(), figures)
