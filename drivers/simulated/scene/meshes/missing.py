"""What a part from a mesh can lack: a feature that its YAML names by a box, or a chip broken out of an edge.

The body is cut by Manifold, which keeps it closed.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.simulated.scene.meshes.settings import Box

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

CHIP = "chip"
CHIP_RADIUS_MM = (1.2, 2.2)
_SHARP = math.cos(math.radians(40.0))  # of the angle between the normals at an edge out of which a chip breaks
_ROUGHNESS = 0.12  # of a chip's radius
_RINGS, _AROUND = 9, 16
_LEAST_SHARE = 1e-5  # of the part's volume must be cut away
_CHIP_TRIES = 24


def cut_away(path: Path, vertices: F64, triangles: I64, name: str, box: Box) -> tuple[F64, I64]:
    """The body without what lies in a box. Raises ValueError where that is nothing, or all of it."""
    lo, hi = np.array([box.x, box.y, box.z]).T
    corners = np.array([[(lo, hi)[(i >> c) & 1][c] for c in range(3)] for i in range(8)])
    sides = ((0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (2, 6, 7, 3), (0, 4, 6, 2), (1, 3, 7, 5))
    faces = np.array([t for a, b, c, d in sides for t in ((a, b, c), (a, c, d))])
    body, rest = _difference(vertices, triangles, corners, faces)
    share = 1.0 - rest.volume() / body.volume()
    if not _LEAST_SHARE < share < 0.9:
        what = "nothing of the part" if share < 0.5 else "nearly all of the part"
        raise ValueError(f"{path.with_suffix('.yaml')}: feature {name!r}: {what} lies in its box; correct the box")
    return _arrays(rest)


def broken_out(path: Path, vertices: F64, triangles: I64, seed: int) -> tuple[F64, I64]:
    """The body without a rough ball at a sharp upper edge, or anywhere on top where it has none. By seed."""
    rng = np.random.default_rng([seed, 78])
    starts, ends = _sharp_edges(vertices, triangles)
    lengths = np.linalg.norm(ends - starts, axis=1)
    for _ in range(_CHIP_TRIES):
        n = int(rng.choice(len(starts), p=lengths / lengths.sum()))
        place = starts[n] + float(rng.uniform(0.1, 0.9)) * (ends[n] - starts[n])
        ball, faces = _rough_ball(float(rng.uniform(*CHIP_RADIUS_MM)), rng)
        body, rest = _difference(vertices, triangles, place + ball, faces)
        if 1.0 - rest.volume() / body.volume() > _LEAST_SHARE:
            return _arrays(rest)
    raise ValueError(
        f"{path}: no chip breaks out of it; name a feature with its box in {path.with_suffix('.yaml').name}"
    )


def _sharp_edges(vertices: F64, triangles: I64) -> tuple[F64, F64]:
    """Both ends (N, 3) of convex sharp edges in the upper half that are seen from above, else of all upper ones."""
    a, b, c = (vertices[triangles[:, i]] for i in range(3))
    normals = np.cross(b - a, c - a)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-300)
    edges = np.stack([triangles, np.roll(triangles, -1, axis=1)], axis=2).reshape(-1, 2)
    owners = np.repeat(np.arange(len(triangles)), 3)
    order = np.lexsort(np.sort(edges, axis=1).T)
    first, second = order[0::2], order[1::2]  # a closed mesh: each edge twice, once in each direction
    one, two = owners[first], owners[second]
    ends = vertices[edges[first]]
    height = ends[..., 2].mean(axis=1)
    middle = (vertices[:, 2].min() + vertices[:, 2].max()) / 2.0
    upper = (height > middle) & (np.maximum(normals[one, 2], normals[two, 2]) > 0.5)
    beyond = np.sum((vertices[triangles[two]].mean(axis=1) - ends[:, 0]) * normals[one], axis=1)
    sharp = upper & (np.sum(normals[one] * normals[two], axis=1) < _SHARP) & (beyond < 0.0)
    chosen = sharp if sharp.any() else upper
    return ends[chosen, 0], ends[chosen, 1]


def _rough_ball(radius_mm: float, rng: np.random.Generator) -> tuple[F64, I64]:
    """A closed ball round the origin whose surface goes in and out a little."""
    rise = np.pi * np.arange(1, _RINGS) / _RINGS
    turn = 2.0 * np.pi * np.arange(_AROUND) / _AROUND
    ring = np.stack(
        [np.outer(np.sin(rise), np.cos(turn)), np.outer(np.sin(rise), np.sin(turn)),
         np.outer(np.cos(rise), np.ones(_AROUND))], axis=2,
    ).reshape(-1, 3)  # fmt: skip
    points = np.concatenate([[(0.0, 0.0, 1.0)], ring, [(0.0, 0.0, -1.0)]])
    points *= radius_mm * (1.0 + _ROUGHNESS * rng.uniform(-1.0, 1.0, (len(points), 1)))
    last, faces = len(points) - 1, []
    for j in range(_AROUND):
        k = (j + 1) % _AROUND
        faces.append((0, 1 + j, 1 + k))
        for i in range(_RINGS - 2):
            upper, lower = 1 + i * _AROUND, 1 + (i + 1) * _AROUND
            faces += [(upper + j, lower + j, lower + k), (upper + j, lower + k, upper + k)]
        bottom = 1 + (_RINGS - 2) * _AROUND
        faces.append((last, bottom + k, bottom + j))
    return points, np.array(faces, np.int64)


def _difference(vertices: F64, triangles: I64, points: F64, faces: I64) -> tuple[Any, Any]:
    """The body, and the body without a tool, as manifolds."""
    body = _manifold(vertices, triangles)
    return body, body - _manifold(points, faces)


def _manifold(vertices: F64, triangles: I64) -> Any:
    from manifold3d import Manifold, Mesh64

    found = Manifold(Mesh64(np.ascontiguousarray(vertices), np.ascontiguousarray(triangles, np.uint64)))
    if found.is_empty():
        raise ValueError(
            f"the body cannot be cut ({found.status()}): it is no proper solid; repair it and export it anew"
        )
    return found


def _arrays(found: Any) -> tuple[F64, I64]:
    mesh = found.to_mesh64()
    return np.array(mesh.vert_properties, np.float64)[:, :3], np.array(mesh.tri_verts, np.int64)
