"""Adapts the engine to what the console expects of it (`station/console/engine_port.py`)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from drivers.errors import DeviceError
from station.engine.engine import Engine
from station.engine.events import Listener, StateChanged
from station.inspection.result import HistoryRow, Inspection


class EngineAdapter:
    """An engine that keeps its recipe over a reset and brings each new listener up to date.

    The console opens and closes with its window, so it may subscribe after the recipe was prepared.
    """

    def __init__(self, engine: Engine, recipe: Path) -> None:
        self._engine = engine
        self._recipe = recipe

    def begin(self) -> None:
        """Open the devices and prepare the first recipe.

        Returns quietly after a device fault: the engine has reported it as an event and is in state Error,
        from which the operator resets. For the recipe it raises what `Engine.prepare_recipe` raises.
        """
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
        """Reset the engine, and prepare the recipe where the engine had none to prepare again."""
        self._engine.reset()
        if not self._engine.is_prepared:
            self._engine.prepare_recipe(self._recipe)

    def prepare_recipe(self, path: Path) -> None:
        """Prepare another recipe; a later reset comes back to this one, even if it was refused here."""
        self._recipe = path
        self._engine.prepare_recipe(path)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Send every event from now on; before returning, send recipe, state and lights as they stand."""
        unsubscribe = self._engine.subscribe(listener)
        prepared = self._engine.prepared_event()
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
