"""A running service as the console's engine: the same methods and events as an engine in the window's own process.

Events come over the service's connection. What is archived is read from the archive itself, so that looking at old
parts costs the service nothing. A lost service is reported as Error, and looked for again until `close`; once it is
back the present comes as events.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from station.archive import Archive
from station.engine.events import Event, Fault, JobStarted, Listener, ResultReady, State, StateChanged, ViewJudged
from station.errors import BadInput, StationFault
from station.inspection.result import HistoryRow, Inspection, ViewResult
from station.service.link import Link, LinkLost, Reply
from station.service.operator_place import NotTheOperator
from station.service.previews import with_preview
from station.service.protocol import ENDING, OPERATOR, NotTheProtocol, event_of

log = logging.getLogger(__name__)

RECONNECT_EVERY_S = 1.0
LOST = "LOST: {problem}; whether a part is in the machine is not known here"
LOST_ACTION = (
    "look at the cell; see whether the service runs (station ctl status): this window attaches again by itself"
)
VIEWER = "the service's verbs belong to {operator}: this window looks on"


class ServiceClient:
    """Implements `station.console.inspection_engine.InspectionEngine`. One listener at a time."""

    def __init__(
        self, address: Callable[[], str], name: str = "", *, only_looks_on: bool = False, takes_over: bool = False
    ) -> None:
        """Connect; `address` is asked again at each attempt, because a service that was restarted may have moved.

        A client that does not only look on takes the operator's place, if it is free, with its first verb.
        `takes_over` takes it at once from whoever has it. Raises NoService, NotTheProtocol, NotTheOperator.
        """
        self._address = address
        self._name = name or f"window of process {os.getpid()}"
        self._only_looks_on = only_looks_on
        self._listener: Listener | None = None
        self._queue: SimpleQueue[dict[str, Any] | threading.Event | str | None] = SimpleQueue()
        self._pictured: set[tuple[str, str]] = set()  # (inspection, view) whose pictures the listener has got
        self._closing = threading.Event()
        self._archive: Archive | None = None
        self._archive_lock = threading.Lock()
        self._is_operator = False
        self.operator: str | None = None  # who has the operator's place
        self._link = self._opened()
        if takes_over and not only_looks_on:
            self.take_place(is_takeover=True)
        self._deliverer = threading.Thread(target=self._deliver_all, name="service events", daemon=True)
        self._deliverer.start()
        self._keeper = threading.Thread(target=self._keep_up, name="service link", daemon=True)
        self._keeper.start()

    # -- what the console asks ---------------------------------------------------------------

    @property
    def ends_with_its_window(self) -> bool:
        """The service outlives its windows: closing one stops nothing."""
        return False

    @property
    def about(self) -> dict[str, Any]:
        """Rig, recipe, archive and version of the service."""
        return self._link.about

    def read_recipe(self) -> None:
        """The service has read it when it began; RecipeRead or RecipePrepared is among the first events."""

    def start_single_job(self, part_id: str) -> str:
        return str(self.do("start", part_id=part_id))

    def stop(self) -> None:
        self.do("stop")

    def abort(self) -> None:
        self.do("abort")

    def pause(self, *, now: bool = False) -> None:
        self.do("pause-now" if now else "pause")

    def resume(self) -> None:
        self.do("resume")

    def retake_view(self) -> None:
        self.do("retake-view")

    def skip_to_verdict(self) -> None:
        self.do("skip-to-verdict")

    def reset(self) -> None:
        self.do("reset")

    def do(self, verb: str, **arguments: str) -> object:
        """Ask for a verb of `station.service.verbs`, and return the service's answer once it has ended.

        Raises RefusedByService, FaultOfService, NotTheOperator, LinkLost.
        """
        if self._only_looks_on:
            raise NotTheOperator(f"{verb}: this client only looks on; attach another one without --look-on")
        if not self._is_operator:
            self.take_place(is_takeover=False)
        answer = self._link.ask("do", None, verb=verb, arguments=arguments).result.get("answer")
        self._wait_for_delivery()
        return answer

    def take_place(self, *, is_takeover: bool) -> None:
        """Become the operator. Raises NotTheOperator if another client is, unless its place is to be taken over."""
        self._link.ask("take", takeover=is_takeover)
        self._is_operator = True

    def release_place(self) -> None:
        """Be the operator no more."""
        self._link.ask("release")
        self._is_operator = False

    def status(self) -> dict[str, Any]:
        """The service's own short account of the present."""
        return self._link.ask("status").result

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Give the listener the present, before this returns, and then every event. Raises LinkLost."""
        if self._listener is not None:
            raise StationFault("this client has a listener already: make another client for another one")
        self._listener = listener
        try:
            self._link.ask("subscribe")
        except StationFault:
            self._listener = None
            raise
        self._wait_for_delivery()

        def leave() -> None:
            self._listener = None

        return leave

    def history(self, limit: int, part_id: str | None = None) -> list[HistoryRow]:
        return self._opened_archive().history(limit, part_id)

    def load(self, inspection_id: str) -> Inspection:
        return self._opened_archive().load(inspection_id)

    def close(self) -> None:
        """Disconnect; the service goes on. The operator's place, if this client had it, is free."""
        self._closing.set()
        self._link.close()
        self._keeper.join()
        self._queue.put(None)
        self._deliverer.join()
        with self._archive_lock:
            if self._archive is not None:
                self._archive.close()

    # -- inside ------------------------------------------------------------------------------

    def _opened(self) -> Link:
        return Link(self._address(), self._name, self._queue.put)

    def _opened_archive(self) -> Archive:
        """The service's archive, for reading. Raises ArchiveError."""
        with self._archive_lock:
            if self._archive is None:
                self._archive = Archive.open(Path(str(self.about["archive"])), read_only=True)
            return self._archive

    def _wait_for_delivery(self) -> None:
        """Return once the listener has got all that came before; a listener that calls from within does not wait."""
        if threading.current_thread() is not self._deliverer:
            delivered = threading.Event()
            self._queue.put(delivered)
            delivered.wait()

    def _keep_up(self) -> None:
        """Wait for the link's end, report it, and connect again until that succeeds."""
        while True:
            self._link.ended.wait()
            if self._closing.is_set():
                return
            self._is_operator, self.operator = False, None
            self._queue.put(self._link.problem)
            while not self._connected_again():
                if self._closing.wait(RECONNECT_EVERY_S):
                    return

    def _connected_again(self) -> bool:
        try:
            self._link = self._opened()
            if self._listener is not None:
                self._link.ask("subscribe")
        except (BadInput, StationFault) as error:
            log.info("the service is not back yet: %s", error)
            return False
        if self._closing.is_set():
            self._link.close()
        return True

    def _deliver_all(self) -> None:
        """Hand on what has come, in its order. A view's pictures are fetched before it is handed on."""
        while (found := self._queue.get()) is not None:
            try:
                if isinstance(found, threading.Event):
                    found.set()
                elif isinstance(found, str):
                    self._deliver_loss(found)
                else:
                    self._deliver(found)
            except Exception:  # a listener that fails, or an event of another version
                log.exception("an event of the service was not delivered")

    def _deliver_loss(self, problem: str) -> None:
        text = LOST.format(problem=problem)
        self._hand_on(StateChanged(State.ERROR, text))
        self._hand_on(Fault(text, LOST_ACTION))

    def _deliver(self, content: dict[str, Any]) -> None:
        if content["event"] == OPERATOR:
            data = content["data"]
            self._is_operator, self.operator = bool(data["is_you"]), data["operator"]
        elif content["event"] == ENDING:
            log.warning("the service is ending: %s", content["data"])
        elif (event := event_of(content)) is not None:
            self._hand_on(self._with_pictures(event))

    def _hand_on(self, event: Event) -> None:
        listener = self._listener
        if listener is not None:
            listener(event)

    def _with_pictures(self, event: Event) -> Event:
        if isinstance(event, JobStarted):
            self._pictured.clear()
        elif isinstance(event, ViewJudged):
            self._pictured.add((event.inspection_id, event.result.view))
            return replace(event, result=self._pictured_view(event.inspection_id, event.result))
        elif isinstance(event, ResultReady):
            name = event.inspection.inspection_id
            views = tuple(
                view if (name, view.view) in self._pictured else self._pictured_view(name, view)
                for view in event.inspection.views
            )
            return replace(event, inspection=replace(event.inspection, views=views))
        return event

    def _pictured_view(self, inspection_id: str, result: ViewResult) -> ViewResult:
        """The view with its pictures, as far as the service still has them."""
        try:
            reply: Reply = self._link.ask("pictures", inspection_id=inspection_id, view=result.view)
            return with_preview(result, reply.result, reply.data)
        except (LinkLost, NotTheProtocol) as error:
            log.warning("view %s: shown without pictures: %s", result.view, error)
            return result
