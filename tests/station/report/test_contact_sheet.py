from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from station.inspection.reasons import Reason, ReasonKind
from station.inspection.result import Inspection, ViewResult
from station.report.contact_sheet import draw_contact_sheet, footer_lines, write_contact_sheet

RED, AMBER = (186, 12, 20), (255, 178, 0)


def share(sheet: Image.Image, colour: tuple[int, int, int]) -> float:
    return float(np.mean(np.all(np.asarray(sheet) == colour, axis=-1)))


def test_the_sheet_is_written_as_a_png_of_1920_pixels_width(failed_inspection: Inspection, tmp_path: Path) -> None:
    path = tmp_path / "sheets" / "part.png"
    write_contact_sheet(failed_inspection, path, title="demo")
    with Image.open(path) as sheet:
        assert sheet.format == "PNG"
        assert sheet.width == 1920
    assert [p.name for p in path.parent.iterdir()] == ["part.png"], "nothing half-written is left"


def test_each_verdict_has_a_banner_of_its_own(
    good_inspection: Inspection, failed_inspection: Inspection, undecided_inspection: Inspection
) -> None:
    good, failed, undecided = map(draw_contact_sheet, (good_inspection, failed_inspection, undecided_inspection))
    assert share(good, RED) == share(good, AMBER) == 0
    assert share(failed, RED) > 0.05
    assert share(undecided, AMBER) > 0.05
    assert share(undecided, RED) == 0


def test_a_view_that_was_not_captured_keeps_its_place(undecided_inspection: Inspection) -> None:
    last_column = np.asarray(draw_contact_sheet(undecided_inspection))[:, -380:]
    hatched = np.all(last_column == 120, axis=-1) | np.all(last_column == 150, axis=-1)
    assert hatched.mean() > 0.25


def test_only_a_simulated_part_carries_the_mark(good_inspection: Inspection) -> None:
    simulated, real = (draw_contact_sheet(replace(good_inspection, is_simulated=flag)) for flag in (True, False))
    assert share(simulated, (255, 221, 60)) > 0.005
    assert share(real, (255, 221, 60)) == 0


def test_a_view_without_pictures_or_score_is_drawn(make_inspection: Callable[..., Inspection]) -> None:
    inspection = make_inspection({"top": 0.5})
    bare = ViewResult(
        "front", inspection.verdict, 0.0, reasons=(Reason(ReasonKind.MISSING_FRAME, "the frame is missing"),)
    )
    sheet = draw_contact_sheet(replace(inspection, views=(*inspection.views, bare)))
    assert sheet.width == 1920


@pytest.mark.parametrize("shape", [(400, 40), (40, 400)])
def test_pictures_of_any_shape_fit(good_inspection: Inspection, shape: tuple[int, int]) -> None:
    image = np.full((3, *shape), 0.5, dtype=np.float32)
    views = tuple(replace(view, image=image) for view in good_inspection.views)
    assert draw_contact_sheet(replace(good_inspection, views=views)).height < 1500


def test_every_time_is_in_the_footer_and_inside_the_sheet(good_inspection: Inspection) -> None:
    times = {f"a_stage_with_a_long_name_{k}": 1000.0 * k for k in range(20)}
    long = replace(good_inspection, processing_times_ms=times, is_partial=True)
    ink = np.any(np.asarray(draw_contact_sheet(long)) != 200, axis=-1)
    assert not ink[:, -16:].any(axis=1)[-150:].any(), "the right margin beside the footer is free"
    lines = footer_lines(long)
    assert len(lines) > 2
    assert "PARTIAL" in lines[0]
    assert " ".join(lines).count("a stage with a long name") == 20
    assert draw_contact_sheet(long).height > draw_contact_sheet(good_inspection).height
