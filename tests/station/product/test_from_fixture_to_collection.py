"""A product's first recipe and its first parts, through the command line, on a simulated rig at a small size."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from killed_runs import command, context, count, ended, needs_fork
from killed_runs import run as run_killed

from drivers.simulated.config import Imperfections, SimulatedRigConfig
from drivers.simulated.control import RigControl
from drivers.simulated.process import RigProcess
from station.archive.lock import COLLECTION_LOCK_FILE, WriterLock
from station.collection.folder import Collection
from station.commands.app import app
from station.commands.exit_codes import ExitCode, run_guarded
from station.recipe.demo import SIMULATED_RIG_DRAWING
from station.recipe.fields import DARK
from station.recipe.loaded import load_recipe
from station.rig.simulated import PATIENT_FRAME_TIMEOUT_S, write_rig_file

EXACT_ARM = Imperfections(pose_repeatability_mm=0.0, pose_repeatability_deg=0.0)  # a view is rendered once a part
CONFIG = SimulatedRigConfig(clock_speed=20.0, serial_number="FACET-SIM-COLLECT", imperfections=EXACT_ARM)
VIEWS = {"top": [0.0, 0.0, 258.0, 0.0, -90.0], "right": [176.777, 0.0, 184.777, 45.0, 0.0]}
AXES = ("x_mm", "y_mm", "z_mm", "tilt_deg", "pan_deg")
CHANNELS = (2, 4, 6, 9)
Run = Callable[..., tuple[int, str, str]]


class Bench:
    """A rig that runs, and where the product of these tests lies."""

    def __init__(self, folder: Path) -> None:
        self.rig_file = write_rig_file(folder / "rig", CONFIG, PATIENT_FRAME_TIMEOUT_S)
        self.rig = RigProcess(folder / "rig", CONFIG).start()
        self.control = RigControl(folder / "rig", timeout_s=600.0)
        self.recipe, self.parts = folder / "widget.yaml", folder / "widget-parts"
        self.taught = folder / "taught.yaml"
        views = [{"name": name, "pose": dict(zip(AXES, pose, strict=True))} for name, pose in VIEWS.items()]
        self.taught.write_text(yaml.safe_dump({"schema_version": 1, "viewpoints": views}), encoding="utf-8")

    def collection(self) -> Collection:
        return Collection.open(self.parts)

    def names(self) -> list[str]:
        return [part.name for part in self.collection().parts()]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACET_SIMCAM_ENDPOINTS", "")  # what opening sets is undone
        made = Bench(tmp_path_factory.mktemp("product"))
        yield made
        made.rig.close()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command's exit code, and what it said on standard output and on standard error."""

    def called(*arguments: object, typed: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["station", *map(str, arguments)])
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        code = run_guarded(app)
        said = capsys.readouterr()
        return code, said.out, said.err

    return called


def new(bench: Bench, run: Run, *more: object) -> tuple[int, str, str]:
    channels = [word for channel in CHANNELS for word in ("--channel", channel)]
    return run(
        "product", "new", "widget", "--rig", bench.rig_file, "--calibration", SIMULATED_RIG_DRAWING, "--recipe",
        bench.recipe, "--viewpoints", bench.taught, *channels, *more,
    )  # fmt: skip


def collect(bench: Bench, run: Run, *more: object, typed: str = "") -> tuple[int, str, str]:
    return run("collect", bench.recipe, bench.parts, "--rig", bench.rig_file, *more, typed=typed)


