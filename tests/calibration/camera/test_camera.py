"""The camera from views with a known truth: the figures, their honesty, and every planted fault by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from calibration.boards.board import Board, BoardNotFound, find_board
from calibration.camera.adjust import BoardView
from calibration.camera.fit import calibrate_camera, calibrate_views
from calibration.camera.plots import distortion_plot, residual_plot, view_plot
from calibration.camera.report import NAMES
from calibration.camera_model import CameraModel

if TYPE_CHECKING:
    from conftest import BoardStudio

BOARD = Board("charuco", 11, 8, 5.0)
FINE = 0.15 / 4  # px; the studio has a quarter of the long camera's pixels


def _size(studio: BoardStudio) -> tuple[int, int]:
    return studio.truth.width_px, studio.truth.height_px


def _truth(camera: CameraModel) -> tuple[float, ...]:
    return camera.fx_px, camera.fy_px, camera.cx_px, camera.cy_px


def test_the_long_lens_is_found_within_its_stated_interval(studio: BoardStudio) -> None:
    inside = np.zeros(4)
    for seed in range(8):
        views = studio.views(BOARD, studio.poses(BOARD, 12, seed), seed, FINE)
        report = calibrate_views(views, BOARD, _size(studio))
        assert report.estimates is not None
        assert report.estimates["fx"].value == pytest.approx(studio.truth.fx_px, rel=1e-3)
        found = [report.estimates[name] for name in NAMES]
        inside += [abs(e.value - t) <= e.interval95 for e, t in zip(found, _truth(studio.truth), strict=True)]
        assert all(image.used for image in report.images)
    assert (inside >= 7).all(), inside


def test_a_bowed_board_is_named_with_its_bow_and_taken_out(studio: BoardStudio) -> None:
    views = studio.views(BOARD, studio.poses(BOARD, 12, 5), 5, FINE, bow_um=20)
    report = calibrate_views(views, BOARD, _size(studio))
    assert any("bowed" in warning for warning in report.warnings)
    assert report.bow_um == pytest.approx(20, abs=3)
    assert report.camera is not None
    assert report.camera.fx_px == pytest.approx(studio.truth.fx_px, rel=1e-3)


def test_a_flat_board_is_not_called_bowed(studio: BoardStudio) -> None:
    report = calibrate_views(studio.views(BOARD, studio.poses(BOARD, 12, 6), 6, FINE), BOARD, _size(studio))
    assert report.warnings == ()
    assert report.bow_um is not None
    assert report.bow_um < 3


def test_a_misdetected_picture_is_named_by_its_own_points(studio: BoardStudio) -> None:
    views = studio.views(BOARD, studio.poses(BOARD, 12, 1), 1, FINE)
    rng = np.random.default_rng(1)
    spoilt = rng.choice(len(views[4].pixels), 5, replace=False)
    views[4].pixels[spoilt] += rng.choice([-1.0, 1.0], (5, 2)) * 0.8
    report = calibrate_views(views, BOARD, _size(studio))
    assert [image.file for image in report.images if not image.used] == ["view04.png"]
    assert "5 of" in report.images[4].reason
    assert report.images[4].rms_px is not None


def test_a_smoothly_wrong_picture_is_named_by_the_others(studio: BoardStudio) -> None:
    views = studio.views(BOARD, studio.poses(BOARD, 12, 2), 2, FINE)
    views[7].pixels[:, 0] *= 1.01
    report = calibrate_views(views, BOARD, _size(studio))
    assert [image.file for image in report.images if not image.used] == ["view07.png"]
    assert "does not fit the other pictures" in report.images[7].reason


@pytest.mark.parametrize(
    ("count", "tilts", "azimuths", "said"),
    [(4, (10, 50), (0, 360), "at least 5"), (8, (42, 48), (40, 50), "too similar")],
)
def test_too_few_or_too_similar_views_are_refused(
    count: int, tilts: tuple[float, float], azimuths: tuple[float, float], said: str, studio: BoardStudio
) -> None:
    views = studio.views(BOARD, studio.poses(BOARD, count, 3, tilts, azimuths), 3, FINE)
    report = calibrate_views(views, BOARD, _size(studio))
    assert report.camera is None
    assert said in str(report.refusal)
    assert not any(image.used for image in report.images)


def test_the_same_view_again_and_again_is_refused(studio: BoardStudio) -> None:
    poses = np.repeat(studio.poses(BOARD, 1, 4), 8, axis=0)
    report = calibrate_views(studio.views(BOARD, poses, 4, FINE), BOARD, _size(studio))
    assert "only 1 of 8 views differ" in str(report.refusal)


def test_frontal_views_get_an_uncertainty_that_says_so(studio: BoardStudio) -> None:
    views = studio.views(BOARD, studio.poses(BOARD, 10, 4, (0, 4)), 4, FINE)
    report = calibrate_views(views, BOARD, _size(studio))
    assert report.estimates is not None
    assert report.estimates["fx"].interval95 > 10
    assert any("largest tilt" in warning for warning in report.warnings)


def test_a_pitch_that_differs_between_rows_and_columns_is_seen(studio: BoardStudio) -> None:
    views = studio.views(BOARD, studio.poses(BOARD, 12, 8), 8, FINE)
    stretched = [BoardView(view.name, view.board_mm * [1.01, 1, 1], view.pixels) for view in views]
    report = calibrate_views(stretched, BOARD, _size(studio))
    assert any("not square" in warning or "fx/fy" in warning for warning in report.warnings)


@pytest.mark.parametrize(
    ("board", "within_px"),
    [
        (Board("charuco", 11, 8, 5.0), 0.08),
        (Board("chessboard", 9, 6, 3.75), 0.08),
        (Board("circles", 9, 7, 3.75), 0.03),
    ],
    ids=["charuco", "chessboard", "circles"],
)
def test_points_in_pictures_are_where_the_lens_puts_them(board: Board, within_px: float, studio: BoardStudio) -> None:
    pose = studio.poses(board, 1, 21, (35, 45))[0]
    seen = find_board(studio.picture(board, pose), board)
    exact = studio.views(board, pose[None], 0, 0.0)[0]
    places = {tuple(np.round(p, 6)): q for p, q in zip(exact.board_mm, exact.pixels, strict=True)}
    # a symmetric board may be counted from its other end
    ends = (seen.board_mm,) if board.pattern == "charuco" else (seen.board_mm, seen.board_mm[::-1])
    expected = [np.array([places[tuple(np.round(p, 6))] for p in end]) for end in ends]
    assert min(float(np.abs(seen.pixels - at).max()) for at in expected) < within_px
    assert len(seen.pixels) > 0.6 * board.point_count


def test_pictures_to_a_camera_with_a_wrong_size_and_an_empty_picture_named(studio: BoardStudio) -> None:
    poses = studio.poses(BOARD, 6, 11)
    pictures = [(f"p{i}.png", studio.picture(BOARD, pose, i)) for i, pose in enumerate(poses)]
    pictures.insert(1, ("small.png", pictures[0][1][::2, ::2].copy()))
    pictures.insert(3, ("empty.png", np.full_like(pictures[0][1], 90)))
    told: list[str] = []
    report = calibrate_camera(pictures, BOARD, progress=told.append)
    reasons = {image.file: image.reason for image in report.images if not image.used}
    assert set(reasons) == {"small.png", "empty.png"}
    assert "684 x 456 px" in reasons["small.png"]
    assert "0 ChArUco corners" in reasons["empty.png"]
    assert [image.file for image in report.images] == [name for name, _ in pictures]
    assert report.camera is not None
    assert report.camera.fx_px == pytest.approx(studio.truth.fx_px, rel=2e-3)
    assert report.rms_px is not None
    assert report.rms_px < 0.1
    assert any("small.png" in text for text in told)
    for plot in (residual_plot(report), distortion_plot(report.camera), view_plot(report)):
        assert plot.dtype == np.uint8
        assert np.ptp(plot) > 100


def test_a_picture_without_a_board_is_refused() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (480, 640)).astype(np.uint8)
    for pattern in ("chessboard", "charuco", "circles"):
        with pytest.raises(BoardNotFound):
            find_board(noise, Board(pattern, 9, 6, 25.0))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [{"cols": 1}, {"square_mm": 0.0}, {"square_mm": float("nan")}, {"marker_mm": 9.0}, {"dictionary": "none"},
     {"cols": 40, "rows": 40}],
)  # fmt: skip
def test_a_board_that_is_none_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"small|square_mm|marker|dictionary"):
        Board("charuco", **{"cols": 9, "rows": 6, "square_mm": 5.0, **wrong})  # type: ignore[arg-type]
