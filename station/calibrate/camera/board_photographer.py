"""Photographs the board from one pose after the other, and finds its points in each picture.

All points are kept in pixels of the full sensor, whatever the binning of the pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calibration.boards.board import BoardNotFound, find_board
from calibration.camera.adjust import BoardView
from calibration.camera.report import ImageFinding
from calibration.hand_eye.result import Visit
from calibration.record import Picture
from drivers.geometry.pose import Pose
from station.calibrate.bench.board_bench import BoardBench, BoardPlace
from station.calibrate.bench.target_bench import Progress, evidence
from station.calibrate.errors import CalibrationRefused

START_US, LONGEST_US, SHARE = 8000.0, 200_000.0, 0.7  # share of full scale for the white of the board
ATTEMPTS = 8


@dataclass(frozen=True)
class Shot:
    """One picture of the board: its points in pixels of the full sensor, and the pose that the arm reported."""

    view: BoardView
    pose: Pose
    placement: int

    def visit(self) -> Visit:
        """The shot as hand-eye calibration takes it."""
        return Visit(self.view, self.pose.as_tuple(), self.placement)


class BoardPhotographer:
    """Moves the camera, photographs and finds the board, and keeps all that comes of it.

    `shots` are the pictures in which the board was found, `missed` the others with the reason, `pictures` the evidence
    of both, `places` where the board lay. Placements are numbered from `first_placement`.
    """

    def __init__(self, bench: BoardBench, binning: int, progress: Progress, first_placement: int = 0) -> None:
        self._bench, self.binning, self._progress = bench, binning, progress
        self._first = first_placement
        self.exposure_us = 0.0  # 0 until the first picture, which searches it
        self.size_px = (0, 0)  # of the full sensor
        self.shots: list[Shot] = []
        self.missed: list[ImageFinding] = []
        self.places: list[BoardPlace] = []
        self.pictures: list[Picture] = []

    def place(self, place: BoardPlace) -> None:
        """Has the board put there."""
        self._progress(place.words())
        self._bench.place_board(place)
        self.places.append(place)

    def take(self, pose: Pose) -> Shot | None:
        """One picture from there; None where the board was not found, with the reason in `missed`.

        Raises CalibrationRefused where no exposure shows the board.
        """
        reached = self._bench.move_to(pose)
        if not self.exposure_us:
            self.exposure_us = _exposure_us(self._bench, self.binning)
        frame = self._bench.photograph(self.exposure_us, self.binning)
        placement = self._first + len(self.places) - 1
        name = f"board {placement + 1}, picture {len(self.pictures) + 1:03d}"
        self.pictures.append(evidence(name, frame))
        height, width = frame.pixels.shape[:2]
        self.size_px = (width * self.binning, height * self.binning)
        try:
            seen = find_board(frame.pixels, self._bench.board)
        except BoardNotFound as error:
            self.missed.append(ImageFinding(name, False, str(error)))
            self._progress(f"{name}: {error}")
            return None
        shot = Shot(BoardView(name, seen.board_mm, (seen.pixels + 0.5) * self.binning - 0.5), reached, placement)
        self.shots.append(shot)
        self._progress(f"{name}: {len(seen.pixels)} points")
        return shot


def _exposure_us(bench: BoardBench, binning: int) -> float:
    """The exposure at which the board's white is at SHARE of full scale. Raises CalibrationRefused."""
    exposure = START_US
    for _ in range(ATTEMPTS):
        frame = bench.photograph(exposure, binning)
        span = frame.full_scale_dn - frame.black_level_dn
        level = (float(np.quantile(frame.pixels, 0.99)) - frame.black_level_dn) / span
        if 0.75 * SHARE < level < 1.2 * SHARE:
            return exposure
        exposure = min(max(exposure * (0.2 if level > 0.97 else SHARE / max(level, 0.02)), 10.0), LONGEST_US)
    raise CalibrationRefused(
        f"camera: no exposure brings the board's white to {SHARE:.0%} of full scale (last {exposure:.0f} us, "
        f"level {level:.0%}); is the diffuse light on and the board in the fixture?"
    )
