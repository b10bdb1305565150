"""An inspection in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from station.inspection.re_looks import ReLook
from station.inspection.reasons import Reason, ReasonKind
from station.inspection.result import RE_EXPOSED, Inspection
from station.report.inspection_text import inspection_document, inspection_lines


def test_frames_that_were_exposed_again_are_noted_and_are_no_reason(good_inspection: Inspection) -> None:
    """Issue 15, point 7: whoever reads the outcome learns of them."""
    top, *others = good_inspection.views
    inspection = replace(good_inspection, views=(replace(top, quality={RE_EXPOSED: 2.0}), *others))
    notes = [line.strip() for line in inspection_lines(inspection) if "note:" in line]
    assert notes == [
        "note: view 'top': 2 frames did not come whole and were exposed again; if that recurs, check the camera's cable"
    ]
    views = inspection_document(inspection)["views"]
    assert isinstance(views, dict)
    assert [view["re_exposed"] for view in views.values()] == [2, 0, 0, 0, 0]
    assert not any("note:" in line for line in inspection_lines(good_inspection))


CLIPS = Reason(ReasonKind.SATURATED, "light 'dome' saturates 3.0% of the pixels", view="top", light="dome")
BLURRED = Reason(ReasonKind.BLURRED, "is blurred", view="top")
CHANGE = {"dome": (900.0, 450.0)}


@pytest.mark.parametrize(
    ("look", "words"),
    [
        (ReLook("top", (CLIPS,), 1, 2, CHANGE, (7, 8), counts=True), "this look counts"),
        (
            ReLook("top", (CLIPS,), 1, 2, CHANGE, (7, 8), reasons=(BLURRED,)),
            "the first look stays, for this one had is b",
        ),
        (ReLook("top", (CLIPS,), 1, 2, CHANGE, not_done="0.1 s were left"), "0.1 s were left"),
    ],
)
def test_a_second_look_is_noted_with_its_cause_its_change_and_its_outcome(
    look: ReLook, words: str, good_inspection: Inspection
) -> None:
    inspection = replace(good_inspection, re_looks=(look,))
    (note,) = [line for line in inspection_lines(inspection) if "note:" in line]
    assert "saturates 3.0% of the pixels" in note
    assert words in note
    assert ("dome 900 to 450 us" in note) is look.is_done
    assert words in str(inspection_document(inspection)["re_looks"])
