"""A client's connection to the service: requests with their replies, and events in the order in which they come."""

from __future__ import annotations

import itertools
import logging
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NoReply
from dataclasses import dataclass
from typing import Any

from drivers.private_socket import connect
from station.errors import BadInput, StationFault
from station.service.address import AddressRefused, NoService
from station.service.lines import Lines
from station.service.operator_place import NotTheOperator
from station.service.previews import MAXIMUM_BYTES
from station.service.protocol import MAXIMUM_LINE_BYTES, PROTOCOL, NotTheProtocol, content_of, line_of

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 5.0
SILENCE_S = 5.0  # the service gives a sign of life every half second
_POLL_S = 1.0
REPLY_TIMEOUT_S = 30.0


class RefusedByService(BadInput):
    """The service refused what was asked for: the text is its own."""


class FaultOfService(StationFault):
    """The service could not do what was asked for: the text is its own."""


class LinkLost(StationFault):
    """The service does not answer any more."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The result of a request, and the bytes behind it."""

    result: dict[str, Any]
    data: bytes = b""


class Link:
    """Open from the start until `close`, or until the service is lost; a lost one is not mended but replaced."""

    def __init__(self, address: str, client: str, on_event: Callable[[dict[str, Any]], None]) -> None:
        """Connect and greet. `on_event` runs on the reader's thread and must not wait.

        Raises NoService, AddressRefused, NotTheProtocol.
        """
        self._connection = _connected(address)
        self._connection.settimeout(_POLL_S)
        self._lines = Lines(self._connection, MAXIMUM_LINE_BYTES, SILENCE_S)
        self._on_event = on_event
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._waiting: dict[int, Future[Reply]] = {}
        self._problem = ""
        self.ended = threading.Event()
        self._reader = threading.Thread(target=self._read, name="service reader", daemon=True)
        self._reader.start()
        self.about = self.ask("hello", protocol=PROTOCOL, client=client).result

    def ask(self, request: str, timeout_s: float | None = REPLY_TIMEOUT_S, **more: Any) -> Reply:
        """The reply. Raises what the service refuses with, and LinkLost; `timeout_s` None waits as long as it takes."""
        number, future = next(self._numbers), Future[Reply]()
        with self._lock:
            if self._problem:
                raise LinkLost(self._problem)
            self._waiting[number] = future
            try:
                self._connection.sendall(line_of({"id": number, "request": request, **more}))
            except OSError as error:
                del self._waiting[number]
                raise LinkLost(f"the service does not take requests any more: {error}") from error
        try:
            return future.result(timeout_s)
        except NoReply as error:
            raise LinkLost(f"the service did not reply to {request!r} within {timeout_s:g} s") from error
        finally:
            with self._lock:
                self._waiting.pop(number, None)

    @property
    def problem(self) -> str:
        """Why the link has ended; empty while it lives."""
        return self._problem

    def close(self, reason: str = "closed by this client") -> None:
        """End it; whoever waits for a reply gets LinkLost."""
        self._end(reason)
        if self._reader is not threading.current_thread():
            self._reader.join()

    def _read(self) -> None:
        reason = "the service has ended"
        try:
            while (raw := self._lines.line()) is not None:
                if raw.strip():
                    self._take(content_of(raw))
        except TimeoutError:
            reason = f"the service has given no sign of life for {SILENCE_S:g} s"
        except (OSError, StationFault) as error:
            reason = f"the connection to the service broke: {error}"
        except Exception as error:
            log.exception("the reader of the service failed")
            reason = f"the service's words could not be read: {type(error).__name__}: {error}"
        self._end(reason)

    def _take(self, content: dict[str, Any]) -> None:
        if "event" in content:
            self._on_event(content)
            return
        size = content.get("binary", 0)
        if not isinstance(size, int) or not 0 <= size <= MAXIMUM_BYTES:
            raise NotTheProtocol(f"a reply announces {str(size)[:20]} bytes")
        data = self._lines.exactly(size) if size else b""
        error = content.get("error")
        with self._lock:
            future = self._waiting.get(content.get("id") or 0)
            if future is None and error is not None:
                self._problem = str(error.get("text"))  # it concerns the connection itself
        if future is None:
            return
        if error is not None:
            future.set_exception(_raised(error))
        else:
            future.set_result(Reply(content.get("result") or {}, data))

    def _end(self, reason: str) -> None:
        with self._lock:
            self._problem = self._problem or reason
            waiting, self._waiting = self._waiting, {}
        try:
            self._connection.shutdown(socket.SHUT_RDWR)
        except OSError as error:
            log.debug("already disconnected: %s", error)
        self._connection.close()
        for future in waiting.values():
            if not future.done():
                future.set_exception(LinkLost(self._problem))
        self.ended.set()


def _connected(address: str) -> socket.socket:
    try:
        return connect(address, CONNECT_TIMEOUT_S)
    except ValueError as error:
        raise AddressRefused(f"{address[:80]!r} is no address: expected unix:PATH or tcp:HOST:PORT:TOKEN") from error
    except OSError as error:
        place = address.rpartition(":")[0] if address.startswith("tcp:") else address  # without the token
        text = f"no service answers at {place}: {error.strerror or error}"
        raise NoService(f"{text}; start one with `station run`") from error


def _raised(error: dict[str, Any]) -> Exception:
    text = str(error.get("text"))
    kinds: dict[str, type[Exception]] = {
        "bad input": RefusedByService,
        "not the operator": NotTheOperator,
        "protocol": NotTheProtocol,
    }
    return kinds.get(str(error.get("kind")), FaultOfService)(text)
