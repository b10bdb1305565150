"""One client's connection: its requests, answered one after the other; a verb runs on a thread of its own."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from drivers.errors import DeviceError, FeatureMissing, OutOfTravel
from station.errors import BadInput, StationFault
from station.inspection.part_id import visible
from station.service.hub import Hub
from station.service.lines import Lines
from station.service.operator_place import NotTheOperator
from station.service.outbox import Outbox
from station.service.previews import Previews
from station.service.protocol import MAXIMUM_REQUEST_BYTES, PROTOCOL, NotTheProtocol, content_of, line_of
from station.service.pulse import Pulse
from station.service.verbs import TABLE, checked_arguments, verb_named

log = logging.getLogger(__name__)

MOST_VERBS = 8  # of one client, under way at the same time
NAME_LENGTH = 80


@dataclass(frozen=True, slots=True)
class Core:
    """What all connections share. `engine` has the methods that `verbs.TABLE` names."""

    engine: object
    hub: Hub
    previews: Previews
    pulse: Pulse
    about: Mapping[str, object]  # rig, recipe, archive, version: what `hello` and `status` say of the service
    is_ending: threading.Event
    dropped: Callable[[str], None]  # called with the reason whenever a client was dropped


class Session:
    """Answers one client until it goes, is dropped, or the service ends."""

    def __init__(self, connection: socket.socket, core: Core) -> None:
        self._core = core
        self._name = "a client"
        self._is_greeted = False
        self._running = threading.BoundedSemaphore(MOST_VERBS)
        self._outbox = Outbox(connection, self._was_dropped)
        self._lines = Lines(connection, MAXIMUM_REQUEST_BYTES)
        self._key = core.hub.join(self._outbox)
        self._requests: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "hello": self._hello,
            "status": lambda _: self._status(),
            "verbs": lambda _: {"verbs": [{"usage": verb.usage(), "help": verb.help} for verb in TABLE]},
            "take": self._take,
            "release": self._release,
        }

    def run(self) -> None:
        """Returns once the connection has ended."""
        self._outbox.start()
        try:
            while (raw := self._lines.line()) is not None:
                if raw.strip():
                    self._answer(raw)
        except NotTheProtocol as error:
            self._refuse(None, error)
        finally:
            self._core.hub.leave(self._key)
            self._outbox.close()

    def _answer(self, raw: bytes) -> None:
        """One line. What cannot be answered is refused with a sentence, and the connection stays open."""
        request = content_of(raw)
        number, kind = request.get("id"), request.get("request")
        try:
            if not self._is_greeted and kind != "hello":
                raise NotTheProtocol('the first request must be {"request": "hello", "protocol": 1, "client": NAME}')
            if kind == "subscribe":
                self._core.hub.subscribe(self._key, _reply(number, {}))
            elif kind == "do":
                self._do(number, request)
            elif kind == "pictures":
                self._in_a_thread(lambda: self._pictures(number, request))
            elif isinstance(kind, str) and kind in self._requests:
                self._outbox.put(_reply(number, self._requests[kind](request)))
            else:
                known = ", ".join([*self._requests, "subscribe", "do", "pictures"])
                raise NotTheProtocol(f"there is no request {str(kind)[:40]!r}; there are {known}")
        except (BadInput, StationFault) as error:
            self._refuse(number, error)

    def _hello(self, request: dict[str, Any]) -> dict[str, Any]:
        if request.get("protocol") != PROTOCOL:
            found = str(request.get("protocol"))[:20]
            raise NotTheProtocol(
                f"this service speaks protocol {PROTOCOL}, the client {found}: install the same version of both"
            )
        self._is_greeted = True
        self._name = visible(str(request.get("client") or "a client without a name"))[:NAME_LENGTH]
        return {"protocol": PROTOCOL, **self._core.about}

    def _status(self) -> dict[str, Any]:
        not_alive = self._core.pulse.why_dead()
        return {**self._core.hub.status(), **self._core.about, "is_alive": not not_alive, "not_alive": not_alive}

    def _take(self, request: dict[str, Any]) -> dict[str, Any]:
        self._core.hub.take_place(self._key, self._name, is_takeover=request.get("takeover") is True)
        return {"operator": self._name}

    def _release(self, _request: dict[str, Any]) -> dict[str, Any]:
        self._core.hub.release_place(self._key)
        return {}

    def _do(self, number: object, request: dict[str, Any]) -> None:
        """Check the verb now, run it on a thread of its own: `stop` must not wait for a `reset` that homes the arm."""
        verb = verb_named(request.get("verb"))
        arguments = checked_arguments(verb, request.get("arguments", {}))
        self._core.hub.require_operator(self._key, verb.name)
        if self._core.is_ending.is_set():
            raise StationFault(f"{verb.name}: the service is ending; start it again first")
        method: Callable[..., object] = getattr(self._core.engine, verb.method)

        def run() -> None:
            log.info("%s asks for %s %s", self._name, verb.name, arguments or "")
            with self._core.pulse.verb(verb.name):
                found = method(**verb.fixed, **arguments)
            self._outbox.put(_reply(number, {"answer": found if isinstance(found, str) else None}))

        self._in_a_thread(lambda: self._guarded(number, run))

    def _guarded(self, number: object, run: Callable[[], None]) -> None:
        try:
            run()
        except (BadInput, StationFault, DeviceError, OSError) as error:
            self._refuse(number, error)
        except Exception as error:  # a foreign driver, or a defect of this program: the client must hear of it
            log.exception("a verb broke off")
            self._refuse(number, error)

    def _in_a_thread(self, work: Callable[[], None]) -> None:
        if not self._running.acquire(blocking=False):
            raise StationFault(f"{MOST_VERBS} requests of this client are under way: wait for their replies")

        def run() -> None:
            try:
                work()
            finally:
                self._running.release()

        threading.Thread(target=run, name="client's request", daemon=True).start()

    def _pictures(self, number: object, request: dict[str, Any]) -> None:
        found = self._core.previews.of_view(str(request.get("inspection_id")), str(request.get("view")))
        if found is None:
            self._outbox.put(_reply(number, {"arrays": []}))
            return
        pieces = list(found.pieces())
        size = sum(len(piece) for piece in pieces)
        self._outbox.put(_reply(number, found.head(), binary=size), *pieces)

    def _refuse(self, number: object, error: Exception) -> None:
        kind = _kind_of(error)
        text = str(error) if kind != "program fault" else f"{type(error).__name__}: {error}"
        self._outbox.put(line_of({"id": number, "ok": False, "error": {"kind": kind, "text": text}}))

    def _was_dropped(self, reason: str) -> None:
        log.warning("%s was dropped: %s", self._name, reason)
        self._core.dropped(reason)


def _reply(number: object, result: Mapping[str, Any], **head: Any) -> bytes:
    return line_of({"id": number, "ok": True, **head, "result": result})


def _kind_of(error: Exception) -> str:
    if isinstance(error, BadInput | OutOfTravel | FeatureMissing):
        return "bad input"
    if isinstance(error, NotTheOperator):
        return "not the operator"
    if isinstance(error, NotTheProtocol):
        return "protocol"
    return "fault" if isinstance(error, StationFault | DeviceError | OSError) else "program fault"
