"""Calibration boards: chessboard, ChArUco and circle grid, and where their points are in a picture.

Full boards are sought in a smaller copy of the picture, and their points refined in the whole one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.boards.circles import circle_centres, slope_px
from calibration.boards.corners import fit_corners
from calibration.boards.roughness import roughness_px
from calibration.camera_model import F64

Pattern = Literal["chessboard", "charuco", "circles"]
Picture = NDArray[np.uint8] | NDArray[np.uint16]
DICTIONARIES = {"4x4_50": 50, "4x4_100": 100, "4x4_250": 250, "4x4_1000": 1000}
_DICTIONARY_IDS = {
    "4x4_50": cv2.aruco.DICT_4X4_50, "4x4_100": cv2.aruco.DICT_4X4_100,
    "4x4_250": cv2.aruco.DICT_4X4_250, "4x4_1000": cv2.aruco.DICT_4X4_1000,
}  # fmt: skip
FEWEST_POINTS = 8
_DETECTION_WIDTH_PX = 1800  # full boards are sought in a smaller copy and refined in the whole picture
_CIRCLES_WIDTH_PX, _BLOBS_PER_CIRCLE = 900, 2
_SUBPIX_STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_MAX_ITER, 60, 1e-4)


class BoardNotFound(ValueError):
    """No usable board in a picture; the text says what was seen instead."""


@dataclass(frozen=True)
class Board:
    """A flat pattern. cols x rows: inner corners of a chessboard, squares of a ChArUco board, circles of a grid.

    `square_mm` is the pitch of the squares or circles. Points lie in the plane z = 0, x along a row, y along a column.
    Raises ValueError for sizes that make no board, and for a dictionary with too few markers.
    """

    pattern: Pattern
    cols: int
    rows: int
    square_mm: float
    marker_mm: float | None = None  # ChArUco: edge of a marker; 3/4 of the square if not given
    dictionary: str = "4x4_250"

    def __post_init__(self) -> None:
        least = 3 if self.pattern == "charuco" else 2
        if not (least <= self.cols <= 200 and least <= self.rows <= 200) or self.cols * self.rows < FEWEST_POINTS:
            raise ValueError(
                f"a {self.pattern} of {self.cols} x {self.rows} is too small or too large to calibrate with"
            )
        if not 0 < self.square_mm < 1e5:
            raise ValueError(f"square_mm must be above 0, found {self.square_mm}")
        if self.pattern == "charuco":
            self._check_markers()

    def _check_markers(self) -> None:
        """Raises ValueError for an unknown dictionary, one with too few markers, or markers as large as the squares."""
        if self.dictionary not in DICTIONARIES:
            raise ValueError(f"dictionary {self.dictionary!r} is unknown; there are {', '.join(DICTIONARIES)}")
        if not 0 < self.marker_edge_mm < self.square_mm:
            raise ValueError(f"marker_mm must lie between 0 and the square's {self.square_mm}, found {self.marker_mm}")
        need = self.cols * self.rows // 2
        if need > DICTIONARIES[self.dictionary]:
            raise ValueError(f"the board has {need} markers, but dictionary {self.dictionary} has fewer")

    @property
    def marker_edge_mm(self) -> float:
        """The edge of a ChArUco marker; 3/4 of the square where none was given."""
        return self.marker_mm if self.marker_mm is not None else 0.75 * self.square_mm

    @property
    def point_count(self) -> int:
        """The number of points of a whole board: inner corners or circles."""
        return (self.cols - 1) * (self.rows - 1) if self.pattern == "charuco" else self.cols * self.rows

    def points_mm(self) -> F64:
        """(N, 3) mm with z = 0, row by row; a point's index is its id in a `Sighting`."""
        cols, rows, first = (self.cols, self.rows, 0)
        if self.pattern == "charuco":
            cols, rows, first = self.cols - 1, self.rows - 1, 1
        x, y = np.meshgrid(np.arange(first, first + cols), np.arange(first, first + rows))
        flat = np.column_stack([x.ravel(), y.ravel(), np.zeros(x.size)])
        return np.asarray(flat * self.square_mm, np.float64)

    def charuco(self) -> cv2.aruco.CharucoBoard:
        """OpenCV's object for a ChArUco board."""
        words = cv2.aruco.getPredefinedDictionary(_DICTIONARY_IDS[self.dictionary])
        return cv2.aruco.CharucoBoard((self.cols, self.rows), self.square_mm, self.marker_edge_mm, words)


