"""What a fit has reached, on the disk: a run that was killed goes on from there and gives the same weights.

Weights, optimiser, schedule and both random generators are kept, so that a resumed fit draws what an uninterrupted
one would have drawn. A state of other data, settings or version of torch is not taken.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

log = logging.getLogger(__name__)

EVERY = 50  # steps between two states: some 20 s of work


class Checkpoint:
    """A file beside the model that is to be; `of` says what the fit is of."""

    def __init__(self, model_file: Path, of: Mapping[str, Any]) -> None:
        self.file = model_file.with_name(f".{model_file.name}.fit")
        self._of = hashlib.sha256(json.dumps([of, torch.__version__], sort_keys=True).encode()).hexdigest()

    def load(self) -> dict[str, Any] | None:
        """The state as it was saved last; None where there is none, or it is of another fit."""
        try:
            found: dict[str, Any] = torch.load(self.file, weights_only=True)
            return found if found.get("of") == self._of else None
        except FileNotFoundError:
            return None
        except Exception as error:  # torch raises many kinds for a damaged file
            log.warning("%s: is not read (%s); the fit begins anew", self.file, error)
            return None

    def save(self, state: Mapping[str, Any]) -> None:
        """Replace the file in one step, once the disk has the new one."""
        content = io.BytesIO()
        torch.save({**state, "of": self._of}, content)
        self.file.parent.mkdir(parents=True, exist_ok=True)
        partial = self.file.with_name(f"{self.file.name}.part")
        with open(partial, "wb") as file:
            file.write(content.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, self.file)

    def remove(self) -> None:
        """The model is written; nothing is left to go on with."""
        self.file.unlink(missing_ok=True)
