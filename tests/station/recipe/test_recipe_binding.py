"""A recipe runs with the record that it is bound to, while it is valid, on its own camera, and with no other."""

from __future__ import annotations

import hashlib
import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from calibration.hand_eye.poses import arm_pose, pose_of
from calibration.record import Calibration, Provenance, ViewpointRecord
from drivers.simulated.scene import LightHead
from station.archive import Archive, ArchiveError
from station.calibrate.bench.camera_pose import TOP
from station.calibrate.errors import RecordError
from station.calibrate.lights.white_plane import photograph_plane, plane_level_per_ms
from station.calibrate.records.bind import bind_recipe
from station.calibrate.records.record_file import record_hash, write_record
from station.calibrate.studies.scene_bench import SceneBench
from station.documents.document import load_document, read_document
from station.documents.errors import DocumentError
from station.recipe.demo import DEMO_RECIPES, SIMULATED_RIG_DRAWING
from station.recipe.loaded import Recipe, load_recipe
from station.recipe.reference_lights import expected_levels, strengths_now, with_use

THEN = datetime(2026, 11, 25, tzinfo=UTC)
AFTER = datetime(2027, 12, 1, tzinfo=UTC)
RELEASED = Provenance(
    measured=("light directions",), released_by="engineer", released="2026-11-24T12:00:00Z",
    expires="2027-05-24T12:00:00Z",
)  # fmt: skip


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    shutil.copy(SIMULATED_RIG_DRAWING, tmp_path)
    return Path(shutil.copy(DEMO_RECIPES / "connector.yaml", tmp_path))


def record(name: str, provenance: Provenance | None = RELEASED, **changes: object) -> Calibration:
    drawing = load_document(SIMULATED_RIG_DRAWING, Calibration)
    return drawing.model_copy(update={"calibration_id": name, "provenance": provenance, **changes})


@pytest.fixture
def released(tmp_path: Path) -> Path:
    return write_record(tmp_path / "records", record("first"))


def test_the_hash_of_a_record_is_that_of_its_file(released: Path) -> None:
    assert record_hash(record("first")) == hashlib.sha256(released.read_bytes()).hexdigest()


def test_a_recipe_is_bound_to_a_record_and_keeps_its_comments(recipe: Path, released: Path) -> None:
    report = bind_recipe(released, recipe, THEN)
    loaded = load_recipe(recipe, need_model=False, now=THEN)
    assert loaded.calibration.calibration_id == "first"
    assert loaded.recipe.calibration == "records/first.calibration.yaml"
    assert loaded.sha256s["calibration"] == report.sha256 == loaded.recipe.calibration_sha256
    assert "# A score above the view's limit fails." in recipe.read_text()
    other = write_record(released.parent, record("second"))
    bind_recipe(other, recipe, THEN)
    assert load_recipe(recipe, need_model=False, now=THEN).calibration.calibration_id == "second"


def test_a_record_that_was_changed_is_refused_with_both_hashes(recipe: Path, released: Path) -> None:
    bound = bind_recipe(released, recipe, THEN).sha256
    released.chmod(0o644)
    released.write_text(released.read_text().replace("160.6969", "161.0"))
    with pytest.raises(DocumentError, match=r"connector.yaml:\d+:\d+: calibration_sha256: .* bound to") as caught:
        load_recipe(recipe, need_model=False, now=THEN)
    assert bound in str(caught.value)
    assert "station calibrate bind" in str(caught.value)


def test_an_expired_record_is_refused_when_read_and_before_each_part(recipe: Path, released: Path) -> None:
    bind_recipe(released, recipe, THEN)
    loaded = load_recipe(recipe, need_model=False, now=THEN)
    with pytest.raises(DocumentError, match="calibration first expired on 2027-05-24T12:00:00Z"):
        loaded.check_calibration(AFTER)
    with pytest.raises(DocumentError, match="expired on"):
        load_recipe(recipe, need_model=False, now=AFTER)


