"""What the parts of a contact sheet are drawn with: palette, fonts, text that fits, and the verdict's symbol."""

from __future__ import annotations

import textwrap

from PIL import ImageDraw, ImageFont

from station.inspection.result import Verdict

GAP = 10
PANEL = (214, 214, 214)
INK = (24, 24, 24)
FAINT = (84, 84, 84)
WORD_COLOURS = {  # fill, ink
    Verdict.PASS: (PANEL, (0, 88, 40)),
    Verdict.FAIL: ((186, 12, 20), (255, 255, 255)),
    Verdict.UNDECIDED: ((255, 178, 0), (24, 24, 24)),
}
Colour = tuple[int, int, int]
Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's built-in font in pixels, so that a sheet looks the same on machines without fonts."""
    return ImageFont.load_default(size=size)


def text_width(draw: ImageDraw.ImageDraw, text: str, size: int) -> int:
    """Width in pixels of one line of text."""
    return round(draw.textlength(text, font=font(size)))


def shortened(draw: ImageDraw.ImageDraw, text: str, size: int, width: int) -> str:
    """The text, cut so that it fits the width together with the dots that mark the cut."""
    if text_width(draw, text, size) <= width:
        return text
    while text and text_width(draw, text + "...", size) > width:
        text = text[:-1]
    return text + "..."


def wrapped(draw: ImageDraw.ImageDraw, text: str, size: int, width: int, lines: int) -> list[str]:
    """The text broken to the width, at most `lines` of them; dots end the last one if there was more."""
    per_line = max(8, round(width / max(text_width(draw, "abcdefghij", size) / 10, 1)))
    broken = textwrap.wrap(text, per_line) or [""]
    if len(broken) > lines:
        broken = [*broken[: lines - 1], broken[lines - 1] + " ..."]
    return [shortened(draw, line, size, width) for line in broken]


def draw_symbol(draw: ImageDraw.ImageDraw, verdict: Verdict, at: tuple[int, int, int], ink: Colour) -> None:
    """A tick, a cross or a triangle in the square (left, top, side) `at`.

    The sheet is often printed in grey, so the verdict must not rest on its colour.
    """
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
