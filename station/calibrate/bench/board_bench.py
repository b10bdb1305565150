"""A calibration board in the fixture and a camera that an arm moves round it: the bench for camera and viewpoints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from calibration.boards.board import Board
from calibration.hand_eye.result import Repeatability
from drivers.geometry.pose import Pose
from drivers.protocols import CameraSettings, Frame
from station.calibrate.bench.target_bench import PIXEL_FORMAT
from station.calibrate.errors import RigChoiceError
from station.errors import BadInput
from station.rig.devices import Rig

BOARD = Board("charuco", 24, 20, 3.0)  # the simulated rig's own; a test holds the two equal
USUAL_ARM = Repeatability(0.05, 0.01)  # what is expected of an arm of which nothing else is known


class BoardTextError(BadInput, ValueError):
    """A text that describes no board; the message says how a board is written."""


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
        """The place in a sentence for the person who puts the board there."""
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
        """The repeatability that the arm's maker states."""
        ...

    def place_board(self, place: BoardPlace) -> None:
        """Returns when the board lies there."""
        ...

    def check_reachable(self, pose: Pose) -> None:
        """Raises OutOfTravel."""
        ...

    def move_to(self, pose: Pose) -> Pose:
        """Returns what the arm reports once it stands still."""
        ...

    def photograph(self, exposure_us: float, binning: int) -> Frame:
        """One frame under the diffuse light at full brightness."""
        ...


class LiveBoardBench:
    """A rig's own camera, arm and diffuse light; `place` puts the board down.

    `diffuse_channel` may stay None until the first picture: only a drawing, a record or a person knows it.
    """

    def __init__(
        self, rig: Rig, place: Callable[[BoardPlace], None], diffuse_channel: int | None, board: Board = BOARD,
        expected: Repeatability = USUAL_ARM,
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
        """Raises RigChoiceError while no diffuse light is known."""
        settings = CameraSettings(PIXEL_FORMAT, binning)
        if settings != self._settings:
            self._rig.camera.configure(settings)
            self._settings = settings
        if self.diffuse_channel is None:
            raise RigChoiceError("nobody said which light is the diffuse one: --reference FILE, or --diffuse-channel N")
        self._rig.lights.on(self.diffuse_channel, 1.0)
        return self._rig.camera.expose(exposure_us)
