"""Drafts become immutable versions behind a gate; results name their release; versions can be gone back to."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from station.commands.app import app
from station.commands.exit_codes import ExitCode, run_guarded
from station.engine.preparation import read_recipe_files
from station.recipe.edit import update_recipe_values
from station.recipe.loaded import load_recipe
from station.recipe.releases import ReleaseError, read_active, release_of
from station.release.gate import Asked
from station.release.releasing import release_recipe, roll_back
from station.release.version import PARTIAL
from station.teach.training import train

DEFECTIVE, GOOD = "scratch-11", "good-10"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["station", *map(str, arguments)])
    return run_guarded(app)


def silent(_what: str, _share: float) -> None:
    """Progress that nobody reads."""


def released(recipe: Path, why: str = "tried") -> int | None:
    return release_recipe(recipe, why, "Anna", Asked(collection=recipe.parents[1] / "tiles"), silent).number


def with_limits(recipe: Path, limit: float) -> None:
    update_recipe_values(recipe, limits={"top": limit, "left": limit})


def test_the_way_of_a_recipe_from_draft_to_release_and_back(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Issue 11, point 7: every command once, with the real gate."""
    tiles, home = recipe.parents[1] / "tiles", recipe.parent / "releases" / "tile"
    assert run(monkeypatch, "models", recipe) == ExitCode.DONE
    assert "every result says DRAFT" in capsys.readouterr().out
    why = ("--why", "first one", "--by", "Anna")
    assert run(monkeypatch, "release", recipe, *why, "--collection", tiles) == ExitCode.DONE
    assert "version 1 is active" in capsys.readouterr().out
    assert read_recipe_files(recipe).release == "1"
    assert read_recipe_files(home).release == "1"
    assert read_recipe_files(home / "0001" / "recipe.yaml").release == "1"

    limits = {v.name: v.limit for v in load_recipe(recipe).recipe.viewpoints}
    with_limits(recipe, 0.001)
    assert read_recipe_files(recipe).release.startswith("draft: tile.yaml is not the active release 1")
    assert read_recipe_files(home).release == "1", "what is edited is the draft"
    again = ("release", recipe, "--why", "stricter", "--json")
    assert run(monkeypatch, *again) == ExitCode.FOUND
    report = json.loads(capsys.readouterr().out)
    assert report["did"] == "refused"
    assert report["active"] == 1
    (failure,) = report["failures"]
    assert failure.startswith(f"{GOOD}: FAIL (")
    assert failure.endswith("the reference set has PASS")
    with_limits(recipe, 1e6)
    assert run(monkeypatch, *again) == ExitCode.FOUND
    (failure,) = json.loads(capsys.readouterr().out)["failures"]
    assert failure.startswith(f"{DEFECTIVE}: PASS (")
    assert "it is defective (scratch)" in failure
    assert run(monkeypatch, *again[:2], "--why", "w", "--check") == ExitCode.FOUND
    assert "NOT released" in capsys.readouterr().out
    assert run(monkeypatch, *again, "--accept", DEFECTIVE) == ExitCode.DONE
    assert json.loads(capsys.readouterr().out)["active"] == 2

    assert run(monkeypatch, "diff", f"{recipe}@1", f"{recipe}@2", "--json") == ExitCode.DONE
    found = json.loads(capsys.readouterr().out)
    assert found["limits"] == {view: [limits[view], 1e6] for view in limits}
    assert found["verdicts"] == [{"name": DEFECTIVE, "kind": "scratch", "a": "FAIL", "b": "PASS"}]
    assert (found["fields"], found["files"], found["compared_parts"]) == ({}, {}, 2)

    assert run(monkeypatch, "rollback", recipe, 1, "--why", "misses scratches") == ExitCode.DONE
    assert "version 1 is active, after version 2" in capsys.readouterr().out
    assert read_recipe_files(home).release == "1"
    assert read_recipe_files(recipe).release.startswith("draft: ")
    assert read_recipe_files(home / "0002" / "recipe.yaml").release.startswith("draft: ")
    assert run(monkeypatch, "models", recipe) == ExitCode.DONE
    text = capsys.readouterr().out
    assert "version 1  ACTIVE" in text
    assert "Anna: first one" in text
    assert "rolled back 1" in text
    assert "reference set 1 of 2 kept, 1 accepted" in text


