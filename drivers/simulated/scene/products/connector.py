"""A connector-like housing: flange, body with side walls, pocket with metal pins, pads, ribs, latch.

Lengths are mm in the part frame: origin on the plate in the middle of the part, z up, x along the longer side.
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
    Z,
    box,
    cylinder,
    disc,
    pocket,
    rectangle,
)

FLANGE_X_MM, FLANGE_Y_MM, FLANGE_Z_MM = 18.5, 11.5, 3.0
BODY_X_MM, BODY_Y_MM, BODY_Z_MM = 15.5, 8.5, 13.0
CHAMFER_MM = 0.8
POCKET_X, POCKET_Y, POCKET_FLOOR_MM = (-12.0, 12.0), (-1.0, 6.5), 7.5
HOLES = ((-17.0, -9.9), (17.0, -9.9), (-17.0, 9.9), (17.0, 9.9))
PIN_MM, PIN_TOP_MM = 1.1, 12.2
PIN_XS = tuple(-8.75 + 3.5 * i for i in range(6))
PIN_YS = (1.1, 4.4)
RIB_YS = (-5.0, 0.0, 5.0)
LATCH_X, LATCH_Z, LATCH_OUT_MM = (-3.5, 3.5), (5.0, 10.0), 1.6
PAD_XS = tuple(-12.0 + 2.4 * i for i in range(11))


def materials() -> dict[str, Material]:
    """Grained plastic and brushed gold, before a part's own tolerances."""
    return {
        "plastic": Material(
            (0.47, 0.50, 0.52), alpha=0.38, texture=kernels.GRAIN, slope=0.022, cell_mm=0.45, mottle=0.025
        ),
        "gold": Material(
            (0.30, 0.25, 0.14), f0=(0.55, 0.42, 0.2), alpha=0.42, texture=kernels.BRUSHED, slope=0.02, cell_mm=0.3
        ),
    }


def _chamfer(side: str, centre: Vector, u_axis: Vector, length_mm: float) -> Patch:
    """A sloped edge strip at 45 degrees with mitred ends; u along the edge, v upwards on the slope."""
    lean = CHAMFER_MM / math.sqrt(2.0)
    inward = (-u_axis[1], u_axis[0], 0.0)
    v_axis = (inward[0] / math.sqrt(2.0), inward[1] / math.sqrt(2.0), 1.0 / math.sqrt(2.0))
    strip = rectangle(f"chamfer_{side}", "plastic", centre, u_axis, v_axis, length_mm, 2.0 * lean)
    mitre = math.sqrt(0.5)
    limit = length_mm / 2 - CHAMFER_MM / 2
    return replace(strip, cuts=(Cut.beyond(1.0, mitre, limit), Cut.beyond(-1.0, mitre, limit)))


def _chamfers() -> list[Patch]:
    """The four sloped edges round the body's top."""
    z, half = BODY_Z_MM - CHAMFER_MM / 2, CHAMFER_MM / 2
    return [
        _chamfer("front", (0.0, -BODY_Y_MM + half, z), X, 2 * BODY_X_MM),
        _chamfer("back", (0.0, BODY_Y_MM - half, z), (-1.0, 0.0, 0.0), 2 * BODY_X_MM),
        _chamfer("right", (BODY_X_MM - half, 0.0, z), (0.0, 1.0, 0.0), 2 * BODY_Y_MM),
        _chamfer("left", (-BODY_X_MM + half, 0.0, z), (0.0, -1.0, 0.0), 2 * BODY_Y_MM),
    ]


def _flange(missing: str | None) -> list[Patch]:
    """The base plate with its four holes, and the row of contact pads on its front edge."""
    faces = box("flange", "plastic", (-FLANGE_X_MM, FLANGE_X_MM), (-FLANGE_Y_MM, FLANGE_Y_MM), (0.0, FLANGE_Z_MM))
    body = Cut.rectangle(-BODY_X_MM - 0.9, BODY_X_MM + 0.9, -BODY_Y_MM - 0.5, BODY_Y_MM + 0.5)
    pads = Cut.rectangle(-13.0, 13.0, -11.5, -8.5)
    holes = tuple(Cut.circle(x, y, 0.9) for x, y in HOLES)
    patches = [replace(faces.pop("top"), cuts=holes, keep_out=(body, pads)), *faces.values()]
    patches += [cylinder("hole", "plastic", 0.9, 0.0, FLANGE_Z_MM, centre, outward=False) for centre in HOLES]
    for i, x in enumerate(PAD_XS):
        name = f"pad_{i + 1}"
        if name != missing:
            pad = box(name, "gold", (x - 0.7, x + 0.7), (-11.0, -9.0), (FLANGE_Z_MM, FLANGE_Z_MM + 0.15), feature=name)
            patches += pad.values()
    return patches


