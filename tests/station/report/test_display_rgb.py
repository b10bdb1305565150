"""Images and normals become the RGB that a screen expects."""

from __future__ import annotations

import numpy as np

from station.report.display_rgb import hatch, linear_to_srgb, normals_to_rgb


def test_normals_facing_the_camera_are_blue_and_unobservable_ones_hatched() -> None:
    normals = np.zeros((3, 20, 20), dtype=np.float32)
    normals[2, :10] = 1.0
    rgb = normals_to_rgb(normals)
    assert tuple(rgb[0, 0]) == (128, 128, 255)
    assert np.array_equal(rgb[10:], np.repeat(hatch((20, 20))[10:, :, None], 3, axis=2))


def test_linear_light_is_coded_as_srgb_says() -> None:
    coded = linear_to_srgb(np.array([0.0, 0.0031308, 0.214041, 1.0, 7.0, -1.0, np.nan], dtype=np.float32))
    assert coded.tolist() == [0, 10, 127, 255, 255, 0, 0] or coded.tolist() == [0, 10, 128, 255, 255, 0, 0]
