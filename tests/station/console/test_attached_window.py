"""The operator's window on a service: killed and reopened in mid-cycle, and two windows at once (issue 12)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PyQt6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot
from served_bench import Gate, ServedBench

from station.console.window import ConsoleWindow
from station.engine.events import State
from station.inspection.result import Verdict
from station.service.client import ServiceClient

WAIT_MS = 30_000


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedBench]:
    bench = ServedBench(tmp_path, monkeypatch)
    yield bench
    bench.close()


def opened(client: ServiceClient) -> ConsoleWindow:
    window = ConsoleWindow(client)
    window.resize(1280, 800)
    window.show()
    return window


def closed(*windows: ConsoleWindow) -> None:
    for window in windows:
        window.close()
        window.deleteLater()
    QApplication.processEvents()


def test_a_window_reopened_in_mid_cycle_shows_the_running_part_and_agrees_with_the_other_one(
    qtbot: QtBot, served: ServedBench
) -> None:
    gate = Gate()
    served.bench.acts["judge.judge"] = gate
    first, other = opened(served.client("first")), opened(served.client("other"))
    qtbot.waitUntil(lambda: first.situation.can_start and other.situation.can_start, timeout=WAIT_MS)
    first.panels.part_id.setText("P-1")
    first.panels.start_button.click()
    qtbot.waitUntil(lambda: other.situation.job is not None and gate.reached.is_set(), timeout=WAIT_MS)
    closed(first)
    assert served.engine.state is State.SINGLE_EXECUTION, "closing the window stopped the part"
    reopened = opened(served.client("reopened"))
    qtbot.waitUntil(lambda: reopened.situation.job is not None, timeout=WAIT_MS)
    assert reopened.situation.job == other.situation.job
    assert not reopened.situation.can_start
    gate.may_go.set()
    windows = (reopened, other)
    qtbot.waitUntil(lambda: all(w.is_settled and not w.situation.is_busy for w in windows), timeout=WAIT_MS)
    for window in windows:
        assert window.situation.result is not None
        assert window.situation.result.verdict is Verdict.PASS
        assert window.panels.banner.content.word == "PASS"
        assert set(window.shown.pictures) == {"top", "left"}
        assert all(pictures.heat is not None for pictures in window.shown.pictures.values())
    closed(*windows)


def test_a_window_that_is_not_the_operator_is_refused_with_the_name_of_who_is(
    qtbot: QtBot, served: ServedBench
) -> None:
    operator = served.client("cell 3, left screen")
    operator.stop()
    window = opened(served.client())
    qtbot.waitUntil(lambda: window.situation.can_start, timeout=WAIT_MS)
    window.panels.part_id.setText("P-1")
    window.panels.start_button.click()
    qtbot.waitUntil(lambda: window.situation.fault is not None, timeout=WAIT_MS)
    assert window.situation.fault is not None
    assert "cell 3, left screen" in window.situation.fault.text
    assert not served.bench.results()
    closed(window)


def test_a_window_says_that_the_service_is_lost_and_recovers_with_it(
    qtbot: QtBot, served: ServedBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("station.service.client.RECONNECT_EVERY_S", 0.02)
    window = opened(served.client())
    qtbot.waitUntil(lambda: window.situation.can_start, timeout=WAIT_MS)
    served.service.close()
    qtbot.waitUntil(lambda: window.situation.state is State.ERROR, timeout=WAIT_MS)
    assert window.situation.fault is not None
    assert "LOST" in window.situation.fault.text
    assert not window.situation.can_start
    served.listen()
    qtbot.waitUntil(lambda: window.situation.can_start, timeout=WAIT_MS)
    assert window.situation.fault is None
    closed(window)
