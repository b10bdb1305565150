"""`station quantise`: a model file in int8, if it judges as before. The work is `models.quantise`."""

from __future__ import annotations

import importlib.util
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from station.errors import BadInput
from station.teach.training import show_progress

if TYPE_CHECKING:
    from models.quantise import Quantised


@dataclass(frozen=True, slots=True)
class QuantisedModel:
    """What was written, for people and for machines."""

    found: Quantised

    def as_dict(self) -> dict[str, object]:
        """The fields of `station quantise --json`."""
        return asdict(self.found)

    def as_text(self) -> str:
        """Sizes, and how far scores moved."""
        q = self.found
        return (
            f"{q.file}: {q.bytes / 1e6:.1f} MB instead of {q.bytes_before / 1e6:.1f}, SHA-256 {q.sha256}\n"
            f"{q.views} held-out and test views keep their verdicts; scores move by {q.mean_difference:.3%} of their "
            f"limits in the mean, {q.worst_difference:.3%} at most ({q.worst_view})\n"
            "Name it in the recipe with this hash, and set the limits again: its scores are not the first file's."
        )


def quantised(model: Path, data: Path, out: Path) -> QuantisedModel:
    """Write `model` in int8 to `out`, if the data set's held-out and test views keep their verdicts.

    Raises BadInput: onnx is not installed, a file is not there, or int8 would judge otherwise.
    """
    if importlib.util.find_spec("onnx") is None:
        raise BadInput("quantising needs onnx, which is not installed: run pip install -e '.[train]'")
    from models.dataset import DatasetError
    from models.quantise import QuantiseError, quantise

    if not model.is_file():
        raise BadInput(f"there is no file {model}: name a model that `station train` wrote")
    try:
        return QuantisedModel(quantise(model, data, out, show_progress))
    except (DatasetError, QuantiseError) as error:
        raise BadInput(str(error)) from error
