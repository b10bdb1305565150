"""What is in a picture file from elsewhere: linear light, normals, masks, and their sizes.

Display pictures are sRGB (IEC 61966-2-1). A PNG whose gAMA chunk says 1.0 (ISO/IEC 15948, 11.3.2.2) is proportional to
light already, as `station dataset export --linear` writes it. Normals are read as (n + 1) / 2 over the full range of 8
or 16 bits, x right, y up, z toward the camera.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from station.errors import BadInput
from station.photometric_stereo.packing import ORIGIN, UNIT, pack_normals

PICTURES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
GAMMA_ONE = 100_000  # of a gAMA chunk
CONSTANT_COUNTS = 2  # normals whose counts differ by no more say nothing
UNIT_TOLERANCE = 0.12  # of a normal's length; 8 bits and JPEG cost some hundredths
LEAST_UNIT_SHARE = 0.9
LEAST_SEEN_SHARE = 0.2
MOST_LEAN = 0.4  # of the mean normal; three equal channels of light grey are a unit vector too, with .58


def decoded(file: Path) -> NDArray[Any]:
    """The picture as stored, in OpenCV's order of channels; BadInput where it is none of 8 or 16 bits."""
    try:
        content = np.fromfile(file, np.uint8)
    except OSError as error:
        raise BadInput(f"{file}: cannot be read ({error.strerror}): restore or remove it") from error
    picture = cv2.imdecode(content, cv2.IMREAD_UNCHANGED) if content.size else None
    if picture is None or picture.dtype not in (np.uint8, np.uint16):
        raise BadInput(f"{file} is not a picture of 8 or 16 bits that can be read: replace or remove it")
    return np.asarray(picture)


def size_of(file: Path) -> tuple[int, int]:
    """(H, W) in pixels, from the file's head where that says it; BadInput where the file is no picture."""
    try:
        with Image.open(file) as picture:
            width, height = picture.size
            return height, width
    except (UnidentifiedImageError, OSError, ValueError):
        height, width = decoded(file).shape[:2]
        return height, width


def is_linear(file: Path) -> bool:
    """Whether a PNG says by its gAMA chunk that its values are proportional to light."""
    with file.open("rb") as stream:
        if stream.read(8) != PNG_SIGNATURE:
            return False
        while len(head := stream.read(8)) == 8:
            length, name = struct.unpack(">I4s", head)
            if name == b"gAMA" and length == 4:
                return bool(struct.unpack(">I", stream.read(4))[0] == GAMMA_ONE)
            if name in (b"IDAT", b"IEND"):
                return False
            stream.seek(length + 4, 1)
    return False


def read_linear(file: Path, grid: tuple[int, int] | None = None, *, linear: bool = False) -> NDArray[np.float32]:
    """(H, W, 3) BGR linear 0..1 on `grid`, or as large as the file; grey becomes three equal channels.

    The file is sRGB, unless `linear` or its own gAMA chunk says that it is proportional to light. A picture of another
    proportion is stretched. Light is averaged, not display values. BadInput if it is unreadable.
    """
    raw = decoded(file)
    planes = raw[:, :, None] if raw.ndim == 2 else raw
    planes = planes[:, :, :3] if planes.shape[2] >= 3 else planes[:, :, :1]
    light = _proportional(planes) if linear or is_linear(file) else _linear_of(raw.dtype)[planes]
    small = light if grid in (None, raw.shape[:2]) else _resized(light, grid or (0, 0))
    small = small[:, :, None] if small.ndim == 2 else small
    return np.broadcast_to(small, (*small.shape[:2], 3))


def _proportional(planes: NDArray[Any]) -> NDArray[np.float32]:
    return np.asarray(planes / np.float32(np.iinfo(planes.dtype).max), np.float32)


@cache
def _linear_of(dtype: np.dtype[Any]) -> NDArray[np.float32]:
    """Linear light for every stored value, by IEC 61966-2-1."""
    count = np.iinfo(dtype).max + 1
    value = np.arange(count) / (count - 1)
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4).astype(np.float32)


def _resized(picture: NDArray[np.float32], grid: tuple[int, int]) -> NDArray[np.float32]:
    shrinks = picture.shape[0] >= grid[0] and picture.shape[1] >= grid[1]
    way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, grid[::-1], interpolation=way), np.float32)


