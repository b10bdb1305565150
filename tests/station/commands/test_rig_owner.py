"""Whatever command opens devices owns the rig first: while another process does, it ends in one line that names it."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.simulated.config import SimulatedRigConfig
from station.commands.app import app
from station.commands.check.rig import check_rig
from station.commands.exit_codes import ExitCode, run_guarded
from station.recipe.demo import DEMO_RECIPES, SIMULATED_RIG_DRAWING
from station.rig.owner import owned_rig
from station.rig.simulated import write_rig_file

RECIPE = str(DEMO_RECIPES / "connector.yaml")


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["station", *map(str, arguments)])
    return run_guarded(app)


@pytest.mark.parametrize(
    "arguments",
    [
        ["calibrate", "viewpoints", "--out", "viewpoints.yaml"],
        ["calibrate", "all", "--out", "records"],
        ["calibrate", "teach", "--out", "taught.yaml"],
        ["collect", RECIPE, "parts", "--part-id", "P-1"],
        ["product", "new", "washer", "--calibration", str(SIMULATED_RIG_DRAWING), "--recipe", "washer.yaml"],
    ],
    ids=["viewpoints", "all", "teach", "collect", "product"],
)
def test_a_command_that_opens_devices_is_refused_while_another_process_owns_the_rig(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rig = write_rig_file(tmp_path / "rig", SimulatedRigConfig())
    with owned_rig(rig, "station run"):
        assert run(monkeypatch, *arguments, "--rig", rig) == ExitCode.FAULT
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert "(station run) owns this rig" in line
    assert not (tmp_path / "washer.yaml").exists()


@pytest.mark.parametrize("move", [False, True])
def test_the_check_names_the_owner_and_opens_no_device(move: bool, tmp_path: Path) -> None:
    rig = write_rig_file(tmp_path / "rig", SimulatedRigConfig())
    with owned_rig(rig, "station run"):
        (finding,) = check_rig(rig, move=move)
    assert not finding.ok
    assert "(station run) owns this rig" in finding.found
