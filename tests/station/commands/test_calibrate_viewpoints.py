"""`station calibrate camera --rig`, `teach` and `viewpoints`: what they refuse before anything moves, and a session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from drivers.simulated.config import SimulatedRigConfig
from station.calibrate.bench.board_bench import BoardTextError, board_from_text
from station.calibrate.viewpoints.taught_views import load_taught
from station.commands.app import app
from station.errors import BadInput
from station.rig.simulated import running_rig


def refusal(*words: str) -> str:
    result = CliRunner().invoke(app, ["calibrate", *words])
    assert isinstance(result.exception, BadInput), result.output
    return str(result.exception)


def test_camera_takes_a_folder_or_a_rig_and_not_both(tmp_path: Path) -> None:
    assert "either a folder" in refusal("camera")
    assert "either a folder" in refusal("camera", str(tmp_path), "--rig", "simulated")


def test_a_viewpoints_record_is_never_overwritten(tmp_path: Path) -> None:
    there = tmp_path / "viewpoints.yaml"
    there.write_text("kept")
    assert "never overwritten" in refusal("viewpoints", "--rig", "simulated", "--out", str(there))
    assert there.read_text() == "kept"


def test_a_file_without_taught_viewpoints_is_refused(tmp_path: Path) -> None:
    taught = tmp_path / "taught.yaml"
    taught.write_text("schema_version: 1\nviewpoints: []\n")
    words = ("viewpoints", "--rig", "simulated", "--out", str(tmp_path / "new.yaml"), "--views", str(taught))
    assert "no viewpoint was taught" in refusal(*words)


def test_a_board_in_words() -> None:
    board = board_from_text("17x12x4.5")
    assert (board.cols, board.rows, board.square_mm, board.pattern) == (17, 12, 4.5, "charuco")
    for text in ("17x12", "17x12x4x5", "axbxc", "2x2x1", "17x12x-1", "17x12xnan"):
        with pytest.raises(BoardTextError, match="24x20x3"):
            board_from_text(text)


@pytest.fixture
def rig_file(tmp_path: Path) -> Iterator[Path]:
    with running_rig(tmp_path / "rig", SimulatedRigConfig(clock_speed=50.0)) as (_, file):
        yield file


def test_a_teaching_session_on_a_rig(rig_file: Path, tmp_path: Path) -> None:
    taught = tmp_path / "taught.yaml"
    lines = "x 5\ntilt -5\nz -4\nteach corner\nwhat\nquit\n"
    result = CliRunner().invoke(
        app, ["calibrate", "teach", "--rig", str(rig_file), "--out", str(taught)], input=lines
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "x_mm = 225 mm is outside" in result.output  # homed to the end of its travel: nothing moves beyond
    assert "! expected x|y|z|tilt|pan AMOUNT" in result.output
    pose = load_taught(taught).poses()["corner"]
    assert pose.tilt_deg == pytest.approx(55.0, abs=0.1)
