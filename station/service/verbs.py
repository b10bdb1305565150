"""The verbs that a client may ask of the engine. A new verb is one line of the table.

`method` is the engine's own (`station.console.inspection_engine`); the arguments are its parameters by name. A test
compares the table with the methods. A window's client needs a method of that name too (`ServiceClient`); `station ctl`
and the protocol need no more than the line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from station.errors import BadInput


class VerbRefused(BadInput):
    """There is no such verb, or its arguments are not those of the table; the text lists what there is."""


@dataclass(frozen=True, slots=True)
class Argument:
    """A parameter of the method: a text, or one of `choices` where there are any."""

    name: str
    help: str
    choices: tuple[str, ...] = ()
    is_optional: bool = False


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb: its name in the protocol and at the command line, and the engine's method."""

    name: str
    method: str
    help: str
    arguments: tuple[Argument, ...] = ()
    fixed: Mapping[str, object] = field(default_factory=dict)  # what the method is always given beside them

    def usage(self) -> str:
        """The verb with its arguments, as `station ctl` takes them."""
        words = [f"[{a.name.upper()}]" if a.is_optional else a.name.upper() for a in self.arguments]
        return " ".join([self.name, *words])


TABLE = (
    Verb("start", "start_single_job", "Inspect the part in the fixture.", (Argument("part_id", "The part's id."),)),
    Verb("pause", "pause", "Stand still after this view, with the lights off, until somebody resumes."),
    Verb("pause-now", "pause", "Stand still at the next step; resumed, the view is taken again.", fixed={"now": True}),
    Verb("resume", "resume", "Go on with the paused part."),
    Verb("retake-view", "retake_view", "Take the present view again, whole."),
    Verb("skip-to-verdict", "skip_to_verdict", "End the part here; UNDECIDED unless a view FAILs."),
    Verb("stop", "stop", "End the running part at the next view; it is UNDECIDED."),
    Verb("abort", "abort", "Hold the arm and switch the lights off now; then homing is due."),
    Verb("reset", "reset", "Open the devices, home the arm and prepare the recipe: THE ARM MOVES."),
)
VERBS: Mapping[str, Verb] = {verb.name: verb for verb in TABLE}


def verb_named(name: object) -> Verb:
    """Raises VerbRefused with the list of verbs."""
    if not isinstance(name, str) or name not in VERBS:
        raise VerbRefused(f"there is no verb {str(name)[:40]!r}; there are {', '.join(VERBS)}")
    return VERBS[name]


def checked_arguments(verb: Verb, given: object) -> dict[str, Any]:
    """The arguments as the method takes them. Raises VerbRefused, naming the argument and what it may be."""
    if not isinstance(given, dict):
        raise VerbRefused(f"{verb.name}: `arguments` must be an object; its usage is: {verb.usage()}")
    known = {argument.name: argument for argument in verb.arguments}
    for name in given:
        if name not in known:
            raise VerbRefused(f"{verb.name}: has no argument {str(name)[:40]!r}; its usage is: {verb.usage()}")
    for name, argument in known.items():
        if name not in given and not argument.is_optional:
            raise VerbRefused(f"{verb.name}: the argument {name!r} is missing; its usage is: {verb.usage()}")
        if name in given:
            _check(verb, argument, given[name])
    return dict(given)


def _check(verb: Verb, argument: Argument, value: object) -> None:
    if not isinstance(value, str):
        raise VerbRefused(f"{verb.name}: {argument.name!r} must be a text")
    if argument.choices and value not in argument.choices:
        choices = ", ".join(argument.choices)
        raise VerbRefused(f"{verb.name}: {argument.name!r} is {value[:40]!r}, and may be {choices}")
