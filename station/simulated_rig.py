"""The simulated rig seen from the station: its rig file, and a context that starts and stops it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from drivers.simulated.config import SimulatedRigConfig
from drivers.simulated.process import RigProcess
from drivers.simulated.rig import CHANNELS
from station.rig import ArmFile, AxisFile, CameraFile, LightsFile, RigFile, save_rig

RIG_FILE = "rig.yaml"


def rig_file_for(folder: Path, config: SimulatedRigConfig) -> RigFile:
    """The rig file of a simulated rig in `folder`: the same kind of file as for hardware."""
    place = folder.resolve()
    return RigFile(
        name=config.name,
        simulated=True,
        camera=CameraFile(
            producer="simcam",
            serial_number=config.serial_number,
            environment={"FACET_SIMCAM_ENDPOINTS": str(place / "cameras")},
        ),
        arm=ArmFile(
            port=str(place / "gantry"),
            axes=(
                AxisFile(name="x_mm", machine_axis="X", minimum=-220.0, maximum=220.0),
                AxisFile(name="y_mm", machine_axis="Y", minimum=-220.0, maximum=220.0),
                AxisFile(name="z_mm", machine_axis="Z", minimum=40.0, maximum=320.0),
                AxisFile(name="tilt_deg", machine_axis="A", minimum=0.0, maximum=60.0),
                AxisFile(name="pan_deg", machine_axis="B", minimum=-200.0, maximum=200.0),
            ),
        ),
        lights=LightsFile(port=str(place / "lights"), channels=CHANNELS),
    )


def write_rig_file(folder: Path, config: SimulatedRigConfig) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / RIG_FILE
    save_rig(path, rig_file_for(folder, config))
    return path


@contextmanager
def running_rig(folder: Path, config: SimulatedRigConfig) -> Iterator[tuple[RigProcess, Path]]:
    """A simulated rig in a process of its own, and the rig file that reaches it."""
    path = write_rig_file(folder, config)
    with RigProcess(folder, config) as process:
        yield process, path