def test_a_record_holds_for_its_own_camera(recipe: Path, released: Path) -> None:
    bind_recipe(released, recipe, THEN)
    loaded = load_recipe(recipe, need_model=False, now=THEN)
    loaded.check_calibration(THEN, camera="FACET-SIM-0001")
    with pytest.raises(DocumentError, match="is of camera FACET-SIM-0001, but the rig's camera is B-2"):
        loaded.check_calibration(THEN, camera="B-2")


def test_simulated_lights_are_refused_on_a_real_rig(recipe: Path) -> None:
    loaded = load_recipe(recipe, need_model=False)
    loaded.check_calibration(THEN, is_simulated_rig=True)
    with pytest.raises(DocumentError, match="is of a simulated rig, and this rig is real"):
        loaded.check_calibration(THEN, is_simulated_rig=False)


@pytest.mark.parametrize(
    ("provenance", "changes", "expected"),
    [
        (Provenance(measured=(), flags=("light L0: off",)), {}, "was not released; it was flagged: light L0: off"),
        (None, {"is_simulated": False}, "does not record its release"),
    ],
)
def test_what_nobody_released_is_neither_bound_nor_run(
    recipe: Path, tmp_path: Path, provenance: Provenance | None, changes: dict[str, object], expected: str
) -> None:
    path = write_record(tmp_path, record("loose", provenance, **changes))
    before = recipe.read_text()
    with pytest.raises(RecordError, match=expected):
        bind_recipe(path, recipe, THEN)
    assert recipe.read_text() == before
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    named = f"calibration: loose.calibration.yaml\ncalibration_sha256: '{sha256}'"
    recipe.write_text(before.replace("calibration: simulated_rig.calibration.yaml", named))
    with pytest.raises(DocumentError, match=expected):
        load_recipe(recipe, need_model=False, now=THEN)


def test_a_record_is_never_used_unbound(recipe: Path, released: Path) -> None:
    text = recipe.read_text().replace("simulated_rig.calibration.yaml", f"records/{released.name}")
    recipe.write_text(text)
    with pytest.raises(DocumentError, match=r"connector.yaml:6:1: calibration: .* does not name its SHA-256"):
        load_recipe(recipe, need_model=False, now=THEN)


def test_a_record_without_the_recipes_lights_is_not_bound(recipe: Path, tmp_path: Path) -> None:
    whole = record("few")
    path = write_record(tmp_path, whole.model_copy(update={"lights": whole.lights[4:]}))
    before = recipe.read_text()
    with pytest.raises(DocumentError, match="channel 2 is not in calibration 'few'"):
        bind_recipe(path, recipe, THEN)
    assert recipe.read_text() == before


def test_the_archive_keeps_the_calibration_of_old_inspections(released: Path, tmp_path: Path) -> None:
    sha256 = hashlib.sha256(released.read_bytes()).hexdigest()
    with Archive.open(tmp_path / "archive") as archive:
        kept = archive.keep_document(released, sha256)
        assert archive.keep_document(released, sha256) == kept == archive.document(sha256)
        released.chmod(0o644)
        content = released.read_bytes()
        released.write_bytes(content + b"# changed\n")
        assert kept.read_bytes() == content
        with pytest.raises(ArchiveError, match="changed while it was being read"):
            archive.keep_document(released, sha256)


def test_a_bound_recipe_keeps_the_lights_under_which_it_learned(recipe: Path, tmp_path: Path) -> None:
    drawn = record("drawn").lights
    twice = tuple(
        light.model_copy(update={"plane_level_per_ms": 2 * (light.plane_level_per_ms or 0.0)}) for light in drawn
    )
    first = bind_recipe(write_record(tmp_path / "records", record("first", lights=twice)), recipe, THEN)
    assert len(first.warnings) == 1
    assert "another level than when the model learned (L45 2.00, " in first.warnings[0]
    for name in ("second", "third"):
        bind_recipe(write_record(tmp_path / "records", record(name, lights=twice)), recipe, THEN)
        loaded = load_recipe(recipe, need_model=False, now=THEN)
        assert strengths_now(loaded.recipe, loaded.calibration) == pytest.approx(
            {light.name: 2.0 for light in loaded.recipe.lights}
        )
        levels = loaded.recipe.reference_levels["top"]
        doubled = expected_levels(levels, strengths_now(loaded.recipe, loaded.calibration))
        assert doubled == pytest.approx({light: 2 * level for light, level in levels.items()})


