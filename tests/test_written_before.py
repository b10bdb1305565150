"""Files written by an earlier version still load: archive, recipe, calibration record, model, rig file, data set.

The files lie in `tests/written_before`; the figures below are what the version that wrote them gave.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import tifffile

from calibration.record import Calibration
from models.config import TrainConfig
from models.dataset import load_dataset, read_mask, read_normals, read_rgb
from station.archive import Archive
from station.documents.document import load_document
from station.inspection.reasons import ReasonKind
from station.inspection.result import Verdict
from station.judge.detector import AnomalyDetector
from station.judge.rejudge import rejudge
from station.recipe.flat_field_file import load_field
from station.recipe.loaded import load_recipe
from station.rig.file import load_rig, save_rig

WRITTEN = Path(__file__).parent / "written_before"
RECORD = WRITTEN / "calibration" / "tile_rig-2026-11-24.calibration.yaml"
RECORD_SHA256 = "92e824f92d9f72edaf93e973ab8b8deb989d3685a280381dba2426251842c618"
MODEL_SHA256 = "0f3e7f7cf59ae6810ab68fe66cdafc5c4d26ee354dc776eae550daf0d4464cb0"
WHILE_VALID = datetime(2026, 11, 30, tzinfo=UTC)
VIEWS = ("top", "left", "right")
LIGHTS = ("L45", "L135", "L225", "L315", "diffuse")

PASSED, FAILED = "01M8KV3K9XAH4E8FYYZNB3R72M", "01M8KV3KWPYXSASJ3B2DZJXCBS"
ENDED, DOUBTFUL = "01M8KV3MEV3DY8PAM8TDGD03MN", "01M8KV3MWRARGC3K53033NAF0T"  # both UNDECIDED

OTHER_PROCESSOR = 2e-4  # relative, of a score: the files were written on another one, and this one differs by 5e-5
SCORES: dict[str, dict[str, float | None]] = {
    PASSED: {"top": 1.2799826860427856, "left": 1.284677505493164, "right": 0.9879871010780334},
    FAILED: {"top": 1.2356141805648804, "left": 2.8697640895843506, "right": 1.2615727186203003},
    ENDED: {"top": 2.1235015392303467, "left": None},
    DOUBTFUL: {"top": 6.079160213470459, "left": None, "right": None},
}
WEAK = "light 'L45' is weak: 0.50 of its reference level where the median light has 1.00"
CUT = "could not be judged: DetectorInputError: image (3, 12, 36) and normals (3, 24, 36) must both be (3, H, W), alike"
NOT_TAKEN = (
    "a frame could not be taken: PhotometricStereoError: light 'L315': frame of BayerRG8 with 8 bits among frames of "
    "BayerRG12 with 12 bits"
)
VIEW_REASONS: dict[str, dict[str, tuple[str, ...]]] = {
    PASSED: {"top": (), "left": (), "right": ()},
    FAILED: {"top": (), "left": (), "right": ()},
    ENDED: {"top": (WEAK,), "left": (CUT,)},
    DOUBTFUL: {
        "top": (
            "light 'L135' is dead: 0.02 of its reference level where the median light has 0.43",
            "light 'diffuse' is too bright: 2.48 of its reference level where the median light has 0.43",
            "light 'diffuse' saturates 38.9% of the pixels (limit 0.5%): shorten its exposure",
            "with every light off there is still 6.1% of the lights' level (limit 2.5%): "
            "other light falls in, or a light stays on",
            "only 38.9% of the pixels have an observable normal; the recipe asks for 50.0%",
        ),
        "left": ("no frame under L225, diffuse",),
        "right": (NOT_TAKEN,),
    },
}
REASONS: dict[str, tuple[tuple[str | None, str], ...]] = {  # of the part: view and text
    PASSED: (),
    FAILED: (),
    ENDED: (
        (None, "camera: no frame 14 within 1008 ms of the trigger"),
        ("right", "was not captured"),
        ("top", WEAK),
        ("left", CUT),
    ),
    DOUBTFUL: tuple((view, text) for view in VIEWS for text in VIEW_REASONS[DOUBTFUL][view]),
}
KINDS_NOW = {  # of the top view's reasons, once it is judged again
    ENDED: [ReasonKind.LIGHT_WEAK],
    DOUBTFUL: [
        ReasonKind.LIGHT_DEAD,
        ReasonKind.LIGHT_STRONG,
        ReasonKind.SATURATED,
        ReasonKind.AMBIENT_LIGHT,
        ReasonKind.FEW_OBSERVABLE,
    ],
}
VERDICTS = {PASSED: "PASS", FAILED: "FAIL", ENDED: "UNDECIDED", DOUBTFUL: "UNDECIDED"}
PARTS = {PASSED: "TILE-GOOD", FAILED: "TILE-DENT", ENDED: "TILE-FAULT", DOUBTFUL: "TILE-DOUBTFUL"}


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """The archive as it was written, data base included, in a copy that may be written to."""
    shutil.copytree(WRITTEN / "archive", tmp_path / "archive")
    with Archive.open(tmp_path / "archive") as opened:
        yield opened


def folder_of(inspection_id: str) -> Path:
    """The record's folder among the files as they were written."""
    return next((WRITTEN / "archive").glob(f"*/{inspection_id}"))


