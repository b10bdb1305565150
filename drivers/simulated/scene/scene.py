"""The Scene: what the simulated camera would photograph, and the exact truth about it."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from drivers.geometry.pose import Pose
from drivers.protocols import Pixels
from drivers.simulated.scene import kernels
from drivers.simulated.scene.bounce import dome_table, lamp_table, no_table, transport_of
from drivers.simulated.scene.geometry import Grid, Roi, Standpoint, build_grid, region, stack_grids
from drivers.simulated.scene.head import LIGHT_DISTANCE_MM, SLANT_DEG, Light, LightHead
from drivers.simulated.scene.meshes.sight import Band, CameraInputs, Sight, TracedPart
from drivers.simulated.scene.mounted import MountedCamera
from drivers.simulated.scene.part import Packed, Part, make_part
from drivers.simulated.scene.sensor import Sensor, expose_rows, exposure_values, significant_bits

SIGNAL_E_PER_US = 0.875  # albedo 0.5 facing the camera at the target, level 1: half of 14000 e in 8 ms
DEFAULT_BLACK_LEVEL_DN = 4.0
_ROWS_PER_TASK = 64
DEFAULT_BOUNCES = 6  # two lack 5 % of the light in a deep pocket of albedo 0.5, six 0.5 %
_DEPTH_STEP_MM = 0.005  # a visible surface that moved by more is another surface
_COLOUR_STEP = 0.02  # of albedo: a feature that was only paint
# Tile edge by binning: 40 um on the part, far below the finest texture (0.2 mm); edges are traced exactly
_TILE_PX = {1: 4, 2: 2}
_ALPHA = 6
_BAYER_COLOURS, _BAYER_PLANES = np.array([0, 1, 3], np.int32), np.array([0, 1, 1, 2], np.int32)
_ONE, _ONE_PLANE = np.zeros(1, np.int32), np.zeros(4, np.int32)
_CACHE_BYTES, _OTHER_POSES_BYTES = 1 << 30, 200 << 20
LOOKS_BYTES = 100 << 20  # 77 MB at a binning of 8, 309 MB at 4
_NO_CELLS, _NO_LOOKS = np.zeros((1, 8)), np.zeros((0, 0, kernels.LOOK_SIZE))
_CACHE_IMAGES = 256  # small ones would need days to fill the bytes, and look like a leak until then


@dataclass(frozen=True)
class ViewTruth:
    """The exact truth of one view: at pixel centres, without noise."""

    normals: NDArray[np.float32]  # (3, H, W), camera frame x right, y up, z toward the camera, relief included
    albedo: NDArray[np.float32]  # (3, H, W), diffuse RGB
    depth_mm: NDArray[np.float32]  # (H, W), along the optical axis from the entrance pupil
    height_mm: NDArray[np.float32]  # (H, W), of the surface over the fixture's plate
    faces: NDArray[np.int16]  # (H, W), index into Part.faces; 0 the fixture
    part_mask: NDArray[np.bool_]  # (H, W)
    defect_mask: NDArray[np.bool_]  # (H, W), visible points in a defect's footprint or not as on the good part


class Scene:
    """One part on the fixture, a light head and a sensor. Pure: the same arguments give the same bits.

    `seed` selects the individual sensor (its fixed pattern, PRNU and DSNU). Safe to call from several threads; images
    of one light at level 1 are kept for the current pose, so that further frames cost only noise, and so is what each
    pixel of a small picture sees, which every light has in common. `threads` share the rows of one image. `bounces`
    are the diffuse reflections that light takes between part, fixture and plate before it comes to the surface that the
    camera sees; 0 is direct light alone. A large picture is traced anew for each light. Raises
    ValueError for negative `bounces`.
    """

    def __init__(
        self,
        part: Part,
        head: LightHead | None = None,
        sensor: Sensor | None = None,
        seed: int = 0,
        threads: int = 2,
        camera: MountedCamera | None = None,
        bounces: int = 0,
    ) -> None:
        if bounces < 0:
            raise ValueError(f"bounces must be 0 or more, found {bounces}")
        self.part = part
        self._bounces = bounces
        self.camera = camera if camera is not None else MountedCamera()
        self.head = head if head is not None else LightHead.nominal()
        self.sensor = sensor if sensor is not None else Sensor()
        self._seed = seed
        self._threads = threads
        self._lock = threading.Lock()
        self._images: OrderedDict[tuple[object, ...], NDArray[np.float32]] = OrderedDict()
        self._looks: tuple[tuple[object, ...], NDArray[np.float64]] = ((), _NO_LOOKS)
        self._sight: Sight | None = None  # of a part from a mesh, once it is looked at

    def gather(self) -> None:
        """Find out which surfaces light each other, so that the first frame does not wait for it: a second of CPU.

        Of a mesh also whatever the first frame would compile, which `compile_kernels` leaves out.
        """
        if self._bounces > 0:
            transport_of(self.part.packed, self._threads)
        if self.part.packed.traced is not None:
            self.photograph(
                Pose(0.0, 0.0, 258.0, 0.0, -90.0), {1: 1.0, 9: 1.0}, exposure_us=1000.0, gain_db=0.0,
                pixel_format="Mono8", binning=8, roi=(0, 0, 8, 8), frame_seed=0,
            )  # fmt: skip

    def photograph(
        self,
        pose: Pose,
        light_levels: Mapping[int, float],
        *,
        exposure_us: float,
        gain_db: float,
        pixel_format: str,
        binning: int,
        roi: Roi | None,
        frame_seed: int,
        black_level_dn: float = DEFAULT_BLACK_LEVEL_DN,
    ) -> Pixels:
        """One frame, (H, W) uint8 or uint16 in the low bits.

        light_levels: mean level 0..1 per channel over the exposure; roi: x, y, width, height in binned
        pixels; black_level_dn in the DN of `pixel_format`. Bayer filters sit on the binned grid of the
        whole sensor, red at (0, 0). Raises ValueError for unknown formats, channels and bad regions.
        """
        bits = significant_bits(pixel_format)
        if not exposure_us > 0:
            raise ValueError(f"exposure must be above 0 us, found {exposure_us}")
        area = region(binning, roi)
        lit = [(channel, level) for channel, level in sorted(light_levels.items()) if level > 0]
        image, level = self._mean_image(pose, lit, binning, area, pixel_format)
        values = exposure_values(self.sensor, exposure_us, gain_db, bits, binning, black_level_dn)
        values[0] *= level
        keys = np.array([_key(frame_seed, 0x51), _key(self._seed, 0xA7)], np.uint64)
        out = np.empty(image.shape, np.uint16)
        origin = np.array(area[:2], np.int32)
        self._by_rows(area[3], lambda a, b: expose_rows(image, values, keys, origin, out, a, b))
        return out.astype(np.uint8) if bits == 8 else out

    def truth(self, pose: Pose, binning: int, roi: Roi | None = None) -> ViewTruth:
        """Normals, albedo, depth, height, faces and masks of a view, exact at pixel centres.

        `roi` is x, y, width, height in binned pixels, None the whole sensor. Raises ValueError for a bad region.
        """
        area = region(binning, roi)
        stand = Standpoint.of(pose, self.part.placement, self.camera)
        key, kept = self._looks
        looks = kept if key == (pose, binning, area) else _NO_LOOKS
        normals, albedo, depth, faces, marks = self._survey(self.part.packed, stand, binning, area, looks)
        if self.part.packed_twin is not None:
            _, whole_albedo, whole_depth, whole_faces, _ = self._survey(
                self.part.packed_twin, stand, binning, area, _NO_LOOKS
            )
            marks |= (faces != whole_faces) | (np.abs(depth - whole_depth) > _DEPTH_STEP_MM)
            marks |= (np.abs(albedo - whole_albedo) > _COLOUR_STEP).any(axis=0)
        height = _height_mm(depth, stand.position, stand.rays(binning, area))
        return ViewTruth(normals, albedo, depth, height, faces, faces > 0, marks)

    def shadow(self, pose: Pose, channel: int, binning: int, roi: Roi | None = None) -> NDArray[np.bool_]:
        """(H, W): True where a directional channel's light does not reach the surface (attached or cast)."""
        light = self.head.light(channel)
        if light.is_dome:
            raise ValueError(f"light channel {channel} is diffuse: it casts no shadow")
        area = region(binning, roi)
        stand = Standpoint.of(pose, self.part.placement, self.camera)
        packed = self.part.packed
        camera = _camera_inputs(packed, stand, binning, area)
        grid = stack_grids(_light_grids(packed, stand, light))
        out = np.zeros((area[3], area[2]), np.bool_)
        if packed.traced is not None:
            place = stand.head_point(light.position_mm)
            for band in self._bands(packed.traced, camera, stand, binning, area):
                away = np.einsum("hwc,hwc->hw", band.looks[..., 3:6], place - band.looks[..., 13:16]) <= 0.0
                out[band.rows] = away | (band.looks[..., 30] == kernels.NOTHING) | band.blocked(packed.traced, place)
            return out
        self._by_rows(area[3], lambda a, b: kernels.shadow_rows(*camera, *grid, out, a, b))
        return out

    def _mean_image(
        self, pose: Pose, lit: list[tuple[int, float]], binning: int, area: Roi, pixel_format: str
    ) -> tuple[NDArray[np.float32], float]:
        """Electrons per microsecond without noise, and a factor for it."""
        if not lit:
            return np.zeros((area[3], area[2]), np.float32), 1.0
        if len(lit) == 1:
            return self._image(pose, lit[0][0], binning, area, pixel_format), lit[0][1]
        total = np.zeros((area[3], area[2]), np.float32)
        for channel, level in lit:
            total += self._image(pose, channel, binning, area, pixel_format) * np.float32(level)
        return total, 1.0

    def _image(self, pose: Pose, channel: int, binning: int, area: Roi, pixel_format: str) -> NDArray[np.float32]:
        """(H, W) electrons per microsecond of one channel at level 1, from the cache where it is there."""
        key = (pose, channel, binning, area, pixel_format.startswith("Bayer"))
        with self._lock:
            image = self._images.get(key)
            if image is None:
                image = self._render(pose, self.head.light(channel), binning, area, pixel_format)
                self._make_room(pose, image.nbytes)
                self._images[key] = image
            self._images.move_to_end(key)
            return image

    def _make_room(self, pose: Pose, need: int) -> None:
        """Drops the oldest images; those of other poses earlier than those of this one."""
        held = sum(image.nbytes for image in self._images.values())
        for key in list(self._images):
            limit = _CACHE_BYTES if key[0] == pose else _OTHER_POSES_BYTES
            if held + need > limit or len(self._images) >= _CACHE_IMAGES:
                held -= self._images.pop(key).nbytes

    def _render(self, pose: Pose, light: Light, binning: int, area: Roi, pixel_format: str) -> NDArray[np.float32]:
        stand = Standpoint.of(pose, self.part.placement, self.camera)
        packed = self.part.packed
        polished = packed.traced is not None or bool((packed.materials[:, _ALPHA] < kernels.POLISHED).any())
        step = 1 if polished else _TILE_PX.get(binning, 1)
        colours, planes = (_BAYER_COLOURS, _BAYER_PLANES) if pixel_format.startswith("Bayer") else (_ONE, _ONE_PLANE)
        origin = np.array(area[:2], np.int32)
        tiles_x, tiles_y = (_tiles(area[c], area[2 + c], step) for c in (0, 1))
        corners = np.zeros((len(colours), tiles_y + 1, tiles_x + 1), np.float32)
        kinds = np.full((tiles_y + 1, tiles_x + 1), kernels.NOTHING, np.int32)
        out = np.zeros((area[3], area[2]), np.float32)
        camera = _camera_inputs(packed, stand, binning, area)
        shading = (
            lamp(stand, light), *stack_grids(_light_grids(packed, stand, light)), *self._bounced(packed, stand, light),
            self.sensor.responses(pixel_format), light.is_dome,
        )  # fmt: skip
        if packed.traced is not None:
            place = stand.head_point(light.position_mm)
            for band in self._bands(packed.traced, camera, stand, binning, area):
                looks = band.looks if light.is_dome else band.shaded(packed.traced, place)
                start, rows = origin + np.array([0, band.rows.start], np.int32), out[band.rows]
                self._by_rows(
                    len(looks),
                    partial(
                        kernels.radiance_rows, *band.camera, *shading, start, 1, planes, corners, kinds, looks, rows
                    ),
                )
            return out
        looks = self._looked(camera, (pose, binning, area)) if step == 1 else _NO_LOOKS
        inputs = (*camera, *shading, origin, step)
        if step > 1:
            self._by_rows(tiles_y + 1, lambda a, b: kernels.corner_rows(*inputs, colours, corners, kinds, a, b))
        self._by_rows(area[3], lambda a, b: kernels.radiance_rows(*inputs, planes, corners, kinds, looks, out, a, b))
        return out

    def _looked(self, camera: CameraInputs, key: tuple[Pose, int, Roi]) -> NDArray[np.float64]:
        """What each pixel sees, (H, W, LOOK_SIZE), kept for the next light; no rows where the picture is too large."""
        if self._looks[0] == key:
            return self._looks[1]
        height, width = key[2][3], key[2][2]
        if height * width * kernels.LOOK_SIZE * np.float64().nbytes > LOOKS_BYTES:
            return _NO_LOOKS
        looks = np.empty((height, width, kernels.LOOK_SIZE))
        self._by_rows(height, lambda a, b: kernels.look_rows(*camera, looks, a, b))
        self._looks = (key, looks)
        return looks

    def _bounced(
        self, packed: Packed, stand: Standpoint, light: Light
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """The cells of all surfaces, and what comes to them by way of others. The dome's obstacles need them always."""
        if not light.is_dome and self._bounces == 0:
            return _NO_CELLS, no_table()
        transport = transport_of(packed, self._threads)
        beam = lamp(stand, light)
        if light.is_dome:
            table = dome_table(transport, packed, stand.axes[2], float(beam[3]), self._bounces)
        else:
            table = lamp_table(transport, packed, beam, _light_grids(packed, stand, light)[0], self._bounces)
        return transport.surfels.cells, table

    def _survey(
        self, packed: Packed, stand: Standpoint, binning: int, area: Roi, looks: NDArray[np.float64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.int16], NDArray[np.bool_]]:
        """Normals and albedo (3, H, W), depth, face ids and defect footprints (H, W); traced where `looks` is empty."""
        shape = (area[3], area[2])
        normals, albedo = np.zeros((3, *shape), np.float32), np.zeros((3, *shape), np.float32)
        depth, faces, marks = np.zeros(shape, np.float32), np.zeros(shape, np.int16), np.zeros(shape, np.bool_)
        camera = _camera_inputs(packed, stand, binning, area)
        if packed.traced is not None:
            for band in self._bands(packed.traced, camera, stand, binning, area):
                at = band.rows
                some = np.zeros_like(normals[:, at]), np.zeros_like(albedo[:, at]), depth[at], faces[at], marks[at]
                self._by_rows(len(band.looks), partial(kernels.truth_rows, *band.camera, *some, band.looks))
                normals[:, at], albedo[:, at] = some[0], some[1]
            return normals, albedo, depth, faces, marks
        self._by_rows(
            area[3],
            lambda a, b: kernels.truth_rows(*camera, normals, albedo, depth, faces, marks, looks, a, b),
        )
        return normals, albedo, depth, faces, marks

    def _bands(
        self, traced: TracedPart, camera: CameraInputs, stand: Standpoint, binning: int, area: Roi
    ) -> Iterator[Band]:
        """What a picture of a mesh sees, band by band; a small one of the part itself is kept for its other lights."""
        sight = self._sight if self._sight is not None and self._sight.part is traced else Sight(traced)
        if self.part.packed.traced is traced:
            self._sight = sight
        key = (stand.position.tobytes(), stand.axes.tobytes(), binning, area)
        return sight.bands(camera, (area[3], area[2]), key)

    def _by_rows(self, height: int, work: Callable[[int, int], None]) -> None:
        """Do bands of rows on the pool; every pixel is computed alike whoever does it."""
        bands = [(a, min(a + _ROWS_PER_TASK, height)) for a in range(0, height, _ROWS_PER_TASK)]
        if self._threads <= 1 or len(bands) == 1:
            for a, b in bands:
                work(a, b)
            return
        with ThreadPoolExecutor(self._threads) as pool:
            list(pool.map(lambda band: work(*band), bands))


def _tiles(first: int, count: int, step: int) -> int:
    """How many tiles, counted from the sensor's corner, cover `count` pixels from `first`."""
    return (first % step + count + step - 1) // step


def _camera_inputs(packed: Packed, stand: Standpoint, binning: int, area: Roi) -> CameraInputs:
    """The part, where the camera stands, and the rays of its pixels: how most kernels' arguments begin."""
    return (
        packed.patches, packed.cuts, packed.materials, packed.paints, packed.defects, stand.plate,
        *stack_grids([build_grid(packed, stand.position, stand.axes)]), stand.rays(binning, area),
    )  # fmt: skip


def _light_grids(packed: Packed, stand: Standpoint, light: Light) -> list[Grid]:
    return [build_grid(packed, stand.head_point(light.position_mm))]


def _height_mm(
    depth_mm: NDArray[np.float32], position: NDArray[np.float64], rays: NDArray[np.float64]
) -> NDArray[np.float32]:
    """(H, W) height over the plate of what the rays meet at these depths; rays (9,) as `Standpoint.rays` has them."""
    rows, columns = (np.arange(n, dtype=np.float64) for n in depth_mm.shape)
    upward = rays[2] + columns[None, :] * rays[5] + rows[:, None] * rays[8]
    return np.asarray(position[2] + depth_mm * upward, np.float32)


def lamp(stand: Standpoint, light: Light) -> NDArray[np.float64]:
    """Axis, power and lobe of a light, scaled so that level 1 gives SIGNAL_E_PER_US (see there)."""
    power = light.power * SIGNAL_E_PER_US * math.pi / 0.5
    if light.is_dome:
        return np.array([*stand.axes[2], power, 0.0])
    axis = stand.target - stand.head_point(light.position_mm)
    axis = axis / np.linalg.norm(axis)
    power *= LIGHT_DISTANCE_MM**2 / math.cos(math.radians(SLANT_DEG))
    return np.array([*axis, power, light.lobe])


def _key(seed: int, purpose: int) -> int:
    """64 well mixed bits from a seed of any size."""
    return int(np.random.SeedSequence([abs(seed), int(seed < 0), purpose]).generate_state(1, np.uint64)[0])


def compile_kernels() -> None:
    """Compile whatever `photograph` and `truth` need, or load it from the cache; call it before a rig is announced.

    The first time on a machine this takes some tens of seconds, afterwards well under one.
    """
    scene = Scene(make_part("connector", 0), threads=1, bounces=1)
    pose = Pose(0.0, 0.0, 258.0, 0.0, -90.0)
    for binning in (8, 1):
        scene.photograph(
            pose, {1: 1.0, 9: 1.0}, exposure_us=1000.0, gain_db=0.0, pixel_format="Mono8", binning=binning,
            roi=(0, 0, 8, 8), frame_seed=0,
        )  # fmt: skip
    scene.truth(pose, 8, (0, 0, 8, 8))
    scene.shadow(pose, 1, 8, (0, 0, 8, 8))
