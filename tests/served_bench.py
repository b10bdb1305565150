"""A service around the engine of `engine_bench`: real sockets and threads, stand-in devices, parts of milliseconds."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engine_bench import WAIT_S, Bench

from drivers.private_socket import connect
from station.commands.console.engine_adapter import EngineAdapter
from station.engine.events import Event
from station.service.client import ServiceClient
from station.service.metrics import Metrics
from station.service.pulse import Pulse
from station.service.server import Service, ServiceOptions
from station.service.systemd import SystemdNotifier


class ServedBench:
    """Ready, listening, with pages; `over_tcp` as on Windows."""

    def __init__(
        self,
        folder: Path,
        patch: pytest.MonkeyPatch,
        *,
        over_tcp: bool = False,
        notifier: SystemdNotifier | None = None,
    ) -> None:
        self.bench = Bench(folder, patch)
        self.engine = self.bench.engine
        self.adapter = EngineAdapter(self.engine, folder / "recipe.yaml", folder / "rig.yaml")
        self.pulse, self.metrics = Pulse(lambda: self.engine.watch_silent_s), Metrics()
        self.notifier = notifier or SystemdNotifier("", "")
        self.over_tcp = over_tcp
        self.folder = folder
        self.clients: list[ServiceClient] = []
        self.listen()

    def listen(self) -> None:
        """Serve, once more after `service.close`."""
        about = {"rig": "bench", "recipe": "r1", "archive": str(self.bench.root), "version": "0"}
        options = ServiceOptions(self.folder, self.folder / "bench.address", 0, about, self.over_tcp)
        self.metrics = Metrics()
        self.service = Service(self.adapter, options, self.pulse, self.metrics, self.notifier)
        self.address = self.service.start()

    def client(self, name: str = "a window", **options: bool) -> ServiceClient:
        self.clients.append(ServiceClient(lambda: self.address, name, **options))
        return self.clients[-1]

    def raw(self, address: str = "") -> Wire:
        return Wire(connect(address or self.address, WAIT_S))

    def close(self) -> None:
        self.bench.acts.clear()
        for client in self.clients:
            client.close()
        self.service.close()
        self.bench.close()


class Wire:
    """The protocol by hand, as a program of another language would speak it."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.connection.settimeout(WAIT_S)
        self.lines = connection.makefile("rb")

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.lines.close()
        self.connection.close()

    def send(self, **request: Any) -> None:
        self.connection.sendall(json.dumps(request).encode() + b"\n")

    def hear(self) -> dict[str, Any]:
        """The next line that is no sign of life; an empty one is passed over."""
        while (raw := self.lines.readline()) != b"":
            if raw.strip() and (content := json.loads(raw)).get("event") != "Alive":
                return content
        return {"closed": True}

    def ask(self, **request: Any) -> dict[str, Any]:
        self.send(id=1, **request)
        while "event" in (content := self.hear()):
            continue
        return content

    def greet(self, name: str = "a program") -> dict[str, Any]:
        return self.ask(request="hello", protocol=1, client=name)


class Gate:
    """Holds a device's verb until it is opened; `reached` says that it was called."""

    def __init__(self) -> None:
        self.reached, self.may_go = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.reached.set()
        assert self.may_go.wait(WAIT_S), "the test never opened the gate"


def until(is_so: Callable[[], object]) -> None:
    """Return once it is so; fails where it never is."""
    ending = time.monotonic() + WAIT_S
    while not is_so():
        assert time.monotonic() < ending, "it never came to be so"
        time.sleep(0.005)


def names(events: list[Event]) -> list[str]:
    return [type(event).__name__ for event in events]
