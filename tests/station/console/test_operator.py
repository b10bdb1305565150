"""An operator's day at the window: what was pressed or scanned, what stands there afterwards, and what must not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PyQt6.QtCore import QEvent, Qt
from PyQt6.QtGui import QKeyEvent
from PyQt6.QtWidgets import QApplication, QLabel, QWidget
from pytestqt.qtbot import QtBot

from station.console import scan_filter
from station.console.banner import BannerKind, banner_of
from station.console.scan_filter import ScannerKeys
from station.console.situation import Situation
from station.console.strip import StripKind, strip_of
from station.console.window import ConsoleWindow
from station.documents.errors import DocumentError
from station.engine.events import (
    AcquisitionDone,
    Fault,
    JobStarted,
    LightsWatched,
    RecipePrepared,
    ResultReady,
    State,
    StateChanged,
    StepDone,
)
from station.inspection.causes import causes_of
from station.inspection.reasons import Reason, ReasonKind
from station.inspection.result import Inspection, Verdict
from station.lights.warning import LightWarning

LOST = Fault("camera: lost while the station was at rest", "plug it in, then press RESET")
VIEWS = ("top", "front", "right", "back", "left")
RECIPE = RecipePrepared("housing r1", "housing", VIEWS, (1.6,) * 5, "m1", True)


class Scanner:
    """Types a label into what has the focus, a key each 5 ms of a clock of its own; `type` is a person at 200 ms."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._now_ms = 0.0
        monkeypatch.setattr(scan_filter, "now_ms", lambda: self._now_ms)

    def scan(self, onto: QWidget, label: str, end: Qt.Key | None = Qt.Key.Key_Return) -> None:
        self._now_ms += 5000
        self._keys(onto, label, 5.0)
        if end is not None:
            self.key(onto, end, "\t" if end == Qt.Key.Key_Tab else "\r")

    def type(self, onto: QWidget, text: str) -> None:
        self._keys(onto, text, 200.0)

    def key(self, onto: QWidget, key: int, text: str = "", gap_ms: float = 5.0) -> None:
        self._now_ms += gap_ms
        none = Qt.KeyboardModifier.NoModifier
        override = QKeyEvent(QEvent.Type.ShortcutOverride, key, none, text)
        QApplication.sendEvent(onto, override)
        for kind in (QEvent.Type.KeyPress, QEvent.Type.KeyRelease):
            QApplication.sendEvent(onto, QKeyEvent(kind, key, none, text))

    def _keys(self, onto: QWidget, text: str, gap_ms: float) -> None:
        for character in text:
            self.key(onto, ord(character.upper()), character, gap_ms)


@pytest.fixture
def scanner(monkeypatch: pytest.MonkeyPatch) -> Scanner:
    return Scanner(monkeypatch)


@pytest.fixture
def open_window(qtbot: QtBot) -> Iterator[Callable[..., ConsoleWindow]]:
    """A shown window on an engine, closed when the test ends."""
    windows: list[tuple[ConsoleWindow, Any]] = []

    def open_one(engine: Any, scanner_keys: ScannerKeys | None = None) -> ConsoleWindow:
        window = ConsoleWindow(engine, "Facet", scanner_keys)
        windows.append((window, engine))
        window.resize(1280, 800)
        window.show()
        qtbot.waitUntil(lambda: not window.situation.is_reading_recipe, timeout=20000)
        return window

    yield open_one
    for window, engine in windows:
        engine.gate.set()
        window.close()
        window.deleteLater()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def wait_for_verdict(qtbot: QtBot, window: ConsoleWindow) -> None:
    situation = window.situation
    qtbot.waitUntil(lambda: situation.result is not None and situation.can_start and window.is_settled, timeout=20000)


def situation_after(*events: object) -> Situation:
    built = Situation()
    for event in (RECIPE, StateChanged(State.READY), *events):
        built.take(event)  # type: ignore[arg-type]
    return built


def run_of(inspection: Inspection, steps: int = 5) -> list[object]:
    """The events of a sound run up to its verdict."""
    name = inspection.inspection_id
    return [
        StateChanged(State.SINGLE_EXECUTION),
        JobStarted(name, inspection.part_id, steps),
        *(StepDone(name, k + 1, steps, "top", "north") for k in range(steps)),
        AcquisitionDone(name),
        StateChanged(State.READY),
        ResultReady(inspection, "archive/0001"),
    ]


def every_word(window: ConsoleWindow) -> str:
    """All text that stands in the window."""
    panels = window.panels
    labels = [label.text() for label in panels.findChildren(QLabel) if label.isVisibleTo(panels)]
    content = panels.banner.content
    own = [panels.faults.text.text(), panels.viewing.text(), panels.lights.words.text()]
    return "\n".join([*labels, *own, content.word, *content.lines, *content.muted])


