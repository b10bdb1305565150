"""A collection becomes a data set: raw frames, disturbed where asked, solved and shown as the judge would.

```
preparation.json               what it was prepared with; another preparation into this folder is refused
solved/PART/VIEW.npy           pictures of the parts from which the references are made; removed afterwards
part_reference.npz             where the part is, and how it lies; the recipe's own where a person set regions in it
regions/VIEW.png               the part's region, not 0 = part
entries/SPLIT_PART_VARIANT.json  what is written of one part under one disturbance; written last of its files
SPLIT/KIND/rgb|normal|mask/…   the pictures, black outside the region
index.json                     models/dataset.py reads it; written last of all
```

A second run goes on where the first one ended; a part that was taken again since then, and every part once the
references have changed, is prepared anew. Only one part is in memory at a time, and while the references are made
the pictures of at most 24, which lie on the disk.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from station.collection.folder import CollectedPart, Collection, CollectionError
from station.documents.atomic import write_atomic
from station.photometric_stereo.packing import pack_normals
from station.recipe.loaded import LoadedRecipe
from station.recipe.part_reference_file import PartReferences, part_references_bytes, read_part_references
from station.teach.dataset import write_png
from station.teach.disturbances import Disturbance, nothing, ordinary_day, seed_of
from station.teach.edited_regions import edited_reference_file
from station.teach.fit_for_recipe import FEWEST_GOOD, as_taken, check_collection, check_parts, grid_of
from station.teach.part_reference import MOST_PARTS, part_references_of
from station.teach.prepared_index import Written, bound_to, is_of, write_index
from station.teach.prepared_view import Picture, PreparedView, ViewPreparer

VERSION = 2  # of what is written: a data set of another one is made anew
PREPARATION, ENTRIES, SOLVED, REFERENCE = "preparation.json", "entries", "solved", "part_reference.npz"
Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Prepared:
    """The data set that was written, and what the judge, as the recipe is now, would not judge, with the reason.

    A part as it was taken is learned from all the same, without correction of its lamps: whoever collected it vouches
    for it. What lies too far off, or is refused under a disturbance, is left out.
    """

    folder: Path
    references: PartReferences
    reference_file: Path
    doubted: Mapping[str, str]  # part and variant -> reason
    left_out: Mapping[str, str]


def prepare(loaded: LoadedRecipe, collection: Collection, out: Path, progress: Progress, seed: int = 0) -> Prepared:
    """Write the data set into `out`. Good train and calibrate parts come plain and under one ordinary day each.

    Raises CollectionError: the collection does not fit the recipe, or `out` was prepared otherwise; NoReference where
    the parts show no part.
    """
    check_collection(loaded, collection)
    parts = [part for part in collection.parts() if part.split == "test" or part.kind == "good"]
    check_parts(loaded, collection, parts)
    shape = _shape(collection, parts[0], loaded.recipe.viewpoints[0].name)
    _check_masks(collection, parts, shape)
    loaded = as_taken(loaded, shape)
    grid = grid_of(shape)
    _claim(out, loaded, grid, seed)
    work = _Work(loaded, collection, out, shape, grid, seed)
    references, file = work.references([p for p in parts if (p.split, p.kind) == ("train", "good")], progress)
    work.write(parts, progress)
    written = work.finish(parts, file)
    for split in ("train", "calibrate"):
        count = len({i["part"] for i in written.items if (i["split"], i["kind"]) == (split, "good")})
        if count < FEWEST_GOOD:
            first = next(iter(written.left_out.items()), ("none", "none"))
            raise CollectionError(
                f"{collection.folder}: only {count} good parts to {split} would be judged, {FEWEST_GOOD} are needed; "
                f"{len(written.left_out)} were left out, as {first[0]}: {first[1]}"
            )
    return Prepared(out, references, file, written.doubted, written.left_out)


def _claim(out: Path, loaded: LoadedRecipe, grid: tuple[int, int], seed: int) -> None:
    """Note in the folder what it is prepared with. Raises CollectionError if it holds something else."""
    recipe = loaded.recipe
    wanted = {
        "version": VERSION, "grid": list(grid), "seed": seed, "product": recipe.product,
        "calibration": loaded.sha256s["calibration"], "flat_field": loaded.sha256s.get("flat_field"),
        "view_reference": recipe.view_reference and recipe.view_reference.sha256,
        "views": {v.name: v.plane_height_mm for v in recipe.viewpoints},
        "lights": [light.model_dump(mode="json") for light in recipe.lights],
        "photometric_stereo": recipe.photometric_stereo.model_dump(mode="json"),
    }  # fmt: skip
    path = out / PREPARATION
    if path.exists():
        there = json.loads(path.read_bytes())
        different = [name for name in wanted if there.get(name) != wanted[name]]
        if different:
            raise CollectionError(
                f"{path}: was prepared with another {different[0]}: remove the folder, or name another collection"
            )
        return
    if out.exists() and any(out.iterdir()):
        raise CollectionError(f"{out}: holds something else: remove it, or move it away")
    out.mkdir(parents=True, exist_ok=True)
    write_atomic(path, json.dumps(wanted, indent=1).encode())


def _shape(collection: Collection, part: CollectedPart, view: str) -> tuple[int, int]:
    height, width = next(iter(collection.frames(part, view).values())).pixels.shape[:2]
    return height, width


def _check_masks(collection: Collection, parts: Sequence[CollectedPart], shape: tuple[int, int]) -> None:
    """Raises CollectionError for a mask of another size than the frames, before anything is solved."""
    for part in parts:
        for view in part.masks:
            collection.mask(part, view, shape)


def _mask_on_grid(mask: NDArray[np.bool_], grid: tuple[int, int]) -> NDArray[np.bool_]:
    """A mask of the frames' size on the model's grid (H, W): a defect thinner than a block stays."""
    height, width = grid
    blocks = mask.reshape(height, mask.shape[0] // height, width, mask.shape[1] // width)
    return np.asarray(blocks.any(axis=(1, 3)))


def _read(file: Path) -> PartReferences:
    return read_part_references(file, hashlib.sha256(file.read_bytes()).hexdigest())


class _Work:
    """One run over a collection."""

    def __init__(
        self, loaded: LoadedRecipe, collection: Collection, out: Path, shape: tuple[int, int], grid: tuple[int, int],
        seed: int,
    ) -> None:  # fmt: skip
        self._loaded, self._collection, self._out, self._seed = loaded, collection, out, seed
        self._shape, self._grid = shape, grid
        self._preparer = ViewPreparer(loaded, shape, grid)
        self._views = [v.name for v in loaded.recipe.viewpoints]
        self._regions: dict[str, NDArray[np.bool_]] = {}
        self._reference_sha256 = ""

    def references(self, train: Sequence[CollectedPart], progress: Progress) -> tuple[PartReferences, Path]:
        """The part references, from the file if an earlier run made it; the preparer uses them from now on.

        Where a person has set regions in the recipe's references, these count, and nothing is found anew.
        """
        file = self._out / REFERENCE
        edited = edited_reference_file(self._loaded, self._grid)
        there = None if not file.exists() else _read(file)
        if edited is not None:
            write_atomic(file, edited.read_bytes())
        elif there is None or there.edited:
            found = self._new_references(train, progress)
            write_atomic(file, part_references_bytes(found))
            shutil.rmtree(self._out / SOLVED)
        found = _read(file)  # as the station will
        self._reference_sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        self._preparer.use(found)
        self._regions = {name: view.region for name, view in found.views.items()}
        return found, file

    def _new_references(self, train: Sequence[CollectedPart], progress: Progress) -> PartReferences:
        """From parts spread over the whole collection."""
        chosen = train[:: max(1, len(train) // MOST_PARTS)][:MOST_PARTS]
        parts = []
        for n, part in enumerate(chosen):
            parts.append(self._solved_part(part))
            progress("references, solving", (n + 1) / (len(chosen) + 1))
        found = part_references_of(self._loaded, parts)
        progress("references", 1.0)
        return found

    def _solved_part(self, part: CollectedPart) -> dict[str, Picture]:
        """The part's pictures, which stay on the disk."""
        folder = self._out / SOLVED / f"{part.name}-{part.fingerprint[:12]}"
        folder.mkdir(parents=True, exist_ok=True)
        found: dict[str, Picture] = {}
        for view in self._views:
            path = folder / f"{view}.npy"
            if not path.exists():
                picture = self._preparer.on_grid(view, self._collection.frames(part, view))
                partial = folder / f".{view}.part.npy"
                np.save(partial, np.stack(picture))
                partial.rename(path)
            stack = np.asarray(np.load(path, mmap_mode="r"))
            found[view] = (stack[0], stack[1])
        return found

    def write(self, parts: Sequence[CollectedPart], progress: Progress) -> None:
        """Every part under each of its disturbances, but for those that an earlier run wrote.

        Pictures are encoded in another thread while the next view is solved.
        """
        with ThreadPoolExecutor(1, thread_name_prefix="dataset-writer") as writer:
            for n, part in enumerate(parts):
                missing = [d for d in self._disturbances(part) if not is_of(self._entry(part, d), self._bound(part))]
                if missing:
                    self._write_part(part, missing, writer)
                progress(f"preparing, {part.split} {part.name}", (n + 1) / len(parts))

    def finish(self, parts: Sequence[CollectedPart], reference: Path) -> Written:
        """Write regions and index from what lies there of every part."""
        for view, region in self._regions.items():
            write_png(self._out / "regions" / f"{view}.png", (region * np.uint8(255))[None])
        written = Written()
        for part in parts:
            for disturbance in self._disturbances(part):
                record = json.loads(self._entry(part, disturbance).read_bytes())
                written.add(part, disturbance.name, record)
        write_index(self._out, self._loaded, self._collection.about, written, reference, self._grid, self._seed)
        return written

    def _disturbances(self, part: CollectedPart) -> Iterator[Disturbance]:
        yield nothing()
        if part.split != "test":
            recipe = self._loaded.recipe
            lights = [light.name for light in recipe.lights]
            directional = [light.name for light in recipe.directional_lights]
            yield ordinary_day(seed_of(self._seed, part.name), lights, directional)

    def _entry(self, part: CollectedPart, disturbance: Disturbance) -> Path:
        return self._out / ENTRIES / f"{part.split}_{part.name}_{disturbance.name}.json"

    def _bound(self, part: CollectedPart) -> str:
        return bound_to(part, self._reference_sha256)

    def _write_part(self, part: CollectedPart, missing: list[Disturbance], writer: ThreadPoolExecutor) -> None:
        """All views under each of these disturbances; frames are read once."""
        pending: dict[str, list[Future[dict[str, Any]]]] = {d.name: [] for d in missing}
        levels: dict[str, dict[str, Mapping[str, float]]] = {d.name: {} for d in missing}
        why: dict[str, str] = {}
        out: set[str] = set()
        for view in self._views:
            frames = self._collection.frames(part, view)
            for disturbance in missing:
                name = disturbance.name
                if name not in out:
                    with self._preparer.prepared(part.name, view, frames, disturbance) as found:
                        if found.reasons:
                            why.setdefault(name, str(found.reasons[0].of_view(view)))
                        if found.is_misplaced or (found.reasons and name != "plain"):
                            out.add(name)
                            continue
                        levels[name][view] = found.levels
                        pictures = self._pictures(part, view, found)
                    pending[name].append(writer.submit(self._write_view, part, view, name, pictures))
        for disturbance in missing:
            written = [future.result() for future in pending[disturbance.name]]
            name = disturbance.name
            items = [] if name in out else written
            record = {"items": items, "levels": levels[name], "reason": why.get(name, ""), "of": self._bound(part)}
            self._entry(part, disturbance).parent.mkdir(exist_ok=True)
            write_atomic(self._entry(part, disturbance), json.dumps(record).encode())

    def _pictures(self, part: CollectedPart, view: str, found: PreparedView) -> dict[str, NDArray[Any]]:
        """Packed for PNG, nothing outside the region; no mask without a defect."""
        region = self._regions[view] if found.shown.region is None else found.shown.region > 0
        pictures: dict[str, NDArray[Any]] = {
            "rgb": (np.clip(np.round(found.shown.rgb * 65535), 0, 65535) * region).astype(np.uint16),
            "normal": pack_normals(found.shown.normals * region),
        }
        if view in part.masks:
            mask = _mask_on_grid(self._collection.mask(part, view, self._shape), self._grid)
            pictures["mask"] = self._preparer.mask_shown(view, mask, found) * np.uint8(255)
        return pictures

    def _write_view(
        self, part: CollectedPart, view: str, variant: str, pictures: Mapping[str, NDArray[Any]]
    ) -> dict[str, Any]:
        name = f"{part.name}_{view}.png" if variant == "plain" else f"{part.name}_{variant}_{view}.png"
        entry: dict[str, Any] = {
            "part": part.name, "view": view, "split": part.split, "kind": part.kind, "variant": variant, "mask": None,
        }  # fmt: skip
        for what, planes in pictures.items():
            if what == "mask" and not planes.any():
                continue
            path = Path(part.split) / part.kind / what / name
            entry[what] = path.as_posix()
            entry[f"{what}_sha256"] = write_png(self._out / path, planes if planes.ndim == 3 else planes[None])
        return entry
