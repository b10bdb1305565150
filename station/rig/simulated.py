"""The simulated rig seen from the station: its rig file, and a context that starts and stops it.

Its rig file is of the same kind as one for hardware and reaches the rig through the same drivers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

from drivers.simulated.__main__ import run
from drivers.simulated.config import ArmKind, LightsKind, SimulatedRigConfig
from drivers.simulated.firmware.grbl.gantry import SIMULATED_GANTRY, SimulatedAxis
from drivers.simulated.firmware.mycobot import geometry as mycobot_geometry
from drivers.simulated.process import RigProcess
from drivers.simulated.rig import CHANNELS
from station.documents.document import dump_document, load_document
from station.errors import BadInput
from station.rig.file import RigFile, make_rig, save_rig

Content = dict[str, Any]

RIG_FILE = "rig.yaml"

FRAME_TIMEOUT_S = 5.0
FOREGROUND_FRAME_TIMEOUT_S = 30.0  # of `station rig up`: whatever else the machine does
REPLY_TIMEOUT_S = 5.0  # the simulated firmware is an ordinary process and waits for its turn on a busy machine
PATIENT_FRAME_TIMEOUT_S = 180.0  # at full resolution rendering takes longer than any camera would


class UnknownKind(BadInput):
    """A device of a kind that the simulated rig does not have; the text lists those that it has."""


def rig_file_for(folder: Path, config: SimulatedRigConfig, frame_timeout_s: float) -> RigFile:
    """The rig file of a simulated rig in `folder`, whose endpoints keep their names over a restart of the rig.

    A `ccs_strobe` controller steps by strobe whatever the configuration says: in strobe mode it cannot shine steadily.
    """
    place = folder.resolve()
    camera = {
        "driver": "genicam",
        "producer": "simcam",
        "serial_number": config.serial_number,
        "environment": {"FACET_SIMCAM_ENDPOINTS": str(place / "cameras")},
        "frame_timeout_s": frame_timeout_s,
    }
    return make_rig(
        {
            "name": config.name,
            "simulated": True,
            "camera": camera,
            "arm": ARM_SECTIONS[config.arm_kind](place),
            "lights": LIGHT_SECTIONS[config.lights_kind](place),
            "stepping": "strobe" if config.lights_kind == "ccs_strobe" else config.stepping,
        }
    )


def _gantry(place: Path) -> Content:
    return {
        "driver": "grbl",
        "port": str(place / "gantry"),
        "reply_timeout_s": REPLY_TIMEOUT_S,
        "axes": [_axis(axis) for axis in SIMULATED_GANTRY],
    }


def _axis(axis: SimulatedAxis) -> dict[str, str | float]:
    names = ("name", "machine_axis", "minimum", "maximum", "offset")
    return {name: getattr(axis, name) for name in names}


def _six_axis_arm(place: Path) -> Content:
    return {
        "driver": "mycobot",
        "port": str(place / "gantry"),
        "model": mycobot_geometry.MODEL,
        "base": mycobot_geometry.BASE.tolist(),
        "mount": mycobot_geometry.MOUNT.tolist(),
        "travel_limits": mycobot_geometry.TRAVEL,
        "speed_percent": 100,
        "settle_s": 0.0,
        "reply_timeout_s": REPLY_TIMEOUT_S,
    }


def _gardasoft(place: Path) -> Content:
    return {"driver": "gardasoft", **_light_line(place)}


def _ccs(place: Path) -> Content:
    return {"driver": "ccs", **_light_line(place), "all_number": 0}


def _ccs_strobe(place: Path) -> Content:
    return {**_ccs(place), "strobe_mode": True}


def _sa0255(place: Path) -> Content:
    return {"driver": "sa0255", **_light_line(place), "all_letter": "T"}


def _light_line(place: Path) -> Content:
    return {"port": str(place / "lights"), "channels": CHANNELS, "reply_timeout_s": REPLY_TIMEOUT_S}


ARM_SECTIONS: Mapping[ArmKind, Callable[[Path], Content]] = {
    "grbl": _gantry,
    "grblhal": _gantry,
    "mycobot": _six_axis_arm,
}
LIGHT_SECTIONS: Mapping[LightsKind, Callable[[Path], Content]] = {
    "gardasoft": _gardasoft,
    "ccs": _ccs,
    "ccs_strobe": _ccs_strobe,
    "sa0255": _sa0255,
}


def configure(file: Path | None, **kinds: str | None) -> SimulatedRigConfig:
    """The file's configuration, or the demo rig's, with the given fields replaced where they are not None.

    Raises DocumentError for the file, UnknownKind for a kind that does not exist.
    """
    config = SimulatedRigConfig() if file is None else load_document(file, SimulatedRigConfig)
    given = {name: kind for name, kind in kinds.items() if kind is not None}
    for name, kind in given.items():
        choices = get_args(SimulatedRigConfig.model_fields[name].annotation)
        if kind not in choices:
            device = name.removesuffix("_kind")
            raise UnknownKind(f"the simulated rig has no {device} of kind {kind!r}; there are {', '.join(choices)}")
    return config.model_copy(update=given)


def config_text(config: SimulatedRigConfig) -> str:
    """The configuration as YAML that `station rig up --config` takes, every field with its value."""
    return dump_document(config.model_dump(mode="json", exclude_none=True))


def run_in_foreground(folder: Path, config: SimulatedRigConfig) -> None:
    """Run until Ctrl-C, SIGTERM or `stop` at the rig's back door; print the rig file once its devices can be opened."""
    path = write_rig_file(folder, config, FOREGROUND_FRAME_TIMEOUT_S)
    text = path.read_text(encoding="utf-8")
    run(folder, config, announce=f"{text}# rig file: {path}\n# rig ready")


def write_rig_file(folder: Path, config: SimulatedRigConfig, frame_timeout_s: float = FRAME_TIMEOUT_S) -> Path:
    """Write `folder/rig.yaml`, making the folder if need be, and return its path; the rig need not run yet."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / RIG_FILE
    save_rig(path, rig_file_for(folder, config, frame_timeout_s))
    return path


@contextmanager
def running_rig(
    folder: Path, config: SimulatedRigConfig, frame_timeout_s: float = FRAME_TIMEOUT_S
) -> Iterator[tuple[RigProcess, Path]]:
    """A simulated rig in a process of its own, and the rig file that reaches it; the process ends with the context.

    `frame_timeout_s` is how long the camera driver waits for a frame. Raises DeviceError if the rig does not start.
    """
    path = write_rig_file(folder, config, frame_timeout_s)
    with RigProcess(folder, config) as process:
        yield process, path
