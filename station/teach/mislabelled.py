"""Warnings of parts that were likely collected as good and are not, each with its heat map as a picture."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.dataset import Dataset, Item, load_dataset, read_rgb
from models.limits import GoodScores
from models.model_file import ModelFile
from models.standing_out import StandsOut, standing_out
from station.documents.atomic import write_atomic
from station.report.heat_map import colour_map, over_ground
from station.report.limit_outline import draw_outline

MOST_SHOWN = 20  # pictures; the rest are named


@dataclass(frozen=True, slots=True)
class Suspect:
    """What stands out, and its heat map; None beyond MOST_SHOWN."""

    found: StandsOut
    picture: Path | None

    def as_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        values = {name: getattr(self.found, name) for name in StandsOut.__slots__}
        return {**values, "picture": None if self.picture is None else str(self.picture)}

    def __str__(self) -> str:
        shown = "" if self.picture is None else f"; see {self.picture}"
        return f"WARNING: good part {self.found} - is it good?{shown}"


def suspects(
    data: Path, model: Path, scores: GoodScores, limits: Mapping[str, float], recipe: Path
) -> tuple[Suspect, ...]:
    """The held-out good parts that stand far out, their heat maps written into `RECIPE.suspects` beside the recipe.

    `data` is the data set and `model` the file that was trained on it. A score is of a calibration that had not seen
    its part; the file's has seen all, so its map is the milder one. Raises DatasetError, OSError.
    """
    folder = recipe.with_name(f"{recipe.stem}.suspects")
    if folder.exists():
        shutil.rmtree(folder)  # of an earlier training
    found = standing_out(scores.parts, scores.worst())
    if not found:
        return ()
    dataset = load_dataset(data)
    judge = ModelFile(model, dataset, limits)
    listed = []
    for number, one in enumerate(found):
        picture = None
        if number < MOST_SHOWN:
            picture = folder / f"{one.part}_{one.view}.png"
            _draw(picture, dataset, judge, _items(dataset, one), limits[one.view])
        listed.append(Suspect(one, picture))
    return tuple(listed)


def _items(dataset: Dataset, one: StandsOut) -> list[Item]:
    """The view of that part under each of its variants."""
    items = dataset.of("calibrate", "good")
    return [item for item in items if (item.part, item.view) == (one.part, one.view)]


def _draw(path: Path, dataset: Dataset, judge: ModelFile, items: Sequence[Item], limit: float) -> None:
    """The variant with the highest score: its picture under its map, the limit as a line."""
    judged = [(*judge.judge(item), item) for item in items]
    _, scores, item = max(judged, key=lambda entry: entry[0])
    rgb = read_rgb(item.rgb, judge.config)
    ground = np.round(255 * np.sqrt(np.clip(rgb, 0, 1))).astype(np.uint8).transpose(1, 2, 0)
    ground = np.ascontiguousarray(np.broadcast_to(ground, (*dataset.input_size, 3)))
    drawn: NDArray[np.uint8] = np.ascontiguousarray(over_ground(colour_map(scores, limit), ground))
    draw_outline(drawn, scores, limit)
    ok, encoded = cv2.imencode(".png", drawn[:, :, ::-1])
    if not ok:
        raise OSError(f"{path}: the heat map of {drawn.shape} could not be encoded")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, encoded.tobytes())