# -- 12: the part-id field -------------------------------------------------------------------------------------------


def test_the_field_opens_empty_and_a_scan_replaces_what_stands_in_it(
    qtbot: QtBot, open_window: Any, make_engine: Any, good_inspection: Inspection, scanner: Scanner
) -> None:
    """Issue 15, point 12."""
    engine = make_engine(good_inspection)
    window = open_window(engine)
    field = window.panels.part_id
    assert field.text() == ""
    scanner.type(field, "half an i")
    scanner.scan(field, "SN-1")
    wait_for_verdict(qtbot, window)
    assert engine.calls == ["start SN-1"]


# -- 13: keep out ----------------------------------------------------------------------------------------------------


def test_the_part_may_be_removed_after_a_sound_run_and_in_no_state_in_which_the_arm_may_move(
    good_inspection: Inspection,
) -> None:
    """Issue 15, point 13."""
    started, *steps, done, ready, result = run_of(good_inspection)[1:]
    running = situation_after(StateChanged(State.SINGLE_EXECUTION), started)
    for event in steps:
        assert banner_of(running).keep_out
        assert "removed" not in "".join(banner_of(running).lines)
        running.take(event)  # type: ignore[arg-type]
    for event in (done, ready, result):
        running.take(event)  # type: ignore[arg-type]
        assert not banner_of(running).keep_out
        assert "the part may be removed" in " ".join(banner_of(running).lines)
    for state in (State.ERROR, State.HALTED, State.PREOPERATIONAL, State.INITIALIZED):
        running.take(StateChanged(state, "the arm was lost"))
        assert banner_of(running).keep_out, state
        assert any("Do not reach in" in line for line in banner_of(running).lines), state
        assert "removed" not in "".join((*banner_of(running).lines, *banner_of(running).muted))


def test_a_run_that_a_fault_has_ended_never_says_that_the_part_may_be_removed(
    undecided_inspection: Inspection,
) -> None:
    """Issue 15, point 13: though the engine of old reported the end of the acquisition in that case too."""
    events = run_of(undecided_inspection)
    broken = situation_after(events[0], events[1], events[2], AcquisitionDone(undecided_inspection.inspection_id))
    assert banner_of(broken).keep_out
    assert "removed" not in "".join(banner_of(broken).lines)
    broken.take(StateChanged(State.ERROR, "gantry: alarm"))
    broken.take(Fault("gantry: alarm", "look at the cell"))
    broken.take(ResultReady(undecided_inspection, ""))
    assert banner_of(broken).keep_out
    assert "removed" not in "".join((*banner_of(broken).lines, *banner_of(broken).muted))


def test_after_a_stopped_part_the_station_is_ready_and_still_says_keep_out(undecided_inspection: Inspection) -> None:
    """Issue 15, point 13: the arm stands wherever it was stopped."""
    events = run_of(undecided_inspection)
    stopped = situation_after(*events[:3], *events[-2:])
    assert stopped.can_start
    assert banner_of(stopped).keep_out
    stopped.turn_to_the_next()
    assert banner_of(stopped).kind is BannerKind.READY
    assert banner_of(stopped).keep_out


# -- 14: a device that is lost at rest -------------------------------------------------------------------------------


def test_a_device_lost_at_rest_is_said_everywhere_at_once(
    qtbot: QtBot, open_window: Any, make_engine: Any, good_inspection: Inspection, scanner: Scanner
) -> None:
    """Issue 15, point 14."""
    engine = make_engine(good_inspection)
    window = open_window(engine)
    scanner.scan(window.panels.part_id, "SN-1")
    wait_for_verdict(qtbot, window)
    engine.emit(StateChanged(State.ERROR, LOST.text))
    qtbot.waitUntil(lambda: window.situation.state is State.ERROR, timeout=20000)
    assert "No fault" not in every_word(window), "before the Fault has come"
    engine.emit(LOST)
    qtbot.waitUntil(lambda: LOST.action in window.panels.faults.text.text(), timeout=20000)
    panels = window.panels
    assert panels.banner.content.kind is BannerKind.FAULT
    assert panels.banner.content.keep_out
    assert panels.header.state.text() == "Error"
    assert not panels.start_button.isEnabled()
    assert panels.reset_button.isEnabled()
    for word in ("No fault", "READY"):
        assert word not in every_word(window)
    panels.faults.button.click()
    assert "No fault" not in every_word(window), "an acknowledged fault still stands"
    assert LOST.text in panels.faults.text.text()


