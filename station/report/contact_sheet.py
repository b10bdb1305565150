"""One picture per inspection: five views x image, normals and score map, and the verdict with its reasons."""

from __future__ import annotations

import io
import textwrap
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from station.documents.atomic import write_atomic
from station.inspection.result import Inspection, Verdict, ViewResult, told_once
from station.report.colours import LIMIT_POSITION, SCALE_END, colour_bar, hatch
from station.report.thumbnails import fitted, grey_ground, heat_rgb, image_rgb, normals_rgb

_WIDTH = 1920
_MARGIN = 16
_CELL_HEIGHTS = (150, 330)  # the least and the most; between them the pictures' shape decides
_BAR_WIDTH = 18
_BAR_TEXT_WIDTH = 46
_GAP = 10
_BANNER_HEIGHT = 132
_SIMULATED_HEIGHT = 34
_FOOTER_SIZE, _FOOTER_LINE = 18, 28
_GROUND = (200, 200, 200)
_PANEL = (214, 214, 214)
_INK = (24, 24, 24)
_FAINT = (84, 84, 84)
_WORD_COLOURS = {  # fill, ink
    Verdict.PASS: (_PANEL, (0, 88, 40)),
    Verdict.FAIL: ((186, 12, 20), (255, 255, 255)),
    Verdict.UNDECIDED: ((255, 178, 0), (24, 24, 24)),
}
Colour = tuple[int, int, int]
Box = tuple[int, int, int, int]


def write_contact_sheet(inspection: Inspection, path: Path, title: str = "") -> None:
    """Write the sheet as a PNG, 1920 pixels wide; the file appears whole or not at all."""
    sheet = draw_contact_sheet(inspection, title)
    encoded = io.BytesIO()
    sheet.save(encoded, format="PNG", compress_level=3)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, encoded.getvalue())


def draw_contact_sheet(inspection: Inspection, title: str = "") -> Image.Image:
    """The sheet as an RGB picture."""
    names = _view_names(inspection)
    columns = max(len(names), 1)
    column_width = (_WIDTH - 2 * _MARGIN - (columns - 1) * _GAP) // columns
    top = _MARGIN + (_SIMULATED_HEIGHT + _GAP if inspection.is_simulated else 0)
    views_top = top + 36 + _BANNER_HEIGHT + _GAP
    cell_height = _cell_height(inspection, column_width)
    view_height = 44 + 3 * (cell_height + _GAP) + 128
    footer = footer_lines(inspection)
    footer_top = views_top + view_height + _GAP
    height = footer_top + len(footer) * _FOOTER_LINE + _MARGIN
    sheet = Image.new("RGB", (_WIDTH, height), _GROUND)
    draw = ImageDraw.Draw(sheet)
    if inspection.is_simulated:
        _draw_simulated(sheet, (_MARGIN, _MARGIN, _WIDTH - _MARGIN, _MARGIN + _SIMULATED_HEIGHT))
    _draw_heading(draw, inspection, title, top)
    _draw_banner(draw, inspection, (_MARGIN, top + 36, _WIDTH - _MARGIN, top + 36 + _BANNER_HEIGHT))
    by_name = {view.view: view for view in inspection.views}
    for column, name in enumerate(names):
        left = _MARGIN + column * (column_width + _GAP)
        box = (left, views_top, left + column_width, views_top + view_height)
        mark = _mark(inspection) if name == inspection.deciding_view else ""
        _draw_view(sheet, box, name, by_name.get(name), cell_height, mark)
    for number, line in enumerate(footer):
        at = (_MARGIN, footer_top + (number + 0.5) * _FOOTER_LINE)
        draw.text(at, line, font=_font(_FOOTER_SIZE), fill=_FAINT, anchor="lm")
    return sheet


def _view_names(inspection: Inspection) -> list[str]:
    """The expected views in their order, then any that came unexpected."""
    extra = [view.view for view in inspection.views if view.view not in inspection.expected_views]
    return [*inspection.expected_views, *extra]