def normal_counts(file: Path) -> NDArray[Any]:
    """(H, W, 3) stored counts, components x, y, z; BadInput where the file has no three channels."""
    raw = decoded(file)
    if raw.ndim != 3 or raw.shape[2] < 3:
        raise BadInput(f"{file} has one channel, normals have three components: replace it, or remove all normals")
    return np.ascontiguousarray(raw[:, :, 2::-1] if raw.shape[2] == 3 else raw[:, :, [2, 1, 0]])


def components(counts: NDArray[Any]) -> NDArray[np.float32]:
    """(..., 3) float32 from counts of 8 or 16 bits, of about unit length; exactly 0 0 0 where not observable.

    16 bits are as `photometric_stereo.packing` writes them, which is (n + 1) / 2 to within one count.
    """
    if counts.dtype == np.uint16:
        vectors = (counts.astype(np.float32) - np.float32(ORIGIN)) / np.float32(UNIT)
    else:
        vectors = counts.astype(np.float32) / np.float32(127.5) - np.float32(1)
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.where(length > 0.5, vectors, np.float32(0))


def read_normals(file: Path, grid: tuple[int, int] | None = None) -> NDArray[np.float32]:
    """(3, H, W) float32 unit vectors, 0 0 0 where not observable, averaged to `grid` where it is another size."""
    vectors = components(normal_counts(file))
    if grid is not None and vectors.shape[:2] != grid:
        vectors = _resized(vectors, grid)
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit = np.where(length > 0.5, vectors / np.maximum(length, np.float32(1e-6)), np.float32(0))
    return np.ascontiguousarray(unit.transpose(2, 0, 1))


def packed_normals(file: Path, grid: tuple[int, int]) -> NDArray[np.uint16]:
    """(3, H, W) as `photometric_stereo.packing` writes them; 16-bit counts on the grid stay as they are."""
    counts = normal_counts(file)
    if counts.dtype != np.uint16 or counts.shape[:2] != grid:
        return pack_normals(read_normals(file, grid))
    seen = np.abs(components(counts)).max(axis=-1, keepdims=True) > 0
    return np.ascontiguousarray(np.where(seen, counts, np.uint16(ORIGIN)).transpose(2, 0, 1))


def constant_direction(file: Path) -> tuple[float, float, float] | None:
    """The one direction that all observable pixels of a file of normals have; None where they differ.

    A file without any observable pixel has the direction 0 0 0.
    """
    counts = normal_counts(file)
    seen = np.abs(components(counts)).max(axis=-1) > 0
    if not seen.any():
        return 0.0, 0.0, 0.0
    found = counts[seen].astype(np.int64)
    if int(np.ptp(found, axis=0).max()) > CONSTANT_COUNTS:
        return None
    x, y, z = components(np.round(found.mean(axis=0)).astype(counts.dtype))
    return float(x), float(y), float(z)


def looks_like_normals(file: Path) -> bool:
    """Whether a file holds unit vectors that face the camera: what no picture of a part does."""
    raw = decoded(file)
    if raw.ndim != 3 or raw.shape[2] < 3:
        return False
    step = max(1, min(raw.shape[:2]) // 128)
    vectors = components(np.ascontiguousarray(raw[::step, ::step, [2, 1, 0]]))
    length = np.linalg.norm(vectors, axis=-1)
    seen = length > 0
    unit = np.abs(length - 1)[seen] < UNIT_TOLERANCE
    if seen.mean() < LEAST_SEEN_SHARE or unit.mean() < LEAST_UNIT_SHARE:
        return False
    x, y, z = vectors[seen].mean(axis=0)
    return bool(z > 0.5 and max(abs(x), abs(y)) < MOST_LEAN)


def read_mask(file: Path, picture: Path) -> NDArray[np.bool_]:
    """(H, W) where the defect is; BadInput for an empty mask, or one of another size than its picture."""
    mask = _marks(file)
    size = size_of(picture)
    if mask.shape != size:
        raise BadInput(
            f"{file} is {mask.shape[1]} x {mask.shape[0]} px, but its picture is not ({size[1]} x {size[0]}): "
            "replace it"
        )
    if not mask.any():
        raise BadInput(f"{file} marks no pixel, but {picture} is a picture of a defect: draw the defect")
    return np.asarray(mask > 0)


def _marks(file: Path) -> NDArray[Any]:
    """(H, W), 0 where there is no defect. Of a palette picture the indices count, not the colours; alpha never does."""
    with suppress(UnidentifiedImageError, OSError, ValueError), Image.open(file) as picture:
        if picture.mode == "P":
            return np.array(picture)
    mask = decoded(file)
    return mask[:, :, :3].max(axis=2) if mask.ndim == 3 else mask
