"""Do the frames agree with the table of lights? No truth is needed, and bad lights do not spoil the test of the others.

Matte brightness is V = S B: light vectors S (K, 3) times surface vectors B (3, n). The frames alone give S up to one
3 x 3 matrix A (Hayakawa, 1994). A table L that is right makes S A = L for all lights at once: K times three equations
for nine unknowns. A is found from the lights that agree best (least trimmed squares), so a light whose table row is
wrong stands alone, and S A says where that light stood. Exchanged rows are tried as such.

What cannot be seen: an error that one matrix A explains for all lights alike, such as a table that is turned as a
whole. With four lights three equations are left: they show that the table is wrong, and not where.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import f as f_distribution

from calibration.camera_model import F64
from calibration.lights.rays import angle_deg, unit

Kind = Literal["direction", "mirrored", "exchanged", "table"]
FEWEST_LIGHTS = 4
FEWEST_PIXELS = 200
BLOCKS = 12  # of neighbouring pixels, for the jackknife
ROUNDS = 150  # of the factorisation, at most
STANDS_STILL = 1e-4  # radians by which one round turns the light vectors' span: then the factorisation is done
FALSE_ALARMS = 0.02  # wanted per good table, before what is not matte adds its own
LEAST_SIGMA_DEG = 0.25  # per axis: what a good calibration leaves in each row of a table
MOST_REST = 0.25  # of the weakest component: with more, good tables miss by several degrees, and none is judged
REST_SIGMA_DEG = 6.0  # per axis and unit of that rest: what it adds to a good table (ball of DiLiGenT, simulated parts)
MOST_OTHER = 0.5  # of the weakest component: what else the frames share, such as bounced light or one highlight
LOOSE_LIMIT_DEG = 15.0  # of the median light: with such limits, and so much else, the lights cannot be told
LEAST_ANGLE_DEG = 1.0  # no light is flagged for less
POOR_TABLE_DEG = 2.5  # rms per axis over all lights: a table that cannot belong to the frames
POOR_SIGMAS = 4.0  # the same, over what gloss and noise explain
POOR_SIGMAS_OF_FOUR = 9.0  # the same of four lights, of which three equations are left
EXCHANGE_GAIN = 2.5  # by how much the best exchange must lower the rms
LEAST_SPREAD = 0.01  # of the weakest over the strongest component of the shading: flatter parts judge no light
TRIPLES = 500
FEWEST_FOR_CONSENSUS = 7  # lights, of which a majority outvotes an exchanged pair and its mirror image


@dataclass(frozen=True)
class LightDoubt:
    """What is wrong with one row of the table, or with several together."""

    kind: Kind
    lights: tuple[int, ...]
    angle_deg: float  # between the table and the frames; the largest, where there are several lights
    text: str


@dataclass(frozen=True)
class Consistency:
    """How well table and frames agree."""

    angles_deg: F64  # (K,) between the table's direction and the one that the frames show; NaN where none was judged
    limits_deg: F64  # (K,) beyond which a light is doubted
    doubts: tuple[LightDoubt, ...]
    why_not: str  # why nothing could be judged; empty where it was

    @property
    def doubted(self) -> tuple[int, ...]:
        """Every light that a doubt names, in order."""
        return tuple(sorted({k for doubt in self.doubts for k in doubt.lights}))


def judge_table(
    values: F64, lit: NDArray[np.bool_], directions: F64, names: Sequence[str] | None = None
) -> Consistency:
    """Compare a table (K, 3) of unit directions with frames of a part.

    `values` (K, n) are brightnesses over each light's strength at n pixels, in the order of the picture; `lit` (K, n)
    is False in shadow and where saturated.
    """
    count = len(directions)
    said = [f"light {k}" for k in range(count)] if names is None else list(names)
    if count < FEWEST_LIGHTS:
        return _unjudged(count, f"{count} lights always agree; {FEWEST_LIGHTS} are needed to judge a table")
    enough = lit.sum(axis=0) >= FEWEST_LIGHTS
    if int(enough.sum()) < FEWEST_PIXELS:
        return _unjudged(count, f"only {int(enough.sum())} pixels are lit by {FEWEST_LIGHTS} lights or more")
    values, lit = values[:, enough], lit[:, enough]
    values = values / np.maximum(np.quantile(values, 0.7, axis=0), 1e-9)
    factors = _factorised(values, lit.astype(np.float64), unit(directions))
    if factors is None:
        return _unjudged(count, "the part shows too few different slopes, or a light reaches too little of it")
    if factors.rest > MOST_REST:
        return _unjudged(count, f"gloss or noise is {factors.rest:.2f} of the shading by slopes (limit {MOST_REST})")
    return _judged(factors, unit(directions), said)


def _unjudged(count: int, why: str) -> Consistency:
    nothing = np.full(count, np.nan)
    return Consistency(nothing, nothing, (), why)


class _Factors(NamedTuple):
    """S (K, 3) and its jackknifed copies (BLOCKS, K, 3), each with one block of pixels left out."""

    vectors: F64
    without: F64
    rest: float  # median residual over the weakest of the three components: gloss, interreflection and noise
    other: float  # the strongest further component, over the weakest of the three; one that few pixels have counts too


def _factorised(values: F64, weights: F64, start: F64) -> _Factors | None:
    """S of V = S B by alternating least squares with Cauchy weights; None where the pixels do not decide it."""
    whole = weights.all(axis=0)
    vectors = start
    if whole.sum() >= FEWEST_PIXELS:
        vectors = np.linalg.eigh(values[:, whole] @ values[:, whole].T)[1][:, -3:]
    robust, span = weights, np.linalg.qr(vectors)[0]
    surface = np.zeros((values.shape[1], 3))
    for _ in range(ROUNDS):
        surface = _solved(vectors, robust, values)
        vectors = _solved(surface, robust.T, values.T)
        residuals = values - vectors @ surface.T
        robust = weights / (1 + (residuals / (2.5 * _scale(residuals, weights))) ** 2)
        before, span = span, np.linalg.qr(vectors)[0]
        if np.linalg.norm(span - before @ (before.T @ span), 2) < STANDS_STILL:
            break
    sizes = _sizes(vectors, surface)
    if not np.isfinite(vectors).all() or sizes[0] < LEAST_SPREAD * sizes[2]:
        return None
    without = _jackknifed(surface, robust, values)
    return _Factors(vectors, without, _rest(vectors, weights, values), _other(vectors, weights, values))


def _scale(residuals: F64, weights: F64) -> float:
    """Standard deviation of the noise, from the median of the residuals that three unknowns a pixel leave free.

    The median of all would break down: among five lights each pixel can fit three exactly and leave two aside.
    """
    count = len(residuals)
    sizes = np.abs(residuals[:, ::3][weights[:, ::3] > 0])
    return 1.4826 * float(np.quantile(sizes, (3 + 0.5 * (count - 3)) / count)) + 1e-6


def _rest(vectors: F64, weights: F64, values: F64) -> float:
    """What no three components explain of the values, over the weakest component; near 0 for a matte part."""
    surface = _solved(vectors, weights, values)
    explained = vectors @ surface.T
    weakest = float(_sizes(vectors, surface)[0]) / np.sqrt(explained.size)
    freedom = np.sqrt(len(values) / (len(values) - 3))
    left = np.median(np.abs(values - explained)[weights > 0])
    return float(1.4826 * freedom * left / max(weakest, 1e-9))


def _other(vectors: F64, weights: F64, values: F64) -> float:
    """The largest singular value of what the three components leave of the lit values, over the weakest of theirs."""
    surface = _solved(vectors, weights, values)
    left = weights * (values - vectors @ surface.T)
    strongest = np.sqrt(max(float(np.linalg.eigvalsh(left @ left.T)[-1]), 0.0))
    return float(strongest / max(float(_sizes(vectors, surface)[0]), 1e-9))


def _sizes(vectors: F64, surface: F64) -> F64:
    """(3,) singular values of vectors surface^T, ascending."""
    squares = np.linalg.eigvals((vectors.T @ vectors) @ (surface.T @ surface))
    return np.asarray(np.sqrt(np.sort(np.maximum(squares.real, 0))), np.float64)


def _jackknifed(surface: F64, weights: F64, values: F64) -> F64:
    """(BLOCKS, K, 3) light vectors, each from the pixels of all blocks but one."""
    outer = (surface[:, :, None] * surface[:, None, :]).reshape(len(surface), 9)
    edges = np.linspace(0, len(surface), BLOCKS + 1).astype(int)
    blocks = [slice(first, last) for first, last in pairwise(edges)]
    matrices = np.array([weights[:, b] @ outer[b] for b in blocks])
    rights = np.array([(weights[:, b] * values[:, b]) @ surface[b] for b in blocks])
    rest = (matrices.sum(axis=0) - matrices).reshape(BLOCKS, -1, 3, 3)
    rest += 1e-9 * np.maximum(np.trace(rest, axis1=2, axis2=3), 1e-12)[..., None, None] * np.eye(3)
    return np.asarray(np.linalg.solve(rest, (rights.sum(axis=0) - rights)[..., None])[..., 0], np.float64)


def _solved(known: F64, weights: F64, values: F64) -> F64:
    """(m, 3) minimising sum_j w_jm (v_jm - known_j . x_m)^2 for known (j, 3), weights and values (j, m)."""
    outer = (known[:, :, None] * known[:, None, :]).reshape(len(known), 9)
    matrix = (weights.T @ outer).reshape(-1, 3, 3)
    trace = np.trace(matrix, axis1=1, axis2=2)
    matrix += 1e-9 * np.maximum(trace, 1e-12)[:, None, None] * np.eye(3)
    right = (weights * values).T @ known
    return np.asarray(np.linalg.solve(matrix, right[..., None])[..., 0], np.float64)


class _Fit(NamedTuple):
    """A table explained by S A, with A from some of the lights."""

    shown: F64  # (K, 3) S A
    angles_deg: F64  # (K,) for a light inside, against a fit without it
    sigma_deg: float  # rms per axis of the lights inside
    leverage: F64  # (K,)
    freedom: int


def _fit(vectors: F64, table: F64, inside: NDArray[np.bool_]) -> _Fit:
    """A from the lights inside; angles of lights inside are those of a fit without them (by their leverage)."""
    chosen = vectors[inside]
    inverse = np.linalg.pinv(chosen.T @ chosen)
    shown = vectors @ (inverse @ chosen.T @ table[inside])
    leverage = np.einsum("kc,cd,kd->k", vectors, inverse, vectors)
    rest = table - shown
    freedom = 3 * int(inside.sum()) - 9
    sigma = np.rad2deg(np.sqrt((rest[inside] ** 2).sum() / max(freedom, 1)))
    left_out = np.where(inside, 1 / np.maximum(1 - leverage, 1e-3), 1)[:, None] * rest
    angles = angle_deg(table, unit(table - left_out))
    spread = np.where(inside, leverage / np.maximum(1 - leverage, 1e-3), leverage)
    return _Fit(shown, angles, float(sigma), spread, freedom)


def _consensus(vectors: F64, table: F64) -> NDArray[np.bool_]:
    """The lights that agree best, half of them or more: least trimmed squares over triples, then concentrated."""
    count = len(table)
    agreeing = max(FEWEST_LIGHTS, (count + 4) // 2)
    triples = np.array(list(combinations(range(count), 3))) if count <= 14 else _random_triples(count)
    bases = vectors[triples]
    sizes = np.linalg.svd(bases, compute_uv=False)
    triples, bases = triples[sizes[:, 2] > 0.05 * sizes[:, 0]], bases[sizes[:, 2] > 0.05 * sizes[:, 0]]
    if len(triples) == 0:
        return np.ones(count, np.bool_)
    shown = vectors[None] @ np.linalg.solve(bases, table[triples])
    miss = ((shown - table) ** 2).sum(axis=2)
    cost = np.sort(miss, axis=1)[:, :agreeing].sum(axis=1)
    best, best_cost = np.ones(count, np.bool_), np.inf
    for row in np.argsort(cost)[:20]:
        order = np.argsort(miss[row])
        for _ in range(5):
            inside = np.isin(np.arange(count), order[:agreeing])
            solution = np.linalg.lstsq(vectors[inside], table[inside], rcond=None)[0]
            distances = ((vectors @ solution - table) ** 2).sum(axis=1)
            order = np.argsort(distances)
        total = float(np.sort(distances)[:agreeing].sum())
        if total < best_cost:
            best, best_cost = np.isin(np.arange(count), order[:agreeing]), total
    return best


def _random_triples(count: int) -> NDArray[np.intp]:
    """Seeded: the same table is judged the same."""
    rng = np.random.default_rng(count)
    return np.argsort(rng.random((TRIPLES, count)), axis=1)[:, :3]


def _limits_deg(fit: _Fit, factors: _Factors, count: int) -> F64:
    """(K,) from the agreeing lights' own scatter, their number, the jackknife over the picture, and a least angle."""
    quantile = float(f_distribution.ppf(1 - FALSE_ALARMS / count, 2, max(fit.freedom, 1)))
    sigma = max(fit.sigma_deg, _usual_sigma_deg(factors))
    scatter = sigma * np.sqrt(2 * quantile * (1 + np.minimum(fit.leverage, 50)))
    turned = unit(factors.without @ np.linalg.lstsq(factors.vectors, fit.shown, rcond=None)[0])
    away = np.rad2deg(np.linalg.norm(turned - unit(fit.shown), axis=2))
    jackknife = np.sqrt((len(turned) - 1) / len(turned) * (away**2).sum(axis=0))
    return np.asarray(np.maximum(np.maximum(scatter, 3 * jackknife), LEAST_ANGLE_DEG))


