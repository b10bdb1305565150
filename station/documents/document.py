"""YAML documents that people write: read strictly, validated by a model, every problem reported with its line.

Plain scalars mean what they look like (YAML 1.2 core schema, narrowed): `true`, `false`, `null`, decimal
integers and floats such as `1e-3` are typed; `on`, `yes`, `010`, `12:30` and dates stay text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from station.documents.atomic import write_atomic
from station.documents.errors import DocumentError
from station.documents.explain import explain
from station.documents.reader import FLOAT, FieldPath, Span, read_yaml

MAXIMUM_BYTES = 1_000_000

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Document:
    """A file's content as plain data (dict, list, str, int, float, bool, None) and the place of every value.

    `text` is the file as it was read, so that an editor can change one value and keep the author's comments.
    """

    path: Path
    text: str
    data: Any
    spans: dict[FieldPath, Span]

    def where(self, field_path: Sequence[str | int]) -> str:
        """`file:line:column` of a field, or of the nearest enclosing field that is in the file."""
        at = tuple(field_path)
        while at and at not in self.spans:
            at = at[:-1]
        span = self.spans.get(at)
        return str(self.path) if span is None else f"{self.path}:{span.line}:{span.column}"

    def validated(self, model: type[M]) -> M:
        """The data as `model`, strictly typed. Raises DocumentError with every problem found."""
        try:
            # pydantic's strict mode for what comes out of files is that of JSON: arrays are tuples, names are enums.
            return model.model_validate_json(json.dumps(self.data), strict=True)
        except ValidationError as error:
            raise DocumentError(self.path, tuple(explain(error, model, self.where))) from error


def read_document(path: Path) -> Document:
    """Read a YAML file of at most 1 MB.

    Raises DocumentError for a file that is missing, too large or not UTF-8, and for bad syntax, a duplicate key,
    a tag, or more nesting, anchors or values than `reader` allows.
    """
    return parse_document(path, _text_of(path))


def parse_document(path: Path, text: str) -> Document:
    """Like `read_document`, for text that is not yet in the file at `path`; errors name that path."""
    data, spans = read_yaml(path, text)
    return Document(path, text, data, spans)


def load_document(path: Path, model: type[M]) -> M:
    """Read a file and validate it as `model`. Raises DocumentError."""
    return read_document(path).validated(model)


def save_document(path: Path, model: BaseModel, header: str = "") -> None:
    """Write a model as YAML that `load_document` reads back equal; atomic. `header` becomes comment lines."""
    text = dump_document(model.model_dump(mode="json", exclude_none=True))
    comment = "".join(f"# {line}\n" for line in header.splitlines())
    write_atomic(path, (comment + text).encode("utf-8"))


def dump_document(data: Any) -> str:
    """Plain data as YAML text; strings that would read back as something else are quoted."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110)


def _text_of(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > MAXIMUM_BYTES:
            problem = f"{path}: the file has {size} bytes; at most {MAXIMUM_BYTES} are read: is this the right file?"
            raise DocumentError(path, (problem,))
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DocumentError(path, (f"{path}: cannot be read: {error.strerror or error}; check the path",)) from error
    except UnicodeDecodeError as error:
        problem = f"{path}: byte {error.start} is not UTF-8 text; save the file as UTF-8"
        raise DocumentError(path, (problem,)) from error


class _Dumper(yaml.SafeDumper):
    """Also quotes the text that our reader would take for a number, as PyYAML does for its own rules (YAML 1.1)."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    """Line separators and control characters are escaped: in other styles PyYAML would lose them."""
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"')


_Dumper.add_representer(str, _represent_text)
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(f"^(?:{FLOAT.pattern})$"), list("-+.0123456789"))
