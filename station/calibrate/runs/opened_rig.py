"""A rig opened for calibration: its devices, the benches on them, and who changes what lies in the fixture.

On a simulated rig its back door places boards and targets; on a real one a person is asked to. That is the only
difference between the two: all measuring goes through the same drivers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from calibration.boards.board import Board
from calibration.record import Calibration
from calibration.viewpoints.record import ViewpointsRecord
from drivers.simulated.config import Imperfections, SimulatedRigConfig
from drivers.simulated.control import RigControl
from station.calibrate.bench.board_bench import BOARD, BoardPlace, LiveBoardBench, board_from_text
from station.calibrate.bench.camera_pose import TOP
from station.calibrate.bench.target_bench import Identity, LiveBench, Place, Target
from station.calibrate.errors import RigChoiceError
from station.calibrate.lights.settings import diffuse_channel_of
from station.documents.document import load_document
from station.recipe.demo import SIMULATED_RIG_DRAWING
from station.rig.devices import Rig, open_rig
from station.rig.file import load_rig
from station.rig.owner import owned_rig
from station.rig.simulated import PATIENT_FRAME_TIMEOUT_S, running_rig

SIMULATED = "simulated"
# a rig as it might leave the workshop: lights 3 degrees rms off their places, the camera not quite as drawn
UNCALIBRATED = Imperfections(
    pose_repeatability_mm=0.05, pose_repeatability_deg=0.01, light_direction_deg=2.12, light_intensity_percent=20.0,
    focal_length_percent=0.5, principal_point_px=30.0, camera_mount_mm=0.5, camera_mount_deg=0.3,
)  # fmt: skip

Ask = Callable[[str], None]  # shows words to a person, and returns when the person has done what they say


@dataclass(frozen=True, slots=True)
class BoardChoice:
    """What a person states about the board and about the light that shows it; None leaves it to the default."""

    board: str | None
    diffuse_channel: int | None
    reference: Path | None


@dataclass(frozen=True)
class OpenedRig:
    """An open rig, with one bench for spheres and plane and one for the board."""

    rig: Rig
    control: RigControl | None  # the back door of a simulated rig
    bench: LiveBench
    board_bench: LiveBoardBench

    def identity(self) -> Identity:
        """Camera, light controller and the camera's temperature at this moment."""
        return self.bench.identity()

    def show_board(self, choice: BoardChoice, record: Calibration | ViewpointsRecord | None = None) -> LiveBoardBench:
        """The board bench for the board and the diffuse light that were chosen, or that the record names.

        Raises BoardTextError, and what `diffuse_channel_for` raises.
        """
        its = _board_of(choice)
        channel = diffuse_channel_for(self.rig, choice.diffuse_channel, choice.reference, record)
        self.board_bench.board, self.board_bench.diffuse_channel = its, channel
        return self.board_bench


@contextmanager
def opened_rig(rig: str, folder: Path, ask: Ask, seed: int = 1) -> Iterator[OpenedRig]:
    """The rig of the file `rig`; the word `simulated` starts one with the imperfections of a rig never calibrated.

    A simulated rig that is started here keeps its files in `folder` and draws its imperfections from `seed`. `ask` is
    called with words for a person who must change what lies in the fixture of a real rig.
    """
    path = Path(rig)
    if _starts_simulated(rig):
        config = SimulatedRigConfig(seed=seed, clock_speed=10.0, imperfections=UNCALIBRATED)
        with running_rig(folder / "rig", config, PATIENT_FRAME_TIMEOUT_S) as (_, file), _of_file(file, ask) as found:
            yield found
        return
    with _of_file(path, ask) as found:
        yield found


def check_choice(rig: str, choice: BoardChoice, record: Calibration | ViewpointsRecord | None = None) -> None:
    """Raise now what `OpenedRig.show_board` would raise of this choice once devices are open."""
    _board_of(choice)
    _diffuse_channel(_is_simulated(rig), choice.diffuse_channel, choice.reference, record)


def _board_of(choice: BoardChoice) -> Board:
    return BOARD if choice.board is None else board_from_text(choice.board)


def _is_simulated(rig: str) -> bool:
    """Whether `opened_rig` would open a simulated rig; reads the rig file only."""
    return _starts_simulated(rig) or load_rig(Path(rig)).simulated


def _starts_simulated(rig: str) -> bool:
    return rig.lower() == SIMULATED and not Path(rig).exists()


@contextmanager
def _of_file(file: Path, ask: Ask) -> Iterator[OpenedRig]:
    """The rig of an existing rig file. Raises RigInUse before a device is opened."""
    simulated = load_rig(file).simulated
    control = RigControl(file.parent) if simulated else None
    with owned_rig(file, "station calibrate"), open_rig(file) as rig:
        board = LiveBoardBench(rig, board_placer(control, ask), None)
        yield OpenedRig(rig, control, LiveBench(rig, TOP, _target_placer(control, ask)), board)


def board_placer(control: RigControl | None, ask: Ask) -> Callable[[BoardPlace], None]:
    """Puts the board down by the simulated rig's back door, or asks a person to."""

    def place(where: BoardPlace) -> None:
        if control is None:
            ask(f"Put into the fixture: {where.words()}")
            return
        control.place_board(
            where.x_mm, where.y_mm, z_mm=where.z_mm, tilt_deg=where.tilt_deg, lean_deg=where.lean_deg,
            rotation_deg=where.rotation_deg,
        )  # fmt: skip

    return place


def _target_placer(control: RigControl | None, ask: Ask) -> Place:
    """Puts a target down by the simulated rig's back door, or asks a person to."""

    def place(target: Target, x_mm: float, y_mm: float) -> None:
        if control is not None:
            control.place(target, x_mm, y_mm)
        else:
            ask(f"Put into the fixture: {target.replace('_', ' ')}, its middle at x {x_mm:+g}, y {y_mm:+g} mm")

    return place


def reference_for(rig: str, path: Path | None) -> Calibration:
    """As `load_reference`, for the rig that `opened_rig` is going to open: nothing moves before the files are sound."""
    return _reference(path, _is_simulated(rig))


def load_reference(path: Path | None, rig: Rig) -> Calibration:
    """The calibration that states where things should be; a simulated rig's drawing without `path`.

    Raises RigChoiceError where none was given for a real rig, DocumentError for a file that does not load.
    """
    return _reference(path, rig.is_simulated)


def _reference(path: Path | None, is_simulated: bool) -> Calibration:
    if path is None and not is_simulated:
        raise RigChoiceError("a real rig needs --reference: a calibration file with its camera and its lights as drawn")
    return load_document(path or SIMULATED_RIG_DRAWING, Calibration)


def diffuse_channel_for(
    rig: Rig, chosen: int | None, reference: Path | None, record: Calibration | ViewpointsRecord | None = None
) -> int:
    """The light that shows the board: the one a person chose, else the record's, else the reference's.

    Raises RigChoiceError where none of them names it, CalibrationRefused for a reference without a diffuse light.
    """
    return _diffuse_channel(rig.is_simulated, chosen, reference, record)


def _diffuse_channel(
    is_simulated: bool, chosen: int | None, reference: Path | None, record: Calibration | ViewpointsRecord | None
) -> int:
    if chosen is not None:
        return chosen
    if isinstance(record, Calibration):
        return diffuse_channel_of(record)
    if record is not None and record.diffuse_channel is not None:
        return record.diffuse_channel
    if reference is None and not is_simulated:
        raise RigChoiceError(
            "which light is the diffuse one? Give --diffuse-channel N, or --reference with the lights as drawn"
        )
    return diffuse_channel_of(_reference(reference, is_simulated))
