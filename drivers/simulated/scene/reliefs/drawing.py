"""Random height fields by seed: bodies, hollows, ramps, domes, scratches and bridges on a tilted or bent ground.

Sizes are those of features on parts of some 40 mm, seen at 0.08 mm a pixel.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from drivers.simulated.scene.reliefs.canvas import F64, Canvas, Relief, Rgb

Draw = Callable[[Canvas, np.random.Generator, float], None]  # the last is the canvas's width in mm
MOST_EXTRA = 3  # shapes beside the one that the kind names
TILT, BEND_PER_MM = 0.14, 0.01  # slope of the ground (8 degrees), curvature of a bent one
MOST_GLOSS = 0.15


def draw_relief(kind: str, seed: int, samples: int, sample_mm: float) -> Relief:
    """The height field of that kind and seed on a square grid of `samples` that are `sample_mm` apart.

    Raises ValueError for an unknown kind.
    """
    if kind not in _SHAPES:
        raise ValueError(f"relief kind {kind!r} is unknown; there are {', '.join(RELIEF_KINDS)}")
    rng = np.random.default_rng([seed, RELIEF_KINDS.index(kind), 13])
    canvas = Canvas(samples, sample_mm, _colour(rng))
    width = samples * sample_mm
    _ground(canvas, rng)
    others = rng.choice(len(RELIEF_KINDS), int(rng.integers(0, MOST_EXTRA + 1)))
    for name in (kind, *(RELIEF_KINDS[i] for i in others), kind):
        _SHAPES[name](canvas, rng, width)
    _paint(canvas, rng, width)
    return canvas.finished(float(rng.choice([0.0, rng.uniform(0, MOST_GLOSS)])))


def _colour(rng: np.random.Generator) -> Rgb:
    grey, hue = rng.uniform(0.15, 0.75), 1 + rng.uniform(-0.25, 0.25, 3) * rng.integers(0, 2)
    red, green, blue = (float(c) for c in np.clip(grey * hue, 0.05, 0.9))
    return red, green, blue


def _maybe_colour(rng: np.random.Generator) -> Rgb | None:
    """Half of all bodies have the ground's colour: only their shading and shadow show them."""
    colour = _colour(rng)
    return colour if rng.uniform() < 0.5 else None


def _ground(canvas: Canvas, rng: np.random.Generator) -> None:
    a, b = rng.uniform(-TILT, TILT, 2)
    c, d = rng.uniform(-BEND_PER_MM, BEND_PER_MM, 2) * rng.integers(0, 2)
    x, y = canvas.x, canvas.y
    canvas.add(a * x + b * y + c * x * x + d * y * y, a + 2 * c * x, b + 2 * d * y)
    for _ in range(3):  # texture: waves of some tenths of a millimetre, microns high
        turn, length, phase = rng.uniform(0, np.pi), rng.uniform(0.3, 2.0), rng.uniform(0, 2 * np.pi)
        slope = rng.uniform(0, 0.02)
        k = 2 * np.pi / length
        along = k * (np.cos(turn) * x + np.sin(turn) * y) + phase
        canvas.add(
            slope / k * np.sin(along), slope * np.cos(along) * np.cos(turn), slope * np.cos(along) * np.sin(turn)
        )


def _placed(canvas: Canvas, rng: np.random.Generator, width: float) -> tuple[F64, F64, float, float]:
    """Coordinates (H, W) along and across a place at random, and the cosine and sine of its turn."""
    cx, cy = rng.uniform(-0.38, 0.38, 2) * width
    turn = rng.uniform(0, 2 * np.pi)
    cos, sin = float(np.cos(turn)), float(np.sin(turn))
    return cos * (canvas.x - cx) + sin * (canvas.y - cy), cos * (canvas.y - cy) - sin * (canvas.x - cx), cos, sin


def _rise(rng: np.random.Generator) -> float:
    """A step's height in mm: as many small ones as large ones, by its logarithm."""
    return float(np.exp(rng.uniform(np.log(0.15), np.log(8.0))))


def _ground_at(canvas: Canvas, u: F64, v: F64) -> float:
    """The height in the middle of a place, on the drawing's own surface."""
    return float(canvas.z.ravel()[np.argmin((u * u + v * v).ravel())])


def _level(canvas: Canvas, z: float) -> tuple[F64, F64, F64]:
    flat = np.zeros_like(canvas.z)
    return flat + z, flat, flat


def _box(canvas: Canvas, rng: np.random.Generator, width: float) -> None:
    u, v, _, _ = _placed(canvas, rng, width)
    a, b = rng.uniform(0.5, 3.0, 2)
    rise, colour = _rise(rng), _maybe_colour(rng)
    canvas.lay((abs(u) < a) & (abs(v) < b), *_level(canvas, _ground_at(canvas, u, v) + rise), colour)


def _cylinder(canvas: Canvas, rng: np.random.Generator, width: float) -> None:
    u, v, cos, sin = _placed(canvas, rng, width)
    radius, rise, colour = rng.uniform(0.5, 2.5), _rise(rng), _maybe_colour(rng)
    lies, length = rng.uniform() < 0.5, rng.uniform(1.0, 5.0)
    foot = _ground_at(canvas, u, v)
    if not lies:
        canvas.lay(u * u + v * v < radius**2, *_level(canvas, foot + rise), colour)
        return
    inside = (abs(v) < 0.99 * radius) & (abs(u) < length)  # a lying one, sunk to its axis
    z = np.sqrt(np.maximum(radius**2 - v * v, 0.01 * radius**2))
    canvas.lay(inside, foot + z, v / z * sin, -v / z * cos, colour)


