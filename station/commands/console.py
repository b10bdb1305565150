"""Open the operator's window on an engine of its own; without a rig file, on a simulated rig."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from drivers.errors import DeviceError
from drivers.simulated.config import SimulatedRigConfig
from station.archive import Archive
from station.console.requirements import require_qt
from station.engine.engine import Engine
from station.engine.events import Listener, RecipePrepared, StateChanged
from station.inspection.result import HistoryRow, Inspection
from station.recipe.demo import DEMO_RECIPES
from station.rig.simulated import running_rig


class ConsoleEngine:
    """The engine as the console wants it: it opens with the window, and tells a new listener where it stands."""

    def __init__(self, engine: Engine, recipe: Path) -> None:
        self._engine = engine
        self._recipe = recipe

    def begin(self) -> None:
        """Open the devices and prepare the first recipe. Device faults have been told as events."""
        try:
            self._engine.initialize()
        except DeviceError:
            return
        self._engine.prepare_recipe(self._recipe)

    def start_single_job(self, part_id: str) -> None:
        self._engine.start_single_job(part_id)

    def stop(self) -> None:
        self._engine.stop()

    def abort(self) -> None:
        self._engine.abort()

    def reset(self) -> None:
        self._engine.reset()
        if not self._engine.is_prepared:
            self._engine.prepare_recipe(self._recipe)

    def prepare_recipe(self, path: Path) -> None:
        self._recipe = path
        self._engine.prepare_recipe(path)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        unsubscribe = self._engine.subscribe(listener)
        prepared: RecipePrepared | None = self._engine.prepared_event()
        if prepared is not None:
            listener(prepared)
        listener(StateChanged(self._engine.state, self._engine.state_reason))
        lights = self._engine.lights_event()
        if lights is not None:
            listener(lights)
        return unsubscribe

    def history(self, limit: int) -> list[HistoryRow]:
        return self._engine.history(limit)

    def load(self, inspection_id: str) -> Inspection:
        return self._engine.load(inspection_id)


def start_console(rig: Path | None, recipe: Path | None, out: Path, screenshot: Path | None, part_id: str) -> int:
    """Returns the console's exit code. Raises ConsoleUnavailable before anything is started."""
    require_qt(is_offscreen=screenshot is not None)
    from station.console import run_console

    with ExitStack() as stack:
        if rig is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="facet-rig-")))
            _, rig = stack.enter_context(running_rig(folder, SimulatedRigConfig()))
        store = stack.enter_context(Archive.open(out / "archive"))
        engine = Engine(rig, store)
        stack.callback(engine.close)
        port = ConsoleEngine(engine, recipe if recipe is not None else DEMO_RECIPES / "connector.yaml")
        port.begin()
        return run_console(port, screenshot=screenshot, part_id=part_id)