# -- 15: the window before the arm -----------------------------------------------------------------------------------


def test_the_window_opens_before_the_arm_homes_and_the_operator_starts_and_stops_it(
    qtbot: QtBot, open_window: Any, make_engine: Any
) -> None:
    """Issue 15, point 15."""
    engine = make_engine(is_homed=False, hold_reset=True)
    window = open_window(engine)
    panels = window.panels
    assert engine.calls == []
    assert panels.banner.content.kind is BannerKind.NOT_READY
    assert "press RESET (F8): the arm drives to its reference switches" in panels.banner.content.lines[0]
    assert panels.header.recipe.text() == "housing r1"
    assert "bold" in panels.reset_button.styleSheet(), "the one button that leads on stands out"
    panels.reset_button.click()
    qtbot.waitUntil(lambda: engine.calls == ["reset"], timeout=20000)
    assert panels.banner.content.keep_out
    panels.stop_button.click()
    qtbot.waitUntil(lambda: engine.calls == ["reset", "abort"], timeout=20000)


def test_a_refused_recipe_is_shown_in_the_window_and_reset_reads_it_again(open_window: Any, make_engine: Any) -> None:
    """Issue 15, point 15."""
    refused = DocumentError(Path("r.yaml"), ("r.yaml:3:1: views: expected a list",))
    window = open_window(make_engine(is_homed=False, recipe_refusal=refused))
    strip = window.panels.faults.text.text()
    assert "r.yaml:3:1: views: expected a list" in strip
    assert "correct the file that is named here, then press RESET" in strip
    assert window.panels.banner.content.kind is BannerKind.FAULT
    assert window.panels.reset_button.isEnabled()


def test_a_recipe_that_the_rig_refuses_leaves_reset_as_a_way_on(open_window: Any, make_engine: Any) -> None:
    """Issue 15, point 15: Initialized was a dead end."""
    engine = make_engine()
    window = open_window(engine)
    engine.emit(StateChanged(State.INITIALIZED))
    QApplication.processEvents()
    assert window.panels.reset_button.isEnabled()


def test_what_stands_in_fault_is_shown_to_a_window_that_opens_later(
    qtbot: QtBot, open_window: Any, make_engine: Any
) -> None:
    """Issue 15, point 15."""
    window = open_window(make_engine(is_homed=False, standing_fault=LOST))
    qtbot.waitUntil(lambda: LOST.text in window.panels.faults.text.text(), timeout=20000)
    assert LOST.text in window.panels.banner.content.lines


# -- 16: a verdict belongs to a part ---------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["reset", "scan", "fault", "state"])
def test_a_verdict_is_past_once_the_next_thing_has_begun(good_inspection: Inspection, what: str) -> None:
    """Issue 15, point 16."""
    judged = situation_after(*run_of(good_inspection))
    assert banner_of(judged).kind is BannerKind.PASS
    assert banner_of(judged).lines[0] == "part P-0001"
    if what == "reset":
        judged.take(StateChanged(State.HALTED, "aborted"))
        for state in (State.PREOPERATIONAL, State.INITIALIZED, State.READY):
            judged.take(StateChanged(state))
    elif what == "scan":
        judged.turn_to_the_next()
    elif what == "fault":
        judged.take(LOST)
    else:
        judged.take(StateChanged(State.ERROR, "lost"))
    banner = banner_of(judged)
    when = good_inspection.creation_time.astimezone().strftime("%H:%M")
    assert banner.kind in (BannerKind.READY, BannerKind.FAULT)
    assert banner.muted == (f"last part: P-0001, PASS at {when}",)
    assert not any("PASS" in line for line in banner.lines)


def test_typing_or_scanning_the_next_part_turns_the_old_verdict_pale_everywhere(
    qtbot: QtBot, open_window: Any, make_engine: Any, failed_inspection: Inspection, scanner: Scanner
) -> None:
    """Issue 15, point 16."""
    window = open_window(make_engine(failed_inspection))
    scanner.scan(window.panels.part_id, "SN-1")
    wait_for_verdict(qtbot, window)
    assert window.panels.banner.content.kind is BannerKind.FAIL
    scanner.type(window.panels.part_id, "S")
    assert window.panels.banner.content.kind is BannerKind.READY
    assert window.panels.banner.content.muted[0].startswith("last part: P-0002, FAIL at ")
    assert window.panels.viewing.text().startswith("LAST: part P-0002, FAIL at ")


# -- 17: a dead light ------------------------------------------------------------------------------------------------


