"""Where a defect lies on a mesh: a place whose surroundings are whole, gently curved, and seen by some view."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from drivers.simulated.scene.defects import COLOUR_KINDS, DEFECT_KINDS, Defect, row_of
from drivers.simulated.scene.meshes.shape import Shape

F64 = NDArray[np.float64]

_TRIES, _ROUNDS, _SHRINK_STEPS = 48, 4, 16
_PROBE_MM = 1.0  # rays come down from here onto the footprint: what stands higher beside it is in the way
_UNEVEN_MM = 0.35  # how far the surface may leave the plane of the defect's middle, and
_LEAST_COSINE = 0.8  # how far it may turn
REACH_MM = 0.8  # above and below that plane the footprint ends
_SLANT = math.sqrt(0.5)
_VIEWS = np.array([(0, 0, 1), (_SLANT, 0, _SLANT), (-_SLANT, 0, _SLANT), (0, _SLANT, _SLANT), (0, -_SLANT, _SLANT)])


def place_flaw(shape: Shape, defect: Defect) -> list[float]:
    """The kernels' row (FLAW_SIZE) of a defect that lies on a mesh; all that is random follows from its seed.

    As on drawn parts a footprint that finds no room shrinks by steps of 10 %. Raises ValueError for an unknown face,
    and where there is no room at all.
    """
    rng = np.random.default_rng([defect.seed, 77, DEFECT_KINDS.index(defect.kind)])
    candidates = _candidates(shape, defect)
    half_length = defect.size_mm / 2
    half_width = defect.width_mm / 2 if "scratch" in defect.kind else half_length
    is_groove = "scratch" in defect.kind
    if defect.kind in ("dent", "stain", "discolouration"):
        aspect = float(rng.uniform(0.8, 1.0))
        half_length, half_width = half_length / math.sqrt(aspect), half_width * math.sqrt(aspect)
    phases = rng.uniform(0, 2 * math.pi, 2)
    bend = float(rng.uniform(-0.06, 0.06)) * half_length / half_width
    for step in range(_SHRINK_STEPS):
        shrink = 0.9**step
        lengths = (half_length * shrink, half_width * (1.0 if is_groove else shrink))
        for _ in range(_ROUNDS):
            found = _somewhere(shape, candidates, defect.kind, lengths, rng)
            if found is not None:
                place, u_axis, v_axis, normal = found
                first = bend if is_groove else float(phases[0])
                row = row_of(defect, (0.0, 0.0, 0.0), lengths, (first, float(phases[1])))
                return [*row, *place, *u_axis, *v_axis, *normal, REACH_MM]
    where = "the part" if defect.face is None else f"face {defect.face!r}"
    raise ValueError(f"defect {defect.kind} of {defect.size_mm} mm finds no room on {where}")


def _candidates(shape: Shape, defect: Defect) -> NDArray[np.int64]:
    """Triangles that may carry it: upright ones for a side scratch, for all others those that face up."""
    if defect.face is not None and defect.face not in shape.names:
        raise ValueError(
            f"defect {defect.kind}: no face {defect.face!r} on this part; there are {', '.join(shape.names)}"
        )
    up = shape.flat[:, 2]
    fits = np.abs(up) < 0.05 if defect.kind == "side_scratch" else up > 0.2
    if defect.face is not None:
        fits &= shape.regions == shape.names.index(defect.face)
    found = np.flatnonzero(fits)
    if len(found) == 0:
        kind = "upright" if defect.kind == "side_scratch" else "upward"
        raise ValueError(f"defect {defect.kind}: face {defect.face or 'body'!r} has no {kind} surface")
    return found


def _somewhere(
    shape: Shape, candidates: NDArray[np.int64], kind: str, lengths: tuple[float, float], rng: np.random.Generator
) -> tuple[F64, F64, F64, F64] | None:
    """Place, axes along and across, normal: the first of some random places where the footprint fits."""
    weights = shape.areas[candidates]
    chosen = candidates[rng.choice(len(candidates), _TRIES, p=weights / weights.sum())]
    a, b = np.sqrt(rng.uniform(size=_TRIES)), rng.uniform(size=_TRIES)
    bary = np.stack([1.0 - a, a * (1.0 - b), a * b], axis=1)
    places = np.einsum("nc,nca->na", bary, shape.corners[chosen])
    normals = shape.flat[chosen]
    turns = rng.uniform(0.0, math.pi, _TRIES)
    u_axes, v_axes = _across(normals, turns)
    probe = _footprint(kind, lengths)
    points = places[:, None] + probe[None, :, :1] * u_axes[:, None] + probe[None, :, 1:] * v_axes[:, None]
    starts = points + _PROBE_MM * normals[:, None]
    met, away, _ = shape.tracer.met(starts.reshape(-1, 3), np.repeat(-normals, len(probe), axis=0))
    turned = np.einsum("nma,na->nm", shape.flat[met].reshape(*points.shape), normals)
    met, away = met.reshape(points.shape[:2]), away.reshape(points.shape[:2])
    whole = (met >= 0) & (np.abs(away - _PROBE_MM) < _UNEVEN_MM) & (turned > _LEAST_COSINE)
    fits = whole.all(axis=1) & _is_seen(shape, places, normals)
    if not fits.any():
        return None
    n = int(np.argmax(fits))
    return places[n], u_axes[n], v_axes[n], normals[n]


def _across(normals: F64, turns: F64) -> tuple[F64, F64]:
    """(N, 3) twice: axes at right angles to the normals, turned about them, u x v = normal."""
    helper = np.where(np.abs(normals[:, :1]) < 0.6, [(1.0, 0.0, 0.0)], [(0.0, 1.0, 0.0)])
    u = np.cross(normals, helper)
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    v = np.cross(normals, u)
    cos, sin = np.cos(turns)[:, None], np.sin(turns)[:, None]
    return cos * u + sin * v, cos * v - sin * u


def _footprint(kind: str, lengths: tuple[float, float]) -> F64:
    """(M, 2) places to probe along and across, mm: the footprint with some margin, half of it for mere colour."""
    half_length, half_width = (0.5 * value if kind in COLOUR_KINDS else value for value in lengths)
    is_groove = "scratch" in kind
    margin = 0.2 + (0.06 * half_length if is_groove else 0.0)
    if is_groove:
        along = np.linspace(-half_length, half_length, max(5, 2 * round(half_length / 0.5) + 1))
        return np.array([(s, t) for s in along for t in (-half_width - margin, 0.0, half_width + margin)])
    angles = np.linspace(0.0, 2.0 * math.pi, 12, endpoint=False)
    rings = [share * np.stack([np.cos(angles), np.sin(angles)], axis=1) for share in (0.5, 1.0)]
    return np.concatenate([[(0.0, 0.0)], *rings]) * (half_length + margin, half_width + margin)


def _is_seen(shape: Shape, places: F64, normals: F64) -> NDArray[np.bool_]:
    """(N,) whether one of the five views that a station takes sees the place at a fair angle."""
    out = np.zeros(len(places), np.bool_)
    for view in _VIEWS:
        free = ~shape.tracer.is_blocked(places + 0.01 * normals, np.broadcast_to(view, places.shape))
        out |= free & (normals @ view > 0.35)
    return out
