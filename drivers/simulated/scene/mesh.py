"""Triangles of a body, for renderers that are not ours: the same shape without relief, texture, paint or defects.

Planar patches become convex pieces: whatever a cut-out removes is split off edge by edge, so that straight cuts are
exact. Circles and round patches become polygons and strips whose corners lie on the true surface; the chord stays
within `tolerance_mm` of it. Corners carry the true normal. Lengths are mm in the part frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivers.simulated.scene import kernels
from drivers.simulated.scene.patches import Body, Cut, Patch

F64 = NDArray[np.float64]

TOLERANCE_MM = 0.0005
_LEAST_AREA_MM2 = 1e-12
_EIGHTHS = 8  # circles begin at angle 0 and have corners at each quarter, where fillets meet walls


@dataclass(frozen=True)
class Mesh:
    """Triangles, counter-clockwise seen from outside.

    vertices (V, 3) mm and normals (V, 3) float64, not shared between patches; triangles (T, 3) int64 into them;
    patches (T,) int64 into `Body.patches`.
    """

    vertices: F64
    normals: F64
    triangles: NDArray[np.int64]
    patches: NDArray[np.int64]

    def areas_mm2(self) -> F64:
        """(T,) area of each triangle."""
        a, b, c = (self.vertices[self.triangles[:, i]] for i in range(3))
        return np.asarray(np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2.0, np.float64)


def mesh_of(body: Body, tolerance_mm: float = TOLERANCE_MM) -> Mesh:
    """The triangles of all patches of a body; the fixture plate is not among them.

    Raises ValueError if `tolerance_mm` is not above 0.
    """
    if not tolerance_mm > 0.0:
        raise ValueError(f"tolerance_mm must be above 0, found {tolerance_mm}")
    points, normals, triangles = [np.zeros((0, 3))], [np.zeros((0, 3))], [np.zeros((0, 3), np.int64)]
    owners, count = [np.zeros(0, np.int64)], 0
    for index, patch in enumerate(body.patches):
        p, n, t = _planar(patch, tolerance_mm) if patch.kind <= kernels.DISC else _round(patch, tolerance_mm)
        points.append(p)
        normals.append(n)
        triangles.append(t + count)
        owners.append(np.full(len(t), index, np.int64))
        count += len(p)
    return Mesh(*(np.concatenate(list(rows)) for rows in (points, normals, triangles, owners)))


def _segments(radius_mm: float, tolerance_mm: float) -> int:
    """How many chords make a circle, a multiple of eight."""
    half = math.acos(max(0.0, 1.0 - tolerance_mm / radius_mm))
    return _EIGHTHS * max(2, math.ceil(math.pi / half / _EIGHTHS))


def _circle(u: float, v: float, radius_mm: float, tolerance_mm: float) -> F64:
    """(N, 2) corners, counter-clockwise."""
    turn = 2.0 * math.pi * np.arange(n := _segments(radius_mm, tolerance_mm)) / n
    return np.stack([u + radius_mm * np.cos(turn), v + radius_mm * np.sin(turn)], axis=1)


def _clip(piece: F64, a: float, b: float, limit: float) -> F64:
    """What of a convex polygon (N, 2) has a u + b v <= limit; (0, 2) if nothing (Sutherland and Hodgman, 1974)."""
    over = piece @ (a, b) - limit
    if (over <= 0.0).all():
        return piece
    if (over >= 0.0).all():
        return piece[:0]
    ahead, over_ahead = np.roll(piece, -1, axis=0), np.roll(over, -1)
    out = []
    for p, q, s, t in zip(piece, ahead, over, over_ahead, strict=True):
        if s <= 0.0:
            out.append(p)
        if s * t < 0.0:
            out.append(p + (q - p) * (s / (s - t)))
    return np.array(out)


def _without(pieces: list[F64], edges: list[tuple[float, float, float]]) -> list[F64]:
    """Convex pieces without the convex region where a u + b v <= limit holds for each edge (a, b, limit)."""
    kept = []
    for piece in pieces:
        rest = piece
        for a, b, limit in edges:
            kept.append(_clip(rest, -a, -b, -limit))
            rest = _clip(rest, a, b, limit)
            if len(rest) == 0:
                break
    return [piece for piece in kept if _area(piece) > _LEAST_AREA_MM2]


def _area(piece: F64) -> float:
    if len(piece) < 3:
        return 0.0
    u, v = (piece - piece[0]).T
    return float(np.sum(u * np.roll(v, -1) - v * np.roll(u, -1)) / 2.0)


def _cut(pieces: list[F64], cut: Cut, tolerance_mm: float) -> list[F64]:
    """Convex pieces without what a cut-out removes."""
    a, b, c, d = cut.values
    if cut.kind == kernels.CUT_HALF_PLANE:
        return _without(pieces, [(-a, -b, -c)])
    if cut.kind == kernels.CUT_RECT:
        return _without(pieces, _box(a, b, c, d))
    box = _box(a - c, a + c, b - c, b + c)
    corners = _circle(a, b, c, tolerance_mm)
    along = np.roll(corners, -1, axis=0) - corners
    edges = [(float(e[1]), float(-e[0]), float(e[1] * p[0] - e[0] * p[1])) for p, e in zip(corners, along, strict=True)]
    outside = _without(pieces, box)
    return outside + _without([_within(piece, box) for piece in pieces], edges)


def _box(u_lo: float, u_hi: float, v_lo: float, v_hi: float) -> list[tuple[float, float, float]]:
    return [(1.0, 0.0, u_hi), (-1.0, 0.0, -u_lo), (0.0, 1.0, v_hi), (0.0, -1.0, -v_lo)]


def _within(piece: F64, edges: list[tuple[float, float, float]]) -> F64:
    for a, b, limit in edges:
        piece = _clip(piece, a, b, limit)
        if len(piece) == 0:
            break
    return piece


def _ring(r_in: float, r_out: float, tolerance_mm: float) -> list[F64]:
    """A disc as one polygon, an annulus as one four-cornered piece per chord."""
    outer = _circle(0.0, 0.0, r_out, tolerance_mm)
    if r_in <= 0.0:
        return [outer]
    inner, ahead = outer * (r_in / r_out), np.roll(outer, -1, axis=0)
    return [np.array([i, o, p, j]) for i, o, p, j in zip(inner, outer, ahead, ahead * (r_in / r_out), strict=True)]


def _planar(patch: Patch, tolerance_mm: float) -> tuple[F64, F64, NDArray[np.int64]]:
    """Points (N, 3), normals (N, 3) and triangles (T, 3) of a rectangle, disc or annulus with its cut-outs."""
    s = patch.shape
    if patch.kind == kernels.DISC:
        pieces = _ring(s[0], s[1], tolerance_mm)
    else:
        pieces = [np.array([(s[0], s[2]), (s[1], s[2]), (s[1], s[3]), (s[0], s[3])])]
    for cut in patch.cuts:
        pieces = _cut(pieces, cut, tolerance_mm)
    fans, count = [np.zeros((0, 3), np.int64)], 0
    for piece in pieces:
        ahead = np.arange(1, len(piece) - 1)
        fans.append(count + np.stack([np.zeros_like(ahead), ahead, ahead + 1], axis=1))
        count += len(piece)
    flat = np.concatenate([np.zeros((0, 2)), *pieces])
    points = np.asarray(patch.origin) + flat @ np.array([patch.u_axis, patch.v_axis])
    return points, np.tile(patch.w_axis, (count, 1)), np.concatenate(fans)


def _round(patch: Patch, tolerance_mm: float) -> tuple[F64, F64, NDArray[np.int64]]:
    """Points, normals and triangles of a cylinder, cone or sphere: a grid of turn by height."""
    radii, heights, lean = _profile(patch, tolerance_mm)
    turn = _turns(patch, float(radii.max()), tolerance_mm)
    sign = 1.0 if patch.outward else -1.0
    around = np.stack([np.cos(turn), np.sin(turn)], axis=1) @ np.array([patch.u_axis, patch.v_axis])
    axis = np.asarray(patch.w_axis)
    points = np.asarray(patch.origin) + radii[:, None, None] * around + heights[:, None, None] * axis
    normals = sign * (np.cos(lean)[:, None, None] * around + np.sin(lean)[:, None, None] * axis)
    rows, columns = len(radii), len(turn)
    k = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    quads = np.stack([k, k + 1, k + columns + 1, k + columns], axis=1)
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    if not patch.outward:
        triangles = triangles[:, ::-1]
    return points.reshape(-1, 3), normals.reshape(-1, 3), triangles


def _profile(patch: Patch, tolerance_mm: float) -> tuple[F64, F64, F64]:
    """Radius, height and lean of the normal (radians above the horizontal) along a round patch's profile."""
    s = patch.shape
    if patch.kind == kernels.CYLINDER:
        return np.full(2, s[0]), np.array(s[1:3]), np.zeros(2)
    if patch.kind == kernels.CONE:
        return np.array(s[0:2]), np.array(s[2:4]), np.full(2, math.atan2(s[0] - s[1], s[3] - s[2]))
    lo, hi = (math.asin(max(-1.0, min(1.0, w / s[0]))) for w in s[1:3])
    rise = np.linspace(lo, hi, 1 + math.ceil(_segments(s[0], tolerance_mm) * (hi - lo) / (2.0 * math.pi)))
    return s[0] * np.cos(rise), s[0] * np.sin(rise), rise


def _turns(patch: Patch, radius_mm: float, tolerance_mm: float) -> F64:
    """Angles of a round patch's corners, radians; the first and the last of a full turn are the same place."""
    n = _segments(radius_mm, tolerance_mm)
    if patch.kind != kernels.CYLINDER or patch.shape[4] >= math.pi:
        return 2.0 * math.pi * np.arange(n + 1) / n
    centre, half = patch.shape[3:5]
    chords = max(1, math.ceil(n * half / math.pi - 1e-9))
    return np.linspace(centre - half, centre + half, chords + 1)
