"""An inspection under a bound record, lamps 20 % unequal and the camera askew on its arm: a good part passes, a dead
light is told, and the archive alone can judge it again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from calibration.lights.white_plane import PlaneTilt
from calibration.record import Calibration, Provenance, ViewpointRecord
from drivers.simulated.config import Imperfections, SimulatedRigConfig
from drivers.simulated.control import RigControl
from station.archive import Archive, ArchiveError
from station.calibrate.bench.camera_pose import TOP, camera_pose_of
from station.calibrate.bench.target_bench import LiveBench
from station.calibrate.field.measured_field import MeasuredField, field_maps
from station.calibrate.lights.white_plane import photograph_plane, plane_level_per_ms
from station.calibrate.records.bind import bind_recipe
from station.calibrate.records.make_record import with_field
from station.calibrate.records.record_file import write_record
from station.calibrate.studies.compare import CAMERA_FIELDS
from station.calibrate.viewpoints.taught_views import STATION_VIEWS
from station.documents.document import load_document
from station.engine.engine import Engine
from station.inspection.result import Verdict
from station.judge.rejudge import rejudge
from station.recipe.calibrated_lights import directional_channels
from station.recipe.demo import SIMULATED_RIG_DRAWING
from station.recipe.loaded import load_recipe
from station.recipe.reference_lights import strengths_now
from station.rig.devices import open_rig
from station.rig.simulated import running_rig

WRONG = Imperfections(
    light_intensity_percent=20.0, focal_length_percent=0.5, principal_point_px=30.0, camera_mount_mm=0.5,
    camera_mount_deg=0.3,
)  # fmt: skip
RELEASED = Provenance(
    measured=("light intensities",), released_by="engineer", released="2026-11-24T12:00:00Z",
    expires="2099-11-24T12:00:00Z",
)  # fmt: skip
BINNING = 8


def with_true_camera(drawn: Calibration, control: RigControl) -> Calibration:
    views = [
        ViewpointRecord.model_validate({
            "name": name, "arm": pose.as_tuple(), "factor95": 2.0, "covariance": (1e-12 * np.eye(6)).tolist(),
            "camera_to_station": control.call("truth", arm=list(pose.as_tuple()))["viewpoint"],
        })
        for name, pose in STATION_VIEWS.items()
    ]  # fmt: skip
    camera = control.call("truth")["camera"]
    return drawn.model_copy(update={**{name: camera[name] for name in CAMERA_FIELDS}, "viewpoints": tuple(views)})


def measured_record(rig_file: Path, control: RigControl, records: Path) -> Path:
    """Intensities and flat field from the rig's own white plane, the camera from its truth; lamps stand as drawn."""
    drawn = with_true_camera(load_document(SIMULATED_RIG_DRAWING, Calibration), control)
    channels = [light.channel for light in drawn.lights]
    with open_rig(rig_file) as rig:
        bench = LiveBench(rig, TOP, control.place)
        frames = photograph_plane(bench, channels, [light.name for light in drawn.lights], BINNING, lambda _: None)
    levels = dict(zip(channels, map(plane_level_per_ms, frames), strict=True))
    lit = np.array([levels[channel] for channel in directional_channels(drawn)])
    lights = tuple(
        light.model_copy(update={
            "plane_level_per_ms": levels[light.channel],
            "relative_intensity": 1.0 if light.kind == "diffuse" else levels[light.channel] / float(lit.mean()),
        })
        for light in drawn.lights
    )  # fmt: skip
    bare = drawn.model_copy(update={"calibration_id": "spread", "lights": lights, "provenance": RELEASED})
    maps = field_maps(bare, frames[: len(lit)], BINNING, camera_pose_of(bare))
    tilt = PlaneTilt(0.0, 0.0, 0.05, ())
    record = with_field(bare, MeasuredField(maps, tilt, lit / lit.mean()))
    return write_record(records, record, maps)


@dataclass
class Bound:
    """A rig with unequal lamps, and a recipe bound to its record."""

    control: RigControl
    record: Path
    recipe: Path
    engine: Engine
    archive: Archive