@dataclass(frozen=True)
class Sighting:
    """The board's points in one picture; a ChArUco board need not be seen whole."""

    ids: NDArray[np.intp]  # (N,), index into Board.points_mm()
    board_mm: F64  # (N, 3)
    pixels: F64  # (N, 2)


def find_board(picture: Picture, board: Board) -> Sighting:
    """The board's points in a picture (H, W) or (H, W, 3). Raises BoardNotFound with what was seen instead."""
    grey = _grey8(picture)
    if board.pattern == "charuco":
        ids, pixels = _charuco(grey, board)
    else:
        pixels = _chessboard(grey, board) if board.pattern == "chessboard" else _circles(grey, board)
        ids = np.arange(board.point_count)
    height, width = grey.shape
    if not ((pixels >= 0).all() and (pixels <= [width - 1, height - 1]).all()):
        raise BoardNotFound("points lie outside the picture")
    return Sighting(ids, board.points_mm()[ids], pixels)


def _grey8(picture: Picture) -> NDArray[np.uint8]:
    """Eight bits for the detectors; deeper pictures are scaled so that their white fills the range."""
    grey = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    if grey.dtype == np.uint8:
        return np.ascontiguousarray(grey, np.uint8)
    top = max(float(np.percentile(grey, 99.9)), 1.0)
    return np.asarray(np.clip(np.asarray(grey, np.float32) * (250.0 / top), 0, 255), np.uint8)


