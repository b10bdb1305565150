"""A model file is used only if it proves what it is; captures fit it or are refused; NaN is never a number."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from station.judge.detector import AnomalyDetector, DetectorInputError, ModelRefused
from station.recipe.loaded import Recipe

onnx = pytest.importorskip("onnx", reason="making a model needs the extra `train`")


@pytest.fixture(scope="module")
def detector(small_model: Path) -> AnomalyDetector:
    return AnomalyDetector.load(small_model)


def _view(factor: int = 1, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    image = rng.random((3, 48 * factor, 72 * factor)).astype(np.float32)
    normals = np.zeros_like(image)
    normals[2] = 1
    return image, normals


def _altered(small_model: Path, to: Path, **changes: object) -> Path:
    """The same graph with some metadata changed (None = removed)."""
    model = onnx.load(str(small_model))
    entry = next(p for p in model.metadata_props if p.key == "facet")
    metadata = json.loads(entry.value)
    metadata.update(changes)
    entry.value = json.dumps({k: v for k, v in metadata.items() if v is not None})
    to.write_bytes(model.SerializeToString())
    return to


def test_map_and_score_of_a_view(detector: AnomalyDetector) -> None:
    found = detector.detect(*_view(), "left")
    assert found.scores.shape == (48, 72)
    assert found.scores.dtype == np.float32
    assert np.isfinite(found.pred_score)
    assert detector.model_id.startswith("tile-")


def test_views_are_told_apart(detector: AnomalyDetector) -> None:
    scores = {view: detector.detect(*_view(), view).pred_score for view in ("top", "left")}
    assert scores["top"] != scores["left"]


def test_the_same_picture_gives_the_same_score(detector: AnomalyDetector) -> None:
    assert detector.detect(*_view(), "top").pred_score == detector.detect(*_view(), "top").pred_score


def test_a_finer_capture_is_averaged_down(detector: AnomalyDetector) -> None:
    image, normals = _view()
    coarse = detector.detect(image, normals, "top").pred_score
    fine = detector.detect(image.repeat(4, 1).repeat(4, 2), normals.repeat(4, 1).repeat(4, 2), "top").pred_score
    assert fine == pytest.approx(coarse, rel=1e-4)


def test_shared_mono_planes_average_like_separate_ones(detector: AnomalyDetector) -> None:
    image, normals = _view(2)
    shared = np.broadcast_to(image[0], image.shape)
    separate = np.ascontiguousarray(shared)
    assert detector.detect(shared, normals, "top").pred_score == detector.detect(separate, normals, "top").pred_score


def test_unobservable_pixels_do_not_bend_a_block_s_normal(detector: AnomalyDetector) -> None:
    image, normals = _view()
    fine = normals.repeat(4, 1).repeat(4, 2)
    fine[:, ::4, ::4] = 0
    image = image.repeat(4, 1).repeat(4, 2)
    gaps, whole = (detector.detect(image, n, "top").pred_score for n in (fine, normals.repeat(4, 1).repeat(4, 2)))
    assert gaps == pytest.approx(whole, rel=1e-5)


@pytest.mark.parametrize("shape", [(3, 48, 71), (3, 24, 36), (3, 96, 72), (48, 72)])
def test_a_capture_of_another_size_is_refused(detector: AnomalyDetector, shape: tuple[int, ...]) -> None:
    picture = np.zeros(shape, np.float32)
    with pytest.raises(DetectorInputError, match=r"72 x 48|\(3, H, W\)"):
        detector.detect(picture, picture, "top")


def test_an_unknown_view_is_refused(detector: AnomalyDetector) -> None:
    with pytest.raises(DetectorInputError, match="'bottom'"):
        detector.detect(*_view(), "bottom")


def test_a_picture_that_is_not_finite_scores_not_a_number(detector: AnomalyDetector) -> None:
    image, normals = _view()
    image[:, 10, 10] = np.nan
    assert np.isnan(detector.detect(image, normals, "top").pred_score)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match=r"absent.onnx: there is no such file; train it"):
        AnomalyDetector.load(tmp_path / "absent.onnx")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.98])
def test_a_truncated_file_is_refused(small_model: Path, tmp_path: Path, share: float) -> None:
    content = small_model.read_bytes()
    file = tmp_path / "cut.onnx"
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ModelRefused, match=r"empty|no readable ONNX model|self-test|metadata"):
        AnomalyDetector.load(file)


def test_something_else_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "text.onnx"
    file.write_text("not a model")
    with pytest.raises(ModelRefused, match="no readable ONNX model"):
        AnomalyDetector.load(file)


def test_one_flipped_bit_is_refused_by_its_hash(small_model: Path, tmp_path: Path) -> None:
    content = bytearray(small_model.read_bytes())
    expected = hashlib.sha256(content).hexdigest()
    assert AnomalyDetector.load(small_model, expected).sha256 == expected
    content[len(content) // 2] ^= 1
    file = tmp_path / "flipped.onnx"
    file.write_bytes(content)
    with pytest.raises(ModelRefused, match="SHA-256"):
        AnomalyDetector.load(file, expected)


def test_changed_weights_fail_the_self_test_without_a_hash(small_model: Path, tmp_path: Path) -> None:
    model = onnx.load(str(small_model))
    weight = next(w for w in model.graph.initializer if w.name == "scoring.p99")
    weight.raw_data = (np.frombuffer(weight.raw_data, np.float32) * 2).astype(np.float32).tobytes()
    file = tmp_path / "changed.onnx"
    file.write_bytes(model.SerializeToString())
    with pytest.raises(ModelRefused, match="self-test failed"):
        AnomalyDetector.load(file)


def test_a_file_without_metadata_is_refused(small_model: Path, tmp_path: Path) -> None:
    model = onnx.load(str(small_model))
    del model.metadata_props[:]
    file = tmp_path / "bare.onnx"
    file.write_bytes(model.SerializeToString())
    with pytest.raises(ModelRefused, match="no metadata 'facet'"):
        AnomalyDetector.load(file)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"format_version": 3}, "format 3"),
        ({"format_version": 1, "golden": {"kind": "lattice", "seed": 1, "scores": [1.0, 2.0]}}, "inputs are .*region"),
        ({"views": ["top", "left", "back"]}, "calibration.views"),
        ({"golden": {"kind": "lattice", "seed": 20, "scores": [1.0, 2.0]}}, "self-test failed"),
        ({"input_size": None}, "input_size"),
        ({"surprise": 1}, "surprise"),
        ({"input_size": [24, 36]}, "does not run"),
    ],
)
def test_wrong_metadata_is_refused(
    small_model: Path, tmp_path: Path, changes: dict[str, object], complaint: str
) -> None:
    with pytest.raises(ModelRefused, match=complaint):
        AnomalyDetector.load(_altered(small_model, tmp_path / "m.onnx", **changes))


def test_swapped_views_fail_the_self_test(small_model: Path, tmp_path: Path) -> None:
    model = onnx.load(str(small_model))
    golden = json.loads(next(p.value for p in model.metadata_props if p.key == "facet"))["golden"]
    per_view = len(golden["scores"]) // 2
    golden["scores"] = golden["scores"][per_view:] + golden["scores"][:per_view]
    for name in ("samples", "figures"):
        golden[name] = golden[name][::-1]
    file = _altered(small_model, tmp_path / "m.onnx", views=["left", "top"], golden=golden)
    with pytest.raises(ModelRefused, match="self-test failed"):
        AnomalyDetector.load(file)


TOP = {
    "name": "top",
    "pose": {"x_mm": 0.0, "y_mm": 0.0, "z_mm": 258.0, "tilt_deg": 0.0, "pan_deg": -90.0},
    "limit": 1.0,
}
GLOSSY = {"refine": "gloss", "detector_normals": "refined", "gloss": {"of_albedo": 0.7, "roughness": 0.45}}
REFINED = {"refine": "robust", "detector_normals": "refined"}


def _recipe(**changes: object) -> Recipe:
    pose = {"x_mm": 0.0, "y_mm": 0.0, "z_mm": 258.0, "tilt_deg": 0.0, "pan_deg": -90.0}
    lights = [
        {"name": f"L{a}", "channel": n, "kind": "directional", "exposure_us": 8000.0}
        for n, a in enumerate((45, 135, 225, 315), start=1)
    ]
    raw = {
        "recipe_id": "tile",
        "product": "tile",
        "calibration": "c.yaml",
        "capture": {"pixel_format": "BayerRG12"},
        "viewpoints": ({"name": "top", "pose": pose, "limit": 1.0},),
        "lights": (*lights, {"name": "diffuse", "channel": 9, "kind": "diffuse", "exposure_us": 8000.0}),
        "model": {"file": "tile.onnx"},
    }
    return Recipe.model_validate({**raw, **changes})


def test_a_model_fits_the_recipe_it_was_made_for(detector: AnomalyDetector) -> None:
    detector.check_fits(_recipe())


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"product": "knob"}, "trained for 'tile', the recipe is for 'knob'"),
        ({"capture": {"pixel_format": "Mono8"}}, "trained on rgb pictures, Mono8 gives mono"),
        ({"photometric_stereo": {"method": "ls"}}, "solved by 'masked', the recipe uses 'ls'"),
        ({"photometric_stereo": REFINED}, "refined by 'none', the recipe gives it 'robust'"),
        ({"photometric_stereo": GLOSSY}, "refined by 'none', the recipe gives it 'gloss'"),
        ({"viewpoints": ({**TOP, "plane_height_mm": 5.2},)}, "learned at plane height 0 mm, the recipe has 5.2"),
    ],
)
def test_a_model_of_something_else_is_refused(
    detector: AnomalyDetector, changes: dict[str, object], complaint: str
) -> None:
    with pytest.raises(ModelRefused, match=complaint):
        detector.check_fits(_recipe(**changes))


def test_a_model_of_another_gloss_or_shadow_fraction_is_refused(detector: AnomalyDetector) -> None:
    learned = {"refine": "gloss", "gloss": (0.3, 0.4), "shadow_fraction": 0.05}
    stereo = detector.metadata.photometric_stereo.model_copy(update=learned)
    metadata = detector.metadata.model_copy(update={"photometric_stereo": stereo})
    other = AnomalyDetector(detector.path, detector.sha256, metadata, None)
    same = {"refine": "gloss", "detector_normals": "refined", "gloss": {"of_albedo": 0.3, "roughness": 0.4}}
    with pytest.raises(ModelRefused, match=r"of gloss \(0.3, 0.4\), the recipe has \(0.7, 0.45\)"):
        other.check_fits(_recipe(photometric_stereo={**GLOSSY, "shadow_fraction": 0.05}))
    with pytest.raises(ModelRefused, match=r"learned at shadow_fraction 0\.05, the recipe has 0\.08"):
        other.check_fits(_recipe(photometric_stereo=same))
    other.check_fits(_recipe(photometric_stereo={**same, "shadow_fraction": 0.05}))