def test_the_history_is_what_the_data_base_held(archive: Archive) -> None:
    rows = archive.history()
    assert [row.inspection_id for row in rows] == [DOUBTFUL, ENDED, FAILED, PASSED], "newest first"
    assert {row.inspection_id: row.verdict.value for row in rows} == VERDICTS
    assert {row.inspection_id: row.part_id for row in rows} == PARTS
    assert {row.inspection_id: row.deciding_view for row in rows} == {
        PASSED: "left", FAILED: "left", ENDED: "top", DOUBTFUL: "top",
    }  # fmt: skip
    assert all(row.is_simulated and row.creation_time.tzinfo is not None for row in rows)
    assert rows[-1].creation_time == datetime(2026, 11, 29, 14, 24, 53, 893937, tzinfo=UTC)


def test_without_its_data_base_the_archive_enters_the_same_rows_from_the_folders(tmp_path: Path) -> None:
    shutil.copytree(WRITTEN / "archive", tmp_path / "archive")
    (tmp_path / "archive" / "archive.sqlite").unlink()
    with Archive.open(tmp_path / "archive") as archive:
        assert {row.inspection_id: row.verdict.value for row in archive.history()} == VERDICTS
        assert len(archive.light_readings()) == 40


@pytest.mark.parametrize("inspection_id", VERDICTS)
def test_an_inspection_loads_with_verdict_scores_and_reasons(archive: Archive, inspection_id: str) -> None:
    found = archive.load(inspection_id)
    assert archive.verify(inspection_id) == []
    assert (found.verdict.value, found.part_id) == (VERDICTS[inspection_id], PARTS[inspection_id])
    assert (found.product, found.recipe_id, found.expected_views) == ("tile", "tile", VIEWS)
    assert found.is_partial == (inspection_id == ENDED)
    assert {view.view: view.pred_score for view in found.views} == SCORES[inspection_id]
    assert [view.limit for view in found.views] == [3.205, 2.324, 2.711][: len(found.views)]
    assert tuple((reason.view, reason.text) for reason in found.reasons) == REASONS[inspection_id]
    of_views = {view.view: tuple(reason.text for reason in view.reasons) for view in found.views}
    assert of_views == VIEW_REASONS[inspection_id]
    kinds = {reason.kind for view in found.views for reason in view.reasons}
    assert kinds <= {ReasonKind.EARLIER}, "they were written as text, without a kind"
    assert all((view.verdict is Verdict.UNDECIDED) == bool(view.reasons) for view in found.views)
    assert found.provenance["calibration"] == RECORD_SHA256
    assert found.provenance["model"] == MODEL_SHA256
    assert found.provenance["camera"] == "Facet SimCam 48 SIM-7 1.0"