def _shrunk(grey: NDArray[np.uint8], width_px: int) -> tuple[NDArray[np.uint8], int]:
    """A copy of about that size, made smaller by a whole factor, and the factor."""
    factor = max(1, round(max(grey.shape) / width_px))
    if factor == 1:
        return grey, 1
    height, width = (side // factor for side in grey.shape)
    small = cv2.resize(grey[: height * factor, : width * factor], (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), factor


def _chessboard(grey: NDArray[np.uint8], board: Board) -> F64:
    """(N, 2) px, row by row. OpenCV's sector detector needs the whole board in the picture."""
    small, factor = _shrunk(grey, _DETECTION_WIDTH_PX)
    flags = cv2.CALIB_CB_ACCURACY | cv2.CALIB_CB_EXHAUSTIVE | cv2.CALIB_CB_NORMALIZE_IMAGE
    found, corners = cv2.findChessboardCornersSB(small, (board.cols, board.rows), flags=flags)
    if not found:
        raise BoardNotFound(f"no whole chessboard of {board.cols} x {board.rows} inner corners found")
    first = (np.asarray(corners, np.float64).reshape(-1, 2) + 0.5) * factor - 0.5
    # The detector's own fraction of a pixel is better on small or blurred squares, the saddle search on large ones.
    return min((first, _refined(grey, first, board.cols)), key=lambda at: roughness_px(board.points_mm(), at))


def _refined(grey: NDArray[np.uint8], pixels: F64, cols: int) -> F64:
    """Corners to a fraction of a pixel, in a window of 0.3 of the smallest distance between neighbours."""
    grid = pixels.reshape(-1, cols, 2)
    steps = [np.linalg.norm(np.diff(grid, axis=axis), axis=2) for axis in (0, 1)]
    half = int(np.clip(0.3 * min(step.min() for step in steps), 3, 40))
    start = np.ascontiguousarray(pixels.reshape(-1, 1, 2), np.float32)
    sharp = cv2.cornerSubPix(grey, start, (half, half), (-1, -1), _SUBPIX_STOP)
    return np.asarray(sharp.reshape(-1, 2), np.float64)


def _circles(grey: NDArray[np.uint8], board: Board) -> F64:
    """(N, 2) px, row by row: bright circles on dark ground or dark ones on bright ground, whichever is found first."""
    size = (board.cols, board.rows)
    small, factor = _shrunk(grey, _CIRCLES_WIDTH_PX)
    blobs = _blob_detector(small.size)
    seen = 0
    for shades, ink in ((small, -1.0), (np.asarray(255 - small, np.uint8), 1.0)):
        seen = len(blobs.detect(shades))
        if not board.point_count <= seen <= _BLOBS_PER_CIRCLE * board.point_count:  # the search is cubic in blobs
            continue
        for flags in (cv2.CALIB_CB_SYMMETRIC_GRID, cv2.CALIB_CB_SYMMETRIC_GRID | cv2.CALIB_CB_CLUSTERING):
            found, centres = cv2.findCirclesGrid(shades, size, flags=flags, blobDetector=blobs)
            if found:
                first = (np.asarray(centres, np.float64).reshape(-1, 2) + 0.5) * factor - 0.5
                return circle_centres(np.asarray(grey, np.float64) * ink, first, board.points_mm()[:, :2])
    raise BoardNotFound(f"no whole grid of {board.cols} x {board.rows} circles found ({seen} blobs)")


def _blob_detector(area_px: int) -> cv2.SimpleBlobDetector:
    """OpenCV's blob detector, open to the small and oblique circles of a tilted board."""
    wanted = cv2.SimpleBlobDetector.Params()
    wanted.minArea, wanted.maxArea = 12.0, area_px / 20
    wanted.filterByInertia, wanted.filterByConvexity = True, True
    wanted.minInertiaRatio, wanted.minConvexity = 0.1, 0.8
    wanted.minDistBetweenBlobs = 4.0
    return cv2.SimpleBlobDetector.create(wanted)


def _charuco(grey: NDArray[np.uint8], board: Board) -> tuple[NDArray[np.intp], F64]:
    """Ids (N,) and corners (N, 2) px of the part of the board that is seen."""
    small, factor = _shrunk(grey, _DETECTION_WIDTH_PX)
    detector = cv2.aruco.CharucoDetector(board.charuco())
    corners, ids, _, marker_ids = detector.detectBoard(small)
    count = 0 if ids is None else len(ids)
    if corners is None or ids is None or count < FEWEST_POINTS:
        seen = 0 if marker_ids is None else len(marker_ids)
        raise BoardNotFound(f"{count} ChArUco corners and {seen} markers found, {FEWEST_POINTS} corners needed")
    pixels = (np.asarray(corners, np.float64).reshape(-1, 2) + 0.5) * factor - 0.5
    numbers = np.asarray(ids, np.intp).ravel()
    _check_spread(numbers, board)
    sharp = _refined_scattered(grey, pixels, numbers, board)
    fitted = np.isfinite(sharp).all(axis=1)
    if fitted.sum() < FEWEST_POINTS:
        raise BoardNotFound(f"{count} ChArUco corners found, but only {fitted.sum()} of them show two crossing edges")
    _check_spread(numbers[fitted], board)
    return numbers[fitted], sharp[fitted]


def _check_spread(ids: NDArray[np.intp], board: Board) -> None:
    """Raises BoardNotFound for corners of one row or one column, which fix no plane."""
    across = board.cols - 1
    if len(set((ids % across).tolist())) < 2 or len(set((ids // across).tolist())) < 2:
        raise BoardNotFound("the corners found lie in one line")


def _refined_scattered(grey: NDArray[np.uint8], pixels: F64, ids: NDArray[np.intp], board: Board) -> F64:
    """(N, 2) px corners fitted in the whole picture; nan where two crossing edges do not show."""
    flat = board.points_mm()[ids, :2]
    matrix, _ = cv2.findHomography(flat, pixels)
    if matrix is None:
        raise BoardNotFound("the corners found are not those of a plane")
    homography = np.asarray(matrix, np.float64)
    slopes = np.array([slope_px(homography, place) for place in flat])
    clear = 0.8 * (board.square_mm - board.marker_edge_mm) / 2
    sharp, _ = fit_corners(grey, pixels, slopes, 0.45 * board.square_mm, clear)
    return sharp


def _mapped(homography: F64, points: F64) -> F64:
    flat = np.column_stack([points, np.ones(len(points))]) @ homography.T
    return np.asarray(flat[:, :2] / flat[:, 2:], np.float64)
