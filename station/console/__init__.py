"""The operator's window. Importing this package needs no Qt; opening the window does."""

from __future__ import annotations

from pathlib import Path

from station.console.inspection_engine import InspectionEngine
from station.console.requirements import ConsoleUnavailable, require_qt

__all__ = ["ConsoleUnavailable", "InspectionEngine", "run_console"]


def run_console(
    engine: InspectionEngine,
    *,
    screenshot: Path | None = None,
    part_id: str = "",
    timeout_s: float = 300.0,
    station_name: str = "Facet",
) -> int:
    """Open the window and return when it is closed: 0, or 3 if a screenshot shows a fault instead of a result.

    With `screenshot` the window is drawn offscreen, inspects one part, writes itself as a PNG of
    1920 x 1080 once the result is on it (or a fault, or `timeout_s` is over), and closes.
    Raises ConsoleUnavailable, naming the packages to install, where Qt cannot run.
    """
    require_qt(is_offscreen=screenshot is not None)
    from station.console.app import open_window, write_screenshot

    if screenshot is None:
        return open_window(engine, part_id=part_id, station_name=station_name)
    return write_screenshot(engine, screenshot, part_id=part_id, timeout_s=timeout_s, station_name=station_name)
