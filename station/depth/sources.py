"""What `station depth` takes: a folder of photographs, an archived inspection, or a folder of views with depth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.depth_views import INDEX, DepthDataError, DepthView, read_index
from station.archive import Archive
from station.depth.measured import depth_view
from station.depth.simulated import perspective_of
from station.errors import BadInput
from station.inspection.result import ViewResult
from station.judge.model_grid import block_mean, block_normals
from station.judge.rejudge import recipe_of
from station.photometric_stereo.blocks import dark_fraction, solve_photographs
from station.photometric_stereo.normal_map import NormalMap
from station.photometric_stereo.photographs import read_photographs
from station.photometric_stereo.settings import SolverSettings
from station.photometric_stereo.uncertainty import usual_noise
from station.recipe.loaded import LoadedRecipe

PHOTOGRAPHS = "filenames.txt"
MOST_PIXELS = 3_000_000  # of a view: 20 megapixels would take gigabytes, and show no more


@dataclass(frozen=True, slots=True)
class NamedView:
    """A view, the name of its files, and whether its lengths are mm or, without a pixel's size, pixels."""

    name: str
    view: DepthView
    unit: str = "mm"


def views_of(source: str, archive: Path | None, mm_per_px: float | None, split: str = "test") -> Iterator[NamedView]:
    """The views of a source: a folder, or with `archive` the id of an inspection.

    Raises BadInput where the source is none of the three, ArchiveError and PhotographsError for what is wrong inside.
    """
    if archive is not None:
        yield from _of_inspection(archive, source)
        return
    folder = Path(source)
    if (folder / INDEX).is_file():
        yield from _of_data(folder, split)
    elif (folder / PHOTOGRAPHS).is_file():
        yield _of_photographs(folder, mm_per_px)
    else:
        raise BadInput(
            f"{source}: holds neither {PHOTOGRAPHS} (photographs) nor {INDEX} (views with depth); an archived "
            "inspection needs --archive FOLDER and its id"
        )


def _of_data(folder: Path, split: str) -> Iterator[NamedView]:
    try:
        index = read_index(folder)
        for item in index.of(split):
            yield NamedView(Path(item.file).stem, index.read(item))
    except DepthDataError as error:
        raise BadInput(str(error)) from error


def _of_photographs(folder: Path, mm_per_px: float | None) -> NamedView:
    """Solved as `station solve` does by default; the picture is the mean of all photographs."""
    if mm_per_px is not None and not 0 < mm_per_px < np.inf:
        raise BadInput(f"--mm-per-px {mm_per_px}: give the size of a pixel on the part in mm")
    photographs = read_photographs(folder)
    settings = SolverSettings(dark_fraction=dark_fraction(photographs))
    count = photographs.pictures.count
    height, width = photographs.mask.shape
    frames = [photographs.pictures.frame(k, 0, height) for k in range(count)]
    mean = np.mean([frame.pixels.astype(np.float32) / frame.full_scale_dn for frame in frames], axis=0)
    solved = solve_photographs(photographs, settings, usual_noise(frames[0])).normal_map
    picture = np.broadcast_to((mean * photographs.mask).astype(np.float32), (3, height, width))
    view = depth_view(picture, solved, count, 1.0 if mm_per_px is None else mm_per_px, None)
    return NamedView(folder.resolve().name, view, "px" if mm_per_px is None else "mm")


def _of_inspection(folder: Path, inspection_id: str) -> Iterator[NamedView]:
    with Archive.open(folder, read_only=True) as archive:
        inspection = archive.load(inspection_id)
        loaded = recipe_of(archive, inspection)
        found = [_archived(view, loaded) for view in inspection.views]
    if not any(found):
        raise BadInput(f"inspection {inspection_id} keeps no normals of any view: choose one that was captured whole")
    yield from (view for view in found if view is not None)


def _archived(result: ViewResult, loaded: LoadedRecipe) -> NamedView | None:
    if result.normal_map is None:
        return None
    found, image = _reduced(result.normal_map.unpacked(), result.image)
    shape = found.observable.shape
    binning = loaded.calibration.image_width // shape[1]
    heights = {view.name: view.plane_height_mm for view in loaded.recipe.viewpoints}
    height_mm = heights.get(result.view, 0.0)
    distance = loaded.calibration.working_distance_mm
    pixel_mm = loaded.calibration.mm_per_px(binning) * (1.0 - height_mm / distance)
    view = depth_view(
        image, found, len(loaded.recipe.directional_lights), pixel_mm, None,
        perspective_of(loaded.calibration, binning, height_mm),
    )  # fmt: skip
    return NamedView(result.view, view)


def _reduced(found: NormalMap, image: NDArray[np.float32] | None) -> tuple[NormalMap, NDArray[np.float32]]:
    """Means of whole blocks, where a view has more than MOST_PIXELS; a black picture where none was kept."""
    height, width = found.observable.shape
    picture = np.zeros((3, height, width), np.float32) if image is None else image
    factor = next(
        (n for n in range(1, 17) if not height % n and not width % n and height * width <= MOST_PIXELS * n * n), 1
    )
    if factor == 1:
        return found, picture
    size = (width // factor, height // factor)
    normals = block_normals(found.normals, factor)
    albedo, residual, lit = (
        np.asarray(cv2.resize(plane.astype(np.float32), size, interpolation=cv2.INTER_AREA), np.float32)
        for plane in (found.albedo, found.residual, found.lit_count)
    )
    observable, saturated = normals[2] != 0, np.zeros((size[1], size[0]), np.bool_)
    smaller = NormalMap(normals, albedo, np.round(lit).astype(np.uint8), residual, observable, saturated)
    return smaller, block_mean(picture, factor)