@pytest.mark.parametrize("inspection_id", VERDICTS)
def test_figures_are_those_of_the_records_json(archive: Archive, inspection_id: str) -> None:
    written = json.loads((folder_of(inspection_id) / "verdict.json").read_text("utf-8"))
    found = archive.load(inspection_id)
    assert found.processing_times_ms == written["processing_times_ms"]
    for view, then in zip(found.views, written["views"], strict=True):
        for name in ("light_residuals", "left_out_residuals", "light_levels", "quality"):
            figures = {key: float(value) for key, value in then[name].items()}
            assert getattr(view, name) == pytest.approx(figures, rel=1e-12, nan_ok=True), (view.view, name)
        assert view.solvers == then["solvers"]
        assert list(view.white_balance) == then["white_balance"]


def test_figures_of_one_view_are_those_of_then(archive: Archive) -> None:
    top = archive.load(DOUBTFUL).views[0]
    assert top.quality["ambient_share"] == pytest.approx(0.06075950869209496)
    assert top.quality["observable_share"] == pytest.approx(336 / 864)
    assert top.light_levels["L135"] == pytest.approx(0.003852090741200142)
    assert np.isnan(top.left_out_residuals["L45"]), "with one of three lights dead nothing is known of the others"
    assert top.solvers == {"detector": "masked", "map": "masked"}
    assert top.white_balance == (1.2, 1.0, 1.3)


@pytest.mark.parametrize("inspection_id", VERDICTS)
def test_pictures_are_those_of_the_files_within_rounding(archive: Archive, inspection_id: str) -> None:
    for view in archive.load(inspection_id).views:
        assert (view.image is None) == (view.pred_score is None)
        if view.image is None or view.normal_map is None or view.anomaly_map is None:
            assert (view.normal_map, view.anomaly_map) == (None, None)
            continue
        folder, normal_map = folder_of(inspection_id) / view.view, view.normal_map
        assert view.image == pytest.approx(np.moveaxis(scaled(folder / "image.tif"), 2, 0), abs=1e-6)
        assert normal_map.albedo == pytest.approx(scaled(folder / "albedo.tif"), abs=1e-6)
        assert normal_map.residual == pytest.approx(scaled(folder / "residual.tif"), abs=1e-6)
        stored = np.moveaxis(tifffile.imread(folder / "normals.tif").astype(np.float64) - 32768, 2, 0) / 32767
        assert normal_map.normals == pytest.approx(stored, abs=1e-4)
        quality = tifffile.imread(folder / "quality.tif")
        assert np.array_equal(normal_map.lit_count, quality & 63)
        assert np.array_equal(normal_map.observable, (quality & 64) > 0)
        assert np.array_equal(normal_map.saturated, (quality & 128) > 0)
        assert np.array_equal(view.anomaly_map.scores, tifffile.imread(folder / "anomaly.tif"))


def scaled(path: Path) -> np.ndarray:
    """The values of a plane that is stored as 16 bit with a scale in its description."""
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        return page.asarray().astype(np.float64) * json.loads(page.description)["scale"]


def test_pictures_are_those_of_then(archive: Archive) -> None:
    left = archive.load(FAILED).views[1]
    assert left.image is not None
    assert left.normal_map is not None
    assert left.anomaly_map is not None
    assert float(left.image.mean()) == pytest.approx(0.15508481860160828, rel=1e-5)
    assert float(left.normal_map.normals[2].mean()) == pytest.approx(0.9313166737556458, rel=1e-5)
    assert float(left.normal_map.albedo.mean()) == pytest.approx(0.25220033526420593, rel=1e-5)
    assert float(left.normal_map.residual.mean()) == pytest.approx(0.0031720357947051525, rel=1e-4)
    assert (int(left.normal_map.lit_count.sum()), int(left.normal_map.observable.sum())) == (3374, 852)
    assert float(left.anomaly_map.scores.max()) == pytest.approx(2.9221560955047607)


