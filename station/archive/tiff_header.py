"""The first bytes of an uncompressed TIFF, before its pixels are there: its file is then written strip by strip.

TIFF 6.0, little-endian, one picture in strips. Byte for byte what tifffile writes, which reads it as any reader does.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

SHORT, LONG, ASCII, RATIONAL = 3, 4, 2, 5  # types of a value
SIZES, FORMATS = {SHORT: 2, LONG: 4, ASCII: 1, RATIONAL: 8}, {SHORT: "H", LONG: "I", RATIONAL: "I"}
MONO, RGB, FLOAT = 1, 2, 3
IFD_OFFSET, ALIGNMENT = 8, 16
SOFTWARE = b"tifffile.py\0"
Tag = tuple[int, int, int, bytes]  # number, type, count of values, the values


def tiff_header(shape: tuple[int, ...], dtype: np.dtype[Any], description: str, rows_per_strip: int) -> bytes:
    """Everything before the pixels, which follow at once: rows of (H, W) or (H, W, 3), without padding.

    Raises ValueError for a picture of 4 GB or more, which this form of the file cannot hold.
    """
    height, width = shape[:2]
    samples = shape[2] if len(shape) == 3 else 1
    row_bytes = width * samples * dtype.itemsize
    if row_bytes * height >= 2**32 - 2**20:
        raise ValueError(f"a picture of {row_bytes * height} bytes does not fit into a TIFF")
    rows = [min(rows_per_strip, height - top) for top in range(0, height, rows_per_strip)]
    counts = [row_bytes * each for each in rows]
    tags = [
        _numbers(256, LONG, [width]), _numbers(257, LONG, [height]),
        _numbers(258, SHORT, [8 * dtype.itemsize] * samples), _numbers(259, SHORT, [1]),
        _numbers(262, SHORT, [MONO if samples == 1 else RGB]), _text(270, description.encode("ascii")),
        _numbers(273, LONG, [0] * len(rows)), _numbers(277, SHORT, [samples]),
        _numbers(278, LONG, [min(rows_per_strip, height)]),
        _numbers(279, SHORT if len(counts) > 1 and row_bytes * rows_per_strip < 2**16 else LONG, counts),
        _numbers(282, RATIONAL, [1, 1]), _numbers(283, RATIONAL, [1, 1]), _numbers(296, SHORT, [1]),
        (305, ASCII, len(SOFTWARE), SOFTWARE),
    ]  # fmt: skip
    if samples > 1:
        tags.append(_numbers(284, SHORT, [1]))
    if dtype.kind == "f":
        tags.append(_numbers(339, SHORT, [FLOAT] * samples))
    tags.sort()
    begin = len(_laid_out(tags))
    offsets = [begin + sum(counts[:k]) for k in range(len(counts))]
    return _laid_out([_numbers(273, LONG, offsets) if tag[0] == 273 else tag for tag in tags])


def _numbers(number: int, kind: int, values: Sequence[int]) -> Tag:
    packed = struct.pack(f"<{len(values)}{FORMATS[kind]}", *values)
    return number, kind, len(packed) // SIZES[kind], packed


def _text(number: int, text: bytes) -> Tag:
    return number, ASCII, len(text) + 1, text + b"\0"


def _laid_out(tags: Sequence[Tag]) -> bytes:
    """The header, the table of tags, and the values that do not fit into it, up to where the pixels begin."""
    table = struct.pack("<H", len(tags))
    values = b""
    beyond = IFD_OFFSET + 2 + 12 * len(tags) + 4
    for number, kind, count, packed in tags:
        table += struct.pack("<HHI", number, kind, count)
        if len(packed) <= 4:
            table += packed.ljust(4, b"\0")
        else:
            table += struct.pack("<I", beyond + len(values))
            values += packed + b"\0" * (len(packed) % 2)
    head = struct.pack("<2sHI", b"II", 42, IFD_OFFSET) + table + struct.pack("<I", 0) + values
    return head + b"\0" * (-len(head) % ALIGNMENT)
