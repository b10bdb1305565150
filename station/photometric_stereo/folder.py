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

from station.photometric_stereo.blocks import (
    SolvedPhotographs,
    UncertaintyLevel,
    dark_fraction,
    solve_photographs,
    whole_normals,
)
from station.photometric_stereo.bounced.doubt import DOUBT_LIMIT_DEG
from station.photometric_stereo.checks import AngularErrors, angular_error_map, angular_errors
from station.photometric_stereo.lights_in_doubt import light_figures
from station.photometric_stereo.maps_on_disk import albedo_full_scale, residual_full_scale, write_maps
from station.photometric_stereo.normal_map import NormalMap
from station.photometric_stereo.photographs import Photographs, PhotographsError, read_photographs
from station.photometric_stereo.products import Products, products_of
from station.photometric_stereo.refined_photographs import check_refinable, without_bounced
from station.photometric_stereo.robust_support import RobustSupport
from station.photometric_stereo.settings import ColourWeights, Method, Refinement, SolverSettings
from station.photometric_stereo.surface_report import surface_figures
from station.photometric_stereo.uncertainty import usual_noise

REPORT = "report.json"
LEAST_SHADOW_FRACTION, MOST_SHADOW_FRACTION = 0.01, 0.5
COVERS: dict[UncertaintyLevel, str] = {
    "rms": "a typical sensor's noise alone",
    "p95": "sensor noise, bounced light as estimated, residual",
}
AXES = "pictures: x right, y down, origin top left; normals: x right, y up, z toward the camera; height: toward it"


