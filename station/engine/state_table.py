"""What every verb does in every state: the engine asks this table, docs/states.md is drawn from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from station.engine.events import State


class Verb(StrEnum):
    """The engine's verbs, by the names of its methods."""

    INITIALIZE = "initialize"
    PREPARE_RECIPE = "prepare_recipe"
    START = "start_single_job"
    PAUSE = "pause"
    RESUME = "resume"
    RETAKE_VIEW = "retake_view"
    SKIP_TO_VERDICT = "skip_to_verdict"
    STOP = "stop"
    ABORT = "abort"
    HALT = "halt"
    RESET = "reset"


class Kind(StrEnum):
    """Whether a verb is obeyed."""

    ACTS = "acts"
    NOTHING = "nothing"  # it is obeyed already, or there is nothing to do: no error, no event
    REFUSED = "refused"  # NotNow, and nothing has changed


@dataclass(frozen=True, slots=True)
class Effect:
    """What a verb does in one state. `to`: the states that it may lead to directly; empty where it changes none."""

    kind: Kind
    text: str
    to: tuple[State, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One arrow of the diagram: from one state to another, and by what."""

    before: State
    after: State
    by: str


def _acts(text: str, *to: State) -> Effect:
    return Effect(Kind.ACTS, text, to)


def _nothing(text: str) -> Effect:
    return Effect(Kind.NOTHING, text)


def _refused(text: str) -> Effect:
    return Effect(Kind.REFUSED, text)


HINTS = {  # with which a verb is refused that has no reason of its own
    State.PREOPERATIONAL: "initialize first",
    State.INITIALIZED: "prepare a recipe first",
    State.READY: "already initialized",
    State.SINGLE_EXECUTION: "a part is being inspected: wait for its verdict",
    State.PAUSED: "a part is being inspected, and the inspection is paused: resume, skip to the verdict, or stop",
    State.HALTED: "reset first",
    State.ERROR: "clear the cause, then reset",
}
ALL_TAKEN = "every view has been taken: the verdict comes by itself"  # a refusal within SingleExecution
_NO_PART = "no part is being inspected"
_IDLE = {
    Verb.PAUSE: _refused(_NO_PART),
    Verb.RESUME: _refused(f"{_NO_PART}, and nothing is paused"),
    Verb.RETAKE_VIEW: _refused(_NO_PART),
    Verb.SKIP_TO_VERDICT: _refused(_NO_PART),
    Verb.STOP: _nothing("nothing runs, and it costs nothing"),
    Verb.ABORT: _acts("holds the arm, switches the lights off; homing is due", State.HALTED),
    Verb.HALT: _acts("as abort, then closes the devices", State.HALTED),
}
_RESET = _acts("closes the devices, opens and homes them, prepares the last recipe again", State.PREOPERATIONAL)
_OPENS = (State.INITIALIZED, State.ERROR, State.HALTED)
_PREPARES = _acts(
    "checks and warms up; a refused recipe leaves none", State.INITIALIZED, State.READY, State.ERROR, State.HALTED
)
_OWN: Mapping[State, Mapping[Verb, Effect]] = {
    State.PREOPERATIONAL: {
        **_IDLE,
        Verb.INITIALIZE: _acts("opens the devices and homes the arm", *_OPENS),
        Verb.ABORT: _acts("while devices are opened: what opens them ends in Halted; else nothing", State.HALTED),
        Verb.RESET: _acts("as initialize, then prepares the last recipe again", State.PREOPERATIONAL, *_OPENS),
    },
    State.INITIALIZED: {
        **_IDLE,
        Verb.INITIALIZE: _refused(HINTS[State.READY]),
        Verb.PREPARE_RECIPE: _PREPARES,
        Verb.RESET: _RESET,
    },
    State.READY: {
        **_IDLE,
        Verb.PREPARE_RECIPE: _acts(_PREPARES.text, State.INITIALIZED),
        Verb.START: _acts("begins one inspection", State.SINGLE_EXECUTION),
    },
    State.SINGLE_EXECUTION: {
        Verb.PAUSE: _acts(
            "after this view; `now`: at the next step, and the view is taken again when resumed", State.PAUSED
        ),
        Verb.RESUME: _acts("takes back a pause that has not come yet"),
        Verb.RETAKE_VIEW: _acts("throws this view's frames away and takes it again, whole"),
        Verb.SKIP_TO_VERDICT: _acts("takes no further frame; UNDECIDED, unless a complete view FAILs"),
        Verb.STOP: _acts("ends at the next view boundary; the part is UNDECIDED"),
        Verb.ABORT: _acts("holds the arm, switches the lights off; the part is UNDECIDED, homing is due", State.HALTED),
        Verb.HALT: _acts("as abort, then closes the devices", State.HALTED),
    },
    State.PAUSED: {
        Verb.PAUSE: _nothing("it is paused"),
        Verb.RESUME: _acts("goes on with the next view, or takes the broken one again", State.SINGLE_EXECUTION),
        Verb.RETAKE_VIEW: _acts("the last view is taken again when resumed"),
        Verb.SKIP_TO_VERDICT: _acts(
            "takes no further frame; UNDECIDED, unless a complete view FAILs", State.SINGLE_EXECUTION
        ),
        Verb.STOP: _acts("ends at once; the part is UNDECIDED", State.SINGLE_EXECUTION),
        Verb.ABORT: _acts("holds the arm, switches the lights off; the part is UNDECIDED, homing is due", State.HALTED),
        Verb.HALT: _acts("as abort, then closes the devices", State.HALTED),
    },
    State.HALTED: {
        **_IDLE,
        Verb.ABORT: _acts("holds once more", State.HALTED),
        Verb.RESET: _RESET,
    },
    State.ERROR: {
        **_IDLE,
        Verb.RESET: _acts(
            f"stores what waits; then {_RESET.text}, unless storing was all that was wrong",
            State.PREOPERATIONAL,
            State.READY,
        ),
    },
}
BY_ITSELF = (
    Step(State.SINGLE_EXECUTION, State.READY, "the verdict is stored"),
    Step(State.SINGLE_EXECUTION, State.ERROR, "a device's fault, or the verdict cannot be stored"),
    Step(State.PAUSED, State.ERROR, "a device is lost"),
    Step(State.INITIALIZED, State.ERROR, "a device is lost"),
    Step(State.READY, State.ERROR, "a device is lost"),
    Step(State.HALTED, State.ERROR, "a device is lost during an abort"),
    Step(State.ERROR, State.ERROR, "another device is lost"),
    Step(State.ERROR, State.READY, "what waited is stored, and nothing else was wrong"),
    *(Step(state, State.PREOPERATIONAL, "the station closes") for state in State),
)


def effect(state: State, verb: Verb) -> Effect:
    """What the verb does in that state; defined for every pair."""
    own = _OWN[state].get(verb)
    return own if own is not None else _refused(HINTS[state])


def steps() -> Iterator[Step]:
    """Every arrow: those of the verbs, state by state, then those that need none."""
    for state in State:
        for verb in Verb:
            for after in effect(state, verb).to:
                yield Step(state, after, verb.value)
    yield from BY_ITSELF
