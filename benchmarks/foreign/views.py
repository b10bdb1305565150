"""Views of a body as Mitsuba 3 renders them: every bounce of light, matte surfaces, the nominal head of near lamps.

Mitsuba (Jakob et al. 2022) gets triangles, a pose and lamps, and nothing else of ours: visibility, shadows and light
transport are its own. It traces one ray through each pixel's centre, as the Scene does, so that edges compare too. A
lamp is a square of 0.2 mm that radiates as a Lambertian: a cosine lobe of exponent 1. Paths are unbiased up to
`PATH_DEPTH` vertices; their bounced part is noisy, and smooth over a surface, so it is fitted linearly over the pixels
of the same patch within `FIT_RADIUS_PX`. `noise` says what is left, from two halves with seeds of their own.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from truth_views import VIEWS

from drivers.simulated.scene import DIRECTIONAL_CHANNELS, LightHead
from drivers.simulated.scene.geometry import Standpoint, region
from drivers.simulated.scene.head import LIGHT_DISTANCE_MM, WORKING_DISTANCE_MM
from drivers.simulated.scene.mesh import Mesh, mesh_of
from drivers.simulated.scene.mounted import FOCAL_PX, MountedCamera
from drivers.simulated.scene.part import PLATE, Placement
from drivers.simulated.scene.patches import Body
from drivers.simulated.scene.sensor import HEIGHT_PX, WIDTH_PX, Sensor

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

BINNING = 16
VARIANT = "llvm_ad_rgb"
LAMP_MM, PLATE_HALF_MM, DOME_ROWS = 0.2, 1500.0, 512
PATH_DEPTH, DIRECT_DEPTH = 10, 2
DIRECT_SAMPLES, PLATE_SAMPLES, RAYS_AT_A_TIME = 16, 16, 6_000_000
FIT_RADIUS_PX = 2
PLATE_ALBEDO = float(np.dot(PLATE.albedo, Sensor().luminance_rgb))


class RendererMissing(Exception):
    """Mitsuba cannot be used here; the text says what to install."""


@dataclass(frozen=True)
class RenderedView:
    """One view of a part of one albedo under K lamps and the dome; all maps at pixel centres, binned by 16.

    Light is in units where a Lambertian of albedo 1 has the value 1 if it faces a lamp at its nominal distance on
    its axis, or sees the whole dome; vignetting is divided out.
    """

    total: F32  # (K, H, W) light of each lamp, with all bounces
    direct: F32  # (K, H, W) without any
    lit: NDArray[np.bool_]  # (K, H, W) the lamp's middle is seen from here
    dome_total: F32  # (H, W) light of the diffuse dome, with all bounces
    dome_direct: F32  # (H, W) without any
    normals: F32  # (3, H, W) camera frame, x right, y up, z to the camera
    depth_mm: F32  # (H, W) along the optical axis
    part: NDArray[np.bool_]  # (H, W) False on the fixture plate
    albedo: F32  # (H, W)
    patches: NDArray[np.int16]  # (H, W) index into Body.patches, -1 the plate
    positions_mm: F64  # (K, 3) lamps in head coordinates
    mm_per_px: float  # at the target point
    center_px: tuple[float, float]  # (x, y)
    noise: float  # rms of the bounced light's error over its mean, on the part

    def save(self, file: Path) -> None:
        """Writes the npz whole or not at all."""
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(".unfinished.npz")
        np.savez_compressed(unfinished, **asdict(self))
        unfinished.replace(file)

    @classmethod
    def load(cls, file: Path) -> RenderedView:
        """Raises ValueError naming the file if it is no view as `save` wrote it."""
        try:
            with np.load(file, allow_pickle=False) as data:
                found: dict[str, Any] = {name: data[name] for name in cls.__dataclass_fields__}
        except (KeyError, OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as e:
            raise ValueError(f"{file} is not a rendered view ({e}); delete it, and it is rendered anew") from e
        x, y = (float(v) for v in found.pop("center_px"))
        scalars = {name: float(found.pop(name)) for name in ("mm_per_px", "noise")}
        return cls(**{**found, **scalars}, center_px=(x, y))


def renderer() -> Any:
    """The module `mitsuba`, ready to render. Raises RendererMissing."""
    try:
        import mitsuba as mi
    except ImportError as e:
        raise RendererMissing(f'Mitsuba is not installed ({e}): pip install "facet-station[foreign]"') from e
    try:
        mi.set_variant(VARIANT)
        mi.Float([1.0, 2.0]).numpy()
    except (ImportError, RuntimeError) as e:
        raise RendererMissing(
            f"Mitsuba's {VARIANT} does not start ({e}): install LLVM (19 works, 14 and 15 may crash), "
            "and set DRJIT_LIBLLVM_PATH to its library if it is not found"
        ) from e
    return mi


def render(body: Body, view: str, albedos: tuple[float, float, float], samples: int) -> list[RenderedView]:
    """One of VIEWS of a body, all of one albedo; three albedos travel on the same paths as three colours.

    `samples` paths start at each pixel of the part and lamp. Raises RendererMissing.
    """
    return _Stage(renderer(), mesh_of(body), view, albedos).views(samples)


class _Stage:
    """A part before Mitsuba's rays."""

    def __init__(self, mi: Any, mesh: Mesh, view: str, albedos: tuple[float, float, float]) -> None:
        self._mi, self._mesh, self._albedos = mi, mesh, albedos
        self._stand = Standpoint.of(VIEWS[view], Placement(), MountedCamera())
        rays, (_, _, width, height) = self._stand.rays(BINNING, region(BINNING, None)), region(BINNING, None)
        rows, columns = (a.reshape(-1, 1) for a in np.mgrid[0:height, 0:width])
        self._shape = (height, width)
        self._directions = rays[:3] + columns * rays[3:6] + rows * rays[6:9]  # (N, 3) of unit depth
        self._bodies = {
            "type": "scene",
            "plate": {
                "type": "rectangle",
                "to_world": mi.ScalarTransform4f().scale([PLATE_HALF_MM, PLATE_HALF_MM, 1.0]),
                "bsdf": self._matte((PLATE_ALBEDO,) * 3),
            },
            "part": self._part(),
        }
        self._survey()

    def views(self, samples: int) -> list[RenderedView]:
        lamps = [LightHead.nominal().light(channel) for channel in DIRECTIONAL_CHANNELS]
        points = [self._stand.head_point(light.position_mm) for light in lamps]
        direct, halves = self._light([self._lamp(point) for point in points] + [self._dome()], samples)
        direct[-1] = smooth(direct[-1], self._patches)  # the dome's shadows are as soft as bounced light
        bounced = [smooth(half - direct, self._patches) for half in halves]
        total: F32 = direct + (bounced[0] + bounced[1]) / np.float32(2)
        seen = self._patches >= 0
        lit = np.stack([self._lit(point) for point in points])
        found = []
        for colour, albedo in enumerate(self._albedos):
            one, other = (half[:-1, colour][:, seen] for half in bounced)
            noise = float(np.sqrt(np.mean((one - other) ** 2)) / max(np.mean(one + other), 1e-9))
            found.append(
                RenderedView(
                    total[:-1, colour], direct[:-1, colour], lit, total[-1, colour], direct[-1, colour],
                    self._normals, self._depth_mm, seen, np.where(seen, albedo, PLATE_ALBEDO).astype(np.float32),
                    self._patches, np.array([light.position_mm for light in lamps]),
                    WORKING_DISTANCE_MM / FOCAL_PX * BINNING,
                    (WIDTH_PX / BINNING / 2 - 0.5, HEIGHT_PX / BINNING / 2 - 0.5), noise,
                )
            )  # fmt: skip
        return found

    def _matte(self, albedos: tuple[float, ...]) -> dict[str, Any]:
        return {"type": "diffuse", "reflectance": {"type": "rgb", "value": list(albedos)}}

    def _part(self) -> Any:
        """The mesh as a Mitsuba shape."""
        properties = self._mi.Properties()
        properties["bsdf"] = self._mi.load_dict(self._matte(self._albedos))
        mesh = self._mesh
        shape = self._mi.Mesh("part", len(mesh.vertices), len(mesh.triangles), properties, has_vertex_normals=True)
        table = self._mi.traverse(shape)
        table["vertex_positions"] = mesh.vertices.astype(np.float32).ravel()
        table["vertex_normals"] = mesh.normals.astype(np.float32).ravel()
        table["faces"] = mesh.triangles.astype(np.uint32).ravel()
        table.update()
        return shape

    def _lamp(self, point: F64) -> dict[str, Any]:
        """A small square at `point` that faces the target."""
        mi, target = self._mi, self._stand.target
        ahead = (target - point) / np.linalg.norm(target - point)
        up = [0.0, 0.0, 1.0] if abs(ahead[2]) < 0.9 else [1.0, 0.0, 0.0]
        place = mi.ScalarTransform4f().look_at(origin=list(point), target=list(target), up=up)
        radiance = math.pi * LIGHT_DISTANCE_MM**2 / LAMP_MM**2
        return {
            "type": "rectangle",
            "to_world": place @ mi.ScalarTransform4f().scale([LAMP_MM / 2, LAMP_MM / 2, 1.0]),
            "bsdf": self._matte((0.0,) * 3),
            "emitter": {"type": "area", "radiance": {"type": "rgb", "value": [radiance] * 3}},
        }

    def _dome(self) -> dict[str, Any]:
        """Radiance 1 from every direction on the camera's side of a plane across the optical axis."""
        mi, (right, _, ahead) = self._mi, self._stand.axes
        sky = np.zeros((DOME_ROWS, 2 * DOME_ROWS, 3), np.float32)
        sky[: DOME_ROWS // 2] = 1.0  # the map's pole is its y axis
        turn = np.eye(4)
        turn[:3, :3] = np.column_stack([right, -ahead, np.cross(right, -ahead)])
        return {"type": "envmap", "bitmap": mi.Bitmap(sky), "to_world": mi.ScalarTransform4f(turn)}

    def _light(self, lights: list[dict[str, Any]], samples: int) -> tuple[F32, tuple[F32, F32]]:
        """Direct light, and total light twice from half of the samples each; (lights, 3, H, W)."""
        part, every = np.flatnonzero(self._patches >= 0), np.arange(len(self._directions))
        plate = np.flatnonzero(self._patches < 0)
        shape = (len(lights), 3, len(self._directions))
        direct, halves = np.zeros(shape, np.float32), (np.zeros(shape, np.float32), np.zeros(shape, np.float32))
        for k, light in enumerate(lights):
            scene = self._mi.load_dict({**self._bodies, "light": light})
            is_dome = light["type"] == "envmap"
            direct[k] = self._trace(scene, DIRECT_DEPTH, every, samples if is_dome else DIRECT_SAMPLES, 3 * k)
            for h, half in enumerate(halves):
                half[k][:, part] = self._trace(scene, PATH_DEPTH, part, max(samples // 2, 1), 3 * k + 1 + h)
                half[k][:, plate] = self._trace(scene, PATH_DEPTH, plate, PLATE_SAMPLES, 3 * k + 1 + h)
        whole = (*shape[:2], *self._shape)
        return direct.reshape(whole), (halves[0].reshape(whole), halves[1].reshape(whole))

    def _trace(self, scene: Any, depth: int, pixels: NDArray[np.intp], samples: int, seed: int) -> F32:
        """Mean radiance (3, n) of `samples` paths through the middle of each pixel."""
        integrator = self._mi.load_dict({"type": "path", "max_depth": depth, "rr_depth": 2 * PATH_DEPTH})
        out = np.zeros((3, len(pixels)), np.float32)
        samples = max(2, round(math.sqrt(samples))) ** 2  # the sampler's grid is square
        step = max(1, RAYS_AT_A_TIME // samples)
        for first in range(0, len(pixels), step):
            some = pixels[first : first + step]
            sampler = self._mi.load_dict({"type": "multijitter", "sample_count": samples})
            sampler.set_samples_per_wavefront(samples)
            sampler.seed(seed * 7919 + first, len(some) * samples)
            rays = self._mi.RayDifferential3f(self._rays(np.repeat(some, samples)))
            light = np.array(integrator.sample(scene, sampler, rays)[0])
            out[:, first : first + step] = light.reshape(3, len(some), samples).mean(axis=2)
        return out

    def _rays(self, pixels: NDArray[np.intp]) -> Any:
        unit = self._directions[pixels]
        unit = (unit / np.linalg.norm(unit, axis=1, keepdims=True)).astype(np.float32)
        return self._mi.Ray3f(self._mi.Point3f(self._stand.position.tolist()), self._mi.Vector3f(unit.T))

    def _survey(self) -> None:
        """What each pixel sees: normals, depth and patch."""
        self._scene = self._mi.load_dict(self._bodies)
        self._hit = self._scene.ray_intersect(self._rays(np.arange(len(self._directions))))
        along = np.array(self._hit.t, np.float64) / np.linalg.norm(self._directions, axis=1)
        self._points = self._stand.position + along[:, None] * self._directions
        self._world_normals = np.array(self._hit.sh_frame.n, np.float64).T
        right, up, ahead = (self._world_normals @ axis for axis in self._stand.axes)
        triangle = np.minimum(np.array(self._hit.prim_index, np.int64), len(self._mesh.patches) - 1)
        patches = np.where(self._points[:, 2] > 1e-3, self._mesh.patches[triangle], -1)
        self._normals = np.stack([right, up, -ahead]).reshape(3, *self._shape).astype(np.float32)
        self._depth_mm = along.reshape(self._shape).astype(np.float32)
        self._patches = patches.reshape(self._shape).astype(np.int16)

    def _lit(self, point: F64) -> NDArray[np.bool_]:
        """(H, W): the surface faces the lamp, and nothing stands between."""
        shadow_rays = self._hit.spawn_ray_to(self._mi.Point3f(point.tolist()))
        free = ~np.array(self._scene.ray_test(shadow_rays))
        facing = np.sum(self._world_normals * (point - self._points), axis=1) > 0.0
        return np.asarray(free & facing).reshape(self._shape)


def smooth(light: F32, patches: NDArray[np.int16]) -> F32:
    """Light (..., H, W) fitted linearly over the pixels of the same patch round each one; the plate keeps its own."""
    height, width = patches.shape
    r = FIT_RADIUS_PX
    disc = [(j, i) for j in range(-r, r + 1) for i in range(-r, r + 1) if i * i + j * j <= r * r + 1]
    owner = np.pad(patches, r, constant_values=-2)
    padded = np.pad(light.astype(np.float64), [(0, 0)] * (light.ndim - 2) + [(r, r)] * 2)
    matrix, right = np.zeros((height, width, 3, 3)), np.zeros((3, *light.shape))
    for j, i in disc:
        window = (..., slice(r + j, r + j + height), slice(r + i, r + i + width))
        weight = np.asarray(owner[window] == patches, np.float64)
        basis = np.array([1.0, i, j])
        matrix += weight[..., None, None] * np.outer(basis, basis)
        right += basis.reshape(3, *(1,) * light.ndim) * (padded[window] * weight)
    weights = np.linalg.inv(matrix + np.diag([1e-9, 1e-3, 1e-3]))[:, :, 0]  # a lone pixel has no slope
    fitted = np.einsum("yxb,b...yx->...yx", weights, right)
    return np.where(patches >= 0, np.maximum(fitted, 0.0), light).astype(np.float32)
