"""The camera on its arm before a calibration board: on a live rig, or on the Scene alone for studies."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from calibration.boards.board import Board
from calibration.hand_eye.adjust import Repeatability
from drivers.protocols import CameraSettings, Frame, Pose
from drivers.simulated.config import Imperfections
from drivers.simulated.control import RigControl
from drivers.simulated.scene import LightHead, significant_bits
from drivers.simulated.scene.board import COLS, ROWS, SQUARE_MM, BoardMake, BoardPlacement, BoardScene
from drivers.simulated.scene.mounted import MountedCamera, arm_frame
from station.calibrate.bench.bench import PIXEL_FORMAT
from station.calibrate.bench.errors import RigChoiceError
from station.errors import BadInput
from station.rig.devices import Rig

BOARD = Board("charuco", COLS, ROWS, SQUARE_MM)  # the simulated rig's own
BLACK_LEVEL_DN = 64.0


class BoardTextError(BadInput, ValueError):
    """A board described in a way that is none; the text says how it is done."""


def board_from_text(text: str) -> Board:
    """COLSxROWSxSQUARE of a ChArUco board with markers of 3/4 of a square, such as 24x20x3. Raises BoardTextError."""
    words = text.lower().split("x")
    try:
        cols, rows, square = int(words[0]), int(words[1]), float(words[2])
        return Board("charuco", cols, rows, square) if len(words) == 3 else _no_board(text)
    except (ValueError, IndexError) as error:
        raise BoardTextError(
            f"--board: expected squares per row x per column x mm, such as 24x20x3, found {text!r} ({error})"
        ) from error


def _no_board(text: str) -> Board:
    raise ValueError(f"{text.count('x') + 1} numbers instead of three")


@dataclass(frozen=True, slots=True)
class BoardPlace:
    """Where a person, or the simulated rig, puts the board: its middle, its wedge, its turn in its own plane."""

    x_mm: float = 0.0
    y_mm: float = 0.0
    z_mm: float = 8.0
    tilt_deg: float = 0.0
    lean_deg: float = 0.0
    rotation_deg: float = 0.0

    def words(self) -> str:
        lies = "flat" if not self.tilt_deg else (
            f"on a wedge of {self.tilt_deg:g} degrees that leans toward {self.lean_deg:g} degrees (0 is +x, 90 is +y)"
        )  # fmt: skip
        return (
            f"calibration board {lies}, turned by {self.rotation_deg:g} degrees, its middle near x {self.x_mm:+g}, "
            f"y {self.y_mm:+g}, {self.z_mm:g} mm above the fixture; exactness does not matter, stillness does"
        )


class BoardBench(Protocol):
    """A board in the fixture and a camera that can be moved round it."""

    @property
    def board(self) -> Board: ...

    @property
    def expected(self) -> Repeatability:
        """What the arm's maker says of its repeatability."""
        ...

    def place_board(self, place: BoardPlace) -> None: ...

    def check_reachable(self, pose: Pose) -> None:
        """Raises OutOfTravel."""
        ...

    def move_to(self, pose: Pose) -> Pose:
        """Returns what the arm reports once it stands."""
        ...

    def photograph(self, exposure_us: float, binning: int) -> Frame:
        """Under the diffuse light."""
        ...