@dataclass(frozen=True)
class SolveReport:
    """What `solve_folder` found; also written as report.json. Residuals are fractions of the mean signal."""

    folder: str
    out: str
    method: str
    refine: str  # what ran behind the method; normals, maps, truth and observable share are of its result
    weights: str  # of the colours
    lights: tuple[str, ...]
    condition: float  # of L^T L
    width_px: int
    height_px: int
    mask_pixels: int
    observable_share: float  # of the mask
    saturated_share: float  # of the mask: one light or more saturated
    mean_lit_count: float
    median_residual: float  # rms over the lights that counted, full scale = 1
    dark_fraction: float  # of full scale: a signal under it says nothing; from the pictures' own noise
    shadow_fraction: float  # of a pixel's bright level: a light under it counts as shadowed there
    diffuse_pixels: int  # on which a diffuse base was judged
    diffuse_share: float | None  # of those: a matte surface explains them; None where too few were judged
    concave_pixels: int  # on which bounced light was looked for
    concave_share: float | None  # of those: some light is neither lit nor dark there; None where too few were judged
    concave_fill: float | None  # how bright such a light is, over the pixel's bright level
    robust_against_masked: RobustSupport | None  # only where the method is robust
    warnings: tuple[str, ...]  # what to know before using the normals, and what to do
    albedo_full_scale: float  # the albedo that albedo.png shows as 65535
    residual_full_scale: float  # the residual that residual.png shows as 65535
    relighting_residuals: dict[str, float | None]
    leave_one_out_residuals: dict[str, float | None]
    table_errors_deg: dict[str, float | None]  # between the table's direction and the one that the pictures show
    table_limits_deg: dict[str, float | None]  # beyond which a light is suspicious
    suspicious_lights: tuple[str, ...]  # in any of the doubts
    light_doubts: tuple[str, ...]  # what is wrong with the table: directions, mirrored and exchanged rows
    table_not_judged: str  # why the table was not judged; empty where it was
    truth: AngularErrors | None  # over the observable pixels
    truth_whole_mask: AngularErrors | None  # over all of the mask, by plain least squares where nothing is observable
    uncertainty_level: str  # of the expected error: rms, or p95, which 95 % of a pixel's errors stay within
    uncertainty_covers: str  # what it counts; the sensor is a usual one, as no calibration comes with a folder
    uncertainty_median_deg: float | None  # of the expected errors of all observable pixels
    uncertainty_p95_deg: float | None  # of the same: 95 % of the pixels have at most so much
    bounced_share: float | None  # of the signal, median over the observable pixels, that the refinement took off
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
    weights: ColourWeights = "luma",
    *,
    height: bool = False,
    mm_per_px: float | None = None,
    shadow_fraction: float = SolverSettings.shadow_fraction,
    refine: Refinement = "none",
) -> SolveReport:
    """Solve `folder` and write normals, albedo, slope, curvature, quality, a picture and report.json into `out`.

    With `height`, the integrated height goes there too (height.npy, NaN where unknown, and height.png; seconds per
    megapixel), in mm where `mm_per_px` says how large a pixel is, else in pixels. `out` appears whole or not at all;
    one that an earlier call wrote is replaced, any other that is not empty is refused. `shadow_fraction` is of a
    pixel's bright level. `refine` runs behind the method: `bounced` takes off light from other surfaces, and its maps
    stand in place of the first ones. Raises PhotographsError for all that is wrong with the folder, the lights
    included, for figures out of bounds, for what `refine` cannot do, and where no pixel of the mask is observable.
    """
    _check_shadow_fraction(folder, shadow_fraction)
    if mm_per_px is not None and not 0 < mm_per_px < np.inf:
        raise PhotographsError(f"{folder}: a pixel of {mm_per_px} mm cannot be; give its size in mm on the part")
    _check_target(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    photographs = read_photographs(folder, lights, weights, spool_folder=out.parent)
    settings = SolverSettings(method=method, shadow_fraction=shadow_fraction, dark_fraction=dark_fraction(photographs))
    solved = _solved(folder, photographs, settings, refine)
    result = solved.normal_map
    errors = None if photographs.truth is None else _errors(result, photographs)
    partial = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        products = products_of(solved, height, mm_per_px)
        write_maps(partial, result, photographs, errors, products)
        report = _report(folder, out, settings, weights, refine, photographs, solved, errors, partial, products)
        (partial / REPORT).write_text(report.as_json() + "\n", encoding="utf-8")
        _replace(partial, out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return report


def _solved(folder: Path, photographs: Photographs, settings: SolverSettings, refine: Refinement) -> SolvedPhotographs:
    """Every normal of a folder is made here. Raises PhotographsError where nothing is observable or refinable."""
    noise = usual_noise(photographs.pictures.frame(0, 0, 1))
    if refine == "bounced":
        check_refinable(folder, photographs, settings)
    first = solve_photographs(photographs, settings, noise)
    _check_observable(folder, photographs, first.normal_map, settings)
    if refine == "none":
        return first
    refined = without_bounced(photographs, first, settings, noise)
    if not refined.normal_map.observable[photographs.mask].any():
        raise PhotographsError(
            f"{folder}: masked observes {first.normal_map.observable[photographs.mask].mean():.0%} of the mask, but "
            f"--refine bounced none of it: everywhere the doubt is over {DOUBT_LIMIT_DEG:g} degrees, or fewer than "
            "three lights are proven to be lit; look at exposure and the table of lights, or leave the refinement out"
        )
    return refined


def _check_shadow_fraction(folder: Path, fraction: float) -> None:
    if not LEAST_SHADOW_FRACTION <= fraction <= MOST_SHADOW_FRACTION:
        raise PhotographsError(
            f"{folder}: a shadow fraction of {fraction} cannot be used; give {LEAST_SHADOW_FRACTION:g} to "
            f"{MOST_SHADOW_FRACTION:g} of a pixel's bright level ({SolverSettings.shadow_fraction:g} is usual)"
        )


def _check_observable(folder: Path, photographs: Photographs, result: NormalMap, settings: SolverSettings) -> None:
    """Raises PhotographsError where nothing at all was found: an empty map is no result."""
    mask = photographs.mask
    if result.observable[mask].any():
        return
    saturated, unlit = float(result.saturated[mask].mean()), float((result.lit_count[mask] < 3).mean())
    raise PhotographsError(
        f"{folder}: none of the mask's {int(mask.sum())} pixels is observable: {unlit:.0%} are lit by fewer than three "
        f"lights (above {settings.dark_fraction:.2g} of full scale and {settings.shadow_fraction:g} of the pixel's "
        f"bright level, and not saturated), {saturated:.0%} are saturated; look at exposure, mask, the order of "
        "light_directions.txt and the shadow fraction"
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


def _report(
    folder: Path,
    out: Path,
    settings: SolverSettings,
    weights: ColourWeights,
    refine: Refinement,
    photographs: Photographs,
    solved: SolvedPhotographs,
    errors: NDArray[np.float64] | None,
    partial: Path,
    products: Products,
) -> SolveReport:
    """All figures of the report; `partial` is the folder into which the maps have been written.

    The lights are judged by the first solution: what bounced light adds to a light's signal is no fault of its row.
    """
    result = solved.normal_map
    expected = products.uncertainty_deg[np.isfinite(products.uncertainty_deg)]
    mask, seen = photographs.mask, result.observable
    names, figures = photographs.lights.names, light_figures(photographs, solved.first, settings)
    table, surface = figures.consistency, surface_figures(photographs, settings, refine)
    whole = None
    if photographs.truth is not None:
        whole = angular_errors(angular_error_map(whole_normals(photographs, result), photographs.truth * mask))
    return SolveReport(
        folder=str(folder),
        out=str(out),
        method=settings.method,
        refine=refine,
        weights=weights,
        lights=photographs.lights.names,
        condition=photographs.condition,
        width_px=mask.shape[1],
        height_px=mask.shape[0],
        mask_pixels=int(mask.sum()),
        observable_share=float(seen[mask].mean()),
        saturated_share=float(result.saturated[mask].mean()),
        mean_lit_count=float(result.lit_count[mask].mean()),
        median_residual=float(np.median(result.residual[seen])) if seen.any() else 0.0,
        dark_fraction=settings.dark_fraction,
        shadow_fraction=settings.shadow_fraction,
        diffuse_pixels=surface.diffuse.pixels,
        diffuse_share=surface.diffuse.explained_share,
        concave_pixels=surface.concave.pixels,
        concave_share=surface.concave.share,
        concave_fill=surface.concave.fill,
        robust_against_masked=surface.robust,
        warnings=surface.warnings,
        albedo_full_scale=albedo_full_scale(result),
        residual_full_scale=residual_full_scale(result),
        relighting_residuals=_finite(figures.relighting),
        leave_one_out_residuals=_finite(figures.left_out),
        table_errors_deg=_finite(dict(zip(names, table.angles_deg.tolist(), strict=True))),
        table_limits_deg=_finite(dict(zip(names, table.limits_deg.tolist(), strict=True))),
        suspicious_lights=tuple(names[k] for k in table.doubted),
        light_doubts=tuple(doubt.text for doubt in table.doubts),
        table_not_judged=table.why_not,
        truth_whole_mask=whole,
        truth=None if errors is None else angular_errors(errors),
        uncertainty_level=solved.level,
        uncertainty_covers=COVERS[solved.level],
        uncertainty_median_deg=float(np.median(expected)) if expected.size else None,
        uncertainty_p95_deg=float(np.percentile(expected, 95)) if expected.size else None,
        bounced_share=solved.bounced_share,
        length_unit=products.unit,
        height_range=products.height_range,
        axes=AXES,
        files=tuple(sorted([p.name for p in partial.iterdir()] + [REPORT])),
    )


def _finite(values: dict[str, float]) -> dict[str, float | None]:
    """JSON knows no NaN."""
    return {name: value if np.isfinite(value) else None for name, value in values.items()}
