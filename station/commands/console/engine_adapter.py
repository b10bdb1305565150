"""Adapts the engine to what the console expects of it (`station/console/inspection_engine.py`)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from station.engine.engine import Engine, NotNow
from station.engine.events import Listener, RecipeRead, State, StateChanged
from station.engine.preparation import RecipeFiles, read_recipe_files
from station.inspection.result import HistoryRow, Inspection
from station.rig.file import load_rig


class EngineAdapter:
    """An engine that keeps its recipe over a reset and brings each new listener up to date.

    Nothing is opened and nothing moves before `reset` is called: the console is there first.
    """

    def __init__(self, engine: Engine, recipe: Path, rig: Path) -> None:
        self._engine = engine
        self._recipe = recipe
        self._rig = rig
        self._read: RecipeRead | None = None
        self._listeners: list[Listener] = []
        self._lock = threading.Lock()  # of the list above and of the count below
        self._aborts = 0

    @property
    def ends_with_its_window(self) -> bool:
        return True

    def read_recipe(self) -> None:
        """Read recipe, model and rig file; RecipeRead brings what they say.

        Raises DocumentError, ModelRefused, naming file and field.
        """
        self._read_files()

    def start_single_job(self, part_id: str) -> str:
        return self._engine.start_single_job(part_id)

    def stop(self) -> None:
        self._engine.stop()

    def abort(self) -> None:
        with self._lock:
            self._aborts += 1
        self._engine.abort()

    def pause(self, *, now: bool = False) -> None:
        self._engine.pause(now=now)

    def resume(self) -> None:
        self._engine.resume()

    def retake_view(self) -> None:
        self._engine.retake_view()

    def skip_to_verdict(self) -> None:
        self._engine.skip_to_verdict()

    def reset(self) -> None:
        """Reset the engine; where no recipe is prepared, read it anew first and prepare it afterwards.

        A recipe that cannot be used is refused before the arm moves. An abort that came while the files were being
        read counts, though the engine knew of no reset by then.
        """
        if self._engine.is_prepared:
            self._engine.reset()
            return
        aborts = self._aborts
        files = self._read_files()
        if self._aborts != aborts:
            raise NotNow("broken off by STOP before the arm moved; press RESET again")
        self._engine.reset()
        if not self._engine.is_prepared:
            self._engine.prepare_recipe(files)

    def prepare_recipe(self, path: Path) -> None:
        """Prepare another recipe; a later reset comes back to this one, even if it was refused here."""
        self._recipe = path
        self._engine.prepare_recipe(path)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Send every event from now on; before returning, send recipe, state, standing fault and lights."""
        unsubscribe = self._engine.subscribe(listener)
        with self._lock:
            self._listeners.append(listener)
        recipe = self._engine.prepared_event() or self._read
        if recipe is not None:
            listener(recipe)
        listener(StateChanged(self._engine.state, self._engine.state_reason))
        fault = self._engine.standing_fault
        if fault is not None:
            listener(fault)
        room = self._engine.room_event()
        if room is not None:
            listener(room)
        lights = self._engine.lights_event()
        if lights is not None:
            listener(lights)

        def leave() -> None:
            with self._lock:
                self._listeners.remove(listener)
            unsubscribe()

        return leave

    def history(self, limit: int, part_id: str | None = None) -> list[HistoryRow]:
        return self._engine.history(limit, part_id)

    def load(self, inspection_id: str) -> Inspection:
        return self._engine.load(inspection_id)

    def _read_files(self) -> RecipeFiles:
        rig_file = load_rig(self._rig)
        files = read_recipe_files(self._recipe, rig_file.inference)
        recipe = files.loaded.recipe
        self._read = RecipeRead(
            recipe_id=recipe.recipe_id,
            product=recipe.product,
            views=tuple(v.name for v in recipe.viewpoints),
            limits=tuple(v.limit for v in recipe.viewpoints),
            model_id=files.detector.model_id,
            is_simulated=rig_file.simulated,
            release=files.release,
        )
        if self._engine.state is State.PREOPERATIONAL:
            self._emit(self._read)
        return files

    def _emit(self, event: RecipeRead) -> None:
        with self._lock:
            listeners = tuple(self._listeners)
        for listener in listeners:
            listener(event)
