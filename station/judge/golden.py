"""The self-test's inputs: pictures that the model file holds or a formula gives, the same on every machine.

Kind `lattice` (format 1): one input a view by a formula of integers; it has one number to be reproduced, the score.
Kind `sample` (format 2): a good part's view in 8 bits, and two inputs made from it. As it is, every figure is an
ordinary one, which an error of a good part's figures would change; turned left to right, with squares left out, all is
odd. One score each, and means of all targets' maps over blocks: a weight that one place, view or target uses counts.
Fine cells matter: on coarse ones distances were a hundred times a good part's, and small errors drowned in them.
`models/golden.py` writes what is read here; `tests/models/test_golden.py` holds both to the same arrays.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from station.judge.model_metadata import Golden, ModelMetadata

Image = NDArray[np.float32]
Feed = dict[str, NDArray[np.float32] | NDArray[np.int64]]
BLOCK_PX, BLOCK_TOKENS = 24, 4  # of the figures of a map
REGION_PX = 48  # of the squares of the region


def golden_feeds(metadata: ModelMetadata, view: int) -> Iterator[Feed]:
    """What the model is given in the self-test of its view number `view`, batch of one.

    Raises ValueError for pictures that cannot be unpacked or have another size.
    """
    index = np.array([view], np.int64)
    golden, (h, w) = metadata.golden, metadata.input_size
    if golden.kind == "lattice":
        rgb, normals = _lattice((h, w), view, golden.seed)
        feed: Feed = {"diffuse_rgb": rgb[None], "normals": normals[None], "view_index": index}
        if metadata.format_version != 1:
            feed["region"] = np.ones((1, h, w), np.float32)
        yield feed
        return
    rgb, normals = unpacked_sample(golden.samples[view], golden.cell_px, (h, w))
    whole = np.ones((1, h, w), np.float32)
    yield {"diffuse_rgb": rgb[None], "normals": normals[None], "view_index": index, "region": whole}
    squares = golden_region((h, w))[None]
    yield {"diffuse_rgb": turned(rgb)[None], "normals": turned(normals)[None], "view_index": index, "region": squares}


def golden_region(size: tuple[int, int]) -> Image:
    """(H, W) 1 where (x // 48 + y // 48) mod 5 is not 0, else 0."""
    y, x = np.arange(size[0])[:, None], np.arange(size[1])[None, :]
    return np.asarray((x // REGION_PX + y // REGION_PX) % 5 != 0, np.float32)


def turned(planes: Image) -> Image:
    """(3, H, W) with left and right changed over; a normal is not turned with its place."""
    return np.ascontiguousarray(planes[:, :, ::-1])


def unpacked_sample(packed: str, cell_px: int, size: tuple[int, int]) -> tuple[Image, Image]:
    """Colours (3, H, W) 0..1 and unit normals (3, H, W), each cell of `cell_px` pixels of one value.

    `packed` is Base64 of zlib of (6, H / cell_px, W / cell_px) bytes: colours times 255, then normals times 127 plus
    128; three times 128 is a cell without a normal. Raises ValueError.
    """
    h, w = size[0] // cell_px, size[1] // cell_px
    try:
        content = zlib.decompress(base64.b64decode(packed, validate=True))
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"a golden sample cannot be unpacked ({error})") from error
    if len(content) != 6 * h * w or (h * cell_px, w * cell_px) != size:
        raise ValueError(f"a golden sample has {len(content)} bytes, not 6 x {h} x {w} for cells of {cell_px} px")
    cells = np.frombuffer(content, np.uint8).reshape(6, h, w)
    normals = cells[3:].astype(np.float64) - 128
    normals /= np.maximum(np.sqrt((normals**2).sum(axis=0)), 1.0)
    planes = np.concatenate([cells[:3] / 255.0, normals]).astype(np.float32)
    planes = planes.repeat(cell_px, axis=1).repeat(cell_px, axis=2)
    return np.ascontiguousarray(planes[:3]), np.ascontiguousarray(planes[3:])


def map_figures(planes: Image) -> Image:
    """(n,) means over blocks, row by row, those at the borders smaller: of a map (H, W), 24 pixels wide, or of maps on
    tokens (T, h, w), 4 tokens wide, where no target hides behind another one that is odder."""
    size = BLOCK_PX if planes.ndim == 2 else BLOCK_TOKENS
    stack = planes.reshape(-1, *planes.shape[-2:]).astype(np.float64)
    _, h, w = stack.shape
    rows, columns = np.arange(0, h, size), np.arange(0, w, size)
    sums = np.add.reduceat(np.add.reduceat(stack, rows, axis=1), columns, axis=2)
    counts = np.diff([*rows, h])[:, None] * np.diff([*columns, w])[None, :]
    return np.asarray((sums / counts).ravel(), np.float32)


def expected_figures(golden: Golden, view: int) -> list[Image | None]:
    """`map_figures` as the exporter found them for each input of a view; None where the file holds none.

    Raises ValueError.
    """
    if golden.kind == "lattice":
        return [None] * golden.inputs_per_view
    try:
        content = base64.b64decode(golden.figures[view], validate=True)
        return list(np.frombuffer(content, "<f4").reshape(golden.inputs_per_view, -1))
    except ValueError as error:  # binascii.Error is one
        raise ValueError(f"the golden figures cannot be unpacked ({error})") from error


def _lattice(size: tuple[int, int], view: int, seed: int) -> tuple[Image, Image]:
    """Colour steps of 1/64 and exact unit triples over 9, tiled by 16 px."""
    h, w = size
    y, x = np.arange(h)[:, None], np.arange(w)[None, :]
    planes = [(7 * x + 13 * y + 29 * c + 31 * seed + 3 * view) % 64 for c in range(3)]
    triples = np.array([(1, 4, 8), (4, 4, 7), (-4, 1, 8), (-1, -4, 8)], np.float32) / np.float32(9)
    normals = triples[(x // 16 + y // 16 + seed) % 4].transpose(2, 0, 1)
    return np.stack(planes).astype(np.float32) / np.float32(64), np.ascontiguousarray(normals)