def _shell() -> list[Patch]:
    """Walls and top of the body, the top open over the pocket; defects keep out of what stands on the walls."""
    x, y, z = (-BODY_X_MM, BODY_X_MM), (-BODY_Y_MM, BODY_Y_MM), (FLANGE_Z_MM, BODY_Z_MM - CHAMFER_MM)
    walls = box("body", "plastic", x, y, z, ("front", "back", "left", "right"))
    z_mid = sum(z) / 2
    latch = Cut.rectangle(LATCH_X[0], LATCH_X[1], LATCH_Z[0] - z_mid, LATCH_Z[1] - z_mid)
    walls["front"] = replace(walls["front"], keep_out=(latch,))
    walls["back"] = replace(walls["back"], keep_out=(Cut.rectangle(-9.2, -4.8, -9, 9), Cut.rectangle(4.8, 9.2, -9, 9)))
    ribs = tuple(Cut.rectangle(s - 0.9, s + 0.9, -9, 9) for s in RIB_YS)
    for side in ("left", "right"):
        walls[side] = replace(walls[side], keep_out=ribs)
    top = rectangle(
        "body_top", "plastic", (0.0, 0.0, BODY_Z_MM), X, (0.0, 1.0, 0.0),
        2 * (BODY_X_MM - CHAMFER_MM), 2 * (BODY_Y_MM - CHAMFER_MM),
    )  # fmt: skip
    opening = Cut.rectangle(*POCKET_X, *POCKET_Y)
    return [replace(top, cuts=(opening,)), *walls.values(), *_chamfers()]


def _latch() -> list[Patch]:
    """A ramp on the front wall: sloped top, upright face, triangular cheeks, flat below."""
    (x_lo, x_hi), (z_lo, z_hi), y = LATCH_X, LATCH_Z, -BODY_Y_MM
    rise, out = z_hi - z_lo - 1.5, LATCH_OUT_MM
    length = math.hypot(rise, out)
    slope: Vector = (0.0, out / length, rise / length)
    centre_z = z_hi - rise / 2
    half_out, half_z = out / 2, (z_hi - z_lo) / 2
    # the cheeks lose what lies beyond the line of the slope, in their own (u outward along +-y, v up)
    limit = half_z * out - rise * half_out
    patches = [
        rectangle("latch_slope", "plastic", (0.0, y - out / 2, centre_z), X, slope, x_hi - x_lo, length),
        rectangle("latch_face", "plastic", (0.0, y - out, z_lo + 0.75), X, Z, x_hi - x_lo, 1.5),
        replace(
            rectangle("latch_right", "plastic", (x_hi, y - half_out, z_lo + half_z), (0, 1, 0), Z, out, 2 * half_z),
            cuts=(Cut.beyond(-rise, out, limit),),
        ),
        replace(
            rectangle("latch_left", "plastic", (x_lo, y - half_out, z_lo + half_z), (0, -1, 0), Z, out, 2 * half_z),
            cuts=(Cut.beyond(rise, out, limit),),
        ),
        rectangle("latch_under", "plastic", (0.0, y - half_out, z_lo), X, (0.0, -1.0, 0.0), x_hi - x_lo, out),
    ]
    return [replace(p, feature="latch") for p in patches]


def _ribs(missing: str | None) -> list[Patch]:
    """Three ribs on each narrow side, two keys on the back."""
    top = BODY_Z_MM - 2.5
    patches: list[Patch] = []
    for i, y in enumerate(RIB_YS):
        for side, x in (("right", (BODY_X_MM, BODY_X_MM + 0.9)), ("left", (-BODY_X_MM - 0.9, -BODY_X_MM))):
            name = f"rib_{side}_{i + 1}"
            if name != missing:
                walls = tuple(f for f in ("top", "front", "back", side))
                made = box(name, "plastic", x, (y - 0.7, y + 0.7), (FLANGE_Z_MM, top), walls, name)
                patches += made.values()
    for i, x_mid in enumerate((-7.0, 7.0)):
        name = f"key_{i + 1}"
        if name != missing:
            across, out = (x_mid - 1.5, x_mid + 1.5), (BODY_Y_MM, BODY_Y_MM + 1.2)
            made = box(name, "plastic", across, out, (FLANGE_Z_MM, top + 1.0), ("top", "back", "left", "right"), name)
            patches += made.values()
    return patches


def _pins(missing: str | None) -> list[Patch]:
    """Two rows of six gold pins on the pocket's floor."""
    patches: list[Patch] = []
    for row, y in enumerate(PIN_YS):
        for i, x in enumerate(PIN_XS):
            name = f"pin_{row * len(PIN_XS) + i + 1}"
            if name != missing:
                h = PIN_MM / 2
                made = box(name, "gold", (x - h, x + h), (y - h, y + h), (POCKET_FLOOR_MM, PIN_TOP_MM), feature=name)
                patches += made.values()
    return patches


def _marking() -> list[Patch]:
    """A moulded round gate mark on the top's wide rim."""
    return [
        disc("gate_mark", "plastic", BODY_Z_MM + 0.25, 0.0, 1.0, (12.5, -4.5)),
        cylinder("gate_mark_wall", "plastic", 1.0, BODY_Z_MM, BODY_Z_MM + 0.25, (12.5, -4.5)),
    ]


def build(missing: str | None = None) -> Body:
    """The connector, without the feature named `missing`."""
    patches = [*_flange(missing), *_shell(), *pocket("pocket", "plastic", POCKET_X, POCKET_Y, (POCKET_FLOOR_MM, 13.0))]
    patches += [*_ribs(missing), *_pins(missing), *_marking()]
    if missing != "latch":
        patches += _latch()
    features = (
        "latch",
        *(f"pin_{i + 1}" for i in range(len(PIN_XS) * len(PIN_YS))),
        *(f"rib_{side}_{i}" for side in ("left", "right") for i in (1, 2, 3)),
        "key_1", "key_2", "pad_3", "pad_6", "pad_9",
    )  # fmt: skip
    return Body(
        tuple(patches),
        materials(),
        zones=("body_top", "body_top", "body_front", "body_back", "body_right", "body_left"),
        side_zones=("body_front", "body_back", "body_front", "body_back", "body_left", "body_right"),
        features=features,
    )
