"""Turns a picture of an X screen, as `xwd` writes it, into a PNG: `python xwd_to_png.py SCREEN.xwd OUT.png`.

Source of the layout: X11/XWDFile.h, version 7. Read here: three or four bytes a pixel, least significant byte first,
blue first; a line may be longer than its pixels.
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
    bits, bytes_per_line, colours = header[11], header[12], header[19]
    if version != 7 or bits not in (24, 32) or byte_order != 0:
        raise ValueError(f"version {version}, {bits} bits a pixel, byte order {byte_order}: not read here")
    start = header_bytes + 12 * colours
    lines = np.frombuffer(raw, np.uint8, height * bytes_per_line, start).reshape(height, bytes_per_line)
    pixels = lines[:, : width * bits // 8].reshape(height, width, bits // 8)[:, :, 2::-1]
    if not pixels.any():
        raise ValueError("the screen is black: nothing was drawn on it")
    return np.ascontiguousarray(pixels)


if __name__ == "__main__":
    Image.fromarray(picture_of(Path(sys.argv[1]).read_bytes())).save(sys.argv[2])
