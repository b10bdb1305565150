"""Surface patches that a part is made of, the cut-outs in them, and functions that build common bodies.

Lengths are mm in the part frame; a patch has its own (u, v) on the surface, in mm too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from drivers.simulated.scene import kernels

Vector = tuple[float, float, float]
X: Vector = (1.0, 0.0, 0.0)
Y: Vector = (0.0, 1.0, 0.0)
Z: Vector = (0.0, 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a planar patch has no material, in its (u, v)."""

    kind: int
    values: tuple[float, float, float, float]

    @classmethod
    def rectangle(cls, u_lo: float, u_hi: float, v_lo: float, v_hi: float) -> Cut:
        return cls(kernels.CUT_RECT, (u_lo, u_hi, v_lo, v_hi))

    @classmethod
    def circle(cls, u: float, v: float, radius: float) -> Cut:
        return cls(kernels.CUT_CIRCLE, (u, v, radius, 0.0))

    @classmethod
    def beyond(cls, a: float, b: float, limit: float) -> Cut:
        """Removes a u + b v > limit."""
        return cls(kernels.CUT_HALF_PLANE, (a, b, limit, 0.0))

    def removes(self, u: float, v: float, margin: float = 0.0) -> bool:
        """Whether (u, v) lies in the cut, or within `margin` mm of it."""
        a, b, c, d = self.values
        if self.kind == kernels.CUT_RECT:
            return a - margin < u < b + margin and c - margin < v < d + margin
        if self.kind == kernels.CUT_CIRCLE:
            return math.hypot(u - a, v - b) < c + margin
        return a * u + b * v > c - margin * math.hypot(a, b)


@dataclass(frozen=True, slots=True)
class Paint:
    """A printed rectangle in a patch's (u, v) with a colour of its own."""

    u_lo: float
    u_hi: float
    v_lo: float
    v_hi: float
    rgb: Vector


