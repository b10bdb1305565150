"""One view's column of a contact sheet: image, normals and score map above each other, then score and verdict."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from station.inspection.result import Verdict, ViewResult
from station.inspection.score_text import score_text
from station.report.display_rgb import hatch
from station.report.heat_map import LIMIT_POSITION, SCALE_END, colour_bar
from station.report.sheet_drawing import (
    FAINT,
    GAP,
    INK,
    PANEL,
    WORD_COLOURS,
    Box,
    draw_symbol,
    font,
    text_width,
    wrapped,
)
from station.report.thumbnails import fitted, grey_ground, heat_rgb, image_rgb, normals_rgb

BAR_WIDTH = 18
BAR_TEXT_WIDTH = 46


def draw_view(sheet: Image.Image, box: Box, name: str, view: ViewResult | None, cell_height: int, mark: str) -> None:
    """Draw the view's column into `box`; `mark` is the note in its corner, and a non-empty one thickens the frame.

    Without a view, or without one of its pictures, the cell is hatched and says what is absent.
    """
    draw = ImageDraw.Draw(sheet)
    draw.rectangle(box, fill=PANEL, outline=INK if mark else FAINT, width=4 if mark else 1)
    left, top = box[0] + 8, box[1] + 8
    width = box[2] - box[0] - 16
    draw.text((left, top + 14), name, font=font(24), fill=INK, anchor="lm")
    if mark:
        draw.text((box[2] - 10, top + 14), mark, font=font(18), fill=INK, anchor="rm")
    cell_width = width - BAR_WIDTH - BAR_TEXT_WIDTH
    pictures = _pictures(view, (cell_width, cell_height))
    for row, (label, picture) in enumerate(pictures):
        cell_top = top + 36 + row * (cell_height + GAP)
        cell = (left, cell_top, left + cell_width, cell_top + cell_height)
        _draw_cell(sheet, cell, label, picture, "not captured" if view is None else f"no {label}")
    if view is not None and view.anomaly_map is not None:
        bar_top = top + 36 + 2 * (cell_height + GAP)
        _draw_bar(sheet, (left + cell_width + 4, bar_top, left + width, bar_top + cell_height), view.limit)
    _draw_score(draw, (left, top + 36 + 3 * (cell_height + GAP), left + width, box[3]), view)


def _pictures(view: ViewResult | None, box: tuple[int, int]) -> list[tuple[str, NDArray[np.uint8] | None]]:
    """Image, normals and map of a view, each fitted to the box (width, height), or None where there is none."""
    image = normals = heat = None
    if view is not None and view.image is not None:
        image = image_rgb(view.image, fitted(view.image.shape[1:], box), view.white_balance)
    if view is not None and view.normal_map is not None:
        field = view.normal_map.unit_normals()
        normals = normals_rgb(field, fitted(field.shape[1:], box))
    if view is not None and view.anomaly_map is not None and view.limit > 0:
        scores = view.anomaly_map.scores
        shape = scores.shape if view.image is None else view.image.shape[1:]
        ground = grey_ground(view.image, fitted((shape[0], shape[1]), box), view.white_balance)
        heat = heat_rgb(scores, view.limit, ground)
    return [("image", image), ("normals", normals), ("score map", heat)]


def _draw_cell(sheet: Image.Image, cell: Box, label: str, picture: NDArray[np.uint8] | None, absent: str) -> None:
    """One picture centred in its cell with its label, or hatching with the words of `absent`."""
    draw = ImageDraw.Draw(sheet)
    width, height = cell[2] - cell[0], cell[3] - cell[1]
    if picture is None:
        sheet.paste(Image.fromarray(hatch((height, width))).convert("RGB"), cell[:2])
        half = text_width(draw, absent, 22) // 2 + 10
        middle = ((cell[0] + cell[2]) // 2, (cell[1] + cell[3]) // 2)
        draw.rectangle((middle[0] - half, middle[1] - 18, middle[0] + half, middle[1] + 18), fill=(255, 255, 255))
        draw.text(middle, absent, font=font(22), fill=INK, anchor="mm")
        return
    at = (cell[0] + (width - picture.shape[1]) // 2, cell[1] + (height - picture.shape[0]) // 2)
    sheet.paste(Image.fromarray(picture), at)
    draw.rectangle((cell[0], cell[1], cell[0] + text_width(draw, label, 15) + 10, cell[1] + 20), fill=PANEL)
    draw.text((cell[0] + 5, cell[1] + 10), label, font=font(15), fill=INK, anchor="lm")


def _draw_bar(sheet: Image.Image, box: Box, limit: float) -> None:
    """The colour scale with 0, the limit and its end marked in the model's units."""
    height = box[3] - box[1]
    sheet.paste(Image.fromarray(colour_bar(height, BAR_WIDTH)), box[:2])
    draw = ImageDraw.Draw(sheet)
    left = box[0] + BAR_WIDTH + 3
    for position, text in ((0.0, "0"), (LIMIT_POSITION, score_text(limit)), (1.0, score_text(limit * SCALE_END))):
        y = box[1] + round((height - 1) * (1.0 - position))
        anchor = {0.0: "ls", 1.0: "lt"}.get(position, "lm")
        draw.text((left, y), text, font=font(15), fill=INK, anchor=anchor)
    middle = box[1] + round((height - 1) * (1.0 - LIMIT_POSITION))
    draw.text((left, middle + 10), "limit", font=font(13), fill=INK, anchor="lt")


def _draw_score(draw: ImageDraw.ImageDraw, box: Box, view: ViewResult | None) -> None:
    """Verdict, score and limit, and up to two lines of reasons; without reasons, how much was observable."""
    verdict = Verdict.UNDECIDED if view is None else view.verdict
    fill, ink = WORD_COLOURS[verdict]
    draw.rectangle((box[0], box[1], box[2], box[1] + 34), fill=fill, outline=FAINT)
    draw_symbol(draw, verdict, (box[0] + 8, box[1] + 7, 20), ink)
    draw.text((box[0] + 36, box[1] + 17), verdict.value, font=font(20), fill=ink, anchor="lm")
    if view is None:
        draw.text((box[0], box[1] + 54), "this view was not captured", font=font(18), fill=INK, anchor="lm")
        return
    score = "none" if view.pred_score is None else f"{view.pred_score:.4g}"
    line = f"score {score}   limit {view.limit:.4g}"
    draw.text((box[0], box[1] + 52), line, font=font(20), fill=INK, anchor="lm")
    notes = "; ".join(reason.text for reason in view.reasons) or _observable(view)
    for number, text in enumerate(wrapped(draw, notes, 16, box[2] - box[0], 2)):
        draw.text((box[0], box[1] + 78 + 20 * number), text, font=font(16), fill=FAINT, anchor="lm")


def _observable(view: ViewResult) -> str:
    if view.normal_map is None:
        return ""
    return f"normals observable on {100 * view.normal_map.observable_share:.0f} % of the view"