def test_frames_load_with_what_they_were_commanded_to_be(archive: Archive) -> None:
    frames = archive.load_frames(PASSED)
    assert [(f.view, f.light) for f in frames] == [(view, light) for view in VIEWS for light in LIGHTS]
    assert [f.frame.frame_id for f in frames] == list(range(2, 17)), "number 1 is the dark frame, which is not kept"
    first, left = frames[0], frames[5]
    assert (first.frame.pixel_format, first.frame.significant_bits, first.frame.black_level_dn) == ("BayerRG12", 12, 64)
    assert (first.frame.exposure_us, frames[4].frame.exposure_us, first.frame.gain_db) == (8000, 6000, 0)
    assert (first.frame.pixels.shape, first.frame.pixels.dtype, int(first.frame.pixels.sum())) == (
        (24, 36), np.uint16, 760176,
    )  # fmt: skip
    arm = load_recipe(WRITTEN / "tile.yaml", now=WHILE_VALID).recipe.viewpoints[1].as_pose()
    assert left.pose.as_tuple() == pytest.approx(arm.as_tuple(), abs=1e-6), "as the calibration of then aimed it"
    assert [(f.view, f.light) for f in archive.load_frames(ENDED)][-2:] == [("right", "L45"), ("right", "L135")]
    assert len(archive.load_frames(DOUBTFUL)) == 13
    assert archive.load_frames(DOUBTFUL)[11].frame.pixels.dtype == np.uint8


def test_light_readings_are_those_of_then(archive: Archive) -> None:
    readings = archive.light_readings(recipe_id="tile", calibration=RECORD_SHA256)
    assert len(readings) == 40, "8 views were solved under 5 lights"
    assert [reading.inspection_id for reading in readings] == sorted(reading.inspection_id for reading in readings)
    found = {(r.inspection_id, r.view, r.light): r for r in readings}
    reading = found[PASSED, "left", "L135"]
    assert reading.level == pytest.approx(0.18809779762396978)
    assert reading.left_out_residual == pytest.approx(0.007891014763662128)
    assert found[PASSED, "left", "diffuse"].left_out_residual is None
    assert found[DOUBTFUL, "top", "L45"].left_out_residual is None
    assert archive.light_readings(recipe_id="another") == []


@pytest.mark.parametrize("inspection_id", [PASSED, FAILED])
def test_an_inspection_is_judged_again_to_the_same_verdict_and_scores(archive: Archive, inspection_id: str) -> None:
    report = rejudge(archive, inspection_id)
    assert report.is_same
    assert report.verdict_now.value == VERDICTS[inspection_id]
    scores = {view.view: view.score_now for view in report.views}
    assert scores == pytest.approx(SCORES[inspection_id], rel=OTHER_PROCESSOR)
    assert [view.verdict_now for view in report.views] == [view.verdict_then for view in report.views]
    assert report.reasons == ()


@pytest.mark.parametrize("inspection_id", [ENDED, DOUBTFUL])
def test_what_was_undecided_stays_undecided(archive: Archive, inspection_id: str) -> None:
    report = rejudge(archive, inspection_id)
    assert report.verdict_now is Verdict.UNDECIDED
    top = report.views[0]
    assert top.score_now == pytest.approx(SCORES[inspection_id]["top"], rel=OTHER_PROCESSOR)
    assert [reason.kind for reason in top.reasons] == KINDS_NOW[inspection_id]
    then = VIEW_REASONS[inspection_id]["top"]
    assert all(text.startswith(now.text) for now, text in zip(top.reasons, then, strict=True)), "remedies stand apart"
    if inspection_id == ENDED:
        assert report.reasons[0].text == REASONS[ENDED][0][1], "the camera's fault still ends it"


def test_the_recipe_loads_with_its_record_and_model() -> None:
    loaded = load_recipe(WRITTEN / "tile.yaml", now=WHILE_VALID)
    recipe = loaded.recipe
    assert (recipe.recipe_id, recipe.revision, recipe.calibration_sha256) == ("tile", 3, RECORD_SHA256)
    assert [(view.name, view.limit) for view in recipe.viewpoints] == [
        ("top", 3.205), ("left", 2.324), ("right", 2.711),
    ]  # fmt: skip
    assert [(light.name, light.channel) for light in recipe.lights] == list(zip(LIGHTS, (2, 4, 6, 8, 9), strict=True))
    assert recipe.reference_levels["left"]["diffuse"] == 0.15998
    assert recipe.reference_lights["L45"].direction == (0.45452, 0.45452, 0.76604)
    assert recipe.reference_camera is not None
    assert recipe.reference_camera.focal_px == 2000.0
    assert recipe.display.white_balance.gains == (1.2, 1.0, 1.3)
    assert loaded.sha256s["model"] == MODEL_SHA256
    assert loaded.flat_field is not None
    assert recipe.viewpoints[1].pose.x_mm != -176.777, "aimed for the camera of the record"
    assert recipe.viewpoints[1].pose.x_mm == pytest.approx(-176.777, abs=1.0)


