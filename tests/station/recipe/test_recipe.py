"""A recipe that loads can be run; one that cannot says which line is wrong and what is allowed."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from drivers.errors import OutOfTravel
from drivers.geometry.pose import Pose
from station.documents.document import read_document
from station.documents.errors import DocumentError
from station.recipe import edit as recipe_edit
from station.recipe.demo import DEMO_RECIPES, SIMULATED_RIG_DRAWING
from station.recipe.edit import update_recipe_values
from station.recipe.fields import ReferenceCamera, WhiteBalance
from station.recipe.loaded import Recipe, load_recipe
from station.recipe.reference_lights import reference_lights
from station.teach.training import camera_of_set, lights_of_set

MODEL = b"stands for a model: only its hash is looked at here"
MODEL_SHA256 = hashlib.sha256(MODEL).hexdigest()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The connector recipe, its values those of no training, beside a calibration and a model."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models/connector.onnx").write_bytes(MODEL)
    shutil.copy(SIMULATED_RIG_DRAWING, tmp_path)
    shutil.copytree(DEMO_RECIPES / "references", tmp_path / "references")
    recipe = tmp_path / "connector.yaml"
    shutil.copy(DEMO_RECIPES / "connector.yaml", recipe)
    limits = dict.fromkeys(("top", "front", "right", "back", "left"), 1.0)
    update_recipe_values(recipe, limits=limits, sha256=MODEL_SHA256, reference_levels={})
    return recipe


def error_of(path: Path) -> str:
    with pytest.raises(DocumentError) as caught:
        load_recipe(path)
    return str(caught.value)


def line_with(path: Path, text: str) -> int:
    return next(n for n, line in enumerate(path.read_text().splitlines(), 1) if text in line)


def replaced(old: str, new: str) -> Callable[[str], str]:
    def edit(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return edit


def without_lines(*words: str) -> Callable[[str], str]:
    return lambda text: "".join(line for line in text.splitlines(True) if not any(word in line for word in words))


@pytest.mark.parametrize("name", ["connector", "knob", "connector_full"])
def test_the_shipped_recipes_load(name: str) -> None:
    loaded = load_recipe(DEMO_RECIPES / f"{name}.yaml", need_model=False)
    assert loaded.recipe.recipe_id == name
    assert [viewpoint.name for viewpoint in loaded.recipe.viewpoints] == ["top", "front", "right", "back", "left"]
    assert [light.name for light in loaded.recipe.directional_lights] == ["L45", "L135", "L225", "L315"]


@pytest.mark.parametrize("name", ["connector", "knob", "connector_full"])
def test_the_shipped_viewpoints_look_at_the_target_from_250_mm(name: str) -> None:
    for viewpoint in load_recipe(DEMO_RECIPES / f"{name}.yaml", need_model=False).recipe.viewpoints:
        pose = viewpoint.as_pose()
        tilt, pan = np.radians([pose.tilt_deg, pose.pan_deg])
        forward = -np.array([np.sin(tilt) * np.cos(pan), np.sin(tilt) * np.sin(pan), np.cos(tilt)])
        target = np.array(pose.as_tuple()[:3]) + 250 * forward
        np.testing.assert_allclose(target, [0, 0, 8], atol=1e-3)


def test_a_loaded_recipe_knows_its_files_and_their_hashes(path: Path) -> None:
    loaded = load_recipe(path)
    assert loaded.model_path == path.parent / "models/connector.onnx"
    assert loaded.sha256s["model"] == MODEL_SHA256
    assert loaded.sha256s["recipe"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert loaded.calibration.camera_serial_number == "FACET-SIM-0001"
    assert loaded.recipe.camera_settings().binning == 8


@pytest.mark.parametrize(
    ("edit", "at", "expected"),
    [
        (replaced("pixel_format:", "pixel_fromat:"), "pixel_fromat", "did you mean 'pixel_format'?"),
        (replaced("revision: 1", "revison: 1"), "revison", "did you mean 'revision'?"),
        (replaced("limit: 1.0", "limit: 1.0\n    limt: 2"), "limt", "viewpoints[0].limt: unknown key"),
        (replaced("exposure_us: 8000.0", "exposure_us: 8 ms"), "8 ms", "write the number alone, in microseconds"),
        (replaced("exposure_us:", "exposure_ms:"), "exposure_ms", "did you mean 'exposure_us'?"),
        (replaced("z_mm: 258.0", "z_mm: 25.8 cm"), "cm", "expected a number in millimetres, found '25.8 cm'"),
        (replaced("binning: 8", "binning: 3"), "binning: 3", "capture.binning: found 3; expected 1, 2, 4 or 8"),
        (replaced("BayerRG12", "BayerRG13"), "BayerRG13", "did you mean 'BayerRG12'?"),
        (replaced("brightness: 1.0", "brightness: 100"), "brightness: 100", "less than or equal to 1"),
        (replaced("limit: 1.0", "limit: .nan"), "limit: .nan", "expected a finite number"),
        (replaced("limit: 1.0", "limit: 0"), "limit: 0", "greater than 0"),
        (replaced("recipe_id: connector", "recipe_id: ../up"), "recipe_id", "does not match"),
        (replaced("recipe_id: connector", "recipe_id: con"), "recipe_id", "cannot be a file name"),
        (replaced("recipe_id: connector", "recipe_id: 010"), "recipe_id", None),
        (replaced("method: masked", "method: maskd"), "maskd", "did you mean 'masked'?"),
        (replaced("name: front", "name: 'top'"), "name: 'top'", "'top' is already that of viewpoints[0]"),
        (replaced("name: L135", "name: L45"), "channel: 4", "'L45' is already that of lights[0]"),
        (replaced("name: L135", "name: Dark"), "channel: 4", "'dark' names the frame with every light off"),
        (replaced("channel: 4", "channel: 2"), "name: L135", "lights[1].channel: 2 is already that of lights[0]"),
        (replaced("channel: 4", "channel: 12"), "name: L135", "channel 12 is not in calibration"),
        (replaced("channel: 4", "channel: 9"), "diffuse, channel: 9", "9 is already that of lights[1]"),
        (replaced("L315, channel: 8, kind: directional", "L315, channel: 8, kind: diffuse"), "diffuse, channel: 9",
         "exactly one light must be diffuse, found 2"),
        (without_lines("name: diffuse"), "lights:", "exactly one light must be diffuse, found 0"),
        (without_lines("name: L45", "name: L135"), "lights:", "at least 3 directional lights, found 2"),
        (replaced("method: masked", "method: ls\n  refine: bounced"), "method: ls", "and 'ls' would not count"),
        (lambda text: replaced("method: masked", "method: masked\n  refine: bounced")(without_lines("name: L45")(text)),
         "refine: bounced", "bounced needs 4 directional lights or more, found 3"),
        (replaced("simulated_rig.calibration.yaml", "other.yaml"), "calibration:", "there is no file"),
        (replaced("models/connector.onnx", "models/gone.onnx"), "file: models", "model.file: there is no file"),
        (replaced(MODEL_SHA256, "0" * 64), "sha256:", "has SHA-256"),
        (replaced(MODEL_SHA256, "abc"), "sha256:", "does not match"),
    ],
)  # fmt: skip
def test_a_broken_recipe_names_file_line_and_field(
    path: Path, edit: Callable[[str], str], at: str, expected: str | None
) -> None:
    path.write_text(edit(path.read_text()))
    if expected is None:  # 010 is a text, as typed, and a lawful id
        assert load_recipe(path).recipe.recipe_id == "010"
        return
    error = error_of(path)
    assert error.startswith(f"{path}:{line_with(path, at)}:")
    assert expected in error
    assert "\n" not in error


def test_coplanar_lights_are_refused_with_the_condition_number(path: Path) -> None:
    calibration = path.parent / "simulated_rig.calibration.yaml"
    lines = []
    for line in calibration.read_text().splitlines():
        start, bracket, rest = line.partition("position_mm: [")
        if bracket:  # all lights in the plane y = 0
            x, _, rest = rest.split(",", 2)
            line = f"{start}{bracket}{x}, 0.0,{rest}"
        lines.append(line)
    calibration.write_text("\n".join(lines))
    error = error_of(path)
    assert error.startswith(f"{path}:{line_with(path, 'lights:')}:1: lights: ")
    assert "coplanar" in error
    assert "condition number" in error


def test_a_light_of_another_kind_than_calibrated_is_refused(path: Path) -> None:
    calibration = path.parent / "simulated_rig.calibration.yaml"
    calibration.write_text(calibration.read_text().replace("channel: 4, name: L135", "channel: 14, name: L135"))
    text = calibration.read_text() + "  - {channel: 4, name: ring, kind: diffuse}\n"
    calibration.write_text(text)
    assert "'L135' is directional here, but channel 4 is calibrated as diffuse" in error_of(path)


def test_an_error_in_the_calibration_names_the_calibration(path: Path) -> None:
    calibration = path.parent / "simulated_rig.calibration.yaml"
    calibration.write_text(calibration.read_text().replace("fx_px: 24429.0", "fx_px: -1"))
    assert error_of(path).startswith(f"{calibration}:{line_with(calibration, 'fx_px')}:1: fx_px: found -1")


def test_making_training_data_needs_no_model(path: Path) -> None:
    (path.parent / "models/connector.onnx").unlink()
    assert "model" not in load_recipe(path, need_model=False).sha256s


def test_training_again_does_not_mind_the_old_models_hash(path: Path) -> None:
    (path.parent / "models/connector.onnx").write_bytes(b"newer")
    load_recipe(path, need_model=False)
    assert "restore the model" in error_of(path)


def test_a_device_that_refuses_a_viewpoint_is_told_with_the_viewpoints_line(path: Path) -> None:
    loaded = load_recipe(path)
    with pytest.raises(DocumentError) as caught, loaded.naming("viewpoints.right"):
        raise OutOfTravel("gantry", "x_mm 300.0 is outside -220.0 to 220.0")
    line = line_with(path, "name: right")
    assert str(caught.value) == (f"{path}:{line}:5: viewpoints[2]: gantry: x_mm 300.0 is outside -220.0 to 220.0")
    assert loaded.line_of(("lights", 4, "exposure_us")).startswith(f"{path}:{line_with(path, 'name: diffuse')}:")


def test_values_are_written_in_place_and_comments_stay(path: Path) -> None:
    before = path.read_text()
    levels = {"top": {"L45": 0.25, "diffuse": 0.1 + 0.2}, "left": {"L45": 1e-5}}
    update_recipe_values(path, limits={"top": 0.7, "left": 1e-3}, sha256="ab" * 32, reference_levels=levels)
    recipe = load_recipe(path, need_model=False).recipe
    assert [viewpoint.limit for viewpoint in recipe.viewpoints] == [0.7, 1.0, 1.0, 1.0, 0.001]
    assert recipe.model.sha256 == "ab" * 32
    assert recipe.reference_levels == levels
    assert [line for line in before.splitlines() if line.startswith("#")] == [
        line for line in path.read_text().splitlines() if line.startswith("#")
    ]
    update_recipe_values(path, reference_levels={})
    assert load_recipe(path, need_model=False).recipe.reference_levels == {}


def test_the_displays_white_balance_is_written_and_belongs_to_colour_pictures(path: Path) -> None:
    balance = WhiteBalance(red=1.5, green=1.0, blue=2.0)
    update_recipe_values(path, white_balance=balance)
    update_recipe_values(path, white_balance=balance)
    assert load_recipe(path).recipe.display.white_balance == balance
    assert path.read_text().count("white_balance:") == 1
    path.write_text(replaced("BayerRG12", "Mono12")(path.read_text()))
    assert "display.white_balance: Mono12 pictures have no colours" in error_of(path)
    path.write_text(replaced("red: 1.5", "red: 0.5")(path.read_text()))
    assert "display.white_balance.red" in error_of(path)


def test_writing_the_same_values_again_changes_nothing(path: Path) -> None:
    levels = {"top": {"L45": 0.25}}
    update_recipe_values(path, sha256="ab" * 32, reference_levels=levels)
    once = path.read_text()
    update_recipe_values(path, sha256="ab" * 32, reference_levels=levels)
    assert path.read_text() == once


def test_a_recipe_keeps_the_lights_and_the_camera_with_which_it_learned(path: Path) -> None:
    loaded = load_recipe(path, need_model=False)
    lights = reference_lights(loaded.calibration, loaded.recipe.lights, loaded.recipe.capture.gain_db)
    camera = ReferenceCamera(focal_px=24300.5, center_px=(2710.25, 1830.0), on_arm_mm=(0.5, -0.1, 0.0))
    index = {"reference_lights": {n: v.model_dump(mode="json") for n, v in lights.items()},
             "reference_camera": camera.model_dump(mode="json")}  # fmt: skip
    for known in (index, json.loads(json.dumps(index))):  # a data set's, as made and as read
        assert (lights_of_set(known, loaded), camera_of_set(known, loaded)) == (lights, camera)
    assert lights_of_set({}, loaded) == lights
    update_recipe_values(path, reference_lights=lights, reference_camera=camera)
    once, changed = path.read_text(), load_recipe(path, need_model=False)
    written = read_document(path).validated(Recipe)
    assert (written.reference_lights, written.reference_camera) == (lights, camera)
    assert written.viewpoints == loaded.recipe.viewpoints
    assert changed.recipe.viewpoints != loaded.recipe.viewpoints  # aimed: the calibration's camera is another
    update_recipe_values(path, reference_lights=lights, reference_camera=camera)
    assert path.read_text() == once


def test_a_hash_is_added_where_the_recipe_has_none(path: Path) -> None:
    path.write_text(without_lines(MODEL_SHA256)(path.read_text()))
    update_recipe_values(path, sha256="ab" * 32)
    assert load_recipe(path, need_model=False).recipe.model.sha256 == "ab" * 32


@pytest.mark.parametrize(
    "values",
    [{"limits": {"bottom": 1.0}}, {"limits": {"top": -1.0}}, {"limits": {"top": float("nan")}}, {"sha256": "short"},
     {"reference_levels": {"top": {"L46": 0.5}}}],
)  # fmt: skip
def test_values_that_make_no_valid_recipe_leave_the_file_alone(path: Path, values: dict[str, object]) -> None:
    before = path.read_text()
    with pytest.raises(DocumentError):
        update_recipe_values(path, **values)  # type: ignore[arg-type]
    assert path.read_text() == before


def test_a_failed_write_leaves_the_recipe_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_text()

    def full(path: Path, data: bytes) -> None:
        raise OSError(28, f"No space left on device for {len(data)} bytes", str(path))

    monkeypatch.setattr(recipe_edit, "write_atomic", full)
    with pytest.raises(OSError, match="No space"):
        update_recipe_values(path, limits={"top": 0.5})
    assert path.read_text() == before


def test_a_viewpoint_becomes_a_pose(path: Path) -> None:
    assert load_recipe(path).recipe.viewpoints[0].as_pose() == Pose(0.0, 0.0, 258.0, 0.0, -90.0)
