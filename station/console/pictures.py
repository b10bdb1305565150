"""A view's pictures made ready for Qt: mip pyramids, thumbnails, the coloured score map with its outline.

This runs in a worker thread. QImage and QPainterPath may be used there; QPixmap may not, so widgets make those.
A picture of 20 megapixels takes 107 MB with its pyramid.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF
from PyQt6.QtGui import QImage, QPainterPath

from station.inspection.result import ViewResult
from station.photometric_stereo.normal_map import NormalMap, PackedNormalMap
from station.report.display_rgb import linear_to_srgb, normals_to_rgb
from station.report.heat_map import colour_map, over_ground
from station.report.limit_outline import draw_outline, limit_segments
from station.report.thumbnails import Gains, fitted, shrink

_SMALLEST_LEVEL_PX = 512
_THUMBNAIL_BOX = (640, 440)
_BLOCK_ROWS = 128
_HEAT_SIDE_PX = 768  # the score map is interpolated to about this before it is coloured


class Mode(StrEnum):
    """Which picture tiles and the detail view show. HEAT is the score map over the image in grey."""

    IMAGE = "image"
    NORMALS = "normals"
    HEAT = "heat"


@dataclass(frozen=True, slots=True, eq=False)
class Mips:
    """One picture in halving sizes, the first in full.

    Each QImage reads the memory of the array in `buffers` at the same place, so the arrays must live as long.
    """

    levels: tuple[QImage, ...]
    buffers: tuple[NDArray[np.uint8], ...]


@dataclass(frozen=True, slots=True, eq=False)  # compared by identity: arrays have no truth value
class ViewPictures:
    """All that is drawn of one view. A mode for which the view has no data is missing from the dictionaries."""

    view: str
    thumbnails: dict[Mode, QImage]
    mips: dict[Mode, Mips]  # under HEAT: the image in grey, for the score map to lie on
    heat: QImage | None  # covers the whole picture
    outline: QPainterPath  # where scores cross the limit, in the picture's pixels
    size: tuple[int, int]  # width, height of the picture


def make_pictures(result: ViewResult) -> ViewPictures:
    """Make every picture that the view has data for: about a second a view at 20 megapixels."""
    mips: dict[Mode, Mips] = {}
    thumbnails: dict[Mode, QImage] = {}
    if result.image is not None:
        levels = _bgrx_levels(_image_bgrx(result.image, result.white_balance))
        mips[Mode.IMAGE] = _mips(levels)
        mips[Mode.HEAT] = _mips([_grey(level) for level in levels])
    if result.normal_map is not None:
        mips[Mode.NORMALS] = _mips(_bgrx_levels(_normals_bgrx(result.normal_map)))
    for mode in (Mode.IMAGE, Mode.NORMALS):
        if mode in mips:
            thumbnails[mode] = _thumbnail(_rgb(mips[mode].buffers[-1]))
    size = _picture_size(result)
    heat, outline = None, QPainterPath()
    if result.anomaly_map is not None and result.limit > 0:
        scores = result.anomaly_map.scores
        heat = _heat(scores, result.limit)
        outline = _outline_path(scores, result.limit, size)
        ground = mips[Mode.HEAT].buffers[-1] if Mode.HEAT in mips else np.full((size[1], size[0]), 128, np.uint8)
        thumbnails[Mode.HEAT] = _heat_thumbnail(scores, result.limit, ground)
    return ViewPictures(result.view, thumbnails, mips, heat, outline, size)


def _picture_size(result: ViewResult) -> tuple[int, int]:
    """(width, height) in pixels of the finest picture that there is; 1 x 1 for a view without any."""
    if result.image is not None:
        return result.image.shape[2], result.image.shape[1]
    if result.normal_map is not None:
        return result.normal_map.normals.shape[2], result.normal_map.normals.shape[1]
    if result.anomaly_map is not None:
        return result.anomaly_map.scores.shape[1], result.anomaly_map.scores.shape[0]
    return 1, 1


def _image_bgrx(image: NDArray[np.float32], white_balance: Gains) -> NDArray[np.uint8]:
    """A linear (3, H, W) image as sRGB (H, W, 4) in the byte order of Format_RGB32: blue, green, red, 255.

    It is converted in blocks of rows, so that no copy of the whole in float32 is needed.
    """
    out = np.full((*image.shape[1:], 4), 255, dtype=np.uint8)
    for top in range(0, image.shape[1], _BLOCK_ROWS):
        rows = slice(top, top + _BLOCK_ROWS)
        for channel in range(3):
            out[rows, :, 2 - channel] = linear_to_srgb(image[channel, rows] * np.float32(white_balance[channel]))
    return out


def _normals_bgrx(found: NormalMap | PackedNormalMap) -> NDArray[np.uint8]:
    """The map's normals as colours (H, W, 4), in the same byte order and also in blocks of rows."""
    out = np.full((*found.albedo.shape, 4), 255, dtype=np.uint8)
    for top in range(0, out.shape[0], _BLOCK_ROWS):
        rows = slice(top, top + _BLOCK_ROWS)
        out[rows, :, :3] = normals_to_rgb(found.unit_normals(rows))[..., ::-1]
    return out


