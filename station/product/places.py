"""Where a defect lies, as a person states it: a rectangle of the frame, or a mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from station.errors import BadInput

Mask = NDArray[np.bool_]


class PlaceError(BadInput, ValueError):
    """A place that no frame has; the text says what was found and what is expected."""


def places_of(texts: Sequence[str], views: Sequence[str]) -> dict[str, str]:
    """View -> what stands behind `VIEW=`. Raises PlaceError for another view, or text of another form."""
    found: dict[str, str] = {}
    for text in texts:
        view, _, where = text.partition("=")
        if not where:
            raise PlaceError(
                f"--where {text!r}: expected VIEW=X,Y,WIDTH,HEIGHT in pixels of the frame, or VIEW=MASK.png"
            )
        if view not in views:
            raise PlaceError(f"--where {text!r}: no view is named {view!r}; there are {', '.join(views)}")
        if not _is_rectangle(where) and not Path(where).is_file():
            raise PlaceError(f"--where {text!r}: {where!r} is neither four numbers X,Y,WIDTH,HEIGHT nor a file")
        found[view] = where
    return found


def masks_at(places: Mapping[str, str], shape: tuple[int, int]) -> dict[str, Mask]:
    """(H, W) masks on frames of `shape`, True where the defect lies. Raises PlaceError for one outside, or empty."""
    return {view: _mask(view, where, shape) for view, where in places.items()}


def _is_rectangle(where: str) -> bool:
    words = where.split(",")
    return len(words) == 4 and all(word.strip().isdecimal() for word in words)


def _mask(view: str, where: str, shape: tuple[int, int]) -> Mask:
    size = f"{shape[1]} x {shape[0]} pixels"
    if _is_rectangle(where):
        x, y, width, height = (int(word) for word in where.split(","))
        if x + width > shape[1] or y + height > shape[0] or not width or not height:
            raise PlaceError(f"--where {view}={where}: the rectangle is empty or leaves the frame of {size}")
        mask = np.zeros(shape, np.bool_)
        mask[y : y + height, x : x + width] = True
        return mask
    found = cv2.imread(where, cv2.IMREAD_GRAYSCALE)
    if found is None or found.shape != shape:
        is_what = "no picture" if found is None else f"of {found.shape[1]} x {found.shape[0]} pixels"
        raise PlaceError(f"--where {view}={where}: is {is_what}, expected a mask of {size}")
    if not found.any():
        raise PlaceError(f"--where {view}={where}: is 0 everywhere; a defect must have pixels")
    return np.asarray(found > 0)
