"""PAUSE, RESUME, RETAKE VIEW and VERDICT NOW at the window: what each press asks of the engine, and what is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from station.console.banner import BannerKind, banner_of
from station.console.situation import Situation
from station.console.strip import StripKind, strip_of
from station.console.widgets.reasons_view import reasons_text
from station.console.window import ConsoleWindow
from station.engine.events import (
    JobStarted,
    RecipePrepared,
    ResultReady,
    State,
    StateChanged,
    StepDone,
    ViewLookedAgain,
    ViewRetaken,
)
from station.inspection.re_looks import ReLook
from station.inspection.reasons import Reason, ReasonKind
from station.inspection.result import Inspection
from station.inspection.retakes import Retake, RetakeKind

RECIPE = RecipePrepared("r1", "housing", ("top", "front"), (1.0, 1.0), "m1", True)
RUNNING = (
    RECIPE,
    StateChanged(State.SINGLE_EXECUTION),
    JobStarted("0001", "P1", 10, {"top": 5, "front": 5}),
    *(StepDone("0001", k + 1, 10, "top", f"light {k}") for k in range(3)),
)
PAUSED = StateChanged(State.PAUSED, "paused by the operator")
AGAIN = ViewRetaken("0001", Retake("top", 1, RetakeKind.PAUSED, "paused by the operator", (1, 2, 3)))


def situation(*events: object) -> Situation:
    built = Situation()
    for event in events:
        built.take(event)  # type: ignore[arg-type]
    return built


def test_a_pause_has_a_word_of_its_own_and_still_says_keep_out() -> None:
    paused = situation(*RUNNING, PAUSED)
    banner = banner_of(paused)
    assert (banner.kind, banner.keep_out, banner.progress) == (BannerKind.PAUSED, True, pytest.approx(0.3))
    assert any("RESUME (F11)" in line for line in banner.lines)
    assert "all lights are off" in " ".join(banner.lines)
    assert strip_of(paused).kind is StripKind.QUIET
    assert not paused.can_start


def test_a_view_that_is_taken_again_is_counted_from_its_first_frame() -> None:
    again = situation(*RUNNING, AGAIN, StepDone("0001", 1, 10, "top", "light 0"))
    assert (again.steps_done, again.view_steps_done) == (1, 1)
    assert "take 1 was rejected (paused)" in again.notice


def test_a_second_look_is_announced_and_stands_among_the_findings(good_inspection: Inspection) -> None:
    clips = Reason(ReasonKind.SATURATED, "saturates", view="top", light="dome")
    look = ReLook("top", (clips,), 1, 2, {"dome": (900.0, 450.0)}, counts=True)
    again = situation(*RUNNING, ViewLookedAgain("0001", look), StepDone("0001", 10, 10, "top", "light 0"))
    assert (again.steps_done, again.view_steps_done) == (10, 1)
    assert again.notice == "Looked at again: top, with dome 900 to 450 us"
    assert "this look counts" in reasons_text(replace(good_inspection, re_looks=(look,)))


@pytest.fixture
def window(qtbot: QtBot, make_engine: Callable[..., Any]) -> Iterator[tuple[ConsoleWindow, Any]]:
    engine = make_engine()
    window = ConsoleWindow(engine)
    qtbot.addWidget(window)
    window.resize(1280, 800)
    window.show()
    for event in RUNNING:
        engine.emit(event)
    qtbot.waitUntil(lambda: window.situation.steps_done == 3)
    yield window, engine
    window.close()


def test_each_press_reaches_the_engine_and_pause_turns_into_resume(qtbot: QtBot, window: Any) -> None:
    shown, engine = window
    panels = shown.panels
    panels.pause_button.click()
    assert panels.pause_button.text() == "PAUSE NOW  F11"
    panels.pause_button.click()
    panels.retake_button.click()
    qtbot.waitUntil(lambda: len(engine.calls) == 3)
    engine.emit(PAUSED)
    qtbot.waitUntil(lambda: panels.pause_button.text() == "RESUME  F11")
    panels.pause_button.click()
    panels.skip_button.click()
    qtbot.waitUntil(lambda: len(engine.calls) == 5)
    assert engine.calls == ["pause", "pause now", "retake_view", "resume", "skip_to_verdict"]


def test_the_buttons_fit_gloves_on_the_small_panel_and_are_there_only_for_a_part(
    qtbot: QtBot, window: Any, good_inspection: Inspection
) -> None:
    shown, engine = window
    panels = shown.panels
    buttons = (panels.pause_button, panels.retake_button, panels.skip_button)
    assert (shown.width(), shown.height()) == (1280, 800)
    assert all(button.isVisible() and button.height() >= 60 and button.width() >= 100 for button in buttons)
    top = panels.stop_button.mapTo(panels, panels.stop_button.rect().topLeft())
    engine.emit(StateChanged(State.READY))
    engine.emit(ResultReady(good_inspection, ""))
    qtbot.waitUntil(lambda: not panels.pause_button.isVisible())
    assert panels.stop_button.mapTo(panels, panels.stop_button.rect().topLeft()) == top, "STOP never moves"
    shown.verbs.pause_or_resume()
    assert "no part is being taken" in shown.situation.notice