@dataclass(frozen=True, slots=True)
class Patch:
    """One surface with closed-form ray intersection, solid behind it.

    `shape` by kind: RECT u_lo u_hi v_lo v_hi; DISC r_in r_out; CYLINDER radius w_lo w_hi centre_rad
    half_rad; CONE r_lo r_hi w_lo w_hi; SPHERE radius w_lo w_hi. Local (u, v) in mm: planar patches along
    their axes; cylinder (radius x angle, w); cone (r_lo x angle, slant length); sphere (radius x angle, arc).
    """

    face: str
    kind: int
    material: str
    origin: Vector
    u_axis: Vector
    v_axis: Vector
    shape: tuple[float, ...]
    cuts: tuple[Cut, ...] = ()
    paints: tuple[Paint, ...] = ()
    keep_out: tuple[Cut, ...] = ()  # no defects here, because something else stands on it
    outward: bool = True  # False: a bore, material outside the radius
    feature: str | None = None

    @property
    def w_axis(self) -> Vector:
        """The normal of a planar patch, the axis of a round one."""
        w = np.cross(self.u_axis, self.v_axis)
        return (float(w[0]), float(w[1]), float(w[2]))

    @property
    def is_closed(self) -> bool:
        """Whether the patch goes all the way round, so that its u begins where it ends."""
        return self.kind in (kernels.CONE, kernels.SPHERE) or (
            self.kind == kernels.CYLINDER and self.shape[4] >= math.pi
        )

    def bounds(self) -> tuple[float, float, float, float]:
        """u_lo, u_hi, v_lo, v_hi of the local coordinates."""
        s = self.shape
        if self.kind == kernels.RECT:
            return s[0], s[1], s[2], s[3]
        if self.kind == kernels.DISC:
            return -s[1], s[1], -s[1], s[1]
        if self.kind == kernels.CYLINDER:
            return s[0] * (s[3] - s[4]), s[0] * (s[3] + s[4]), s[1], s[2]
        if self.kind == kernels.CONE:
            return -math.pi * s[0], math.pi * s[0], 0.0, math.hypot(s[3] - s[2], s[1] - s[0])
        arc = [s[0] * math.asin(max(-1.0, min(1.0, w / s[0]))) for w in s[1:3]]
        return -math.pi * s[0], math.pi * s[0], arc[0], arc[1]

    def has_room(self, u: float, v: float, margin: float) -> bool:
        """Whether the patch is whole and free within `margin` mm of (u, v)."""
        u_lo, u_hi, v_lo, v_hi = self.bounds()
        if not self.is_closed and not u_lo + margin <= u <= u_hi - margin:
            return False
        if not v_lo + margin <= v <= v_hi - margin:
            return False
        if self.kind == kernels.DISC:
            radius = math.hypot(u, v)
            if not (self.shape[0] == 0.0 or radius >= self.shape[0] + margin) or radius > self.shape[1] - margin:
                return False
        return not any(cut.removes(u, v, margin) for cut in (*self.cuts, *self.keep_out))

    def corners(self) -> NDArray[np.float64]:
        """The eight corners of a box round the patch, (8, 3) mm in the part frame."""
        s = self.shape
        if self.kind == kernels.RECT:
            lo, hi = (s[0], s[2], 0.0), (s[1], s[3], 0.0)
        elif self.kind == kernels.DISC:
            lo, hi = (-s[1], -s[1], 0.0), (s[1], s[1], 0.0)
        else:
            radius = max(s[0], s[1]) if self.kind == kernels.CONE else s[0]
            w_lo, w_hi = (s[2], s[3]) if self.kind == kernels.CONE else (s[1], s[2])
            lo, hi = self._arc_box(radius, w_lo, w_hi)
        local = np.array([[(lo, hi)[(i >> c) & 1][c] for c in range(3)] for i in range(8)])
        axes = np.array([self.u_axis, self.v_axis, self.w_axis])
        return np.asarray(np.asarray(self.origin) + local @ axes, np.float64)

    def _arc_box(self, radius: float, w_lo: float, w_hi: float) -> tuple[Vector, Vector]:
        if self.kind != kernels.CYLINDER or self.shape[4] >= math.pi / 2:
            return (-radius, -radius, w_lo), (radius, radius, w_hi)
        centre, half = self.shape[3], self.shape[4]
        angles = centre + np.linspace(-half, half, 33)
        sag = radius * (1.0 - math.cos(half / 32.0)) + 1e-6
        u, v = radius * np.cos(angles), radius * np.sin(angles)
        return (float(u.min()) - sag, float(v.min()) - sag, w_lo), (float(u.max()) + sag, float(v.max()) + sag, w_hi)


def rectangle(
    face: str, material: str, centre: Vector, u_axis: Vector, v_axis: Vector, width: float, height: float
) -> Patch:
    """A rectangle of `width` along u and `height` along v round its centre, facing u x v."""
    shape = (-width / 2, width / 2, -height / 2, height / 2)
    return Patch(face, kernels.RECT, material, centre, u_axis, v_axis, shape)


def disc(face: str, material: str, z: float, r_in: float, r_out: float, centre: tuple[float, float] = (0, 0)) -> Patch:
    """A disc or annulus facing up."""
    return Patch(face, kernels.DISC, material, (centre[0], centre[1], z), X, Y, (r_in, r_out))


def cylinder(
    face: str,
    material: str,
    radius: float,
    z_lo: float,
    z_hi: float,
    centre: tuple[float, float] = (0.0, 0.0),
    arc: tuple[float, float] = (0.0, math.pi),
    outward: bool = True,
) -> Patch:
    """A vertical cylinder, or the part of it within arc = (centre, half) radians."""
    shape = (radius, z_lo, z_hi, arc[0], arc[1])
    return Patch(face, kernels.CYLINDER, material, (centre[0], centre[1], 0.0), X, Y, shape, outward=outward)


