"""Small analytic views: ramps with a step, whose integrated height knows the slope and not the step."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from models.depth_views import DepthItem, DepthView, centred, write_index, write_view
from models.generative.config import DepthConfig

PIXEL_MM = 0.1
SIDE = 32


def stepped_view(seed: int, side: int = SIDE) -> DepthView:
    """A ramp with one vertical or horizontal step; the pixels at its foot are unobserved, as wide as it is high."""
    random = np.random.default_rng(seed)
    slope_x, slope_y = random.uniform(-0.2, 0.2, 2)
    rise_px, at = float(random.uniform(3, 8)), int(random.integers(side // 4, 3 * side // 4))
    row, column = np.mgrid[:side, :side].astype(np.float32)
    plane = slope_x * column + slope_y * row
    along = column if random.integers(2) else row
    high = along < at
    foot = ~high & (along < at + rise_px)
    normal = np.array([-slope_x, slope_y, 1.0]) / np.sqrt(1 + slope_x**2 + slope_y**2)
    mask, everywhere = ~foot, np.ones((side, side), bool)
    picture = np.where(foot, 0.1, np.where(high, 0.7, 0.5)) + random.normal(0, 0.01, (3, side, side))
    return DepthView(
        picture=np.clip(picture, 0, 1).astype(np.float32),
        normals=(normal[:, None, None] * mask).astype(np.float32),
        mask=mask,
        integrated=centred((plane * PIXEL_MM).astype(np.float32), mask),
        reliability=mask.astype(np.float32),
        depth=centred(((plane + rise_px * high) * PIXEL_MM).astype(np.float32), everywhere),
        valid=everywhere,
        steps=np.abs(along - at) < 4,
        pixel_mm=PIXEL_MM,
    )


def write_folder(folder: Path, train: int, calibrate: int, side: int = SIDE) -> Path:
    """A folder of such views with its index."""
    items = []
    for n in range(train + calibrate):
        write_view(folder / f"{n:04}.npz", stepped_view(n, side))
        split = "train" if n < train else "calibrate"
        items.append(DepthItem(f"{n:04}.npz", split, "generated", "step", f"part{n}"))
    write_index(folder, 0, "tests", items)
    return folder


def tiny(**changes: object) -> DepthConfig:
    """The smallest networks that have every part."""
    small = {
        "patch_px": SIDE, "levels": 40, "widths": (24, 24), "decoder_width": 8, "prototypes": 3, "batch": 4,
        "latent_channels": 2, "sampling_steps": 3, "samples": 3, "calibrate_patches": 6,
        "calibrate_px": SIDE,
    }  # fmt: skip
    return DepthConfig(**{**small, **changes})  # type: ignore[arg-type]