def _usual_sigma_deg(factors: _Factors) -> float:
    """Per axis, what a good table misses the frames by."""
    return max(LEAST_SIGMA_DEG, REST_SIGMA_DEG * factors.rest)


def _judged(factors: _Factors, table: F64, names: Sequence[str]) -> Consistency:
    """Grow the set of agreeing lights until no further one fits; doubt the others, and say what explains them."""
    count = len(table)
    everyone = np.ones(count, np.bool_)
    inside = _consensus(factors.vectors, table)
    for _ in range(10):
        fit = _fit(factors.vectors, table, inside)
        limits = _limits_deg(fit, factors, count)
        grown = fit.angles_deg <= limits
        if grown.sum() < FEWEST_LIGHTS or (grown == inside).all():
            break
        inside = grown
    whole = _fit(factors.vectors, table, everyone)
    doubts = _doubts(factors, table, names, inside, fit, limits, whole)
    explained = any(doubt.kind == "exchanged" for doubt in doubts)
    if float(np.median(limits)) > LOOSE_LIMIT_DEG and factors.other > MOST_OTHER and not explained:
        return _unjudged(count, f"bounced light or gloss is {factors.other:.1f} of the shading by slopes, as a whole")
    return Consistency(fit.angles_deg, limits, tuple(doubts), "")


