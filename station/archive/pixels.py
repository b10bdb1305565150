"""Arrays to TIFF bytes and back: deflate level 1 with predictor, which every reader understands.

Normals are 16 bit, round(32767 n) + 32768 per component (0.0007 degrees; 32768 three times =
unobservable). Other real planes are 16 bit with a scale: value = scale * stored. Anomaly maps stay float32.
"""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from station.photometric_stereo.packing import pack_normals as packed_normals

ROWS_PER_STRIP = 64
OBSERVABLE = 64  # bits of the quality plane; the low six are the number of lights that counted
SATURATED = 128
_BLOCK_ROWS = 256  # conversions in blocks: no full-size temporaries at 20 megapixels


def tiff_bytes(pixels: NDArray[Any], description: Mapping[str, Any]) -> memoryview:
    """(H, W) or (H, W, 3) integers or float32, with a JSON description in the header."""
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        _strips(pixels),
        shape=pixels.shape,
        dtype=pixels.dtype,
        photometric="rgb" if pixels.ndim == 3 else "minisblack",
        compression="zlib",
        predictor=_is_predicted(pixels),
        rowsperstrip=ROWS_PER_STRIP,
        metadata=None,
        description=json.dumps(description),
    )
    return buffer.getbuffer()


def _strips(pixels: NDArray[Any]) -> Iterator[bytes]:
    """Compressed strips. Deflate by run lengths: on what noise leaves after the predictor it searches for
    repetitions in vain; without the search it is up to twice as fast and the files are no larger."""
    for row in range(0, pixels.shape[0], ROWS_PER_STRIP):
        strip = np.ascontiguousarray(pixels[row : row + ROWS_PER_STRIP])
        if _is_predicted(pixels):
            strip = np.diff(strip, axis=1, prepend=np.zeros_like(strip[:, :1]))  # modulo 2**bits: TIFF predictor 2
        packer = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_RLE)
        yield packer.compress(strip.data) + packer.flush()


def _is_predicted(pixels: NDArray[Any]) -> bool:
    return pixels.dtype.kind == "u"  # the predictor for floats is one that few readers know


def read_tiff(data: bytes) -> tuple[NDArray[Any], dict[str, Any]]:
    """The pixels and the description. Raises ValueError if these are not our TIFF bytes."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        if not file.pages:
            raise ValueError("the TIFF holds no picture")
        page = file.pages.first
        return np.asarray(page.asarray(maxworkers=1)), json.loads(page.description or "{}")


def pack_normals(normals: NDArray[np.float32]) -> NDArray[np.uint16]:
    """(3, H, W) float32 to (H, W, 3) uint16."""
    _, height, width = normals.shape
    packed = np.empty((height, width, 3), np.uint16)
    for row in range(0, height, _BLOCK_ROWS):
        packed[row : row + _BLOCK_ROWS] = np.moveaxis(packed_normals(normals[:, row : row + _BLOCK_ROWS]), 0, 2)
    return packed


def unpack_normals(packed: NDArray[np.uint16]) -> NDArray[np.float32]:
    """(H, W, 3) uint16 to (3, H, W) float32, unit length, or zero where unobservable."""
    normals = np.empty((3, *packed.shape[:2]), np.float32)
    for row in range(0, packed.shape[0], _BLOCK_ROWS):
        block = (np.moveaxis(packed[row : row + _BLOCK_ROWS], 2, 0).astype(np.float32) - 32768.0) / 32767.0
        length = np.sqrt(np.sum(block * block, axis=0))
        normals[:, row : row + _BLOCK_ROWS] = block / np.where(length > 0, length, 1.0)
    return normals


def pack_scaled(values: NDArray[np.float32]) -> tuple[NDArray[np.uint16], float]:
    """(H, W) or (H, W, 3) to uint16 and the scale that brings it back (steps of maximum / 65535); negative is 0."""
    scale = max(float(np.max(values, initial=0.0)), 0.0) / 65535.0 or 1.0
    packed = np.empty(values.shape, np.uint16)
    for row in range(0, values.shape[0], _BLOCK_ROWS):
        block = np.rint(values[row : row + _BLOCK_ROWS] / np.float32(scale))
        packed[row : row + _BLOCK_ROWS] = np.clip(block, 0.0, 65535.0)
    return packed, scale


def unpack_scaled(packed: NDArray[np.uint16], scale: float) -> NDArray[np.float32]:
    return packed.astype(np.float32) * np.float32(scale)


def pack_quality(
    lit_count: NDArray[np.uint8], observable: NDArray[np.bool_], saturated: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """One byte per pixel: lit count (up to 63), observable, saturated."""
    return np.minimum(lit_count, 63) + observable * np.uint8(OBSERVABLE) + saturated * np.uint8(SATURATED)


def unpack_quality(
    packed: NDArray[np.uint8],
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_]]:
    """lit_count, observable, saturated."""
    return packed & np.uint8(63), (packed & OBSERVABLE) > 0, (packed & SATURATED) > 0
