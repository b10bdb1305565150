"""Exposures by looking, on a camera that answers light linearly up to where it clips; and what a new recipe refuses."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import yaml
from made_collection import SHAPE, TILE, made_recipe

from calibration.record import Calibration
from drivers.geometry.pose import Pose
from drivers.protocols import Frame
from drivers.simulated.config import SimulatedRigConfig
from station.commands.app import app
from station.commands.exit_codes import ExitCode, run_guarded
from station.documents.document import load_document
from station.product.choice import ProductChoice, ProductError, chosen_lights, chosen_views, recipe_text
from station.product.exposures import LEAST_US, MOST_US, TooDark, choose_exposures
from station.product.new_recipe import new_product
from station.recipe.demo import SIMULATED_RIG_DRAWING
from station.recipe.loaded import LoadedRecipe, load_recipe
from station.rig.devices import Rig
from station.rig.simulated import write_rig_file


class LinearRig:
    """Camera, arm and lights in one: a bright tile on a dark plate, seen at a light's own level per us."""

    def __init__(self, level_per_us: dict[int, float], glint: float = 0.0) -> None:
        self.level_per_us, self.glint, self.lit, self.moves = level_per_us, glint, 0, 0

    def on(self, channel: int, _brightness: float) -> None:
        self.lit = channel

    def off(self) -> None:
        self.lit = 0

    def move_to(self, pose: Pose) -> Pose:
        assert self.lit == 0, "lights are off during every move"
        self.moves += 1
        return pose

    def expose(self, exposure_us: float, gain_db: float) -> Frame:
        level = np.full(SHAPE, 0.1)
        level[TILE] = np.linspace(0.2, 1.0, 64)
        level[:1] = self.glint  # at the edge of the picture, and 1 % of it
        signal = 64 + 4031 * level * self.level_per_us[self.lit] * exposure_us
        counts = np.minimum(signal, 4095).astype(np.uint16)
        return Frame(counts, "Mono12", 12, 64.0, exposure_us, gain_db, 0, 0)

    def as_rig(self) -> Rig:
        return Rig("linear", True, cast(Any, self), cast(Any, self), cast(Any, self))


@pytest.fixture
def loaded(tmp_path: Path) -> LoadedRecipe:
    return made_recipe(tmp_path / "recipe")


def levels(loaded: LoadedRecipe, per_us: float) -> dict[int, float]:
    return {light.channel: per_us for light in loaded.recipe.lights}


@pytest.mark.parametrize("per_us", [3e-3, 1e-4, 2e-6], ids=["clips at first", "fits at first", "dark at first"])
def test_the_parts_brightest_percentile_comes_to_three_quarters_of_full_scale(
    loaded: LoadedRecipe, per_us: float
) -> None:
    rig = LinearRig(levels(loaded, per_us))
    rig.level_per_us[2] = per_us / 3
    found, chosen = choose_exposures(rig.as_rig(), loaded, lambda _: None)
    for light, choice in zip(found.recipe.lights, chosen, strict=True):
        rig.on(light.channel, 1.0)
        frame = rig.expose(light.exposure_us, 0.0)
        bright = (np.quantile(frame.pixels[24:72, 36:108], 0.99) - 64) / 4031
        assert light.exposure_us == MOST_US or 0.66 < bright <= 0.76
        assert bright == pytest.approx(choice.bright["top"], abs=0.01)
    assert (found.recipe.lights[0].exposure_us > 2.5 * found.recipe.lights[1].exposure_us) or per_us < 1e-5
    assert rig.moves == 2, "each view is visited once"


def test_a_glint_beside_the_part_does_not_clip(loaded: LoadedRecipe) -> None:
    rig = LinearRig(levels(loaded, 1e-4), glint=2.0)
    found, _ = choose_exposures(rig.as_rig(), loaded, lambda _: None)
    rig.on(2, 1.0)
    assert rig.expose(found.recipe.lights[0].exposure_us, 0.0).pixels.max() < 0.96 * 4095


