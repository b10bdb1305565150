"""What is wrong in a document, in the words of the person who wrote it."""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from station.errors import BadInput

MAXIMUM_PROBLEMS = 12
UNITS = {
    "us": "microseconds", "ms": "milliseconds", "s": "seconds", "ns": "nanoseconds", "mm": "millimetres",
    "um": "micrometres", "deg": "degrees", "db": "decibels", "px": "pixels", "dn": "DN (grey levels)",
    "mm_per_s": "millimetres per second", "c": "degrees Celsius",
}  # fmt: skip
_QUANTITY = re.compile(r"\s*([-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?)\s*([^\s0-9][^\s]*)?\s*")
_NUMBER_ERRORS = {"float_type", "float_parsing", "int_type", "int_parsing", "int_from_float", "finite_number"}


class DocumentError(BadInput):
    """A document cannot be used. One line per problem: file:line:column, field path, found, expected."""

    def __init__(self, path: Path, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.path = path
        self.problems = problems

    def __reduce__(self) -> tuple[type[DocumentError], tuple[Path, tuple[str, ...]]]:
        return type(self), (self.path, self.problems)


class FieldError(ValueError):
    """Raised by a model's own check: says which field under the model is meant, so that its line is found."""

    def __init__(self, field_path: Sequence[str | int], message: str) -> None:
        super().__init__(message)
        self.field_path = tuple(field_path)


def field_name(field_path: Sequence[str | int]) -> str:
    """`viewpoints[2].pose.x_mm`"""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in field_path)
    return text.removeprefix(".") or "(whole file)"


Where = Callable[[Sequence[str | int]], str]


def explain(error: ValidationError, model: type[BaseModel], where: Where) -> Iterator[str]:
    """One line of plain words per problem that pydantic found."""
    problems = error.errors(include_url=False)
    meant = {(*problem["loc"][:-1], _nearest_field(problem, model)) for problem in problems}
    problems = [problem for problem in problems if problem["type"] != "missing" or problem["loc"] not in meant]
    for problem in problems[:MAXIMUM_PROBLEMS]:
        at = tuple(problem["loc"])
        context = problem.get("ctx", {})
        cause = context.get("error")
        at += tuple(getattr(cause, "field_path", ()))
        text = str(cause) if isinstance(cause, ValueError) else _words(problem["type"], at, problem, context, model)
        yield f"{where(at)}: {field_name(at)}: {text}"
    if len(problems) > MAXIMUM_PROBLEMS:
        yield f"... and {len(problems) - MAXIMUM_PROBLEMS} more"


def _words(kind: str, at: tuple[str | int, ...], problem: Any, context: dict[str, Any], model: type[BaseModel]) -> str:
    found = problem["input"]
    if kind == "extra_forbidden":
        return _unknown_key(str(at[-1]), _fields_at(model, at[:-1]))
    if kind == "missing":
        return f"is missing{_unit_wanted(at, ' (a number in {})')}"
    if kind in _NUMBER_ERRORS:
        return _not_a_number(kind, at, found)
    if kind == "string_type":
        return f"expected text, found {_shown(found)}{_quote_it(found)}"
    if kind in {"literal_error", "enum"}:
        return _not_a_choice(found, str(context.get("expected", "")))
    if kind == "string_pattern_mismatch":
        return f"found {_shown(found)}, which does not match {context.get('pattern')}"
    message = str(problem["msg"]).removeprefix("Input should be ").removeprefix("Value error, ")
    return f"found {_shown(found)}; expected {message}{_unit_wanted(at, ' ({})')}"


def _nearest_field(problem: Any, model: type[BaseModel]) -> str | None:
    """What an unknown key was probably meant to be: that field is misspelt, not missing."""
    if problem["type"] != "extra_forbidden":
        return None
    return next(iter(_near(str(problem["loc"][-1]), _fields_at(model, problem["loc"][:-1]))), None)


def _near(word: str, words: Sequence[str]) -> list[str]:
    return difflib.get_close_matches(word, words, n=1, cutoff=0.5)


def _unknown_key(key: str, fields: Sequence[str]) -> str:
    near = _near(key, fields)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    allowed = f" (allowed here: {', '.join(fields)})" if fields else ""
    return f"unknown key {key!r}{hint}{allowed}"


def _not_a_number(kind: str, at: tuple[str | int, ...], found: Any) -> str:
    wanted = {"int": "a whole number", "fin": "a finite number"}.get(kind[:3], "a number")
    text = f"expected {wanted}{_unit_wanted(at, ' in {}')}, found {_shown(found)}"
    match = _QUANTITY.fullmatch(found) if isinstance(found, str) else None
    if match and match[2]:
        text += "; the unit is in the field's name, write the number alone" + _unit_wanted(at, ", in {}")
    elif match:
        text += "; write it without quotes and without leading zeros"
    return text


def _not_a_choice(found: Any, expected: str) -> str:
    choices = re.findall(r"'([^']*)'", expected)
    near = _near(str(found), choices)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"found {_shown(found)}; expected {expected}{hint}"


def _unit_wanted(at: tuple[str | int, ...], pattern: str) -> str:
    names = [part for part in at if isinstance(part, str)]
    if not names:
        return ""
    for suffix in sorted(UNITS, key=len, reverse=True):
        if names[-1].endswith(f"_{suffix}"):
            return pattern.format(UNITS[suffix])
    return ""


def _quote_it(found: Any) -> str:
    return f"; if it is a name, put it in quotes: '{found}'" if isinstance(found, int | float) else ""


def _shown(found: Any) -> str:
    if isinstance(found, dict):
        return "a mapping"
    if isinstance(found, list | tuple):
        return f"a list of {len(found)}"
    if isinstance(found, bool) or found is None:
        return {True: "true", False: "false", None: "nothing"}[found]
    text = repr(found)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _fields_at(model: Any, at: tuple[str | int, ...]) -> tuple[str, ...]:
    """Field names of the model that sits at `at` below `model`; empty if none does."""
    for part in at:
        model = _below(model, part)
    model = _model_in(model)
    return () if model is None else tuple(model.model_fields)


def _below(annotation: Any, part: str | int) -> Any:
    model = _model_in(annotation)
    if isinstance(part, str) and model is not None:
        info = model.model_fields.get(part)
        return None if info is None else info.annotation
    arguments = [argument for argument in get_args(annotation) if argument is not Ellipsis]
    return arguments[-1] if arguments else None


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in {Union, types.UnionType}:
        return next((model for argument in get_args(annotation) if (model := _model_in(argument))), None)
    return None
