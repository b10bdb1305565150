"""The index of a prepared data set, gathered from what was written of each part."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from station.collection.folder import About, CollectedPart
from station.documents.atomic import write_atomic
from station.recipe.loaded import LoadedRecipe
from station.teach.dataset import Levels, made_under

PLAIN = "plain"


@dataclass(slots=True)
class Written:
    """The items; what the judge would refuse, learned from or left out, with the reason; levels of train parts."""

    items: list[dict[str, Any]] = field(default_factory=list)
    doubted: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    levels: Levels = field(default_factory=dict)
    _shown: set[str] = field(default_factory=set)  # parts with plain views

    def add(self, part: CollectedPart, variant: str, record: Mapping[str, Any]) -> None:
        """One part under one disturbance, plain first: a part without its plain views is none to the trainer."""
        name, items, reason = f"{part.name} ({variant})", record["items"], record["reason"]
        if variant != PLAIN and part.name not in self._shown:
            self.left_out[name] = "so were its frames as they were taken"
            return
        self.items += items
        if reason:
            (self.doubted if items else self.left_out)[name] = reason
        if variant == PLAIN and items:
            self._shown.add(part.name)
            if part.split == "train":
                self._add_levels(record["levels"])

    def _add_levels(self, levels: Mapping[str, Mapping[str, float]]) -> None:
        for view, of_view in levels.items():
            for light, level in of_view.items():
                self.levels.setdefault(view, {}).setdefault(light, []).append(level)


def bound_to(part: CollectedPart, reference_sha256: str) -> str:
    """From what a part was prepared: its frames as they were taken, and the references to which it was brought."""
    return hashlib.sha256(f"{part.fingerprint} {reference_sha256}".encode()).hexdigest()


def is_of(entry: Path, bound: str) -> bool:
    """Whether the file tells of a part as it was taken last, under these references; a missing file tells of none."""
    return entry.exists() and json.loads(entry.read_bytes()).get("of") == bound


def write_index(
    out: Path, loaded: LoadedRecipe, about: About, written: Written, reference: Path, grid: tuple[int, int], seed: int
) -> None:
    """Write `index.json`; `reference` is the file of the part references, `grid` (H, W) the size of all pictures."""
    views = [viewpoint.name for viewpoint in loaded.recipe.viewpoints]
    index = {
        "format_version": 1,
        "product": about.product,
        "views": views,
        "input_size": list(grid),
        "color": "rgb" if loaded.recipe.capture.is_color else "mono",
        "seed": seed,
        "is_simulated": about.is_simulated,
        "alignment": "placed",
        "regions": {view: f"regions/{view}.png" for view in views},
        "part_reference": {"file": reference.name, "sha256": hashlib.sha256(reference.read_bytes()).hexdigest()},
        "doubted": written.doubted,
        "left_out": written.left_out,
        **made_under(loaded, written.levels),
        "items": sorted(written.items, key=lambda e: (e["split"], e["part"], e["variant"], e["view"])),
    }
    write_atomic(out / "index.json", json.dumps(index, indent=1).encode())
