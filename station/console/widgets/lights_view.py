"""For the engineer: each light over the last inspections, its level and its residual, with the limits as lines."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from PyQt6.QtWidgets import QGridLayout, QSizePolicy, QVBoxLayout, QWidget

from station.console.widgets.controls import wrapping_label
from station.console.widgets.light_chart import LightChart
from station.console.widgets.light_strip import warning_text
from station.inspection.causes import Cause
from station.lights.trend import LightHistory
from station.lights.warning import LightWarning

_MOST_COLUMNS = 6
_LEGEND = (
    "Upper curve: the light's level against the other lights, in % of what it was at first. Lower curve: its residual "
    "when it is left out of the solution, over {basis}. Dashed: the limits for the median of the last parts. "
    "`station lights-trend` prints the figures."
)


class LightsView(QWidget):
    """One chart a light. Above them stands in words which lights need attention, or that none does."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("lightsView")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.charts: dict[str, LightChart] = {}
        self.words = wrapping_label("lightWords", 16)
        self.legend = wrapping_label("lightLegend", 14)
        self._grid = QGridLayout()
        self._grid.setSpacing(4)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.words)
        layout.addLayout(self._grid, 1)
        layout.addWidget(self.legend)
        self._shown: tuple[object, ...] = ()
        self.show_lights((), ())

    def show_lights(
        self,
        histories: Sequence[LightHistory],
        warnings: Sequence[LightWarning],
        causes: Sequence[Cause] = (),
        expected_views: int = 0,
    ) -> None:
        """Show every light of the recipe. Warnings that were acknowledged stand here as long as they hold.

        `causes` are those of the last part that are about lights, found in its `expected_views` or in some of them:
        what spoiled a verdict stands out here too.
        """
        if self._shown == (histories, warnings, causes):
            return  # the window asks for this at every step of an inspection
        self._shown = (histories, warnings, causes)
        self._make_charts([history.light for history in histories])
        flagged = {warning.light for warning in warnings} | {cause.light for cause in causes}
        for history in histories:
            self.charts[history.light].show_history(history, is_flagged=history.light in flagged)
        found = [_cause_text(cause, expected_views) for cause in causes]
        lines = [*found, *map(warning_text, warnings)]
        self.words.setText("\n".join(lines) or _span_text(histories))
        basis = next((history.residual_basis for history in histories if history.residual_basis), "")
        self.legend.setText(_LEGEND.format(basis=basis))
        self.legend.setVisible(bool(basis))

    def _make_charts(self, lights: Sequence[str]) -> None:
        """One chart a light, in rows of six at most; they stay as long as the lights are the same."""
        if list(self.charts) == list(lights):
            return
        for chart in self.charts.values():
            self._grid.removeWidget(chart)
            chart.deleteLater()
        self.charts = {light: LightChart(light) for light in lights}
        rows = ceil(len(lights) / _MOST_COLUMNS)
        columns = ceil(len(lights) / rows) if rows else 1
        for number, chart in enumerate(self.charts.values()):
            self._grid.addWidget(chart, number // columns, number % columns)


def _cause_text(cause: Cause, expected_views: int) -> str:
    remedy = f" What to do: {cause.remedy}." if cause.remedy else ""
    return f"Last part: {cause.sentence(expected_views)}.{remedy}"


def _span_text(histories: Sequence[LightHistory]) -> str:
    """How many parts the curves cover and from when to when."""
    times = histories[0].times if histories else ()
    if not times:
        return "No part of this recipe has light levels in the archive yet."
    first, last = (f"{when.astimezone():%d %b %H:%M}" for when in (times[0], times[-1]))
    return f"No light stands out. The last {len(times)} parts, {first} to {last}."