@pytest.mark.usefixtures("gated")
def test_a_kill_at_any_moment_leaves_the_active_version_and_the_next_run_ends_what_was_begun(
    recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 11: the process ends at the first, second ... call that changes the disk."""
    home = recipe.parent / "releases" / "tile"
    assert released(recipe) == 1
    with_limits(recipe, 2.5)
    moment, active = 0, 1
    while active == 1:
        moment += 1
        with monkeypatch.context() as patch:
            calls = _kill_at(patch, moment)
            try:
                released(recipe)
            except _Killed:
                pass
            else:
                assert calls[0] < moment, "it was not killed, and so it has ended"
        of_now = read_active(home)
        assert of_now is not None
        active = of_now.number
        assert release_of(load_recipe(home / f"{active:04d}" / "recipe.yaml")) == str(active)
    assert moment > 10, "every file is a moment of its own"
    assert active == 2, "an interrupted run's whole version was made active, and not written again"
    assert not list(home.glob(f"{PARTIAL}*"))
    assert release_of(load_recipe(recipe)) == "2"


class _Killed(BaseException):
    """In place of a kill: nothing in the program catches it."""


def _kill_at(patch: pytest.MonkeyPatch, moment: int) -> list[int]:
    """Raise _Killed instead of the `moment`-th change of the disk; the count of changes."""
    import station.documents.atomic as atomic
    import station.release.version as version

    calls = [0]

    def counted(function):
        def call(*arguments, **options):
            calls[0] += 1
            if calls[0] >= moment:
                raise _Killed
            return function(*arguments, **options)

        return call

    for module, name in (
        (version, "write_synced"), (version, "sync_folder"), (version.os, "rename"), (atomic, "write_synced"),
        (atomic.os, "replace"),
    ):  # fmt: skip
        patch.setattr(module, name, counted(getattr(module, name)))
    return calls


@pytest.mark.usefixtures("gated")
def test_what_was_released_is_never_changed_and_damage_is_found(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert released(recipe) == 1
    report = release_recipe(recipe, "again", "Anna", Asked(), silent)
    assert (report.did, report.number) == ("nothing", 1)
    version = recipe.parent / "releases" / "tile" / "0001"
    for change in (
        lambda: with_limits(version / "recipe.yaml", 3.0),
        lambda: train(None, recipe.parents[1] / "tiles", version / "recipe.yaml", 1),
        lambda: release_recipe(version / "recipe.yaml", "w", "", Asked(), silent),
    ):
        with pytest.raises(ReleaseError, match="was released and never changes; change the draft"):
            change()
    with_limits(recipe, 3.0)
    assert released(recipe) == 2
    (version / "model.onnx").chmod(0o644)
    (version / "model.onnx").write_bytes(b"another model")
    with pytest.raises(ReleaseError, match=r"0001: model\.onnx was changed; restore it from a backup"):
        roll_back(recipe, 1, "why not", "Anna")
    assert run(monkeypatch, "models", recipe) == ExitCode.FOUND
    assert "version 1 is DAMAGED: model.onnx was changed" in capsys.readouterr().out
    manifest = version.with_name("0002") / "manifest.json"
    manifest.chmod(0o644)
    manifest.write_text(manifest.read_text().replace("Anna", "Otto"))
    assert release_of(load_recipe(recipe)).startswith("draft: ")
    assert "was changed since it was released" in release_of(load_recipe(recipe))


def test_bad_input_is_one_line_that_says_what_to_do(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, words in (
        (("release", recipe, "--why", "w"), "the first release defines the reference set: name a --collection"),
        (("release", recipe, "--why", " ", "--collection", recipe.parents[1] / "tiles"), "--why is empty"),
        (("release", recipe, "--why", "w", "--collection", recipe.parent), "collection.json is missing"),
        (("release", recipe, "--why", "w", "--reference", "01X"), "with --archive"),
        (("rollback", recipe, 3, "--why", "w"), "no version was ever released"),
        (("diff", recipe, f"{recipe}@4"), "there is no version 4; there are: none"),
        (("inspect", "--rig", "r", "--recipe", recipe.parent, "--part", "A", "--out", recipe.parents[1] / "o"), "r:"),
        (("plan", "--recipe", recipe.parent), "is a folder without an active release"),
    ):
        assert run(monkeypatch, *arguments) == ExitCode.BAD_INPUT, arguments
        assert words in capsys.readouterr().err
    assert not list((recipe.parent / "releases").glob("*/0*"))


def test_what_does_not_belong_together_is_refused_in_one_line_with_exit_code_2(
    folder: Path, recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Issue 11, the acceptance's bad input; a gate that fails is in the way of a recipe above."""
    kind = "it was trained for 'tile', the recipe is for 'slab'"
    tiles, text, index = folder / "tiles", recipe.read_text(), (folder / "tiles" / "collection.json").read_text()
    record = tiles / "parts" / "good-0" / "part.json"
    part, mask = record.read_text(), tiles / "parts" / DEFECTIVE / "top_mask.png"
    train_it, plan = ("train", "--data", tiles, "--recipe", recipe), ("plan", "--recipe", recipe)
    release = ("release", recipe, "--why", "w", "--collection", tiles)
    calibration = load_recipe(recipe).sha256s["calibration"]
    without_view = json.dumps({**json.loads(part), "frames": {"left": json.loads(part)["frames"]["left"]}})
    small = cv2.imencode(".png", np.full((10, 10), 255, np.uint8))[1].tobytes()
    limit = next(line for line in text.splitlines() if "limit:" in line)
    for path, content, arguments, words in (
        (tiles / "collection.json", index.replace(calibration, "c" * 64), train_it, "under calibration cccccccccccc"),
        (tiles / "collection.json", index.replace(calibration, "c" * 64), release, "under calibration cccccccccccc"),
        (tiles / "collection.json", index.replace('"left"', '"right"'), train_it, "lacks the view 'left'"),
        (record, without_view, train_it, "part good-0 lacks top/L45"),
        (mask, small, train_it, "top_mask.png: is of 10 x 10 pixels, expected a mask of 144 x 96"),
        (recipe, text.replace("product: tile", "product: slab"), release, kind),
        (recipe, text.replace(limit, limit.split(":")[0] + ": .nan"), plan, "limit: expected a finite number"),
    ):  # fmt: skip
        before = path.read_bytes()
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        shutil.rmtree(folder / "tiles-prepared", ignore_errors=True)
        code = run(monkeypatch, *arguments)
        said = capsys.readouterr().err
        path.write_bytes(before)
        assert (code, words in said) == (ExitCode.BAD_INPUT, True), said
        (line,) = [each for each in said.splitlines() if each.startswith("error")]
        assert words in line
    assert not list((recipe.parent / "releases").glob("*/0*"))