def _cell_height(inspection: Inspection, column_width: int) -> int:
    """High enough for the first picture beside its colour bar."""
    shape = next((v.image.shape[1:] for v in inspection.views if v.image is not None), (2, 3))
    wanted = round((column_width - 16 - _BAR_WIDTH - _BAR_TEXT_WIDTH) * shape[0] / shape[1])
    return int(min(max(wanted, _CELL_HEIGHTS[0]), _CELL_HEIGHTS[1]))


def _mark(inspection: Inspection) -> str:
    """What the view with the highest score against its limit is to the verdict."""
    return "deciding view" if inspection.verdict is Verdict.FAIL else "highest score"


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)


def _text_width(draw: ImageDraw.ImageDraw, text: str, size: int) -> int:
    return round(draw.textlength(text, font=_font(size)))


def _shortened(draw: ImageDraw.ImageDraw, text: str, size: int, width: int) -> str:
    if _text_width(draw, text, size) <= width:
        return text
    while text and _text_width(draw, text + "...", size) > width:
        text = text[:-1]
    return text + "..."


def _wrapped(draw: ImageDraw.ImageDraw, text: str, size: int, width: int, lines: int) -> list[str]:
    """The text broken to the width; the last line says so when there was more."""
    per_line = max(8, round(width / max(_text_width(draw, "abcdefghij", size) / 10, 1)))
    broken = textwrap.wrap(text, per_line) or [""]
    if len(broken) > lines:
        broken = [*broken[: lines - 1], broken[lines - 1] + " ..."]
    return [_shortened(draw, line, size, width) for line in broken]