def document(out: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(out)
    return found


def test_a_new_product_gets_a_recipe_that_plan_accepts_with_exposures_that_use_the_range(
    bench: Bench, run: Run
) -> None:
    bench.control.load("connector", 11)
    code, out, err = new(bench, run, "--json")
    assert code == ExitCode.DONE, err
    report = document(out)
    for light in report["exposures"].values():
        assert 0.55 < max(light["brightest"].values()) < 0.8
    assert "tell little about it" in report["why_no_gloss"]
    assert any("station train --data" in line for line in report["left_to_do"])
    assert report["plane_heights_mm"] == {}, "two views do not tell how sure a height is"
    assert "give plane_height_mm" in report["left_to_do"][0]
    assert (report["grazing"], report["left_out"]) == ({}, [])
    loaded = load_recipe(bench.recipe, need_model=False)
    assert [light.channel for light in loaded.recipe.lights] == list(CHANNELS)
    assert set(loaded.recipe.reference_levels) == set(VIEWS)
    code, out, err = run("plan", "--recipe", bench.recipe, "--json")
    assert code == ExitCode.DONE
    assert len(json.loads(out)) == len(VIEWS) * len(CHANNELS) + 1
    assert "has no model yet" in err


def test_a_recipe_that_is_there_is_never_overwritten(bench: Bench, run: Run) -> None:
    before = bench.recipe.read_bytes()
    code, _, err = new(bench, run)
    assert code == ExitCode.BAD_INPUT
    assert "is there already, and a recipe is never overwritten" in err
    assert bench.recipe.read_bytes() == before


def test_parts_are_loaded_by_seed_and_taken_with_their_frames_and_poses_and_a_second_run_goes_on(
    bench: Bench, run: Run
) -> None:
    code, out, err = collect(bench, run, "--load", "connector", "--seed", 21, "--count", 2, "--by", "ann", "--json")
    assert code == ExitCode.DONE, err
    assert [(p["part"], p["split"]) for p in document(out)["added"]] == [
        ("connector-21", "train"), ("connector-22", "calibrate"),
    ]  # fmt: skip
    part = bench.collection().part("connector-21")
    assert set(part.frames["top"]) == {"L45", "L135", "L225", "diffuse", DARK}
    assert set(part.frames["right"]) == {"L45", "L135", "L225", "diffuse"}
    assert {view: np.round(pose, 2).tolist() for view, pose in part.poses.items()} == {
        view: np.round(pose, 2).tolist() for view, pose in VIEWS.items()
    }
    assert part.facts["by"] == "ann"
    assert part.facts["made_under"]["rig"] == CONFIG.name
    code, out, _ = collect(bench, run, "--load", "connector", "--seed", 21, "--count", 2, "--json")
    assert code == ExitCode.DONE
    assert document(out)["held_before"] == ["connector-21", "connector-22"]


def test_a_defective_part_tests_and_keeps_where_its_defect_lies(bench: Bench, run: Run) -> None:
    code, out, err = collect(
        bench, run, "--load", "connector", "--seed", 23, "--defect", "scratch", "--note", "from the bin", "--json"
    )
    assert code == ExitCode.DONE, err
    (added,) = document(out)["added"]
    assert (added["kind"], added["split"]) == ("scratch", "test")
    collection = bench.collection()
    part = collection.part(added["part"])
    assert part.facts["note"] == "from the bin"
    shape = collection.frames(part, "top")["diffuse"].pixels.shape
    assert collection.mask(part, "top", (shape[0], shape[1])).any()


@pytest.mark.parametrize(
    ("fault", "repair", "told"),
    [
        ("ambient 0.2", "ambient 0", "keep other light out"),
        ("lights.light_dead 4", "lights.light_repaired 4", "light 'L135' is dead"),
    ],
)
def test_a_bad_capture_is_refused_at_once_with_its_reason_and_nothing_is_added(
    bench: Bench, run: Run, fault: str, repair: str, told: str
) -> None:
    bench.control.load("connector", 22)
    before = bench.names()
    name, *arguments = fault.split()
    bench.control.inject(name, *arguments)
    try:
        code, _, err = collect(bench, run, "--part-id", "bad-1")
    finally:
        name, *arguments = repair.split()
        bench.control.inject(name, *arguments)
    assert code == ExitCode.FOUND
    assert "bad-1: REFUSED, nothing was added" in err
    assert told in err
    assert bench.names() == before


def test_a_person_is_asked_for_part_after_part_and_an_empty_fixture_is_no_part(bench: Bench, run: Run) -> None:
    bench.control.load("empty", 0)
    code, _, err = collect(bench, run, typed="no/slash\nconnector-21\nE-1\nquit\n")
    assert code == ExitCode.FOUND
    assert "! 'no/slash' cannot name a part" in err
    assert "! connector-21 is there already" in err
    assert "E-1: REFUSED" in err
    assert "E-1" not in bench.names()


def test_a_part_taken_again_replaces_the_first_and_only_when_that_is_asked_for(bench: Bench, run: Run) -> None:
    bench.control.load("connector", 22)
    first = bench.collection().part("connector-22")
    code, _, err = collect(bench, run, "--part-id", "connector-22")
    assert code == ExitCode.BAD_INPUT
    assert "holds connector-22 already" in err
    code, _, err = collect(bench, run, "--part-id", "connector-22", "--again")
    assert code == ExitCode.DONE, err
    second = bench.collection().part("connector-22")
    assert second.fingerprint != first.fingerprint
    assert (second.take, second.split) == (2, "calibrate")
    assert bench.collection().frames(second, "top")


@needs_fork
def test_a_killed_collect_loses_no_whole_part_and_the_next_run_takes_the_rest(bench: Bench, tmp_path: Path) -> None:
    """Issue 11, acceptance: SIGKILL after a seeded number of frames is on the disk."""
    rng, forks = np.random.default_rng(5), context("station.commands.app", "station.commands.collecting")
    line = (
        "collect", str(bench.recipe), str(bench.parts), "--rig", str(bench.rig_file), "--load", "connector", "--seed",
        "21", "--count", "3",
    )  # fmt: skip
    part, log, wanted = bench.parts / "parts" / "connector-23", str(tmp_path / "log"), int(rng.integers(2, 7))
    before = set(bench.names())
    assert {"connector-21", "connector-22"} <= before
    assert run_killed(forks, command, line, log, kill_when=lambda: count(part, "*.png") >= wanted)
    assert set(bench.names()) == before
    assert ended(forks, command, line, log) == ExitCode.DONE, Path(log).read_text()
    assert set(bench.names()) == {*before, "connector-23"}
    collection = bench.collection()
    for taken in collection.parts():
        assert all(collection.frames(taken, view) for view in taken.frames), "every frame has its hash"


def test_two_programs_never_write_to_one_collection(bench: Bench, run: Run) -> None:
    lock = WriterLock.take(bench.parts, "a test", COLLECTION_LOCK_FILE)
    code, _, err = collect(bench, run, "--part-id", "P-9")
    lock.release()
    assert code == ExitCode.FAULT
    assert "(a test) writes to this collection" in err
