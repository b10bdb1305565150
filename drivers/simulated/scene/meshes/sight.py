"""What a picture sees of a mesh, band by band: its looks by ray tracing, and which of them a light does not reach."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivers.simulated.scene import kernels
from drivers.simulated.scene.meshes.shape import Shape

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

_BAND_BYTES = 100 << 20  # of looks; a picture at a binning of 8 is one band, and is kept for the next light
_BYTES_PER_PIXEL = (kernels.LOOK_SIZE + 3) * 8
CameraInputs = tuple[F64, F64, F64, F64, F64, F64, F64, I32, I32, F64]  # patches to plate, three of a grid, rays


@dataclass(frozen=True)
class TracedPart:
    """One part's triangles as the kernels take them, and the drawing by which light is exchanged."""

    shape: Shape
    drawing: Shape
    owners: I32  # (T, 2) material and face
    flaws: F64  # (D, kernels.FLAW_SIZE)

    def blocked(self, starts: F64, normals: F64, light: F64) -> NDArray[np.bool_]:
        """(N,) whether a part stands between places (N, 3) and a light; those that face away are not asked."""
        ways = light - starts
        out = np.zeros(len(starts), np.bool_)
        facing = np.flatnonzero(np.einsum("ij,ij->i", ways, normals) > 0.0)
        out[facing] = self.shape.tracer.is_blocked(starts[facing], ways[facing])
        return out


@dataclass(frozen=True)
class Band:
    """Some rows of a region: the rays of their first pixel, looks (h, W, LOOK_SIZE), starts (h, W, 3)."""

    rows: slice
    camera: CameraInputs
    looks: F64
    starts: F64

    def blocked(self, part: TracedPart, light: F64) -> NDArray[np.bool_]:
        """(h, W) whether the part stands between a pixel's surface, which faces the light at `light` (3,), and it."""
        flat = self.looks.reshape(-1, kernels.LOOK_SIZE)
        return part.blocked(self.starts.reshape(-1, 3), flat[:, 3:6], light).reshape(self.looks.shape[:2])

    def shaded(self, part: TracedPart, light: F64) -> F64:
        """The looks, with SHADED where the light at `light` (3,) is blocked; one thread at a time."""
        self.looks[..., 22] = np.where(self.blocked(part, light), kernels.SHADED, 0.0)
        return self.looks


class Sight:
    """The bands of pictures of one part; the last picture that is a single band is kept for its other lights."""

    def __init__(self, part: TracedPart) -> None:
        self.part = part
        self._kept: tuple[object, Band] | None = None

    def bands(self, camera: CameraInputs, shape: tuple[int, int], key: object) -> Iterator[Band]:
        """`camera` as the kernels take it, of the whole region; shape (H, W) of the region; `key` names the picture."""
        height, width = shape
        rows = min(height, max(1, _BAND_BYTES // (_BYTES_PER_PIXEL * width)))
        kept = self._kept
        if kept is not None and kept[0] == key:
            yield kept[1]
            return
        for first in range(0, height, rows):
            band = self._traced(camera, first, (min(rows, height - first), width))
            if rows == height:
                self._kept = (key, band)
            yield band

    def _traced(self, camera: CameraInputs, first: int, shape: tuple[int, int]) -> Band:
        rays = camera[9].copy()
        rays[:3] += first * rays[6:9]
        height, width = shape
        columns, rows = np.arange(width)[None, :, None], np.arange(height)[:, None, None]
        directions = (rays[:3] + columns * rays[3:6] + rows * rays[6:9]).reshape(-1, 3)
        origins = np.broadcast_to(camera[6][0, :3], directions.shape)
        hits = self.part.shape.tracer.first(origins, directions).reshape(shape)
        looks, starts = np.empty((*shape, kernels.LOOK_SIZE)), np.empty((*shape, 3))
        own: CameraInputs = (*camera[:9], rays)
        part = self.part
        kernels.mesh_look_rows(
            own[0], *own[2:7], rays, part.shape.corners, part.shape.normals, part.shape.lifted, part.owners, part.flaws,
            hits, looks, starts, 0, height,
        )  # fmt: skip
        return Band(slice(first, first + height), own, looks, starts)
