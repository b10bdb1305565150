"""`torchrun ... station train`: the first process does what one does alone, and the others share the fit with it."""

from __future__ import annotations

import os


def is_first() -> bool:
    """Whether this process reads, prepares and writes; also where there is no other."""
    return int(os.environ.get("RANK", "0")) == 0


def help_along() -> None:
    """What the others do: wait for the first one's data, take their share of the fit, and end."""
    from models.train import help_to_train

    help_to_train()
