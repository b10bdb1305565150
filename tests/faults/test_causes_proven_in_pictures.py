"""Causes that are not the part, on the simulated rig through the station: each is named, none ends in a bare FAIL.

No device notices any of them. Two views of the demo recipe are enough, and the arm comes back exactly: a view is then
rendered once for a place of the camera.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from drivers.simulated.config import Imperfections, SimulatedRigConfig
from drivers.simulated.process import RigProcess
from station.archive import Archive
from station.engine.engine import Engine
from station.engine.events import Event, StepDone
from station.inspection.reasons import ReasonKind
from station.inspection.result import Inspection, Verdict
from station.judge.rejudge import rejudge
from station.recipe.demo import DEMO_RECIPES
from station.rig.simulated import write_rig_file

EXACT_ARM = Imperfections(pose_repeatability_mm=0.0, pose_repeatability_deg=0.0)
CONFIG = SimulatedRigConfig(clock_speed=20.0, imperfections=EXACT_ARM)
VIEWS = ("top", "left")
GOOD_SEED, SCRATCHED_SEED = 601, 502
FRAME_TIMEOUT_S = 60.0  # a view may have to be rendered on a busy machine


def two_view_recipe(folder: Path) -> Path:
    """The demo recipe with two of its views; the files that it names stay where they are."""
    recipe = yaml.safe_load((DEMO_RECIPES / "connector.yaml").read_text(encoding="utf-8"))
    recipe["viewpoints"] = [v for v in recipe["viewpoints"] if v["name"] in VIEWS]
    recipe["reference_levels"] = {view: recipe["reference_levels"][view] for view in VIEWS}
    recipe["calibration"] = str(DEMO_RECIPES / recipe["calibration"])
    recipe["model"]["file"] = str(DEMO_RECIPES / recipe["model"]["file"])
    for name in ("view_reference", "part_reference"):
        recipe[name]["file"] = str(DEMO_RECIPES / recipe[name]["file"])
    path = folder / "connector.yaml"
    path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return path


class Cell:
    """An engine on a simulated rig."""

    def __init__(self, folder: Path) -> None:
        self.rig = RigProcess(folder / "rig", CONFIG)
        self.rig.start()
        self.archive = Archive.open(folder / "archive")
        self.engine = Engine(write_rig_file(folder / "rig", CONFIG, FRAME_TIMEOUT_S), self.archive)
        self.engine.initialize()
        self.engine.prepare_recipe(two_view_recipe(folder))
        self.rig.control.load("connector", GOOD_SEED)

    def inject(self, *fault: str) -> None:
        self.rig.control.inject(*fault)

    def inspect_with(self, *fault: str) -> Inspection:
        """A part whose fault begins after its dark frame."""
        begun: list[str] = []

        def listen(event: Event) -> None:
            if isinstance(event, StepDone) and not begun:
                begun.append(event.light)
                self.inject(*fault)

        unsubscribe = self.engine.subscribe(listen)
        try:
            return self.engine.inspect("CAUSE")
        finally:
            unsubscribe()
            assert begun == ["dark"]

    def home(self) -> None:
        """The arm finds its switches again, and with them the steps that it lost."""
        self.engine.abort()
        self.engine.reset()

    def close(self) -> None:
        self.engine.close()
        self.archive.close()
        self.rig.close()


@pytest.fixture(scope="module")
def cell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cell]:
    running = Cell(tmp_path_factory.mktemp("causes"))
    yield running
    running.close()


def kinds(inspection: Inspection) -> set[tuple[ReasonKind, str | None]]:
    return {(reason.kind, reason.light) for reason in inspection.reasons}


def check_good(cell: Cell) -> Inspection:
    inspection = cell.engine.inspect("GOOD")
    assert inspection.verdict is Verdict.PASS, inspection.reasons
    return inspection


def test_a_good_part_passes_and_what_was_proven_is_archived(cell: Cell) -> None:
    """Issue 15, point 6."""
    inspection = check_good(cell)
    for view in cell.archive.load(inspection.inspection_id).views:
        assert view.quality["fixture_moved_mm"] < 0.04
        assert view.quality["exposure_ratio"] == pytest.approx(1.0, abs=0.004)
        assert view.quality["light_ratio_L135"] == pytest.approx(1.0, abs=0.004)
        assert view.quality["stray_light_L90"] < 0.006
        assert view.quality["sharpness_ratio"] > 0.8


LAMPS_AND_EXPOSURE: list[tuple[str, tuple[str, ...], tuple[str, ...], tuple[ReasonKind, str | None]]] = [
    (
        "stuck",
        ("lights.light_stuck_on", "3", "0.03"),
        ("lights.light_repaired", "3"),
        (ReasonKind.LIGHT_STUCK_ON, "L90"),
    ),
    ("weak", ("lights.light_weak", "4", "0.85"), ("lights.light_repaired", "4"), (ReasonKind.LIGHT_WEAK, "L135")),
    ("exposure", ("camera.saturation", "1.23"), ("camera.saturation", "1"), (ReasonKind.EXPOSURE_WRONG, None)),
]


@pytest.mark.parametrize(
    ("fault", "repair", "cause"), [row[1:] for row in LAMPS_AND_EXPOSURE], ids=[row[0] for row in LAMPS_AND_EXPOSURE]
)
def test_a_lamp_or_exposure_that_is_wrong_after_the_dark_frame_is_undecided_and_named(
    cell: Cell, fault: tuple[str, ...], repair: tuple[str, ...], cause: tuple[ReasonKind, str | None]
) -> None:
    """Issue 15, point 6."""
    inspection = cell.inspect_with(*fault)
    cell.inject(*repair)
    assert inspection.verdict is Verdict.UNDECIDED
    assert kinds(inspection) == {cause}
    assert {reason.view for reason in inspection.reasons} == set(VIEWS)


def test_a_lamp_within_the_tolerance_is_corrected_and_the_part_is_judged_as_if_it_shone_fully(cell: Cell) -> None:
    """Issue 15, point 6."""
    before = {view.view: view.pred_score for view in check_good(cell).views}
    inspection = cell.inspect_with("lights.light_weak", "4", "0.95")
    cell.inject("lights.light_repaired", "4")
    assert inspection.verdict is Verdict.PASS, inspection.reasons
    for view in inspection.views:
        assert view.quality["light_ratio_L135"] == pytest.approx(0.95, abs=0.004)
        assert view.pred_score == pytest.approx(before[view.view], abs=0.3)
    assert rejudge(cell.archive, inspection.inspection_id).verdict_now is Verdict.PASS


@pytest.mark.parametrize(
    ("fault", "repair"),
    [
        (("gantry.lost_steps", "0.5"), None),
        (("knock", "0.5", "0", "0", "0", "0", "0"), ("knock", "-0.5", "0", "0", "0", "0", "0")),
    ],
    ids=["lost steps", "knocked camera"],
)
def test_lost_steps_or_a_knocked_camera_are_undecided_and_told_in_px_and_mm(
    cell: Cell, fault: tuple[str, ...], repair: tuple[str, ...] | None
) -> None:
    """Issue 15, point 6."""
    cell.inject(*fault)
    inspection = cell.engine.inspect("MOVED")
    assert inspection.verdict is Verdict.UNDECIDED
    assert kinds(inspection) == {(ReasonKind.CAMERA_MOVED, None)}
    top = next(view for view in inspection.views if view.view == "top")
    assert top.quality["fixture_moved_mm"] == pytest.approx(0.5, abs=0.03)
    assert " px (0." in top.reasons[0].text
    if repair is None:
        cell.home()
    else:
        cell.inject(*repair)


def test_afterwards_a_good_part_passes_and_a_scratched_one_fails(cell: Cell) -> None:
    """Issue 15, point 6."""
    check_good(cell)
    cell.rig.control.load("connector", SCRATCHED_SEED, (("side_scratch", SCRATCHED_SEED),))
    inspection = cell.engine.inspect("SCRATCHED")
    assert inspection.verdict is Verdict.FAIL
    assert not inspection.reasons
