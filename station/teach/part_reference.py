"""What a good part looks like in each view, and where it is: learned from good parts that lie here and there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.hand_eye.poses import arm_pose
from station.judge.part_place import PartTracker
from station.recipe.aimed_views import camera_on_arm
from station.recipe.loaded import LoadedRecipe
from station.recipe.part_reference_file import CELL_PX, PartReference, PartReferences, ViewCamera
from station.teach.archived_parts import NoReference
from station.teach.part_motion import (
    FEWEST_PLACED,
    Motion,
    aligned,
    common_motions,
    heights_together,
    left_over,
    mean_picture,
    most_common,
    on_cells,
    placed_parts,
    surface_heights,
)
from station.teach.part_region import part_region, what_moves

FEWEST_PARTS = 5
MOST_PARTS = 24  # more show nothing new, and each takes 40 MB while it is learned from
ROUNDS = 3
FIRST_HEIGHT_MM = 5.0  # before any is known
TIMES = (1.0, 1.5, 2.2, 3.2, 4.7)  # what turns are found too small by at first
OFF_CELLS = 0.5  # parts that were brought together may still be off by so much
NEAR_MM = 0.4  # parts that lie so near to the reference show it before heights are known
F32 = NDArray[np.float32]
Picture = tuple[F32, F32]  # rgb and normals, (3, H, W) each, on the model's grid


def part_references_of(loaded: LoadedRecipe, parts: Sequence[Mapping[str, Picture]]) -> PartReferences:
    """The references of these good parts: per part and view (rgb, normals) on the model's grid.

    Parts may lie up to 2 mm and 2 degrees from their seat; where most of them lie is the reference. Raises NoReference
    for too few parts, parts of several sizes, or a view in which nothing but the fixture is to be seen.
    """
    if len(parts) < FEWEST_PARTS:
        raise NoReference(f"{len(parts)} good parts given, at least {FEWEST_PARTS} are needed, best of several batches")
    used = list(parts[:: max(1, len(parts) // MOST_PARTS)][:MOST_PARTS])
    names = [viewpoint.name for viewpoint in loaded.recipe.viewpoints]
    grid = _grid(names, used)
    cameras = view_cameras(loaded, grid)
    first = _most_typical(names, used)
    views = {name: _first_guess(cameras[name], name, [part[name] for part in used], first) for name in names}
    pictures = {name: [part[name] for part in used] for name in names}
    motions: list[Motion] = []
    for first_round in (True, *[False] * (ROUNDS - 1)):
        found = common_motions({name: PartTracker(view) for name, view in views.items()}, used)
        middle = most_common(found)
        motions = [motion.after(middle.back()) for motion in found]
        if first_round:
            motions = _turned_enough(views, pictures, motions)
        heights = _heights(views, pictures, motions)
        views = {name: _mean(replace(views[name], heights_mm=heights[name]), pictures[name], motions) for name in names}
    views = {name: part_region(name, view, [part[name] for part in used], motions) for name, view in views.items()}
    return PartReferences(views, grid, len(used), loaded.sha256s["calibration"])


def view_cameras(loaded: LoadedRecipe, grid: tuple[int, int]) -> dict[str, ViewCamera]:
    """Per view the camera where the recipe sends it, in pixels of a grid (H, W) over the whole sensor."""
    calibration = loaded.calibration
    factor = calibration.image_width / grid[1]
    x, y = ((at + 0.5) / factor - 0.5 for at in (calibration.cx_px, calibration.cy_px))
    mount = camera_on_arm(calibration).mount
    return {
        view.name: ViewCamera(calibration.fx_px / factor, (x, y), arm_pose(view.as_pose().as_tuple()) @ mount)
        for view in loaded.recipe.viewpoints
    }


def _grid(names: Sequence[str], parts: Sequence[Mapping[str, Picture]]) -> tuple[int, int]:
    shapes = {picture.shape for part in parts for name in names for picture in part[name]}
    if len(shapes) != 1:
        raise NoReference(f"the parts' pictures have the sizes {sorted(shapes)}: give them all on the model's grid")
    _, height, width = shapes.pop()
    if height % CELL_PX or width % CELL_PX:
        raise NoReference(f"a grid of {width} x {height} pixels is no multiple of {CELL_PX}: choose another one")
    return height, width


def _most_typical(names: Sequence[str], parts: Sequence[Mapping[str, Picture]]) -> int:
    """The part that looks most like the others: it lies where most of them do."""
    small = np.stack([np.concatenate([_small(part[name]).ravel() for name in names]) for part in parts])
    apart = np.stack([np.abs(small - one).mean(axis=1) for one in small])
    return int(np.median(apart, axis=1).argmin())


def _small(picture: Picture) -> F32:
    grey = picture[0].mean(axis=0)
    size = (grey.shape[1] // 8, grey.shape[0] // 8)
    return np.asarray(np.sqrt(np.maximum(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), 0)), np.float32)


def _first_guess(camera: ViewCamera, name: str, pictures: Sequence[Picture], first: int) -> PartReference:
    """One part for a reference, with a flat surface; looked at wherever parts differ."""
    moves = what_moves(name, [on_cells(picture) for picture in pictures])
    colors, normals = _cells(pictures[first])
    height, width = pictures[first][0].shape[1:]
    region = cv2.resize(moves.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
    heights_mm = np.full(moves.shape, FIRST_HEIGHT_MM, np.float32)
    return PartReference(colors, normals, moves.astype(np.float32), heights_mm, np.asarray(region), camera)


def _cells(picture: Picture) -> Picture:
    """Means of cells; a cell without half of its normals has 0 0 0."""
    shape = (picture[0].shape[2] // CELL_PX, picture[0].shape[1] // CELL_PX)
    colors, normals = (
        np.stack([cv2.resize(plane, shape, interpolation=cv2.INTER_AREA) for plane in planes]) for planes in picture
    )
    share = cv2.resize((picture[1][2] != 0).astype(np.float32), shape, interpolation=cv2.INTER_AREA)
    length = np.sqrt((normals**2).sum(axis=0))
    usable = (share >= 0.5) & (length > 1e-6)
    return colors, np.where(usable, normals / np.maximum(length, 1e-6), 0).astype(np.float32)


def _heights(
    views: Mapping[str, PartReference], pictures: Mapping[str, Sequence[Picture]], motions: Sequence[Motion]
) -> dict[str, F32]:
    """(h, w) mm per view, from parts that lie elsewhere than the mean of those that lie at the reference."""
    found = {}
    for name, view in views.items():
        cells = [on_cells(picture) for picture in pictures[name]]
        wanted = _wanted(view, pictures[name], motions)
        found[name] = surface_heights(view.camera, cells, motions, wanted, view.weight)
    before = {name: view.heights_mm for name, view in views.items()}
    return heights_together({name: view.camera for name, view in views.items()}, found, before)


def _left(view: PartReference, pictures: Sequence[Picture], motions: Sequence[Motion]) -> float:
    cells = [on_cells(picture) for picture in pictures]
    return left_over(view.camera, cells, motions, _wanted(view, pictures, motions), view.weight)


def _wanted(view: PartReference, pictures: Sequence[Picture], motions: Sequence[Motion]) -> F32:
    """(4, h, w) features of the mean of the parts that lie at the reference."""
    near = [n for n, motion in enumerate(motions) if motion.size_mm < NEAR_MM] or list(range(len(motions)))
    there = aligned(view, [pictures[n] for n in near], [motions[n] for n in near])
    return on_cells(mean_picture(there))[0]


def _mean(view: PartReference, pictures: Sequence[Picture], motions: Sequence[Motion]) -> PartReference:
    """The mean of all parts, brought to one place, and what all have alike."""
    there = aligned(view, pictures, motions)
    colors, normals = _cells(mean_picture(there))
    alike = _alike(np.stack([on_cells(picture)[0] for picture in there]))
    return replace(view, colors=colors, normals=normals, weight=np.where(view.weight > 0, alike, 0).astype(np.float32))


def _turned_enough(
    views: Mapping[str, PartReference], pictures: Mapping[str, Sequence[Picture]], motions: Sequence[Motion]
) -> list[Motion]:
    """The motions with their turns times the one of TIMES that leaves the least.

    On flat views a round part hardly seems to turn: its outline stays, and at the wrong height it even resists.
    """
    if len(placed_parts(motions)) < FEWEST_PLACED:
        return list(motions)
    least, best = np.inf, list(motions)
    for times in TIMES:
        turned = [replace(motion, turn_deg=motion.turn_deg * times) for motion in motions]
        left = sum(_left(view, pictures[name], turned) for name, view in views.items())
        if left < least:
            least, best = left, turned
    return best


def _alike(features: F32) -> F32:
    """(h, w) 0..1 of (parts, 4, h, w): 1 where all good parts are the same, 0.5 where they spread by the unit."""
    brightness = features[:, 0] * (np.median(features[:, 0]) / np.median(features[:, 0], axis=(1, 2)))[:, None, None]
    spread = brightness.var(axis=0) + features[:, 1:].var(axis=0).mean(axis=0)
    middle = features.mean(axis=0)
    slopes = [
        cv2.Sobel(plane, cv2.CV_32F, *order, ksize=3, scale=1 / 8) for plane in middle for order in ((1, 0), (0, 1))
    ]
    steep = np.sum(np.square(slopes), axis=0)
    return np.asarray(1 / (1 + spread / (1 + (OFF_CELLS**2) * steep)), np.float32)
