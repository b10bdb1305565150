"""Random height fields by seed: bodies, hollows, ramps, domes, scratches and bridges on a tilted or bent ground.

Sizes are those of features on parts of some 40 mm. The kind `part` is a whole part on a floor (`bodies.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from drivers.simulated.scene.reliefs.bodies import lean_back, standing_part
from drivers.simulated.scene.reliefs.canvas import Canvas, Relief
from drivers.simulated.scene.reliefs.places import ground_at, level, maybe_colour, placed, random_colour, random_rise

Draw = Callable[[Canvas, np.random.Generator, float], None]  # the last is the canvas's width in mm
MOST_EXTRA = 3  # shapes beside the one that the kind names
TILT, BEND_PER_MM = 0.14, 0.01  # slope of the ground (8 degrees), curvature of a bent one
MOST_GLOSS = 0.15
PART = "part"


def draw_relief(kind: str, seed: int, samples: int, sample_mm: float) -> Relief:
    """The height field of that kind and seed on a square grid of `samples` that are `sample_mm` apart.

    Raises ValueError for an unknown kind.
    """
    if kind not in RELIEF_KINDS:
        raise ValueError(f"relief kind {kind!r} is unknown; there are {', '.join(RELIEF_KINDS)}")
    rng = np.random.default_rng([seed, RELIEF_KINDS.index(kind), 13])
    canvas = Canvas(samples, sample_mm, random_colour(rng))
    width = samples * sample_mm
    others = [SHAPES[i] for i in rng.choice(len(SHAPES), int(rng.integers(0, MOST_EXTRA + 1)))]
    if kind == PART:
        lean = standing_part(canvas, rng, width)
        _lay_shapes(canvas, rng, width, others)
        _texture(canvas, rng)
        lean_back(canvas, lean)
    else:
        _ground(canvas, rng)
        _lay_shapes(canvas, rng, width, [kind, *others, kind])
    _paint(canvas, rng, width)
    return canvas.finished(float(rng.choice([0.0, rng.uniform(0, MOST_GLOSS)])))


def _lay_shapes(canvas: Canvas, rng: np.random.Generator, width: float, names: Sequence[str]) -> None:
    for name in names:
        _DRAWN[name](canvas, rng, width)


def _ground(canvas: Canvas, rng: np.random.Generator) -> None:
    a, b = rng.uniform(-TILT, TILT, 2)
    c, d = rng.uniform(-BEND_PER_MM, BEND_PER_MM, 2) * rng.integers(0, 2)
    x, y = canvas.x, canvas.y
    canvas.add(a * x + b * y + c * x * x + d * y * y, a + 2 * c * x, b + 2 * d * y)
    _texture(canvas, rng)


def _texture(canvas: Canvas, rng: np.random.Generator) -> None:
    """Waves of some tenths of a millimetre, microns high."""
    x, y = canvas.x, canvas.y
    for _ in range(3):
        turn, length, phase = rng.uniform(0, np.pi), rng.uniform(0.3, 2.0), rng.uniform(0, 2 * np.pi)
        slope = rng.uniform(0, 0.02)
        k = 2 * np.pi / length
        along = k * (np.cos(turn) * x + np.sin(turn) * y) + phase
        canvas.add(
            slope / k * np.sin(along), slope * np.cos(along) * np.cos(turn), slope * np.cos(along) * np.sin(turn)
        )


def _box(canvas: Canvas, rng: np.random.Generator, width: float) -> None:
    u, v, _, _ = placed(canvas, rng, width)
    a, b = rng.uniform(0.5, 3.0, 2)
    rise, colour = random_rise(rng), maybe_colour(rng)
    canvas.lay((abs(u) < a) & (abs(v) < b), *level(canvas, ground_at(canvas, u, v) + rise), colour)


def _cylinder(canvas: Canvas, rng: np.random.Generator, width: float) -> None:
    u, v, cos, sin = placed(canvas, rng, width)
    radius, rise, colour = rng.uniform(0.5, 2.5), random_rise(rng), maybe_colour(rng)
    lies, length = rng.uniform() < 0.5, rng.uniform(1.0, 5.0)
    foot = ground_at(canvas, u, v)
    if not lies:
        canvas.lay(u * u + v * v < radius**2, *level(canvas, foot + rise), colour)
        return
    inside = (abs(v) < 0.99 * radius) & (abs(u) < length)  # a lying one, sunk to its axis
    z = np.sqrt(np.maximum(radius**2 - v * v, 0.01 * radius**2))
    canvas.lay(inside, foot + z, v / z * sin, -v / z * cos, colour)


def _step(canvas: Canvas, rng: np.random.Generator, width: float) -> None:
    u, _, _, _ = placed(canvas, rng, width)
    rise = random_rise(rng)
    above = u > 0
    canvas.add(np.where(above, rise, 0.0), np.zeros_like(u), np.zeros_like(u))
    colour = maybe_colour(rng)
    if colour is not None:
        canvas.paint(above, colour)


def _pocket(canvas: Canvas, rng: np.random.Generator, width: float) -> None:
    u, v, _, _ = placed(canvas, rng, width)
    a, b = rng.uniform(0.5, 3.0, 2)
    depth, colour, is_round = random_rise(rng), maybe_colour(rng), rng.uniform() < 0.5
    inside = u * u + v * v < a * a if is_round else (abs(u) < a) & (abs(v) < b)
    canvas.carve(inside, *level(canvas, ground_at(canvas, u, v) - depth), colour)


def _ramp(canvas: Canvas, rng: np.random.Generator, width: float) -> None:
    u, v, cos, sin = placed(canvas, rng, width)
    a, b = rng.uniform(1.0, 3.5, 2)
    slope, colour = rng.uniform(0.1, 1.0), maybe_colour(rng)
    z = ground_at(canvas, u, v) + slope * (u + a)
    flat = np.zeros_like(u)
    canvas.lay((abs(u) < a) & (abs(v) < b), z, flat + slope * cos, flat + slope * sin, colour)


def _dome(canvas: Canvas, rng: np.random.Generator, width: float) -> None:
    u, v, cos, sin = placed(canvas, rng, width)
    radius, share, colour = rng.uniform(0.8, 4.0), rng.uniform(0.2, 0.95), maybe_colour(rng)
    hollow = rng.uniform() < 0.35
    rim = share * radius  # of the cap; its slope there is share / sqrt(1 - share^2)
    z = np.sqrt(np.maximum(radius**2 - u * u - v * v, (1 - share**2) * radius**2))
    low = float(np.sqrt(1 - share**2) * radius)
    zx, zy = (-u * cos + v * sin) / z, (-u * sin - v * cos) / z
    foot, inside = ground_at(canvas, u, v), u * u + v * v < rim * rim
    if hollow:
        canvas.carve(inside, foot - (z - low), -zx, -zy, colour)
    else:
        canvas.lay(inside, foot + (z - low), zx, zy, colour)


def _scratch(canvas: Canvas, rng: np.random.Generator, width: float) -> None:
    for _ in range(int(rng.integers(1, 4))):
        u, v, cos, sin = placed(canvas, rng, width)
        length, half, depth = rng.uniform(1.0, 5.0), rng.uniform(0.1, 0.35), rng.uniform(0.02, 0.3)
        bell = np.where(abs(u) < length, depth * np.exp(-((v / half) ** 2)), 0.0)
        zv = 2 * v / half**2 * bell  # of -bell, along v
        canvas.add(-bell, -sin * zv, cos * zv)


def _bridge(canvas: Canvas, rng: np.random.Generator, width: float) -> None:
    u, v, _, _ = placed(canvas, rng, width)
    a, b = rng.uniform(0.4, 2.0), rng.uniform(1.0, 4.0)
    top, thickness = ground_at(canvas, u, v) + rng.uniform(0.8, 3.5), rng.uniform(0.2, 0.6)
    canvas.bridge((abs(u) < a) & (abs(v) < b), top, thickness, maybe_colour(rng))


def _slots(canvas: Canvas, rng: np.random.Generator, width: float) -> None:
    """Narrow and deep: no light of the ring reaches the floor from across."""
    u, v, _, _ = placed(canvas, rng, width)
    pitch, open_share = rng.uniform(0.8, 2.0), rng.uniform(0.3, 0.7)
    count, length, depth = int(rng.integers(1, 5)), rng.uniform(1.0, 3.5), rng.uniform(0.5, 3.5)
    foot = ground_at(canvas, u, v)
    inside = (np.mod(u, pitch) < open_share * pitch) & (u > 0) & (u < count * pitch) & (abs(v) < length)
    canvas.carve(inside, *level(canvas, foot - depth), maybe_colour(rng))


def _paint(canvas: Canvas, rng: np.random.Generator, width: float) -> None:
    """Mottle, and on half of the surfaces a print whose edges are none in depth."""
    mottle = np.ones_like(canvas.z)
    for _ in range(4):
        kx, ky = rng.normal(0, 2 * np.pi / 1.5, 2)
        mottle += rng.uniform(0, 0.05) * np.sin(kx * canvas.x + ky * canvas.y + rng.uniform(0, 2 * np.pi))
    for _ in range(int(rng.integers(0, 3))):
        u, v, _, _ = placed(canvas, rng, width)
        a, b = rng.uniform(0.2, 2.5, 2)
        canvas.paint((abs(u) < a) & (abs(v) < b), random_colour(rng))
    canvas.shade(mottle)


_DRAWN: dict[str, Draw] = {
    "box": _box, "cylinder": _cylinder, "step": _step, "pocket": _pocket, "ramp": _ramp, "dome": _dome,
    "scratch": _scratch, "bridge": _bridge, "slots": _slots,
}  # fmt: skip
SHAPES = tuple(_DRAWN)
RELIEF_KINDS = (*SHAPES, PART)
