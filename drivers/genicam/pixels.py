"""PFNC pixel formats: those that the driver reads, and how their bytes become a picture.

Names and codes are those of the EMVA Pixel Format Naming Convention (PFNC 2.4).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numba
import numpy as np
from numpy.lib.stride_tricks import as_strided

from drivers.errors import FeatureMissing, FrameIncomplete
from drivers.protocols import Landing, Pixels


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """One row of the EMVA Pixel Format Naming Convention."""

    name: str
    code: int
    significant_bits: int
    bits_per_pixel: int  # as it travels, all channels together

    @property
    def channels(self) -> int:
        """Samples per pixel as delivered: a Bayer mosaic has one."""
        return 3 if self.name.startswith("RGB") else 1

    @property
    def is_packed(self) -> bool:
        """Two 12-bit pixels in three bytes (the `p` formats)."""
        return self.name.endswith("p")

    def row_bytes(self, width: int) -> int:
        """Bytes of one row without padding, rounded up to whole bytes."""
        return (width * self.bits_per_pixel + 7) // 8


def _rows() -> list[PixelFormat]:
    rows = [
        PixelFormat("Mono8", 0x01080001, 8, 8),
        PixelFormat("Mono10", 0x01100003, 10, 16),
        PixelFormat("Mono12", 0x01100005, 12, 16),
        PixelFormat("Mono16", 0x01100007, 16, 16),
        PixelFormat("Mono12p", 0x010C0047, 12, 12),
        PixelFormat("RGB8", 0x02180014, 8, 24),
    ]
    bayer = {"GR": (0x08, 0x10, 0x57), "RG": (0x09, 0x11, 0x59), "GB": (0x0A, 0x12, 0x55), "BG": (0x0B, 0x13, 0x53)}
    for order, (code8, code12, code12p) in bayer.items():
        rows.append(PixelFormat(f"Bayer{order}8", 0x01080000 | code8, 8, 8))
        rows.append(PixelFormat(f"Bayer{order}12", 0x01100000 | code12, 12, 16))
        rows.append(PixelFormat(f"Bayer{order}12p", 0x010C0000 | code12p, 12, 12))
    return rows


BY_NAME = {row.name: row for row in _rows()}
BY_CODE = {row.code: row for row in BY_NAME.values()}


def format_named(name: str, device: str) -> PixelFormat:
    """Raises FeatureMissing, naming the formats that the driver reads."""
    if name not in BY_NAME:
        raise FeatureMissing(device, f"pixel format {name!r} is not one that this driver reads: {', '.join(BY_NAME)}")
    return BY_NAME[name]


def decode(
    raw: bytes,
    code: int,
    shape: tuple[int, int],
    padding_x: int,
    offset: int,
    device: str,
    landing: Landing | None = None,
) -> Pixels:
    """A picture out of a delivered buffer, in memory of its own, or where `landing` wants one of a channel.

    `shape` is (height, width), `padding_x` the bytes that follow each row, `offset` where the image
    starts. Returns (H, W) or (H, W, 3) uint8, or (H, W) uint16. Raises FeatureMissing for a format
    that the driver does not read, FrameIncomplete when the buffer is too short.
    """
    if code not in BY_CODE:
        raise FeatureMissing(device, f"delivered pixel format {code:#010x}, which this driver does not read")
    pixel_format = BY_CODE[code]
    height, width = shape
    stride = pixel_format.row_bytes(width) + padding_x
    if offset + stride * height - padding_x > len(raw):
        raise FrameIncomplete(
            device, f"{pixel_format.name} {width} x {height} needs {stride * height} bytes, found {len(raw) - offset}"
        )
    if pixel_format.channels == 3:
        rgb = np.ndarray((height, 3 * width), np.uint8, raw, offset, (stride, 1)).copy()
        return rgb.reshape(height, width, 3)
    deep = pixel_format.significant_bits > 8
    picture = _place(landing, shape, np.dtype(np.uint16 if deep else np.uint8))
    if pixel_format.is_packed:
        _unpack_rows_12p(np.frombuffer(raw, np.uint8), offset, stride, _whole_rows(picture), width)
    elif deep:
        picture[:] = np.ndarray(shape, "<u2", raw, offset, (stride, 2))
    else:
        picture[:] = np.ndarray(shape, np.uint8, raw, offset, (stride, 1))
    return picture


def _place(landing: Landing | None, shape: tuple[int, int], dtype: np.dtype[Any]) -> Pixels:
    found = None if landing is None else landing(shape, dtype)
    return cast(Pixels, np.empty(shape, dtype)) if found is None else found


def _whole_rows(picture: Pixels) -> Pixels:
    """The picture with what lies behind its rows, the last one too, so that the kernel sees contiguous memory."""
    row = picture.strides[0] // picture.itemsize
    return picture if row == picture.shape[1] else cast(Pixels, as_strided(picture, (picture.shape[0], row)))


@numba.njit(nogil=True, cache=True)
def _unpack_rows_12p(raw, offset, stride, out, width):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """Least significant bits first: p0 = b0 | (b1 & 15) << 8, p1 = b1 >> 4 | b2 << 4 (PFNC 2.4, 5.2)."""
    for y in range(out.shape[0]):
        row = raw[offset + y * stride : offset + y * stride + (width * 3 + 1) // 2]
        line = out[y]
        for pair in range(width // 2):
            middle = np.uint16(row[3 * pair + 1])
            line[2 * pair] = np.uint16(row[3 * pair]) | (middle & np.uint16(15)) << np.uint16(8)
            line[2 * pair + 1] = middle >> np.uint16(4) | np.uint16(row[3 * pair + 2]) << np.uint16(4)
        if width % 2:
            last = 3 * (width // 2)
            line[width - 1] = np.uint16(row[last]) | (np.uint16(row[last + 1]) & np.uint16(15)) << np.uint16(8)


def compile_unpacking() -> None:
    """Takes a second once per machine; called when a packed format is configured, so that no frame waits for it."""
    _unpack_rows_12p(np.frombuffer(b"\0\0\0", np.uint8), 0, 3, np.empty((1, 2), np.uint16), 2)