class LiveBoardBench:
    """A rig's own camera, arm and diffuse light; the board is put down by `place`.

    `diffuse_channel` None is to be set before the first picture: only a drawing, a record or a person knows it.
    """

    def __init__(
        self, rig: Rig, place: Callable[[BoardPlace], None], diffuse_channel: int | None, board: Board = BOARD,
        expected: Repeatability = Repeatability(0.05, 0.01),  # noqa: B008 - frozen
    ) -> None:  # fmt: skip
        self._rig, self._place = rig, place
        self.diffuse_channel = diffuse_channel
        self._settings: CameraSettings | None = None
        self.board = board
        self.expected = expected

    def place_board(self, place: BoardPlace) -> None:
        self._rig.lights.off()
        self._place(place)

    def check_reachable(self, pose: Pose) -> None:
        self._rig.arm.check_reachable(pose)

    def move_to(self, pose: Pose) -> Pose:
        self._rig.lights.off()
        if not self._rig.arm.position_trusted:
            self._rig.arm.home()
        return self._rig.arm.move_to(pose)

    def photograph(self, exposure_us: float, binning: int) -> Frame:
        settings = CameraSettings(PIXEL_FORMAT, binning)
        if settings != self._settings:
            self._rig.camera.configure(settings)
            self._settings = settings
        if self.diffuse_channel is None:
            raise RigChoiceError("nobody said which light is the diffuse one: --reference FILE, or --diffuse-channel N")
        self._rig.lights.on(self.diffuse_channel, 1.0)
        return self._rig.camera.expose(exposure_us)


def board_placer(control: RigControl | None, ask: Callable[[str], None]) -> Callable[[BoardPlace], None]:
    """By the simulated rig's back door, or by a person who is told where."""

    def place(where: BoardPlace) -> None:
        if control is None:
            ask(f"Put into the fixture: {where.words()}")
            return
        control.place_board(
            where.x_mm, where.y_mm, z_mm=where.z_mm, tilt_deg=where.tilt_deg, lean_deg=where.lean_deg,
            rotation_deg=where.rotation_deg,
        )  # fmt: skip

    return place


class SceneBoardBench:
    """The same pictures from the same Scene without wires. `seed` draws camera, mount, arm and noise."""

    def __init__(self, seed: int, wrong: Imperfections, threads: int = 2) -> None:
        self._seed, self._wrong, self._threads = seed, wrong, threads
        self.camera = MountedCamera.toleranced(
            seed, wrong.focal_length_percent, wrong.principal_point_px, wrong.camera_mount_mm, wrong.camera_mount_deg
        )
        self.board = BOARD
        self.expected = Repeatability(0.05, 0.01)
        self._draws = np.random.default_rng([seed, 71])
        self._frames = 0
        self._pose = Pose(0.0, 0.0, 258.0, 0.0, -90.0)
        self.place_board(BoardPlace())

    def place_board(self, place: BoardPlace) -> None:
        lies = BoardPlacement(place.x_mm, place.y_mm, place.z_mm, place.tilt_deg, place.lean_deg, place.rotation_deg)
        make = BoardMake(self._wrong.board_bow_um, self._wrong.board_pitch_percent)
        head = LightHead.nominal()
        self._scene = BoardScene(lies, make, head, None, self._seed, self._threads, self.camera)

    def check_reachable(self, pose: Pose) -> None:
        if not all(math.isfinite(v) for v in pose.as_tuple()):
            raise ValueError(f"{pose} is no pose")

    def move_to(self, pose: Pose) -> Pose:
        mm, deg = self._wrong.pose_repeatability_mm, self._wrong.pose_repeatability_deg
        off = self._draws.standard_normal(5) * [mm, mm, mm, deg, deg]
        x, y, z, tilt, pan = (float(a + e) for a, e in zip(pose.as_tuple(), off, strict=True))
        self._pose = Pose(x, y, z, tilt, pan)
        return pose

    def photograph(self, exposure_us: float, binning: int) -> Frame:
        self._frames += 1
        pixels = self._scene.photograph(
            self._pose, {9: 1.0}, exposure_us=exposure_us, gain_db=0.0, pixel_format=PIXEL_FORMAT, binning=binning,
            roi=None, frame_seed=self._seed * 100_003 + self._frames, black_level_dn=BLACK_LEVEL_DN,
        )  # fmt: skip
        bits = significant_bits(PIXEL_FORMAT)
        return Frame(pixels, PIXEL_FORMAT, bits, BLACK_LEVEL_DN, exposure_us, 0.0, self._frames, self._frames)

    def true_viewpoint(self, pose: Pose) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        """(4, 4) camera to station where the arm comes to stand on average."""
        return arm_frame(pose) @ self.camera.mount()
