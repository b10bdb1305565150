"""A milled block: rectangular pocket, step with a sharp inner crease, blind hole in the step's tread.

It has no model and no recipe: normals are measured on it, and nothing is tuned on it. Lengths are mm in the part frame:
origin on the plate in the middle of the part, z up, x along the longer side.
"""

from __future__ import annotations

from dataclasses import replace

from drivers.simulated.scene.patches import Body, Cut, Material, Patch, X, Y, Z, box, cylinder, disc, pocket, rectangle

BLOCK_X_MM, BLOCK_Y_MM, BLOCK_Z_MM = 17.0, 11.0, 14.0
STEP_X_MM, STEP_Z_MM = 9.0, 8.0
POCKET_X, POCKET_Y, POCKET_FLOOR_MM = (-14.0, 2.0), (-6.0, 6.0), 8.0
HOLE_X_MM, HOLE_Y_MM, HOLE_R_MM, HOLE_FLOOR_MM = 13.0, -4.0, 2.5, 4.0


def materials() -> dict[str, Material]:
    """Matte grey without texture."""
    return {"matte": Material((0.5, 0.5, 0.5), f0=(0.0, 0.0, 0.0), alpha=1.0)}


def _sides() -> list[Patch]:
    """The four outer sides; front and back follow the step."""
    x, y, z = (-BLOCK_X_MM, BLOCK_X_MM), (-BLOCK_Y_MM, BLOCK_Y_MM), (0.0, BLOCK_Z_MM)
    sides = box("block", "matte", x, y, z, ("front", "back", "left"))
    above = STEP_Z_MM - BLOCK_Z_MM / 2  # a side's v = 0 lies at half its height
    notch = Cut.rectangle(STEP_X_MM, BLOCK_X_MM + 1.0, above, BLOCK_Z_MM)
    mirrored = Cut.rectangle(-BLOCK_X_MM - 1.0, -STEP_X_MM, above, BLOCK_Z_MM)
    right = box("block", "matte", x, y, (0.0, STEP_Z_MM), ("right",))["right"]
    return [replace(sides["front"], cuts=(notch,)), replace(sides["back"], cuts=(mirrored,)), sides["left"], right]


def _step(missing: str | None) -> list[Patch]:
    """Riser and tread, and the hole unless it is missing."""
    width, rise, run = 2 * BLOCK_Y_MM, BLOCK_Z_MM - STEP_Z_MM, BLOCK_X_MM - STEP_X_MM
    riser = rectangle("riser", "matte", (STEP_X_MM, 0.0, STEP_Z_MM + rise / 2), Y, Z, width, rise)
    tread = rectangle("tread", "matte", (STEP_X_MM + run / 2, 0.0, STEP_Z_MM), X, Y, run, width)
    if missing == "hole":
        return [riser, tread]
    centre = (HOLE_X_MM, HOLE_Y_MM)
    opening = Cut.circle(HOLE_X_MM - tread.origin[0], HOLE_Y_MM, HOLE_R_MM)
    wall = cylinder("hole_wall", "matte", HOLE_R_MM, HOLE_FLOOR_MM, STEP_Z_MM, centre, outward=False)
    floor = disc("hole_floor", "matte", HOLE_FLOOR_MM, 0.0, HOLE_R_MM, centre)
    return [riser, replace(tread, cuts=(opening,)), *(replace(p, feature="hole") for p in (wall, floor))]


def _top() -> Patch:
    """The top beside the step, open over the pocket."""
    middle = (STEP_X_MM - BLOCK_X_MM) / 2
    top = rectangle("top", "matte", (middle, 0.0, BLOCK_Z_MM), X, Y, STEP_X_MM + BLOCK_X_MM, 2 * BLOCK_Y_MM)
    opening = Cut.rectangle(POCKET_X[0] - middle, POCKET_X[1] - middle, *POCKET_Y)
    return replace(top, cuts=(opening,))


def build(missing: str | None = None) -> Body:
    """The block, without the feature named `missing` ("hole": not drilled)."""
    inside = pocket("pocket", "matte", POCKET_X, POCKET_Y, (POCKET_FLOOR_MM, BLOCK_Z_MM))
    return Body(
        (*_sides(), *_step(missing), _top(), *inside),
        materials(),
        zones=("top", "tread", "pocket_floor", "riser"),
        side_zones=("block_front", "block_back", "block_left", "block_right"),
        features=("hole",),
    )
