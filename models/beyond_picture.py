"""What a part off its seat hides of itself: pixels of its region that lay outside of the picture. No torch here.

They are not judged, but filters reach into them, and whatever stands there makes an edge: one row of another colour at
the picture's border had given good connectors 9.7 where they have 1.7. So they repeat the nearest pixel that was seen,
as filters do at every picture's border. A strip narrower than half a token counts as seen: in its seat's play, a part
loses a pixel or two. Training and station call this one function.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

BEYOND = 1e-3  # as `region` has it: the part's, but not seen. A model of before takes it for the fixture.
WIDE = np.ones((7, 7), np.uint8)  # of pixels; at a picture's border a strip of four is as wide
F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]


def beyond_in(rgb: F32, normals: F32) -> Mask:
    """(H, W) where a prepared picture, (3, H, W) twice, shows nothing: black without a normal, over a whole area.

    A dark hole has single black pixels. What touches the border counts as larger than it is.
    """
    black = ((rgb == 0).all(axis=0) & (normals == 0).all(axis=0)).astype(np.uint8)
    side = len(WIDE)
    framed = cv2.copyMakeBorder(black, side, side, side, side, cv2.BORDER_CONSTANT, value=1)
    return np.asarray(cv2.morphologyEx(framed, cv2.MORPH_OPEN, WIDE)[side:-side, side:-side] > 0)


def with_repeated(rgb: F32, normals: F32, region: Mask, beyond: Mask) -> tuple[F32, F32, F32]:
    """Colours and normals (3, H, W) as a model takes them, and its `region` (H, W): 1 on the part, BEYOND where it is
    not judged, 0 elsewhere.

    `beyond` is where the region lay outside of the picture. Nothing is changed where that is nowhere, or everywhere.
    """
    missing, known = region & beyond, region & ~beyond
    if not missing.any() or not known.any():
        return rgb, normals, known.astype(np.float32)
    wide = cv2.dilate(cv2.morphologyEx(missing.astype(np.uint8), cv2.MORPH_OPEN, WIDE), WIDE) > 0  # with its corners
    shown = np.where(missing & wide, np.float32(BEYOND), region.astype(np.float32))
    nearest = _nearest(known, missing)
    filled = []
    for planes in (rgb, normals):
        copy = planes.copy()
        copy[:, missing] = planes.reshape(len(planes), -1)[:, nearest]
        filled.append(copy)
    return filled[0], filled[1], np.asarray(shown, np.float32)


def _nearest(known: Mask, missing: Mask) -> NDArray[np.int64]:
    """For each missing pixel, the flat index of the nearest known one."""
    _, label = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    of_label = np.zeros(int(label.max()) + 1, np.int64)
    of_label[label[known]] = np.flatnonzero(known)
    return np.asarray(of_label[label[missing]])
