"""One picture per inspection: five views x image, normals and score map, and the verdict with its reasons."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from station.documents.atomic import write_atomic
from station.inspection.part_id import visible
from station.inspection.reasons import reason_lines
from station.inspection.result import Inspection, Verdict
from station.inspection.score_text import score_text
from station.report.display_rgb import hatch
from station.report.sheet_drawing import (
    FAINT,
    GAP,
    INK,
    WORD_COLOURS,
    Box,
    draw_symbol,
    font,
    shortened,
    text_width,
    wrapped,
)
from station.report.sheet_view import BAR_TEXT_WIDTH, BAR_WIDTH, draw_view

_WIDTH = 1920
_MARGIN = 16
_CELL_HEIGHTS = (150, 330)  # the least and the most; between them the pictures' shape decides
_BANNER_HEIGHT = 132
_BAND_HEIGHT = 34
_FOOTER_SIZE, _FOOTER_LINE = 18, 28
_GROUND = (200, 200, 200)


def write_contact_sheet(inspection: Inspection, path: Path, title: str = "") -> None:
    """Write the sheet as a PNG, 1920 pixels wide; the file appears whole or not at all."""
    sheet = draw_contact_sheet(inspection, title)
    encoded = io.BytesIO()
    sheet.save(encoded, format="PNG", compress_level=3)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, encoded.getvalue())


def draw_contact_sheet(inspection: Inspection, title: str = "") -> Image.Image:
    """The sheet as an RGB picture, 1920 pixels wide and as high as it needs to be."""
    names = _view_names(inspection)
    columns = max(len(names), 1)
    column_width = (_WIDTH - 2 * _MARGIN - (columns - 1) * GAP) // columns
    bands = _bands(inspection)
    top = _MARGIN + len(bands) * (_BAND_HEIGHT + GAP)
    views_top = top + 36 + _BANNER_HEIGHT + GAP
    cell_height = _cell_height(inspection, column_width)
    view_height = 44 + 3 * (cell_height + GAP) + 128
    footer = footer_lines(inspection)
    footer_top = views_top + view_height + GAP
    height = footer_top + len(footer) * _FOOTER_LINE + _MARGIN
    sheet = Image.new("RGB", (_WIDTH, height), _GROUND)
    draw = ImageDraw.Draw(sheet)
    for number, text in enumerate(bands):
        band_top = _MARGIN + number * (_BAND_HEIGHT + GAP)
        _draw_band(sheet, (_MARGIN, band_top, _WIDTH - _MARGIN, band_top + _BAND_HEIGHT), text)
    _draw_heading(draw, inspection, title, top)
    _draw_banner(draw, inspection, (_MARGIN, top + 36, _WIDTH - _MARGIN, top + 36 + _BANNER_HEIGHT))
    by_name = {view.view: view for view in inspection.views}
    for column, name in enumerate(names):
        left = _MARGIN + column * (column_width + GAP)
        box = (left, views_top, left + column_width, views_top + view_height)
        mark = _mark(inspection) if name == inspection.deciding_view else ""
        draw_view(sheet, box, name, by_name.get(name), cell_height, mark)
    for number, line in enumerate(footer):
        at = (_MARGIN, footer_top + (number + 0.5) * _FOOTER_LINE)
        draw.text(at, line, font=font(_FOOTER_SIZE), fill=FAINT, anchor="lm")
    return sheet


def _view_names(inspection: Inspection) -> list[str]:
    """The expected views in their order, then any that came unexpected."""
    extra = [view.view for view in inspection.views if view.view not in inspection.expected_views]
    return [*inspection.expected_views, *extra]


def _cell_height(inspection: Inspection, column_width: int) -> int:
    """High enough for the first picture beside its colour bar, within `_CELL_HEIGHTS`."""
    shape = next((v.image.shape[1:] for v in inspection.views if v.image is not None), (2, 3))
    wanted = round((column_width - 16 - BAR_WIDTH - BAR_TEXT_WIDTH) * shape[0] / shape[1])
    return int(min(max(wanted, _CELL_HEIGHTS[0]), _CELL_HEIGHTS[1]))


def _mark(inspection: Inspection) -> str:
    """What to call the view that the rule names; of an UNDECIDED part it says nothing."""
    return "" if inspection.verdict is Verdict.UNDECIDED else "highest against its limit"


def _bands(inspection: Inspection) -> list[str]:
    """What keeps the sheet from being taken for one of production (IsSimulated, OPC 40100-1)."""
    simulated = ["SIMULATED: this part exists only in the simulated rig"] if inspection.is_simulated else []
    draft = ["DRAFT: no released recipe judged this part"] if inspection.is_draft else []
    return simulated + draft + ([inspection.judged_alone.upper()] if inspection.judged_alone else [])


def _draw_band(sheet: Image.Image, box: Box, text: str) -> None:
    """A yellow band with the text in its middle."""
    stripes = hatch((box[3] - box[1], box[2] - box[0]))
    yellow = np.where(stripes[..., None] > 130, (255, 221, 60), (60, 60, 60)).astype(np.uint8)
    sheet.paste(Image.fromarray(yellow), box[:2])
    draw = ImageDraw.Draw(sheet)
    width = text_width(draw, text, 22)
    middle = (box[0] + box[2]) // 2
    draw.rectangle((middle - width // 2 - 16, box[1] + 2, middle + width // 2 + 16, box[3] - 2), fill=(255, 255, 255))
    draw.text((middle, (box[1] + box[3]) // 2), text, font=font(22), fill=INK, anchor="mm")


def _draw_heading(draw: ImageDraw.ImageDraw, inspection: Inspection, title: str, top: int) -> None:
    when = inspection.creation_time.strftime("%Y-%m-%d %H:%M:%S UTC")
    left = f"{title or 'Inspection'}   part {visible(inspection.part_id)}   product {inspection.product}"
    release = f" release {inspection.release}" if inspection.release and not inspection.is_draft else ""
    right = f"recipe {inspection.recipe_id}{release}   {when}"
    room = _WIDTH - 3 * _MARGIN - text_width(draw, right, 20)
    draw.text((_MARGIN, top + 16), shortened(draw, left, 24, room), font=font(24), fill=INK, anchor="lm")
    draw.text((_WIDTH - _MARGIN, top + 16), right, font=font(20), fill=FAINT, anchor="rm")


def _draw_banner(draw: ImageDraw.ImageDraw, inspection: Inspection, box: Box) -> None:
    """The verdict in large letters and, beside it, what decided it: four lines at most, the rest counted."""
    fill, ink = WORD_COLOURS[inspection.verdict]
    draw.rectangle(box, fill=fill, outline=FAINT)
    height = box[3] - box[1]
    draw_symbol(draw, inspection.verdict, (box[0] + 24, box[1] + height // 2 - 42, 84), ink)
    draw.text((box[0] + 136, box[1] + height // 2), inspection.verdict.value, font=font(84), fill=ink, anchor="lm")
    left = box[0] + 136 + text_width(draw, inspection.verdict.value, 84) + 40
    width = box[2] - left - 20
    lines = [_deciding_line(inspection)]
    for reason in reason_lines(inspection.reasons, len(inspection.expected_views)):
        lines += wrapped(draw, reason, 22, width, 2)
    if len(lines) > 4:
        lines = [*lines[:3], f"and {len(lines) - 3} more lines: see the record"]
    first = box[1] + height // 2 - (len(lines) - 1) * 14
    for number, line in enumerate(lines):
        draw.text((left, first + number * 28), line, font=font(22), fill=ink, anchor="lm")


def _deciding_line(inspection: Inspection) -> str:
    view = next((v for v in inspection.views if v.view == inspection.deciding_view), None)
    captured = f"{len(inspection.views)} of {len(inspection.expected_views)} views captured"
    if view is None or view.pred_score is None:
        return captured
    score, limit = score_text(view.pred_score), score_text(view.limit)
    return f"{captured}; highest against its limit: {view.view}, score {score}, limit {limit}"


def footer_lines(inspection: Inspection) -> list[str]:
    """Which inspection, and its time per stage, on as many lines as that takes; no line breaks inside an entry."""
    partial = ["PARTIAL"] if inspection.is_partial else []
    times = [f"{stage.replace('_', ' ')} {ms:.0f} ms" for stage, ms in inspection.processing_times_ms.items()]
    measure = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    lines = [f"inspection {inspection.inspection_id}"]
    for entry in [*partial, *times]:
        longer = f"{lines[-1]}   {entry}"
        if text_width(measure, longer, _FOOTER_SIZE) <= _WIDTH - 2 * _MARGIN:
            lines[-1] = longer
        else:
            lines.append(entry)
    return lines
