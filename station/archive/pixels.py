"""Arrays to TIFF bytes and back: deflate with predictor 2, or uncompressed; every reader understands both.

Pixels are written as they come: `view_files` packs them. The bits of the quality plane are defined here.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tifffile
from isal import isal_zlib
from numpy.typing import NDArray

ROWS_PER_STRIP = 64
COMPRESSION_LEVEL = 1
OBSERVABLE = 64  # bits of the quality plane; the low six are the number of lights that counted
SATURATED = 128


def tiff_bytes(pixels: NDArray[Any], description: Mapping[str, Any], compressed: bool = True) -> memoryview:
    """A TIFF of (H, W) or (H, W, 3) integers or float32, with the JSON description in its header.

    Uncompressed it is made in a tenth of the time, and frames of 12 bits are 1.7 times as large.
    """
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        _strips(pixels) if compressed else pixels,
        shape=pixels.shape,
        dtype=pixels.dtype,
        photometric="rgb" if pixels.ndim == 3 else "minisblack",
        compression="zlib" if compressed else None,
        predictor=compressed and _is_predicted(pixels),
        rowsperstrip=ROWS_PER_STRIP,
        metadata=None,
        description=json.dumps(description),
    )
    return buffer.getbuffer()


def _strips(pixels: NDArray[Any]) -> Iterator[bytes]:
    """Compressed strips of ROWS_PER_STRIP rows.

    ISA-L's deflate: three times as fast as zlib's quickest on frames and normals of 16 bits, and no larger there
    (`benchmarks/cycle.py`: compressing is most of what the archive costs a part).
    """
    for row in range(0, pixels.shape[0], ROWS_PER_STRIP):
        strip = np.ascontiguousarray(pixels[row : row + ROWS_PER_STRIP])
        if _is_predicted(pixels):
            strip = np.diff(strip, axis=1, prepend=np.zeros_like(strip[:, :1]))  # modulo 2**bits: TIFF predictor 2
        yield isal_zlib.compress(strip.data, COMPRESSION_LEVEL)


def _is_predicted(pixels: NDArray[Any]) -> bool:
    return pixels.dtype.kind == "u"  # the predictor for floats is one that few readers know


def read_tiff(data: bytes) -> tuple[NDArray[Any], dict[str, Any]]:
    """The pixels and the description. Raises ValueError if the bytes are not a TIFF as `tiff_bytes` writes it."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        if not file.pages:
            raise ValueError("the TIFF holds no picture")
        page = file.pages.first
        return np.asarray(page.asarray(maxworkers=1)), json.loads(page.description or "{}")


def pack_quality(
    lit_count: NDArray[np.uint8], observable: NDArray[np.bool_], saturated: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """One byte per pixel: lit count (63 at most) in the low six bits, then observable, then saturated."""
    return np.minimum(lit_count, 63) + observable * np.uint8(OBSERVABLE) + saturated * np.uint8(SATURATED)


def unpack_quality(
    packed: NDArray[np.uint8],
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_]]:
    """lit_count, observable and saturated of `pack_quality`, each (H, W)."""
    return packed & np.uint8(63), (packed & OBSERVABLE) > 0, (packed & SATURATED) > 0
