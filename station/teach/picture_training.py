"""`station train --data FOLDER` where the folder comes from elsewhere, in any known layout: no recipe, no rig."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from station.errors import BadInput
from station.teach.layouts.bring import notes_of, prepared_set

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
    notes: tuple[str, ...] = ()  # what was left out, and what the model learns from

    def as_dict(self) -> dict[str, object]:
        """The fields of `station train --json`."""
        return {**asdict(self.report), "alignment": self.alignment, "data": str(self.data), "notes": list(self.notes)}

    def as_text(self) -> str:
        """For the screen."""
        r = self.report
        said = "\n".join([self.alignment, *self.notes])
        return (
            f"{said}\n"
            f"{r.product}: {r.n_train_parts} good parts, {r.steps} steps in {r.seconds:.0f} s\n"
            f"model {r.file} ({r.bytes / 1e6:.2f} MB)\n"
            f"next: station evaluate --data {self.data} --model {r.file}"
        )


def train_on_pictures(
    folder: Path, steps: int | None, preset_name: Preset, encoder: str | None, progress: Progress
) -> TrainedPictures:
    """Train on a set from elsewhere and write `NAME.onnx` into its data set (`<folder>-prepared`, or `folder` itself).

    `encoder` None is the default detector; a name of models.encoders.registry adds the branch of nearest neighbours on
    that encoder. Raises BadInput for what cannot be used.
    """
    if importlib.util.find_spec("torch") is None:
        raise BadInput("training needs torch, which is not installed: run pip install -e '.[train]'")
    from models.config import NeighbourConfig, preset
    from models.dataset import DatasetError, constant_normals, load_dataset
    from models.encoders.protocol import EncoderError
    from models.export import ParityError
    from models.train import find_alignment, train_product

    data = prepared_set(folder, progress)
    config = preset(preset_name)
    config = config if steps is None else replace(config, steps=steps)
    config = config if encoder is None else replace(config, neighbours=NeighbourConfig(encoder))
    try:
        dataset = load_dataset(data)
        notes = [*notes_of(data), *filter(None, [constant_normals(dataset)])]
        if not dataset.has_normals or constant_normals(dataset):
            notes.append("Without normals the model learns from the pictures alone.")
        found = find_alignment(dataset, config)
        report = train_product(data, data / f"{dataset.product}.onnx", config, progress)
    except (DatasetError, EncoderError, ParityError) as error:
        raise BadInput(str(error)) from error
    stated = f"The data set says that its parts are {dataset.alignment}."
    return TrainedPictures(report, stated if found is None else found.sentence, data, tuple(notes))