def _doubts(
    factors: _Factors, table: F64, names: Sequence[str], inside: NDArray[np.bool_], fit: _Fit, limits: F64, whole: _Fit
) -> list[LightDoubt]:
    """An exchange that explains everything; else a doubt for each light outside; else, perhaps, one of the table.

    Among few lights an exchange may leave a mirrored set that agrees just as well: there the exchange is tried first.
    """
    count = len(table)
    sigmas = POOR_SIGMAS if count > FEWEST_LIGHTS else POOR_SIGMAS_OF_FOUR
    poor = max(POOR_TABLE_DEG, sigmas * _usual_sigma_deg(factors))
    exchange = _exchange(factors.vectors, table, whole, names) if whole.sigma_deg > poor else None
    if exchange is not None and count < FEWEST_FOR_CONSENSUS:
        return [exchange]
    outside = np.flatnonzero(~inside).tolist() if count > FEWEST_LIGHTS else []
    found = _explained(outside, fit, limits, table, names)
    if found or whole.sigma_deg <= poor:
        return found
    text = f"the table and the frames disagree by {whole.sigma_deg:.1f} degrees; which light is wrong cannot be said"
    return [LightDoubt("table", tuple(range(count)), float(whole.angles_deg.max()), text)]


def _exchange(vectors: F64, table: F64, whole: _Fit, names: Sequence[str]) -> LightDoubt | None:
    """The exchange of two rows that explains the frames, if one does; all pairs that do so alike are named."""
    count = len(table)
    free = np.eye(count) - vectors @ np.linalg.pinv(vectors)
    i, j = np.triu_indices(count, 1)
    step = table[j] - table[i]
    pulls = free @ table
    base = float((table * pulls).sum())
    change = 2 * ((pulls[i] - pulls[j]) * step).sum(axis=1)
    stiff = free[i, i] + free[j, j] - 2 * free[i, j]
    freedom = max(3 * count - 9, 1)
    sigmas = np.rad2deg(np.sqrt(np.maximum(base + change + stiff * (step**2).sum(axis=1), 0) / freedom))
    best = float(sigmas.min())
    now = whole.sigma_deg
    if best * EXCHANGE_GAIN >= now:
        return None
    alike = np.flatnonzero(sigmas <= max(1.5 * best, LEAST_SIGMA_DEG))
    pairs = " or ".join(f"{names[i[p]]} and {names[j[p]]}" for p in alike[np.argsort(sigmas[alike])][:4])
    named = tuple(sorted({int(k) for p in alike for k in (i[p], j[p])}))
    text = f"exchanged: {pairs} (the table then fits to {best:.1f} degrees, as it stands to {now:.1f})"
    return LightDoubt("exchanged", named, float(np.max(angle_deg(table[i[alike]], table[j[alike]]))), text)


