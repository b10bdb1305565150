"""Which part ids are refused, and how many reasons become few causes."""

from __future__ import annotations

import pytest

from station.inspection.causes import causes_of
from station.inspection.part_id import check_part_id
from station.inspection.reasons import Reason, ReasonKind


@pytest.mark.parametrize("text", ["", "x" * 81, "A\n", "\x00", "A\x1b[31mPASS", "\ud800", " A", "A "])
def test_a_part_id_that_would_mislead_is_refused_whole(text: str) -> None:
    """Issue 15, point 18."""
    with pytest.raises(Exception, match="part id"):
        check_part_id(text)


@pytest.mark.parametrize("text", ["x" * 80, "SN 0001", "Größe 5", "<b>1</b>", "部品-7"])
def test_plain_text_is_a_part_id_as_it_is(text: str) -> None:
    """Issue 15, point 18."""
    assert check_part_id(text) == text


def test_a_lost_device_explains_the_views_that_were_not_captured() -> None:
    """Issue 15, point 17."""
    lost = Reason(ReasonKind.DEVICE_FAULT, "gantry: alarm", "clear the cause")
    missing = [Reason(ReasonKind.NOT_CAPTURED, "was not captured", "again", view) for view in ("back", "left")]
    causes = causes_of([*missing, lost])
    assert [cause.kind for cause in causes] == [ReasonKind.DEVICE_FAULT, ReasonKind.NOT_CAPTURED]
    assert causes[0].sentence(5) == "Gantry: alarm"
    assert causes[1].sentence(5) == "Was not captured (views back, left)"


def test_two_dead_lights_are_two_causes() -> None:
    """Issue 15, point 17: each needs its own hand."""
    dead = [
        Reason(ReasonKind.LIGHT_DEAD, f"light {light!r} is dead: {view}", "check it", view, light)
        for light in ("north", "east")
        for view in ("top", "left")
    ]
    assert [(cause.light, cause.views) for cause in causes_of(dead)] == [
        ("north", ("top", "left")),
        ("east", ("top", "left")),
    ]