def test_the_calibration_record_loads_with_its_flat_field() -> None:
    record = load_document(RECORD, Calibration)
    assert (record.calibration_id, record.camera_serial_number) == ("tile_rig-2026-11-24", "SIM-7")
    assert record.light(2).position_mm == (113.927, 113.332, 191.5111)
    assert record.light(9).kind == "diffuse"
    assert record.camera is not None
    assert record.camera.refused == ("board_07: only 11 corners were found",)
    assert record.sensor is not None
    assert record.sensor.gain_dn_per_e == 0.4
    assert [viewpoint.name for viewpoint in record.viewpoints] == list(VIEWS)
    assert record.provenance is not None
    assert (record.provenance.released_by, record.provenance.expires) == ("A. Person", "2027-05-23T09:30:00Z")
    maps = load_field(record, RECORD)
    assert maps is not None
    assert (maps.channels, maps.factors.shape, maps.step_px, maps.origin_px) == ((2, 4, 6, 8), (4, 5, 7), 64.0, 3.5)


def test_the_model_passes_its_self_test() -> None:
    detector = AnomalyDetector.load(WRITTEN / "models" / "tile.onnx", MODEL_SHA256)
    detector.check_fits(load_recipe(WRITTEN / "tile.yaml", now=WHILE_VALID).recipe)
    assert detector.metadata.views == VIEWS
    assert detector.metadata.input_size == (24, 36)
    assert detector.model_id == f"tile-{MODEL_SHA256[:12]}"


def test_the_rig_file_loads_and_is_written_as_it_was(tmp_path: Path) -> None:
    rig = load_rig(WRITTEN / "rig.yaml")
    assert (rig.name, rig.simulated) == ("cell-7", False)
    assert [rig.driver_of(section) for section in ("camera", "arm", "lights")] == ["genicam", "grbl", "gardasoft"]
    assert rig.place_of("arm") == "/dev/serial/by-id/usb-gantry"
    assert rig.travel()["z_mm"] == (40.0, 320.0)
    save_rig(tmp_path / "rig.yaml", rig)
    saved, before = ((folder / "rig.yaml").read_text("utf-8") for folder in (tmp_path, WRITTEN))
    added = [line for line in saved.splitlines() if line not in before.splitlines()]
    assert [line for line in saved.splitlines() if line not in added] == before.splitlines()
    assert [line.split(":")[0].strip() for line in added] == ["boot_timeout_s", "move_margin_s", "inference"], (
        "settings since then"
    )
    assert load_rig(tmp_path / "rig.yaml") == rig


def test_the_data_set_loads() -> None:
    found = load_dataset(WRITTEN / "dataset" / "tile")
    assert (found.product, found.views, found.input_size) == ("tile", VIEWS, (24, 36))
    assert found.photometric_stereo["method"] == "masked"
    left = next(item for item in found.of("test", "dent") if item.view == "left")
    assert read_rgb(left.rgb, TrainConfig()).shape == (3, 24, 36)
    assert np.linalg.norm(read_normals(left.normal), axis=0).max() == pytest.approx(1.0, abs=1e-5)
    assert read_mask(left.mask, (24, 36)).any()


def test_the_archive_still_finds_the_files_that_an_inspection_rests_on(archive: Archive) -> None:
    loaded = archive.load(PASSED)
    for what, suffix in (("recipe", ".yaml"), ("calibration", ".yaml"), ("model", ".onnx"), ("flat_field", ".npz")):
        assert archive.kept_document(loaded.provenance[what], suffix).is_file()
    assert archive.incomplete() == []
