"""Files of pixels are written strip by strip, and are what tifffile would have written."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
import tifffile

from station.archive.pixels import ROWS_PER_STRIP, Plane, read_tiff, tiff_parts

ABOUT = {"inspection_id": "01ABC", "scale": 0.25, "what": "Größe"}


@pytest.mark.parametrize("shape", [(130, 50), (ROWS_PER_STRIP, 7), (3, 5), (70, 4000), (65, 50, 3), (1, 1)], ids=str)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_an_uncompressed_file_is_byte_for_byte_what_tifffile_writes(shape: tuple[int, ...], dtype: type) -> None:
    pixels = (np.random.default_rng(0).random(shape) * 200).astype(dtype)
    expected = io.BytesIO()
    tifffile.imwrite(
        expected, pixels, photometric="rgb" if len(shape) == 3 else "minisblack", rowsperstrip=ROWS_PER_STRIP,
        metadata=None, description=json.dumps(ABOUT),
    )  # fmt: skip
    padded = np.zeros((shape[0], shape[1] + 32, *shape[2:]), dtype)
    padded[:, : shape[1]] = pixels
    rows_apart = padded[:, : shape[1]]  # as frames lie in a ring
    for source in (pixels, rows_apart):
        assert b"".join(tiff_parts(Plane.of(source), ABOUT, compressed=False)) == expected.getvalue()


def test_a_compressed_file_reads_as_the_same_pixels() -> None:
    pixels = (np.random.default_rng(1).random((130, 50, 3)) * 4000).astype(np.uint16)
    found, about = read_tiff(b"".join(tiff_parts(Plane.of(pixels), ABOUT)))
    assert np.array_equal(found, pixels)
    assert about == ABOUT


def test_a_picture_that_no_tiff_holds_is_refused_before_a_byte_is_written() -> None:
    huge = Plane((70_000, 70_000), np.dtype(np.uint8), lambda _rows: np.zeros((1, 1), np.uint8))
    with pytest.raises(ValueError, match="does not fit"):
        next(tiff_parts(huge, ABOUT, compressed=False))
