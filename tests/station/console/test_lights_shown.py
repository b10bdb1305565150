"""A light that drifts is reported beside the verdict until it is well or acknowledged; its curves can be seen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from PyQt6.QtCore import QEvent, Qt
from PyQt6.QtWidgets import QApplication, QPushButton
from pytestqt.qtbot import QtBot

from station.console.banner import BannerKind
from station.console.pictures import Mode
from station.console.situation import Situation
from station.console.widgets import theme
from station.console.widgets.light_curves import level_curve, residual_curve
from station.console.widgets.lights_view import LightsView
from station.console.window import ConsoleWindow
from station.engine.events import LightsWatched
from station.inspection.result import Inspection
from station.lights.trend import LightHistory
from station.lights.warning import LightWarning

SINCE = datetime(2026, 11, 24, 13, 2, tzinfo=UTC)
WEAK = LightWarning("L90", "level", "Light L90 is 15% weaker than it was", "wipe its window", SINCE)
KNOCKED = LightWarning("L45", "stands out", "Light L45 no longer fits the other lights", "see its holder", None)


def history(light: str, levels: tuple[float | None, ...], *, is_diffuse: bool = False) -> LightHistory:
    times = tuple(SINCE + timedelta(minutes=k) for k in range(len(levels)))
    if is_diffuse:
        return LightHistory(light, times, levels, (None,) * len(levels), "", None)
    return LightHistory(light, times, levels, (1.0,) * len(levels), "that of the median light", 1.8)


HISTORIES = (history("L45", (1.0, 1.01, 1.0)), history("L90", (1.0, None, 0.85)), history("diffuse", (1.0, 1.0, 1.0)))


def watched(*warnings: LightWarning) -> LightsWatched:
    return LightsWatched("housing", "0002", warnings, HISTORIES)


@pytest.fixture
def window(qtbot: QtBot, make_engine: Any, failed_inspection: Inspection) -> Any:
    """A window whose part has failed, and its engine."""
    engine = make_engine(failed_inspection)
    made = ConsoleWindow(engine)
    made.resize(1280, 800)
    with qtbot.waitExposed(made):
        made.show()
    made.verbs.start("P-1")
    qtbot.waitUntil(lambda: made.is_settled and not made.situation.is_busy, timeout=20000)
    yield made, engine
    made.close()
    made.deleteLater()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def test_a_warning_names_light_drift_time_and_remedy_beside_the_verdict(qtbot: QtBot, window: Any) -> None:
    made, engine = window
    strip = made.panels.light_strip
    assert not strip.isVisible()
    engine.emit(watched(WEAK, KNOCKED))
    qtbot.waitUntil(strip.isVisible)
    text = strip.text.text()
    local = SINCE.astimezone().strftime("%d %b %H:%M")
    assert f"Light L90 is 15% weaker than it was, since {local}. What to do: wipe its window." in text
    assert "1 more" in text
    assert "L45" in strip.text.toolTip()
    banner = made.panels.banner
    assert banner.content.kind is BannerKind.FAIL
    assert banner.isVisible()
    assert not strip.geometry().intersects(banner.geometry())
    assert made.panels.faults.text.text() == "No fault", "a drifting light is no fault"
    assert all(b.height() >= theme.TOUCH_PX and b.width() >= theme.TOUCH_PX for b in strip.findChildren(QPushButton))


def test_it_stays_until_it_is_acknowledged_and_comes_back_only_once_it_was_over(qtbot: QtBot, window: Any) -> None:
    made, engine = window
    strip = made.panels.light_strip
    engine.emit(watched(WEAK))
    qtbot.waitUntil(strip.isVisible)
    engine.emit(watched(WEAK))  # after the next part
    button = strip.findChild(QPushButton, "acknowledgeLights")
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert not strip.isVisible()
    assert made.panels.lights_button.text().endswith("(1)"), "it still holds"
    engine.emit(watched(WEAK))
    engine.emit(watched(WEAK, KNOCKED))
    qtbot.waitUntil(strip.isVisible)
    assert strip.text.text().startswith("Light L45"), "only what is new"
    engine.emit(watched())
    qtbot.waitUntil(lambda: not strip.isVisible())
    assert made.panels.lights_button.text() == "LIGHTS  F7"
    engine.emit(watched(WEAK))
    qtbot.waitUntil(strip.isVisible)


def test_what_is_over_is_forgotten_with_its_acknowledgement() -> None:
    situation = Situation()
    situation.take(watched(WEAK, KNOCKED))
    situation.acknowledge_lights()
    assert situation.light_warnings == ()
    situation.take(watched(KNOCKED))
    situation.take(watched(WEAK, KNOCKED))
    assert situation.light_warnings == (WEAK,)


def test_the_lights_curves_stand_where_the_pictures_were_and_the_verdict_stays(qtbot: QtBot, window: Any) -> None:
    made, engine = window
    engine.emit(watched(WEAK))
    qtbot.waitUntil(made.panels.light_strip.isVisible)
    qtbot.mouseClick(made.panels.light_strip.findChild(QPushButton, "showLights"), Qt.MouseButton.LeftButton)
    view = made.panels.lights
    assert view.isVisible()
    assert made.panels.banner.isVisible()
    assert made.panels.stop_button.isVisible()
    assert list(view.charts) == ["L45", "L90", "diffuse"]
    assert "level 85.0% of what it was" in view.charts["L90"].accessibleName()
    assert "stands out" in view.charts["L90"].accessibleName()
    assert "15% weaker" in view.words.text()
    made.display.show_mode(Mode.IMAGE)
    assert not view.isVisible()
    assert made.panels.detail.isVisible()
    qtbot.mouseClick(made.panels.lights_button, Qt.MouseButton.LeftButton)
    made.display.select_view("top")
    assert made.panels.detail.isVisible()


def test_limits_are_lines_of_the_curves_and_what_is_beyond_them_is_marked(qtbot: QtBot) -> None:
    level = level_curve(HISTORIES[1])
    assert level.limits == (0.98, 1.02)
    assert level.low < 0.85
    assert [level.is_beyond(v) for v in (0.85, 0.99, 1.06)] == [True, False, True]
    residual = residual_curve(HISTORIES[1])
    assert residual is not None
    assert (residual.limits, residual.is_beyond(0.1), residual.is_beyond(1.9)) == ((1.8,), False, True)
    assert residual_curve(history("diffuse", (1.0,), is_diffuse=True)) is None
    view = LightsView()
    qtbot.addWidget(view)
    view.show_lights(HISTORIES, (WEAK,))
    view.resize(900, 300)
    chart = view.charts["L90"]
    chart.resize(280, 200)
    image = chart.grab().toImage()
    pixels = np.array([[image.pixel(x, y) & 0xFFFFFF for x in range(image.width())] for y in range(image.height())])
    amber = int(theme.AMBER.name()[1:], 16)
    assert np.count_nonzero(pixels[10:-10, 10:-10] == amber) > 20, "the point beyond the limit is marked"


def test_without_parts_the_curves_say_so(qtbot: QtBot) -> None:
    view = LightsView()
    qtbot.addWidget(view)
    assert "No part of this recipe" in view.words.text()
    view.show_lights(HISTORIES, ())
    assert "No light stands out. The last 3 parts" in view.words.text()
