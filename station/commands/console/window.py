"""Opens the operator's window on an engine of its own; without a rig file, on a simulated rig."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from drivers.simulated.config import SimulatedRigConfig
from station.commands.console.engine_adapter import EngineAdapter
from station.commands.inspect.ready_engine import opened_archive
from station.console.inspection_engine import InspectionEngine
from station.console.requirements import ConsoleUnavailable, has_display, require_qt
from station.engine.engine import Engine
from station.inspection.part_id import check_part_id
from station.recipe.demo import DEMO_RECIPES
from station.rig.owner import owned_rig
from station.rig.simulated import running_rig

YIELDS_BY = 5  # of an attached window's priority: drawing must not take the cores that the judge needs


@dataclass(frozen=True, slots=True)
class ConsoleOptions:
    """How the window is opened: on a screen, or into the file `screenshot` with the part `part_id` on it."""

    screenshot: Path | None = None
    part_id: str = ""
    scan_prefix: str = ""
    scan_suffix: str = "enter"
    presses_reset: bool = False


def start_console(rig: Path | None, recipe: Path | None, out: Path, options: ConsoleOptions) -> int:
    """Run the window until it is closed and return the console's exit code; the archive is `out/archive`.

    The window is there before a device is opened: the operator starts the homing, and can stop it. For a screenshot
    the same buttons are pressed by the program; then part id, recipe and rig file are refused before it is drawn.
    Raises ConsoleUnavailable before anything is started, and BadInput for a screenshot.
    """
    is_screenshot = options.screenshot is not None
    require_qt(is_offscreen=is_screenshot)
    if is_screenshot:
        check_part_id(options.part_id)
    with ExitStack() as stack:
        if rig is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="facet-rig-")))
            _, rig = stack.enter_context(running_rig(folder, SimulatedRigConfig()))
        stack.enter_context(owned_rig(rig, "the operator's window"))
        store = stack.enter_context(opened_archive(out / "archive", "the operator's window"))
        engine = Engine(rig, store)
        stack.callback(engine.close)
        port = EngineAdapter(engine, recipe if recipe is not None else DEMO_RECIPES / "connector.yaml", rig)
        if is_screenshot:
            port.read_recipe()
        return _run(port, options)


def attach_console(address: str | None, options: ConsoleOptions, *, takes_over: bool, only_looks_on: bool) -> int:
    """Run the window on a service that runs already; returns as `start_console` does. The service goes on afterwards.

    Raises ConsoleUnavailable, NoService, AddressRefused, NotTheOperator.
    """
    require_qt(is_offscreen=options.screenshot is not None)
    if options.screenshot is not None:
        check_part_id(options.part_id)
    from station.service.address import address_of
    from station.service.client import ServiceClient

    if hasattr(os, "nice"):
        os.nice(YIELDS_BY)
    client = ServiceClient(lambda: address_of(address), only_looks_on=only_looks_on, takes_over=takes_over)
    try:
        looks_on = ", looks on" if only_looks_on else ""
        return _run(client, options, f"{client.about['rig']} (service{looks_on})")
    finally:
        client.close()


def _run(port: InspectionEngine, options: ConsoleOptions, station_name: str = "Facet") -> int:
    from station.console import run_console

    return run_console(
        port,
        screenshot=options.screenshot,
        part_id=options.part_id,
        station_name=station_name,
        scan_prefix=options.scan_prefix,
        scan_suffix=options.scan_suffix,
        presses_reset=options.presses_reset,
    )


def open_console_where_possible(recipe: Path, out: Path) -> None:
    """Open the window on a simulated rig and home it; without a screen print why not and what to do instead."""
    if not has_display():
        print("no screen here: `station console --screenshot FILE` draws the operator's window into a file")
        return
    try:
        start_console(None, recipe, out, ConsoleOptions(presses_reset=True))
    except ConsoleUnavailable as unavailable:
        print(f"the console cannot open: {unavailable}", file=sys.stderr)
