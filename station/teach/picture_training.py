"""`station train --data FOLDER` where the folder holds pictures alone, in the layout of MVTec AD: no recipe, no rig."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from station.errors import BadInput
from station.teach.layouts.mvtec import dataset_from_layout, is_layout, layout_sha256

if TYPE_CHECKING:
    from models.config import Preset
    from models.train import TrainReport

Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class TrainedPictures:
    """The trainer's report, what it found about alignment, and the data set that it used."""

    report: TrainReport
    alignment: str  # the sentence
    data: Path

    def as_dict(self) -> dict[str, object]:
        """The fields of `station train --json`."""
        return {**asdict(self.report), "alignment": self.alignment, "data": str(self.data)}

    def as_text(self) -> str:
        """For the screen."""
        r = self.report
        return (
            f"{self.alignment}\n"
            f"{r.product}: {r.n_train_parts} good parts, {r.steps} steps in {r.seconds:.0f} s\n"
            f"model {r.file} ({r.bytes / 1e6:.2f} MB)\n"
            f"next: station evaluate --data {self.data} --model {r.file}"
        )


def prepared_pictures(folder: Path) -> Path:
    """The data set of a folder in that layout, NAME-prepared beside it; the folder itself where it has another layout.

    It is written where it is absent or was made of other files. Raises BadInput as `dataset_from_layout` does.
    """
    if not is_layout(folder):
        return folder
    folder = folder.resolve()
    out = folder.with_name(f"{folder.name}-prepared")
    index = out / "index.json"
    if index.is_file() and json.loads(index.read_text("utf-8")).get("layout_sha256") == layout_sha256(folder):
        return out
    return dataset_from_layout(folder, out)


def train_on_pictures(
    folder: Path, steps: int | None, preset_name: Preset, encoder: str | None, progress: Progress
) -> TrainedPictures:
    """Train on pictures alone and write `<folder>-prepared/NAME.onnx`.

    `encoder` None is the default detector; a name of models.encoders.registry adds the branch of nearest neighbours on
    that encoder. Raises BadInput for what cannot be used, and ParityError.
    """
    if importlib.util.find_spec("torch") is None:
        raise BadInput("training needs torch, which is not installed: run pip install -e '.[train]'")
    from models.config import NeighbourConfig, preset
    from models.dataset import DatasetError, load_dataset
    from models.encoders.protocol import EncoderError
    from models.train import find_alignment, train_product

    data = prepared_pictures(folder)
    config = preset(preset_name)
    config = config if steps is None else replace(config, steps=steps)
    config = config if encoder is None else replace(config, neighbours=NeighbourConfig(encoder))
    try:
        dataset = load_dataset(data)
        found = find_alignment(dataset, config)
        report = train_product(data, data / f"{dataset.product}.onnx", config, progress)
    except (DatasetError, EncoderError) as error:
        raise BadInput(str(error)) from error
    stated = f"The data set says that its parts are {dataset.alignment}."
    return TrainedPictures(report, stated if found is None else found.sentence, data)
