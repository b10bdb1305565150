"""A mesh as the Scene needs it: triangles small enough for bounced light, normals of their corners, regions."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from drivers.simulated.scene.meshes.settings import MeshSettings, Region
from drivers.simulated.scene.meshes.tracer import Tracer

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
I32 = NDArray[np.int32]

LONGEST_EDGE_MM = 1.6  # light is computed at corners and interpolated between them
MOST_SPLIT = 60_000  # triangles; a mesh beyond it is not split any further
_FLATTEST_MM = 150.0
_MOST_LIFT_MM = 0.1
BODY = "body"  # the region of what lies in no other


@dataclass(frozen=True)
class Shape:
    """Triangles of a part as it stands in the fixture, mm, counter-clockwise from outside.

    corners (T, 3, 3); normals (T, 3, 3), of unit length where the mesh has a corner; lifted (T, 3, 3): the corners on
    the round surface that the triangles stand for, from where rays to a light begin (Hanika 2021); vertices (T, 3),
    equal numbers for corners at the same place; regions (T,), index into `names`; `key` names the drawing.
    """

    corners: F64
    normals: F64
    lifted: F64
    vertices: I64
    regions: I32
    names: tuple[str, ...]
    key: str

    @cached_property
    def tracer(self) -> Tracer:
        """The rays against these triangles."""
        return Tracer(self.corners)

    @cached_property
    def flat(self) -> F64:
        """(T, 3) unit normals of the triangles themselves."""
        return _flat_normals(self.corners)

    @cached_property
    def areas(self) -> F64:
        """(T,) mm2."""
        a, b = self.corners[:, 1] - self.corners[:, 0], self.corners[:, 2] - self.corners[:, 0]
        return np.asarray(np.linalg.norm(np.cross(a, b), axis=1) / 2.0)

    def scaled(self, factors: tuple[float, float, float]) -> Shape:
        """The same shape, a little longer or shorter along each axis; it exchanges the light of the drawing."""
        by = np.asarray(factors)
        normals = self.normals / by
        normals /= np.linalg.norm(normals, axis=2, keepdims=True) / np.linalg.norm(self.normals, axis=2, keepdims=True)
        return replace(self, corners=self.corners * by, normals=normals, lifted=self.lifted * by)


def make_shape(vertices: F64, triangles: I64, settings: MeshSettings) -> Shape:
    """Vertices (V, 3) in mm and closed triangles (T, 3) with smooth normals and regions, split for bounced light."""
    corners = vertices[triangles]
    normals = smooth_normals(corners, triangles, settings.smooth_deg)
    regions = _regions(corners, settings.regions)
    key = hashlib.sha256(corners.tobytes() + normals.tobytes() + regions.tobytes()).hexdigest()[:32]
    names = (BODY, *(region.name for region in settings.regions))
    return split(Shape(corners, normals, corners, triangles, regions, names, key))


def smooth_normals(corners: F64, triangles: I64, smooth_deg: float) -> F64:
    """(T, 3, 3): at each corner the mean, by area and angle, of the neighbours' normals within `smooth_deg`."""
    flat = _flat_normals(corners)
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    weights = area[:, None] * _angles(corners)
    limit = np.cos(np.radians(smooth_deg)) - 1e-12
    order = np.argsort(triangles.ravel(), kind="stable")
    starts = np.searchsorted(triangles.ravel()[order], np.arange(triangles.max() + 2))
    out = np.empty((len(triangles), 3, 3))
    for start, stop in pairwise(starts):
        here = order[start:stop]
        tri, corner = here // 3, here % 3
        own = flat[tri]
        near = (own @ own.T >= limit) * weights[tri, corner]
        out[tri, corner] = near @ own
    lengths = np.linalg.norm(out, axis=2, keepdims=True)
    out = np.where(lengths > 1e-9, out / np.maximum(lengths, 1e-9), flat[:, None, :])
    return _flat_where_nearly(out, flat, corners)


def _flat_where_nearly(normals: F64, flat: F64, corners: F64) -> F64:
    """A wall beside a fillet is flat: where corners imply a radius beyond _FLATTEST_MM, the triangle's own normal."""
    longest = np.linalg.norm(np.roll(corners, -1, axis=1) - corners, axis=2).max(axis=1)
    tilt = np.linalg.norm(normals - flat[:, None, :], axis=2)
    return np.where((tilt < longest[:, None] / (2.0 * _FLATTEST_MM))[:, :, None], flat[:, None, :], normals)


def _flat_normals(corners: F64) -> F64:
    out = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return np.asarray(out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-300))


def _angles(corners: F64) -> F64:
    """(T, 3) radians at each corner."""
    ahead, back = np.roll(corners, -1, axis=1) - corners, np.roll(corners, 1, axis=1) - corners
    cosine = np.sum(ahead * back, axis=2) / (np.linalg.norm(ahead, axis=2) * np.linalg.norm(back, axis=2) + 1e-300)
    return np.asarray(np.arccos(np.clip(cosine, -1.0, 1.0)))


