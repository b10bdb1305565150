"""`station solve`: photometric stereo on a folder of photographs, with maps, pictures and a report."""

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

from station.photometric_stereo.checks import (
    AngularErrors,
    angular_error_map,
    angular_errors,
    leave_one_out_residuals,
    relighting_residuals,
)
from station.photometric_stereo.maps_on_disk import albedo_full_scale, write_maps
from station.photometric_stereo.normal_map import NormalMap
from station.photometric_stereo.photographs import Photographs, PhotographsError, read_photographs
from station.photometric_stereo.products import Products, products_of
from station.photometric_stereo.settings import Method, SolverSettings
from station.photometric_stereo.solve import PhotometricStereo

REPORT = "report.json"
AXES = "pictures: x right, y down, origin top left; normals: x right, y up, z toward the camera; height: toward it"


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
        """report.json: unknown figures are null, since JSON has no NaN."""
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
        products = products_of(result, photographs, settings, height, mm_per_px)
        write_maps(partial, result, photographs, errors, products)
        report = _report(folder, out, settings, photographs, result, errors, partial, products)
        (partial / REPORT).write_text(report.as_json() + "\n", encoding="utf-8")
        _replace(partial, out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return report


def _solve(photographs: Photographs, settings: SolverSettings) -> NormalMap:
    """The normal map of the folder, with every plane 0 outside the mask."""
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


def _report(
    folder: Path,
    out: Path,
    settings: SolverSettings,
    photographs: Photographs,
    result: NormalMap,
    errors: NDArray[np.float64] | None,
    partial: Path,
    products: Products,
) -> SolveReport:
    """All figures of the report; `partial` is the folder into which the maps have been written."""
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
        albedo_full_scale=albedo_full_scale(result),
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
