"""The service around an engine: it listens, hands events on, shows its pages, and gives signs of life.

It commands nothing by itself. What a client asks for is asked of the engine on a thread of the client's own.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Protocol

from drivers.private_socket import PrivateServer, turn_away, write_private
from station.engine.events import Event, Listener, State
from station.service.hub import Hub
from station.service.log_lines import log_event
from station.service.metrics import Metrics
from station.service.pages import TEXT, Page, Pages, json_page
from station.service.previews import Previews
from station.service.protocol import line_of
from station.service.pulse import Pulse
from station.service.session import Core, Session
from station.service.systemd import SystemdNotifier

log = logging.getLogger(__name__)

MOST_CLIENTS = 16
SOCKET_NAME = "service"
LOOK_EVERY_S = 1.0
_NO_TOKEN = {"kind": "protocol", "text": "the token is missing or wrong: the first 64 bytes are the address's token"}
_FULL = {"kind": "protocol", "text": f"{MOST_CLIENTS} clients are connected, and no more are taken: close one"}


class Served(Protocol):
    """What is served: an engine that brings each listener up to date. Its verbs are those of `verbs.TABLE`."""

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Give the listener the present, then every event; returns what ends the subscription."""
        ...


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """Where the service listens and shows its pages, and how it is named in both."""

    folder: Path  # mode 0700, for the socket
    address_file: Path
    http_port: int | None  # None: no pages; 0: the system chooses
    about: Mapping[str, str]  # rig, recipe, archive, version ...
    over_tcp: bool = False


class Service:
    """May be started once. `close` leaves the engine as it is."""

    def __init__(
        self, engine: Served, options: ServiceOptions, pulse: Pulse, metrics: Metrics, notifier: SystemdNotifier
    ) -> None:
        """Raises PortTaken."""
        self._engine = engine
        self._options = options
        self._pulse, self._metrics, self._notifier = pulse, metrics, notifier
        self._hub, self._previews = Hub(), Previews()
        self._ending, self._closed = threading.Event(), threading.Event()
        self._core = Core(
            engine, self._hub, self._previews, pulse, options.about, self._ending,
            lambda _reason: metrics.client_dropped(),
        )  # fmt: skip
        self._server = PrivateServer(
            options.folder, SOCKET_NAME, self._serve, over_tcp=options.over_tcp, refusal=_refusal(_NO_TOKEN)
        )
        self._pages = None if options.http_port is None else Pages(self._pages_by_path(), options.http_port)
        self._unsubscribe: Callable[[], None] = lambda: None
        self._signs = threading.Thread(target=self._give_signs, name="signs of life", daemon=True)

    @property
    def http_port(self) -> int | None:
        """Where the pages are."""
        return None if self._pages is None else self._pages.port

    @property
    def context(self) -> dict[str, str]:
        """The part and the state of this moment, for every line of the log."""
        part = self._hub.part
        return {"state": self._hub.state, "part_id": part.part_id, "inspection_id": part.inspection_id}

    def start(self) -> str:
        """Listen; returns the address, which is also in the address file. Raises OSError."""
        self._metrics.about(**self._options.about)
        self._metrics.watch("facet_clients", "Connected clients.", lambda: self._hub.clients)
        self._metrics.watch("facet_operator", "1 while a client is the operator.", lambda: self._hub.has_operator)
        self._metrics.watch("facet_alive", "1 while the engine's threads answer.", lambda: not self._pulse.why_dead())
        self._previews.start()
        self._unsubscribe = self._engine.subscribe(self._take)
        if self._pages is not None:
            self._pages.start()
        address = self._server.start()
        write_private(self._options.address_file, f"{address}\n")
        self._signs.start()
        self._notifier.ready("listening")
        return address

    def begin_to_end(self, reason: str) -> None:
        """Refuse every verb from now on, and say so to every client and to systemd."""
        self._ending.set()
        self._notifier.stopping()
        self._hub.say_farewell(reason)

    def close(self) -> None:
        """Close every connection and withdraw the address; a second call does nothing."""
        if self._closed.is_set():
            return
        self._ending.set()
        self._closed.set()
        self._options.address_file.unlink(missing_ok=True)
        self._server.close()
        self._unsubscribe()
        self._previews.close()
        if self._pages is not None:
            self._pages.close()
        if self._signs.is_alive():
            self._signs.join()

    def _take(self, event: Event) -> None:
        """Runs on the engine's threads: everything here is a few dozen microseconds."""
        self._pulse.take(event)
        self._previews.take(event)  # before the hub: a client asks for a view's pictures once it has heard of it
        self._hub.take(event)
        self._metrics.take(event)
        log_event(event)

    def _serve(self, connection: socket.socket) -> None:
        if self._hub.clients >= MOST_CLIENTS:
            turn_away(connection, _refusal(_FULL))
            return
        Session(connection, self._core).run()

    def _pages_by_path(self) -> dict[str, Callable[[], Page]]:
        return {
            "/health": self._health,
            "/ready": self._ready,
            "/metrics": lambda: (HTTPStatus.OK, TEXT, self._metrics.text()),
        }

    def _health(self) -> Page:
        """200 while the engine's threads answer, in whatever state: a new start would mend nothing else."""
        not_alive = self._pulse.why_dead()
        status = HTTPStatus.SERVICE_UNAVAILABLE if not_alive else HTTPStatus.OK
        return json_page(status, {"is_alive": not not_alive, "not_alive": not_alive, **self._hub.status()})

    def _ready(self) -> Page:
        """200 while parts can be inspected: in Ready, and while one is."""
        is_ready = self._hub.state in (State.READY, State.SINGLE_EXECUTION) and not self._ending.is_set()
        status = HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE
        return json_page(status, {"is_ready": is_ready, **self._hub.status()})

    def _give_signs(self) -> None:
        """To systemd, as long as the engine's threads answer. What does not answer is logged once."""
        limit_s = self._notifier.watchdog_s
        every_s = LOOK_EVERY_S if limit_s is None else min(LOOK_EVERY_S, limit_s / 3)
        said = told = ""
        while not self._closed.wait(every_s):
            not_alive = self._pulse.why_dead()
            if not not_alive:
                self._notifier.alive()
            elif not said:
                log.critical("the engine does not answer: %s", not_alive)
            said = not_alive
            part = self._hub.part.part_id
            status = not_alive or f"{self._hub.state}{f', part {part}' if part else ''}, {self._hub.clients} clients"
            if status != told:
                self._notifier.status(status)
                told = status


def _refusal(error: Mapping[str, str]) -> bytes:
    return line_of({"id": None, "ok": False, "error": error})
