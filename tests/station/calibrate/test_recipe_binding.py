"""A recipe runs with the record that it is bound to, while it is valid, on its own camera, and with no other."""

from __future__ import annotations

import hashlib
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from calibration.record import Calibration, Provenance
from station.archive import Archive, ArchiveError
from station.calibrate.bind import bind_recipe
from station.calibrate.records import RecordError, record_hash, write_record
from station.document_errors import DocumentError
from station.documents import load_document
from station.recipe import load_recipe

SHIPPED = Path(__file__).parents[3] / "station" / "recipes"
THEN = datetime(2026, 11, 25, tzinfo=UTC)
AFTER = datetime(2027, 12, 1, tzinfo=UTC)
RELEASED = Provenance(
    measured=("light directions",), released_by="engineer", released="2026-11-24T12:00:00Z",
    expires="2027-05-24T12:00:00Z",
)  # fmt: skip


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    shutil.copy(SHIPPED / "simulated_rig.calibration.yaml", tmp_path)
    return Path(shutil.copy(SHIPPED / "connector.yaml", tmp_path))


def record(name: str, provenance: Provenance | None = RELEASED, **changes: object) -> Calibration:
    drawing = load_document(SHIPPED / "simulated_rig.calibration.yaml", Calibration)
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
        (None, {"is_simulated": False}, "says nothing of its release"),
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
    with pytest.raises(DocumentError, match=r"connector.yaml:6:1: calibration: .* does not say its SHA-256"):
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
