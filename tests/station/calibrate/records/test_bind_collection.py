"""Raw frames of a rig that was measured afterwards, lamps unequal and lights elsewhere, solved under its record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from made_collection import DIRECTIONS, TILE, VIEWS, made_collection, made_frames, made_recipe, made_references

from drivers.protocols import Frame
from station.collection.folder import FORMER, Collection, CollectionError
from station.commands.app import app
from station.commands.exit_codes import ExitCode, run_guarded
from station.recipe.loaded import LoadedRecipe, load_recipe
from station.teach.prepare import prepare

POWER = {"L45": 1.2, "L135": 0.8, "L225": 1.1, "L315": 0.9}
TURN_DEG = 3.0  # every light is elsewhere about the camera's axis


def turned(direction: tuple[float, float, float]) -> tuple[float, float, float]:
    c, s = np.cos(np.radians(TURN_DEG)), np.sin(np.radians(TURN_DEG))
    return float(c * direction[0] - s * direction[1]), float(s * direction[0] + c * direction[1]), direction[2]


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["station", *map(str, arguments)])
    return run_guarded(app)


def frames_of_the_rig(
    monkeypatch: pytest.MonkeyPatch, seed: int, scratched: bool = False
) -> dict[str, dict[str, Frame]]:
    """As `made_frames`, on a rig whose lamps are unequal and stand elsewhere."""
    with monkeypatch.context() as patch:
        patch.setattr("made_collection.DIRECTIONS", {name: turned(toward) for name, toward in DIRECTIONS.items()})
        frames = made_frames(seed, scratched)
    for of_view in frames.values():
        for name, power in POWER.items():
            counts = np.rint(64 + (of_view[name].pixels.astype(float) - 64) * power).astype(np.uint16)
            of_view[name] = Frame(counts, "BayerRG12", 12, 64.0, 8000.0, 0.0, 0, 0)
    return frames


def true_record(loaded: LoadedRecipe, folder: Path) -> Path:
    """What a calibration of that rig states, released."""
    drawn = yaml.safe_load(loaded.calibration_path.read_text())
    for light in drawn["lights"]:
        if light["kind"] == "directional":
            light["position_mm"] = [250 * v for v in turned(DIRECTIONS[light["name"]])]
            light["relative_intensity"] = POWER[light["name"]]
    about = {
        "measured": ["light directions"], "released_by": "engineer", "released": "2026-11-24T12:00:00Z",
        "expires": "2099-11-24T12:00:00Z",
    }  # fmt: skip
    path = folder / "measured.calibration.yaml"
    path.write_text(yaml.safe_dump({**drawn, "calibration_id": "measured", "provenance": about}), encoding="utf-8")
    return path


def normals_of(folder: Path) -> Mapping[str, np.ndarray]:
    """View -> (H, W, 3) of one prepared part, x y z."""
    found = {}
    for view in VIEWS:
        packed = cv2.imread(str(folder / "test" / "good" / "normal" / f"good-10_{view}.png"), cv2.IMREAD_UNCHANGED)
        assert packed is not None
        found[view] = (packed[TILE][..., ::-1].astype(float) - 32768) / 32767
    return found


def test_frames_taken_before_the_rig_was_measured_are_solved_under_its_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Issue 11, acceptance: the raw frames stay, and the truth is nearer under the record of the rig that took them."""
    monkeypatch.setattr("station.teach.prepare.part_references_of", made_references)
    loaded = made_recipe(tmp_path / "recipe")
    made_collection(loaded, tmp_path / "truth")
    with monkeypatch.context() as patch:
        patch.setattr("made_collection.made_frames", lambda *a: frames_of_the_rig(monkeypatch, *a))
        made_collection(loaded, tmp_path / "parts")
    record = true_record(loaded, tmp_path / "recipe")
    bind = ("calibrate", "bind", record, loaded.path, "--collection", tmp_path / "parts")
    drawn = {name: prepared(loaded, tmp_path / name) for name in ("truth", "parts")}

    assert run(monkeypatch, *bind) == ExitCode.BAD_INPUT
    assert "--collection needs --by and --why" in capsys.readouterr().err
    assert run(monkeypatch, *bind, "--by", "Anna", "--why", "measured after the parts were taken") == ExitCode.DONE
    assert "its frames are solved under" in capsys.readouterr().out
    about = json.loads((tmp_path / "parts" / "collection.json").read_text())
    assert [(f["sha256"], f["by"]) for f in about[FORMER]] == [(loaded.sha256s["calibration"], "Anna")]
    under_record = load_recipe(loaded.path, need_model=False)
    with pytest.raises(CollectionError, match="prepared with another calibration: remove the folder"):
        prepared(under_record, tmp_path / "parts", tmp_path / "parts-prepared")
    measured = prepared(under_record, tmp_path / "parts", tmp_path / "anew")
    for view in VIEWS:
        far, near = (np.abs(found[view] - drawn["truth"][view]).mean() for found in (drawn["parts"], measured))
        assert near < 0.25 * far, (
            "under the drawing the normals are wrong, and under the record they are those of the part"
        )


def prepared(loaded: LoadedRecipe, folder: Path, out: Path | None = None) -> Mapping[str, np.ndarray]:
    out = out or folder.with_name(f"{folder.name}-prepared")
    prepare(loaded, Collection.open(folder), out, lambda *_: None)
    return normals_of(out)
