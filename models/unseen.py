"""What stands where a picture shows no normal although nothing is wrong there. An addition to the paper.

In a pocket that two lamps reach, the light between the walls makes a third lamp count on one good part and not on the
next: a patch of normals is missing. Under a Bayer mosaic the pixels of one colour go first. Such a patch was the oddest
place of many a good part, and with few good parts it set the limits.

A pixel among pixels with normals takes their mean. Near places where good parts show no normal, a missing one is
replaced by the usual one. Elsewhere it stays missing, as in a pit. What was not measured proves little: a distance of
normals counts by the share of its token that has one. The edge of a hole still shows around it.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

ALWAYS = 0.98  # of good parts show a normal: below, a pixel and those around it may lack one
SELDOM = 0.5  # below, a normal that is shown is replaced too: it is not known what it should be
REACH_PX = 10  # around pixels that may lack a normal; of a good bracket 9 px lacked one where 43 others had it
CELL_PX = 2  # what is kept is kept on cells of so many pixels
LEAST_LENGTH = 0.5  # of a vector that counts as a normal
FEWEST_AROUND = 6  # of the 8 pixels around a hole must have a normal: a mosaic's missing colour has 8

Normals = tuple[Tensor, Tensor, Tensor]  # (1, 3, h, w) as the region cuts them, (1, h, w) of 0 and 1, view (1,)


class UnseenNormals(nn.Module):
    """Replaces missing normals, (B, 3, h, w) -> the same shape. Nothing is replaced before `fit`."""

    usual: Tensor  # (V, 3, h / CELL_PX, w / CELL_PX) float16: mean normals of good parts
    seldom: Tensor  # (V, 1, h / CELL_PX, w / CELL_PX) float16: 1 where good parts mostly show none
    doubtful: Tensor  # the same: 1 where a good part may show none

    def __init__(self, n_views: int, shape: tuple[int, int]) -> None:
        """`shape` (h, w) of the cut pictures, multiples of CELL_PX."""
        super().__init__()
        h, w = shape[0] // CELL_PX, shape[1] // CELL_PX
        self.register_buffer("usual", torch.zeros(n_views, 3, h, w, dtype=torch.float16))
        self.register_buffer("seldom", torch.zeros(n_views, 1, h, w, dtype=torch.float16))
        self.register_buffer("doubtful", torch.zeros(n_views, 1, h, w, dtype=torch.float16))

    def forward(self, normals: Tensor, view_index: Tensor) -> Tensor:
        """Normals where they are known, the usual ones where they are missing and may be."""
        normals = without_holes(normals)
        unseen = 1.0 - _seen(normals)
        seldom, doubtful, usual = (_enlarged(b[view_index]) for b in (self.seldom, self.doubtful, self.usual))
        replaced = torch.maximum(seldom, doubtful * unseen)
        return normals * (1.0 - replaced) + usual * replaced

    def fit(self, parts: Iterable[Normals]) -> None:
        """Learn from good parts where normals are missing, and what they are else."""
        count, seen, total = (torch.zeros(len(self.usual), n, *self.usual.shape[2:]) for n in (1, 1, 3))
        for normals, region, view_index in parts:
            view, inside = int(view_index[0]), region[:, None]
            is_seen = _seen(normals) * inside  # a mosaic's missing colour is a sign of doubt too
            count[view] += functional.avg_pool2d(inside, CELL_PX)[0]
            seen[view] += functional.avg_pool2d(is_seen, CELL_PX)[0]
            total[view] += functional.avg_pool2d(normals * is_seen, CELL_PX)[0]
        share = torch.where(count > 0, seen / count.clamp(min=1e-6), torch.ones_like(seen))
        length = torch.sqrt((total**2).sum(dim=1, keepdim=True))
        ahead = torch.tensor([0.0, 0.0, 1.0])[None, :, None, None]
        self.usual.copy_(torch.where(length > 0, total / length.clamp(min=1e-6), ahead))
        self.seldom.copy_(share < SELDOM)
        self.doubtful.copy_(_around(share < ALWAYS))

    def measured(self, normals: Tensor, stride_px: int) -> Tensor:
        """(B, 3, h, w) -> (B, h, w) on tokens: which share of each has a normal, single holes aside."""
        return functional.avg_pool2d(_seen(without_holes(normals)), stride_px)[:, 0]

    def doubt(self, stride_px: int) -> Tensor:
        """(V, h, w) on tokens: which share of each is doubtful."""
        return functional.avg_pool2d(self.doubtful.float(), stride_px // CELL_PX)[:, 0]


def without_holes(normals: Tensor) -> Tensor:
    """(B, 3, H, W) -> the same: a pixel without a normal takes the mean of those around it if nearly all have one."""
    seen = _seen(normals)
    around = 9.0 * functional.avg_pool2d(torch.cat([normals * seen, seen], dim=1), 3, stride=1, padding=1)
    count = around[:, 3:]
    hole = (1.0 - seen) * (count > FEWEST_AROUND - 0.5).to(normals.dtype)
    return normals * seen + hole * around[:, :3] / count.clamp(min=1.0)


def _seen(normals: Tensor) -> Tensor:
    """(B, 3, H, W) -> (B, 1, H, W): 1 where there is a normal."""
    return ((normals * normals).sum(dim=1, keepdim=True) >= LEAST_LENGTH**2).to(normals.dtype)


def _enlarged(cells: Tensor) -> Tensor:
    """(B, C, h, w) of cells -> float32 on pixels."""
    return functional.interpolate(cells.float(), scale_factor=CELL_PX, mode="nearest")


def _around(cells: Tensor) -> Tensor:
    """(V, 1, h, w) with what lies within REACH_PX."""
    radius = REACH_PX // CELL_PX
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return torch.from_numpy(np.stack([cv2.dilate(v[0].numpy().astype(np.uint8), disc) for v in cells]))[:, None] > 0
