"""YAML text to plain data with the place of every value; only what a configuration needs is let in.

Tags, non-text keys, duplicate keys and further documents are refused, and nesting, anchors and expanded values
are bounded, so that neither a slip nor a hostile file does more than fail with its line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from station.documents.errors import DocumentError, field_name

MAXIMUM_DEPTH = 32
MAXIMUM_ANCHORS = 100
MAXIMUM_VALUES = 50_000  # after expansion of aliases: a small file must not unfold into a large one
MAXIMUM_NUMBER_LENGTH = 64

INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
FLOAT = re.compile(r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_WORDS: dict[str, float | bool | None] = {
    "": None, "~": None, "null": None, "true": True, "false": False,
    ".nan": float("nan"), ".inf": float("inf"), "-.inf": float("-inf"),
}  # fmt: skip

FieldPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """Where a field stands: 1-based line and column of its key, and its value as the slice `start:end`."""

    line: int
    column: int
    start: int
    end: int


def read_yaml(path: Path, text: str) -> tuple[Any, dict[FieldPath, Span]]:
    """The data of the one document in `text`, and the span of every field, keyed by its path from the root.

    Raises DocumentError with `path`, line and column.
    """
    builder = _Builder(path, iter(yaml.parse(text, Loader=yaml.SafeLoader)))
    try:
        return builder.document(), builder.spans
    except yaml.YAMLError as error:
        raise _syntax_error(path, error) from error


def plain_scalar(text: str) -> Any:
    """The value of an unquoted word; text unless it is one of the words or numbers of the narrowed core schema."""
    if text in _WORDS:
        return _WORDS[text]
    if len(text) <= MAXIMUM_NUMBER_LENGTH:
        if INTEGER.fullmatch(text):
            return int(text)
        if FLOAT.fullmatch(text):
            return float(text)
    return text


def _syntax_error(path: Path, error: yaml.YAMLError) -> DocumentError:
    mark = getattr(error, "problem_mark", None)
    place = str(path) if mark is None else f"{path}:{mark.line + 1}:{mark.column + 1}"
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    hint = "; indent with spaces, not tabs" if "\\t" in problem else ""
    return DocumentError(path, (f"{place}: not valid YAML: {problem}{hint}",))


@dataclass(slots=True)
class _Anchored:
    """A value marked `&name`, and the fields in it."""

    data: Any
    fields: tuple[FieldPath, ...]  # relative to the anchored value


@dataclass(slots=True)
class _Builder:
    """Builds data from PyYAML's parser events and counts the values; an alias counts as all that it stands for.

    Counting before building keeps a file with nested aliases (the "billion laughs") from filling memory.
    """

    path: Path
    events: Iterator[Any]  # yaml.Event: the stubs leave most of its attributes out
    spans: dict[FieldPath, Span] = field(default_factory=dict)
    anchors: dict[str, _Anchored] = field(default_factory=dict)
    values: int = 0

    def document(self) -> Any:
        """The whole document's data; afterwards `spans` is complete. May raise yaml.YAMLError for bad syntax."""
        next(self.events)  # stream start
        if isinstance(next(self.events), yaml.StreamEndEvent):
            raise DocumentError(self.path, (f"{self.path}: the file is empty; it must hold one YAML document",))
        data = self._value(next(self.events), ())
        next(self.events)  # document end
        following = next(self.events)
        if not isinstance(following, yaml.StreamEndEvent):
            raise self._error(following, (), "a second document begins here ('---'); one file holds one document")
        return data

    def _value(self, event: Any, at: FieldPath) -> Any:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, at)
        self._count(event, at, 1)
        if event.tag is not None:
            raise self._error(event, at, f"tag {event.tag!r} is not allowed; write the plain value")
        if isinstance(event, yaml.ScalarEvent):
            data, end = plain_scalar(event.value) if event.implicit[0] else event.value, _end(event)
        elif isinstance(event, yaml.MappingStartEvent):
            data, end = self._mapping(event, at)
        else:
            data, end = self._sequence(event, at)
        self.spans[at] = _span(event, event.start_mark.index, end)
        if event.anchor is not None:
            self._remember(event, at, data)
        return data

    def _mapping(self, event: Any, at: FieldPath) -> tuple[dict[str, Any], int]:
        data: dict[str, Any] = {}
        end = _end(event)
        while not isinstance(key := next(self.events), yaml.MappingEndEvent):
            if not isinstance(key, yaml.ScalarEvent) or key.tag is not None:
                raise self._error(key, at, "a key must be plain text, such as `name: value`")
            inner = (*at, key.value)
            if key.value in data:
                first = self.spans[inner].line
                raise self._error(
                    key, inner, f"the key {key.value!r} stands here again (first on line {first}); keep one"
                )
            data[key.value] = self._value(next(self.events), inner)
            value = self.spans[inner]
            self.spans[inner] = _span(key, value.start, value.end)
            end = value.end
        return data, _end(key) if event.flow_style else end

    def _sequence(self, event: Any, at: FieldPath) -> tuple[list[Any], int]:
        data: list[Any] = []
        end = _end(event)
        while not isinstance(item := next(self.events), yaml.SequenceEndEvent):
            inner = (*at, len(data))
            data.append(self._value(item, inner))
            end = self.spans[inner].end
        return data, _end(item) if event.flow_style else end

    def _remember(self, event: Any, at: FieldPath, data: Any) -> None:
        """Keep an anchored value with the paths inside it, for aliases later in the file."""
        if len(self.anchors) >= MAXIMUM_ANCHORS:
            raise self._error(event, at, f"more than {MAXIMUM_ANCHORS} anchors (&name); write the values out")
        inner = tuple(key[len(at) :] for key in self.spans if key[: len(at)] == at)
        self.anchors[event.anchor] = _Anchored(data, inner)

    def _alias(self, event: Any, at: FieldPath) -> Any:
        """The value marked before; errors in it point to where the alias stands, not to the anchor."""
        anchored = self.anchors.get(event.anchor)
        if anchored is None:
            raise self._error(
                event, at, f"no value before this is marked &{event.anchor}; quote the text if no alias is meant"
            )
        self._count(event, at, len(anchored.fields))
        here = _span(event, event.start_mark.index, _end(event))
        self.spans.update({at + inner: here for inner in anchored.fields})
        return anchored.data

    def _count(self, event: Any, at: FieldPath, added: int) -> None:
        self.values += added
        if self.values > MAXIMUM_VALUES:
            raise self._error(
                event, (), f"more than {MAXIMUM_VALUES} values once aliases (*name) are expanded; use fewer"
            )
        if len(at) > MAXIMUM_DEPTH:
            raise self._error(
                event, (), f"nested deeper than {MAXIMUM_DEPTH} levels, which no document of the station is"
            )

    def _error(self, event: Any, at: FieldPath, problem: str) -> DocumentError:
        place = f"{self.path}:{event.start_mark.line + 1}:{event.start_mark.column + 1}"
        name = f"{field_name(at)}: " if at else ""
        return DocumentError(self.path, (f"{place}: {name}{problem}",))


def _span(event: Any, start: int, end: int) -> Span:
    return Span(event.start_mark.line + 1, event.start_mark.column + 1, start, end)


def _end(event: Any) -> int:
    return int(event.end_mark.index)
