"""Makes the two meshes that are shipped as demo products: `python scripts/make_meshes.py`. The same bits every time.

crank: a cast lever, tapered hub and arm with a draft of 4 degrees, rounded edges, a bored hub, a slanted pad.
sheet: a stamped sheet of 1.2 mm with rows of holes, a folded lip and an embossed dome.
Both are drawings of our own: solids from profiles, joined and cut by Manifold, written as binary STL in mm.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np
from manifold3d import CrossSection, JoinType, Manifold, Mesh64
from numpy.typing import NDArray

FOLDER = Path(__file__).parents[1] / "drivers" / "simulated" / "scene" / "meshes" / "shipped"
F64 = NDArray[np.float64]


def circle(x: float, y: float, radius: float, count: int = 48) -> CrossSection:
    turn = 2.0 * math.pi * np.arange(count) / count
    return CrossSection([np.stack([x + radius * np.cos(turn), y + radius * np.sin(turn)], axis=1)])


def cast(outline: CrossSection, z_lo: float, z_hi: float, draft_deg: float, edge_mm: float) -> Manifold:
    """A solid over an outline: walls lean in by the draft, and the upper edge is round. Layers are hulled pairwise, so
    the outline must be convex."""
    steps = [(0.0, 0.0)]
    height = z_hi - z_lo - edge_mm
    lean = math.tan(math.radians(draft_deg)) * height
    rises = np.radians(np.linspace(0.0, 90.0, 6))
    steps += [(lean + edge_mm * (1.0 - math.cos(rise)), height + edge_mm * math.sin(rise)) for rise in rises]
    rings = []
    for inset, z in steps:
        layer = outline.offset(-inset, JoinType.Round, 2.0, 64)
        rings += [np.column_stack([loop, np.full(len(loop), z_lo + z)]) for loop in layer.to_polygons()]
    return Manifold.hull_points(np.concatenate(rings))


def rod(x: float, y: float, radius: float, z_lo: float, z_hi: float, count: int = 48) -> Manifold:
    return Manifold.extrude(circle(x, y, radius, count), z_hi - z_lo).translate((0.0, 0.0, z_lo))


def crank() -> Manifold:
    hub = cast(circle(-11.0, 0.0, 7.5, 64), 0.0, 13.0, 4.0, 1.2)
    arm = cast((circle(-11.0, 0.0, 5.6) + circle(13.0, 0.0, 3.9)).hull(), 0.0, 6.5, 4.0, 1.0)
    eye = cast(circle(13.0, 0.0, 5.6, 56), 0.0, 9.5, 4.0, 1.0)
    rib = cast(CrossSection.square((18.0, 2.4), True).translate((1.0, 0.0)), 0.0, 9.0, 3.0, 0.8)
    pad = cast(CrossSection.square((7.0, 6.0), True).translate((-4.0, 7.2)), 0.0, 5.0, 4.0, 0.8)
    body = hub + arm + eye + rib + pad
    bores = rod(-11.0, 0.0, 3.4, -1.0, 20.0) + rod(13.0, 0.0, 2.2, -1.0, 20.0, 36) + rod(-4.4, 7.9, 1.2, -1.0, 20.0, 24)
    slot = Manifold.cube((1.8, 8.0, 30.0), True).translate((-11.0, 0.0, 0.0)).rotate((0.0, 0.0, 0.0))
    keyway = slot.translate((0.0, 0.0, 24.0))  # across the hub's top
    return body - bores - keyway


def bulge(radius: float, height: float, rings: int = 10, around: int = 40) -> Manifold:
    """Half of a flat ball over the plane z = 0."""
    turn, rise = 2.0 * math.pi * np.arange(around) / around, np.linspace(0.0, math.pi / 2.0, rings)
    points = [
        (radius * math.cos(a) * math.cos(t), radius * math.cos(a) * math.sin(t), height * math.sin(a))
        for a in rise for t in turn
    ]  # fmt: skip
    return Manifold.hull_points(np.array(points))


def sheet() -> Manifold:
    plan = CrossSection.square((38.0, 22.0), True).offset(2.0, JoinType.Round, 2.0, 32)
    body = Manifold.extrude(plan, 1.2)
    lip = Manifold.extrude(CrossSection.square((1.2, 20.0), True).translate((20.4, 0.0)), 6.0)
    fold = Manifold.extrude(CrossSection.square((1.6, 20.0), True).translate((19.2, 0.0)), 2.6) - Manifold.cylinder(
        22.0, 1.4, 1.4, 32, True
    ).rotate((90.0, 0.0, 0.0)).translate((18.4, 0.0, 2.6))
    dome = bulge(5.2, 2.4).translate((-12.5, 0.0, 1.2)) - Manifold.cylinder(4.0, 1.5, 1.5, 32).translate(
        (-12.5, 0.0, 0.0)
    )
    body = body + lip + fold + dome
    holes = [
        rod(-4.5 + 3.6 * i + 1.8 * (j % 2), -7.2 + 3.6 * j, 1.2, -1.0, 4.0, 20) for i in range(6) for j in range(5)
        if -4.5 + 3.6 * i + 1.8 * (j % 2) < 16.5
    ]  # fmt: skip
    holes += [rod(x, y, 1.6, -1.0, 4.0, 28) for x in (-17.0,) for y in (-9.0, 9.0)]
    slot = (circle(-10.0, -9.4, 1.0, 20) + circle(-6.4, -9.4, 1.0, 20)).hull()
    holes.append(Manifold.extrude(slot, 5.0).translate((0.0, 0.0, -1.0)))
    for hole in holes:
        body -= hole
    return body


def write(name: str, solid: Manifold) -> None:
    mesh: Mesh64 = solid.to_mesh64()
    corners = np.array(mesh.vert_properties, np.float64)[:, :3][np.array(mesh.tri_verts, np.int64)]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    rows = np.zeros(len(corners), np.dtype([("values", "<f4", (12,)), ("spare", "<u2")]))
    rows["values"] = np.concatenate([normals, corners.reshape(-1, 9)], axis=1)
    content = f"{name}, mm".encode().ljust(80) + struct.pack("<I", len(corners)) + rows.tobytes()
    (FOLDER / f"{name}.stl").write_bytes(content)
    size = np.ptp(corners.reshape(-1, 3), axis=0)
    print(f"{name}: {len(corners)} triangles, {len(content)} bytes, {size.round(2)} mm, {solid.volume():.0f} mm3")


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    write("crank", crank())
    write("sheet", sheet())
