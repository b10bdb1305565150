"""A cast lever: base with one round end, two round bosses, a rib and an end wall with fillets, a groove, a blind bore.

It has no model and no recipe: normals are measured on it, and nothing is tuned on it. Lengths are mm in the part frame:
origin on the plate, z up, x along the lever. Fillets are quarters of concave cylinders that meet both walls smoothly.
"""

from __future__ import annotations

import math
from dataclasses import replace

from drivers.simulated.scene import kernels
from drivers.simulated.scene.patches import (
    Body,
    Cut,
    Material,
    Patch,
    Vector,
    X,
    Y,
    Z,
    box,
    cylinder,
    disc,
    rectangle,
)

BASE_Z_MM, HALF_WIDTH_MM = 4.0, 8.5
ROUND_X_MM, END_X_MM = -12.0, 20.0
BOSS_R_MM, BOSS_TOP_MM, BORE_R_MM, BORE_FLOOR_MM = 5.5, 12.0, 2.5, 6.0
PIVOT_X_MM, PIVOT_R_MM, PIVOT_TOP_MM = 7.0, 4.2, 9.5
RIB_X_MM, RIB_HALF_MM, RIB_TOP_MM, RIB_FILLET_MM = -8.5, 1.5, 8.0, 2.0  # it begins in the boss, clear of the bore
WALL_X_MM, WALL_TOP_MM, WALL_FILLET_MM = 17.0, 10.0, 3.0
GROOVE_Y_MM, GROOVE_X, GROOVE_R_MM = -6.0, (-6.0, 10.0), 1.2


def materials() -> dict[str, Material]:
    """Matte grey without texture."""
    return {"matte": Material((0.5, 0.5, 0.5), f0=(0.0, 0.0, 0.0), alpha=1.0)}


def _trough(
    face: str, origin: Vector, u_axis: Vector, v_axis: Vector, radius: float, length: float, arc: tuple[float, float]
) -> Patch:
    """A concave piece of a lying cylinder with axis u x v; `origin` is the axis's middle, arc = (centre, half)."""
    shape = (radius, -length / 2, length / 2, *arc)
    return Patch(face, kernels.CYLINDER, "matte", origin, u_axis, v_axis, shape, outward=False)


def _base(missing: str | None) -> list[Patch]:
    """Top of the base up to the end wall's fillet, its round end, and its sides with the profile of wall and fillet."""
    start, stop, width = ROUND_X_MM, WALL_X_MM - WALL_FILLET_MM, 2 * HALF_WIDTH_MM
    middle = (start + stop) / 2
    top = rectangle("base_top", "matte", (middle, 0.0, BASE_Z_MM), X, Y, stop - start, width)
    foot = RIB_HALF_MM + RIB_FILLET_MM
    under_rib = Cut.rectangle(RIB_X_MM - middle, PIVOT_X_MM - middle, -foot, foot)
    groove = Cut.rectangle(
        GROOVE_X[0] - middle, GROOVE_X[1] - middle, GROOVE_Y_MM - GROOVE_R_MM, GROOVE_Y_MM + GROOVE_R_MM
    )
    bosses = (Cut.circle(start - middle, 0.0, BOSS_R_MM), Cut.circle(PIVOT_X_MM - middle, 0.0, PIVOT_R_MM))
    cuts = (under_rib, *bosses) if missing == "groove" else (under_rib, *bosses, groove)
    end = disc("base_end", "matte", BASE_Z_MM, BOSS_R_MM, HALF_WIDTH_MM, (start, 0.0))
    rim = cylinder("base_rim", "matte", HALF_WIDTH_MM, 0.0, BASE_Z_MM, (start, 0.0), (math.pi, math.pi / 2))
    ends = [replace(end, cuts=(Cut.beyond(1.0, 0.0, 0.0),)), rim]
    return [replace(top, cuts=cuts), *ends, *_sides()]


def _sides() -> list[Patch]:
    """Front and back: base, fillet and end wall in one flat face each."""
    x, y, z = (ROUND_X_MM, END_X_MM), (-HALF_WIDTH_MM, HALF_WIDTH_MM), (0.0, WALL_TOP_MM)
    made = box("base", "matte", x, y, z, ("front", "back"))
    middle, half_z, r = sum(x) / 2, WALL_TOP_MM / 2, WALL_FILLET_MM
    u, v = WALL_X_MM - r - middle, BASE_Z_MM + r - half_z  # the fillet's axis in the front's (u, v)
    sides = []
    for side, sign in (("front", 1.0), ("back", -1.0)):
        along = sorted((sign * (ROUND_X_MM - middle - 1.0), sign * u))
        beside = sorted((sign * u, sign * (u + r)))
        cuts = (
            Cut.rectangle(along[0], along[1], BASE_Z_MM - half_z, half_z + 1.0),
            Cut.rectangle(beside[0], beside[1], v, half_z + 1.0),
            Cut.circle(sign * u, v, r),
        )
        sides.append(replace(made[side], cuts=cuts))
    return sides


