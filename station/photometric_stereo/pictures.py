"""Normal maps as pictures: 16-bit files that can be read back, and sheets to look at."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from station.photometric_stereo.packing import pack_normals, unpack_normals

Bgr = NDArray[np.uint8]
LAMP = np.array([-0.5, 0.5, 0.7071])  # of the relit picture: from the upper left
ERROR_FULL_SCALE_DEG = 20.0


def encode_normals(normals: NDArray[np.float32]) -> NDArray[np.uint16]:
    """(H, W, 3) RGB = xyz: round(32767 n) + 32768; 32768 three times means not observable. Good to 0.0015 degrees."""
    return pack_normals(normals.astype(np.float64)).transpose(1, 2, 0)


def decode_normals(pixels: NDArray[np.uint16]) -> NDArray[np.float32]:
    """(3, H, W) unit normals of `encode_normals`, 0 0 0 where not observable."""
    return unpack_normals(pixels.transpose(2, 0, 1))


def write_picture(path: Path, pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
    """Write (H, W) or (H, W, 3) RGB. Raises OSError naming the file."""
    data = pixels[..., ::-1] if pixels.ndim == 3 else pixels
    done, encoded = cv2.imencode(path.suffix, np.ascontiguousarray(data))
    if not done:
        raise OSError(f"{path}: could not be encoded as {path.suffix}")
    path.write_bytes(encoded.tobytes())


def coloured_normals(normals: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(H, W, 3) RGB of (n + 1) / 2 for display; black where not observable."""
    seen = np.abs(normals).sum(axis=0) > 0
    return np.asarray(np.round((normals + 1) * 127.5) * seen, np.uint8).transpose(1, 2, 0)


def relit(
    normals: NDArray[np.float32], albedo: NDArray[np.float32], lamp: NDArray[np.float64] = LAMP
) -> NDArray[np.float32]:
    """(H, W) the part as one far lamp in direction (3,) would show it, in the albedo's unit."""
    shade = np.einsum("c,cyx->yx", lamp / np.linalg.norm(lamp), normals.astype(np.float64))
    return np.asarray(np.maximum(shade, 0) * albedo, np.float32)


def grey(values: NDArray[np.float32], full_scale: float) -> NDArray[np.uint8]:
    """(H, W, 3) display grey with gamma 1 / 2.2."""
    shown = np.clip(values / max(full_scale, 1e-9), 0, 1) ** (1 / 2.2)
    return np.repeat(np.round(shown * 255).astype(np.uint8)[..., None], 3, axis=2)


def coloured(values: NDArray[np.float64] | NDArray[np.float32], full_scale: float) -> NDArray[np.uint8]:
    """(H, W, 3) RGB on a fixed scale from 0 to full_scale; black where not finite."""
    known = np.isfinite(values)
    index = np.round(np.clip(np.where(known, values, 0) / full_scale, 0, 1) * 255).astype(np.uint8)
    return np.ascontiguousarray(cv2.applyColorMap(index, cv2.COLORMAP_VIRIDIS)[..., ::-1] * known[..., None])


def coloured_signed(values: NDArray[np.float32], full_scale: float) -> NDArray[np.uint8]:
    """(H, W, 3) RGB: red above 0, blue below, white at 0, on a fixed scale; black where not finite."""
    known = np.isfinite(values)
    share = np.clip(np.where(known, values, 0) / full_scale, -1, 1)
    less = 1 - np.abs(share)
    rgb = np.stack([np.where(share >= 0, 1, less), less, np.where(share <= 0, 1, less)], axis=-1)
    return np.asarray(np.round(rgb * 255) * known[..., None], np.uint8)


def heights_16_bit(heights: NDArray[np.float32]) -> NDArray[np.uint16]:
    """(H, W) with the lowest height as 1 and the highest as 65535; 0 where the height is not finite."""
    known = np.isfinite(heights)
    if not known.any():
        return np.zeros(heights.shape, np.uint16)
    low, high = float(heights[known].min()), float(heights[known].max())
    share = np.where(known, heights - low, 0) / max(high - low, 1e-9)
    return np.asarray(np.where(known, 1 + np.round(share * 65534), 0), np.uint16)


def sheet(tiles: list[tuple[str, NDArray[np.uint8]]], columns: int, width: int = 480) -> NDArray[np.uint8]:
    """Captioned tiles in rows, each scaled to `width` pixels."""
    shown = [_captioned(text, tile, width) for text, tile in tiles]
    blank = np.zeros_like(shown[0])
    shown += [blank] * (-len(shown) % columns)
    rows = [np.hstack(shown[i : i + columns]) for i in range(0, len(shown), columns)]
    return np.vstack(rows)


def _captioned(text: str, tile: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    height = max(1, round(tile.shape[0] * width / tile.shape[1]))
    smaller = tile.shape[1] > width
    image = cv2.resize(tile, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
    bar = np.zeros((24, width, 3), np.uint8)
    cv2.putText(bar, text, (6, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1, cv2.LINE_AA)
    return np.vstack([bar, image]).astype(np.uint8)
