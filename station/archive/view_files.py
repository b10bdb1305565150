"""A view's arrays as TIFF files, and back.

Picture, albedo and residual are 16-bit with a `scale` in the description: value = scale * stored. Normals are 16-bit
as `PackedNormalMap` has them, interleaved to (H, W, 3). Anomaly maps stay float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from station.archive.errors import ArchiveError
from station.archive.pixels import Buffer, Plane, pack_quality, read_tiff, tiff_parts, unpack_quality
from station.archive.records import ViewRecord
from station.inspection.result import AnomalyMap, ViewResult
from station.photometric_stereo.normal_map import NormalMap, PackedNormalMap
from station.photometric_stereo.packing import full_step, pack_by, unpack_scaled

Description = Mapping[str, Any]
MakesTiff = Callable[[Description, bool], Iterator[Buffer]]  # of the description, and whether it is compressed
Planes = dict[str, tuple[NDArray[Any], dict[str, Any]]]


def view_planes(result: ViewResult) -> Iterator[tuple[str, int, MakesTiff]]:
    """(name, about how many bytes uncompressed, function that makes the TIFF's parts) for each array that the view has.

    A packed normal map is written as it is; one in float32 is packed here, at once.
    """
    image, scored = result.image, result.anomaly_map
    if image is not None:
        size = 2 * image[0].size * (1 if image.strides[0] == 0 else len(image))
        yield "image", size, partial(_picture, image)
    if result.normal_map is not None:
        found = result.normal_map.packed()
        size = found.albedo.nbytes
        yield "normals", 3 * size, partial(tiff_parts, _interleaved_normals(found))
        yield "albedo", size, partial(_scaled, Plane.of(found.albedo), found.albedo_scale)
        yield "residual", size, partial(_scaled, Plane.of(found.residual), found.residual_scale)
        yield "quality", size // 2, partial(tiff_parts, _quality(found))
    if scored is not None:
        yield "anomaly", scored.scores.nbytes, partial(tiff_parts, Plane.of(scored.scores))


def view_result(record: ViewRecord, files: Mapping[str, bytes]) -> ViewResult:
    """The view again, from the bytes of the files that the record names. Raises ArchiveError."""
    planes: Planes = {}
    for what, data in files.items():
        try:
            planes[what] = read_tiff(data)
        except (ValueError, KeyError) as error:
            raise ArchiveError(f"{record.files[what]}: not a TIFF of this archive: {error}") from error
    return ViewResult(
        view=record.view,
        verdict=record.verdict,
        limit=record.limit,
        image=_image(planes) if "image" in planes else None,
        normal_map=_normal_map(planes) if "normals" in planes else None,
        anomaly_map=_anomaly_map(planes, record.pred_score),
        reasons=record.stated_reasons(),
        light_residuals=record.light_residuals,
        left_out_residuals=record.left_out_residuals,
        light_levels=record.light_levels,
        quality=record.quality,
        solvers=record.solvers,
        white_balance=record.white_balance,
    )


def _picture(image: NDArray[np.float32], about: Description, compressed: bool) -> Iterator[Buffer]:
    pixels = _interleaved(image)
    scale = full_step(pixels)
    plane = Plane(pixels.shape, np.dtype(np.uint16), lambda rows: pack_by(pixels[rows], scale))
    return _scaled(plane, scale, about, compressed)


def _scaled(plane: Plane, scale: float, about: Description, compressed: bool) -> Iterator[Buffer]:
    return tiff_parts(plane, {**about, "scale": scale}, compressed)


def _interleaved_normals(found: PackedNormalMap) -> Plane:
    normals = found.normals
    return Plane((*normals.shape[1:], 3), normals.dtype, lambda rows: np.asarray(cv2.merge(list(normals[:, rows]))))


def _quality(found: PackedNormalMap) -> Plane:
    def packed(rows: slice) -> NDArray[np.uint8]:
        return pack_quality(found.lit_count[rows], found.observable[rows], found.saturated[rows])

    return Plane(found.lit_count.shape, np.dtype(np.uint8), packed)


def _interleaved(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """(3, H, W) to (H, W, 3), or to (H, W) where the camera saw no colour."""
    is_grey = image.strides[0] == 0 or all(np.array_equal(image[0], other) for other in image[1:])
    if is_grey:
        return np.asarray(image[0])
    return np.moveaxis(image, 0, 2)


def _read_scaled(planes: Planes, what: str) -> tuple[NDArray[np.uint16], float]:
    packed, about = planes[what]
    return packed, float(about["scale"])


def _image(planes: Planes) -> NDArray[np.float32]:
    image = unpack_scaled(*_read_scaled(planes, "image"))
    if image.ndim == 2:
        return np.ascontiguousarray(np.broadcast_to(image, (3, *image.shape)))
    return np.ascontiguousarray(np.moveaxis(image, 2, 0))


def _normal_map(planes: Planes) -> NormalMap:
    lit_count, observable, saturated = unpack_quality(planes["quality"][0])
    albedo, albedo_scale = _read_scaled(planes, "albedo")
    residual, residual_scale = _read_scaled(planes, "residual")
    normals = np.ascontiguousarray(np.moveaxis(planes["normals"][0], 2, 0))
    return PackedNormalMap(
        normals, albedo, lit_count, residual, observable, saturated, albedo_scale, residual_scale
    ).unpacked()


def _anomaly_map(planes: Planes, pred_score: float | None) -> AnomalyMap | None:
    if "anomaly" not in planes or pred_score is None:
        return None
    return AnomalyMap(planes["anomaly"][0], pred_score)
