"""A part on a floor, from above or leaning back as an oblique camera sees it: walls, treads, bosses and pockets.

Seen at a tilt t from the floor's normal, the floor and all faces parallel to it fall by tan t in the picture, upward.
A wall that faces the camera rises by cot t, so above the floor by tan t + cot t; the opposite wall is hidden behind its
edge, and the height jumps there. Everything is drawn on a level floor first, and `lean_back` adds the fall of all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from drivers.simulated.scene.reliefs.canvas import F64, Bools, Canvas
from drivers.simulated.scene.reliefs.places import maybe_colour, random_colour

SHARE_OBLIQUE = 0.6
LEANS = (0.8, 1.25)  # tan t: 39 to 51 degrees
HALF_SIZES = (0.1, 0.42)  # of the relief's width
RISES = (0.03, 0.45)  # likewise; as many low ones as high ones, by the logarithm
HOLLOW_SIZES, HOLLOW_RISES = (0.03, 0.2), (0.02, 0.25)
STEEPEST = 20.0  # slope of a wall that is seen from above, in place of an infinite one
ROUND_EDGE = 0.98  # of a round body's half width: beyond it its wall is seen edge-on


@dataclass(frozen=True, slots=True)
class Lean:
    """How the part leans back: `fall` is tan t, toward the direction (cos, sin) in the picture."""

    fall: float
    cos: float
    sin: float


@dataclass(frozen=True, slots=True)
class Outline:
    """A footprint on the canvas: across (u) and toward the far side (w), and where it begins and ends along w."""

    inside: Bools  # (H, W) between its two sides
    near: F64  # (H, W) distance from the edge that faces the camera, positive inside
    far: F64  # (H, W) distance to the opposite edge, positive inside
    near_u: F64  # (H, W) change of `near` with u; that of `far` is the same


def standing_part(canvas: Canvas, rng: np.random.Generator, width: float) -> Lean:
    """Draw one to three bodies upon each other and up to three hollows; the lean is for `lean_back`, later."""
    turn = rng.uniform(0, 2 * np.pi)
    fall = float(rng.uniform(*LEANS)) if rng.uniform() < SHARE_OBLIQUE else 0.0
    lean = Lean(fall, float(np.cos(turn)), float(np.sin(turn)))
    own = random_colour(rng)
    for n in range(int(rng.integers(1, 4))):
        rise = _by_logarithm(rng, RISES) * width
        sizes = rng.uniform(*HALF_SIZES, 2) * width / (1 if n == 0 else 2)
        outline, foot = _outline(canvas, rng, width, lean, sizes, rise, 0.15 if n == 0 else 0.3)
        z, zu, zw = _raised(outline, lean, rise)
        zx, zy = lean.cos * zw - lean.sin * zu, lean.sin * zw + lean.cos * zu
        canvas.lay(outline.inside & (z > 0), foot + z, zx, zy, own if n == 0 else maybe_colour(rng))
    for _ in range(int(rng.integers(0, 4))):
        _hollow(canvas, rng, width, lean)
    return lean


def lean_back(canvas: Canvas, lean: Lean) -> None:
    """Let floor and part fall away from the camera."""
    along = lean.cos * canvas.x + lean.sin * canvas.y
    flat = np.zeros_like(canvas.z)
    canvas.add(-lean.fall * along, flat - lean.fall * lean.cos, flat - lean.fall * lean.sin)


def _outline(
    canvas: Canvas, rng: np.random.Generator, width: float, lean: Lean, sizes: F64, rise: float, spread: float
) -> tuple[Outline, float]:
    """A rectangle or an ellipse near the middle, longer by the wall that shows; and the height at its foot."""
    cx, cy = rng.uniform(-spread, spread, 2) * width
    w = lean.cos * (canvas.x - cx) + lean.sin * (canvas.y - cy)
    u = lean.cos * (canvas.y - cy) - lean.sin * (canvas.x - cx)
    a, b = float(sizes[0]), float(sizes[1])
    is_round = rng.uniform() < 0.4
    if is_round:
        share = np.clip(u / a, -ROUND_EDGE, ROUND_EDGE)
        half = b * np.sqrt(1 - share**2)
        half_u = np.where(abs(u) < ROUND_EDGE * a, -(b / a) * share / np.sqrt(1 - share**2), 0.0)
        inside = abs(u) < ROUND_EDGE * a
    else:
        half, half_u, inside = np.full_like(u, b), np.zeros_like(u), abs(u) < a
    wall = rise / _wall_slope(lean)  # its length in the picture
    near, far = w + half + wall / 2, half + wall / 2 - w
    foot = float(canvas.z.ravel()[np.argmin((u * u + w * w).ravel())])
    return Outline(inside & (near > 0) & (far > 0), near, far, half_u), foot


def _raised(outline: Outline, lean: Lean, rise: float) -> tuple[F64, F64, F64]:
    """Height above the foot, and its slopes along u and w: the wall that faces the camera, then the top."""
    slope = _wall_slope(lean)
    on_wall = outline.near * slope < rise
    z = np.minimum(outline.near * slope, rise)
    return z, np.where(on_wall, slope * outline.near_u, 0.0), np.where(on_wall, slope, 0.0)


def _hollow(canvas: Canvas, rng: np.random.Generator, width: float, lean: Lean) -> None:
    """A pocket or a hole: its far wall shows, and its near edge hides the rest."""
    rise = _by_logarithm(rng, HOLLOW_RISES) * width
    sizes = rng.uniform(*HOLLOW_SIZES, 2) * width
    outline, foot = _outline(canvas, rng, width, lean, sizes, 0.0, 0.3)
    slope = _wall_slope(lean)
    on_wall = outline.far * slope < rise
    z = -np.minimum(outline.far * slope, rise)
    zu, zw = np.where(on_wall, -slope * outline.near_u, 0.0), np.where(on_wall, slope, 0.0)
    zx, zy = lean.cos * zw - lean.sin * zu, lean.sin * zw + lean.cos * zu
    canvas.carve(outline.inside, foot + z, zx, zy, maybe_colour(rng))


def _wall_slope(lean: Lean) -> float:
    """Of a wall that faces the camera, above the floor."""
    return lean.fall + 1 / lean.fall if lean.fall else STEEPEST


def _by_logarithm(rng: np.random.Generator, between: tuple[float, float]) -> float:
    return float(np.exp(rng.uniform(np.log(between[0]), np.log(between[1]))))