@pytest.fixture(scope="module")
def bound(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bound]:
    folder = tmp_path_factory.mktemp("bound")
    recipe = Path(shutil.copy(SIMULATED_RIG_DRAWING.parent / "connector.yaml", folder))
    shutil.copy(SIMULATED_RIG_DRAWING, folder)
    for name in ("models", "references"):
        shutil.copytree(SIMULATED_RIG_DRAWING.parent / name, folder / name)
    config = SimulatedRigConfig(seed=1, clock_speed=20.0, imperfections=WRONG)
    with running_rig(folder / "rig", config) as (rig, rig_file), Archive.open(folder / "archive") as archive:
        record = measured_record(rig_file, rig.control, folder / "records")
        bind_recipe(record, recipe)
        engine = Engine(rig_file, archive)
        try:
            engine.initialize()
            engine.prepare_recipe(recipe)
            yield Bound(rig.control, record, recipe, engine, archive)
        finally:
            engine.close()


def test_the_lamps_differ_by_more_than_the_recipe_allows_and_the_arm_goes_elsewhere(bound: Bound) -> None:
    loaded = load_recipe(bound.recipe)
    strengths = strengths_now(loaded.recipe, loaded.calibration)
    truth = {int(light["channel"]): float(light["power"]) for light in bound.control.call("truth")["lights"]}
    for light in loaded.recipe.directional_lights:
        assert strengths[light.name] == pytest.approx(truth[light.channel], rel=0.01)
    own = [strengths[light.name] for light in loaded.recipe.directional_lights]
    assert min(own) / np.median(own) < loaded.recipe.light_level_limits.weak_below
    top, drawn = loaded.recipe.viewpoints[0].as_pose(), STATION_VIEWS["top"]
    assert 1.0 < np.hypot(top.x_mm - drawn.x_mm, top.y_mm - drawn.y_mm) < 5.0


def test_a_good_part_passes_with_unequal_lamps_and_a_camera_askew_that_were_calibrated(bound: Bound) -> None:
    bound.control.load("connector", 601)
    inspection = bound.engine.inspect("GOOD")
    assert inspection.verdict is Verdict.PASS, inspection.reasons


def test_a_dead_light_is_still_undecided(bound: Bound) -> None:
    bound.control.load("connector", 601)
    bound.control.inject("lights.light_dead", "4")
    inspection = bound.engine.inspect("DEAD")
    assert inspection.verdict is Verdict.UNDECIDED
    assert any("'L135' is dead" in reason.text for reason in inspection.reasons)
    bound.control.inject("lights.light_repaired", "4")


def test_an_old_inspection_is_judged_again_from_the_archive_alone(bound: Bound, tmp_path: Path) -> None:
    inspection = bound.archive.load(bound.archive.history(50)[-1].inspection_id)
    kept = bound.archive.document(inspection.provenance["flat_field"], ".npz")
    assert len(list(kept.parent.glob("*.npz"))) == 3, "the maps, and the two references that the recipe names"
    gone = tmp_path / "elsewhere"
    for folder in (bound.record.parent, bound.recipe.parent / "models"):
        folder.rename(gone.with_name(folder.name))  # the records, their maps and the model are not where they were
    try:
        report = rejudge(bound.archive, inspection.inspection_id)
        maps = kept.read_bytes()
        kept.write_bytes(maps[:-1])
        with pytest.raises(ArchiveError, match="its content no longer has this SHA-256"):
            rejudge(bound.archive, inspection.inspection_id)
        kept.unlink()
        with pytest.raises(ArchiveError, match=r"\.npz: not archived"):
            rejudge(bound.archive, inspection.inspection_id)
    finally:
        kept.write_bytes(maps)
        for folder in (bound.record.parent, bound.recipe.parent / "models"):
            gone.with_name(folder.name).rename(folder)
    assert report.is_same
    assert len(report.views) == 5
    assert [v.score_now for v in report.views] == pytest.approx([v.score_then for v in report.views], rel=1e-4)
    for then, now in zip(inspection.views, report.results, strict=True):
        assert then.normal_map is not None
        assert now.normal_map is not None
        np.testing.assert_allclose(now.normal_map.unpacked().normals, then.normal_map.unpacked().normals, atol=1e-4)
