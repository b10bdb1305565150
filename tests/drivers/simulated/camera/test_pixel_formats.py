"""Pixel formats of the simulated camera, from what the scene renders to what the driver reads back."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from drivers.genicam.pixels import BY_NAME, decode
from drivers.protocols import Pixels
from drivers.simulated.camera.exposure import ExposureRequest
from drivers.simulated.camera.pixel_formats import PIXEL_FORMATS, encode, rendered_format, rendered_request


def request_for(name: str, binning: int = 1, binning_vertical: int = 1) -> ExposureRequest:
    return ExposureRequest(1, 100.0, 0.0, 16.0, binning, 12, 8, 4, 2, name, binning_vertical=binning_vertical)


def mosaic(request: ExposureRequest) -> Pixels:
    """A picture in which every Bayer site of the sensor has a value of its own: 10 R, 20 G, 21 G, 30 B (x 16 in 12)."""
    block = np.array([[10, 20], [21, 30]])
    picture = np.tile(block, (request.height // 2, request.width // 2))
    return picture.astype(np.uint8) if request.pixel_format.endswith("8") else (picture * 16).astype(np.uint16)


def test_both_ends_know_the_same_formats() -> None:
    assert {code: row.name for code, row in ((r.code, r) for r in BY_NAME.values())} == PIXEL_FORMATS


@pytest.mark.parametrize("name", list(BY_NAME))
def test_every_format_arrives_as_it_was_seen(name: str) -> None:
    request = request_for(name)
    wanted = rendered_request(request)
    seen = mosaic(wanted)
    found = decode(encode(seen, request).tobytes(), BY_NAME[name].code, (8, 12), 0, 0, "camera")
    if name == "RGB8":
        assert found.shape == (8, 12, 3)
        np.testing.assert_array_equal(found, np.broadcast_to([10, 20, 30], found.shape))
    elif name.startswith("Bayer"):
        first = {"RG": (0, 0), "GR": (0, 1), "GB": (1, 0), "BG": (1, 1)}[name[5:7]]
        expected = np.roll(seen, (-first[0], -first[1]), axis=(0, 1))
        np.testing.assert_array_equal(found, expected)
    else:
        scale = {"Mono10": 1 / 4, "Mono16": 16}.get(name, 1)
        np.testing.assert_array_equal(found, seen * scale)
        assert wanted.black_level_dn == request.black_level_dn / scale


def test_unequal_binning_averages_on() -> None:
    request = request_for("Mono8", binning=4, binning_vertical=1)
    wanted = rendered_request(request)
    assert (wanted.binning, wanted.width, wanted.height, wanted.offset_x) == (1, 48, 8, 16)
    seen = np.tile(np.array([0, 10, 20, 30], np.uint8), (8, 12))
    np.testing.assert_array_equal(encode(seen, request), np.full((8, 12), 15, np.uint8))


def test_what_the_scene_renders_is_not_copied() -> None:
    request = request_for("Mono8")
    seen = mosaic(request)
    assert encode(seen, request) is seen
    assert {rendered_format(n) for n in PIXEL_FORMATS.values()} == {"Mono8", "Mono12", "BayerRG8", "BayerRG12"}


def unpack_12p_reference(row: NDArray[np.uint8], width: int) -> NDArray[np.uint16]:
    """One row of a 12-bit packed format in plain numpy, (row_bytes,) to (width,)."""
    triples = np.zeros(((width + 1) // 2, 3), np.uint16)
    triples.reshape(-1)[: row.size] = row
    pixels = np.empty((triples.shape[0], 2), np.uint16)
    pixels[:, 0] = triples[:, 0] | (triples[:, 1] & 15) << 8
    pixels[:, 1] = triples[:, 1] >> 4 | triples[:, 2] << 4
    return pixels.reshape(-1)[:width]


@pytest.mark.parametrize("width", [1, 2, 7, 64])
def test_compiled_unpacking_is_the_reference(width: int) -> None:
    generator = np.random.default_rng(width)
    row_bytes = BY_NAME["Mono12p"].row_bytes(width)
    raw = generator.integers(0, 256, (5, row_bytes + 3), dtype=np.uint8)
    found = decode(b"xx" + raw.tobytes(), BY_NAME["Mono12p"].code, (5, width), 3, 2, "camera")
    place = np.full((5, width + 32), 9, np.uint16)  # as the memory of a view has it, rows apart
    landed = decode(
        b"xx" + raw.tobytes(), BY_NAME["Mono12p"].code, (5, width), 3, 2, "camera", lambda *_: place[:, :width]
    )
    assert landed.ctypes.data == place.ctypes.data
    assert (place[:, width:] == 9).all()
    for y in range(5):
        np.testing.assert_array_equal(found[y], unpack_12p_reference(raw[y, :row_bytes], width))
        np.testing.assert_array_equal(landed[y], found[y])


@pytest.mark.parametrize("name", ["Mono8", "Mono12", "BayerRG8"])
def test_a_frame_is_unpacked_to_where_it_is_wanted(name: str) -> None:
    pixels = np.arange(24).reshape(4, 6).astype(np.uint8 if name.endswith("8") else np.uint16)
    place = np.zeros((4, 70), pixels.dtype)
    found = decode(pixels.tobytes(), BY_NAME[name].code, (4, 6), 0, 0, "camera", lambda *_: place[:, :6])
    np.testing.assert_array_equal(place[:, :6], pixels)
    assert found.ctypes.data == place.ctypes.data