def _regions(corners: F64, regions: tuple[Region, ...]) -> I32:
    """(T,): 0 is the body, n the n-th region; the first that fits."""
    middle, flat = corners.mean(axis=1), _flat_normals(corners)
    out = np.zeros(len(corners), np.int32)
    for number, region in reversed(list(enumerate(regions, start=1))):
        box = np.array([region.box.x, region.box.y, region.box.z])
        fits = ((middle >= box[:, 0]) & (middle <= box[:, 1])).all(axis=1)
        if region.facing is not None:
            toward = np.asarray(region.facing.direction) / np.linalg.norm(region.facing.direction)
            fits &= flat @ toward >= np.cos(np.radians(region.facing.within_deg))
        out[fits] = number
    return out


def split(shape: Shape, longest_mm: float = LONGEST_EDGE_MM) -> Shape:
    """Every edge longer than `longest_mm` halved, again and again; neighbours stay joined at common corners."""
    while True:
        ends = np.stack([shape.vertices, np.roll(shape.vertices, -1, axis=1)], axis=2).reshape(-1, 2)
        edges, edge_of = np.unique(np.sort(ends, axis=1), axis=0, return_inverse=True)
        lengths = np.linalg.norm(np.roll(shape.corners, -1, axis=1) - shape.corners, axis=2).ravel()
        long = np.zeros(len(edges), np.bool_)
        long[edge_of.ravel()] = lengths > longest_mm
        if not long.any() or len(shape.corners) + 2 * int(long.sum()) > MOST_SPLIT:
            return shape
        middle = np.full(len(edges), -1, np.int64)
        middle[long] = int(shape.vertices.max()) + 1 + np.arange(int(long.sum()))
        shape = _halved(shape, middle[edge_of.ravel()].reshape(-1, 3))


# by which of its edges 01, 12, 20 are halved: the new triangles, by corners 0, 1, 2 and middles 3 (01), 4 (12), 5 (20)
_PIECES: dict[int, tuple[tuple[int, int, int], ...]] = {
    0: ((0, 1, 2),),
    1: ((0, 3, 2), (3, 1, 2)),
    2: ((0, 1, 4), (0, 4, 2)),
    4: ((0, 1, 5), (5, 1, 2)),
    3: ((3, 1, 4), (0, 3, 4), (0, 4, 2)),
    6: ((4, 2, 5), (0, 1, 4), (0, 4, 5)),
    5: ((0, 3, 5), (3, 1, 5), (5, 1, 2)),
    7: ((0, 3, 5), (3, 1, 4), (5, 4, 2), (3, 4, 5)),
}


def _halved(shape: Shape, middles: I64) -> Shape:
    """One round: `middles` (T, 3) numbers the new corner on each edge, -1 where the edge stays."""
    places = np.concatenate([shape.corners, (shape.corners + np.roll(shape.corners, -1, axis=1)) / 2.0], axis=1)
    # not brought to unit length: so the normal inside a triangle is the one that the whole triangle had there
    normals = np.concatenate([shape.normals, (shape.normals + np.roll(shape.normals, -1, axis=1)) / 2.0], axis=1)
    lifted = np.concatenate([shape.lifted, _lifted_middles(shape)], axis=1)
    numbers = np.concatenate([shape.vertices, middles], axis=1)
    pattern = (middles >= 0) @ np.array([1, 2, 4])
    parents, picks = [], []
    for kind, pieces in _PIECES.items():
        own = np.flatnonzero(pattern == kind)
        for piece in pieces:
            parents.append(own)
            picks.append(np.broadcast_to(np.array(piece), (len(own), 3)))
    parent, pick = np.concatenate(parents), np.concatenate(picks)
    order = np.argsort(parent, kind="stable")
    parent, pick = parent[order], pick[order]
    rows = parent[:, None]
    return replace(
        shape, corners=places[rows, pick], normals=normals[rows, pick], lifted=lifted[rows, pick],
        vertices=numbers[rows, pick], regions=shape.regions[parent],
    )  # fmt: skip


def _lifted_middles(shape: Shape) -> F64:
    """(T, 3, 3) the middles of the edges, brought out onto the round surface that their ends' normals tell of."""
    ends = [(shape.lifted, shape.normals), (np.roll(shape.lifted, -1, axis=1), np.roll(shape.normals, -1, axis=1))]
    middle = (ends[0][0] + ends[1][0]) / 2.0
    out = middle.copy()
    for place, normal in ends:
        unit = normal / np.linalg.norm(normal, axis=2, keepdims=True)
        below = np.clip(np.sum((middle - place) * unit, axis=2, keepdims=True), -_MOST_LIFT_MM, 0.0)
        out -= 0.5 * below * unit
    return np.asarray(out)
