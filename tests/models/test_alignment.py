"""Aligned parts are told from scattered ones by their good pictures alone."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from models.alignment import alignment_of


def _part(seed: int, offset: float, turn_deg: float) -> np.ndarray:
    """(3, 120, 150) a plate with holes on a plain ground, moved by up to `offset` px and turned, with noise."""
    rng = np.random.default_rng(seed)
    flat = np.full((120, 150), 0.1, np.float32)
    cv2.rectangle(flat, (45, 40), (105, 80), 0.7, -1)
    for x in (55, 75, 95):
        cv2.circle(flat, (x, 60), 6, 0.05, -1)
    cv2.line(flat, (48, 44), (80, 46), 0.3, 2)
    matrix = cv2.getRotationMatrix2D((75, 60), rng.uniform(-turn_deg, turn_deg), 1.0)
    matrix[:, 2] += rng.uniform(-offset, offset, 2)
    moved = cv2.warpAffine(flat, matrix, (150, 120), borderValue=0.1)
    return np.clip(moved + rng.normal(0, 0.01, (3, 120, 150)), 0, 1).astype(np.float32)


def test_aligned_parts_are_judged_by_place() -> None:
    found = alignment_of([_part(n, offset=1.0, turn_deg=0.5) for n in range(12)])
    assert found.decision == "placed"
    assert found.place_share > 0.8
    assert found.sentence.startswith("The parts are aligned: a place explains")


@pytest.mark.parametrize(("offset", "turn_deg"), [(30.0, 0.0), (0.0, 180.0), (20.0, 180.0)])
def test_scattered_parts_are_not(offset: float, turn_deg: float) -> None:
    found = alignment_of([_part(n, offset, turn_deg) for n in range(12)])
    assert found.decision == "free"
    assert "free of place" in found.sentence


def test_a_texture_has_no_places() -> None:
    pictures = [np.random.default_rng(n).random((3, 90, 90)).astype(np.float32) for n in range(8)]
    assert alignment_of(pictures).decision == "free"


def test_brightness_of_the_whole_picture_is_no_misalignment() -> None:
    pictures = [_part(n, 0.5, 0.2) * (0.6 + 0.05 * n) for n in range(8)]
    assert alignment_of(pictures).decision == "placed"


def test_three_pictures_are_too_few() -> None:
    with pytest.raises(ValueError, match="give 4"):
        alignment_of([_part(n, 0, 0) for n in range(3)])
