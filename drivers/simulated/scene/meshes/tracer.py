"""Rays against triangles, by Embree: which triangle is met first, and whether anything is met.

Embree works in single precision; where exact places matter, only the triangle's number is taken from it.
"""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

_RAYS_PER_CALL = 1 << 18  # keeps single-precision copies small


class Tracer:
    """Embree's tree of some triangles (T, 3, 3), mm; built at the first ray. Safe to call from several threads."""

    def __init__(self, triangles: F64) -> None:
        self._triangles = np.ascontiguousarray(triangles, np.float32)
        self._lock = threading.Lock()
        self._scene: object | None = None

    def first(self, origins: F64, directions: F64) -> I32:
        """(N,) number of the triangle that each ray meets first, -1 for none."""
        return self._run(origins, directions, "INTERSECT")

    def is_blocked(self, origins: F64, directions: F64) -> NDArray[np.bool_]:
        """(N,) whether a ray meets anything, however far away."""
        return self._run(origins, directions, "OCCLUDED") >= 0

    def met(self, origins: F64, directions: F64) -> tuple[I32, F64, F64]:
        """(N,) triangle or -1, (N,) distance in lengths of the direction, (N, 2) weights of its corners 1 and 2."""
        with self._lock:
            found = self._embree().run(  # type: ignore[attr-defined]
                np.ascontiguousarray(origins, np.float32), np.ascontiguousarray(directions, np.float32),
                query="INTERSECT", output=True,
            )  # fmt: skip
        weights = np.stack([found["u"], found["v"]], axis=1).astype(np.float64)
        return np.asarray(found["primID"], np.int32), np.asarray(found["tfar"], np.float64), weights

    def _run(self, origins: F64, directions: F64, query: str) -> I32:
        out = np.empty(len(origins), np.int32)
        for start in range(0, len(origins), _RAYS_PER_CALL):
            part = slice(start, start + _RAYS_PER_CALL)
            single = [np.ascontiguousarray(rays[part], np.float32) for rays in (origins, directions)]
            with self._lock:
                out[part] = self._embree().run(*single, query=query)  # type: ignore[attr-defined]
        return out

    def _embree(self) -> object:
        if self._scene is None:
            from embreex.mesh_construction import TriangleMesh
            from embreex.rtcore_scene import EmbreeScene

            self._scene = EmbreeScene()
            TriangleMesh(self._scene, self._triangles)
        return self._scene