def dead_light_inspection(make_inspection: Callable[..., Inspection]) -> Inspection:
    """A dead light as the checks report it: other figures in every view, and what follows from it."""
    inspection = make_inspection(dict.fromkeys(VIEWS, 1.0), part_id="SN-5")
    reasons = []
    for number, view in enumerate(VIEWS):
        text = f"light 'north' is dead: 0.0{number} of its reference level where the median light has 0.9{number}"
        remedy = "check its lamp, cable and channel"
        few = f"only {40 + number}.0% of the pixels have an observable normal; the recipe asks for 70.0%"
        reasons += [
            Reason(ReasonKind.FEW_OBSERVABLE, few, "check the lights and how the part lies", view),
            Reason(ReasonKind.LIGHT_DEAD, text, remedy, view, "north"),
        ]
    views = tuple(
        replace(v, verdict=Verdict.UNDECIDED, reasons=tuple(r for r in reasons if r.view == v.view))
        for v in inspection.views
    )
    return replace(inspection, verdict=Verdict.UNDECIDED, reasons=tuple(reasons), views=views)


def test_a_dead_light_is_one_cause_with_one_action_however_many_views_it_spoils(
    make_inspection: Callable[..., Inspection],
) -> None:
    """Issue 15, point 17."""
    inspection = dead_light_inspection(make_inspection)
    first = causes_of(inspection.reasons)[0]
    assert (first.kind, first.light, first.views) == (ReasonKind.LIGHT_DEAD, "north", VIEWS)
    banner = banner_of(situation_after(*run_of(inspection)))
    assert len(banner.lines) == 4
    assert banner.lines[1].startswith("Light 'north' is dead (every view)")
    assert "DETAILS F10" in banner.lines[1]
    assert banner.lines[2] == "What to do: check its lamp, cable and channel"
    assert not any("highest" in line for line in banner.lines), "no view decides an UNDECIDED part"


def test_every_screen_agrees_that_the_light_is_dead_and_the_findings_are_behind_a_button(
    qtbot: QtBot, open_window: Any, make_engine: Any, make_inspection: Callable[..., Inspection], scanner: Scanner
) -> None:
    """Issue 15, point 17."""
    engine = make_engine(dead_light_inspection(make_inspection))
    window = open_window(engine)
    panels = window.panels
    scanner.scan(panels.part_id, "SN-5")
    wait_for_verdict(qtbot, window)
    warning = LightWarning("north", "level", "Light north is 100% weaker than it was", "wipe it", None)
    engine.emit(LightsWatched("housing r1", "0001", (warning,), ()))
    qtbot.waitUntil(lambda: window.situation.lights is not None and bool(window.situation.lights.warnings))
    assert "No fault" not in every_word(window)
    assert "No light stands out" not in every_word(window)
    assert panels.faults.text.text().startswith("Part SN-5: Light 'north' is dead (every view)")
    assert "Light 'north' is dead (every view)" in panels.lights.words.text()
    assert not any(tile.is_deciding for tile in panels.tiles.tiles.values())
    assert panels.lights_button.text().endswith("(1)")
    assert not panels.light_strip.isVisible(), "the verdict says it already: one cause, one action"
    assert "UNDECIDED" in panels.detail.title.text()
    assert "light 'north' is dead" in panels.detail.title.text()
    details = panels.faults.details
    assert details.isVisible()
    details.click()
    text = panels.reasons.toPlainText()
    assert panels.reasons.isVisible()
    assert "top: light 'north' is dead: 0.00 of its reference level" in text
    assert "2. Only 40.0% of the pixels have an observable normal" in text, "what follows is one cause, too"
    assert "\n3. " not in text
    assert text.count("is dead: ") == 5
    details.click()
    assert panels.detail.isVisible()


@pytest.mark.parametrize("size", [(1280, 800), (1920, 1080)])
def test_the_longest_texts_are_whole_or_marked_and_never_under_14_px(
    monkeypatch: pytest.MonkeyPatch, qtbot: QtBot, size: tuple[int, int], open_window: Any, make_engine: Any
) -> None:
    """Issue 15, point 17: every line that the banner draws is whole at 1280 x 800, or says that there is more."""
    from station.console.widgets import banner, theme

    engine = make_engine()
    window = open_window(engine)
    window.resize(*size)
    drawn: list[tuple[str, int]] = []
    real = banner.draw_fitted
    sizes: list[int] = []
    monkeypatch.setattr(theme, "font", lambda px, bold=False, make=theme.font: sizes.append(px) or make(px, bold))
    monkeypatch.setattr(banner, "draw_fitted", lambda *given: (drawn.append((given[2], 0)), real(*given))[1])
    long = Fault("camera: " + "no frame within 1200 ms of the trigger, " * 12, "check the cable, " * 10)
    warning = LightWarning("north", "level", "Light north is 40% weaker than it was", "wipe it", None)
    engine.emit(LightsWatched("housing r1", "", (warning,), ()))
    engine.emit(StateChanged(State.ERROR, long.text))
    engine.emit(long)
    qtbot.waitUntil(lambda: window.situation.fault == long, timeout=20000)
    QApplication.processEvents()
    assert window.panels.light_strip.isVisible()
    for _ in range(3):
        window.resize(*size)
        QApplication.processEvents()
    window.grab()
    assert (window.width(), window.height()) == size, "the window needs more room than the panel has"
    assert drawn
    assert min(sizes) >= 14


