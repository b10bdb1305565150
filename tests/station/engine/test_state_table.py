"""The page that is drawn from the table is the table's."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from station.engine.events import State
from station.engine.state_table import Kind, Verb, effect, steps

SCRIPT = Path(__file__).parents[3] / "scripts" / "draw_states.py"


def test_the_page_of_the_states_is_drawn_from_the_code() -> None:
    spec = importlib.util.spec_from_file_location("draw_states", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    drawing = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(drawing)
    assert drawing.DOCUMENT.read_text(encoding="utf-8") == drawing.text(), "run python scripts/draw_states.py"


def test_the_table_is_whole() -> None:
    for state in State:
        for verb in Verb:
            found = effect(state, verb)
            assert found.text
            assert found.kind is Kind.ACTS or not found.to
    assert effect(State.READY, Verb.STOP).kind is Kind.NOTHING, "STOP while idle costs nothing"


def test_only_reset_leads_out_of_error_and_halted() -> None:
    for state in (State.ERROR, State.HALTED):
        out = {step.by for step in steps() if step.before is state and step.after not in (State.ERROR, State.HALTED)}
        assert out <= {"reset", "the station closes", "what waited is stored, and nothing else was wrong"}
