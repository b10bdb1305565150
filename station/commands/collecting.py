"""The parts of `station collect`, one after the other: asked for, loaded by seed, or out of an archive."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from drivers.errors import CommandRefused
from drivers.simulated.control import RigControl
from station.collection.folder import CollectionError, check_part_name
from station.commands.demo.truth import true_defect_mask
from station.commands.rig import LOAD_TIMEOUT_S, RequestRefused, defect_of
from station.commands.say import printable, progress
from station.errors import BadInput
from station.inspection.reasons import reason_lines
from station.product.collecting import Collector, Known, Taken, check_kind, collecting, recipe_to_collect
from station.product.from_archive import add_archived, archived_name
from station.product.places import Mask, PlaceError, places_of
from station.product.ready_rig import ready_rig
from station.product.splits import GOOD, counts_text
from station.recipe.loaded import LoadedRecipe
from station.rig.file import RigFile, load_rig
from station.rig.products import product_for_rig
from station.teach.simulated_collection import somewhere

QUIT = "quit"


@dataclass(frozen=True, slots=True)
class Asked:
    """What was typed; see `station.commands.collect`."""

    recipe: Path
    collection: Path
    rig: Path | None
    from_archive: Path | None
    inspection_ids: tuple[str, ...]
    part_id: str | None
    kind: str | None
    where: tuple[str, ...]
    split: str | None
    by: str | None
    note: str
    count: int | None
    load: str | None
    seed: int
    defects: tuple[str, ...]
    spread_mm: float
    again: bool


@dataclass(slots=True)
class CollectReport:
    """What came of it; `refused` holds the lines of the reasons per part."""

    collection: Path
    added: list[Taken] = field(default_factory=list)
    held: list[str] = field(default_factory=list)  # parts that were there before, and were not taken again
    refused: dict[str, tuple[str, ...]] = field(default_factory=dict)
    holds: str = ""

    def as_dict(self) -> dict[str, object]:
        """The fields of `station collect --json`."""
        return {
            "collection": str(self.collection),
            "added": [{"part": t.name, "kind": t.kind, "split": t.split} for t in self.added],
            "held_before": self.held,
            "refused": {name: list(lines) for name, lines in self.refused.items()},
            "holds": self.holds,
        }

    def as_text(self) -> str:
        """One line, and how many were there already or were refused."""
        there = f", {len(self.held)} were there already" if self.held else ""
        refused = f", {len(self.refused)} refused" if self.refused else ""
        return f"{self.collection}: {len(self.added)} parts added{there}{refused}; it holds {self.holds}"


def collect_parts(asked: Asked) -> CollectReport:
    """Take what was asked for. Each part is whole on the disk before the next one begins, so that nothing is lost.

    Raises BadInput for what is wrong with arguments and files before a device is opened; DeviceError, StationFault.
    """
    loaded = recipe_to_collect(asked.recipe)
    known = _known(asked, [v.name for v in loaded.recipe.viewpoints])
    if asked.part_id is not None:
        check_part_name(asked.part_id)
    report = CollectReport(asked.collection)
    if asked.from_archive is not None:
        with collecting(asked.collection, loaded, is_simulated=loaded.calibration.is_simulated) as collector:
            _from_archive(asked, loaded, collector, known, report)
            report.holds = counts_text(collector.parts.values())
        return report
    assert asked.rig is not None
    file = load_rig(asked.rig)
    if asked.load is not None and not file.simulated:
        raise BadInput(f"{asked.rig}: is a real rig, and --load is for simulated ones: leave it out")
    with collecting(asked.collection, loaded, is_simulated=file.simulated) as collector:
        if asked.part_id is not None and not asked.again and collector.collection.holds(asked.part_id):
            raise CollectionError(
                f"{asked.collection} holds {asked.part_id} already: give another --part-id, or --again to take it anew"
            )
        _from_rig(asked, file, loaded, collector, known, report)
        report.holds = counts_text(collector.parts.values())
    return report


def _known(asked: Asked, views: list[str]) -> Known:
    """Raises BadInput for a kind that is none, or a place of a good part."""
    kind = check_kind(asked.kind or (defect_of(asked.defects[0], 0)[0] if asked.defects else GOOD))
    places = places_of(asked.where, views)
    if places and kind == GOOD:
        raise PlaceError("--where says where a defect lies: name its --kind, a good part has none")
    return Known(kind, asked.split, asked.by or _user(), asked.note, places)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a system that does not know its user
        return "unknown"


def _from_archive(
    asked: Asked, loaded: LoadedRecipe, collector: Collector, known: Known, report: CollectReport
) -> None:
    assert asked.from_archive is not None
    names = {inspection_id: archived_name(inspection_id) for inspection_id in asked.inspection_ids}
    report.held += [name for name in names.values() if not asked.again and collector.collection.holds(name)]
    wanted = [inspection_id for inspection_id, name in names.items() if name not in report.held]
    is_stated = asked.kind is not None
    for taken in add_archived(collector, loaded, asked.from_archive, wanted, known, is_stated=is_stated):
        _tell(report, taken, loaded, len(wanted))


def _from_rig(
    asked: Asked, file: RigFile, loaded: LoadedRecipe, collector: Collector, known: Known, report: CollectReport
) -> None:
    """The devices are opened only if there is a part to take."""
    assert asked.rig is not None
    control = RigControl(asked.rig.parent, LOAD_TIMEOUT_S) if file.simulated else None
    seeds = _seeds(asked, collector, report) if asked.load is not None else {}
    if asked.load is not None and not seeds:
        return
    with ready_rig(asked.rig, file, loaded, "station collect") as rig:
        names = iter(seeds) if asked.load is not None else _names(asked, collector, report)
        for name in names:
            if name in seeds and control is not None:
                _load(control, str(asked.load), seeds[name], asked.defects, asked.spread_mm)
            masks = partial(_true_masks, control, loaded) if asked.load is not None and asked.defects else None
            taken = collector.take(rig, name, known, masks)
            _tell(report, taken, loaded, len(seeds) or asked.count)
            if taken.reasons and asked.load is not None:
                return  # what spoiled it would spoil the next one too
            if asked.part_id is None and (hint := collector.hint(asked.recipe)):
                progress(hint)


def _seeds(asked: Asked, collector: Collector, report: CollectReport) -> dict[str, int]:
    """Name and seed of each part that is to be loaded, but for those that an earlier run took."""
    stem = Path(str(asked.load)).stem
    kinds = "-".join(defect_of(text, 0)[0] for text in asked.defects)
    found = {}
    for seed in range(asked.seed, asked.seed + (asked.count or 1)):
        name = check_part_name(f"{stem}-{kinds}-{seed}" if kinds else f"{stem}-{seed}")
        if collector.collection.holds(name) and not asked.again:
            report.held.append(name)
        else:
            found[name] = seed
    return found


def _load(control: RigControl, product: str, seed: int, defects: tuple[str, ...], spread_mm: float) -> None:
    """As `station rig load`, up to `spread_mm` and as many degrees off the seat. Raises RequestRefused for what the rig
    does not know."""
    try:
        made = tuple(defect_of(text, seed) for text in defects)
        off = somewhere(seed, spread_mm)
        away = {} if off is None else {"x_mm": off.x_mm, "y_mm": off.y_mm, "turn_deg": off.rotation_deg}
        control.load(product_for_rig(product), seed, made, **away)
    except CommandRefused as refused:
        raise RequestRefused(f"--load {product}: {refused.message}") from refused


def _true_masks(control: RigControl | None, loaded: LoadedRecipe) -> dict[str, Mask]:
    """Where the simulated defect lies in each view, as the Scene knows it."""
    if control is None:
        return {}
    return {v.name: true_defect_mask(v.name, control, loaded) for v in loaded.recipe.viewpoints}


def _names(asked: Asked, collector: Collector, report: CollectReport) -> Iterator[str]:
    """The name of each part, once it lies in the fixture: the one that was typed, or one line a part from a person."""
    if asked.part_id is not None:
        yield asked.part_id
        return
    while asked.count is None or len(report.added) < asked.count:
        default = collector.next_name()
        progress(f"put the next part into the fixture; its id (empty: {default}; `{QUIT}` ends), then Enter:")
        line = sys.stdin.readline()
        typed = line.strip()
        if not line or typed == QUIT:
            return
        name = typed or default
        try:
            check_part_name(name)
        except CollectionError as error:
            progress(printable(f"! {error}"))
            continue
        if collector.collection.holds(name) and not asked.again:
            progress(f"! {name} is there already; give another id, or call with --again to take it anew")
            continue
        yield name


def _tell(report: CollectReport, taken: Taken, loaded: LoadedRecipe, of: int | None) -> None:
    """At once, on stderr: what was refused and why, or what was added."""
    if taken.reasons:
        lines = reason_lines(taken.reasons, len(loaded.recipe.viewpoints))
        report.refused[taken.name] = lines
        progress(printable("\n".join([f"{taken.name}: REFUSED, nothing was added", *(f"  {line}" for line in lines)])))
        return
    report.refused.pop(taken.name, None)  # refused before, and taken again
    report.added.append(taken)
    count = f"{len(report.added)} of {of}" if of else str(len(report.added))
    progress(printable(f"{taken.name}: added, {taken.kind} to {taken.split} ({count})"))
