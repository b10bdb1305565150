"""`docs/faults.md` lists every fault that a simulated rig can play, and was written by these tests."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest

from drivers.simulated.config import ArmKind, LightsKind, SimulatedRigConfig
from drivers.simulated.rig import SimulatedRig

CURES = {"plug", "thaw", "light_repaired", "strobe_line_mended"}
NO_FAULTS = {"camera.line": "an edge on the trigger input"}
ELSEWHERE = {  # played by other tests, for what is no device's word
    "bump": "the arm stands off a taught place: found by the return to a viewpoint, see calibration",
    "knock": "the camera has moved on its arm: found by the same",
    "board.bow": "the calibration board is not flat: found by the camera's calibration",
    "board.pitch": "the calibration board is not as long as it says: found by the same",
    "gantry.lost_steps": "the controller does not know of it: found by the same, and gone after homing",
    "gantry.homing_switch_dead": "homing is refused",
    "gantry.garble_setting": "one line of the settings arrives garbled: they are read until two readings agree",
    "gantry.empty_memory": "the controller's settings are gone: reported when it is opened",
    "lights.strobe_line_cut": "with stepping by strobe the frame is dark: reported as a dead light",
    "lights.slow_settle": "a light that comes late is a dim frame: reported as a weak light",
}


def all_faults(tmp_path: Path) -> set[str]:
    """DEVICE.NAME of every fault, over all kinds of devices."""
    kinds: list[dict[str, Any]] = [{"arm_kind": kind} for kind in get_args(ArmKind)]
    kinds += [{"lights_kind": kind} for kind in get_args(LightsKind)]
    found: set[str] = set()
    for chosen in kinds:
        rig = SimulatedRig(SimulatedRigConfig(**chosen), tmp_path)
        found |= {f"{device}.{name}".lstrip(".") for device, faults in rig.faults().items() for name in faults}
        rig.close()
    return found


def test_every_fault_has_a_row(tmp_path: Path, written_rows: str) -> None:
    reported = set(re.findall(r"`([a-z_]+(?:\.[a-z_]+)?)[ `]", written_rows))
    wanted = {fault for fault in all_faults(tmp_path) if fault.rpartition(".")[2] not in CURES}
    assert sorted(wanted - reported - set(ELSEWHERE) - set(NO_FAULTS)) == []


def test_what_stands_elsewhere_exists(tmp_path: Path) -> None:
    assert set(ELSEWHERE) | set(NO_FAULTS) <= all_faults(tmp_path)


@pytest.mark.parametrize("module", ["motion", "lights"])
def test_every_row_of_the_tests_is_in_the_document(module: str, written_rows: str) -> None:
    rows = __import__(f"faults.test_faults_of_{module}", fromlist=["ROWS"]).ROWS
    missing = [str(row) for row in rows if f"| {row.kind} | `{row.injected}` |" not in written_rows]
    assert missing == []
