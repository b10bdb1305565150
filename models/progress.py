"""How long work reports its progress: a callable that is given what is being done and the share done."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, float], None]  # what is being done, and its share done 0..1


def silent(_what: str, _share: float) -> None:
    """Reports to nobody."""
