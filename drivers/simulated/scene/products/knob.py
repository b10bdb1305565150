"""A turned knob: skirt, grip with flutes, chamfer, cap with concentric turning marks and an indicator.

Lengths are mm in the part frame: the knob's axis is z, its foot lies on the plate.
"""

from __future__ import annotations

import math
from dataclasses import replace

from drivers.simulated.scene import kernels
from drivers.simulated.scene.patches import Body, Cut, Material, Paint, Patch, cone, cylinder, disc

SKIRT_R_MM, SKIRT_Z_MM, BEVEL_Z_MM, BEVEL_R_MM = 13.0, 4.6, 5.6, 12.2
GRIP_R_MM, GRIP_TOP_MM = 11.4, 13.2
FLUTES, FLUTE_R_MM, FLUTE_CENTRE_MM = 10, 1.7, 12.3
EDGE_R_MM, CAP_R_MM, CAP_Z_MM = 10.3, 9.5, 14.0
DISH_R_MM, DISH_Z_MM = 3.6, 13.3


def materials() -> dict[str, Material]:
    """Satin metal, turned on the faces and brushed by the lathe on the sides."""
    satin = Material((0.40, 0.40, 0.41), f0=(0.26, 0.26, 0.27), alpha=0.42)
    return {
        "turned": replace(satin, texture=kernels.TURNED, slope=0.022, cell_mm=0.35),
        "lathe": replace(satin, texture=kernels.BRUSHED, slope=0.03, cell_mm=0.32),
        "flute": replace(satin, texture=kernels.GRAIN, slope=0.015, cell_mm=0.5),
        "skirt": replace(
            satin, albedo=(0.34, 0.37, 0.42), f0=(0.2, 0.2, 0.21), texture=kernels.BRUSHED, slope=0.03, cell_mm=0.35
        ),
    }


def flute_angle_rad(index: int) -> float:
    """Angle of a flute's middle; the indicator at +y (90 degrees) stands between two flutes."""
    return math.pi / 2 + (index + 0.5) * 2 * math.pi / FLUTES


def _half_angles() -> tuple[float, float]:
    """Half opening of a flute seen from its own centre, and seen from the knob's axis."""
    c, r, flute = FLUTE_CENTRE_MM, GRIP_R_MM, FLUTE_R_MM
    own = math.acos((c * c + flute * flute - r * r) / (2 * c * flute))
    axis = math.acos((c * c + r * r - flute * flute) / (2 * c * r))
    return own, axis


def _grip(missing: str | None) -> list[Patch]:
    """Lands and flutes by turns, and the shoulder above them; a missing flute is a land that goes on."""
    own, axis = _half_angles()
    pitch = 2 * math.pi / FLUTES
    patches: list[Patch] = []
    cuts: list[Cut] = []
    for i in range(FLUTES):
        angle = flute_angle_rad(i)
        land = cylinder(
            f"land_{i + 1}", "lathe", GRIP_R_MM, BEVEL_Z_MM, GRIP_TOP_MM, arc=(angle + pitch / 2, pitch / 2 - axis)
        )
        patches.append(land)
        if missing == f"flute_{i + 1}":
            filled = cylinder(f"fill_{i + 1}", "lathe", GRIP_R_MM, BEVEL_Z_MM, GRIP_TOP_MM, arc=(angle, axis))
            patches.append(filled)
            continue
        centre = (FLUTE_CENTRE_MM * math.cos(angle), FLUTE_CENTRE_MM * math.sin(angle))
        flute = cylinder(
            f"flute_{i + 1}", "flute", FLUTE_R_MM, BEVEL_Z_MM, GRIP_TOP_MM, centre, (angle + math.pi, own), False
        )
        patches.append(replace(flute, feature=f"flute_{i + 1}"))
        cuts.append(Cut.circle(*centre, FLUTE_R_MM))
    shoulder = disc("shoulder", "turned", GRIP_TOP_MM, EDGE_R_MM, GRIP_R_MM)
    return [*patches, replace(shoulder, cuts=tuple(cuts))]


def build(missing: str | None = None) -> Body:
    """The knob, without the feature named `missing` ("flute_3": not cut; "indicator": not painted)."""
    paint = () if missing == "indicator" else (Paint(-0.55, 0.55, 4.6, 8.8, (0.70, 0.68, 0.60)),)
    cap = disc("cap", "turned", CAP_Z_MM, DISH_R_MM, CAP_R_MM)
    mark_room = Cut.rectangle(-1.0, 1.0, 4.2, 9.5)
    patches = [
        cylinder("skirt", "skirt", SKIRT_R_MM, 0.0, SKIRT_Z_MM),
        cone("bevel", "skirt", SKIRT_R_MM, BEVEL_R_MM, SKIRT_Z_MM, BEVEL_Z_MM),
        disc("ledge", "turned", BEVEL_Z_MM, FLUTE_CENTRE_MM - FLUTE_R_MM - 0.3, BEVEL_R_MM),
        *_grip(missing),
        cone("edge", "lathe", EDGE_R_MM, CAP_R_MM, GRIP_TOP_MM, CAP_Z_MM),
        replace(cap, paints=paint, keep_out=(mark_room,)),
        cylinder("dish_wall", "lathe", DISH_R_MM, DISH_Z_MM, CAP_Z_MM, outward=False),
        disc("dish", "turned", DISH_Z_MM, 0.0, DISH_R_MM),
    ]
    lands = tuple(f"land_{i + 1}" for i in range(FLUTES))
    return Body(
        tuple(patches),
        materials(),
        zones=("cap", "cap", "cap", "skirt", "dish"),
        side_zones=("skirt", "skirt", *lands[:2]),
        features=("indicator", *(f"flute_{i + 1}" for i in range(FLUTES))),
    )