def cone(face: str, material: str, r_lo: float, r_hi: float, z_lo: float, z_hi: float) -> Patch:
    """An upright cone frustum, outside."""
    return Patch(face, kernels.CONE, material, (0.0, 0.0, 0.0), X, Y, (r_lo, r_hi, z_lo, z_hi))


def box(
    name: str,
    material: str,
    x: tuple[float, float],
    y: tuple[float, float],
    z: tuple[float, float],
    faces: Sequence[str] = ("top", "left", "right", "front", "back"),
    feature: str | None = None,
) -> dict[str, Patch]:
    """Outward faces of an upright box, by side. Side walls have u along the wall and v up."""
    cx, cy, cz = (sum(x) / 2, sum(y) / 2, sum(z) / 2)
    wx, wy, wz = x[1] - x[0], y[1] - y[0], z[1] - z[0]
    made = {
        "top": rectangle(f"{name}_top", material, (cx, cy, z[1]), X, Y, wx, wy),
        "front": rectangle(f"{name}_front", material, (cx, y[0], cz), X, Z, wx, wz),
        "back": rectangle(f"{name}_back", material, (cx, y[1], cz), (-1.0, 0.0, 0.0), Z, wx, wz),
        "right": rectangle(f"{name}_right", material, (x[1], cy, cz), Y, Z, wy, wz),
        "left": rectangle(f"{name}_left", material, (x[0], cy, cz), (0.0, -1.0, 0.0), Z, wy, wz),
    }
    return {side: replace(made[side], feature=feature) for side in faces}


def pocket(
    name: str, material: str, x: tuple[float, float], y: tuple[float, float], z: tuple[float, float]
) -> list[Patch]:
    """Floor and four inward walls of a rectangular pocket that is open at z[1]."""
    cx, cy, cz = (sum(x) / 2, sum(y) / 2, sum(z) / 2)
    wx, wy, wz = x[1] - x[0], y[1] - y[0], z[1] - z[0]
    return [
        rectangle(f"{name}_floor", material, (cx, cy, z[0]), X, Y, wx, wy),
        rectangle(f"{name}_wall_south", material, (cx, y[0], cz), (-1.0, 0.0, 0.0), Z, wx, wz),
        rectangle(f"{name}_wall_north", material, (cx, y[1], cz), X, Z, wx, wz),
        rectangle(f"{name}_wall_west", material, (x[0], cy, cz), Y, Z, wy, wz),
        rectangle(f"{name}_wall_east", material, (x[1], cy, cz), (0.0, -1.0, 0.0), Z, wy, wz),
    ]


@dataclass(frozen=True, slots=True)
class Material:
    """How a surface reflects and what its micro-relief is like.

    `texture` is PLAIN, GRAIN, TURNED or BRUSHED; `slope` its typical tangent of tilt, `cell_mm` its pitch
    (not below 0.2); `mottle` the relative spread of albedo; phases shift the pattern per part.
    """

    albedo: Vector
    f0: Vector = (0.04, 0.04, 0.04)
    alpha: float = 0.4  # GGX roughness
    texture: int = kernels.PLAIN
    slope: float = 0.0
    cell_mm: float = 0.4
    mottle: float = 0.0
    phase_mm: tuple[float, float] = (0.0, 0.0)
    seed: int = 0

    def row(self) -> list[float]:
        """As the kernels read it: `material` in `kernels.py`."""
        return [
            *self.albedo, *self.f0, self.alpha, self.texture, self.slope, self.cell_mm, self.mottle,
            *self.phase_mm, self.seed,
        ]  # fmt: skip


@dataclass(frozen=True)
class Body:
    """Patches and materials of one product before defects and placement."""

    patches: tuple[Patch, ...]
    materials: dict[str, Material] = field(default_factory=dict)
    zones: tuple[str, ...] = ()  # faces that may carry a defect seen from several views, by name
    side_zones: tuple[str, ...] = ()  # upright faces that the top view cannot see
    features: tuple[str, ...] = ()  # what may be missing
