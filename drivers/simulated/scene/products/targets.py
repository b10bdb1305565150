"""The targets for calibration and tests: spheres, a white tile, nothing."""

from __future__ import annotations

from drivers.simulated.scene import kernels
from drivers.simulated.scene.patches import Body, Material, Patch, X, Y, box

SPHERE_RADIUS_MM = 8.0
TILE_MM, TILE_Z_MM = 70.0, 8.0


def _sphere(material: Material) -> Body:
    r = SPHERE_RADIUS_MM
    ball = Patch("sphere", kernels.SPHERE, "ball", (0.0, 0.0, r), X, Y, (r, -r, r))
    return Body((ball,), {"ball": material}, zones=("sphere",))


def sphere_diffuse() -> Body:
    """Radius 8 mm, resting on the plate: its centre is the target point. Albedo 0.6, no gloss."""
    return _sphere(Material((0.6, 0.6, 0.6), f0=(0.0, 0.0, 0.0), alpha=1.0))


def sphere_mirror() -> Body:
    """Radius 8 mm, polished: each light is a small highlight."""
    return _sphere(Material((0.01, 0.01, 0.01), f0=(0.9, 0.9, 0.9), alpha=0.03))


def plane_white() -> Body:
    """A white matte tile, its top through the target point; larger than the top view's field."""
    half = TILE_MM / 2
    tile = box("tile", "white", (-half, half), (-half, half), (0.0, TILE_Z_MM))
    white = Material((0.8, 0.8, 0.8), f0=(0.0, 0.0, 0.0), alpha=1.0)
    return Body(tuple(tile.values()), {"white": white}, ("tile_top",))


def empty() -> Body:
    """Only the fixture plate."""
    return Body(())
