"""Where the part is in a view, told from good parts: the fixture and the part's shadow on it do not belong to it."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from station.recipe.part_reference_file import PartReference
from station.teach.archived_parts import NoReference
from station.teach.part_motion import Motion

UNSTEADY = 1.0  # spread over the parts, in units of the features' spread, from which something moved there
LEAST_SHARE = 0.01  # of the picture that the part must fill
AROUND = np.ones((9, 9), np.uint8)
F32 = NDArray[np.float32]
Picture = tuple[F32, F32]


def what_moves(name: str, cells: Sequence[Picture]) -> NDArray[np.bool_]:
    """(h, w) where parts on cells differ from each other, and what that surrounds: the part with its shadow.

    Raises NoReference where hardly anything differs.
    """
    features = np.stack([features for features, _ in cells])
    brightness = features[:, 0] * (np.median(features[:, 0]) / np.median(features[:, 0], axis=(1, 2)))[:, None, None]
    spread = cv2.blur(np.asarray(brightness.std(axis=0), np.float32), (3, 3))
    moves = cv2.morphologyEx((spread > UNSTEADY).astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    moves = filled(cv2.dilate(moves, AROUND))
    if not moves.mean() >= LEAST_SHARE:
        raise NoReference(
            f"view {name!r}: only {moves.mean():.1%} of the picture differs from part to part; take parts that lie a "
            "little differently, and look whether the view shows the part"
        )
    return moves


def filled(mask: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """With its holes."""
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    whole = np.zeros_like(mask)
    cv2.drawContours(whole, contours, -1, 1, cv2.FILLED)
    return whole.astype(np.bool_)


def part_region(
    name: str, view: PartReference, pictures: Sequence[Picture], motions: Sequence[Motion]
) -> PartReference:
    """The reference with the part's region in it."""
    return view
