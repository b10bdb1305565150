"""From a capture to what the detector is shown: averaged to its grid, and the part brought to its reference.

Training, live inspection and re-judgement share this one function, so that a model learns from pictures that were
resampled as those are that it judges.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from station.judge.model_grid import GridError, block_mean, block_normals, brought_back, grid_factor
from station.judge.part_place import PartPlacement, PartTracker

Image = NDArray[np.float32]


@dataclass(frozen=True)
class ShownView:
    """`rgb` and `normals` (3, H, W) float32 on the model's grid; normals are unit or 0 0 0.

    `region` (H, W) float32 is 1 where the part is and lies inside the picture, or None where that is not known.
    `placement` is how the part lay before it was brought back; None where it was not looked for.
    """

    rgb: Image
    normals: Image
    region: Image | None
    placement: PartPlacement | None
    outside: float = 0.0  # share of the region that lies outside the picture
    beyond: NDArray[np.bool_] | None = None  # (H, W) where that is; None where the region is not known

    def for_detector(self) -> tuple[Image, Image, Image | None]:
        """Colours, normals and region as the detector takes them: what lies outside the picture is no edge to it."""
        if self.region is None or self.beyond is None or not self.beyond.any():
            return self.rgb, self.normals, self.region
        from models.beyond_picture import with_repeated  # only now: a station starts without `models`

        return with_repeated(self.rgb, self.normals, (self.region > 0) | self.beyond, self.beyond)


def shown_view(
    image: Image,
    normals: Image,
    grid: tuple[int, int],
    tracker: PartTracker | None = None,
    shift_px: tuple[float, float] = (0.0, 0.0),
) -> ShownView:
    """`image` and `normals` (3, H, W) of a capture, brought to the model's `grid` (H, W) and to the part's reference.

    The fixture stands `shift_px` (right, down), in pixels of the capture, from its reference. Without a tracker the
    picture is brought back by whole pixels of the grid. Raises GridError for a capture that is no whole multiple of the
    grid, or a tracker of another grid.
    """
    factor = grid_factor(image, normals, grid)
    return shown_on_grid(block_mean(image, factor), block_normals(normals, factor), factor, tracker, shift_px)


def shown_on_grid(
    rgb: Image, directions: Image, factor: int, tracker: PartTracker | None, shift_px: tuple[float, float]
) -> ShownView:
    """The same of a capture that was averaged to the grid (3, h, w) before, by `factor`. Raises GridError."""
    x, y = (shift / factor for shift in shift_px)
    if tracker is None:
        dx, dy = round(x), round(y)
        return ShownView(brought_back(rgb, dx, dy), brought_back(directions, dx, dy), None, None)
    region = tracker.reference.region
    if region.shape != rgb.shape[1:]:
        raise GridError(f"the part reference is of a grid {region.shape}, the model's is {rgb.shape[1:]}: make it anew")
    placement = tracker.find(rgb, directions, (x, y))
    rgb, directions, seen = tracker.bring_what_is_seen(rgb, directions, placement, (x, y))
    beyond = region & ~seen
    outside = float(np.count_nonzero(beyond)) / max(1, int(np.count_nonzero(region)))
    return ShownView(rgb, directions, (region & seen).astype(np.float32), placement, outside, beyond)
