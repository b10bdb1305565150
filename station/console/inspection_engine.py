"""All that the console needs of the engine: verbs in, events out, and the archive's records to look at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from station.engine.events import Listener
from station.inspection.result import HistoryRow, Inspection


class InspectionEngine(Protocol):
    """What inspects the parts, as the console sees it: a real station, a simulated one, or a test's stand-in.

    Verbs may block and may raise. The console calls each from a worker thread: `stop` and `abort` from one, `reset`
    and `start_single_job` from one each, those from `pause` to `skip_to_verdict` from another. Events may come from
    any thread.
    """

    def read_recipe(self) -> None:
        """Read the recipe's files without asking any device; the outcome comes as RecipeRead. Raises BadInput."""
        ...

    def start_single_job(self, part_id: str) -> object:
        """Inspect one part; the outcome comes as events. Raises unless the engine is ready.

        The events StateChanged to SingleExecution and JobStarted have been emitted by the time this returns.
        """
        ...

    def stop(self) -> None:
        """Stop at the next safe point; the part becomes UNDECIDED. Does nothing while no part is inspected."""
        ...

    def abort(self) -> None:
        """Hold the arm and switch the lights off now, also while it homes. A part becomes UNDECIDED; homing is due."""
        ...

    def pause(self, *, now: bool = False) -> None:
        """Pause after this view; `now` at the next step, and the view is taken again. Raises without a part."""
        ...

    def resume(self) -> None:
        """Go on after a pause. Raises without a part."""
        ...

    def retake_view(self) -> None:
        """Take the present view again, whole; the outcome comes as ViewRetaken. Raises without a part."""
        ...

    def skip_to_verdict(self) -> None:
        """Take no further frame: UNDECIDED, unless a complete view FAILs. Raises without a part."""
        ...

    def reset(self) -> None:
        """Leave Preoperational, Halted or Error once a person has looked: open lost devices, home, prepare the recipe.

        Raises while a part is inspected, and when `abort` ends it. A recipe that cannot be used is refused before
        anything moves.
        """
        ...

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Give the listener every event from now on; returns what ends the subscription.

        Before it returns it gives the listener the present situation: RecipePrepared or RecipeRead as far as there is
        a recipe, StateChanged, and the Fault that still stands.
        """
        ...

    def history(self, limit: int, part_id: str | None = None) -> list[HistoryRow]:
        """The latest inspections, newest first; those of one part if it is named."""
        ...

    def load(self, inspection_id: str) -> Inspection:
        """One inspection from the archive, with its pictures. Raises if it is damaged or not there."""
        ...
