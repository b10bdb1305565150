"""The table of verbs agrees with the engine that the service has, and with the one that the window expects."""

from __future__ import annotations

import inspect

import pytest

from station.commands.console.engine_adapter import EngineAdapter
from station.console.inspection_engine import InspectionEngine
from station.service.client import ServiceClient
from station.service.verbs import TABLE, VERBS, Argument, Verb, VerbRefused, checked_arguments


@pytest.mark.parametrize("verb", TABLE, ids=lambda verb: verb.name)
@pytest.mark.parametrize("engine", [EngineAdapter, InspectionEngine])
def test_a_verb_is_a_method_of_the_engine_with_these_parameters(verb: Verb, engine: type) -> None:
    parameters = [p for p in inspect.signature(getattr(engine, verb.method)).parameters.values() if p.name != "self"]
    optional = {p.name: p.default is not inspect.Parameter.empty for p in parameters}
    asked = {argument.name: argument.is_optional for argument in verb.arguments}
    assert asked.items() <= optional.items()
    assert set(verb.fixed) <= set(optional) - set(asked)
    assert all(optional[name] for name in set(optional) - set(asked) - set(verb.fixed))


def test_the_client_has_whatever_a_window_asks_of_an_engine() -> None:
    wanted = [name for name in vars(InspectionEngine) if not name.startswith("_")]
    assert [name for name in wanted if not hasattr(ServiceClient, name)] == []


def test_names_are_unique() -> None:
    assert len(VERBS) == len(TABLE)


def test_a_choice_outside_the_table_is_refused_with_what_there_is() -> None:
    pause = Verb("pause", "pause", "", (Argument("when", "", ("now", "after view"), is_optional=True),))
    assert pause.usage() == "pause [WHEN]"
    assert checked_arguments(pause, {}) == {}
    assert checked_arguments(pause, {"when": "now"}) == {"when": "now"}
    with pytest.raises(VerbRefused, match="'when' is 'never', and may be now, after view"):
        checked_arguments(pause, {"when": "never"})
