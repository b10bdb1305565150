"""White is drawn white, by gains that the white plane gave; nothing that is judged or kept is touched by them."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from drivers.protocols import CameraSettings, Frame
from drivers.simulated.scene import LightHead, Scene, make_part
from station.calibrate.bench.camera_pose import TOP
from station.calibrate.field.white_balance import calibrate_white
from station.documents.document import load_document
from station.errors import BadInput
from station.inspection.result import ViewResult
from station.recipe.demo import DEMO_RECIPES
from station.recipe.fields import Recipe
from station.rig.devices import Rig

BLACK_DN = 64.0


class SceneRig:
    """Camera and lights over one Scene, without wires; what lies there is changed by `place`."""

    def __init__(self, target: str = "plane_white", gain: float = 1.0) -> None:
        self._target, self._gain = target, gain
        self.lit: dict[int, float] = {}
        self.exposures_us: list[float] = []
        self.place("empty", 0.0, 0.0)
        self.camera = SimpleNamespace(configure=self._configure, expose=self._expose)
        self.lights = SimpleNamespace(on=self._on, off=self.lit.clear)

    def place(self, target: str, _x_mm: float, _y_mm: float) -> None:
        part = make_part(self._target if target == "plane_white" else "empty", 0)
        self._scene = Scene(part, LightHead.nominal(), seed=3, threads=2)

    def _configure(self, settings: CameraSettings) -> CameraSettings:
        self.settings = settings
        return settings

    def _on(self, channel: int, brightness: float) -> None:
        self.lit[channel] = brightness * self._gain

    def _expose(self, exposure_us: float) -> Frame:
        self.exposures_us.append(exposure_us)
        pixels = self._scene.photograph(
            TOP, dict(self.lit), exposure_us=exposure_us, gain_db=0.0, pixel_format=self.settings.pixel_format,
            binning=self.settings.binning, roi=None, frame_seed=len(self.exposures_us), black_level_dn=BLACK_DN,
        )  # fmt: skip
        return Frame(pixels, self.settings.pixel_format, 12, BLACK_DN, exposure_us, 0.0, 1, 1)


def measured(recipe: Path, rig: SceneRig) -> Any:
    return calibrate_white(cast(Rig, rig), cast(Any, rig.place), recipe)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    for file in DEMO_RECIPES.glob("*.yaml"):
        shutil.copy(file, tmp_path)
    return tmp_path / "connector.yaml"


@pytest.mark.parametrize("gain", [1.0, 12.0])
def test_the_gains_undo_the_colour_filters_of_the_sensor(recipe: Path, gain: float) -> None:
    rig = SceneRig(gain=gain)
    report = measured(recipe, rig)
    assert (report.red, report.green, report.blue) == pytest.approx((1 / 0.85, 1.0, 1 / 0.80), rel=0.005)
    assert load_document(recipe, Recipe).display.white_balance.gains == (report.red, report.green, report.blue)
    assert rig.lit == {}, "the light is off again"
    assert (len(rig.exposures_us) > 1) == (gain > 1), "a plane that is too bright is exposed less"


def test_a_dark_plane_and_a_recipe_without_colours_are_refused(recipe: Path) -> None:
    before = recipe.read_text()
    with pytest.raises(BadInput, match="no exposure shows the white plane well"):
        measured(recipe, SceneRig(gain=0.0))
    assert recipe.read_text() == before
    with pytest.raises(BadInput, match="pixel_format: Mono"):
        measured(recipe.with_name("connector_full.yaml"), SceneRig())


def test_the_gains_leave_the_picture_alone_and_draw_it_white() -> None:
    from station.report.thumbnails import grey_ground, image_rgb

    seen = np.stack([np.full((40, 60), level, np.float32) for level in (0.34, 0.40, 0.32)])
    view = ViewResult("top", cast(Any, "PASS"), 1.0, image=seen.copy(), white_balance=(1 / 0.85, 1.0, 1 / 0.80))
    assert view.image is not None
    drawn = image_rgb(view.image, (60, 40), view.white_balance)
    assert np.ptp(drawn.reshape(-1, 3), axis=1).max() <= 1
    assert np.array_equal(view.image, seen)
    assert np.ptp(image_rgb(view.image, (60, 40)).reshape(-1, 3), axis=1).min() > 5
    saturated = np.ones((3, 8, 8), np.float32)
    assert image_rgb(saturated, (8, 8), view.white_balance).min() == 255, "what saturates stays white"
    assert grey_ground(view.image, (60, 40), view.white_balance).mean() > grey_ground(view.image, (60, 40)).mean()
