"""Random places, sizes and colours of the shapes that reliefs are drawn from."""

from __future__ import annotations

import numpy as np

from drivers.simulated.scene.reliefs.canvas import F64, Canvas, Rgb


def random_colour(rng: np.random.Generator) -> Rgb:
    """A random one; half of them are grey."""
    grey, hue = rng.uniform(0.15, 0.75), 1 + rng.uniform(-0.25, 0.25, 3) * rng.integers(0, 2)
    red, green, blue = (float(c) for c in np.clip(grey * hue, 0.05, 0.9))
    return red, green, blue


def maybe_colour(rng: np.random.Generator) -> Rgb | None:
    """Half of all bodies have the ground's colour: only their shading and shadow show them."""
    colour = random_colour(rng)
    return colour if rng.uniform() < 0.5 else None


def placed(canvas: Canvas, rng: np.random.Generator, width: float) -> tuple[F64, F64, float, float]:
    """Coordinates (H, W) along and across a place at random, and the cosine and sine of its turn."""
    cx, cy = rng.uniform(-0.38, 0.38, 2) * width
    turn = rng.uniform(0, 2 * np.pi)
    cos, sin = float(np.cos(turn)), float(np.sin(turn))
    return cos * (canvas.x - cx) + sin * (canvas.y - cy), cos * (canvas.y - cy) - sin * (canvas.x - cx), cos, sin


def random_rise(rng: np.random.Generator) -> float:
    """A step's height in mm: as many small ones as large ones, by its logarithm."""
    return float(np.exp(rng.uniform(np.log(0.15), np.log(8.0))))


def ground_at(canvas: Canvas, u: F64, v: F64) -> float:
    """The height in the middle of a place, on the drawing's own surface."""
    return float(canvas.z.ravel()[np.argmin((u * u + v * v).ravel())])


def level(canvas: Canvas, z: float) -> tuple[F64, F64, F64]:
    """Height and slopes (H, W) of a level face."""
    flat = np.zeros_like(canvas.z)
    return flat + z, flat, flat
