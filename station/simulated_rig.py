"""The simulated rig seen from the station: its rig file, and a context that starts and stops it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from drivers.simulated.config import SimulatedRigConfig
from drivers.simulated.gantry import SIMULATED_GANTRY
from drivers.simulated.process import RigProcess
from drivers.simulated.rig import CHANNELS
from station.rig import ArmFile, AxisFile, CameraFile, LightsFile, RigFile, save_rig

RIG_FILE = "rig.yaml"


FRAME_TIMEOUT_S = 5.0
REPLY_TIMEOUT_S = 5.0  # its firmware is a process among others, and waits for its turn on a busy machine
PATIENT_FRAME_TIMEOUT_S = 180.0  # at full resolution rendering takes longer than any camera would


def rig_file_for(folder: Path, config: SimulatedRigConfig, frame_timeout_s: float) -> RigFile:
    """The rig file of a simulated rig in `folder`: the same kind of file as for hardware."""
    place = folder.resolve()
    return RigFile(
        name=config.name,
        simulated=True,
        camera=CameraFile(
            producer="simcam",
            serial_number=config.serial_number,
            environment={"FACET_SIMCAM_ENDPOINTS": str(place / "cameras")},
            frame_timeout_s=frame_timeout_s,
        ),
        arm=ArmFile(
            port=str(place / "gantry"),
            reply_timeout_s=REPLY_TIMEOUT_S,
            axes=tuple(
                AxisFile.model_validate(
                    {
                        "name": axis.name,
                        "machine_axis": axis.machine_axis,
                        "minimum": axis.minimum,
                        "maximum": axis.maximum,
                        "offset": axis.offset,
                    }
                )
                for axis in SIMULATED_GANTRY
            ),
        ),
        lights=LightsFile(port=str(place / "lights"), channels=CHANNELS, reply_timeout_s=REPLY_TIMEOUT_S),
    )


def write_rig_file(folder: Path, config: SimulatedRigConfig, frame_timeout_s: float = FRAME_TIMEOUT_S) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / RIG_FILE
    save_rig(path, rig_file_for(folder, config, frame_timeout_s))
    return path


@contextmanager
def running_rig(
    folder: Path, config: SimulatedRigConfig, frame_timeout_s: float = FRAME_TIMEOUT_S
) -> Iterator[tuple[RigProcess, Path]]:
    """A simulated rig in a process of its own, and the rig file that reaches it."""
    path = write_rig_file(folder, config, frame_timeout_s)
    with RigProcess(folder, config) as process:
        yield process, path
