"""The present situation as the events that lead to it: what a client hears first, whenever it comes.

A window that comes in the middle of a part hears that part from its beginning, so it stands where all others stand.
Nothing is added: each event was reported by the engine, and they keep their order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from station.engine.events import (
    Event,
    Fault,
    JobStarted,
    LightsWatched,
    RecipePrepared,
    RecipeRead,
    ResultReady,
    RoomWatched,
    State,
    StateChanged,
    ViewJudged,
)
from station.inspection.result import inspection_without_pictures, without_pictures

_LASTING = (RecipeRead, RecipePrepared, LightsWatched, RoomWatched)  # each replaces itself
MOST_FAULTS = 20  # kept of those with different texts


@dataclass(frozen=True, slots=True)
class Part:
    """The running part, or the last one."""

    part_id: str = ""
    inspection_id: str = ""


class Present:
    """Folds events. Its owner sees to it that one thread at a time uses it."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self.state, self.reason = State.PREOPERATIONAL, ""
        self.part = Part()
        self.verdict = ""  # of the last part; empty while one runs
        self.fault: Fault | None = None

    def events(self) -> tuple[Event, ...]:
        """What leads a newcomer to the present, without pictures."""
        return tuple(self._events)

    def take(self, event: Event) -> None:
        """Enter one event, and let go of what it makes past."""
        if isinstance(event, StateChanged):
            self._enter(event)
        elif isinstance(event, JobStarted):
            self._begin(event)
        elif isinstance(event, RecipeRead | RecipePrepared):
            self._drop(lambda e: isinstance(e, RecipeRead | RecipePrepared))
        elif isinstance(event, LightsWatched | RoomWatched):
            self._drop(lambda e: type(e) is type(event))
        elif isinstance(event, Fault):
            self._fail(event)
        elif isinstance(event, ResultReady):
            event = ResultReady(inspection_without_pictures(event.inspection), event.archive_folder, event.is_stored)
            if event.inspection.inspection_id == self.part.inspection_id:
                self.verdict = event.inspection.verdict.value
        elif isinstance(event, ViewJudged):
            event = ViewJudged(event.inspection_id, without_pictures(event.result))
        self._events.append(event)

    def _begin(self, job: JobStarted) -> None:
        """The last part is past. What remains of it is the state in which it left the station."""
        self.part, self.verdict, self.fault = Part(job.part_id, job.inspection_id), "", None
        states = [e for e in self._events if isinstance(e, StateChanged)][-2:]
        self._drop(lambda e: not (isinstance(e, _LASTING) or any(e is state for state in states)))

    def _enter(self, event: StateChanged) -> None:
        """A reset makes the last part's frames and views past. A state that comes again replaces itself."""
        self.state, self.reason = event.state, event.reason
        if event.state is State.PREOPERATIONAL:
            self._drop(lambda e: not isinstance(e, (*_LASTING, ResultReady, Fault)))
        elif event.state is State.INITIALIZED:
            self.fault = None
            self._drop(lambda e: isinstance(e, Fault))
        states = [e for e in self._events if isinstance(e, StateChanged)]
        if states and states[-1] == event:
            self._drop(lambda e: e is states[-1])

    def _fail(self, event: Fault) -> None:
        self.fault = event
        self._drop(lambda e: e == event)
        faults = [e for e in self._events if isinstance(e, Fault)]
        if len(faults) >= MOST_FAULTS:
            self._drop(lambda e: e is faults[0])

    def _drop(self, is_past: Callable[[Event], bool]) -> None:
        self._events = [event for event in self._events if not is_past(event)]
