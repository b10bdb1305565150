"""What `station train` found and wrote, for the screen and for the record beside the recipe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from station.teach.disturbance_table import DisturbanceTable
from station.teach.prepare import Prepared

if TYPE_CHECKING:
    from models.train import TrainReport
    from station.teach.mislabelled import Suspect

PICTURES_ALONE = (
    "The model learned from pictures alone: no normals are judged, and a dent or scratch that leaves the colours as "
    "they are passes. The recipe says so (model.judges), and so does every result."
)


@dataclass(frozen=True, slots=True)
class TrainedRecipe:
    """The trainer's report, and the recipe that received the model, its hash and its limits."""

    report: TrainReport
    recipe: Path
    sha256: str
    seconds: dict[str, float]  # per step, in the order of the work
    prepared: Prepared | None = None  # of a collection
    table: DisturbanceTable | None = None
    suspects: tuple[Suspect, ...] = ()  # good parts that stand far out
    notes: tuple[str, ...] = ()  # what the data set's index says to people
    learned: str = ""  # SHA-256 of what the weights rest on; see station.teach.learned

    def as_dict(self) -> dict[str, object]:
        """The fields of `station train --json`, which also stand in the record beside the recipe."""
        r = self.report
        found: dict[str, object] = {
            "product": r.product,
            "color": r.color,
            "model": r.file,
            "bytes": r.bytes,
            "sha256": self.sha256,
            "learned": self.learned,
            "recipe": str(self.recipe),
            "n_train_parts": r.n_train_parts,
            "n_calibrate_parts": r.n_calibrate_parts,
            "steps": r.steps,
            "first_loss": r.first_loss,
            "last_loss": r.last_loss,
            "seconds": r.seconds,
            "seconds_by_step": self.seconds,
            "has_normals": r.has_normals,
            "notes": list(self.notes),
            "limits": r.limits,
            "risk": r.risk.as_dict(),
            "parity": {
                "map_difference": r.parity.map_difference,
                "score_difference": r.parity.score_difference,
                "label_flips": r.parity.label_flips,
            },
        }
        if self.prepared is not None:
            found["data"] = str(self.prepared.folder)
            found["doubted"], found["left_out"] = dict(self.prepared.doubted), dict(self.prepared.left_out)
        found["suspects"] = [suspect.as_dict() for suspect in self.suspects]
        if self.table is not None:
            found["disturbances"] = self.table.as_dict()
        return found

    def as_text(self) -> str:
        """For the screen: what was trained, limits with their promise, disturbances, time by step."""
        r = self.report
        lines = [
            *self.notes,
            *([] if r.has_normals else [PICTURES_ALONE]),
            f"{r.product} ({r.color}): {r.n_train_parts} good parts, {r.steps} steps in {r.seconds:.0f} s, "
            f"loss {r.first_loss:.4f} -> {r.last_loss:.4f}",
            f"limits from {r.n_calibrate_parts} held-out good parts:",
            r.risk.as_text(),
            f"torch against onnxruntime: map {r.parity.map_difference:.1e}, score {r.parity.score_difference:.1e}, "
            f"label flips {r.parity.label_flips}",
            *([] if self.prepared is None else doubts(self.prepared)),
            *map(str, self.suspects),
            *([] if self.table is None else [self.table.as_text()]),
            "time: " + ", ".join(f"{what} {seconds:.0f} s" for what, seconds in self.seconds.items()),
            f"model {r.file} ({r.bytes / 1e6:.2f} MB, SHA-256 {self.sha256[:12]}...); recipe {self.recipe} updated",
        ]
        return "\n".join(lines)


def doubts(prepared: Prepared) -> list[str]:
    """What the judge would not judge of the collection, with the first reason of each sort."""
    sorts = (
        (prepared.doubted, "the judge would refuse {} collected parts, which were learned from all the same"),
        (prepared.left_out, "{} parts or ordinary days were left out"),
    )
    return [
        f"{text.format(len(found))}; first {next(iter(found))}: {next(iter(found.values()))}"
        for found, text in sorts
        if found
    ]
