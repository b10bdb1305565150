"""Writes what `station solve` found: arrays as .npy, pictures as PNG on fixed scales, and one sheet to look at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from station.photometric_stereo import pictures
from station.photometric_stereo.blocks import UncertaintyLevel
from station.photometric_stereo.normal_map import NormalMap
from station.photometric_stereo.packing import pack_levels
from station.photometric_stereo.photographs import Photographs
from station.photometric_stereo.products import Products

SLOPE_FULL_SCALE_DEG = 90.0
UNCERTAINTY_FULL_SCALE_DEG = 5.0
UNCERTAINTY_CAPTIONS: dict[UncertaintyLevel, str] = {
    "rms": "error expected of noise", "p95": "what 95 % of errors stay within",
}  # fmt: skip
CURVATURE_QUANTILE = 0.99  # of its size, shown in full colour
RESIDUAL_QUANTILE = 0.99


def albedo_full_scale(result: NormalMap) -> float:
    """The 99.9 % quantile: a few pixels on highlights would darken all the rest."""
    seen = result.albedo[result.observable]
    return float(np.quantile(seen, 0.999)) if seen.size else 1.0


def residual_full_scale(result: NormalMap) -> float:
    """The 99 % quantile, so that the picture shows what there is, be it a thousandth or a tenth of full scale."""
    seen = result.residual[result.observable]
    return max(float(np.quantile(seen, RESIDUAL_QUANTILE)), 1e-6) if seen.size else 1.0


def write_maps(
    folder: Path,
    result: NormalMap,
    photographs: Photographs,
    errors: NDArray[np.float64] | None,
    products: Products,
) -> None:
    """Write every map into the folder: arrays in their own units (.npy), pictures on fixed scales (.png).

    PNG planes of 16 bits run from 0 to the full scale named in this module or, for albedo and residual, in the report.
    """
    scale = albedo_full_scale(result)
    pictures.write_picture(folder / "normals.png", pictures.encode_normals(result.normals))
    np.save(folder / "normals.npy", result.normals)
    pictures.write_picture(folder / "albedo.png", pack_levels(result.albedo, scale))
    np.save(folder / "albedo.npy", result.albedo)
    pictures.write_picture(folder / "lit_count.png", result.lit_count)
    pictures.write_picture(folder / "observable.png", result.observable.astype(np.uint8) * np.uint8(255))
    pictures.write_picture(folder / "residual.png", pack_levels(result.residual, residual_full_scale(result)))
    np.save(folder / "residual.npy", result.residual)
    np.save(folder / "slope_deg.npy", products.slope_deg)
    pictures.write_picture(folder / "slope.png", pack_levels(_known(products.slope_deg), SLOPE_FULL_SCALE_DEG))
    np.save(folder / f"curvature_per_{products.unit}.npy", products.curvature)
    pictures.write_picture(folder / "curvature.png", pictures.coloured_signed(products.curvature, _strongest(products)))
    np.save(folder / "uncertainty_deg.npy", products.uncertainty_deg)
    shown = pack_levels(_known(products.uncertainty_deg), UNCERTAINTY_FULL_SCALE_DEG)
    pictures.write_picture(folder / "uncertainty.png", shown)
    if products.height is not None:
        np.save(folder / "height.npy", products.height)
        pictures.write_picture(folder / "height.png", pictures.heights_16_bit(products.height))
    if errors is not None:
        np.save(folder / "error_deg.npy", errors.astype(np.float32))
        pictures.write_picture(folder / "error.png", pictures.coloured(errors, pictures.ERROR_FULL_SCALE_DEG))
    pictures.write_picture(folder / "picture.png", _picture(result, photographs, errors, products, scale))


def _known(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """0 where nothing is known; observable.png tells the two apart."""
    return np.nan_to_num(values, nan=0.0, posinf=np.inf)


def _strongest(products: Products) -> float:
    size = np.abs(products.curvature[np.isfinite(products.curvature)])
    return max(float(np.quantile(size, CURVATURE_QUANTILE)), 1e-9) if size.size else 1.0


def _picture(
    result: NormalMap,
    photographs: Photographs,
    errors: NDArray[np.float64] | None,
    products: Products,
    scale: float,
) -> NDArray[np.uint8]:
    """The sheet (H, W, 3) RGB: captioned tiles in three columns, each with its scale."""
    rest = residual_full_scale(result)
    first = photographs.pictures.frame(0, 0, photographs.pictures.shape[0])
    seen = first.pixels.astype(np.float32) / np.float32(first.full_scale_dn)
    count = len(photographs.lights.names)
    white = np.ones_like(result.albedo) * result.observable
    tiles = [
        (f"photograph {photographs.lights.names[0]}", pictures.grey(seen, float(np.quantile(seen, 0.999)))),
        ("normals (x right, y up, z to you)", pictures.coloured_normals(result.normals)),
        ("relit from the upper left, white", pictures.grey(pictures.relit(result.normals, white), 1.0)),
        (f"albedo, 0 to {scale:.2f}", pictures.grey(result.albedo, scale)),
        (
            f"residual, 0 to {rest:.3g}",
            pictures.coloured(result.residual, rest),
        ),
        (f"lights that counted, 0 to {count}", pictures.coloured(result.lit_count.astype(np.float32), float(count))),
    ]
    strongest, limit_deg = _strongest(products), UNCERTAINTY_FULL_SCALE_DEG
    tiles += [
        (f"slope, 0 to {SLOPE_FULL_SCALE_DEG:g} degrees", pictures.coloured(products.slope_deg, SLOPE_FULL_SCALE_DEG)),
        (
            f"curvature, red {strongest:.3g} per {products.unit}, blue hollow",
            pictures.coloured_signed(products.curvature, strongest),
        ),
        (
            f"{UNCERTAINTY_CAPTIONS[products.uncertainty_level]}, 0 to {limit_deg:g} degrees",
            pictures.coloured(products.uncertainty_deg, limit_deg),
        ),
    ]
    if products.height is not None and products.height_range is not None:
        low, high = products.height_range
        caption = f"height, {low:.1f} to {high:.1f} {products.unit}"
        tiles.append((caption, pictures.coloured(products.height - np.float32(low), max(high - low, 1e-6))))
    if errors is not None:
        caption = f"error, 0 to {pictures.ERROR_FULL_SCALE_DEG:g} degrees"
        tiles.append((caption, pictures.coloured(errors, pictures.ERROR_FULL_SCALE_DEG)))
    return pictures.sheet(tiles, columns=3)