def test_exposure_brightness_and_gain_changed_since_count_into_what_is_expected(recipe: Path, tmp_path: Path) -> None:
    learned = read_document(recipe).validated(Recipe)
    lights = tuple(
        light.model_copy(update={"plane_level_per_ms": 1.8 * (light.plane_level_per_ms or 0.0)})
        for light in record("x").lights
    )
    bind_recipe(write_record(tmp_path / "records", record("first", lights=lights)), recipe, THEN)
    loaded = load_recipe(recipe, need_model=False, now=THEN)

    def strengths(gain_db: float = learned.capture.gain_db, **changes: float) -> dict[str, float]:
        capture = loaded.recipe.capture.model_copy(update={"gain_db": gain_db})
        use = [light.model_copy(update={k: getattr(light, k) * by for k, by in changes.items()})
               for light in loaded.recipe.lights]  # fmt: skip
        changed = loaded.recipe.model_copy(update={"capture": capture, "lights": tuple(use)})
        return strengths_now(changed, loaded.calibration)

    names = [light.name for light in learned.lights]
    assert strengths() == pytest.approx(dict.fromkeys(names, 1.8))
    assert strengths(exposure_us=1 / 1.8) == pytest.approx(dict.fromkeys(names, 1.0))
    assert strengths(brightness=0.5) == pytest.approx(dict.fromkeys(names, 0.9))
    assert strengths(gain_db=learned.capture.gain_db + 20) == pytest.approx(dict.fromkeys(names, 18.0))
    unknown = {n: v.model_copy(update={"exposure_us": None, "brightness": None, "gain_db": None})
               for n, v in loaded.recipe.reference_lights.items()}  # fmt: skip
    old = loaded.recipe.model_copy(update={"reference_lights": unknown})
    assert strengths_now(old, loaded.calibration) == pytest.approx(dict.fromkeys(names, 1.8))
    assert with_use(old) == loaded.recipe.reference_lights == with_use(loaded.recipe)


def test_without_the_planes_level_lights_are_compared_by_their_intensities(recipe: Path, tmp_path: Path) -> None:
    dim = {"relative_intensity": 0.7, "plane_level_per_ms": None}
    lights = tuple(light.model_copy(update=dim if light.name == "L45" else {}) for light in record("x").lights)
    report = bind_recipe(write_record(tmp_path / "records", record("first", lights=lights)), recipe, THEN)
    assert report.warnings == ()
    loaded = load_recipe(recipe, need_model=False, now=THEN)
    expected = {light.name: 0.7 if light.name == "L45" else 1.0 for light in loaded.recipe.lights}
    assert strengths_now(loaded.recipe, loaded.calibration) == pytest.approx(expected)


def test_lights_that_stand_elsewhere_than_the_model_learned_are_told_when_bound(recipe: Path, tmp_path: Path) -> None:
    moved = {"position_mm": (123.6, 113.6, 191.5)}
    lights = tuple(light.model_copy(update=moved if light.name == "L45" else {}) for light in record("x").lights)
    report = bind_recipe(write_record(tmp_path / "records", record("first", lights=lights)), recipe, THEN)
    assert len(report.warnings) == 1
    assert "1 of 4 lights stand elsewhere than when the model learned (L45 by 2.0 degrees)" in report.warnings[0]
    assert report.warnings[0] in report.as_text()


def test_a_recipe_whose_calibration_of_then_was_changed_is_not_bound(recipe: Path, released: Path) -> None:
    bind_recipe(released, recipe, THEN)
    text = recipe.read_text()
    recipe.write_text(text[: text.index("reference_lights:")])
    released.chmod(0o644)
    released.write_text(released.read_text().replace("160.6969", "161.0"))
    other = write_record(released.parent, record("second"))
    with pytest.raises(RecordError, match=r"connector.yaml:6:1: .* but the recipe learned under .*; restore that file"):
        bind_recipe(other, recipe, THEN)


