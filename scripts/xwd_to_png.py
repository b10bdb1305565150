"""Turns a picture of an X screen, as `xwd` writes it, into a PNG: `python xwd_to_png.py SCREEN.xwd OUT.png`.

Source of the layout: X11/XWDFile.h, version 7. Read here: four bytes a pixel (`xwd` states the depth, 24, as their
bits), least significant byte first, blue first.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import numpy as np
from PIL import Image

HEADER_FIELDS = 25


def picture_of(raw: bytes) -> np.ndarray:
    """The screen as (H, W, 3) uint8 RGB. Raises ValueError for a layout that this does not read, or a black screen."""
    header = struct.unpack_from(f">{HEADER_FIELDS}I", raw)
    header_bytes, version, _, _, width, height, _, byte_order = header[:8]
    bytes_per_line, colours = header[12], header[19]
    if version != 7 or bytes_per_line != 4 * width or byte_order != 0:
        raise ValueError(f"version {version}, {bytes_per_line} bytes for {width} pixels, order {byte_order}: not read")
    start = header_bytes + 12 * colours
    lines = np.frombuffer(raw, np.uint8, height * bytes_per_line, start).reshape(height, bytes_per_line)
    pixels = lines.reshape(height, width, 4)[:, :, 2::-1]
    if not pixels.any():
        raise ValueError("the screen is black: nothing was drawn on it")
    return np.ascontiguousarray(pixels)


if __name__ == "__main__":
    Image.fromarray(picture_of(Path(sys.argv[1]).read_bytes())).save(sys.argv[2])
