"""The camera from pictures of a board taken all round it, with what the arm reported at each of them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from calibration.boards.board import BoardNotFound, find_board
from calibration.camera.adjust import BoardView, Solution
from calibration.camera.fit import calibrate_views
from calibration.camera.report import CameraReport, ImageFinding
from calibration.camera_model import CameraModel
from calibration.hand_eye.result import Visit
from calibration.record import Picture
from drivers.protocols import Frame, Pose
from station.calibrate.bench.target_bench import Progress
from station.calibrate.bench.board_bench import BoardBench, BoardPlace
from station.calibrate.lights.measured_lights import CalibrationRefused
from station.photometric_stereo.radiometry import full_scale_dn

BINNING = 4
START_US, LONGEST_US, SHARE = 8000.0, 200_000.0, 0.7  # of full scale, for the white of the board
ATTEMPTS = 8

# tilt, pan, distance, and how far beside the board's middle it looks
Look = tuple[float, float, float, float, float]
WEDGE_EAST = BoardPlace(0.0, 0.0, 25.0, 25.0, 0.0, 20.0)
WEDGE_NORTHWEST = BoardPlace(0.0, 0.0, 25.0, 25.0, 130.0, -35.0)
FLAT = BoardPlace(0.0, 0.0, 8.0, 0.0, 0.0, 12.0)
# The wide steps to the side are what tells a wrong pitch of the board: only the arm's own travel knows of lengths.
LOOKS: tuple[tuple[BoardPlace, tuple[Look, ...]], ...] = (
    (WEDGE_EAST, (
        (0, -90, 250, 36, 24), (0, 10, 262, -36, 24), (4, 95, 240, -30, -24), (8, 170, 250, 32, -26),
        (22, 90, 256, 0, 0), (22, -80, 244, -16, 0), (30, 40, 250, 10, 10), (18, -150, 252, 0, 16),
    )),
    (WEDGE_NORTHWEST, (
        (0, -60, 255, 30, 28), (2, 40, 243, -36, -20), (5, 150, 258, 34, -24), (12, -140, 248, -30, 26),
        (25, 30, 250, 16, 0), (25, -170, 241, 0, 0), (32, 100, 256, -10, 10), (15, -45, 246, -16, 0),
    )),
    (FLAT, (
        (0, -90, 250, 42, 28), (0, 25, 240, -38, 24), (0, 140, 262, -30, -34), (0, -90, 250, 40, -30),
        (18, -70, 245, 14, 14), (30, 160, 258, -14, 0), (38, 60, 250, 0, -16), (45, -15, 243, 0, 0),
        (45, -125, 257, 12, 12), (44, 110, 250, -12, -12),
    )),
)  # fmt: skip


@dataclass(frozen=True)
class Shot:
    """A picture of the board: its points in pixels of the full sensor, and where the arm said it stood."""

    view: BoardView
    pose: Pose  # as the arm reported
    placement: int

    def visit(self) -> Visit:
        return Visit(self.view, self.pose.as_tuple(), self.placement)


@dataclass(frozen=True)
class MeasuredCamera:
    """The camera in pixels of the full sensor. `report` has spreads, refused pictures and warnings."""

    report: CameraReport
    camera: CameraModel
    solution: Solution
    shots: tuple[Shot, ...]  # those whose pictures were used
    places: tuple[BoardPlace, ...]
    pictures: tuple[Picture, ...]
    binning: int
    exposure_us: float
    flags: tuple[str, ...]


def measure_camera(
    bench: BoardBench, progress: Progress, binning: int = BINNING,
    looks: Sequence[tuple[BoardPlace, Sequence[Look]]] = LOOKS,
) -> MeasuredCamera:  # fmt: skip
    """Photograph the board from all `looks`. Raises CalibrationRefused, OutOfTravel (before anything moves)."""
    for place, own in looks:
        for look in own:
            bench.check_reachable(pose_of_look(place, look))
    taker = BoardTaker(bench, binning, progress)
    for place, own in looks:
        taker.place(place)
        for look in own:
            taker.take(pose_of_look(place, look))
    return camera_result(bench, taker, progress)


def camera_result(bench: BoardBench, taker: BoardTaker, progress: Progress) -> MeasuredCamera:
    """From the pictures that `taker` has. Raises CalibrationRefused."""
    if not taker.shots:
        raise CalibrationRefused(f"camera: no board in any of {len(taker.pictures)} pictures: {taker.missed[0].reason}")
    progress(f"camera: fitting {len(taker.shots)} pictures")
    report = calibrate_views(
        [shot.view for shot in taker.shots], bench.board, taker.size_px, grain_px=float(taker.binning)
    )
    report = _with_missed(report, taker.missed)
    if report.camera is None or report.solution is None:
        raise CalibrationRefused(f"camera: {report.refusal}")
    used = {image.file for image in report.images if image.used}
    shots = tuple(shot for shot in taker.shots if shot.view.name in used)
    refused = [f"picture {i.file}: {i.reason}" for i in report.images if not i.used]
    return MeasuredCamera(
        report, report.camera, report.solution, shots, tuple(taker.places), tuple(taker.pictures), taker.binning,
        taker.exposure_us, (*refused, *report.warnings),
    )  # fmt: skip


def _with_missed(report: CameraReport, missed: Sequence[ImageFinding]) -> CameraReport:
    return replace(report, images=(*report.images, *missed))


def pose_of_look(place: BoardPlace, look: Look) -> Pose:
    """Where the arm must stand so that a camera as drawn looks at the board's middle, or beside it."""
    tilt, pan, distance, beside_x, beside_y = look
    t, p = math.radians(tilt), math.radians(pan)
    return Pose(
        round(place.x_mm + beside_x + distance * math.sin(t) * math.cos(p), 3),
        round(place.y_mm + beside_y + distance * math.sin(t) * math.sin(p), 3),
        round(place.z_mm + distance * math.cos(t), 3), float(tilt), float(pan),
    )  # fmt: skip