def _bgrx_levels(full: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """The picture and its halves, each the mean of 2 x 2 pixels, down to a longer side under 1024 px."""
    levels = [full]
    while max(levels[-1].shape[:2]) >= 2 * _SMALLEST_LEVEL_PX:
        last = levels[-1]
        half = last[: last.shape[0] // 2 * 2, : last.shape[1] // 2 * 2]
        smaller = cv2.resize(half, (half.shape[1] // 2, half.shape[0] // 2), interpolation=cv2.INTER_AREA)
        levels.append(np.asarray(smaller, dtype=np.uint8))
    return levels


def _grey(bgrx: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(bgrx, cv2.COLOR_BGRA2GRAY), dtype=np.uint8)


def _rgb(bgrx: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(bgrx[..., 2::-1])


def _mips(levels: list[NDArray[np.uint8]]) -> Mips:
    return Mips(tuple(_wrapped(level) for level in levels), tuple(levels))


def _wrapped(array: NDArray[np.uint8]) -> QImage:
    """A QImage over the array's own memory: grey for (H, W), RGB32 for (H, W, 4). It holds no reference to it."""
    height, width = array.shape[:2]
    layout = QImage.Format.Format_Grayscale8 if array.ndim == 2 else QImage.Format.Format_RGB32
    return QImage(array.data, width, height, array.strides[0], layout)  # type: ignore[call-overload, no-any-return]


def _thumbnail(rgb: NDArray[np.uint8]) -> QImage:
    """The picture shrunk to a tile's box; smaller ones stay as they are."""
    width, height = fitted((rgb.shape[0], rgb.shape[1]), _THUMBNAIL_BOX)
    if width < rgb.shape[1]:
        rgb = np.asarray(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return _owned_rgb(rgb)


def _owned_rgb(rgb: NDArray[np.uint8]) -> QImage:
    """A QImage of (H, W, 3) with memory of its own, so that the array may go."""
    rgb = np.ascontiguousarray(rgb)
    layout = QImage.Format.Format_RGB888
    image = QImage(rgb.data, rgb.shape[1], rgb.shape[0], rgb.strides[0], layout)  # type: ignore[call-overload]
    return image.convertToFormat(QImage.Format.Format_RGB32)  # type: ignore[no-any-return]


def _heat_thumbnail(scores: NDArray[np.float32], limit: float, ground: NDArray[np.uint8]) -> QImage:
    size = fitted((ground.shape[0], ground.shape[1]), _THUMBNAIL_BOX)
    grey = np.asarray(cv2.resize(ground, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    rgb = over_ground(colour_map(shrink(scores, size), limit), np.repeat(grey[..., None], 3, axis=2))
    draw_outline(rgb, scores, limit)
    return _owned_rgb(rgb)


def _heat(scores: NDArray[np.float32], limit: float) -> QImage:
    """The score map coloured against the limit, with alpha. It is enlarged first: colours must not be interpolated."""
    scale = max(1, _HEAT_SIDE_PX // max(scores.shape))
    rgba = colour_map(shrink(scores, (scores.shape[1] * scale, scores.shape[0] * scale)), limit)
    layout = QImage.Format.Format_RGBA8888
    image = QImage(rgba.data, rgba.shape[1], rgba.shape[0], rgba.strides[0], layout)  # type: ignore[call-overload]
    return image.convertToFormat(QImage.Format.Format_ARGB32_Premultiplied)  # type: ignore[no-any-return]


def _outline_path(scores: NDArray[np.float32], limit: float, size: tuple[int, int]) -> QPainterPath:
    """Where the scores cross the limit, as lines in the pixels of a picture of that (width, height)."""
    scale = np.array([size[0] / scores.shape[1], size[1] / scores.shape[0]])
    path = QPainterPath()
    for (x0, y0), (x1, y1) in ((limit_segments(scores, limit) + 0.5) * scale).tolist():
        path.moveTo(QPointF(x0, y0))
        path.lineTo(QPointF(x1, y1))
    return path