def test_a_light_that_shows_nothing_or_too_much_is_named_with_its_view(loaded: LoadedRecipe) -> None:
    rig = LinearRig({**levels(loaded, 1e-4), 4: 1e-9})
    with pytest.raises(TooDark, match=r"view 'top', light 'L135': the middle of the picture stays dark at 200000 us"):
        choose_exposures(rig.as_rig(), loaded, lambda _: None)
    assert rig.lit == 0
    rig = LinearRig({**levels(loaded, 1e-4), 4: 2 / LEAST_US})
    with pytest.raises(TooDark, match=r"light 'L135': clipped even at 20 us; lower the light's brightness"):
        choose_exposures(rig.as_rig(), loaded, lambda _: None)


@pytest.fixture
def choice(tmp_path: Path) -> ProductChoice:
    rig = write_rig_file(tmp_path / "rig", SimulatedRigConfig())
    return ProductChoice("widget", tmp_path / "widget.yaml", rig, SIMULATED_RIG_DRAWING)


def test_without_a_look_the_recipe_has_the_rigs_five_views_and_every_light_of_the_record(choice: ProductChoice) -> None:
    found = new_product(replace(choice, plane_heights_mm={"top": 6.5}), lambda _: None, look=False)
    recipe = load_recipe(choice.recipe, need_model=False).recipe
    assert [v.name for v in recipe.viewpoints] == ["top", "front", "right", "back", "left"]
    assert [v.plane_height_mm for v in recipe.viewpoints] == [6.5, 0.0, 0.0, 0.0, 0.0]
    assert len(recipe.directional_lights) == 8
    assert found.frames == 5 * 9 + 1
    assert "front, right, back, left" in found.left_to_do()[0]
    assert not list(choice.recipe.parent.glob(".*draft")), "nothing is left behind"


def test_a_height_that_was_measured_says_in_the_recipe_how_sure_it_is(choice: ProductChoice) -> None:
    given = replace(choice, plane_heights_mm={"top": 6.5, "front": -2.0})
    lights = chosen_lights(given, load_document(choice.calibration, Calibration))
    text = recipe_text(given, chosen_views(given), lights, unsure_mm={"front": 2.9})
    assert "    plane_height_mm: 6.5\n" in text
    assert "    plane_height_mm: -2.0  # measured, +- 2.9 (k = 2)\n" in text


def test_what_cannot_begin_a_product_is_refused_in_one_line_and_nothing_is_written(
    choice: ProductChoice, tmp_path: Path
) -> None:
    taught = tmp_path / "taught.yaml"
    pose = dict.fromkeys(("x_mm", "y_mm", "z_mm", "tilt_deg", "pan_deg"), 0.0)
    taught.write_text(yaml.safe_dump({"viewpoints": [{"name": "4.top", "pose": pose}]}))
    record = tmp_path / "record.yaml"
    drawn = yaml.safe_load(SIMULATED_RIG_DRAWING.read_text())
    record.write_text(yaml.safe_dump({**drawn, "is_simulated": False}))
    for change, told in (
        ({"name": "My Widget"}, "'My Widget' cannot name a product"),
        ({"channels": (2, 77)}, "channel 77 is not in calibration"),
        ({"channels": (2, 4, 9)}, "at least 3 directional lights, found 2"),
        ({"viewpoints": taught}, r"viewpoint '4.top' cannot be named so in a recipe"),
        ({"plane_heights_mm": {"under": 1.0}}, "--plane-height under: no view is named so"),
        ({"calibration": record}, "does not record its release"),
    ):
        with pytest.raises(ProductError, match=told):
            new_product(replace(choice, **cast(Any, change)), lambda _: None, look=False)
    assert not list(tmp_path.glob("*widget*"))


def test_a_script_that_leaves_an_option_out_is_told_which(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    monkeypatch.setattr("sys.argv", ["station", "product", "new", "widget", "--rig", "rig.yaml"])
    assert run_guarded(app) == ExitCode.BAD_INPUT
    assert "--calibration is missing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--part-id", "a", "--load", "connector", "--rig", "r.yaml"], "name one of --part-id and --load"),
        (["--part-id", "a"], "name the rig with --rig"),
        (["--from-archive", "archive"], "name inspection ids together with --from-archive"),
        (["--rig", "r.yaml", "--defect", "scratch"], "name the part with --load"),
    ],
)
def test_collect_refuses_what_does_not_go_together(
    words: list[str], told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["station", "collect", "recipe.yaml", "parts", *words])
    assert run_guarded(app) == ExitCode.BAD_INPUT
    assert told in " ".join(capsys.readouterr().err.replace("│", " ").split())
