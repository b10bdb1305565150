"""The operator's window: what the station does, the verdict, and START, STOP and RESET.

`window` connects `verbs` (what the operator asks of the engine) and `display` (which inspection is shown) with the
`widgets`, which are arranged by `layout`. `situation` folds the engine's events into one state. Only `bridge` crosses
threads: nothing in the Qt thread waits for a device, the model or the disk.

Importing this package needs no Qt; opening the window does.
"""

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
    scan_prefix: str = "",
    scan_suffix: str = "enter",
    presses_reset: bool = False,
) -> int:
    """Open the window; returns when it is closed, with 0, or with 3 if a screenshot shows no result.

    Nothing moves before the operator presses RESET; `presses_reset` does so at once, for a simulated rig. Prefix and
    suffix (enter or tab) are what the scanner sends around a label.

    With `screenshot` the window is drawn offscreen and inspects one part. It writes itself as a PNG of 1920 x 1080 px
    once the result is on it, or a fault is, or `timeout_s` is over. Then it closes.
    Raises ConsoleUnavailable, naming the packages to install, where Qt cannot run.
    """
    require_qt(is_offscreen=screenshot is not None)
    from station.console.app import open_window, write_screenshot
    from station.console.scan_filter import ScannerKeys

    if screenshot is None:
        scanner = ScannerKeys(scan_prefix, scan_suffix)
        return open_window(engine, station_name=station_name, scanner=scanner, presses_reset=presses_reset)
    return write_screenshot(engine, screenshot, part_id=part_id, timeout_s=timeout_s, station_name=station_name)
