"""The state of a run that is not finished, on disk beside the model that it will become."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.depth_views import DepthDataError
from models.generative.depth_model import FILE_FORMAT, read_torch, write_torch


@dataclass(slots=True)
class TrainingState:
    """Where a run stands."""

    fingerprint: dict[str, str]  # of data and settings
    step: int = 0  # the next one
    stage: int = 0  # of `content`
    seconds: float = 0.0
    losses: dict[str, float] = field(default_factory=dict)
    content: dict[str, Any] = field(default_factory=dict)  # networks and optimisers

    def save(self, out: Path, content: dict[str, Any]) -> None:
        """Write the state with these networks; a cut while writing leaves the state before."""
        record = {
            "format": FILE_FORMAT,
            "fingerprint": self.fingerprint,
            "step": self.step,
            "stage": self.stage,
            "seconds": self.seconds,
            "losses": self.losses,
            "content": content,
        }
        write_torch(state_file(out), record)


def state_file(out: Path) -> Path:
    """Where the state of the run that makes `out` lies."""
    return out.with_name(f".{out.name}.training")


def read_state(out: Path, fingerprint: dict[str, str]) -> TrainingState:
    """Raises DepthDataError for a state of other data or settings, or one that cannot be read."""
    path = state_file(out)
    raw = read_torch(path)
    try:
        record = {name: raw[name] for name in ("fingerprint", "step", "stage", "seconds", "losses", "content")}
    except KeyError as error:
        raise DepthDataError(f"{path}: no state of a training ({error} is missing): train without resuming") from None
    for name, found in record["fingerprint"].items():
        if found != fingerprint[name]:
            what = "on other data" if name == "data" else "with other settings"
            raise DepthDataError(f"{path}: this training was begun {what}: use the same, or train without resuming")
    return TrainingState(**record)


def clear_state(out: Path) -> None:
    """The run is finished."""
    state_file(out).unlink(missing_ok=True)
