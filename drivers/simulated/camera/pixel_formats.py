"""Makes every pixel format that the camera offers from what the scene renders (Mono or BayerRG, 8 or 12 bits).

A sensor with another Bayer order is the same sensor moved by a pixel. Unequal binning averages further, from the
smaller of the two. RGB8 is demosaiced by blocks of two by two, as simple cameras do.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from drivers.protocols import Pixels
from drivers.simulated.camera.exposure import ExposureRequest

PIXEL_FORMATS = {
    0x01080001: "Mono8",
    0x01100003: "Mono10",
    0x01100005: "Mono12",
    0x010C0047: "Mono12p",
    0x01100007: "Mono16",
    0x02180014: "RGB8",
    0x01080008: "BayerGR8",
    0x01080009: "BayerRG8",
    0x0108000A: "BayerGB8",
    0x0108000B: "BayerBG8",
    0x01100010: "BayerGR12",
    0x01100011: "BayerRG12",
    0x01100012: "BayerGB12",
    0x01100013: "BayerBG12",
    0x010C0057: "BayerGR12p",
    0x010C0059: "BayerRG12p",
    0x010C0055: "BayerGB12p",
    0x010C0053: "BayerBG12p",
}
_RENDERED = {"Mono10": "Mono12", "Mono16": "Mono12", "RGB8": "BayerRG8"}
_FULL_SCALE_SHIFT = {"Mono10": 2, "Mono16": -4}  # bits by which the rendered format is finer
_BAYER_SHIFT = {"RG": (0, 0), "GR": (1, 0), "GB": (0, 1), "BG": (1, 1)}  # columns, rows


def rendered_format(wire_format: str) -> str:
    """The format among Mono8, Mono12, BayerRG8 and BayerRG12 from which `wire_format` is made."""
    if wire_format in _RENDERED:
        return _RENDERED[wire_format]
    base = wire_format.removesuffix("p")
    return f"BayerRG{base[7:]}" if base.startswith("Bayer") else base


def rendered_request(request: ExposureRequest) -> ExposureRequest:
    """What the scene is asked for, so that `encode` can make the camera's picture of it."""
    binning = min(request.binning, request.binning_vertical)
    across, down = request.binning // binning, request.binning_vertical // binning
    return replace(
        request,
        pixel_format=rendered_format(request.pixel_format),
        black_level_dn=request.black_level_dn * 2.0 ** _FULL_SCALE_SHIFT.get(request.pixel_format, 0),
        binning=binning,
        binning_vertical=binning,
        width=request.width * across,
        height=request.height * down,
        offset_x=request.offset_x * across,
        offset_y=request.offset_y * down,
    )


def encode(pixels: Pixels, request: ExposureRequest) -> Pixels:
    """The bytes of `request` as a contiguous array.

    `pixels` is (H, W) uint8 or uint16 as `rendered_request` asks for it. Returns uint8 or uint16: (H, W), (H, 3 W) for
    RGB8, (H, 3 W / 2) for the packed formats; `pixels` itself where nothing is to be done.
    """
    picture = _bin(pixels, pixels.shape[1] // request.width, pixels.shape[0] // request.height)
    name = request.pixel_format
    if name in _FULL_SCALE_SHIFT:
        picture = _shift_bits(picture.astype(np.uint16), _FULL_SCALE_SHIFT[name])
    elif name == "RGB8":
        picture = _demosaic(picture)
    elif name.startswith("Bayer"):
        picture = _move(picture, *_BAYER_SHIFT[name[5:7]])
    if name.endswith("p"):
        return _pack_12p(picture)
    return picture if picture.flags.c_contiguous else picture.copy()


def _bin(pixels: Pixels, across: int, down: int) -> Pixels:
    if across == down == 1:
        return pixels
    height, width = pixels.shape
    blocks = pixels.reshape(height // down, down, width // across, across)
    mean: NDArray[np.float64] = np.rint(blocks.mean(axis=(1, 3)))
    return mean.astype(np.uint8) if pixels.dtype == np.uint8 else mean.astype(np.uint16)


def _shift_bits(pixels: NDArray[np.uint16], bits: int) -> NDArray[np.uint16]:
    return np.right_shift(pixels, bits) if bits > 0 else np.left_shift(pixels, -bits)


def _move(pixels: Pixels, columns: int, rows: int) -> Pixels:
    """The picture of a sensor that lies `columns`, `rows` further; the last but one fills the edge."""
    if columns:
        pixels = np.concatenate([pixels[:, 1:], pixels[:, -2:-1]], axis=1)
    if rows:
        pixels = np.concatenate([pixels[1:], pixels[-2:-1]], axis=0)
    return pixels


def _demosaic(mosaic: Pixels) -> Pixels:
    """(H, W) BayerRG8 to (H, W * 3) uint8."""
    green = (mosaic[0::2, 1::2].astype(np.uint16) + mosaic[1::2, 0::2]) // 2
    height, width = mosaic.shape
    blocks = np.empty((height // 2, 2, width // 2, 2, 3), np.uint8)
    blocks[..., 0] = mosaic[0::2, 0::2][:, None, :, None]
    blocks[..., 1] = green[:, None, :, None]
    blocks[..., 2] = mosaic[1::2, 1::2][:, None, :, None]
    return blocks.reshape(height, width * 3)


def _pack_12p(pixels: Pixels) -> NDArray[np.uint8]:
    """Two pixels in three bytes, least significant bits first. Plain numpy: no frame may wait for a compiler."""
    first, second = pixels[:, 0::2], pixels[:, 1::2]
    packed = np.empty((pixels.shape[0], pixels.shape[1] // 2, 3), np.uint8)
    packed[:, :, 0] = first & 255
    packed[:, :, 1] = first >> 8 | (second & 15) << 4
    packed[:, :, 2] = second >> 4
    return packed.reshape(pixels.shape[0], -1)
