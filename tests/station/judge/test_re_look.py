"""Which views another exposure may decide: those that clip or are too dark, if nothing else is wrong with them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from station.inspection.reasons import Reason, ReasonKind
from station.inspection.result import Verdict, ViewResult
from station.judge.re_look import CLIPPED, DARK, OBSERVED, re_look_wish, why_not_observed
from station.judge.shown_view import ShownView
from station.photometric_stereo.normal_map import NormalMap
from station.recipe.fields import ReLookChoice

CLIPS = Reason(ReasonKind.SATURATED, "saturates", light="diffuse")
FEW = Reason(ReasonKind.FEW_OBSERVABLE, "only 30 %")
RECIPE = SimpleNamespace(
    re_look=ReLookChoice(takt_s=10.0),
    directional_lights=(SimpleNamespace(name="north"), SimpleNamespace(name="east")),
    photometric_stereo=SimpleNamespace(minimum_observable_share=0.5),
)
SHORTER, LONGER = dict.fromkeys(("north", "east"), 0.5), dict.fromkeys(("north", "east"), 2.0)


@pytest.mark.parametrize(
    ("reasons", "figures", "wanted"),
    [
        ((CLIPS,), {}, {"diffuse": 0.5}),
        ((FEW,), {OBSERVED: 0.3, CLIPPED: 0.4, DARK: 0.1}, SHORTER),
        ((FEW,), {OBSERVED: 0.3, CLIPPED: 0.0, DARK: 0.3}, LONGER),
        ((CLIPS, FEW), {OBSERVED: 0.3, CLIPPED: 0.4}, {"diffuse": 0.5, **SHORTER}),
        ((FEW,), {OBSERVED: 0.3, CLIPPED: 0.1, DARK: 0.1}, None),  # shadows: no exposure brings enough back
        ((CLIPS, FEW), {OBSERVED: 0.3}, None),
        ((CLIPS, Reason(ReasonKind.LIGHT_WEAK, "weak", light="north")), {}, None),
        ((Reason(ReasonKind.EXPOSURE_WRONG, "0.7 of its reference"),), {}, None),  # the rig's fault, not to be hidden
    ],
)
def test_exposure_and_coverage_alone_ask_for_another_exposure(
    reasons: tuple[Reason, ...], figures: dict[str, float], wanted: dict[str, float] | None
) -> None:
    result = ViewResult("top", Verdict.UNDECIDED, 1.0, reasons=reasons, quality=figures)
    wish = re_look_wish(result, cast(Any, RECIPE))
    assert (None if wish is None else wish.factors) == wanted


@pytest.mark.parametrize("verdict", [Verdict.PASS, Verdict.FAIL])
def test_a_view_that_was_decided_asks_for_nothing(verdict: Verdict) -> None:
    assert re_look_wish(ViewResult("top", verdict, 1.0, reasons=(CLIPS,)), cast(Any, RECIPE)) is None


def test_a_recipe_without_the_block_allows_none() -> None:
    without = SimpleNamespace(**{**vars(RECIPE), "re_look": None})
    result = ViewResult("top", Verdict.UNDECIDED, 1.0, reasons=(CLIPS,))
    assert re_look_wish(result, cast(Any, without)) is None


def test_pixels_that_clip_are_told_from_dark_ones_and_from_shadowed_ones() -> None:
    """Four quarters of a picture: observed, clipped, dark under every light, and lit by two lights alone."""
    shape = (4, 8)
    observable, saturated = np.zeros(shape, bool), np.zeros(shape, bool)
    lit = np.zeros(shape, np.uint8)
    observable[:, :2], lit[:, :2] = True, 4
    saturated[:, 2:4], lit[:, 2:4] = True, 1
    lit[:, 6:] = 2
    zeros = np.zeros(shape, np.float32)
    found = NormalMap(np.zeros((3, *shape), np.float32), zeros, lit, zeros, observable, saturated)
    shown = ShownView(np.zeros((3, *shape), np.float32), np.zeros((3, *shape), np.float32), None, None)
    assert why_not_observed(found, shown, None, (0.0, 0.0)) == {OBSERVED: 0.25, CLIPPED: 0.25, DARK: 0.25}
