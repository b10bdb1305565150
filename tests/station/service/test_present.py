"""Whoever comes, at whatever moment, stands where those stand who have heard everything."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine_bench import Bench, in_time

from drivers.errors import DeviceLost
from station.console.situation import Situation
from station.engine.events import Event, Fault, PresentFollows, State, StateChanged
from station.service.present import MOST_FAULTS, Present

COMPARED = ("state", "reason", "recipe", "job", "is_cell_clear", "is_result_stored", "fault", "lights")
OF_A_JOB = ("steps_done", "view", "light", "view_steps_done", "is_run_sound")  # what the last job left counts no more


def situation_of(events: list[Event]) -> dict[str, object]:
    situation = Situation()
    for event in events:
        situation.take(event)
    names = COMPARED + (OF_A_JOB if situation.job is not None else ())
    found = {name: getattr(situation, name) for name in names}
    result = situation.result
    return {**found, "part": result and result.part_id, "verdict": result and result.verdict}


def a_good_part(bench: Bench) -> None:
    in_time(lambda: bench.engine.inspect("P-1"))


def a_stopped_part(bench: Bench) -> None:
    bench.acts["camera.expose"] = bench.engine.stop
    in_time(lambda: bench.engine.inspect("P-2"))
    bench.acts.clear()


def a_lost_light_and_a_reset(bench: Bench) -> None:
    def lose() -> None:
        raise DeviceLost("lights", "the line is dead")

    bench.acts["lights.on"] = lose
    in_time(lambda: bench.engine.inspect("P-3"))
    bench.acts.clear()
    in_time(bench.engine.reset)


def aborts_and_a_reset(bench: Bench) -> None:
    for _ in range(3):
        in_time(bench.engine.abort)
    in_time(bench.engine.reset)


def test_a_newcomer_at_any_moment_agrees_with_whoever_was_there_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The acceptance line of issue 12: a window that was killed is reopened in mid-cycle, and the windows agree."""
    bench = Bench(tmp_path, monkeypatch)
    try:
        for act in (a_good_part, a_stopped_part, a_lost_light_and_a_reset, a_good_part, aborts_and_a_reset):
            act(bench)
        a_good_part(bench)
    finally:
        bench.close()
    present = Present()
    for count, event in enumerate(bench.events, start=1):
        present.take(event)
        heard = situation_of(bench.events[:count])
        assert situation_of([*present.events()]) == heard, f"after event {count}, {event}"
        away = situation_of([*bench.events[: count // 2], PresentFollows(), *present.events()])
        assert away == heard, f"who was away until event {count}"


def test_what_leads_to_the_present_does_not_grow() -> None:
    present = Present()
    for number in range(1000):
        present.take(StateChanged(State.HALTED, "aborted by the operator"))
        present.take(Fault(f"lights off not confirmed after {number} ms", "look at the cell"))
    assert len(present.events()) <= MOST_FAULTS + 1
