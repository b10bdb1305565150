"""Opens the operator's window on an engine of its own; without a rig file, on a simulated rig."""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from drivers.simulated.config import SimulatedRigConfig
from station.commands.console.engine_adapter import EngineAdapter
from station.commands.inspect.ready_engine import opened_archive
from station.console.requirements import ConsoleUnavailable, has_display, require_qt
from station.engine.engine import Engine
from station.recipe.demo import DEMO_RECIPES
from station.rig.simulated import running_rig


def start_console(rig: Path | None, recipe: Path | None, out: Path, screenshot: Path | None, part_id: str) -> int:
    """Run the window until it is closed and return the console's exit code; the archive is `out/archive`.

    With `screenshot` one part, `part_id`, is inspected without a screen and the window is drawn into that file.
    Raises ConsoleUnavailable before anything is started.
    """
    require_qt(is_offscreen=screenshot is not None)
    from station.console import run_console

    with ExitStack() as stack:
        if rig is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="facet-rig-")))
            _, rig = stack.enter_context(running_rig(folder, SimulatedRigConfig()))
        store = stack.enter_context(opened_archive(out / "archive", "the operator's window"))
        engine = Engine(rig, store)
        stack.callback(engine.close)
        port = EngineAdapter(engine, recipe if recipe is not None else DEMO_RECIPES / "connector.yaml")
        port.begin()
        return run_console(port, screenshot=screenshot, part_id=part_id)


def open_console_where_possible(recipe: Path, out: Path) -> None:
    """Open the window on a simulated rig if there is a screen; otherwise print why not and what to do instead."""
    if not has_display():
        print("no screen here: `station console --screenshot FILE` draws the operator's window into a file")
        return
    try:
        start_console(None, recipe, out, None, "")
    except ConsoleUnavailable as unavailable:
        print(f"the console cannot open: {unavailable}", file=sys.stderr)