class BoardTaker:
    """Moves, photographs, finds the board; remembers every picture."""

    def __init__(self, bench: BoardBench, binning: int, progress: Progress, first_placement: int = 0) -> None:
        self._bench, self.binning, self._progress = bench, binning, progress
        self._first = first_placement
        self.exposure_us = 0.0
        self.size_px = (0, 0)
        self.shots: list[Shot] = []
        self.missed: list[ImageFinding] = []
        self.places: list[BoardPlace] = []
        self.pictures: list[Picture] = []

    def place(self, place: BoardPlace) -> None:
        self._progress(place.words())
        self._bench.place_board(place)
        self.places.append(place)

    def take(self, pose: Pose) -> Shot | None:
        """One picture from there; None where the board was not found, which `missed` then tells."""
        reached = self._bench.move_to(pose)
        if not self.exposure_us:
            self.exposure_us = _exposure_us(self._bench, self.binning)
        frame = self._bench.photograph(self.exposure_us, self.binning)
        placement = self._first + len(self.places) - 1
        name = f"board {placement + 1}, picture {len(self.pictures) + 1:03d}"
        self.pictures.append(Picture(name=name, sha256=_hash(frame)))
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


def _hash(frame: Frame) -> str:
    return hashlib.sha256(np.ascontiguousarray(frame.pixels).astype("<u2").tobytes()).hexdigest()


def _exposure_us(bench: BoardBench, binning: int) -> float:
    """At which the board's white stands at SHARE of full scale. Raises CalibrationRefused."""
    exposure = START_US
    for _ in range(ATTEMPTS):
        frame = bench.photograph(exposure, binning)
        span = full_scale_dn(frame) - frame.black_level_dn
        level = (float(np.quantile(frame.pixels, 0.99)) - frame.black_level_dn) / span
        if 0.75 * SHARE < level < 1.2 * SHARE:
            return exposure
        exposure = min(max(exposure * (0.2 if level > 0.97 else SHARE / max(level, 0.02)), 10.0), LONGEST_US)
    raise CalibrationRefused(
        f"camera: no exposure brings the board's white to {SHARE:.0%} of full scale (last {exposure:.0f} us, "
        f"level {level:.0%}); is the diffuse light on and the board in the fixture?"
    )
