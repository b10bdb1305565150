"""A frame becomes a linear picture: black and full scale, colours at their place, noise kept."""

from __future__ import annotations

import numpy as np
import pytest

from drivers.protocols import Frame
from station.judge.diffuse_picture import PictureError, diffuse_rgb


def _frame(pixels: np.ndarray, pixel_format: str, bits: int, black_dn: float = 0.0) -> Frame:
    return Frame(pixels, pixel_format, bits, black_dn, 1000.0, 0.0, 0, 0)


@pytest.mark.parametrize(("dtype", "bits", "name"), [(np.uint8, 8, "BayerRG8"), (np.uint16, 12, "BayerRG12")])
def test_a_bayer_mosaic_of_one_colour_has_that_colour_everywhere(dtype: type, bits: int, name: str) -> None:
    full, black = 2**bits - 1, 16
    r, g, b = 0.25, 0.5, 0.75
    levels = np.array([[r, g], [g, b]]) * (full - black) + black
    pixels = np.tile(np.round(levels), (6, 8)).astype(dtype)
    found = diffuse_rgb(_frame(pixels, name, bits, black))
    assert found.shape == (3, 12, 16)
    assert found.dtype == np.float32
    for plane, expected in zip(found, (r, g, b), strict=True):
        np.testing.assert_allclose(plane, expected, atol=0.5 / (full - black) + 1e-6)


def test_black_is_0_full_scale_is_1_and_noise_below_black_stays() -> None:
    found = diffuse_rgb(_frame(np.array([[64, 4095, 60]], np.uint16), "Mono12", 12, 64.0))
    np.testing.assert_allclose(found[:, 0], [[0, 1, -4 / 4031]] * 3, rtol=1e-6)


def test_mono_gives_three_equal_channels_in_the_memory_of_one() -> None:
    found = diffuse_rgb(_frame(np.zeros((4, 6), np.uint8), "Mono8", 8))
    assert found.shape == (3, 4, 6)
    assert found.strides[0] == 0


def test_an_unknown_format_is_named() -> None:
    with pytest.raises(PictureError, match="YUV422"):
        diffuse_rgb(_frame(np.zeros((4, 6), np.uint8), "YUV422", 8))


def test_a_black_level_beyond_full_scale_is_refused() -> None:
    with pytest.raises(PictureError, match="black level 300"):
        diffuse_rgb(_frame(np.zeros((4, 6), np.uint8), "Mono8", 8, 300.0))
