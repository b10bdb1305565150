"""Bad input on the command line: one clear line, the right exit code, nothing written half."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from drivers.simulated.config import SimulatedRigConfig
from station.commands.app import app
from station.commands.exit_codes import ExitCode, run_guarded
from station.recipe.demo import DEMO_RECIPES
from station.rig.simulated import write_rig_file


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["station", *map(str, arguments)])
    return run_guarded(app)


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """A folder that `station solve` accepts: a plane under four lights."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    directions = np.array([[0.5, 0, 0.866], [-0.5, 0, 0.866], [0, 0.5, 0.866], [0, -0.5, 0.866]])
    for n in range(4):
        cv2.imwrite(str(folder / f"{n}.png"), np.full((24, 32), 120, np.uint8))
    cv2.imwrite(str(folder / "mask.png"), np.full((24, 32), 255, np.uint8))
    (folder / "filenames.txt").write_text("".join(f"{n}.png\n" for n in range(4)))
    np.savetxt(folder / "light_directions.txt", directions)
    return folder


def test_solve_answers_with_json(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "solve", photographs, "--out", tmp_path / "out", "--json") == ExitCode.DONE
    report = json.loads(capsys.readouterr().out)
    assert report["method"] == "masked"
    assert (tmp_path / "out" / "normals.png").is_file()


def test_a_missing_frame_is_named_and_nothing_is_written(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (photographs / "2.png").unlink()
    assert run(monkeypatch, "solve", photographs, "--out", tmp_path / "out") == ExitCode.BAD_INPUT
    assert "2.png" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("gain_db: 0.0", "gain: 0.0", ["connector.yaml:", "gain", "gain_db"]),
        ("exposure_us: 8000.0", "exposure_us: 8 ms", ["connector.yaml:", "exposure_us", "microseconds"]),
        ("channel: 4, kind: directional", "channel: 4, kind: diffuse", ["connector.yaml:", "diffuse"]),
        ("models/connector.onnx", "models/nowhere.onnx", ["connector.yaml:", "nowhere.onnx"]),
    ],
)
def test_a_broken_recipe_is_refused_with_file_line_and_field(
    old: str,
    new: str,
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recipes = tmp_path / "recipes"
    shutil.copytree(DEMO_RECIPES, recipes)
    recipe = recipes / "connector.yaml"
    text = recipe.read_text(encoding="utf-8")
    assert old in text
    recipe.write_text(text.replace(old, new, 1), encoding="utf-8")
    code = run(monkeypatch, "plan", "--recipe", recipe)
    assert code == ExitCode.BAD_INPUT
    message = capsys.readouterr().err
    assert [word for word in words if word not in message] == []


def test_a_rig_file_that_is_not_there_is_bad_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(
        monkeypatch,
        "inspect",
        "--rig",
        tmp_path / "no.yaml",
        "--recipe",
        DEMO_RECIPES / "connector.yaml",
        "--part",
        "A",
        "--out",
        tmp_path / "o",
    )
    assert code == ExitCode.BAD_INPUT
    assert "no.yaml" in capsys.readouterr().err


def test_a_rig_that_does_not_run_is_a_fault_of_the_rig(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "rig", "load", "connector", "--folder", tmp_path) == ExitCode.FAULT
    assert "station rig up" in capsys.readouterr().err


def test_a_missing_option_is_bad_input(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, "inspect") == ExitCode.BAD_INPUT


def test_the_plan_is_printed_step_by_step(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "plan", "--recipe", DEMO_RECIPES / "connector.yaml", "--json") == ExitCode.DONE
    steps = json.loads(capsys.readouterr().out)
    assert len(steps) == 26  # 5 x 5 under a light, one dark
    assert {step["view"] for step in steps} == {"top", "front", "right", "back", "left"}


def test_a_viewpoint_outside_the_travel_is_refused_with_its_line_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(DEMO_RECIPES, tmp_path / "recipes")
    recipe = tmp_path / "recipes" / "connector.yaml"
    recipe.write_text(recipe.read_text("utf-8").replace("x_mm: 176.777", "x_mm: 276.777", 1), "utf-8")
    rig = write_rig_file(tmp_path / "rig", SimulatedRigConfig())
    out = tmp_path / "out"
    code = run(monkeypatch, "inspect", "--rig", rig, "--recipe", recipe, "--part", "A", "--out", out)
    assert code == ExitCode.BAD_INPUT
    message = capsys.readouterr().err
    assert "connector.yaml:" in message
    assert "x_mm = 276.777 is outside the travel -220 .. 220" in message
    assert not out.exists()


def test_a_truncated_model_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(DEMO_RECIPES, tmp_path / "recipes")
    model = tmp_path / "recipes" / "models" / "connector.onnx"
    model.write_bytes(model.read_bytes()[:100_000])
    recipe = tmp_path / "recipes" / "connector.yaml"
    rig = write_rig_file(tmp_path / "rig", SimulatedRigConfig())
    out = tmp_path / "out"
    code = run(monkeypatch, "inspect", "--rig", rig, "--recipe", recipe, "--part", "A", "--out", out)
    assert code == ExitCode.BAD_INPUT
    assert "connector.onnx has SHA-256" in capsys.readouterr().err
    assert not out.exists()