# -- 18: scans -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "word"),
    [("x" * 81, "81 characters"), ("A\x1d01", "control character"), ("SN-1 ", "begins or ends with a blank")],
)
def test_an_id_that_cannot_be_used_is_refused_whole_and_stays_in_the_field(
    open_window: Any, make_engine: Any, scanner: Scanner, label: str, word: str
) -> None:
    """Issue 15, point 18: it was cut at 80 characters, and the field was emptied before it was looked at."""
    engine = make_engine()
    window = open_window(engine)
    QApplication.processEvents()
    scanner.scan(window.panels.part_id, label)
    assert word in window.panels.notice.text()
    assert engine.calls == []
    assert window.panels.part_id.text() != ""
    assert window.panels.part_id.hasSelectedText(), "the next scan or key replaces it"


def test_a_refused_scan_is_told_beside_a_fault(
    qtbot: QtBot, open_window: Any, make_engine: Any, scanner: Scanner
) -> None:
    """Issue 15, point 18."""
    engine = make_engine()
    window = open_window(engine)
    engine.emit(StateChanged(State.ERROR, LOST.text))
    engine.emit(LOST)
    qtbot.waitUntil(lambda: window.situation.fault is not None, timeout=20000)
    scanner.scan(window.panels.part_id, "SN-7")
    assert "Refused part id 'SN-7'" in window.panels.notice.text()
    assert window.panels.notice.isVisible()
    assert LOST.text in window.panels.faults.text.text()
    assert window.panels.part_id.text() == "SN-7"


def test_a_scan_with_the_focus_on_a_button_is_caught_and_presses_nothing(
    qtbot: QtBot, open_window: Any, make_engine: Any, good_inspection: Inspection, scanner: Scanner
) -> None:
    """Issue 15, point 18: blanks, Enter and function keys in a burst press no button."""
    engine = make_engine(good_inspection)
    window = open_window(engine)
    QApplication.processEvents()
    window.panels.stop_button.setFocus()
    scanner.scan(window.panels.stop_button, "SN 0001")
    wait_for_verdict(qtbot, window)
    assert engine.calls == ["start SN 0001"]
    assert window.panels.stop_button.isDown() is False


def test_a_function_key_inside_a_scan_triggers_nothing_and_the_scan_is_refused(
    open_window: Any, make_engine: Any, scanner: Scanner
) -> None:
    """Issue 15, point 18: a scanner may send the separator of GS1 labels as F8, which is RESET."""
    engine = make_engine(is_homed=False)
    window = open_window(engine)
    field = window.panels.part_id
    scanner.scan(field, "0104012345", end=None)
    scanner.key(field, Qt.Key.Key_F8)
    for character in "21SN7":
        scanner.key(field, ord(character), character)
    scanner.key(field, Qt.Key.Key_Return, "\r")
    assert "a key that is no character" in window.panels.notice.text()
    assert engine.calls == []
    assert not window.situation.is_resetting


def test_a_person_still_presses_a_button_with_the_space_bar_and_types_from_anywhere(
    qtbot: QtBot, open_window: Any, make_engine: Any, scanner: Scanner
) -> None:
    """Issue 15, point 18: only what comes as fast as a scanner is a scan."""
    engine = make_engine(is_homed=False)
    window = open_window(engine)
    button = window.panels.reset_button
    button.setFocus()
    scanner.key(button, Qt.Key.Key_Space, " ", gap_ms=3000)
    qtbot.waitUntil(lambda: engine.calls == ["reset"], timeout=20000)
    qtbot.waitUntil(lambda: window.situation.can_start, timeout=20000)
    window.panels.stop_button.setFocus()
    scanner.type(window.panels.stop_button, "A")
    assert window.panels.part_id.text() == "A"
    assert window.panels.part_id.hasFocus()


