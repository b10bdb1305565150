"""Parts with several separate defects whose sizes range from invisible to obvious: what a POD study inspects.

Rendering a part is what costs, so one part carries several defects, far enough from each other to be judged apart.
Beside a view's frames lies `VIEW_labels.png`, 8 bits: n where the defect with label n is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from drivers.geometry.pose import Pose
from drivers.simulated.scene import Scene, make_part, random_defect
from drivers.simulated.scene.defects import Defect
from station.collection.folder import PARTS, CollectedPart, Collection, CollectionError
from station.recipe.loaded import LoadedRecipe
from station.teach.fit_for_recipe import about_of
from station.teach.photographer import BINNING, FORMAT, SCENE_SEED, Photographer

FIRST_SEED = 8000  # training uses seeds from 1000, limits from 3000, tests from 7000
SPLIT = "test"
COARSE = 2 * BINNING  # candidates are looked at on a coarser grid, for a quarter of the time
APART_PX = 40  # of the model's grid, between two defects of one part in every view
TRIES = 12
KINDS = ("scratch", "dent", "pit", "stain", "side_scratch")
Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Measure:
    """What is varied of a kind, and between which values; the rest is as at inspection size."""

    name: str  # of the number that a POD curve is drawn against
    unit: str
    low: float
    high: float


MEASURES: dict[str, Measure] = {
    "scratch": Measure("depth", "um", 3, 200),
    "side_scratch": Measure("depth", "um", 3, 200),
    "dent": Measure("depth", "um", 5, 300),
    "pit": Measure("width", "um", 250, 1600),  # its depth in proportion, as pits of inspection size have it
    "stain": Measure("contrast", "%", 1, 50),
}
PIT_DEPTH_UM_PER_MM = 130.0


@dataclass(frozen=True, slots=True)
class SizedDefect:
    """One defect of a part: its label in the pictures, and the measure against which it counts."""

    label: int
    kind: str
    value: float
    defect: Defect


def sized_defect(product: str, kind: str, seed: int) -> tuple[float, Defect]:
    """A defect whose measure is log-uniform over its range: the measure and the defect. All follows from the seed.

    Raises ValueError for a kind that has no measure.
    """
    if kind not in MEASURES:
        raise ValueError(f"defect kind {kind!r} has no measure; there are {', '.join(MEASURES)}")
    measure = MEASURES[kind]
    rng = np.random.default_rng([seed, 90, KINDS.index(kind)])
    value = round(float(np.exp(rng.uniform(np.log(measure.low), np.log(measure.high)))), 3)
    drawn = random_defect(product, kind, seed)
    if kind == "pit":
        width_mm = value / 1000.0
        return value, replace(drawn, size_mm=width_mm, depth_um=PIT_DEPTH_UM_PER_MM * width_mm)
    if kind == "stain":
        return value, replace(drawn, strength=value / 100.0)
    return value, replace(drawn, depth_um=value)


def kinds_of_part(number: int) -> tuple[str, ...]:
    """One defect of each kind and a second one of a kind in turn."""
    return (*KINDS, KINDS[number % len(KINDS)])


def collect_sized(
    loaded: LoadedRecipe, folder: Path, parts: int, progress: Progress, threads: int = 2, first_seed: int = FIRST_SEED
) -> Collection:
    """Take those of `parts` parts that the collection does not hold yet; the same seeds give the same frames.

    Raises CollectionError where the folder holds a collection that was taken otherwise.
    """
    photographer = Photographer(loaded, "rgb", threads)
    collection = Collection.create(folder, about_of(loaded, FORMAT["rgb"], is_simulated=True))
    for n in range(parts):
        seed = first_seed + n
        if not collection.holds(_name(seed)):
            _take(photographer, collection, loaded.recipe.product, seed, kinds_of_part(n), threads)
        progress(_name(seed), (n + 1) / parts)
    return collection


def separate_defects(
    product: str, seed: int, kinds: Sequence[str], poses: Mapping[str, Pose], threads: int = 1
) -> list[tuple[SizedDefect, dict[str, NDArray[np.bool_]]]]:
    """Defects that some view sees and that lie apart in every view, with their masks (h, w) on the coarse grid.

    A kind for which there is no room after `TRIES` tries is left out. Measures are drawn before places, so that room
    does not decide which sizes there are; only what no view sees is drawn anew.
    """
    found: list[tuple[SizedDefect, dict[str, NDArray[np.bool_]]]] = []
    for number, kind in enumerate(kinds):
        value, first = sized_defect(product, kind, seed * 1000 + number * 100)
        for attempt in range(TRIES):
            defect = replace(first, seed=first.seed + attempt, face=_face(product, kind, first, attempt))
            masks = _coarse_masks(product, seed, defect, poses, threads)
            if masks is not None and not _touches(masks, [other for _, other in found]):
                found.append((SizedDefect(len(found) + 1, kind, value, defect), masks))
                break
    return found


def read_sized(collection: Collection, part: CollectedPart) -> list[SizedDefect]:
    """The defects of a part; CollectionError for a part that was not taken for such a study."""
    try:
        return [SizedDefect(d["label"], d["kind"], d["value"], Defect(**d["defect"])) for d in part.facts["sized"]]
    except (KeyError, TypeError, ValueError) as error:
        path = collection.folder / PARTS / part.name
        raise CollectionError(
            f"{path}: lists no sized defects ({error!r}); take parts with `benchmarks/pod.py`"
        ) from error


def read_labels(collection: Collection, part: CollectedPart, view: str) -> NDArray[np.uint8]:
    """(H, W) on the model's grid: n where the defect with label n is seen, 0 elsewhere."""
    path = collection.folder / PARTS / part.name / f"{view}_labels.png"
    labels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if labels is None or labels.dtype != np.uint8 or labels.ndim != 2:
        raise CollectionError(f"{path}: is missing, or no grey picture of 8 bits; take the part anew")
    return np.asarray(labels, np.uint8)


