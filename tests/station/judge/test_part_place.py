"""A synthetic part in a synthetic view: its placement, its way back, its reference file, and the judge's words."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration.hand_eye.poses import arm_pose
from station.inspection.reasons import ReasonKind
from station.judge.part_checks import check_placement, observable_in
from station.judge.part_place import PartPlacement, PartTracker
from station.judge.part_warp import seen_at, surface_at, turned_back
from station.judge.shown_view import GridError, shown_view
from station.recipe.fields import ProofTolerances
from station.recipe.part_reference_file import (
    PartReference,
    PartReferenceError,
    PartReferences,
    ViewCamera,
    part_misfits,
    part_references_bytes,
    read_part_references,
)

GRID = (152, 228)
SEATED = PartPlacement(0.0, 0.0, 0.0, 0.3, 0.99)


def camera(tilt_deg: float = 45.0) -> ViewCamera:
    """As the demo recipes' front view, at a third of its resolution."""
    away = np.radians(tilt_deg)
    pose = (0.0, -250 * float(np.sin(away)), 8 + 250 * float(np.cos(away)), tilt_deg, -90.0)
    return ViewCamera(24429 / 24, ((GRID[1] - 1) / 2, (GRID[0] - 1) / 2), arm_pose(pose))


def shown(x_mm: float, y_mm: float, turn_deg: float, defect: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """A flat part at z = 6, 30 x 18 mm with blotches and a ridge, laid there on a dark fixture; drawn fourfold."""
    own = camera()
    v, u = np.mgrid[: 4 * GRID[0], : 4 * GRID[1]].astype(np.float32)
    where = surface_at(own, (u - 1.5) / 4, (v - 1.5) / 4, np.full(u.shape, 6, np.float32))
    sine, cosine = np.sin(np.radians(turn_deg)), np.cos(np.radians(turn_deg))
    dx, dy = where.x_mm - x_mm, where.y_mm - y_mm
    x, y = cosine * dx + sine * dy, -sine * dx + cosine * dy
    inside = (np.abs(x) < 15) & (np.abs(y) < 9)
    level = 0.3 + 0.1 * (np.sin(1.1 * x + 0.4 * y) > 0.6) + 0.08 * (np.cos(0.5 * x - 0.9 * y) > 0.5)
    if defect:
        level = np.where(np.hypot(x - 5, y - 2) < 2, 0.05, level)
    grey = np.where(inside, level, 0.03)
    slope = np.where(inside & (np.abs(y + 3) < 1), np.radians(25.0), 0.0)
    flat = np.stack([np.sin(slope), np.zeros_like(slope), np.cos(slope)])  # of the part, station's axes
    normals = np.einsum("ij,jhw->ihw", turned_back(own, 0.0) @ turned_to_view(own, turn_deg), flat)

    def shrunk(plane: np.ndarray) -> np.ndarray:
        return cv2.resize(plane.astype(np.float32), GRID[::-1], interpolation=cv2.INTER_AREA)

    mean = np.stack([shrunk(n) for n in normals])
    return np.stack([shrunk(grey)] * 3), (mean / np.linalg.norm(mean, axis=0)).astype(np.float32)


def turned_to_view(own: ViewCamera, turn_deg: float) -> np.ndarray:
    """From the part's axes to the normals' axes of the view, for a part turned by `turn_deg`."""
    angle = np.radians(turn_deg)
    about = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    return np.diag([1.0, -1.0, -1.0]) @ own.to_station[:3, :3].T @ about


def reference() -> PartReference:
    rgb, normals = shown(0, 0, 0)
    size = (GRID[1] // 2, GRID[0] // 2)
    colors, directions = (
        np.stack([cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p in a]) for a in (rgb, normals)
    )
    region = rgb[0] > 0.1
    near = cv2.dilate(
        cv2.resize(region.astype(np.uint8), size, interpolation=cv2.INTER_AREA), np.ones((5, 5), np.uint8)
    )
    return PartReference(
        colors, directions, near.astype(np.float32), np.full(size[::-1], 6, np.float32), region, camera()
    )


@pytest.fixture(scope="module")
def tracker() -> PartTracker:
    return PartTracker(reference())


@pytest.mark.parametrize("placed", [(0.0, 0.0, 0.0), (0.4, -0.3, 0.5), (-1.6, 1.1, -2.0), (1.2, 1.5, 1.9)])
@pytest.mark.parametrize("defect", [False, True])
def test_the_placement_is_found_to_a_quarter_of_a_pixel(
    tracker: PartTracker, placed: tuple[float, float, float], defect: bool
) -> None:
    """Issue 17, point 1(b): a defect does not pull it. A pixel is 0.25 mm here."""
    found = tracker.find(*shown(*placed, defect))
    assert np.hypot(found.x_mm - placed[0], found.y_mm - placed[1]) < 0.06
    assert abs(found.turn_deg - placed[2]) < 0.15
    assert found.likeness > 0.95


def test_the_camera_s_shift_is_no_placement(tracker: PartTracker) -> None:
    """Issue 17, point 1(b): fixture and part are told apart."""
    rgb, normals = (np.roll(a, (2, -3), axis=(1, 2)) for a in shown(0.4, -0.3, 0.5))
    found = tracker.find(rgb, normals, (-3.0, 2.0))
    assert np.hypot(found.x_mm - 0.4, found.y_mm + 0.3) < 0.06


def test_what_is_brought_back_looks_as_the_reference_and_normals_turn_with_it(tracker: PartTracker) -> None:
    """Issue 17, point 1(b)."""
    wanted, directions = shown(0, 0, 0)
    seen = shown_view(*shown(-1.6, 1.1, -2.0), GRID, tracker)
    assert seen.region is not None
    inner = cv2.erode(seen.region, np.ones((5, 5), np.uint8)) > 0
    assert np.median(np.abs(seen.rgb - wanted)[:, inner]) < 0.002
    angle = np.degrees(np.arccos(np.clip((seen.normals * directions).sum(axis=0), -1, 1)))
    assert np.median(angle[inner]) < 0.1
    plain = shown_view(*shown(-1.6, 1.1, -2.0), GRID)
    assert np.median(np.degrees(np.arccos(np.clip((plain.normals * directions).sum(axis=0), -1, 1)))[inner]) < 3


def test_what_lies_beyond_the_picture_is_shown_to_the_detector_as_if_it_went_on(tracker: PartTracker) -> None:
    """Issue 17: a row of another colour at the border had failed six good parts of an hour."""
    inside = shown_view(*shown(0, 0, 0), GRID, tracker)
    assert inside.beyond is not None
    assert not inside.beyond.any()
    assert inside.for_detector()[0] is inside.rgb
    assert inside.region is not None
    beyond = (inside.region > 0) & (np.arange(GRID[0])[:, None] > 80)
    cut = replace(inside, rgb=inside.rgb * ~beyond, region=inside.region * ~beyond, beyond=beyond)
    repeated, _, region = cut.for_detector()
    assert region is not None
    assert repeated[:, beyond].all()
    assert np.array_equal(region > 0.5, (inside.region > 0) & ~beyond)


def test_unobservable_normals_do_not_bleed(tracker: PartTracker) -> None:
    """Issue 17, point 1(b): each normal is 0 0 0 or of unit length."""
    rgb, normals = shown(0.4, -0.3, 0.5)
    normals[:, 60:70, 100:120] = 0
    _, back = tracker.bring_back(rgb, normals, tracker.find(rgb, normals))
    length = np.linalg.norm(back, axis=0)
    assert ((length == 0) | (np.abs(length - 1) < 1e-4)).all()
    assert 120 < np.count_nonzero(length == 0) < 280


def test_pixels_go_where_the_surface_goes() -> None:
    """A point on the axis of the turn stays; one at rest maps to itself."""
    own = camera()
    u, v = np.float32([40.0, 120.0]), np.float32([30.0, 90.0])
    at = surface_at(own, u, v, np.float32([2.0, 9.0]))
    assert np.allclose(at.z_mm, [2, 9], atol=1e-3)
    assert np.allclose(seen_at(own, at, 0, 0, 0), [u, v], atol=1e-2)


def test_a_part_that_lies_elsewhere_or_is_none_gets_words() -> None:
    """Issue 17, point 1(b)."""
    tolerances = ProofTolerances()
    assert check_placement(SEATED, tolerances) == ()
    (moved,) = check_placement(replace(SEATED, x_mm=2.31), tolerances)
    assert moved.kind is ReasonKind.PART_MOVED
    assert "2.31 to the right" in moved.text
    (turned,) = check_placement(replace(SEATED, turn_deg=-2.5), tolerances)
    assert "2.50 degrees clockwise" in turned.text
    (none,) = check_placement(replace(SEATED, likeness=0.3), tolerances)
    assert none.kind is ReasonKind.PART_NOT_FOUND


def test_coverage_counts_in_the_region() -> None:
    """Issue 17, point 2."""
    normals = np.zeros((3, 4, 4), np.float32)
    normals[2, :2] = 1
    region = np.zeros((4, 4), bool)
    region[:2] = True
    assert observable_in(normals, region) == 1
    assert observable_in(normals, ~region) == 0


def test_an_empty_fixture_is_not_recognised(tracker: PartTracker) -> None:
    """Issue 17, point 1(b)."""
    rgb, normals = np.full((3, *GRID), 0.03, np.float32), shown(0, 0, 0)[1]
    normals[:] = normals[:, :1, :1]
    assert check_placement(tracker.find(rgb, normals), ProofTolerances())[0].kind is ReasonKind.PART_NOT_FOUND


def test_a_capture_of_another_size_is_refused(tracker: PartTracker) -> None:
    with pytest.raises(GridError, match="no whole multiple"):
        shown_view(*shown(0, 0, 0), (100, 100), tracker)


def test_the_file_reads_back_and_a_changed_one_is_refused(tmp_path: Path) -> None:
    """Issue 17, point 2."""
    references = PartReferences({"front": reference()}, GRID, 12, "c" * 64)
    data = part_references_bytes(references)
    assert data == part_references_bytes(references)
    path = tmp_path / "part.npz"
    path.write_bytes(data)
    sha256 = hashlib.sha256(data).hexdigest()
    found = read_part_references(path, sha256)
    assert found.grid == GRID
    assert np.array_equal(found.views["front"].region, references.views["front"].region)
    assert np.abs(found.views["front"].colors - references.views["front"].colors).max() < 1e-4
    assert list(part_misfits(found, ["front"], "c" * 64, is_aimed=False)) == []
    assert list(part_misfits(found, ["front"], "d" * 64, is_aimed=True)) == []
    assert len(list(part_misfits(found, ["front", "top"], "d" * 64, is_aimed=False))) == 2
    path.write_bytes(data[:-1] + b"x")
    with pytest.raises(PartReferenceError, match="SHA-256"):
        read_part_references(path, sha256)
    path.write_bytes(b"PK nothing")
    with pytest.raises(PartReferenceError, match="holds no part references"):
        read_part_references(path, hashlib.sha256(b"PK nothing").hexdigest())
