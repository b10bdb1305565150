"""Whether good parts lie in the same place in every picture: judged from the pictures alone.

Two figures decide. `place_share` is the part of the variance of local brightness and slope that a place explains: near
1 where every picture shows the same thing in the same place, near 0 where a place says nothing. `shift_share` is how
far pairs of pictures must be moved to match, as a share of the longest side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE_PX = 128  # of the longest side, while pictures are compared
CELL_PX = 4
MOST_PICTURES = 40
FEWEST_PICTURES = 4
LEAST_PLACE_SHARE = 0.6
MOST_SHIFT_SHARE = 0.02  # one and a half tokens at the usual size


@dataclass(frozen=True, slots=True)
class Alignment:
    """What the good pictures of one view say, and the decision."""

    decision: Literal["placed", "free"]
    place_share: float  # -inf..1
    shift_share: float  # of the longest side; the median over pairs
    match: float  # -1..1, median correlation of pairs once moved
    pictures: int

    @property
    def sentence(self) -> str:
        """What training prints."""
        figures = (
            f"a place explains {self.place_share:.0%} of what {self.pictures} good pictures show there, "
            f"and pairs, moved by {self.shift_share:.1%} of the longest side, correlate by {self.match:.2f}"
        )
        if self.decision == "placed":
            return f"The parts are aligned: {figures}. Every place is judged by what good parts show at that place."
        return f"The parts are not aligned: {figures}. Judging is free of place."


def alignment_of(pictures: Sequence[NDArray[np.float32]]) -> Alignment:
    """The decision for (3, H, W) linear 0..1 pictures of good parts in one view, all of one size.

    Evenly chosen pictures are compared, 40 at most. ValueError for fewer than four.
    """
    if len(pictures) < FEWEST_PICTURES:
        raise ValueError(f"{len(pictures)} pictures do not show whether parts are aligned: give {FEWEST_PICTURES}")
    chosen = np.linspace(0, len(pictures) - 1, min(MOST_PICTURES, len(pictures))).astype(int)
    small = np.stack([_small(pictures[i]) for i in chosen])
    place_share = _place_share(small)
    shift_share, match = _pairs(small)
    fits = place_share >= LEAST_PLACE_SHARE and shift_share <= MOST_SHIFT_SHARE
    return Alignment("placed" if fits else "free", place_share, shift_share, match, len(small))


def _small(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """(h, w) grey, brightness as its square root, which evens out noise and glare."""
    grey = np.sqrt(np.clip(picture.mean(axis=0), 0.0, None)).astype(np.float32)
    scale = SIDE_PX / max(grey.shape)
    size = tuple(max(CELL_PX, round(n * scale / CELL_PX) * CELL_PX) for n in grey.shape[::-1])
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA))


def _place_share(small: NDArray[np.float32]) -> float:
    """1 - variance within places / variance over all, the mean over brightness and the two slopes.

    Each picture's own mean brightness is taken off: it is no property of a place.
    """
    shares = []
    cells = np.stack([_cells(picture - picture.mean()) for picture in small])  # (n, 3, h, w)
    for feature in range(cells.shape[1]):
        values = cells[:, feature].astype(np.float64)
        total = float(values.var())
        within = float(values.var(axis=0, ddof=1).mean())
        shares.append(1.0 - within / max(total, 1e-12))
    return float(np.mean(shares))


def _cells(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """(3, h, w): brightness and slope to the right and down, averaged over cells."""
    slopes = [cv2.Sobel(picture, cv2.CV_32F, dx, 1 - dx, ksize=3, borderType=cv2.BORDER_REFLECT) for dx in (1, 0)]
    size = (picture.shape[1] // CELL_PX, picture.shape[0] // CELL_PX)
    return np.stack([cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p in (picture, *slopes)])


def _pairs(small: NDArray[np.float32]) -> tuple[float, float]:
    """Median shift, as a share of the longest side, and median correlation after it, over neighbouring pairs."""
    window = cv2.createHanningWindow(small.shape[:0:-1], cv2.CV_32F)
    shifts, matches = [], []
    for one, other in zip(small, np.roll(small, -1, axis=0), strict=True):
        (dx, dy), _ = cv2.phaseCorrelate(one - one.mean(), other - other.mean(), window)
        move = np.array([[1, 0, -dx], [0, 1, -dy]])
        moved = cv2.warpAffine(other, move, other.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
        shifts.append(float(np.hypot(dx, dy)) / max(one.shape))
        matches.append(float(np.corrcoef(one.ravel(), moved.ravel())[0, 1]))
    return float(np.median(shifts)), float(np.median(matches))
