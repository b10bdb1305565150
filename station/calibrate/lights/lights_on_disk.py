"""Writes measured lights as `station solve` reads them, beside the pictures of a part or into a folder of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from station.calibrate.lights.sphere_folder import SphereFolderError
from station.calibrate.lights.sphere_lights import LightsReport
from station.photometric_stereo.listing import DIRECTIONS, NAMES, STRENGTHS, PhotographsError, read_names


def write_lights(report: LightsReport, out: Path) -> tuple[Path, ...]:
    """light_directions.txt, of a matte sphere light_intensities.txt, and filenames.txt where `out` has none.

    Rows stand in the order of the sphere's pictures: those of the part must be listed in the same order. Nothing that
    is there is overwritten. Raises SphereFolderError for a light that was not measured, files that are there, and a
    folder that lists another number of pictures.
    """
    missing = [light.name for light in report.lights if light.direction is None]
    if missing:
        raise SphereFolderError(f"{out}: nothing written, since these lights were not measured: {', '.join(missing)}")
    texts = {DIRECTIONS: "".join(_row(light.direction or ()) for light in report.lights)}
    strengths = [light.strength for light in report.lights if light.strength is not None]
    if len(strengths) == len(report.lights):
        texts[STRENGTHS] = "".join(_row((strength,)) for strength in strengths)
    if (out / NAMES).exists():
        _check_count(out, len(report.lights))
    else:
        texts[NAMES] = "".join(f"{light.name}\n" for light in report.lights)
    for name in (DIRECTIONS, STRENGTHS):  # old strengths beside new directions would be worse than none
        if (out / name).exists():
            raise SphereFolderError(f"{out / name}: is there already; move it away, or choose another folder")
    out.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (out / name).write_text(text, encoding="utf-8")
    return tuple(out / name for name in texts)


def _row(figures: tuple[float, ...]) -> str:
    return " ".join(f"{figure:.6f}" for figure in np.asarray(figures).tolist()) + "\n"


def _check_count(out: Path, count: int) -> None:
    """Raises SphereFolderError unless `out` lists as many pictures as there are lights."""
    try:
        listed = len(read_names(out).names)
    except PhotographsError as error:
        raise SphereFolderError(str(error)) from error
    if listed != count:
        raise SphereFolderError(f"{out / NAMES}: {listed} pictures listed, but {count} lights were measured")
