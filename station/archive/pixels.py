"""Arrays to the bytes of a TIFF and back: deflate with predictor 2, or uncompressed; every reader understands both.

Pixels are written as they come: `view_files` packs them. The bits of the quality plane are defined here.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tifffile
from isal import isal_zlib
from numpy.typing import NDArray

from station.archive.tiff_header import tiff_header

Buffer = bytes | memoryview
ROWS_PER_STRIP = 64
COMPRESSION_LEVEL = 1
OBSERVABLE = 64  # bits of the quality plane; the low six are the number of lights that counted
SATURATED = 128


@dataclass(frozen=True, slots=True)
class Plane:
    """Pixels to be written, made strip by strip: a whole one is never held besides what it is made from."""

    shape: tuple[int, ...]  # (H, W) or (H, W, 3)
    dtype: np.dtype[Any]
    rows: Callable[[slice], NDArray[Any]]  # those rows, of that type

    @classmethod
    def of(cls, pixels: NDArray[Any]) -> Plane:
        """Of pixels that are there already."""
        return cls(pixels.shape, pixels.dtype, pixels.__getitem__)

    def strips(self) -> Iterator[NDArray[Any]]:
        """ROWS_PER_STRIP rows at a time, C-contiguous."""
        for row in range(0, self.shape[0], ROWS_PER_STRIP):
            yield np.ascontiguousarray(self.rows(slice(row, row + ROWS_PER_STRIP)))


def tiff_parts(plane: Plane, description: Mapping[str, Any], compressed: bool = True) -> Iterator[Buffer]:
    """The parts of a TIFF, in order, of (H, W) or (H, W, 3) integers or float32, the JSON description in its header.

    Uncompressed, each part is a strip as it is made, and nothing of the file is built in memory: it takes a tenth of
    the time, and frames of 12 bits are 1.7 times as large.
    """
    if compressed:
        yield _compressed(plane, description)
        return
    yield tiff_header(plane.shape, plane.dtype, json.dumps(description), ROWS_PER_STRIP)
    for strip in plane.strips():
        yield strip.data.cast("B")


def _compressed(plane: Plane, description: Mapping[str, Any]) -> memoryview:
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        _deflated(plane),
        shape=plane.shape,
        dtype=plane.dtype,
        photometric="rgb" if len(plane.shape) == 3 else "minisblack",
        compression="zlib",
        predictor=_is_predicted(plane),
        rowsperstrip=ROWS_PER_STRIP,
        metadata=None,
        description=json.dumps(description),
    )
    return buffer.getbuffer()


def _deflated(plane: Plane) -> Iterator[bytes]:
    """ISA-L's deflate: three times as fast as zlib's quickest on frames and normals of 16 bits, and no larger there
    (`benchmarks/cycle.py`: compressing is most of what the archive costs a part).
    """
    for strip in plane.strips():
        if _is_predicted(plane):
            strip = np.diff(strip, axis=1, prepend=np.zeros_like(strip[:, :1]))  # modulo 2**bits: TIFF predictor 2
        yield isal_zlib.compress(strip.data, COMPRESSION_LEVEL)


def _is_predicted(plane: Plane) -> bool:
    return plane.dtype.kind == "u"  # the predictor for floats is one that few readers know


def read_tiff(data: bytes) -> tuple[NDArray[Any], dict[str, Any]]:
    """The pixels and the description. Raises ValueError if the bytes are not a TIFF as `tiff_parts` makes it."""
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
