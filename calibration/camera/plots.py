"""Drawings of a camera calibration: residuals over the image, the lens's distortion, each view's rms."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.camera.adjust import residuals
from calibration.camera.report import CameraReport
from calibration.camera_model import F64, CameraModel

Canvas = NDArray[np.uint8]  # (H, W, 3) RGB
WIDTH_PX, MARGIN_PX = 900, 40
CELLS = 17  # along the longer side; each holds one arrow of the distortion
NOTHING_PX = 1e-4  # a distortion below this is not drawn
_INK, _GREY, _BLUE, _RED = (30, 30, 30), (170, 170, 170), (30, 90, 190), (200, 50, 40)


@dataclass(frozen=True)
class _Frame:
    """A drawing of the camera's image, with a title above."""

    canvas: Canvas
    scale: float

    def at(self, pixels: F64) -> NDArray[np.int32]:
        return np.round(np.asarray(pixels) * self.scale + MARGIN_PX).astype(np.int32)


def _frame(size_px: tuple[int, int], title: str) -> _Frame:
    scale = (WIDTH_PX - 2 * MARGIN_PX) / size_px[0]
    height = round(size_px[1] * scale) + 2 * MARGIN_PX
    canvas = np.full((height, WIDTH_PX, 3), 255, np.uint8)
    corner = (WIDTH_PX - MARGIN_PX, height - MARGIN_PX)
    cv2.rectangle(canvas, (MARGIN_PX, MARGIN_PX), corner, _GREY, 1)
    _write(canvas, title, (MARGIN_PX, 26))
    return _Frame(canvas, scale)


def _write(canvas: Canvas, text: str, at: tuple[int, int], ink: tuple[int, int, int] = _INK) -> None:
    cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.5, ink, 1, cv2.LINE_AA)


def _arrow(frame: _Frame, start: F64, shift: F64, gain: float, ink: tuple[int, int, int]) -> None:
    """An arrow from `start` along `shift` times `gain`, cut off where it would leave the frame."""
    inside = frame.canvas[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]
    a = frame.at(start) - MARGIN_PX
    b = a + np.round(shift * gain).astype(np.int32)
    cv2.arrowedLine(inside, (int(a[0]), int(a[1])), (int(b[0]), int(b[1])), ink, 1, cv2.LINE_AA, 0, 0.25)


def residual_plot(report: CameraReport) -> Canvas:
    """An arrow for the residual of every point in the pictures that were used. Raises ValueError if none was fitted."""
    fit = report.solution
    if fit is None:
        raise ValueError("no camera was fitted: there are no residuals to draw")
    found = [(v, residuals(v, pose, fit)) for v, pose in zip(report.views, fit.poses, strict=True)]
    longest = max(float(np.percentile(np.linalg.norm(r, axis=1), 95)) for _, r in found)
    gain = 25 / max(longest, 1e-6)
    scale = f"an arrow of 25 dots is {_figures(longest)} px"
    frame = _frame(report.size_px, f"residuals, rms {report.rms_px:.3f} px; {scale}")
    for view, rest in found:
        for at, shift in zip(view.pixels, rest, strict=True):
            length = float(np.linalg.norm(shift))
            _arrow(frame, at, shift * min(1.0, 3 * longest / max(length, 1e-9)), gain,
                   _RED if length > 2 * longest else _BLUE)  # fmt: skip
    return frame.canvas


def distortion_plot(camera: CameraModel) -> Canvas:
    """How far the lens moves each place of the picture, and a cross at the principal point.

    The magnification is chosen so that the longest arrow just stays inside its own cell.
    """
    cell = max(camera.width_px, camera.height_px) / CELLS
    x, y = (_middles(size, cell) for size in (camera.width_px, camera.height_px))
    starts = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    shift = camera.distortion_shift_at(starts)
    farthest = float(np.linalg.norm(camera.distortion_shift_px(), axis=2).max())
    longest = float(np.linalg.norm(shift, axis=1).max())
    gain = _magnification(cell / 2 / longest) if NOTHING_PX < farthest < math.inf else 0.0
    moves = f"at most {_figures(farthest)} px, arrows {gain:g} times as long" if gain else f"below {NOTHING_PX:.4f} px"
    moves = moves if math.isfinite(farthest) else "the model gives no finite pixels"
    frame = _frame((camera.width_px, camera.height_px), f"distortion: {moves}")
    if gain:
        for at, arrow in zip(starts, shift, strict=True):
            _arrow(frame, at, arrow, gain * frame.scale, _BLUE)
    if camera.has_center_inside():
        center = frame.at(np.array([camera.cx_px, camera.cy_px]))
        cv2.drawMarker(frame.canvas, (int(center[0]), int(center[1])), _RED, cv2.MARKER_CROSS, 18, 2)
    return frame.canvas


def _middles(size_px: int, cell_px: float) -> F64:
    """The middles, in px, of as many whole cells as fit along a side."""
    count = max(1, int(size_px / cell_px))
    return np.asarray((np.arange(count) + 0.5) * size_px / count - 0.5, np.float64)


def _magnification(most: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is not above `most`."""
    power = 10.0 ** math.floor(math.log10(most))
    return max(step * power for step in (1, 2, 5) if step * power <= most)


def _figures(value: float) -> str:
    """Two significant digits, never in powers of ten."""
    decimals = max(0, 1 - math.floor(math.log10(value))) if value > 0 else 0
    return f"{value:.{decimals}f}"


def view_plot(report: CameraReport) -> Canvas:
    """A bar per picture: its rms in the fit, red where it was refused."""
    rows = len(report.images)
    canvas = np.full((2 * MARGIN_PX + 22 * rows, WIDTH_PX, 3), 255, np.uint8)
    _write(canvas, "rms of each picture, px (red: not used)", (MARGIN_PX, 26))
    longest = max((image.rms_px or 0.0 for image in report.images), default=0.0)
    for i, image in enumerate(report.images):
        top, left = MARGIN_PX + 22 * i, MARGIN_PX + 220
        _write(canvas, image.file[-24:], (MARGIN_PX, top + 14))
        length = round((WIDTH_PX - left - 120) * (image.rms_px or 0.0) / max(longest, 1e-9))
        cv2.rectangle(canvas, (left, top + 3), (left + length, top + 16), _BLUE if image.used else _RED, -1)
        _write(canvas, "-" if image.rms_px is None else f"{image.rms_px:.3f}", (left + length + 6, top + 14))
    return canvas
