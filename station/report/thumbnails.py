"""Views drawn small: image, normals and score map at a given size, for the contact sheet and the console's tiles.

Planes are float32 (3, H, W) as the station measures them; pictures are uint8 (h, w, 3) for a screen.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from station.report.display_rgb import hatch, linear_to_srgb, normals_to_rgb
from station.report.heat_map import colour_map, over_ground
from station.report.limit_outline import draw_outline

Size = tuple[int, int]  # width, height in pixels
Gains = tuple[float, float, float]  # white balance: factors for red, green, blue


def fitted(shape: tuple[int, int], box: Size) -> Size:
    """The largest size of a picture (height, width) that fits the box (width, height), aspect kept."""
    height, width = shape
    scale = min(box[0] / width, box[1] / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def shrink(plane: NDArray[np.float32], size: Size) -> NDArray[np.float32]:
    """One plane (H, W) averaged down, or interpolated up, to the size.

    Exact halving comes first while the plane is four times too large, because it is much faster than one
    area-weighted step.
    """
    while plane.shape[1] >= 4 * size[0] and plane.shape[0] >= 4 * size[1]:
        half = plane[: plane.shape[0] // 2 * 2, : plane.shape[1] // 2 * 2]
        plane = np.asarray(cv2.resize(half, (half.shape[1] // 2, half.shape[0] // 2), interpolation=cv2.INTER_AREA))
    way = cv2.INTER_AREA if plane.shape[1] > size[0] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(plane, size, interpolation=way), dtype=np.float32)


def image_rgb(image: NDArray[np.float32], size: Size, white_balance: Gains = (1.0, 1.0, 1.0)) -> NDArray[np.uint8]:
    """A linear image (3, H, W) as sRGB (h, w, 3). It is averaged in linear light, as the eye at a distance would."""
    planes = [shrink(image[c], size) * np.float32(white_balance[c]) for c in range(3)]
    return linear_to_srgb(np.stack(planes, axis=-1))


def normals_rgb(normals: NDArray[np.float32], size: Size) -> NDArray[np.uint8]:
    """Normals (3, H, W) as RGB (h, w, 3); a pixel is hatched where most of what it covers is unobservable."""
    small = np.stack([shrink(normals[c], size) for c in range(3)])
    length = np.linalg.norm(small, axis=0)
    small = np.where(length > 0.5, small / np.maximum(length, 1e-6), 0.0)
    return normals_to_rgb(small.astype(np.float32))


def grey_ground(
    image: NDArray[np.float32] | None, size: Size, white_balance: Gains = (1.0, 1.0, 1.0)
) -> NDArray[np.uint8]:
    """The image in grey (h, w, 3), as the ground of a heat map; hatched when there is no image."""
    if image is None:
        grey = hatch((size[1], size[0]))
    else:
        grey = np.asarray(cv2.cvtColor(image_rgb(image, size, white_balance), cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def heat_rgb(
    scores: NDArray[np.float32], limit: float, ground: NDArray[np.uint8], opacity: float = 1.0
) -> NDArray[np.uint8]:
    """A score map (h, w) over a grey ground (H, W, 3), outlined in black and white where it crosses the limit."""
    size = (ground.shape[1], ground.shape[0])
    rgb = over_ground(colour_map(shrink(scores, size), limit), ground, opacity)
    draw_outline(rgb, scores, limit)
    return rgb