def test_a_scan_that_is_held_up_once_keeps_its_beginning_and_one_in_pieces_is_refused(
    qtbot: QtBot, open_window: Any, make_engine: Any, good_inspection: Inspection, scanner: Scanner
) -> None:
    """Issue 15, point 18: an id must not lose its first keys because the machine was busy for a moment."""
    engine = make_engine(good_inspection)
    window = open_window(engine)
    QApplication.processEvents()
    field = window.panels.part_id
    scanner.type(field, "A")
    scanner.type(field, "B")
    scanner.scan(field, "", end=None)
    scanner.key(field, ord("S"), "S", gap_ms=5000)
    for character in "N-":
        scanner.key(field, ord(character), character)
    scanner.key(field, ord("1"), "1", gap_ms=120)
    for character in "23":
        scanner.key(field, ord(character), character)
    scanner.key(field, Qt.Key.Key_Return, "\r")
    wait_for_verdict(qtbot, window)
    assert engine.calls == ["start SN-123"]
    scanner.type(field, "half")
    for character in "SN-9":
        scanner.key(field, ord(character), character)
    scanner.key(field, Qt.Key.Key_Return, "\r")
    assert "came in pieces" in window.panels.notice.text()
    assert engine.calls == ["start SN-123"]


@pytest.mark.parametrize("label", ["SN-4711", "SN-47"])
def test_a_scan_whose_enter_is_late_replaces_what_was_typed_and_is_whole(
    qtbot: QtBot, open_window: Any, make_engine: Any, good_inspection: Inspection, scanner: Scanner, label: str
) -> None:
    """Issue 15, point 18: half an id and the scan behind it became one id; the scan's last keys may be late, too."""
    engine = make_engine(good_inspection)
    window = open_window(engine)
    QApplication.processEvents()
    field = window.panels.part_id
    scanner.type(field, "SN-0")
    scanner.scan(field, label[:4], end=None)
    scanner.key(field, ord(label[4]), label[4], gap_ms=120)
    for character in label[5:]:
        scanner.key(field, ord(character), character)
    scanner.key(field, Qt.Key.Key_Return, "\r", gap_ms=120)
    wait_for_verdict(qtbot, window)
    assert engine.calls == [f"start {label}"]


@pytest.mark.parametrize(("prefix", "gap_ms"), [("", 200.0), ("]C1", 200.0), ("]C1", 30.0)])
def test_a_key_that_was_typed_just_before_a_scan_is_no_part_of_the_id(
    open_window: Any, make_engine: Any, scanner: Scanner, prefix: str, gap_ms: float
) -> None:
    """Issue 15, point 18: such a scan is refused; with a prefix even where the key was as fast as a scanner's."""
    engine = make_engine()
    window = open_window(engine, ScannerKeys(prefix=prefix))
    QApplication.processEvents()
    field = window.panels.part_id
    scanner.key(field, ord("X"), "X", gap_ms=5000)
    label = f"{prefix}SN-4"
    scanner.key(field, ord(label[0]), label[0], gap_ms=gap_ms)
    for character in label[1:]:
        scanner.key(field, ord(character), character)
    scanner.key(field, Qt.Key.Key_Return, "\r")
    assert "mixed with typing" in window.panels.notice.text()
    assert (repr(prefix) in window.panels.notice.text()) == bool(prefix)
    assert engine.calls == []


def test_prefix_and_suffix_of_the_scanner_are_taken_off(
    qtbot: QtBot, open_window: Any, make_engine: Any, good_inspection: Inspection, scanner: Scanner
) -> None:
    """Issue 15, point 18."""
    engine = make_engine(good_inspection)
    window = open_window(engine, ScannerKeys(prefix="]C1", suffix="tab"))
    QApplication.processEvents()
    scanner.scan(window.panels.part_id, "]C1SN-4", end=Qt.Key.Key_Tab)
    wait_for_verdict(qtbot, window)
    assert engine.calls == ["start SN-4"]


def test_markup_in_a_part_id_is_shown_as_it_is(
    qtbot: QtBot, open_window: Any, make_engine: Any, good_inspection: Inspection, scanner: Scanner
) -> None:
    """Issue 15, point 18: no label, and no tool tip, takes foreign text for markup."""
    marked = "<h1>PASS</h1>"
    window = open_window(make_engine(replace(good_inspection, part_id=marked)))
    scanner.scan(window.panels.part_id, marked)
    wait_for_verdict(qtbot, window)
    assert marked in window.panels.viewing.text()
    for label in window.findChildren(QLabel):
        assert label.textFormat() is Qt.TextFormat.PlainText or "<" not in label.text(), label.objectName()
    for widget in (window.panels.banner, window.panels.viewing, window.panels.faults.text):
        assert "<h1>" not in widget.toolTip()


