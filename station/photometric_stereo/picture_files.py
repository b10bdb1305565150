"""Picture files of a folder that came from elsewhere: where they may lie, how large they may be, and their pixels.

A header is read before anything is decoded: a few kilobytes of PNG can hold gigabytes of pixels.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from drivers.protocols import Pixels

MAXIMUM_PIXELS = 64_000_000  # of one picture: three times the largest sensor that a station has
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_COLOURS = {0: 1, 2: 3, 3: 3, 4: 3, 6: 3}  # grey, RGB, palette, grey with alpha (decoded as RGB), RGB with alpha
_DEEP_MODES = {"I": 16, "I;16": 16, "I;16B": 16, "I;16L": 16, "F": 32}
_BITS_PER_SAMPLE = 258  # TIFF's tag
_FORMATS = ("TIFF", "JPEG", "BMP", "PPM", "TGA")  # TGA last: it has no signature
_NOT_THIS_FORMAT = (SyntaxError, OSError, ValueError, IndexError, TypeError, KeyError, EOFError, struct.error)


@dataclass(frozen=True)
class PictureHeader:
    """What a file says of its picture; nothing was decoded."""

    width_px: int
    height_px: int
    bits: int  # per sample
    colours: int  # 1 or 3; alpha does not count

    @property
    def is_too_large(self) -> bool:
        """More pixels than MAXIMUM_PIXELS."""
        return self.width_px * self.height_px > MAXIMUM_PIXELS

    @property
    def text(self) -> str:
        """For an error."""
        kind = "grey" if self.colours == 1 else "colour"
        return f"{self.width_px} x {self.height_px} pixels, {self.bits} bit, {kind}"


def is_inside(path: Path, folder: Path) -> bool:
    """Whether the path, links followed, lies in the folder; False for what is no path at all."""
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):  # too long, with a NUL, or links in a circle
        return False


def is_file(path: Path) -> bool:
    """Whether there is a plain file; False for a name that no file can have."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def read_header(path: Path) -> PictureHeader | None:
    """Size, depth and colours of a PNG, TIFF, JPEG, BMP, PPM or TGA; None for anything else. Raises OSError."""
    with path.open("rb") as file:
        start = file.read(26)
    if start[:8] == _PNG:
        if len(start) < 26 or start[12:16] != b"IHDR" or start[25] not in _PNG_COLOURS:
            return None
        width, height, bits, colour = struct.unpack(">IIBB", start[16:26])
        return PictureHeader(width, height, 16 if bits == 16 else 8, _PNG_COLOURS[colour])
    return _header_by_pillow(path)


def _header_by_pillow(path: Path) -> PictureHeader | None:
    """By Pillow's readers, called without its own limit on pixels: that would raise before the size is known."""
    Image.init()
    with path.open("rb") as file:
        start = file.read(16)
        for name in _FORMATS:
            factory, accept = Image.OPEN[name]
            if accept is not None and not accept(start):
                continue
            file.seek(0)
            try:
                return _described(factory(file, str(path)))
            except _NOT_THIS_FORMAT:
                continue
    return None


def _described(image: Image.Image) -> PictureHeader:
    bits = _DEEP_MODES.get(image.mode, 8)
    tags = getattr(image, "tag_v2", {})
    if _BITS_PER_SAMPLE in tags:
        bits = max(int(np.max(tags[_BITS_PER_SAMPLE])), 8)
    is_grey = image.mode in ("L", "LA", "1") or image.mode in _DEEP_MODES
    return PictureHeader(image.width, image.height, bits, 1 if is_grey else 3)


def read_picture(path: Path) -> Pixels | None:
    """(H, W) or (H, W, 3) RGB, 8 or 16 bit; None for what is not a whole picture. PNG, TIFF, TGA, JPEG.

    None as well for a picture of more than MAXIMUM_PIXELS, which is not decoded.
    """
    header = read_header(path)
    if header is None or header.is_too_large:
        return None
    if path.suffix.lower() == ".tga":
        return _read_tga(path)
    data = path.read_bytes()
    if data[:4] == b"\x89PNG" and b"IEND" not in data[-16:]:
        return None
    if data[:2] == b"\xff\xd8" and b"\xff\xd9" not in data[-1024:]:
        return None
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    if pixels is None or pixels.dtype not in (np.uint8, np.uint16) or pixels.ndim not in (2, 3):
        return None
    if pixels.ndim == 3:
        pixels = pixels[..., 2::-1] if pixels.shape[2] >= 3 else pixels[..., 0]
    if pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels, np.uint8)
    return np.ascontiguousarray(pixels, np.uint16)


def _read_tga(path: Path) -> Pixels | None:
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("L" if image.mode in ("L", "LA", "1") else "RGB"))
    except (OSError, SyntaxError):
        return None
    return pixels
