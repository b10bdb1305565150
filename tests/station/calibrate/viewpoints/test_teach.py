"""Teaching by jogging: steps stay inside the travel, hold-to-run ends, names are kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.errors import OutOfTravel
from drivers.geometry.pose import Pose
from drivers.protocols import DeviceIdentity
from station.calibrate.viewpoints.taught_views import TaughtViews, TeachError, load_taught, save_taught
from station.calibrate.viewpoints.teach import obey, step, teach

LIMITS = ((-50.0, 50.0), (-50.0, 50.0), (40.0, 320.0), (0.0, 60.0), (-200.0, 200.0))
NAMES = ("x", "y", "z", "tilt", "pan")


class ArmInMemory:
    """Goes at once where it is told, within LIMITS."""

    def __init__(self) -> None:
        self.here = Pose(0.0, 0.0, 258.0, 0.0, -90.0)
        self.position_trusted = True
        self.moves = 0

    @property
    def identity(self) -> DeviceIdentity:
        return DeviceIdentity("none", "memory", "0", "0")

    def home(self) -> None:
        self.position_trusted = True

    def check_reachable(self, pose: Pose) -> None:
        for name, value, (lo, hi) in zip(NAMES, pose.as_tuple(), LIMITS, strict=True):
            if not lo <= value <= hi:
                raise OutOfTravel("arm", f"{name} {value:g} is outside {lo:g} to {hi:g}")

    def move_to(self, pose: Pose) -> Pose:
        self.here, self.moves = pose, self.moves + 1
        return pose

    def position(self) -> Pose:
        return self.here

    def stop(self) -> None:
        self.position_trusted = False

    def close(self) -> None:
        self.moves = 0


def presses(count: int) -> Iterator[bool]:
    yield from [True] * count
    yield False


def test_a_step_moves_one_axis() -> None:
    arm = ArmInMemory()
    assert step(arm, "z", -2.5) == Pose(0.0, 0.0, 255.5, 0.0, -90.0)
    assert step(arm, "tilt", 5.0).tilt_deg == 5.0


@pytest.mark.parametrize(
    ("axis", "amount", "said"),
    [("roll", 1.0, "axis 'roll' is unknown"), ("x", 21.0, "at most 20"), ("pan", float("nan"), "too large")],
)
def test_what_is_no_step_does_not_move(axis: str, amount: float, said: str) -> None:
    arm = ArmInMemory()
    with pytest.raises(TeachError, match=said):
        step(arm, axis, amount)
    assert arm.moves == 0


def test_a_step_out_of_the_travel_does_not_move_and_names_the_axis() -> None:
    arm = ArmInMemory()
    with pytest.raises(OutOfTravel, match="tilt -1"):
        step(arm, "tilt", -1.0)
    assert arm.moves == 0


def test_a_viewpoint_is_kept_and_replaced_in_its_place(tmp_path: Path) -> None:
    arm, file = ArmInMemory(), tmp_path / "taught.yaml"
    views = load_taught(file)
    for line in ("teach top", "x 10", "teach side", "z -8", "teach top"):
        _, views = obey(arm, line, views)
    save_taught(file, views)
    again = load_taught(file)
    assert again == views
    assert list(again.poses()) == ["top", "side"]
    assert again.poses()["top"] == Pose(10.0, 0.0, 250.0, 0.0, -90.0)
    answer, _ = obey(arm, "go side", again)
    assert "z 258.000" in answer
    assert "side: x 10.000" in obey(arm, "list", again)[0]


@pytest.mark.parametrize("line", ["go nowhere", "teach a/b", "x much", "sing", "teach", "x 1 2"])
def test_what_is_no_command_is_told(line: str) -> None:
    arm = ArmInMemory()
    with pytest.raises(TeachError):
        obey(arm, line, TaughtViews())
    assert arm.moves == 0


def test_nothing_is_taught_before_homing() -> None:
    arm = ArmInMemory()
    arm.position_trusted = False
    with pytest.raises(TeachError, match="homed"):
        teach(arm, "top", TaughtViews())
