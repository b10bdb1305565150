"""Says in the words of the person who wrote a document what pydantic found wrong in it."""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from station.documents.errors import field_name

MAXIMUM_PROBLEMS = 12
UNITS = {
    "us": "microseconds", "ms": "milliseconds", "s": "seconds", "ns": "nanoseconds", "mm": "millimetres",
    "um": "micrometres", "deg": "degrees", "db": "decibels", "px": "pixels", "dn": "DN (grey levels)",
    "mm_per_s": "millimetres per second", "c": "degrees Celsius",
}  # fmt: skip
_QUANTITY = re.compile(r"\s*([-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?)\s*([^\s0-9][^\s]*)?\s*")
_NUMBER_ERRORS = {"float_type", "float_parsing", "int_type", "int_parsing", "int_from_float", "finite_number"}

Where = Callable[[Sequence[str | int]], str]


def explain(error: ValidationError, model: type[BaseModel], where: Where) -> Iterator[str]:
    """One line of plain words per problem that pydantic found: `where`, field, found, expected, and a hint if any.

    At most `MAXIMUM_PROBLEMS` lines, then a count. A missing field that was probably misspelt is left out,
    because the unknown key beside it already suggests the right name.
    """
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
    """Our own sentence for pydantic's `kind` of error; its message only for kinds that are rare in these files."""
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
    """The field that an unknown key was probably meant to be, which is then misspelt and not missing."""
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
    """People write `8 ms` or `'8'`; both get the cure, since a field's unit is in its name."""
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
    """The pattern filled with the unit that the field's name ends with; "" if it has none."""
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
    """A found value as its author wrote it, in YAML's words and not Python's; long ones are cut."""
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
    """The annotation one step down: of a model's field, or of a container's items; None where there is none."""
    model = _model_in(annotation)
    if isinstance(part, str) and model is not None:
        info = model.model_fields.get(part)
        return None if info is None else info.annotation
    arguments = [argument for argument in get_args(annotation) if argument is not Ellipsis]
    return arguments[-1] if arguments else None


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation is, or the first one in a union such as `Model | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in {Union, types.UnionType}:
        return next((model for argument in get_args(annotation) if (model := _model_in(argument))), None)
    return None
