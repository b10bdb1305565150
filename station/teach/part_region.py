"""Where the part is in a view, told from good parts: the fixture and the part's shadow on it do not belong to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from station.recipe.part_reference_file import PartReference
from station.teach.archived_parts import NoReference
from station.teach.part_motion import Motion, aligned, mean_picture

UNSTEADY = 1.0  # spread over the parts, in units of the features' spread, from which something moved there
LEAST_SHARE = 0.01  # of the picture that the part must fill
AROUND = np.ones((9, 9), np.uint8)
SMALL, GAPS = np.ones((3, 3), np.uint8), np.ones((5, 5), np.uint8)
OUTLINE = np.ones((5, 5), np.uint8)  # cells around the region in which the tracker still looks
LEAST_PIECE = 0.02  # of the largest
BRIGHTER, COLOURED = 0.3, 0.12  # of the level, relative: the fixture's own blotches are less
SLANTED_DEG = 30.0  # light that bounced off the part bends the fixture's normals by less
OFTEN = 5.0  # times the fixture's own spread
LIT, DARKEST = 0.4, 1e-4  # what lies deeper in the shadow has no sure colour
F32 = NDArray[np.float32]
Picture = tuple[F32, F32]


def what_moves(name: str, cells: Sequence[Picture]) -> NDArray[np.bool_]:
    """(h, w) where parts on cells differ from each other, and what that surrounds: the part with its shadow.

    Raises NoReference where hardly anything differs.
    """
    features = np.stack([features for features, _ in cells])
    brightness = features[:, 0] * (np.median(features[:, 0]) / np.median(features[:, 0], axis=(1, 2)))[:, None, None]
    spread = cv2.blur(np.asarray(brightness.std(axis=0), np.float32), (3, 3))
    unsteady = cv2.morphologyEx((spread > UNSTEADY).astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    moves = filled(np.asarray(cv2.dilate(unsteady, AROUND), np.uint8))
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
    """The reference with the part's region, and with weights for the part and its outline alone.

    The fixture has one colour and one direction, which are known from where nothing moves. A shadow on it is darker and
    keeps both; what is brighter, or of another colour or direction, is the part, and so is what that surrounds. Raises
    NoReference where nothing differs from the fixture.
    """
    colors, normals = mean_picture(aligned(view, pictures, motions))
    moves = view.region
    part = cv2.morphologyEx((_is_no_fixture(colors, normals, ~moves) & moves).astype(np.uint8), cv2.MORPH_OPEN, SMALL)
    region = _large(filled(np.asarray(cv2.morphologyEx(part, cv2.MORPH_CLOSE, GAPS), np.uint8)))
    if not region.mean() >= LEAST_SHARE:
        raise NoReference(
            f"view {name!r}: only {region.mean():.1%} of the picture looks other than the fixture where "
            "parts differ: take some parts 1 to 2 mm off their seat, for parts that lie alike hide their outline; or "
            "take a fixture of another colour or brightness than the part"
        )
    return with_region(view, region)


def with_region(view: PartReference, region: NDArray[np.bool_]) -> PartReference:
    """The reference with that region (H, W); weights (h, w) stay where the part and its outline are."""
    cells = view.weight.shape
    near = cv2.resize(region.astype(np.uint8), cells[::-1], interpolation=cv2.INTER_AREA) > 0
    near = cv2.dilate(near.astype(np.uint8), OUTLINE) > 0
    return replace(view, region=region, weight=np.where(near, view.weight, 0).astype(np.float32))


def _is_no_fixture(colors: F32, normals: F32, fixture: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(H, W) where colour or direction is not that of `fixture` (H, W), which may lie in the dark."""
    level = np.log(np.maximum(colors, DARKEST))
    expected = np.stack([_smooth(plane, fixture) for plane in level])
    off = level - expected
    grey = off.mean(axis=0)
    hue = np.abs(off - grey).max(axis=0)
    is_lit = colors.mean(axis=0) > LIT * np.exp(expected).mean(axis=0)
    brighter = grey > max(BRIGHTER, OFTEN * _spread(grey[fixture]))
    coloured = is_lit & (hue > max(COLOURED, OFTEN * _spread(hue[fixture])))
    plane = normals[:, fixture & (normals[2] != 0)].mean(axis=1) if (normals[2] != 0)[fixture].any() else np.zeros(3)
    plane = plane / max(float(np.linalg.norm(plane)), 1e-6)
    slanted = (normals[2] != 0) & (np.einsum("i,ihw->hw", plane, normals) < np.cos(np.radians(SLANTED_DEG)))
    return np.asarray(brighter | coloured | (slanted & (plane != 0).any()))


def _smooth(plane: F32, inside: NDArray[np.bool_]) -> F32:
    """(H, W): the second-order polynomial through what lies inside."""
    height, width = plane.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x, y = x / width - 0.5, y / height - 0.5
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
    rows, seen = terms[inside][::7], plane[inside][::7]
    return np.asarray(terms @ np.linalg.lstsq(rows, seen, rcond=None)[0], np.float32)


def _spread(values: F32) -> float:
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def _large(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Without pieces that are small against the largest."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    if count < 2:
        return mask
    areas = stats[1:, cv2.CC_STAT_AREA]
    kept = 1 + np.flatnonzero(areas >= LEAST_PIECE * areas.max())
    return np.asarray(np.isin(labels, kept))
