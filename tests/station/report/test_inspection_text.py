"""An inspection in words."""

from __future__ import annotations

from dataclasses import replace

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