def _explained(outside: Sequence[int], fit: _Fit, limits: F64, table: F64, names: Sequence[str]) -> list[LightDoubt]:
    """A doubt for each light outside: exchanged with another, mirrored, or just off."""
    shown = unit(fit.shown)
    found: list[LightDoubt] = []
    left = list(outside)
    for k, other in combinations(outside, 2):
        if k in left and other in left:
            near = angle_deg(shown[[k, other]], table[[other, k]])
            off = fit.angles_deg[[k, other]]
            if (near <= np.maximum(limits[[k, other]], 0.3 * off)).all() and (near < off).all():
                text = f"exchanged: {names[k]} and {names[other]} ({off.max():.1f} degrees off as the table has them)"
                found.append(LightDoubt("exchanged", (k, other), float(off.max()), text))
                left = [light for light in left if light not in (k, other)]
    singles = (_single(k, shown[k], table[k], float(fit.angles_deg[k]), float(limits[k]), names[k]) for k in left)
    return [*found, *singles]


def _single(k: int, shown: F64, row: F64, angle: float, limit: float, name: str) -> LightDoubt:
    mirrors = {"left-right": [-1.0, 1.0, 1.0], "up-down": [1.0, -1.0, 1.0], "to the other side": [-1.0, -1.0, 1.0]}
    misses = {how: float(angle_deg(shown, row * np.array(signs))) for how, signs in mirrors.items()}
    best = min(misses, key=lambda how: misses[how])
    if misses[best] <= max(limit, 0.3 * angle) and misses[best] < 0.5 * angle:
        return LightDoubt("mirrored", (k,), angle, f"{name}: mirrored {best} in the table ({angle:.1f} degrees off)")
    x, y, z = shown
    text = f"{name}: the frames fit {x:+.3f} {y:+.3f} {z:+.3f}, {angle:.1f} degrees off the table (limit {limit:.1f})"
    return LightDoubt("direction", (k,), angle, text)