def _name(seed: int) -> str:
    return f"sized-{seed}"


def _face(product: str, kind: str, first: Defect, attempt: int) -> str | None:
    """The first try keeps its face, the others draw one."""
    return first.face if attempt == 0 else random_defect(product, kind, first.seed + attempt).face


def _coarse_masks(
    product: str, seed: int, defect: Defect, poses: Mapping[str, Pose], threads: int
) -> dict[str, NDArray[np.bool_]] | None:
    """View -> where this defect alone is seen; None where no view sees it, or it finds no room on its face."""
    try:
        scene = Scene(make_part(product, seed, (defect,)), seed=SCENE_SEED, threads=threads)
        masks = {view: scene.truth(pose, COARSE).defect_mask for view, pose in poses.items()}
    except ValueError:  # no room on that face
        return None
    return masks if any(mask.any() for mask in masks.values()) else None


def _touches(masks: Mapping[str, NDArray[np.bool_]], others: Sequence[Mapping[str, NDArray[np.bool_]]]) -> bool:
    """Whether it comes nearer than `APART_PX` to another one in any view."""
    reach = APART_PX * BINNING // COARSE
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    for view, mask in masks.items():
        if mask.any():
            near = cv2.dilate(mask.astype(np.uint8), around) > 0
            if any((near & other[view]).any() for other in others):
                return True
    return False


def _labelled(
    mask: NDArray[np.bool_], found: Sequence[tuple[SizedDefect, Mapping[str, NDArray[np.bool_]]]], view: str
) -> NDArray[np.uint8]:
    """The whole mask (H, W) of a view, each pixel with the label of the nearest defect: they lie far apart."""
    nearest = np.full(mask.shape, np.inf, np.float32)
    labels = np.zeros(mask.shape, np.uint8)
    for sized, masks in found:
        if masks[view].any():
            large = cv2.resize(masks[view].astype(np.uint8), mask.shape[::-1], interpolation=cv2.INTER_NEAREST)
            away = cv2.distanceTransform(1 - large, cv2.DIST_L2, 3)
            labels[mask & (away < nearest)] = sized.label
            nearest = np.minimum(nearest, away)
    return labels


def _take(
    photographer: Photographer, collection: Collection, product: str, seed: int, kinds: Sequence[str], threads: int
) -> None:
    """Labels are written first: the record, which makes a part count, comes last."""
    found = separate_defects(product, seed, kinds, photographer.poses(seed), threads)
    part = make_part(product, seed, tuple(sized.defect for sized, _ in found))
    folder = collection.folder / PARTS / _name(seed)
    folder.mkdir(parents=True, exist_ok=True)
    frames, masks = {}, {}
    for view, of_view, mask in photographer.photographed(part, seed):
        frames[view], masks[view] = of_view, mask
        path = folder / f"{view}_labels.png"
        if not cv2.imwrite(str(path), _labelled(mask, found, view)):
            raise CollectionError(f"{path}: could not be written; is the disk full?")
    facts = {"seed": seed, "off": None, "sized": [asdict(sized) for sized, _ in found]}
    collection.add(_name(seed), "+".join(sorted({s.kind for s, _ in found})), SPLIT, frames, masks, facts)
