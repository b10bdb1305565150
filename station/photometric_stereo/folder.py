"""`station solve`: photometric stereo on a folder of photographs, with everything that one wants to know of it."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from station.photometric_stereo import pictures
from station.photometric_stereo.checks import AngularErrors, angular_error_map, angular_errors, leave_one_out_residuals
from station.photometric_stereo.normal_map import NormalMap
from station.photometric_stereo.packing import pack_levels
from station.photometric_stereo.photographs import Photographs, PhotographsError, read_photographs
from station.photometric_stereo.solve import Method, PhotometricStereo, SolverSettings, relighting_residuals
from station.photometric_stereo.surfaces import height_mm, mean_curvature_per_mm, slope_deg
from station.photometric_stereo.uncertainty import predicted_uncertainty, usual_noise

REPORT = "report.json"
AXES = "pictures: x right, y down, origin top left; normals: x right, y up, z toward the camera; height: toward it"
SLOPE_FULL_SCALE_DEG = 90.0
UNCERTAINTY_FULL_SCALE_DEG = 5.0
CURVATURE_QUANTILE = 0.99  # of its size, shown in full colour


@dataclass(frozen=True)
class SolveReport:
    """What `solve_folder` found; also written as report.json. Residuals are fractions of the mean signal."""

    folder: str
    out: str
    method: str
    lights: tuple[str, ...]
    condition: float  # of L^T L
    width_px: int
    height_px: int
    mask_pixels: int
    observable_share: float  # of the mask
    saturated_share: float  # of the mask: one light or more saturated
    mean_lit_count: float
    median_residual: float  # rms over the lights that counted, full scale = 1
    albedo_full_scale: float  # the albedo that albedo.png shows as 65535
    relighting_residuals: dict[str, float | None]
    leave_one_out_residuals: dict[str, float | None]
    suspicious_lights: tuple[str, ...]  # leave-one-out residual above 1.8 times the median light's, for six or more
    truth: AngularErrors | None
    uncertainty_median_deg: (
        float | None
    )  # predicted from the noise of a usual sensor: no calibration comes with a folder
    uncertainty_p95_deg: float | None
    length_unit: str  # of height, and the inverse of curvature's: mm where the pixels' size was given, else px
    height_range: tuple[float, float] | None  # what height.png shows as 1 and 65535; 0 is unknown
    axes: str
    files: tuple[str, ...]

    def as_json(self) -> str:
        return json.dumps(asdict(self), indent=2, allow_nan=False)


def solve_folder(
    folder: Path,
    out: Path,
    method: Method = "masked",
    lights: Sequence[str] | None = None,
    *,
    height: bool = False,
    mm_per_px: float | None = None,
) -> SolveReport:
    """Solve `folder` and write normals, albedo, slope, curvature, quality, a picture and report.json into `out`.

    With `height`, the integrated height goes there too (height.npy, NaN where unknown, and height.png; seconds per
    megapixel), in mm where `mm_per_px` says how large a pixel is, else in pixels. `out` appears whole or not at all;
    one that an earlier call wrote is replaced, any other that is not empty is refused. Raises PhotographsError for all
    that is wrong with the folder, the lights included.
    """
    settings = SolverSettings(method=method)
    if mm_per_px is not None and not 0 < mm_per_px < np.inf:
        raise PhotographsError(f"{folder}: a pixel of {mm_per_px} mm cannot be; give its size in mm on the part")
    _check_target(out)
    photographs = read_photographs(folder, lights)
    result = _solve(photographs, settings)
    errors = None if photographs.truth is None else _errors(result, photographs)
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        products = _products(result, photographs, settings, height, mm_per_px)
        _write_maps(partial, result, photographs, errors, products)
        report = _report(folder, out, settings, photographs, result, errors, partial, products)
        (partial / REPORT).write_text(report.as_json() + "\n", encoding="utf-8")
        _replace(partial, out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return report


def _solve(photographs: Photographs, settings: SolverSettings) -> NormalMap:
    height, width = photographs.mask.shape
    solver = PhotometricStereo(photographs.lights, (height, width), settings)
    for k, frame in enumerate(photographs.frames):
        solver.add(k, frame)
    result = solver.solve()
    outside = ~photographs.mask
    result.normals[:, outside] = 0
    for plane in (result.albedo, result.lit_count, result.residual, result.observable, result.saturated):
        plane[outside] = 0
    return result


@dataclass(frozen=True)
class _Products:
    """What follows from the normals; (H, W), NaN where nothing is known."""

    slope_deg: NDArray[np.float32]
    curvature: NDArray[np.float32]  # per unit
    uncertainty_deg: NDArray[np.float32]
    height: NDArray[np.float32] | None  # in the unit
    unit: str

    @property
    def height_range(self) -> tuple[float, float] | None:
        if self.height is None or not np.isfinite(self.height).any():
            return None
        return float(np.nanmin(self.height)), float(np.nanmax(self.height))


def _products(
    result: NormalMap, photographs: Photographs, settings: SolverSettings, height: bool, mm_per_px: float | None
) -> _Products:
    frames = photographs.frames
    noise = usual_noise(frames[0])
    uncertainty = predicted_uncertainty(frames, photographs.lights, result, noise, settings, stride=1)
    scale = 1.0 if mm_per_px is None else mm_per_px
    return _Products(
        slope_deg(result.normals),
        mean_curvature_per_mm(result.normals, scale),
        uncertainty.rms_deg,
        height_mm(result.normals, scale) if height else None,
        "px" if mm_per_px is None else "mm",
    )


def _errors(result: NormalMap, photographs: Photographs) -> NDArray[np.float64]:
    assert photographs.truth is not None
    return angular_error_map(result.normals, photographs.truth)


def _check_target(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise PhotographsError(f"{out}: is a file, a folder is needed for the results")
    if out.is_dir() and any(out.iterdir()) and not (out / REPORT).is_file():
        raise PhotographsError(f"{out}: not empty and no earlier result of this command; choose another folder")


def _replace(partial: Path, out: Path) -> None:
    """Put the finished folder in its place; an earlier one leaves only once the new one is complete."""
    os.chmod(partial, 0o755)
    if not out.exists():
        partial.rename(out)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{out.name}-old-", dir=out.parent))
    out.rename(old / out.name)
    partial.rename(out)
    shutil.rmtree(old)


def _albedo_full_scale(result: NormalMap) -> float:
    """The 99.9 % quantile: a few pixels on highlights would darken all the rest."""
    seen = result.albedo[result.observable]
    return float(np.quantile(seen, 0.999)) if seen.size else 1.0


def _write_maps(
    folder: Path,
    result: NormalMap,
    photographs: Photographs,
    errors: NDArray[np.float64] | None,
    products: _Products,
) -> None:
    scale = _albedo_full_scale(result)
    pictures.write_picture(folder / "normals.png", pictures.encode_normals(result.normals))
    np.save(folder / "normals.npy", result.normals)
    pictures.write_picture(folder / "albedo.png", pack_levels(result.albedo, scale))
    np.save(folder / "albedo.npy", result.albedo)
    pictures.write_picture(folder / "lit_count.png", result.lit_count)
    pictures.write_picture(folder / "observable.png", result.observable.astype(np.uint8) * np.uint8(255))
    pictures.write_picture(folder / "residual.png", pack_levels(result.residual, pictures.RESIDUAL_FULL_SCALE))
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


def _strongest(products: _Products) -> float:
    size = np.abs(products.curvature[np.isfinite(products.curvature)])
    return max(float(np.quantile(size, CURVATURE_QUANTILE)), 1e-9) if size.size else 1.0


def _picture(
    result: NormalMap,
    photographs: Photographs,
    errors: NDArray[np.float64] | None,
    products: _Products,
    scale: float,
) -> NDArray[np.uint8]:
    first = photographs.frames[0]
    seen = first.pixels.astype(np.float32) / np.float32(first.full_scale_dn)
    count = len(photographs.lights.names)
    white = np.ones_like(result.albedo) * result.observable
    tiles = [
        (f"photograph {photographs.lights.names[0]}", pictures.grey(seen, float(np.quantile(seen, 0.999)))),
        ("normals (x right, y up, z to you)", pictures.coloured_normals(result.normals)),
        ("relit from the upper left, white", pictures.grey(pictures.relit(result.normals, white), 1.0)),
        (f"albedo, 0 to {scale:.2f}", pictures.grey(result.albedo, scale)),
        (
            f"residual, 0 to {pictures.RESIDUAL_FULL_SCALE}",
            pictures.coloured(result.residual, pictures.RESIDUAL_FULL_SCALE),
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
            f"error expected of noise, 0 to {limit_deg:g} degrees",
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


def _report(
    folder: Path,
    out: Path,
    settings: SolverSettings,
    photographs: Photographs,
    result: NormalMap,
    errors: NDArray[np.float64] | None,
    partial: Path,
    products: _Products,
) -> SolveReport:
    expected = products.uncertainty_deg[np.isfinite(products.uncertainty_deg)]
    mask, seen = photographs.mask, result.observable
    relighting = relighting_residuals(photographs.frames, photographs.lights, result)
    left_out = leave_one_out_residuals(photographs.frames, photographs.lights, settings, mask)
    return SolveReport(
        folder=str(folder),
        out=str(out),
        method=settings.method,
        lights=photographs.lights.names,
        condition=photographs.condition,
        width_px=mask.shape[1],
        height_px=mask.shape[0],
        mask_pixels=int(mask.sum()),
        observable_share=float(seen[mask].mean()),
        saturated_share=float(result.saturated[mask].mean()),
        mean_lit_count=float(result.lit_count[mask].mean()),
        median_residual=float(np.median(result.residual[seen])) if seen.any() else 0.0,
        albedo_full_scale=_albedo_full_scale(result),
        relighting_residuals=_finite(relighting),
        leave_one_out_residuals=_finite(left_out),
        suspicious_lights=suspicious_lights(left_out),
        truth=None if errors is None else angular_errors(errors),
        uncertainty_median_deg=float(np.median(expected)) if expected.size else None,
        uncertainty_p95_deg=float(np.percentile(expected, 95)) if expected.size else None,
        length_unit=products.unit,
        height_range=products.height_range,
        axes=AXES,
        files=tuple(sorted([p.name for p in partial.iterdir()] + [REPORT])),
    )


def suspicious_lights(left_out: dict[str, float]) -> tuple[str, ...]:
    """Lights far off the others; with fewer than six lights the residual cannot tell which one it is."""
    values = np.array(list(left_out.values()))
    if len(values) < 6 or not np.isfinite(values).all():
        return ()
    return tuple(name for name, value in left_out.items() if value > 1.8 * float(np.median(values)))


def _finite(values: dict[str, float]) -> dict[str, float | None]:
    """JSON knows no NaN."""
    return {name: value if np.isfinite(value) else None for name, value in values.items()}
