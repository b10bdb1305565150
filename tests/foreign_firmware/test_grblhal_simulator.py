"""The gantry driver against grblHAL itself, in the simulator of its own project: which nobody here wrote.

`FACET_GRBLHAL_SIMULATOR` names the binary; without it all of this is skipped. `docs/rig.md` states how to build it.
"""

from __future__ import annotations

import os
import random
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import serial

from drivers.errors import CommandRefused, DeviceError, PositionUntrusted
from drivers.geometry.pose import Pose
from drivers.serial_line.grbl.arm import GrblArm
from drivers.serial_line.grbl.settings import AxisSettings, GrblSettings

SIMULATOR = os.environ.get("FACET_GRBLHAL_SIMULATOR", "")
pytestmark = pytest.mark.skipif(not SIMULATOR, reason="FACET_GRBLHAL_SIMULATOR names no grblHAL simulator")

HERE, THERE = Pose(150.0, 100.0, 100.0, 30.0, 10.0), Pose(20.0, 60.0, 140.0, 5.0, 80.0)
AXES = (
    AxisSettings(name="x_mm", machine_axis="X", minimum=0.0, maximum=190.0, offset=-195.0),
    AxisSettings(name="y_mm", machine_axis="Y", minimum=0.0, maximum=190.0, offset=-195.0),
    AxisSettings(name="z_mm", machine_axis="Z", minimum=0.0, maximum=190.0, offset=-195.0),
    AxisSettings(name="tilt_deg", machine_axis="A", minimum=0.0, maximum=90.0, offset=-95.0),
    AxisSettings(name="pan_deg", machine_axis="B", minimum=0.0, maximum=90.0, offset=-95.0),
)
# Homing without switches ($22 bit 5) and required (bit 2); soft limits; five axes that move fast enough for a test.
SETTINGS = [
    *("$22=1", "$44=0", "$45=0", "$46=0", "$22=37", "$20=1"),
    *(f"${n + i}={v}" for n, v in ((100, 40), (110, 12000), (120, 1000), (130, 200)) for i in range(5)),
]


class Simulator:
    """The process, its TCP port, and the keyboard with which it closes its inputs."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            number = free.getsockname()[1]
        self.port = f"socket://127.0.0.1:{number}"
        quiet = ["-n", "-s", os.devnull, "-b", os.devnull]
        self.process = subprocess.Popen(
            [SIMULATOR, "-p", str(number), *quiet, "-e", str(folder / "settings")],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._commission()

    def _commission(self) -> None:
        deadline_s = time.monotonic() + 20.0
        while True:
            try:
                line = serial.serial_for_url(self.port, timeout=5.0)
                break
            except serial.SerialException:
                assert time.monotonic() < deadline_s, "the simulator does not listen"
                time.sleep(0.1)
        with line:
            line.write(b"\x18")
            line.read_until(b"help]\r\n")
            for setting in SETTINGS:
                line.write(setting.encode() + b"\n")
                assert line.read_until(b"ok\r\n").endswith(b"ok\r\n"), setting

    def press(self, key: str) -> None:
        """d door, h hold, p probe, r reset: pressed again, it is released."""
        assert self.process.stdin is not None
        self.process.stdin.write(key.encode())
        self.process.stdin.flush()
        time.sleep(0.5)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdin is not None
        self.process.stdin.close()


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Simulator]:
    simulator = Simulator(tmp_path)
    yield simulator
    simulator.close()


@pytest.fixture
def arm(simulator: Simulator) -> Iterator[GrblArm]:
    patient = {"reply_timeout_s": 8.0, "boot_timeout_s": 8.0, "move_margin_s": 60.0, "watch_s": 0.0}
    with GrblArm.open(GrblSettings.model_validate({"port": simulator.port, "axes": AXES, **patient})) as arm:
        yield arm
        assert b"~" not in arm.port.written_bytes()
        assert b"$X" not in arm.port.written_bytes().upper()


def by_another_host(arm: GrblArm, line: bytes) -> None:
    arm.port.write(line + b"\n")
    time.sleep(1.0)


def assert_it_goes(arm: GrblArm, pose: Pose) -> None:
    found = arm.move_to(pose)
    assert found.as_tuple() == pytest.approx(pose.as_tuple(), abs=0.051)
    assert arm.position() == found


def test_it_is_known_without_a_warning_homes_and_moves(arm: GrblArm, caplog: pytest.LogCaptureFixture) -> None:
    assert arm.identity.model == "grblHAL"
    arm.home()
    for pose in (HERE, THERE, HERE):
        assert_it_goes(arm, pose)
    assert not [r for r in caplog.records if "not understood" in r.getMessage()]


def test_moves_keep_their_count(arm: GrblArm) -> None:
    arm.home()
    draw = random.Random(1)
    for _ in range(20):
        assert_it_goes(arm, Pose(*(draw.uniform(a.minimum, a.maximum) for a in AXES)))


def test_a_foreign_jog_and_foreign_inches(arm: GrblArm) -> None:
    """Issue 16, points 1 and 5."""
    arm.home()
    arm.move_to(HERE)
    by_another_host(arm, b"G20 G91")
    assert_it_goes(arm, THERE)
    by_another_host(arm, b"$J=G91G21X5F6000")
    with pytest.raises(PositionUntrusted, match=r"another hand|move without a command"):
        arm.move_to(HERE)
    arm.home()


def test_a_soft_limit_and_then_homing_at_once_with_a_probe_closed(
    arm: GrblArm, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 16, points 2 and 3."""
    arm.home()
    simulator.press("p")
    monkeypatch.setattr(GrblArm, "_move_line", lambda *_: "G21 G90 G94 G53 G1 X50 F1000")
    with pytest.raises(CommandRefused, match="ALARM:2"):
        arm.move_to(HERE)
    monkeypatch.undo()
    arm.home()
    assert_it_goes(arm, THERE)


@pytest.mark.parametrize(("key", "words"), [("d", "door"), ("r", "reset input active|restarted by itself")])
def test_an_input_that_forbids_motion_is_named(arm: GrblArm, simulator: Simulator, key: str, words: str) -> None:
    """Issue 16, points 2 and 4."""
    arm.home()
    simulator.press(key)
    for call in (lambda: arm.move_to(HERE), arm.home):
        with pytest.raises(PositionUntrusted, match=words):
            call()
    simulator.press(key)
    arm.home()
    assert_it_goes(arm, HERE)


def test_a_stop_in_a_slowly_braking_move_loses_no_count(arm: GrblArm) -> None:
    """Issue 16, point 6."""
    for i in range(5):
        by_another_host(arm, f"${120 + i}=50".encode())
    arm.home()
    problems: list[DeviceError] = []

    def move() -> None:
        try:
            arm.move_to(THERE)
        except DeviceError as error:
            problems.append(error)

    mover = threading.Thread(target=move)
    mover.start()
    time.sleep(1.5)
    arm.stop()
    mover.join()
    assert "stopped" in problems[0].message
    assert "ALARM" not in problems[0].message
    assert "ALARM" not in vars(arm)["_conversation"].last_words.in_words()