def test_an_id_that_was_inspected_before_needs_a_second_start(
    qtbot: QtBot, open_window: Any, make_engine: Any, good_inspection: Inspection, failed_inspection: Any, scanner: Any
) -> None:
    """Issue 15, point 18: a second scan does not confirm it, for scanners read twice."""
    engine = make_engine(good_inspection)
    engine.finished = [replace(failed_inspection, part_id="SN-1")]
    window = open_window(engine)
    QApplication.processEvents()
    for _ in range(2):
        scanner.scan(window.panels.part_id, "SN-1")
        qtbot.waitUntil(lambda: not window.situation.is_starting, timeout=20000)
        assert "'SN-1' was inspected before: FAIL" in window.panels.notice.text()
        assert engine.calls == []
    window.panels.start_button.click()
    wait_for_verdict(qtbot, window)
    assert engine.calls == ["start SN-1"]
    assert window.panels.banner.content.lines[0].endswith(", attempt 2")


def test_a_part_that_was_undecided_is_inspected_again_without_a_question(
    qtbot: QtBot,
    open_window: Any,
    make_engine: Any,
    good_inspection: Inspection,
    undecided_inspection: Any,
    scanner: Any,
) -> None:
    """Issue 15, point 18: that is what the window asks for."""
    engine = make_engine(good_inspection)
    engine.finished = [replace(undecided_inspection, part_id="SN-1")]
    window = open_window(engine)
    QApplication.processEvents()
    scanner.scan(window.panels.part_id, "SN-1")
    wait_for_verdict(qtbot, window)
    assert engine.calls == ["start SN-1"]
    assert window.panels.banner.content.lines[0].endswith(", attempt 2")


# -- 19: STOP at rest, and the highest score -------------------------------------------------------------------------


def test_stop_at_rest_costs_neither_reset_nor_homing(qtbot: QtBot, open_window: Any, make_engine: Any) -> None:
    """Issue 15, point 19."""
    engine = make_engine()
    window = open_window(engine)
    qtbot.waitUntil(lambda: window.situation.can_start, timeout=20000)
    window.panels.stop_button.click()
    qtbot.waitUntil(lambda: bool(engine.calls), timeout=20000)
    assert engine.calls == ["stop"]
    assert window.situation.can_start
    assert "nothing was running" in window.panels.notice.text()


def test_after_a_stopped_part_stop_and_reset_lead_to_a_clear_cell(
    qtbot: QtBot, open_window: Any, make_engine: Any, undecided_inspection: Inspection
) -> None:
    """Issue 15, point 19: the window said KEEP OUT, RESET was refused, and nothing else was named.

    The STOP that ended the part is over with its verdict: once the cell is clear, STOP costs nothing again.
    """
    engine = make_engine()
    window = open_window(engine)
    events = run_of(undecided_inspection)
    for event in events[:3]:
        engine.emit(event)
    qtbot.waitUntil(lambda: window.situation.is_busy, timeout=20000)
    window.panels.stop_button.click()
    qtbot.waitUntil(lambda: engine.calls == ["stop"], timeout=20000)
    for event in events[-2:]:
        engine.emit(event)
    qtbot.waitUntil(lambda: window.situation.can_start, timeout=20000)
    way_out = "To take the part out: STOP (F12), then RESET (F8)."
    for _ in ("the verdict", "what comes next"):
        assert banner_of(window.situation).keep_out
        assert any(way_out in line for line in banner_of(window.situation).lines)
        window.verbs.reset()
        assert "press STOP (F12) first" in window.panels.notice.text()
        window.situation.turn_to_the_next()
    window.panels.stop_button.click()
    qtbot.waitUntil(lambda: engine.calls == ["stop", "abort"], timeout=20000)
    engine.emit(StateChanged(State.HALTED, "aborted by the operator"))
    qtbot.waitUntil(lambda: window.situation.can_reset, timeout=20000)
    window.panels.reset_button.click()
    qtbot.waitUntil(lambda: window.situation.can_start, timeout=20000)
    assert not window.panels.banner.content.keep_out
    window.panels.stop_button.click()
    qtbot.waitUntil(lambda: engine.calls == ["stop", "abort", "reset", "stop"], timeout=20000)


