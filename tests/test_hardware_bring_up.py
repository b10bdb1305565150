"""`pytest tests/hardware --rig FILE` as an engineer runs it, on a simulated rig's file; without `--rig` it skips."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from drivers.simulated import simcam
from drivers.simulated.config import SimulatedRigConfig
from station.rig.simulated import running_rig

ROOT = Path(__file__).parents[1]


def run_hardware_tests(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "tests/hardware", "-q", "-p", "no:cacheprovider", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=250, check=False)


@pytest.mark.skipif(
    not Path(simcam.__file__).with_name("simcam.cti").is_file(), reason="simcam.cti was not built: no C compiler"
)
def test_the_conformance_tests_run_on_the_devices_of_a_rig_file(tmp_path: Path) -> None:
    config = SimulatedRigConfig(serial_number="BRING-UP-1", clock_speed=6.0)
    with running_rig(tmp_path / "rig", config, frame_timeout_s=60.0) as (process, rig):
        done = run_hardware_tests("--rig", str(rig), "-x")
        status = process.control.call("status")
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout.splitlines()[-1]
    assert "skipped" not in done.stdout.splitlines()[-1]
    assert status["frames"] > 30
    assert set(status["light_levels"].values()) == {0.0}


@pytest.mark.skipif(
    not Path(simcam.__file__).with_name("simcam.cti").is_file(), reason="simcam.cti was not built: no C compiler"
)
def test_they_run_on_an_arm_whose_every_question_is_a_frame(tmp_path: Path) -> None:
    """A myCobot: its questions are no commands, and its rig file allows more than a gantry's."""
    config = SimulatedRigConfig(serial_number="BRING-UP-2", clock_speed=6.0, arm_kind="mycobot")
    with running_rig(tmp_path / "rig", config, frame_timeout_s=60.0) as (_, rig):
        done = run_hardware_tests("--rig", str(rig), "-k", "TestRealArm")
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout.splitlines()[-1]
    assert "skipped" not in done.stdout.splitlines()[-1]


def test_without_a_rig_file_they_are_skipped_with_the_reason() -> None:
    done = run_hardware_tests("-rs")
    assert done.returncode == 0, done.stdout[-3000:]
    assert "needs real devices: pytest tests/hardware --rig FILE" in done.stdout
    assert " passed" not in done.stdout