def _step(canvas: Canvas, rng: np.random.Generator, width: float) -> None:
    u, _, _, _ = _placed(canvas, rng, width)
    rise = _rise(rng)
    above = u > 0
    canvas.add(np.where(above, rise, 0.0), np.zeros_like(u), np.zeros_like(u))
    colour = _maybe_colour(rng)
    if colour is not None:
        canvas.paint(above, colour)


def _pocket(canvas: Canvas, rng: np.random.Generator, width: float) -> None:
    u, v, _, _ = _placed(canvas, rng, width)
    a, b = rng.uniform(0.5, 3.0, 2)
    depth, colour, is_round = _rise(rng), _maybe_colour(rng), rng.uniform() < 0.5
    inside = u * u + v * v < a * a if is_round else (abs(u) < a) & (abs(v) < b)
    canvas.carve(inside, *_level(canvas, _ground_at(canvas, u, v) - depth), colour)


def _ramp(canvas: Canvas, rng: np.random.Generator, width: float) -> None:
    u, v, cos, sin = _placed(canvas, rng, width)
    a, b = rng.uniform(1.0, 3.5, 2)
    slope, colour = rng.uniform(0.1, 1.0), _maybe_colour(rng)
    z = _ground_at(canvas, u, v) + slope * (u + a)
    flat = np.zeros_like(u)
    canvas.lay((abs(u) < a) & (abs(v) < b), z, flat + slope * cos, flat + slope * sin, colour)


def _dome(canvas: Canvas, rng: np.random.Generator, width: float) -> None:
    u, v, cos, sin = _placed(canvas, rng, width)
    radius, share, colour = rng.uniform(0.8, 4.0), rng.uniform(0.2, 0.95), _maybe_colour(rng)
    hollow = rng.uniform() < 0.35
    rim = share * radius  # of the cap; its slope there is share / sqrt(1 - share^2)
    z = np.sqrt(np.maximum(radius**2 - u * u - v * v, (1 - share**2) * radius**2))
    low = float(np.sqrt(1 - share**2) * radius)
    zx, zy = (-u * cos + v * sin) / z, (-u * sin - v * cos) / z
    foot, inside = _ground_at(canvas, u, v), u * u + v * v < rim * rim
    if hollow:
        canvas.carve(inside, foot - (z - low), -zx, -zy, colour)
    else:
        canvas.lay(inside, foot + (z - low), zx, zy, colour)


def _scratch(canvas: Canvas, rng: np.random.Generator, width: float) -> None:
    for _ in range(int(rng.integers(1, 4))):
        u, v, cos, sin = _placed(canvas, rng, width)
        length, half, depth = rng.uniform(1.0, 5.0), rng.uniform(0.1, 0.35), rng.uniform(0.02, 0.3)
        bell = np.where(abs(u) < length, depth * np.exp(-((v / half) ** 2)), 0.0)
        zv = 2 * v / half**2 * bell  # of -bell, along v
        canvas.add(-bell, -sin * zv, cos * zv)


def _bridge(canvas: Canvas, rng: np.random.Generator, width: float) -> None:
    u, v, _, _ = _placed(canvas, rng, width)
    a, b = rng.uniform(0.4, 2.0), rng.uniform(1.0, 4.0)
    top, thickness = _ground_at(canvas, u, v) + rng.uniform(0.8, 3.5), rng.uniform(0.2, 0.6)
    canvas.bridge((abs(u) < a) & (abs(v) < b), top, thickness, _maybe_colour(rng))


def _slots(canvas: Canvas, rng: np.random.Generator, width: float) -> None:
    """Narrow and deep: no light of the ring reaches the floor from across."""
    u, v, _, _ = _placed(canvas, rng, width)
    pitch, open_share = rng.uniform(0.8, 2.0), rng.uniform(0.3, 0.7)
    count, length, depth = int(rng.integers(1, 5)), rng.uniform(1.0, 3.5), rng.uniform(0.5, 3.5)
    foot = _ground_at(canvas, u, v)
    inside = (np.mod(u, pitch) < open_share * pitch) & (u > 0) & (u < count * pitch) & (abs(v) < length)
    canvas.carve(inside, *_level(canvas, foot - depth), _maybe_colour(rng))


def _paint(canvas: Canvas, rng: np.random.Generator, width: float) -> None:
    """Mottle, and on half of the surfaces a print whose edges are none in depth."""
    mottle = np.ones_like(canvas.z)
    for _ in range(4):
        kx, ky = rng.normal(0, 2 * np.pi / 1.5, 2)
        mottle += rng.uniform(0, 0.05) * np.sin(kx * canvas.x + ky * canvas.y + rng.uniform(0, 2 * np.pi))
    for _ in range(int(rng.integers(0, 3))):
        u, v, _, _ = _placed(canvas, rng, width)
        a, b = rng.uniform(0.2, 2.5, 2)
        canvas.paint((abs(u) < a) & (abs(v) < b), _colour(rng))
    canvas.shade(mottle)


_SHAPES: dict[str, Draw] = {
    "box": _box, "cylinder": _cylinder, "step": _step, "pocket": _pocket, "ramp": _ramp, "dome": _dome,
    "scratch": _scratch, "bridge": _bridge, "slots": _slots,
}  # fmt: skip
RELIEF_KINDS = tuple(_SHAPES)
