"""A lamp that hardly lights the fixture in some view is named, with the view and what is done about it."""

from __future__ import annotations

import numpy as np
import pytest

from drivers.protocols import Frame
from station.inspection.reasons import Reason, ReasonKind
from station.product.grazing_lamps import FEWEST_LAMPS, GrazingLamp, grazing_lamps, unexplained

LAMPS = ("L0", "L90", "L180", "L270")


def frame(fixture: float, part: float = 0.5) -> Frame:
    """A part in the middle of a fixture, at these levels."""
    level = np.full((96, 144), fixture)
    level[24:72, 36:108] = part
    return Frame((64 + 4031 * level).astype(np.uint16), "Mono12", 12, 64.0, 8000.0, 0.0, 0, 0)


def test_a_lamp_that_hardly_lights_the_fixture_in_a_view_is_named_however_bright_the_part_is() -> None:
    frames = {"top": {lamp: frame(0.2) for lamp in LAMPS}, "front": {lamp: frame(0.2) for lamp in LAMPS}}
    assert grazing_lamps(frames, LAMPS) == ()
    frames["front"]["L270"] = frame(0.02, part=0.7)
    (found,) = grazing_lamps(frames, LAMPS)
    assert (found.light, dict(found.views)) == ("L270", {"front": pytest.approx(0.1, abs=0.01)})
    assert "L270 grazes the fixture in front (10% of the other lamps' light)" in found.as_text(is_left_out=True)
    assert found.as_text(is_left_out=True).endswith("it is left out of the recipe")
    assert "view-reference will refuse it" in found.as_text(is_left_out=False)


def test_a_lamp_that_is_weak_in_every_view_is_weak_and_does_not_graze() -> None:
    levels = dict(zip(LAMPS, (0.2, 0.2, 0.2, 0.01), strict=True))
    assert grazing_lamps({view: {lamp: frame(at) for lamp, at in levels.items()} for view in ("a", "b")}, LAMPS) == ()


def test_a_first_look_calls_no_lamp_dead_where_it_grazes() -> None:
    """Tried with the shipped sheet, which is so low that L270 lights nothing in tilted views."""
    lamp = GrazingLamp("L270", {"front": 0.1})
    dead, top = (Reason(ReasonKind.LIGHT_DEAD, "it is dark", view=view, light="L270") for view in ("front", "top"))
    other = Reason(ReasonKind.LIGHT_DEAD, "it is dark", view="front", light="L90")
    ambient = Reason(ReasonKind.AMBIENT_LIGHT, "too bright", view="front")
    assert unexplained((dead, top, other, ambient), (lamp,)) == (top, other, ambient)


def test_so_many_lamps_stay_that_normals_can_be_solved() -> None:
    frames = {"front": {lamp: frame(level) for lamp, level in zip(LAMPS, (0.01, 0.02, 0.3, 0.3), strict=True)}}
    frames["top"] = {lamp: frame(0.2) for lamp in LAMPS}
    assert [lamp.light for lamp in grazing_lamps(frames, LAMPS)] == ["L0"]
    assert FEWEST_LAMPS == 3
