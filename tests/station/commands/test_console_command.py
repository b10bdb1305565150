"""`station console`: which options go together, and what the console learns of an engine that nobody has homed."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from drivers.errors import DeviceLost
from station.archive import Archive
from station.commands.app import app
from station.commands.console.engine_adapter import EngineAdapter
from station.commands.console.window import ConsoleOptions, start_console
from station.engine.engine import Engine
from station.engine.events import Event, Fault, RecipeRead, State, StateChanged
from station.errors import BadInput
from station.recipe.demo import DEMO_RECIPES
from station.rig.devices import Rig
from station.rig.file import save_rig
from station.rig.simulated import FRAME_TIMEOUT_S, SimulatedRigConfig, rig_file_for

RECIPE = DEMO_RECIPES / "connector.yaml"


@pytest.fixture
def rig_file(tmp_path: Path) -> Path:
    path = tmp_path / "rig.yaml"
    save_rig(path, rig_file_for(tmp_path, SimulatedRigConfig(), FRAME_TIMEOUT_S))
    return path


def never_opened(_path: Path) -> Rig:
    raise AssertionError("a device was opened")


def test_a_part_id_is_refused_where_there_is_no_screenshot() -> None:
    """Issue 15, point 12: what the option said stood in the window's field, and the first scan was appended to it."""
    answer = CliRunner().invoke(app, ["console", "--part", "SN-1"])
    assert answer.exit_code == 2
    assert "--part belongs to --screenshot" in answer.output


def test_the_part_id_of_a_screenshot_is_checked_before_anything_starts(tmp_path: Path) -> None:
    """Issue 15, points 12 and 18."""
    with pytest.raises(BadInput, match="empty"):
        start_console(None, None, tmp_path / "out", ConsoleOptions(tmp_path / "window.png", part_id=""))
    assert not (tmp_path / "out").exists()


def test_a_listener_learns_recipe_and_state_before_any_device_is_opened(tmp_path: Path, rig_file: Path) -> None:
    """Issue 15, point 15."""
    heard: list[Event] = []
    with Archive.open(tmp_path / "archive") as archive:
        adapter = EngineAdapter(Engine(rig_file, archive, opener=never_opened), RECIPE, rig_file)
        adapter.subscribe(heard.append)
        assert [event.state for event in heard if isinstance(event, StateChanged)] == [State.PREOPERATIONAL]
        adapter.read_recipe()
        late: list[Event] = []
        adapter.subscribe(late.append)
    for events in (heard, late):
        read = next(event for event in events if isinstance(event, RecipeRead))
        assert read.is_simulated
        assert len(read.views) == 5


def test_a_recipe_that_cannot_be_read_is_refused_before_the_arm_moves(tmp_path: Path, rig_file: Path) -> None:
    """Issue 15, point 15."""
    bad = tmp_path / "recipe.yaml"
    bad.write_text("viewpoints: 3\n")
    with Archive.open(tmp_path / "archive") as archive:
        adapter = EngineAdapter(Engine(rig_file, archive, opener=never_opened), bad, rig_file)
        for verb in (adapter.read_recipe, adapter.reset):
            with pytest.raises(BadInput, match=r"recipe\.yaml"):
                verb()


def test_a_fault_that_stands_is_repeated_to_whoever_connects(tmp_path: Path, rig_file: Path) -> None:
    """Issue 15, point 15."""

    def lost(_path: Path) -> Rig:
        raise DeviceLost("camera", "unplugged")

    with Archive.open(tmp_path / "archive") as archive:
        adapter = EngineAdapter(Engine(rig_file, archive, opener=lost), RECIPE, rig_file)
        with pytest.raises(DeviceLost):
            adapter.reset()
        late: list[Event] = []
        adapter.subscribe(late.append)
    assert StateChanged(State.ERROR, "camera: unplugged") in late
    assert [event.text for event in late if isinstance(event, Fault)] == ["camera: unplugged"]