def _draw_simulated(sheet: Image.Image, box: Box) -> None:
    stripes = hatch((box[3] - box[1], box[2] - box[0]))
    yellow = np.where(stripes[..., None] > 130, (255, 221, 60), (60, 60, 60)).astype(np.uint8)
    sheet.paste(Image.fromarray(yellow), box[:2])
    draw = ImageDraw.Draw(sheet)
    text = "SIMULATED: this part exists only in the simulated rig"
    width = _text_width(draw, text, 22)
    middle = (box[0] + box[2]) // 2
    draw.rectangle((middle - width // 2 - 16, box[1] + 2, middle + width // 2 + 16, box[3] - 2), fill=(255, 255, 255))
    draw.text((middle, (box[1] + box[3]) // 2), text, font=_font(22), fill=_INK, anchor="mm")


def _draw_heading(draw: ImageDraw.ImageDraw, inspection: Inspection, title: str, top: int) -> None:
    when = inspection.creation_time.strftime("%Y-%m-%d %H:%M:%S UTC")
    left = f"{title or 'Inspection'}   part {inspection.part_id}   product {inspection.product}"
    right = f"recipe {inspection.recipe_id}   {when}"
    room = _WIDTH - 3 * _MARGIN - _text_width(draw, right, 20)
    draw.text((_MARGIN, top + 16), _shortened(draw, left, 24, room), font=_font(24), fill=_INK, anchor="lm")
    draw.text((_WIDTH - _MARGIN, top + 16), right, font=_font(20), fill=_FAINT, anchor="rm")


def _draw_banner(draw: ImageDraw.ImageDraw, inspection: Inspection, box: Box) -> None:
    fill, ink = _WORD_COLOURS[inspection.verdict]
    draw.rectangle(box, fill=fill, outline=_FAINT)
    height = box[3] - box[1]
    _draw_symbol(draw, inspection.verdict, (box[0] + 24, box[1] + height // 2 - 42, 84), ink)
    draw.text((box[0] + 136, box[1] + height // 2), inspection.verdict.value, font=_font(84), fill=ink, anchor="lm")
    left = box[0] + 136 + _text_width(draw, inspection.verdict.value, 84) + 40
    width = box[2] - left - 20
    lines = [_deciding_line(inspection)]
    for reason in told_once(inspection):
        lines += _wrapped(draw, reason, 22, width, 2)
    if len(lines) > 4:
        lines = [*lines[:3], f"and {len(lines) - 3} more lines: see the record"]
    first = box[1] + height // 2 - (len(lines) - 1) * 14
    for number, line in enumerate(lines):
        draw.text((left, first + number * 28), line, font=_font(22), fill=ink, anchor="lm")


def _deciding_line(inspection: Inspection) -> str:
    view = next((v for v in inspection.views if v.view == inspection.deciding_view), None)
    captured = f"{len(inspection.views)} of {len(inspection.expected_views)} views captured"
    if view is None or view.pred_score is None:
        return captured
    return f"{captured}; highest against its limit: {view.view}, score {view.pred_score:.3g}, limit {view.limit:.3g}"


def _draw_symbol(draw: ImageDraw.ImageDraw, verdict: Verdict, at: tuple[int, int, int], ink: Colour) -> None:
    """A tick, a cross or a triangle in a square of side `at[2]`: the verdict without its colour."""
    x, y, side = at
    line = max(2, side // 9)
    if verdict is Verdict.PASS:
        points = [(x, y + side * 0.55), (x + side * 0.36, y + side * 0.88), (x + side, y + side * 0.12)]
        draw.line(points, fill=ink, width=line, joint="curve")
    elif verdict is Verdict.FAIL:
        draw.line([(x, y), (x + side, y + side)], fill=ink, width=line)
        draw.line([(x, y + side), (x + side, y)], fill=ink, width=line)
    else:
        draw.polygon([(x + side / 2, y), (x + side, y + side), (x, y + side)], outline=ink, width=line)
        draw.line([(x + side / 2, y + side * 0.38), (x + side / 2, y + side * 0.66)], fill=ink, width=line)
        radius = max(1.0, line * 0.6)
        centre = (x + side / 2, y + side * 0.8)
        draw.ellipse((centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius), fill=ink)


def _draw_view(sheet: Image.Image, box: Box, name: str, view: ViewResult | None, cell_height: int, mark: str) -> None:
    draw = ImageDraw.Draw(sheet)
    draw.rectangle(box, fill=_PANEL, outline=_INK if mark else _FAINT, width=4 if mark else 1)
    left, top = box[0] + 8, box[1] + 8
    width = box[2] - box[0] - 16
    draw.text((left, top + 14), name, font=_font(24), fill=_INK, anchor="lm")
    if mark:
        draw.text((box[2] - 10, top + 14), mark, font=_font(18), fill=_INK, anchor="rm")
    cell_width = width - _BAR_WIDTH - _BAR_TEXT_WIDTH
    pictures = _pictures(view, (cell_width, cell_height))
    for row, (label, picture) in enumerate(pictures):
        cell_top = top + 36 + row * (cell_height + _GAP)
        cell = (left, cell_top, left + cell_width, cell_top + cell_height)
        _draw_cell(sheet, cell, label, picture, "not captured" if view is None else f"no {label}")
    if view is not None and view.anomaly_map is not None:
        bar_top = top + 36 + 2 * (cell_height + _GAP)
        _draw_bar(sheet, (left + cell_width + 4, bar_top, left + width, bar_top + cell_height), view.limit)
    _draw_score(draw, (left, top + 36 + 3 * (cell_height + _GAP), left + width, box[3]), view)


def _pictures(view: ViewResult | None, box: tuple[int, int]) -> list[tuple[str, NDArray[np.uint8] | None]]:
    """Image, normals and map of a view, each fitted to the box (width, height), or None where there is none."""
    image = normals = heat = None
    if view is not None and view.image is not None:
        image = image_rgb(view.image, fitted(view.image.shape[1:], box), view.white_balance)
    if view is not None and view.normal_map is not None:
        field = view.normal_map.unpacked().normals
        normals = normals_rgb(field, fitted(field.shape[1:], box))
    if view is not None and view.anomaly_map is not None and view.limit > 0:
        scores = view.anomaly_map.scores
        shape = scores.shape if view.image is None else view.image.shape[1:]
        ground = grey_ground(view.image, fitted((shape[0], shape[1]), box), view.white_balance)
        heat = heat_rgb(scores, view.limit, ground)
    return [("image", image), ("normals", normals), ("score map", heat)]


def _draw_cell(sheet: Image.Image, cell: Box, label: str, picture: NDArray[np.uint8] | None, absent: str) -> None:
    draw = ImageDraw.Draw(sheet)
    width, height = cell[2] - cell[0], cell[3] - cell[1]
    if picture is None:
        sheet.paste(Image.fromarray(hatch((height, width))).convert("RGB"), cell[:2])
        half = _text_width(draw, absent, 22) // 2 + 10
        middle = ((cell[0] + cell[2]) // 2, (cell[1] + cell[3]) // 2)
        draw.rectangle((middle[0] - half, middle[1] - 18, middle[0] + half, middle[1] + 18), fill=(255, 255, 255))
        draw.text(middle, absent, font=_font(22), fill=_INK, anchor="mm")
        return
    at = (cell[0] + (width - picture.shape[1]) // 2, cell[1] + (height - picture.shape[0]) // 2)
    sheet.paste(Image.fromarray(picture), at)
    draw.rectangle((cell[0], cell[1], cell[0] + _text_width(draw, label, 15) + 10, cell[1] + 20), fill=_PANEL)
    draw.text((cell[0] + 5, cell[1] + 10), label, font=_font(15), fill=_INK, anchor="lm")


def _draw_bar(sheet: Image.Image, box: Box, limit: float) -> None:
    height = box[3] - box[1]
    sheet.paste(Image.fromarray(colour_bar(height, _BAR_WIDTH)), box[:2])
    draw = ImageDraw.Draw(sheet)
    left = box[0] + _BAR_WIDTH + 3
    for position, text in ((0.0, "0"), (LIMIT_POSITION, f"{limit:.3g}"), (1.0, f"{limit * SCALE_END:.3g}")):
        y = box[1] + round((height - 1) * (1.0 - position))
        anchor = {0.0: "ls", 1.0: "lt"}.get(position, "lm")
        draw.text((left, y), text, font=_font(15), fill=_INK, anchor=anchor)
    middle = box[1] + round((height - 1) * (1.0 - LIMIT_POSITION))
    draw.text((left, middle + 10), "limit", font=_font(13), fill=_INK, anchor="lt")


def _draw_score(draw: ImageDraw.ImageDraw, box: Box, view: ViewResult | None) -> None:
    verdict = Verdict.UNDECIDED if view is None else view.verdict
    fill, ink = _WORD_COLOURS[verdict]
    draw.rectangle((box[0], box[1], box[2], box[1] + 34), fill=fill, outline=_FAINT)
    _draw_symbol(draw, verdict, (box[0] + 8, box[1] + 7, 20), ink)
    draw.text((box[0] + 36, box[1] + 17), verdict.value, font=_font(20), fill=ink, anchor="lm")
    if view is None:
        draw.text((box[0], box[1] + 54), "this view was not captured", font=_font(18), fill=_INK, anchor="lm")
        return
    score = "none" if view.pred_score is None else f"{view.pred_score:.4g}"
    line = f"score {score}   limit {view.limit:.4g}"
    draw.text((box[0], box[1] + 52), line, font=_font(20), fill=_INK, anchor="lm")
    notes = "; ".join(view.reasons) or _observable(view)
    for number, text in enumerate(_wrapped(draw, notes, 16, box[2] - box[0], 2)):
        draw.text((box[0], box[1] + 78 + 20 * number), text, font=_font(16), fill=_FAINT, anchor="lm")


def _observable(view: ViewResult) -> str:
    if view.normal_map is None:
        return ""
    return f"normals observable on {100 * view.normal_map.observable_share:.0f} % of the view"


def footer_lines(inspection: Inspection) -> list[str]:
    """Which inspection, and its time per stage: as many lines as that takes, none broken inside an entry."""
    partial = ["PARTIAL"] if inspection.is_partial else []
    times = [f"{stage.replace('_', ' ')} {ms:.0f} ms" for stage, ms in inspection.processing_times_ms.items()]
    measure = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    lines = [f"inspection {inspection.inspection_id}"]
    for entry in [*partial, *times]:
        longer = f"{lines[-1]}   {entry}"
        if _text_width(measure, longer, _FOOTER_SIZE) <= _WIDTH - 2 * _MARGIN:
            lines[-1] = longer
        else:
            lines.append(entry)
    return lines
