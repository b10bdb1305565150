"""`station depth`: a folder or an archived inspection becomes pictures and meshes, and bad input is one clear line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from stepped_views import tiny, write_folder

from models.generative.train import train_depth
from station.archive import Archive
from station.archive.ids import new_inspection_id
from station.commands.app import app
from station.commands.exit_codes import ExitCode, run_guarded
from station.depth import model_half
from station.depth.dataset import write_reliefs
from station.depth.files import read_depth
from station.depth.generated import ReliefPatches
from station.inspection.result import Inspection
from station.recipe.demo import DEMO_RECIPES
from station.recipe.loaded import load_recipe


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["station", *map(str, arguments)])
    return run_guarded(app)


@pytest.fixture(scope="module")
def reliefs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("depth") / "reliefs"
    write_reliefs(folder, {"test": 1}, 0, ReliefPatches(16, 1), 1, lambda _what, _share: None)
    return folder


def archived(inspection: Inspection, folder: Path, views: int) -> tuple[Path, str]:
    """An archive with the first views of an inspection, and the id that it has there."""
    loaded = load_recipe(DEMO_RECIPES / "knob.yaml")
    kept = replace(
        inspection, inspection_id=new_inspection_id(), provenance=loaded.sha256s, views=inspection.views[:views]
    )
    with Archive.open(folder) as archive:
        for path, sha256, suffix in loaded.files():
            archive.keep_document(path, sha256, suffix)
        archive.record(kept, [])
    return folder, kept.inspection_id


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """A plane that rises to the right by half its length, under four far lights."""
    folder = tmp_path / "plane"
    folder.mkdir()
    directions = np.array([[0.5, 0, 0.866], [-0.5, 0, 0.866], [0, 0.5, 0.866], [0, -0.5, 0.866]])
    normal = np.array([-0.5, 0.0, 1.0]) / np.sqrt(1.25)
    for n, direction in enumerate(directions):
        cv2.imwrite(str(folder / f"{n}.png"), np.full((24, 32), round(40000 * direction @ normal), np.uint16))
    cv2.imwrite(str(folder / "mask.png"), np.full((24, 32), 255, np.uint8))
    (folder / "filenames.txt").write_text("".join(f"{n}.png\n" for n in range(4)))
    np.savetxt(folder / "light_directions.txt", directions)
    return folder


def test_photographs_become_a_height_in_mm(photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, "depth", photographs, "--out", tmp_path / "out", "--mm-per-px", 0.2) == ExitCode.DONE
    report = json.loads((tmp_path / "out" / "depth.json").read_text())
    assert (report["method"], report["unit"]) == ("integrate", "mm")
    height = read_depth(tmp_path / "out" / "plane_depth.png", report["views"][0]["depth_step"])
    np.testing.assert_allclose(np.diff(height, axis=1), 0.1, atol=0.003)
    for name in report["views"][0]["files"]:
        assert (tmp_path / "out" / name).is_file()


def test_an_archived_inspection_becomes_a_height_for_each_view(
    good_inspection: Inspection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place, inspection_id = archived(good_inspection, tmp_path / "archive", views=2)
    code = run(monkeypatch, "depth", inspection_id, "--archive", place, "--out", tmp_path / "out", "--json")
    assert code == ExitCode.DONE, capsys.readouterr().err
    report = json.loads(capsys.readouterr().out)
    assert [view["name"] for view in report["views"]] == ["top", "front"]
    low, high = report["views"][0]["height_range"]
    assert 1.0 < high - low < 20.0


def test_a_sheet_shows_truth_and_integration(reliefs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, "depth", "sheet", reliefs, "--out", tmp_path / "a1.png") == ExitCode.DONE
    picture = cv2.imread(str(tmp_path / "a1.png"))
    assert picture is not None
    assert picture.shape[1] > 1000


def data_set(folder: Path) -> Path:
    """A good and a dented part in two views, as `station dataset simulate` writes them."""
    folder.mkdir()
    grey = np.full((12, 18, 3), 30000, np.uint16)
    for name, picture in (("rgb.png", grey), ("normal.png", grey + 20000), ("mask.png", (grey[..., 0] * 0 + 255))):
        cv2.imwrite(str(folder / name), picture if name != "mask.png" else picture.astype(np.uint8))
    items = [
        {
            "part": kind, "view": view, "split": split, "kind": kind, "rgb": "rgb.png", "normal": "normal.png",
            "mask": "mask.png" if kind == "dent" else None,
        }
        for kind, split in (("good", "train"), ("dent", "test"))
        for view in ("top", "front")
    ]  # fmt: skip
    index = {
        "product": "knob", "views": ["top", "front"], "input_size": [12, 18], "photometric_stereo": {}, "items": items,
    }  # fmt: skip
    (folder / "index.json").write_text(json.dumps(index))
    return folder


def test_an_overview_has_a_row_for_each_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sets = [data_set(tmp_path / name) for name in ("one", "two")]
    heights = []
    for given in (sets[:1], sets):
        out = tmp_path / f"{len(given)}.png"
        assert run(monkeypatch, "depth", "sheet", *given, "--figure", "overview", "--out", out) == ExitCode.DONE
        picture = cv2.imread(str(out))
        assert picture is not None
        heights.append(picture.shape[0])
    assert heights[1] > 1.4 * heights[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--method", "residual"], "--method residual needs --model FILE"),
        (["--method", "residual", "--model", "nowhere.pt"], "nowhere.pt: no such file"),
        (["--split", "train"], "holds no view in the split train"),
    ],
)
def test_what_is_missing_is_named(
    reliefs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    arguments: list[str], words: str,
) -> None:  # fmt: skip
    assert run(monkeypatch, "depth", reliefs, "--out", tmp_path / "out", *arguments) == ExitCode.BAD_INPUT
    assert words in capsys.readouterr().err


def test_a_folder_of_neither_kind_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "depth", tmp_path, "--out", tmp_path / "out") == ExitCode.BAD_INPUT
    assert "holds neither filenames.txt (photographs) nor dataset.json" in capsys.readouterr().err


def test_without_the_models_half_training_names_the_extra(
    reliefs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(model_half, "TRAIN", "models.generative_that_is_not_here")
    assert run(monkeypatch, "depth", "train", reliefs, "--out", tmp_path / "m.onnx") == ExitCode.BAD_INPUT
    said = capsys.readouterr().err
    assert 'pip install "facet-station[generative]"' in said
    assert said.count("\n") == 1


def test_a_method_may_stand_before_the_folder(reliefs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = run(monkeypatch, "depth", "--method", "integrate", reliefs, "--out", tmp_path / "out")
    assert code == ExitCode.DONE


def test_a_model_writes_height_uncertainty_picture_and_mesh_of_an_archived_inspection(
    good_inspection: Inspection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data, model, out = write_folder(tmp_path / "data", 3, 2), tmp_path / "m.pt", tmp_path / "out"
    train_depth(data, model, "residual", 0, 3, False, print, tiny(head="slopes", slope_widths=(8, 16)))
    place, inspection_id = archived(good_inspection, tmp_path / "archive", views=1)
    capsys.readouterr()
    given = ["--method", "residual", "--model", model, "--samples", 2, "--json"]
    code = run(monkeypatch, "depth", inspection_id, "--archive", place, "--out", out, *given)
    assert code == ExitCode.DONE, capsys.readouterr().err
    (view,) = json.loads(capsys.readouterr().out)["views"]
    assert set(view["files"]) == {f"top{end}" for end in ("_depth.png", "_std.png", "_reliability.png", ".png", ".ply")}
    spread = cv2.imread(str(out / "top_std.png"), cv2.IMREAD_UNCHANGED)
    assert spread is not None
    assert spread.dtype == np.uint16
    assert view["std_step"] > 0