def _end_wall() -> list[Patch]:
    """The upright wall across the base's square end, and the fillet at its foot."""
    width, r = 2 * HALF_WIDTH_MM, WALL_FILLET_MM
    inner_z = (BASE_Z_MM + r, WALL_TOP_MM)
    x, y = (WALL_X_MM, END_X_MM), (-HALF_WIDTH_MM, HALF_WIDTH_MM)
    inner = box("wall", "matte", x, y, inner_z, ("left", "top"))
    outer = box("wall", "matte", x, y, (0.0, WALL_TOP_MM), ("right",))
    axis: Vector = (WALL_X_MM - r, 0.0, BASE_Z_MM + r)
    # u to +x, v to -z: the axis is +y, and the quarter from v to u is material
    fillet = _trough("wall_fillet", axis, X, (0.0, 0.0, -1.0), r, width, (math.pi / 4, math.pi / 4))
    return [*inner.values(), *outer.values(), fillet]


def _rib() -> list[Patch]:
    """The rib from boss to boss, its sides and the fillets at its foot; its ends lie inside the bosses."""
    x, y, r = (RIB_X_MM, PIVOT_X_MM), (-RIB_HALF_MM, RIB_HALF_MM), RIB_FILLET_MM
    made = box("rib", "matte", x, y, (BASE_Z_MM + r, RIB_TOP_MM), ("top", "front", "back"))
    middle, length, quarter = sum(x) / 2, x[1] - x[0], (math.pi / 4, math.pi / 4)
    down = (0.0, 0.0, -1.0)
    front: Vector = (middle, -RIB_HALF_MM - r, BASE_Z_MM + r)
    back: Vector = (middle, RIB_HALF_MM + r, BASE_Z_MM + r)
    return [
        *made.values(),
        _trough("rib_fillet_front", front, Y, down, r, length, quarter),
        _trough("rib_fillet_back", back, (0.0, -1.0, 0.0), down, r, length, quarter),
    ]


def _bosses(missing: str | None) -> list[Patch]:
    """The tall boss with its blind bore, and the lower pivot."""
    centre, pivot = (ROUND_X_MM, 0.0), (PIVOT_X_MM, 0.0)
    walls = [
        cylinder("boss_wall", "matte", BOSS_R_MM, BASE_Z_MM, BOSS_TOP_MM, centre),
        cylinder("pivot_wall", "matte", PIVOT_R_MM, BASE_Z_MM, PIVOT_TOP_MM, pivot),
        disc("pivot_top", "matte", PIVOT_TOP_MM, 0.0, PIVOT_R_MM, pivot),
    ]
    if missing == "bore":
        return [*walls, disc("boss_top", "matte", BOSS_TOP_MM, 0.0, BOSS_R_MM, centre)]
    bore = [
        cylinder("bore_wall", "matte", BORE_R_MM, BORE_FLOOR_MM, BOSS_TOP_MM, centre, outward=False),
        disc("bore_floor", "matte", BORE_FLOOR_MM, 0.0, BORE_R_MM, centre),
    ]
    ring = disc("boss_top", "matte", BOSS_TOP_MM, BORE_R_MM, BOSS_R_MM, centre)
    return [*walls, ring, *(replace(p, feature="bore") for p in bore)]


def _groove() -> list[Patch]:
    """A round-bottomed groove along the base, with flat half-round ends."""
    (x_lo, x_hi), r, down = GROOVE_X, GROOVE_R_MM, (0.0, 0.0, -1.0)
    middle: Vector = ((x_lo + x_hi) / 2, GROOVE_Y_MM, BASE_Z_MM)
    trough = _trough("groove", middle, Y, down, r, x_hi - x_lo, (math.pi / 2, math.pi / 2))
    above = (Cut.beyond(0.0, 1.0, 0.0),)
    west = Patch("groove_west", kernels.DISC, "matte", (x_lo, GROOVE_Y_MM, BASE_Z_MM), Y, Z, (0.0, r), above)
    east = replace(west, face="groove_east", origin=(x_hi, GROOVE_Y_MM, BASE_Z_MM), u_axis=(0.0, -1.0, 0.0))
    return [replace(p, feature="groove") for p in (trough, west, east)]


def build(missing: str | None = None) -> Body:
    """The lever, without the feature named `missing` ("groove": not milled; "bore": not drilled)."""
    patches = [*_base(missing), *_end_wall(), *_rib(), *_bosses(missing)]
    if missing != "groove":
        patches += _groove()
    return Body(
        tuple(patches),
        materials(),
        zones=("base_top", "boss_top", "pivot_top", "wall_fillet"),
        side_zones=("base_front", "base_back", "wall_right"),
        features=("groove", "bore"),
    )