def test_highest_means_against_the_limit_in_the_same_words_everywhere(
    make_inspection: Callable[..., Inspection], qtbot: QtBot, open_window: Any, make_engine: Any, scanner: Scanner
) -> None:
    """Issue 15, point 19: the view with the greatest figure is another one than the view nearest to its limit."""
    inspection = make_inspection({"top": 1.2, "front": 1.0, "right": 0.9, "back": 0.8, "left": 0.7})
    views = tuple(replace(v, limit=1.05) if v.view == "front" else v for v in inspection.views)
    inspection = replace(inspection, views=views, deciding_view="front")
    window = open_window(make_engine(inspection))
    scanner.scan(window.panels.part_id, "SN-1")
    wait_for_verdict(qtbot, window)
    assert "highest against its limit: front, score 1, limit 1.05" in window.panels.banner.content.lines
    assert "highest score" not in every_word(window).lower()
    header = window.panels.history.horizontalHeaderItem(3)
    assert header is not None
    assert header.text() == "highest against limit"
    assert "highest against its limit" in window.panels.tiles.tiles["front"].accessibleName()
    assert "highest against its limit" not in window.panels.tiles.tiles["top"].accessibleName()


# -- a part that is not stored ---------------------------------------------------------------------------------------


def test_a_part_that_is_not_stored_is_no_pass_and_the_true_verdict_comes_once_it_is(
    qtbot: QtBot, open_window: Any, make_engine: Any, good_inspection: Inspection, scanner: Scanner
) -> None:
    """Issue 15, point 2, at the window: UNDECIDED and NOT STORED with the remedy, START refused, then "stored now"."""
    engine = make_engine()
    window = open_window(engine)
    for event in run_of(good_inspection)[:-1]:
        engine.emit(event)
    engine.emit(ResultReady(good_inspection, "", is_stored=False))
    qtbot.waitUntil(lambda: window.situation.result is not None, timeout=20000)
    content = window.panels.banner.content
    assert content.kind is BannerKind.UNDECIDED
    assert any(line.startswith("NOT STORED") for line in content.lines)
    assert any("What to do: free the disk" in line for line in content.lines)
    assert "NOT STORED" in window.panels.faults.text.text()
    assert not window.panels.start_button.isEnabled()
    scanner.scan(window.panels.part_id, "SN-2")
    assert "the last part is not stored. What to do:" in window.panels.notice.text()
    assert engine.calls == []
    engine.emit(ResultReady(good_inspection, "archive/0001"))
    qtbot.waitUntil(lambda: window.panels.banner.content.kind is BannerKind.PASS, timeout=20000)
    assert window.panels.banner.content.lines[0] == "part P-0001, stored now"
    assert window.panels.start_button.isEnabled()


def test_an_error_that_ends_with_the_storing_leaves_the_true_verdict_and_no_fault(good_inspection: Inspection) -> None:
    """Issue 15, point 2, at the window: the engine stands in Error meanwhile, and nothing moves when it ends."""
    why = "the last inspection is not stored: disk full"
    unstored = replace(
        good_inspection,
        verdict=Verdict.UNDECIDED,
        reasons=(Reason(ReasonKind.NOT_STORED, "is not stored: disk full", "free the disk"),),
    )
    waiting = situation_after(
        *run_of(good_inspection)[:-2],
        StateChanged(State.ERROR, why),
        Fault(why, "free the disk"),
        ResultReady(unstored, "", is_stored=False),
    )
    banner = banner_of(waiting)
    assert (banner.kind, banner.keep_out) == (BannerKind.UNDECIDED, True)
    assert "NOT STORED: is not stored: disk full" in banner.lines
    assert not waiting.can_start
    for event in (ResultReady(good_inspection, "archive/0001"), StateChanged(State.READY)):
        waiting.take(event)
    banner = banner_of(waiting)
    assert (banner.kind, banner.keep_out) == (BannerKind.PASS, False)
    assert banner.lines[0] == "part P-0001, stored now"
    assert strip_of(waiting).text == "No fault"
    assert waiting.can_start


def test_a_part_that_is_stored_late_ends_no_other_parts_job(
    good_inspection: Inspection, failed_inspection: Inspection
) -> None:
    """Issue 15, point 2, at the window."""
    running = situation_after(StateChanged(State.SINGLE_EXECUTION), JobStarted("0002", failed_inspection.part_id, 5))
    running.take(ResultReady(good_inspection, "archive/0001"))
    assert running.is_busy
    assert banner_of(running).kind is BannerKind.INSPECTING
    assert running.notice == "Part P-0001: PASS, stored now"


def test_the_strip_is_quiet_only_where_nothing_is_wrong(good_inspection: Inspection) -> None:
    """Issue 15, points 14 and 17."""
    assert strip_of(situation_after()).kind is StripKind.QUIET
    assert strip_of(situation_after(*run_of(good_inspection))).text == "No fault"
    for state in (State.ERROR, State.HALTED):
        assert strip_of(situation_after(StateChanged(state, "why"))).kind is StripKind.FAULT
    assert "No fault" not in strip_of(Situation()).text
