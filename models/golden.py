"""What a model file holds for its self-test: a good part's view, and what the network makes of it.

The station makes the same inputs from the same bytes (`station/judge/golden.py`, which says why there are two).
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]
# rgb, normals, view, region -> score, and `target_maps` (T, h, w) on tokens, or the map (H, W) alone
Run = Callable[[Image, Image, int, Image], tuple[float, Image]]
BLOCK_PX, BLOCK_TOKENS, REGION_PX = 24, 4, 48
INPUTS_PER_VIEW = 2


def packed_sample(rgb: Image, normals: Image, cell_px: int) -> str:
    """Base64 of a view (3, H, W) twice, in 8 bits on cells of `cell_px` pixels, which must divide H and W."""
    cells = np.concatenate([_cell_means(rgb, cell_px).clip(0, 1) * 255, _cell_means(normals, cell_px) * 127 + 128])
    return base64.b64encode(zlib.compress(np.round(cells).astype(np.uint8).tobytes(), 9)).decode()


def lattice_sample(input_size: tuple[int, int], view: int, cell_px: int) -> str:
    """A sample by formula, for a network that has seen no part yet: tests and size studies."""
    h, w = input_size[0] // cell_px, input_size[1] // cell_px
    c, y, x = np.arange(3)[:, None, None], np.arange(h)[None, :, None], np.arange(w)[None, None, :]
    colors = (7 * x + 13 * y + 29 * c + 3 * view) % 64 + 64
    triples = np.array([(14, 56, 113), (56, 56, 99), (-56, 14, 113), (-14, -56, 113)])
    normals = triples[(x[0] // 3 + y[0] // 3) % 4].transpose(2, 0, 1) + 128
    cells = np.concatenate([colors, normals]).astype(np.uint8)
    return base64.b64encode(zlib.compress(cells.tobytes(), 9)).decode()


def sample_inputs(packed: str, cell_px: int, input_size: tuple[int, int]) -> list[tuple[Image, Image, Image]]:
    """Colours (3, H, W), normals (3, H, W) and region (H, W) of the two inputs that a packed sample stands for."""
    h, w = input_size[0] // cell_px, input_size[1] // cell_px
    cells = np.frombuffer(zlib.decompress(base64.b64decode(packed)), np.uint8).reshape(6, h, w)
    normals = cells[3:].astype(np.float64) - 128
    normals /= np.maximum(np.sqrt((normals**2).sum(axis=0)), 1.0)
    planes = np.concatenate([cells[:3] / 255.0, normals]).astype(np.float32)
    planes = planes.repeat(cell_px, axis=1).repeat(cell_px, axis=2)
    colors, directions = np.ascontiguousarray(planes[:3]), np.ascontiguousarray(planes[3:])
    turned = [np.ascontiguousarray(p[:, :, ::-1]) for p in (colors, directions)]
    return [(colors, directions, np.ones(input_size, np.float32)), (turned[0], turned[1], _region(input_size))]


def golden_record(samples: Sequence[str], cell_px: int, input_size: tuple[int, int], run: Run) -> Mapping[str, Any]:
    """The field `golden` of format 2's metadata: one packed sample a view, and what `run` gives for each input."""
    scores: list[float] = []
    figures = []
    for view, packed in enumerate(samples):
        found = [run(rgb, normals, view, region) for rgb, normals, region in sample_inputs(packed, cell_px, input_size)]
        scores += [score for score, _ in found]
        blocks = np.stack([map_figures(planes) for _, planes in found])
        figures.append(base64.b64encode(blocks.astype("<f4").tobytes()).decode())
    return {
        "kind": "sample", "seed": 0, "scores": scores, "cell_px": cell_px, "samples": list(samples), "figures": figures,
    }  # fmt: skip


def map_figures(planes: Image) -> Image:
    """(n,) means over blocks, row by row, those at the borders smaller: of a map (H, W), 24 pixels wide, or of maps on
    tokens (T, h, w), 4 tokens wide, where no target hides behind another one that is odder."""
    size = BLOCK_PX if planes.ndim == 2 else BLOCK_TOKENS
    stack = planes.reshape(-1, *planes.shape[-2:])
    _, h, w = stack.shape
    means = [
        plane[y : y + size, x : x + size].mean(dtype=np.float64)
        for plane in stack for y in range(0, h, size) for x in range(0, w, size)
    ]  # fmt: skip
    return np.array(means, np.float32)


def _region(size: tuple[int, int]) -> Image:
    """(H, W) 1 where (x // 48 + y // 48) mod 5 is not 0, else 0."""
    y, x = np.arange(size[0])[:, None], np.arange(size[1])[None, :]
    return np.asarray((x // REGION_PX + y // REGION_PX) % 5 != 0, np.float32)


def _cell_means(planes: Image, cell_px: int) -> Image:
    c, h, w = planes.shape
    return np.asarray(planes.reshape(c, h // cell_px, cell_px, w // cell_px, cell_px).mean(axis=(2, 4)))
