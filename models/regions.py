"""Where the part is in each view of a data set, as pixels and as tokens."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.dataset import Dataset, DatasetError


def region_of(dataset: Dataset, view: str) -> NDArray[np.bool_]:
    """(H, W) true on the part; true everywhere in a set without regions. DatasetError for a picture that is broken."""
    regions: dict[str, Path] = getattr(dataset, "regions", None) or {}
    if view not in regions:
        return np.ones(dataset.input_size, bool)
    picture = cv2.imread(str(dataset.folder / regions[view]), cv2.IMREAD_GRAYSCALE)
    if picture is None or picture.shape != dataset.input_size:
        height, width = dataset.input_size
        raise DatasetError(f"{regions[view]}: is missing, or not a grey picture of {width} x {height} pixels")
    return np.asarray(picture > 0)


def region_tokens(region: NDArray[np.bool_], grid: tuple[int, int]) -> NDArray[np.bool_]:
    """(h, w) true for tokens that touch the region (H, W)."""
    share = cv2.resize(region.astype(np.float32), (grid[1], grid[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(share > 0)
