"""Named defects: what they are, how large by default, and where on a part they land.

Sizes are those of inspection: a scratch is 8 to 14 mm long and 60 to 100 um deep, a pit about 1 mm wide.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from drivers.simulated.scene import kernels
from drivers.simulated.scene.patches import Body, Patch

GEOMETRY_KINDS = ("scratch", "dent", "pit", "side_scratch")
COLOUR_KINDS = ("stain", "discolouration")
DEFECT_KINDS = ("scratch", "dent", "pit", "stain", "discolouration", "missing_feature", "side_scratch")
_ROW_KIND = {
    "scratch": kernels.GROOVE, "side_scratch": kernels.GROOVE, "dent": kernels.BOWL, "pit": kernels.BOWL,
    "stain": kernels.STAIN, "discolouration": kernels.TINT,
}  # fmt: skip
_TINT = (0.55, -0.15, -0.65)  # toward amber, per unit of strength
_PLACE_TRIES, _SHRINK_STEPS = 400, 16


@dataclass(frozen=True, slots=True)
class Defect:
    """One fault of a part; place and direction on the face follow from `seed`.

    size_mm: length of a scratch, mean diameter of all others. strength: the relative darkening of a
    stain, the depth of hue shift of a discolouration. face: a face's name, or for missing_feature the
    feature's; None = drawn by seed. Scratch, dent and pit change only the normals, stain and
    discolouration only the albedo; the ray's hit point stays on the undisturbed surface.
    """

    kind: str
    size_mm: float = 0.0
    depth_um: float = 0.0
    strength: float = 0.0
    face: str | None = None
    seed: int = 0
    width_mm: float = 0.3  # of scratches

    def __post_init__(self) -> None:
        if self.kind not in DEFECT_KINDS:
            raise ValueError(f"defect kind {self.kind!r} is unknown; there are {', '.join(DEFECT_KINDS)}")


def draw_defect(body: Body, kind: str, seed: int) -> Defect:
    """A defect of inspection size: all that is random about it comes from `seed`."""
    rng = np.random.default_rng([seed, DEFECT_KINDS.index(kind)])

    def between(lo: float, hi: float) -> float:
        return round(float(rng.uniform(lo, hi)), 3)

    if kind == "missing_feature":
        return Defect(kind, face=_pick(body.features, rng, "feature"), seed=seed)
    face = _pick(body.side_zones if kind == "side_scratch" else body.zones, rng, "face")
    if kind in ("scratch", "side_scratch"):
        return Defect(kind, between(8, 14), between(60, 100), 0.0, face, seed, between(0.25, 0.35))
    if kind == "dent":
        return Defect(kind, between(2, 3), between(100, 150), 0.0, face, seed)
    if kind == "pit":
        return Defect(kind, between(0.8, 1.2), between(100, 160), 0.0, face, seed)
    if kind == "stain":
        return Defect(kind, between(2.5, 5), 0.0, between(0.20, 0.35), face, seed)
    return Defect(kind, between(4.5, 6.5), 0.0, between(0.25, 0.40), face, seed)


def _pick(names: Sequence[str], rng: np.random.Generator, what: str) -> str:
    """One of `names`. Raises ValueError when the product offers none."""
    if not names:
        raise ValueError(f"this product has no {what} for such a defect")
    return names[int(rng.integers(len(names)))]


def place_defect(body: Body, defect: Defect) -> tuple[int, list[float]]:
    """Index of the patch and the kernel's row (see `kernels.py`) of a defect that lies on a surface.

    Tries places and directions until the footprint is on whole, free surface; a footprint that finds
    no room shrinks by steps of 10 % (a 14 mm scratch on a face of 9 mm). Raises ValueError for an
    unknown face.
    """
    rng = np.random.default_rng([defect.seed, 77, DEFECT_KINDS.index(defect.kind)])
    zones = body.side_zones if defect.kind == "side_scratch" else body.zones
    face = defect.face if defect.face is not None else _pick(zones, rng, "face")
    named = [i for i, patch in enumerate(body.patches) if patch.face == face]
    if not named:
        names = ", ".join(sorted({patch.face for patch in body.patches}))
        raise ValueError(f"defect {defect.kind}: no face {face!r} on this part; there are {names}")
    index = named[int(rng.integers(len(named)))]
    half_length = defect.size_mm / 2
    half_width = defect.width_mm / 2 if "scratch" in defect.kind else half_length
    if defect.kind in ("dent", "stain", "discolouration"):
        aspect = float(rng.uniform(0.8, 1.0))
        half_length, half_width = half_length / math.sqrt(aspect), half_width * math.sqrt(aspect)
    patch = body.patches[index]
    is_groove = "scratch" in defect.kind
    phases = rng.uniform(0, 2 * math.pi, 2)
    bend = float(rng.uniform(-0.06, 0.06)) * half_length / half_width  # in half widths: GROOVE's column 9
    for shrink in (float(step) for step in 0.9 ** np.arange(_SHRINK_STEPS)):
        lengths = (half_length * shrink, half_width * (1.0 if is_groove else shrink))
        for _ in range(_PLACE_TRIES):
            u, v, angle = _somewhere(patch, rng)
            if _fits(patch, u, v, angle, lengths, defect.kind):
                first = bend if is_groove else float(phases[0])
                return index, row_of(defect, (u, v, angle), lengths, (first, float(phases[1])))
    raise ValueError(f"defect {defect.kind} of {defect.size_mm} mm finds no room on face {face!r}")


def row_of(
    defect: Defect, place: tuple[float, float, float], lengths: tuple[float, float], phases: tuple[float, float]
) -> list[float]:
    """The kernels' row of a defect at (u, v, angle), of half length and half width; phases as columns 9 and 10."""
    u, v, angle = place
    return [
        _ROW_KIND[defect.kind], u, v, math.cos(angle), math.sin(angle), *lengths,
        defect.depth_um / 1000.0, defect.strength, *phases, *_tint(defect),
    ]  # fmt: skip


def _tint(defect: Defect) -> tuple[float, float, float]:
    return (-1.0, -1.0, -1.0) if defect.kind == "stain" else _TINT


def _somewhere(patch: Patch, rng: np.random.Generator) -> tuple[float, float, float]:
    u_lo, u_hi, v_lo, v_hi = patch.bounds()
    return float(rng.uniform(u_lo, u_hi)), float(rng.uniform(v_lo, v_hi)), float(rng.uniform(0, math.pi))


def _fits(patch: Patch, u: float, v: float, angle: float, lengths: tuple[float, float], kind: str) -> bool:
    """Whether the footprint is on whole, free surface; colour may run over an edge, up to half its radius."""
    half_length, half_width = lengths
    if kind in COLOUR_KINDS:
        return patch.has_room(u, v, 0.5 * half_length)
    if kind in ("dent", "pit"):
        return patch.has_room(u, v, max(half_length, half_width))
    margin = half_width + 0.06 * half_length + 0.2
    steps = np.linspace(-half_length, half_length, max(3, 2 * round(half_length / 0.5) + 1))
    return all(patch.has_room(u + s * math.cos(angle), v + s * math.sin(angle), margin) for s in steps)
