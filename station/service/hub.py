"""Where the engine's events meet the clients: one order for all, the present for whoever comes, one operator."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from station.engine.events import Event, PresentFollows
from station.service.operator_place import Holder, OperatorPlace
from station.service.outbox import Outbox
from station.service.present import Part, Present
from station.service.protocol import ENDING, OPERATOR, event_line, service_event

log = logging.getLogger(__name__)


class Hub:
    """May be used from any thread. The lock is held for as long as an event is encoded and queued, and no longer."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._present = Present()
        self._place = OperatorPlace(self._operator_changed)
        self._viewers: dict[int, Outbox] = {}  # all clients
        self._subscribed: set[int] = set()
        self._seq = 0
        self._last_key = 0

    # -- the engine's side ------------------------------------------------------------------

    def take(self, event: Event) -> None:
        """Runs on the engine's threads: enter the event, and queue it for every client that subscribed."""
        with self._lock:
            self._present.take(event)
            self._seq += 1
            if self._subscribed:
                self._send(event_line(event, self._seq))

    @property
    def part(self) -> Part:
        """The running or last part."""
        return self._present.part

    @property
    def state(self) -> str:
        """The engine's state, as it was reported last."""
        return self._present.state.value

    def status(self) -> dict[str, object]:
        """The present situation in short."""
        with self._lock:
            present, holder, fault = self._present, self._place.holder, self._present.fault
            return {
                "state": present.state.value,
                "reason": present.reason,
                "part_id": present.part.part_id,
                "inspection_id": present.part.inspection_id,
                "verdict": present.verdict,
                "fault": None if fault is None else {"text": fault.text, "action": fault.action},
                "operator": None if holder is None else holder.name,
                "clients": len(self._viewers),
            }

    # -- the clients' side ------------------------------------------------------------------

    def join(self, outbox: Outbox) -> int:
        """A client has come; returns its key."""
        with self._lock:
            self._last_key += 1
            self._viewers[self._last_key] = outbox
            return self._last_key

    def leave(self, key: int) -> None:
        """A client has gone; if it was the operator, the place is free. The running part goes on."""
        with self._lock:
            self._viewers.pop(key, None)
            self._subscribed.discard(key)
            self._place.release(key)

    def subscribe(self, key: int, reply: bytes) -> None:
        """Queue the present, then the reply; from then on every event, so that none is missed and none comes twice."""
        with self._lock:
            outbox = self._viewers[key]
            for event in (PresentFollows(), *self._present.events()):
                outbox.put(event_line(event, self._seq))
            outbox.put(self._operator_line(key, self._place.holder))
            outbox.put(reply)
            self._subscribed.add(key)

    def take_place(self, key: int, name: str, *, is_takeover: bool) -> None:
        """Make this client the operator. Raises NotTheOperator."""
        with self._lock:
            self._place.take(key, name, is_takeover=is_takeover)

    def release_place(self, key: int) -> None:
        """This client no longer is the operator."""
        with self._lock:
            self._place.release(key)

    def require_operator(self, key: int, verb: str) -> None:
        """Raise NotTheOperator unless this client is the operator."""
        with self._lock:
            self._place.require(key, verb)

    @property
    def clients(self) -> int:
        """How many are connected."""
        return len(self._viewers)

    @property
    def has_operator(self) -> bool:
        """Whether the operator's place is taken."""
        return self._place.holder is not None

    def say_farewell(self, reason: str) -> None:
        """Report to every client that the service is ending."""
        with self._lock:
            self._send(service_event(ENDING, reason=reason))

    def _operator_changed(self, holder: Holder | None) -> None:
        log.info("operator: %s", "nobody" if holder is None else holder.name)
        self._each(lambda key: self._operator_line(key, holder))

    def _operator_line(self, key: int, holder: Holder | None) -> bytes:
        name = None if holder is None else holder.name
        return service_event(OPERATOR, operator=name, is_you=holder is not None and holder.key == key)

    def _send(self, line: bytes) -> None:
        self._each(lambda _key: line)

    def _each(self, line_for: Callable[[int], bytes]) -> None:
        for key in self._subscribed:
            self._viewers[key].put(line_for(key))
