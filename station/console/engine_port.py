"""All that the console knows of the engine: verbs in, events out, and the archive's records to look at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from station.engine.events import Listener
from station.inspection.result import HistoryRow, Inspection


class EnginePort(Protocol):
    """The engine as the console sees it.

    Verbs may block and may raise; the console calls each from a worker thread: `stop` and `abort`
    from one, `reset` and `start_single_job` from one each. Events may come from any thread.
    """

    def start_single_job(self, part_id: str) -> object:
        """Inspect one part; the outcome comes as events. Refused, by an exception, unless ready.

        StateChanged to SingleExecution and JobStarted are told before this returns, at the latest.
        """
        ...

    def stop(self) -> None:
        """Stop at the next safe point; the part becomes UNDECIDED. Nothing happens when nothing runs."""
        ...

    def abort(self) -> None:
        """Hold the arm and put the lights out now, homing included; a part becomes UNDECIDED, homing is demanded."""
        ...

    def reset(self) -> None:
        """Leave Halted or Error after a person has looked: open what was lost, home, be ready again.

        Refused, by an exception, while a part is inspected; broken off, likewise, by `abort`.
        """
        ...

    def prepare_recipe(self, path: Path) -> None: ...

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Tell the listener every event from now on; returns what ends that.

        Before it returns it tells the listener where things stand: StateChanged, and
        RecipePrepared if a recipe is prepared.
        """
        ...

    def history(self, limit: int) -> list[HistoryRow]:
        """The latest inspections, newest first."""
        ...

    def load(self, inspection_id: str) -> Inspection:
        """One inspection from the archive, with its pictures."""
        ...
