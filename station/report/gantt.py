"""A Gantt chart of one inspection: a row for each stage of each thread, a colour for each view, the critical path."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from station.documents.atomic import write_atomic
from station.inspection.timeline import ACQUIRE, JUDGE, MOVE, Span, Timeline
from station.report.sheet_drawing import FAINT, INK, font, shortened, text_width

WIDTH_PX = 1800
_MARGIN, _HEAD, _ROW, _AXIS, _BAR = 24, 84, 26, 40, 16
_GROUND, _GRID, _BAND, _BLACK = (255, 255, 255), (226, 226, 226), (244, 244, 244), (24, 24, 24)
_SMALL, _LARGE = 16, 22
_LANES = {MOVE: "arm", ACQUIRE: "capture", JUDGE: "judge", "archive-ahead": "archive"}
_PATH = "critical path"
# Okabe and Ito's colours, which people with any colour vision tell apart
_VIEW_COLOURS = ((0, 114, 178), (230, 159, 0), (0, 158, 115), (204, 121, 167), (86, 180, 233), (213, 94, 0))
_NO_VIEW = (150, 150, 150)
_STEPS_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0)
Row = tuple[str, Sequence[Span]]


def draw_gantt(timeline: Timeline, title: str) -> Image.Image:
    """The chart, RGB. ValueError for a timeline without spans."""
    if not timeline.spans:
        raise ValueError("timeline: it has no spans; there is nothing to draw")
    rows = _rows(timeline)
    views = list(dict.fromkeys(span.view for span in timeline.spans if span.view))
    colours = {view: _VIEW_COLOURS[n % len(_VIEW_COLOURS)] for n, view in enumerate(views)}
    sheet = Image.new("RGB", (WIDTH_PX, _HEAD + _ROW * len(rows) + _AXIS + _MARGIN), _GROUND)
    draw = ImageDraw.Draw(sheet)
    left = _MARGIN + max(text_width(draw, name, _SMALL) for name, _ in rows) + 12
    end_ms = max(max(span.end_ms for span in timeline.spans), timeline.judged_ms or 0.0)
    scale = (WIDTH_PX - left - _MARGIN) / end_ms
    _draw_head(draw, timeline, title, colours)
    _draw_axis(draw, left, scale, end_ms, _HEAD + _ROW * len(rows))
    for number, (name, spans) in enumerate(rows):
        top = _HEAD + number * _ROW
        draw.text((_MARGIN, top + _ROW // 2), name, font=font(_SMALL), fill=INK, anchor="lm")
        for span in spans:
            box = (
                left + span.begin_ms * scale,
                top + 5,
                max(left + span.end_ms * scale, left + span.begin_ms * scale + 1),
            )
            draw.rectangle((box[0], box[1], box[2], box[1] + _BAR), fill=colours.get(span.view, _NO_VIEW))
    _draw_moments(draw, timeline, left, scale, _HEAD + _ROW * len(rows))
    return sheet


def write_gantt(timeline: Timeline, title: str, path: Path) -> None:
    """Write the chart as PNG, whole or not at all. Raises OSError, and ValueError as `draw_gantt` does."""
    buffer = io.BytesIO()
    draw_gantt(timeline, title).save(buffer, "PNG")
    write_atomic(path, buffer.getvalue())


def _rows(timeline: Timeline) -> list[Row]:
    """A row for each stage, by thread, in the order in which stages first began; what the verdict waited for on top."""
    rows: list[Row] = [(_PATH, timeline.critical_path())]
    lanes = [*_LANES, *sorted({span.lane for span in timeline.spans} - set(_LANES))]
    for lane in lanes:
        of_lane = sorted((s for s in timeline.spans if s.lane == lane), key=lambda span: span.begin_ms)
        for stage in dict.fromkeys(span.stage for span in of_lane):
            name = f"{_LANES.get(lane, lane)}: {stage.replace('_', ' ')}"
            rows.append((name, [span for span in of_lane if span.stage == stage]))
    return rows


def _draw_head(
    draw: ImageDraw.ImageDraw, timeline: Timeline, title: str, colours: dict[str, tuple[int, int, int]]
) -> None:
    draw.text((_MARGIN, 12), shortened(draw, title, _LARGE, WIDTH_PX - 2 * _MARGIN), font=font(_LARGE), fill=INK)
    x = _MARGIN
    for view, colour in colours.items():
        draw.rectangle((x, 50, x + 18, 50 + _BAR), fill=colour)
        draw.text((x + 24, 50 + _BAR // 2), view, font=font(_SMALL), fill=INK, anchor="lm")
        x += 48 + text_width(draw, view, _SMALL)
    after_ms = timeline.verdict_after_exposure_ms
    if after_ms is not None:
        text = f"verdict {after_ms / 1e3:.2f} s after the end of the last exposure"
        draw.text((WIDTH_PX - _MARGIN, 50 + _BAR // 2), text, font=font(_SMALL), fill=FAINT, anchor="rm")


def _draw_axis(draw: ImageDraw.ImageDraw, left: int, scale: float, end_ms: float, bottom: int) -> None:
    """Bands behind every second row, a line and a number for every step of seconds."""
    for top in range(_HEAD, bottom, 2 * _ROW):
        draw.rectangle((_MARGIN, top, WIDTH_PX - _MARGIN, top + _ROW - 1), fill=_BAND)
    step_s = next((step for step in _STEPS_S if step * 1e3 * scale >= 70), _STEPS_S[-1])
    for count in range(int(end_ms / 1e3 / step_s) + 1):
        x = left + count * step_s * 1e3 * scale
        draw.line((x, _HEAD, x, bottom), fill=_GRID)
        draw.text((x, bottom + 8), f"{count * step_s:g} s", font=font(_SMALL), fill=FAINT, anchor="mt")


def _draw_moments(draw: ImageDraw.ImageDraw, timeline: Timeline, left: int, scale: float, bottom: int) -> None:
    """Lines where the last exposure was over and where the verdict was made."""
    for at_ms in (timeline.exposed_ms, timeline.judged_ms):
        if at_ms is not None:
            draw.line((left + at_ms * scale, _HEAD - 6, left + at_ms * scale, bottom), fill=_BLACK, width=2)
