"""Which lamps shine how strongly, and from where, told from the fixture in every frame.

The frame under lamp k is taken for a sum of what each lamp alone does to the fixture (its reference picture): the
lamps' slants, their fall-off and the part's shadows make these pictures differ. Least squares with no negative lamp
(Lawson and Hanson 1974), places that do not fit counting less (Huber 1964). Cells are summed to blocks first: a texture
that is a little off averages out, which matters most where light grazes the fixture.

A part that lies elsewhere in its seat shades and lights the fixture otherwise, by more than a lamp that glows. How good
parts do that under each light, the *sway* of the reference, may be added in any amount before a lamp is suspected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from station.judge.fixture_picture import Levels

BLOCK = 6  # cells in x and in y
FULL = 0.3  # of a block's cells, at least, must be steady
SHADOW_SHARE = 0.15  # of the fixture's median level: what a dark place may be off by, where a lit one may by its level
ROUNDS = 3
OUTLIER = 2.5  # times the spread of the residuals: from here on a block counts less
LEAST_SPREAD = 0.001
LEAST_BLOCKS = 20
LEAST_LIT = 0.05  # root mean square of the lamp's light over what a block may be off by
FEWEST_FOR_SWAY = 12
SECTORS = 6
SWAYS = 3  # principal ways that are kept: two shifts and a turn
F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FittedTurn:
    """How far a lamp would have to have turned along two axes to explain its frame best, and how well that explains it.

    `explained` (0..1) is the share of the squared misfit that goes with the turn: what is left is no turned lamp.
    """

    x_deg: float
    y_deg: float
    explained: float


@dataclass(frozen=True, slots=True)
class LitFrame:
    """One frame as blocks: what explains it, what is `seen`, and what each block may be `allowed` to be off by."""

    names: tuple[str, ...]  # of the lamps
    columns: F64  # (lamps, then sways; blocks)
    seen: F64
    allowed: F64
    own: NDArray[np.float32]  # (h, w) what the frame's own lamp gives where its light is steady, 0 elsewhere
    filled: NDArray[np.float32]
    here: NDArray[np.bool_]

    def shares(self) -> dict[str, float]:
        """What each lamp gives, 1 = its full light."""
        return dict(zip(self.names, map(float, self._solved(self.columns)), strict=False))

    def explained_by(self, lamp: str) -> float:
        """The share (0..1) of the squared misfit without that lamp that goes with it: how much its light is like what
        is otherwise in this frame."""
        _, weights = self._fitted(self.columns)
        without = np.delete(self.columns, self.names.index(lamp), axis=0)
        return _share_gone(self._misfit(without, self.seen, weights), self._misfit(self.columns, self.seen, weights))

    def share_all_over(self, lamp: str) -> float:
        """What the lamp gives at least, whichever sector of the picture is not looked at.

        A sector that holds most of what is to be seen is not left out: the rest would prove little.
        """
        sector = self._sectors()
        found = [self.shares()[lamp]]
        for left_out in range(SECTORS):
            kept = sector != left_out
            if 0.5 < np.mean(kept) < 1:
                seen_there = replace(
                    self, columns=self.columns[:, kept], seen=self.seen[kept], allowed=self.allowed[kept]
                )  # fmt: skip
                found.append(seen_there.shares()[lamp])
        return min(found)

    def _sectors(self) -> NDArray[np.intp]:
        """Of each block, around the middle of the picture, where the part is."""
        y, x = np.nonzero(self.here)
        angle = np.arctan2(y - (self.here.shape[0] - 1) / 2, x - (self.here.shape[1] - 1) / 2)
        return np.asarray(np.floor((angle / (2 * np.pi) + 0.5) * SECTORS) % SECTORS, np.intp)

    def turned(self, tilts: NDArray[np.float32], usual_deg: tuple[float, float] = (0.0, 0.0)) -> FittedTurn:
        """How far the frame's own lamp has turned.

        `tilts` (2, h, w) are the shares by which its light on each cell grows per degree along either axis. The misfit
        is compared with that of a lamp turned by `usual_deg`, which is what good parts seem to do to it.
        """
        tilted = np.stack([_blocks(self.own * tilt)[self.here] / self.filled[self.here] for tilt in tilts])
        tilted = tilted.astype(np.float64)
        columns = np.concatenate([self.columns, tilted, -tilted])
        found, weights = self._fitted(columns)
        x_on, y_on, x_back, y_back = found[-4:]
        left = self._misfit(columns, self.seen, weights)
        usual = self._misfit(self.columns, self.seen - np.asarray(usual_deg) @ tilted, weights)
        return FittedTurn(float(x_on - x_back), float(y_on - y_back), _share_gone(usual, left))

    def _solved(self, columns: F64) -> F64:
        return self._fitted(columns)[0]

    def _fitted(self, columns: F64) -> tuple[F64, F64]:
        """The amount of each column, and the weight of each block (n,)."""
        columns, seen = columns / self.allowed, self.seen / self.allowed
        weights = np.ones(len(seen))
        found = np.zeros(len(columns))
        for _ in range(ROUNDS):
            found = _without_negative(columns, seen, weights)
            off = np.abs(seen - found @ columns)
            spread = max(1.4826 * float(np.median(off)), LEAST_SPREAD)
            weights = np.minimum(1.0, OUTLIER * spread / np.maximum(off, 1e-12))
        return found, weights

    def _misfit(self, columns: F64, seen: F64, weights: F64) -> float:
        """What the columns leave of `seen` at best, squared and summed; a block that does not fit counts as one that
        just does, however bright the thing is that lies there."""
        columns, seen = columns / self.allowed, seen / self.allowed
        left = seen - _without_negative(columns, seen, weights) @ columns
        return float(((weights * left) ** 2).sum())


class FixtureLights:
    """The reference pictures of one view: `levels` (J, h, w) of each lamp alone, `steady` (J, h, w) where to look."""

    def __init__(
        self,
        names: Sequence[str],
        levels: NDArray[np.float32],
        steady: NDArray[np.bool_],
        sway: NDArray[np.float32] | None = None,
    ) -> None:
        """`sway` (J, K, h / BLOCK, w / BLOCK): `sway_of` each light; None where the reference has none."""
        self.names = tuple(names)
        self._sway = sway
        self._levels = levels
        self._steady = steady
        inside = [plane[mask] for plane, mask in zip(levels, steady, strict=True)]
        self._dark = SHADOW_SHARE * float(np.median([np.median(plane) for plane in inside if len(plane)] or [0.0]))

    def shares(self, light: str, levels: Levels, expected: Mapping[str, float]) -> dict[str, float] | None:
        """`LitFrame.shares` of one frame; None as for `lit`."""
        frame = self.lit(light, levels, expected)
        return None if frame is None else frame.shares()

    def lit(self, light: str, levels: Levels, expected: Mapping[str, float]) -> LitFrame | None:
        """The frame that was taken under `light`, ready to be explained.

        `levels` (h, w) lies over the reference, far below 0 where it does not reach. `expected` are the factors between
        a lamp's reference picture and what it would give at full light in this frame: exposure, gain, brightness.
        None where too little of the fixture is to be seen.
        """
        at = self.names.index(light)
        steady = self._steady[at] & (levels > -1)
        filled = _blocks(steady.astype(np.float32))
        here = filled >= FULL
        if np.count_nonzero(here) < LEAST_BLOCKS or not self._dark > 0:
            return None
        factors = np.array([expected[name] for name in self.names])
        masked = np.where(steady, self._levels, 0)
        columns = np.stack([_blocks(plane)[here] / filled[here] for plane in masked]) * factors[:, None]
        seen = (_blocks(np.where(steady, levels, 0))[here] / filled[here]).astype(np.float64)
        allowed = columns[at] + self._dark
        if not float(np.sqrt(np.mean((columns[at] / allowed) ** 2))) >= LEAST_LIT:
            return None  # all that is steady lies in the shadow: whatever the lamp does, it looks the same
        if self._sway is not None:
            sway = self._sway[at][:, here] * factors[at]
            columns = np.concatenate([columns, sway, -sway])  # of either sign, where a lamp has one
        return LitFrame(self.names, columns, seen, allowed, masked[at] * np.float32(factors[at]), filled, here)


def sway_of(parts: NDArray[np.float32], steady: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(K, h / BLOCK, w / BLOCK): the principal ways in which the fixture around good parts, (n, h, w), differs.

    Each part's own brightness is taken off first: that is the lamp's, not the part's.
    """
    filled = _blocks(steady.astype(np.float32))
    here = filled >= FULL
    found = np.zeros((SWAYS, *filled.shape), np.float32)
    rows = np.stack([_blocks(np.where(steady, part, 0))[here] / filled[here] for part in parts]).astype(np.float64)
    mean = rows.mean(axis=0)
    gains = (rows @ mean) / max(float(mean @ mean), 1e-12)
    off = rows - gains[:, None] * mean
    _, size, ways = np.linalg.svd(off, full_matrices=False)
    kept = min(SWAYS, len(size)) if len(parts) >= FEWEST_FOR_SWAY else 0  # of a few, ways are noise
    found[:kept, here] = ways[:kept] * (size[:kept, None] / np.sqrt(max(1, len(parts) - 1)))
    return found


def _share_gone(misfit: float, left: float) -> float:
    return max(0.0, 1.0 - left / misfit) if misfit > 0 else 0.0


def _blocks(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means of BLOCK x BLOCK cells."""
    height, width = plane.shape[0] // BLOCK, plane.shape[1] // BLOCK
    whole = np.ascontiguousarray(plane[: height * BLOCK, : width * BLOCK])
    return np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA))


def _without_negative(columns: F64, seen: F64, weights: F64) -> F64:
    """Non-negative least squares through its normal equations, which are as small as there are lamps."""
    weighted = columns * weights
    square = weighted @ columns.T
    ridge = 1e-9 * np.trace(square) / len(square) * np.eye(len(square))
    lower = np.linalg.cholesky(square + ridge)
    return np.asarray(nnls(lower.T, np.linalg.solve(lower, weighted @ seen))[0], np.float64)
