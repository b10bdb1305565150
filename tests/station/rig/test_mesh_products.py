"""A mesh is loaded over the rig's back door by `station rig load FILE`, and refused in one line where it is no part."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
import trimesh

from drivers.geometry.pose import Pose
from drivers.simulated.back_door import BackDoor
from drivers.simulated.config import SimulatedRigConfig
from drivers.simulated.control import ControlServer, RigControl
from drivers.simulated.world.world import World
from station.commands.app import app
from station.commands.exit_codes import ExitCode, run_guarded
from station.errors import BadInput
from station.rig.products import product_name

TOP = Pose(0.0, 0.0, 258.0, 0.0, -90.0)


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, World]]:
    """The back door of a rig's real world, in this process."""
    config = SimulatedRigConfig.model_validate({"imperfections": {"light_bounces": 0}})
    folder, world = tmp_path_factory.mktemp("running"), World(config)
    server = ControlServer(folder, BackDoor(world, folder, world.faults, Event()).verbs())
    server.start()
    yield folder, world
    server.close()


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["station", *map(str, arguments)])
    return run_guarded(app)


def test_a_mesh_lies_in_the_fixture_after_it_was_loaded_by_its_path_and_later_by_its_name(
    rig: tuple[Path, World], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, world = rig
    trimesh.creation.cylinder(radius=9.0, height=6.0, sections=48).export(tmp_path / "puck.stl")
    monkeypatch.chdir(tmp_path)
    code = run(monkeypatch, "rig", "load", "puck.stl", "--seed", 4, "--defect", "dent", "--folder", folder, "--json")
    assert code == 0
    loaded = json.loads(capsys.readouterr().out)["loaded"]
    assert loaded["product"] == str((tmp_path / "puck.stl").resolve())
    truth = world.fixture.scene.truth(TOP, 16)
    assert truth.depth_mm[truth.part_mask].min() == pytest.approx(252.0, abs=0.1)
    assert truth.defect_mask.sum() > 8
    RigControl(folder).load("puck", 5)
    assert world.fixture.scene.part.product == "puck"
    assert world.fixture.scene.part.seed == 5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("units: yards\n", "puck.yaml:1:1: units"),
        ("name: puck\nmaterial:\n  albedo: [0.5, 0.5, 2.0]\n", "puck.yaml:3:22: material.albedo[2]: found 2.0"),
        ("units: m\n", "larger than the fixture"),
    ],
)
def test_a_mesh_that_is_no_part_is_bad_input_in_one_line(
    rig: tuple[Path, World], tmp_path: Path, text: str, words: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    trimesh.creation.cylinder(radius=9.0, height=6.0).export(tmp_path / "puck.stl")
    (tmp_path / "puck.yaml").write_text(text)
    assert run(monkeypatch, "rig", "load", tmp_path / "puck.stl", "--folder", rig[0]) == ExitCode.BAD_INPUT
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


def test_without_the_extra_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trimesh.creation.cylinder(radius=9.0, height=6.0).export(tmp_path / "lonely.stl")
    monkeypatch.setattr("drivers.simulated.scene.meshes.file._PACKAGES", ("trimesh", "no_such_ray_tracer"))
    with pytest.raises(BadInput, match=r"no_such_ray_tracer, which is not installed; run pip install .*meshes"):
        product_name(str(tmp_path / "lonely.stl"))