def test_reference_lights_name_every_light_of_the_recipe(recipe: Path) -> None:
    without = recipe.read_text().partition("\nreference_lights:")[0]
    recipe.write_text(without + "\nreference_lights:\n  L45: {relative_intensity: 1.0}\n")
    with pytest.raises(DocumentError, match="reference_lights: light 'L135' is missing"):
        load_recipe(recipe, need_model=False, now=THEN)


def test_the_drawing_says_what_the_simulated_rig_gives_on_the_white_plane() -> None:
    drawn = load_document(SIMULATED_RIG_DRAWING, Calibration)
    bench = SceneBench(LightHead.nominal(), TOP, 1)
    chosen = [light for light in drawn.lights if light.channel in (1, 9)]
    frames = photograph_plane(bench, [c.channel for c in chosen], [c.name for c in chosen], 8, lambda _: None)
    assert [plane_level_per_ms(f) for f in frames] == pytest.approx([c.plane_level_per_ms for c in chosen], rel=2e-3)


def test_a_camera_askew_on_its_arm_is_aimed_and_the_recipes_poses_stay(recipe: Path, tmp_path: Path) -> None:
    written = load_recipe(recipe, need_model=False).recipe.viewpoints
    mount = pose_of(np.radians([0.2, -0.4, 0.1]), np.array([0.5, 0.3, -0.4]))
    top = written[0].as_pose().as_tuple()
    view = ViewpointRecord.model_validate({
        "name": "top", "arm": top, "camera_to_station": (arm_pose(top) @ mount).tolist(), "factor95": 2.0,
        "covariance": (1e-6 * np.eye(6)).tolist(),
    })  # fmt: skip
    askew = write_record(tmp_path / "records", record("askew", viewpoints=(view,)))
    report = bind_recipe(askew, recipe, THEN)
    assert 1.0 < report.aimed_mm < 4.0
    assert "viewpoints are aimed for this camera" in report.as_text()
    poses = [v.as_pose() for v in load_recipe(recipe, need_model=False, now=THEN).recipe.viewpoints]
    assert all(a != b.as_pose() for a, b in zip(poses, written, strict=True))
    assert read_document(recipe).validated(Recipe).viewpoints == written
    back = bind_recipe(write_record(tmp_path / "records", record("as-drawn")), recipe, THEN)
    assert back.aimed_mm == 0.0
    assert load_recipe(recipe, need_model=False, now=THEN).recipe.viewpoints == written


ANOTHER_CAMERA = [((0.0, 0.0, 180.0), 1.0), ((4.0, 0.0, 0.0), 1.0), ((0.0, 0.0, 0.0), 0.5)]


@pytest.mark.parametrize(("turn_deg", "focal"), ANOTHER_CAMERA)
def test_a_camera_for_which_the_arm_would_go_far_is_refused_and_the_recipe_stays(
    turn_deg: tuple[float, float, float], focal: float, recipe: Path, tmp_path: Path
) -> None:
    top = load_recipe(recipe, need_model=False).recipe.viewpoints[0].as_pose().as_tuple()
    mount = pose_of(np.radians(turn_deg), np.zeros(3))
    view = ViewpointRecord.model_validate({
        "name": "top", "arm": top, "camera_to_station": (arm_pose(top) @ mount).tolist(), "factor95": 2.0,
        "covariance": (1e-6 * np.eye(6)).tolist(),
    })  # fmt: skip
    drawn = record("other")
    other = record("other", viewpoints=(view,), fx_px=focal * drawn.fx_px, fy_px=focal * drawn.fy_px)
    before = recipe.read_bytes()
    with pytest.raises(DocumentError, match=r"view 'top': for other the arm would stand .* train the model"):
        bind_recipe(write_record(tmp_path / "records", other), recipe, THEN)
    assert recipe.read_bytes() == before
