"""The window on a scripted engine: what an operator sees, presses and is refused, and what is left after closing."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from PyQt6.QtCore import QEvent, Qt
from PyQt6.QtWidgets import QAbstractButton, QApplication, QLineEdit, QSlider, QTableWidget, QWidget
from pytestqt.qtbot import QtBot

from station.console.banner import BannerKind
from station.console.pictures import Mode
from station.console.window import ConsoleWindow
from station.engine.events import Fault, State, StateChanged
from station.inspection.result import Inspection

Engine = Any  # the stand-in of this folder's conftest
FAULT = Fault("camera: no frame within 1200 ms", "check the cable, then RESET")


@pytest.fixture
def open_window(qtbot: QtBot) -> Iterator[Callable[[Engine], ConsoleWindow]]:
    """A shown window on an engine; closed, and checked to leave no thread, when the test ends."""
    windows: list[tuple[ConsoleWindow, Engine]] = []

    def open_one(engine: Engine) -> ConsoleWindow:
        window = ConsoleWindow(engine)
        windows.append((window, engine))
        window.resize(1280, 800)
        with qtbot.waitExposed(window):
            window.show()
        return window

    yield open_one
    for window, engine in windows:
        engine.gate.set()
        window.close()
        window.deleteLater()
    QApplication.processEvents()
    assert not [t.name for t in threading.enumerate() if t.name.startswith("console-")]


def inspect(qtbot: QtBot, window: ConsoleWindow, part_id: str = "P-1") -> None:
    """Scan a part and wait until its result is on the window."""
    qtbot.keyClicks(window.panels.part_id, part_id)
    qtbot.keyClick(window.panels.part_id, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: window.is_settled and not window.situation.is_busy, timeout=20000)


@pytest.mark.parametrize(("name", "word"), [("good", "PASS"), ("failed", "FAIL"), ("undecided", "UNDECIDED")])
def test_the_banner_says_the_verdict(
    qtbot: QtBot, open_window: Any, make_engine: Any, request: pytest.FixtureRequest, name: str, word: str
) -> None:
    engine = make_engine(request.getfixturevalue(f"{name}_inspection"))
    window = open_window(engine)
    inspect(qtbot, window, "SCAN-77")
    assert engine.calls == ["start SCAN-77"]
    assert window.panels.banner.content.word == word
    assert window.panels.banner.accessibleName() == word
    assert window.panels.part_id.text() == "", "the scanner's buffer is empty for the next part"


def test_banner_words_differ_without_colour() -> None:
    assert len({kind.value for kind in BannerKind}) == len(BannerKind)


def test_five_tiles_in_the_recipes_order_with_their_scores(
    qtbot: QtBot, open_window: Any, make_engine: Any, failed_inspection: Inspection
) -> None:
    window = open_window(make_engine(failed_inspection))
    inspect(qtbot, window)
    tiles = window.panels.tiles.tiles
    assert list(tiles) == ["top", "front", "right", "back", "left"]
    assert tiles["right"].score_text() == "score 2.9   limit 1.6"
    assert all(tile.has_thumbnail for tile in tiles.values())


def test_the_worst_view_is_marked_selected_and_large(
    qtbot: QtBot, open_window: Any, make_engine: Any, failed_inspection: Inspection
) -> None:
    window = open_window(make_engine(failed_inspection))
    inspect(qtbot, window)
    tiles = window.panels.tiles.tiles
    assert [name for name, tile in tiles.items() if tile.is_deciding] == ["right"]
    assert [name for name, tile in tiles.items() if tile.isChecked()] == ["right"]
    assert window.panels.detail.title.text().startswith("right")


def test_a_view_that_was_not_captured_says_so(
    qtbot: QtBot, open_window: Any, make_engine: Any, undecided_inspection: Inspection
) -> None:
    window = open_window(make_engine(undecided_inspection))
    inspect(qtbot, window)
    assert window.panels.tiles.tiles["left"].note == "not captured"
    assert window.shown.selected == "back", "the view in doubt is the one to look at"


def test_start_is_disabled_and_a_scan_refused_while_a_part_is_inspected_but_stop_works(
    qtbot: QtBot, open_window: Any, make_engine: Any, good_inspection: Inspection
) -> None:
    engine = make_engine(good_inspection, hold=True)
    window = open_window(engine)
    qtbot.keyClicks(window.panels.part_id, "P-1\r")
    qtbot.waitUntil(lambda: "top" in window.shown.results, timeout=20000)
    assert window.panels.banner.content.kind is BannerKind.INSPECTING
    assert not window.panels.start_button.isEnabled()
    qtbot.keyClicks(window.panels.part_id, "P-2\r")
    assert "Refused part id 'P-2'" in window.panels.notice.text()
    assert window.panels.stop_button.isEnabled()
    qtbot.mouseClick(window.panels.stop_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "stop" in engine.calls, timeout=20000)
    qtbot.waitUntil(lambda: window.is_settled, timeout=20000)
    assert engine.calls == ["start P-1", "stop"], "the refused scan was not queued"


def test_two_presses_of_start_make_one_inspection(
    qtbot: QtBot, open_window: Any, make_engine: Any, good_inspection: Inspection
) -> None:
    engine = make_engine(good_inspection, hold=True)
    window = open_window(engine)
    window.verbs.start("P-1")
    window.verbs.start("P-1")
    qtbot.waitUntil(lambda: "top" in window.shown.results, timeout=20000)
    engine.gate.set()
    qtbot.waitUntil(lambda: window.is_settled, timeout=20000)
    assert engine.calls == ["start P-1"]


def test_a_second_stop_aborts(qtbot: QtBot, open_window: Any, make_engine: Any, good_inspection: Inspection) -> None:
    engine = make_engine(good_inspection, hold=True)
    window = open_window(engine)
    window.verbs.start("P-1")
    qtbot.waitUntil(lambda: window.situation.is_busy, timeout=20000)
    window.verbs.stop()
    window.verbs.stop()
    qtbot.waitUntil(lambda: "abort" in engine.calls, timeout=20000)
    assert [call for call in engine.calls if not call.startswith("start")] == ["stop", "abort"]


def test_stop_during_a_reset_aborts_at_once_and_a_second_reset_is_not_queued(
    qtbot: QtBot, open_window: Any, make_engine: Any
) -> None:
    engine = make_engine(hold_reset=True)
    window = open_window(engine)
    engine.emit(StateChanged(State.HALTED, "aborted"))
    qtbot.waitUntil(lambda: window.situation.state is State.HALTED, timeout=20000)
    window.verbs.reset()
    qtbot.waitUntil(lambda: "reset" in engine.calls, timeout=20000)
    window.verbs.reset()
    qtbot.keyClick(window, Qt.Key.Key_F12)
    qtbot.waitUntil(lambda: "abort" in engine.calls, timeout=10000)
    qtbot.waitUntil(lambda: window.situation.state is State.READY, timeout=20000)
    assert engine.calls == ["reset", "abort"]


def test_stop_is_enabled_in_every_state(qtbot: QtBot, open_window: Any, make_engine: Any) -> None:
    engine = make_engine()
    window = open_window(engine)
    for state in State:
        engine.emit(StateChanged(state))
        qtbot.waitUntil(lambda state=state: window.situation.state is state, timeout=20000)
        assert window.panels.stop_button.isEnabled()
        assert window.panels.start_button.isEnabled() == (state is State.READY)


def test_opening_an_old_part_leaves_the_live_verdict(
    qtbot: QtBot, open_window: Any, make_engine: Any, good_inspection: Inspection, failed_inspection: Inspection
) -> None:
    engine = make_engine(good_inspection)
    engine.finished = [failed_inspection]
    window = open_window(engine)
    inspect(qtbot, window)
    assert window.panels.history.rowCount() == 2
    window.panels.history.cellClicked.emit(1, 0)
    qtbot.waitUntil(lambda: window.shown.is_archived and not window.shown.awaits_pictures, timeout=20000)
    assert window.panels.banner.content.word == "PASS"
    assert "part P-0001" in window.panels.banner.content.lines
    assert window.panels.tiles.tiles["right"].result.verdict.value == "FAIL"
    assert window.panels.viewing.text().startswith("ARCHIVE: part P-0002")
    qtbot.keyClick(window, Qt.Key.Key_F6)
    assert window.panels.tiles.tiles["right"].result.verdict.value == "PASS"


def test_a_new_part_ends_the_look_into_the_archive(
    qtbot: QtBot, open_window: Any, make_engine: Any, good_inspection: Inspection, failed_inspection: Inspection
) -> None:
    engine = make_engine(good_inspection)
    engine.finished = [failed_inspection]
    window = open_window(engine)
    window.display.open_archived("0002")
    qtbot.waitUntil(lambda: window.shown.is_archived, timeout=20000)
    assert window.panels.banner.content.kind is BannerKind.READY
    inspect(qtbot, window)
    assert not window.shown.is_archived


def test_a_fault_shows_cause_and_action_and_reset_leads_out(
    qtbot: QtBot, open_window: Any, make_engine: Any, undecided_inspection: Inspection
) -> None:
    engine = make_engine(undecided_inspection, fault=FAULT)
    window = open_window(engine)
    inspect(qtbot, window)
    qtbot.waitUntil(lambda: window.situation.state is State.ERROR, timeout=20000)
    assert window.panels.banner.content.kind is BannerKind.FAULT
    assert FAULT.text in window.panels.faults.text.text()
    assert FAULT.action in window.panels.faults.text.text()
    assert window.panels.reset_button.isEnabled()
    qtbot.mouseClick(window.panels.reset_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: window.situation.state is State.READY, timeout=20000)
    qtbot.waitUntil(lambda: not window.situation.is_resetting, timeout=20000)
    assert window.panels.banner.content.word == "READY"
    assert window.panels.banner.content.muted[0].startswith("last part: P-0003, UNDECIDED at ")
    assert FAULT.text not in window.panels.faults.text.text(), "whoever presses RESET has read it"


def test_stop_while_nothing_runs_says_what_to_press_and_reset_stands_out(
    qtbot: QtBot, open_window: Any, make_engine: Any
) -> None:
    engine = make_engine(hold_reset=True)
    window = open_window(engine)
    engine.emit(StateChanged(State.HALTED, "aborted by the operator"))
    qtbot.waitUntil(lambda: window.situation.state is State.HALTED, timeout=20000)
    assert any("press RESET (F8)" in line for line in window.panels.banner.content.lines)
    assert "bold" in window.panels.reset_button.styleSheet()
    window.verbs.start("P-9")
    assert "STOPPED: look at the cell, then press RESET (F8) first" in window.panels.notice.text()
    qtbot.mouseClick(window.panels.reset_button, Qt.MouseButton.LeftButton)
    assert window.panels.reset_button.text() == "RESETTING"
    assert not window.panels.reset_button.isEnabled()
    assert "keep clear" in window.panels.banner.content.lines[0]
    engine.gate.set()
    qtbot.waitUntil(lambda: window.panels.reset_button.text() == "RESET  F8", timeout=20000)
    assert window.panels.banner.content.kind is BannerKind.READY


def test_a_refused_start_is_told_and_start_is_possible_again(qtbot: QtBot, open_window: Any, make_engine: Any) -> None:
    window = open_window(make_engine(refusal=RuntimeError("arm: not homed")))
    window.verbs.start("P-1")
    qtbot.waitUntil(lambda: window.situation.fault is not None, timeout=20000)
    assert "START failed: arm: not homed" in window.panels.faults.text.text()
    assert window.panels.start_button.isEnabled()


def test_modes_switch_tiles_and_detail_together(
    qtbot: QtBot, open_window: Any, make_engine: Any, good_inspection: Inspection
) -> None:
    window = open_window(make_engine(good_inspection))
    inspect(qtbot, window)
    for key, mode in ((Qt.Key.Key_F2, Mode.IMAGE), (Qt.Key.Key_F3, Mode.NORMALS), (Qt.Key.Key_F4, Mode.HEAT)):
        qtbot.keyClick(window, key)
        assert window.panels.mode_buttons[mode].isChecked()
        assert window.panels.detail.opacity.isEnabled() == (mode is Mode.HEAT)


def test_the_simulation_strip_shows_for_a_simulated_rig_and_has_no_switch(
    qtbot: QtBot, open_window: Any, make_engine: Any
) -> None:
    window = open_window(make_engine())
    qtbot.waitUntil(lambda: window.panels.simulation.isVisible(), timeout=20000)
    assert not window.panels.simulation.findChildren(QAbstractButton)


def test_every_control_has_a_name_and_what_is_touched_is_large_enough(open_window: Any, make_engine: Any) -> None:
    window = open_window(make_engine())
    kinds: tuple[type[QWidget], ...] = (QAbstractButton, QLineEdit, QSlider, QTableWidget)
    controls = [c for kind in kinds for c in window.findChildren(kind) if not is_qts_own(c)]
    assert len(controls) > 12
    for control in controls:
        assert control.objectName(), control
        assert control.accessibleName(), control.objectName()
    for name in ("startButton", "stopButton", "resetButton", "partId", "zoomIn", "fit", "mode_image"):
        control = window.findChild(QWidget, name)
        assert control.height() >= 57, f"{name} is {control.height()} logical pixels high, 15 mm are 57"


def is_qts_own(widget: QWidget) -> bool:
    """Parts that Qt puts into its own widgets: the corner of a table, the buttons in a line edit."""
    parent = widget.parent()
    return isinstance(parent, (QTableWidget, QLineEdit)) or widget.objectName().startswith("qt_")


def test_no_verb_runs_in_the_qt_thread(
    qtbot: QtBot, open_window: Any, make_engine: Any, good_inspection: Inspection
) -> None:
    engine = make_engine(good_inspection)
    window = open_window(engine)
    inspect(qtbot, window)
    window.verbs.stop()
    qtbot.waitUntil(lambda: "stop" in engine.calls, timeout=20000)
    assert engine.threads
    assert all(name.startswith("console-") for name in engine.threads)


def test_closing_while_a_part_runs_stops_it_and_leaves_neither_thread_nor_listener(
    qtbot: QtBot, make_engine: Any, good_inspection: Inspection
) -> None:
    engine = make_engine(good_inspection, hold=True)
    window = ConsoleWindow(engine)
    qtbot.waitUntil(lambda: window.situation.can_start, timeout=20000)
    window.verbs.start("P-1")
    qtbot.waitUntil(lambda: window.situation.is_busy, timeout=20000)
    window.close()
    assert "stop" in engine.calls
    assert engine.listeners == []
    assert not [t.name for t in threading.enumerate() if t.name.startswith("console-")]
    window.deleteLater()


def test_no_widget_outlives_its_window(qtbot: QtBot, make_engine: Any, good_inspection: Inspection) -> None:
    window = ConsoleWindow(make_engine(good_inspection))
    window.show()
    inspect(qtbot, window)
    destroyed: list[bool] = []
    window.destroyed.connect(lambda: destroyed.append(True))
    window.close()
    window.deleteLater()
    qtbot.waitUntil(lambda: bool(destroyed), timeout=20000)
    alive = weakref.ref(window)
    del window
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)

    def is_gone() -> bool:
        gc.collect()
        return alive() is None

    qtbot.waitUntil(is_gone, timeout=20000)  # on a loaded machine Qt frees its connections some events later
    assert alive() is None
