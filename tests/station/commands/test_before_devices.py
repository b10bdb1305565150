"""Arguments and files are checked before a device is opened: these rigs have none, and opening one would say so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from drivers.simulated.back_door import BackDoor
from drivers.simulated.config import SimulatedRigConfig
from drivers.simulated.control import ControlServer
from drivers.simulated.world.world import World
from station.commands.app import app
from station.commands.exit_codes import ExitCode, run_guarded
from station.recipe.demo import DEMO_RECIPES
from station.rig.simulated import write_rig_file


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["station", *map(str, arguments)])
    return run_guarded(app)


@pytest.fixture
def dead_rig(tmp_path: Path) -> Path:
    """The rig file of a rig that does not run."""
    return write_rig_file(tmp_path / "rig", SimulatedRigConfig())


@pytest.mark.parametrize("part", ["", "  "])
def test_an_empty_part_id_is_refused_before_a_device_is_opened(
    part: str, dead_rig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Issue 15, point 20."""
    recipe = DEMO_RECIPES / "connector.yaml"
    code = run(monkeypatch, "inspect", "--rig", dead_rig, "--recipe", recipe, "--part", part, "--out", tmp_path / "out")
    assert code == ExitCode.BAD_INPUT
    assert "part id is empty" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["lights", "--reference", "nosuch.yaml"], "nosuch.yaml"),
        (["all", "--reference", "nosuch.yaml"], "nosuch.yaml"),
        (["sensor", "--reference", "nosuch.yaml"], "nosuch.yaml"),
        (["field", "nosuch.yaml"], "nosuch.yaml"),
        (["white", "nosuch.yaml"], "nosuch.yaml"),
        (["verify", "nosuch.yaml"], "nosuch.yaml"),
        (["viewpoints", "--out", "new.yaml", "--board", "24"], "--board"),
        (["viewpoints", "--out", "new.yaml", "--reference", "nosuch.yaml"], "nosuch.yaml"),
        (["viewpoints", "--check", "nosuch.yaml"], "nosuch.yaml"),
        (["camera", "--board", "24"], "--board"),
        (["camera", "--binning", "3"], "--binning"),
        (["field", "nosuch.yaml", "--binning", "0"], "--binning"),
        (["teach", "--out", "taught.yaml"], "taught.yaml"),
    ],
)
def test_a_calibration_refuses_its_arguments_before_a_device_is_opened(
    arguments: list[str],
    words: str,
    dead_rig: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Issue 15, point 20, its siblings."""
    monkeypatch.chdir(tmp_path)
    Path("taught.yaml").write_text("viewpoints: 7\n")
    assert run(monkeypatch, "calibrate", *arguments, "--rig", dead_rig) == ExitCode.BAD_INPUT
    assert words in capsys.readouterr().err


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The back door of a rig's real world, in this process."""
    folder, world = tmp_path_factory.mktemp("running"), World(SimulatedRigConfig())
    server = ControlServer(folder, BackDoor(world, folder, world.faults, Event()).verbs())
    server.start()
    yield folder
    server.close()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["load", "sprocket"], "unknown product 'sprocket'; there are connector"),
        (["load", "../connector"], "product = '../connector'"),
        (["load", "connector", "--defect", "bogus"], "unknown defect 'bogus'"),
        (["load", "connector", "--defect", "dent:-5"], "a whole number from 0"),
        (["load", "connector", "--seed", "-3"], "--seed"),
        (["inject", "lights.light_dead", "99"], "no channel '99'; there are 1..9"),
        (["inject", "lights.light_dead"], "takes CHANNEL"),
        (["inject", "lights.nosuch"], "unknown fault 'nosuch'"),
        (["inject", "nosuch"], "unknown fault 'nosuch'"),
        (["inject", "ambient", "nan"], "every number must be finite"),
    ],
)
def test_what_the_rig_does_not_know_is_bad_input_in_one_line(
    arguments: list[str],
    words: str,
    running: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Issue 15, point 20: these ended with 3, as if the rig needed a person."""
    assert run(monkeypatch, "rig", *arguments, "--folder", running) == ExitCode.BAD_INPUT
    message = capsys.readouterr().err
    assert words in message
    assert len([line for line in message.splitlines() if line and not line.startswith(("Usage", "Try"))]) == 1


def test_a_known_fault_is_injected(
    running: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "rig", "inject", "lights.light_dead", "3", "--folder", running) == ExitCode.DONE
    assert "light 3 is dead" in capsys.readouterr().out
