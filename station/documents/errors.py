"""The two errors of documents: one that readers of a file raise, one for a model's own checks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from station.errors import BadInput


class DocumentError(BadInput):
    """A document cannot be used; `problems` has one line each: file:line:column, field path, found, expected."""

    def __init__(self, path: Path, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.path = path
        self.problems = problems

    def __reduce__(self) -> tuple[type[DocumentError], tuple[Path, tuple[str, ...]]]:
        return type(self), (self.path, self.problems)


class FieldError(ValueError):
    """Raised by a pydantic model's own check; `field_path` leads from that model to the field, and so to its line.

    An ordinary ValueError would be reported at the model's first line.
    """

    def __init__(self, field_path: Sequence[str | int], message: str) -> None:
        super().__init__(message)
        self.field_path = tuple(field_path)


def field_name(field_path: Sequence[str | int]) -> str:
    """A field's path as text, such as `viewpoints[2].pose.x_mm`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in field_path)
    return text.removeprefix(".") or "(whole file)"
