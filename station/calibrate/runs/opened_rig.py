"""A rig opened for calibration: its devices, what lies in its fixture, and where the camera stands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from calibration.record import Calibration
from calibration.viewpoints.record import ViewpointsRecord
from drivers.simulated.config import Imperfections, SimulatedRigConfig
from drivers.simulated.control import RigControl
from station.calibrate.bench.target_bench import Identity, LiveBench, Place, Target
from station.calibrate.errors import RigChoiceError
from station.calibrate.bench.camera_pose import TOP
from station.calibrate.bench.board_bench import LiveBoardBench, board_placer
from station.calibrate.lights.measured_lights import diffuse_channel_of
from station.documents.document import load_document
from station.recipe.demo import SIMULATED_RIG_DRAWING
from station.rig.devices import Rig, open_rig
from station.rig.file import load_rig
from station.rig.simulated import PATIENT_FRAME_TIMEOUT_S, running_rig

SIMULATED = "simulated"
# a rig as it might leave the workshop: lights 3 degrees rms off their places, the camera not quite as drawn
UNCALIBRATED = Imperfections(
    pose_repeatability_mm=0.05, pose_repeatability_deg=0.01, light_direction_deg=2.12, light_intensity_percent=20.0,
    focal_length_percent=0.5, principal_point_px=30.0, camera_mount_mm=0.5, camera_mount_deg=0.3,
)  # fmt: skip


@dataclass(frozen=True)
class Station:
    """An open rig with what lies before it."""

    rig: Rig
    control: RigControl | None  # of a simulated rig
    bench: LiveBench
    board_bench: LiveBoardBench

    def identity(self) -> Identity:
        return self.bench.identity()


Ask = Callable[[str], None]


@contextmanager
def opened(rig: str, folder: Path, ask: Ask, seed: int = 1) -> Iterator[Station]:
    """The rig of the file `rig`; the word `simulated` starts one with the imperfections of a rig never calibrated.

    `ask` is called with words for a person who must change what lies in the fixture of a real rig.
    """
    path = Path(rig)
    if rig.lower() == SIMULATED and not path.exists():
        config = SimulatedRigConfig(seed=seed, clock_speed=10.0, imperfections=UNCALIBRATED)
        with running_rig(folder / "rig", config, PATIENT_FRAME_TIMEOUT_S) as (_, file), _station(file, ask) as found:
            yield found
        return
    with _station(path, ask) as found:
        yield found


@contextmanager
def _station(file: Path, ask: Ask) -> Iterator[Station]:
    simulated = load_rig(file).simulated
    control = RigControl(file.parent) if simulated else None
    with open_rig(file) as rig:
        board = LiveBoardBench(rig, board_placer(control, ask), None)
        yield Station(rig, control, LiveBench(rig, TOP, _placer(control, ask)), board)


def _placer(control: RigControl | None, ask: Ask) -> Place:
    def place(target: Target, x_mm: float, y_mm: float) -> None:
        if control is not None:
            control.place(target, x_mm, y_mm)
        else:
            ask(f"Put into the fixture: {target.replace('_', ' ')}, its middle at x {x_mm:+g}, y {y_mm:+g} mm")

    return place


def load_reference(path: Path | None, rig: Rig) -> Calibration:
    """The calibration that says where things should be. Raises RigChoiceError where none was given for a real rig."""
    if path is None and not rig.is_simulated:
        raise RigChoiceError("a real rig needs --reference: a calibration file with its camera and its lights as drawn")
    return load_document(path or SIMULATED_RIG_DRAWING, Calibration)


def diffuse_channel_for(
    rig: Rig, chosen: int | None, reference: Path | None, record: Calibration | ViewpointsRecord | None = None
) -> int:
    """The light that shows the board: as chosen by a person, of the record, or of the reference.

    Raises RigChoiceError where nothing says it, CalibrationRefused for a reference without one.
    """
    if chosen is not None:
        return chosen
    if isinstance(record, Calibration):
        return diffuse_channel_of(record)
    if record is not None and record.diffuse_channel is not None:
        return record.diffuse_channel
    if reference is None and not rig.is_simulated:
        raise RigChoiceError(
            "which light is the diffuse one? Give --diffuse-channel N, or --reference with the lights as drawn"
        )
    return diffuse_channel_of(load_reference(reference, rig))
