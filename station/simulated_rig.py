"""The simulated rig seen from the station: its rig file, and a context that starts and stops it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from drivers.simulated.config import SimulatedRigConfig
from drivers.simulated.gantry import SIMULATED_GANTRY, SimulatedAxis
from drivers.simulated.process import RigProcess
from drivers.simulated.rig import CHANNELS
from station.rig import RigFile, make_rig, save_rig

RIG_FILE = "rig.yaml"


FRAME_TIMEOUT_S = 5.0
REPLY_TIMEOUT_S = 5.0  # its firmware is a process among others, and waits for its turn on a busy machine
PATIENT_FRAME_TIMEOUT_S = 180.0  # at full resolution rendering takes longer than any camera would


def rig_file_for(folder: Path, config: SimulatedRigConfig, frame_timeout_s: float) -> RigFile:
    """The rig file of a simulated rig in `folder`: the same kind of file as for hardware."""
    place = folder.resolve()
    camera = {
        "driver": "genicam",
        "producer": "simcam",
        "serial_number": config.serial_number,
        "environment": {"FACET_SIMCAM_ENDPOINTS": str(place / "cameras")},
        "frame_timeout_s": frame_timeout_s,
    }
    arm = {
        "driver": "grbl",
        "port": str(place / "gantry"),
        "reply_timeout_s": REPLY_TIMEOUT_S,
        "axes": [_axis(axis) for axis in SIMULATED_GANTRY],
    }
    lights = {
        "driver": "gardasoft",
        "port": str(place / "lights"),
        "channels": CHANNELS,
        "reply_timeout_s": REPLY_TIMEOUT_S,
    }
    return make_rig({"name": config.name, "simulated": True, "camera": camera, "arm": arm, "lights": lights})


def _axis(axis: SimulatedAxis) -> dict[str, str | float]:
    names = ("name", "machine_axis", "minimum", "maximum", "offset")
    return {name: getattr(axis, name) for name in names}


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
