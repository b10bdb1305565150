"""Whether a model has learned the regions that a recipe would judge: what it has not learned it cannot look at."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from station.judge.model_metadata import ModelMetadata

REMEDY = "train the model anew, or take the recipe's earlier part reference"


def region_misfits(metadata: ModelMetadata, regions: Mapping[str, NDArray[np.bool_]]) -> Iterator[str]:
    """Why the model cannot judge these regions, (H, W) per view, none where the recipe names no part reference.

    A smaller region than that which was learned is judged as it is; a larger one would stay unseen in part.
    """
    if metadata.regions_used and not regions:
        yield "it learned the part alone, without the fixture around it, but the recipe names no part_reference"
        return
    if regions and not metadata.regions_used:
        yield "it learned whole pictures, but the recipe names a part_reference, which cuts them to the part"
        return
    for view, region in regions.items():
        packed = metadata.regions.get(view)
        if packed is None:
            continue
        learned = _unpacked(packed, metadata.input_size)
        if learned is None or learned.shape != region.shape:
            yield f"the region that it learned in view {view!r} cannot be read"
            continue
        beyond = int(np.count_nonzero(region & ~learned))
        if beyond:
            yield f"the region of view {view!r} has {beyond} pixels that it has not learned"


def _unpacked(packed: str, size: tuple[int, int]) -> NDArray[np.bool_] | None:
    """(H, W), or None for text that holds no such region."""
    try:
        bits = np.frombuffer(zlib.decompress(base64.b64decode(packed, validate=True)), np.uint8)
    except (binascii.Error, zlib.error):
        return None
    count = size[0] * size[1]
    if len(bits) != -(-count // 8):
        return None
    return np.unpackbits(bits, count=count).reshape(size).astype(np.bool_)
