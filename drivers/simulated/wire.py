"""A simulated device's side of its wire: what it has said and when that is due, and faults of the link."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable, Mapping

FaultAction = Callable[..., str]


class Outbox:
    """Bytes on their way to the host, in order, each after the reply latency.

    Faults here hit the next *response* (what the host waits for), not what is pushed unasked.
    """

    def __init__(self, latency_s: float = 0.0) -> None:
        self.latency_s = latency_s
        self.is_frozen = False
        self._queue: deque[tuple[float, bytes]] = deque()
        self._last_due_s = 0.0
        self._drop = False
        self._garble = False
        self._late_s = 0.0

    def send(self, data: bytes, now_s: float, *, is_response: bool = False) -> None:
        late_s = 0.0
        if is_response:
            data, late_s = self._spoil(data)
        # a serial line never overtakes itself: what follows a late reply is late too
        self._last_due_s = max(self._last_due_s, now_s + self.latency_s + late_s)
        if data:
            self._queue.append((self._last_due_s, data))

    def _spoil(self, data: bytes) -> tuple[bytes, float]:
        late_s, self._late_s = self._late_s, 0.0
        if self._drop:
            self._drop = False
            return b"", late_s
        if self._garble:
            self._garble = False
            return bytes([0xFF, 0x00, data[0] ^ 0x04, *data[1:]]), late_s
        return data, late_s

    def take_due(self, now_s: float) -> bytes:
        """All that has reached the host's end by `now_s`; nothing while frozen."""
        parts = []
        while self._queue and self._queue[0][0] <= now_s and not self.is_frozen:
            parts.append(self._queue.popleft()[1])
        return b"".join(parts)

    @property
    def next_due_s(self) -> float | None:
        return self._queue[0][0] if self._queue and not self.is_frozen else None

    def clear(self) -> None:
        """What was still on its way is gone (unplugged)."""
        self._queue.clear()

    def faults(self) -> dict[str, FaultAction]:
        return {
            "freeze": self._freeze,
            "thaw": self._thaw,
            "drop_reply": self._drop_reply,
            "garble_reply": self._garble_reply,
            "late_reply": self._late_reply,
        }

    def _freeze(self) -> str:
        self.is_frozen = True
        return "frozen: nothing is read or answered until thaw"

    def _thaw(self) -> str:
        self.is_frozen = False
        return "thawed"

    def _drop_reply(self) -> str:
        self._drop = True
        return "the next reply will be lost"

    def _garble_reply(self) -> str:
        self._garble = True
        return "the next reply will be garbled"

    def _late_reply(self, seconds: str = "1.0") -> str:
        self._late_s = float(seconds)
        return f"the next reply will be {self._late_s:g} s late"


def inject_fault(device: str, faults: Mapping[str, FaultAction], name: str, args: tuple[str, ...]) -> str:
    """Call the fault by name; ValueError lists what exists, or says what is wrong with the arguments."""
    action = faults.get(name)
    if action is None:
        raise ValueError(f"{device}: unknown fault {name!r}; there are {', '.join(sorted(faults))}")
    try:
        inspect.signature(action).bind(*args)
    except TypeError as error:
        wanted = fault_words(action) or "no arguments"
        raise ValueError(f"{device}: fault {name!r} takes {wanted} ({error})") from error
    try:
        return action(*args)
    except (ValueError, KeyError, IndexError) as error:
        raise ValueError(f"{device}: fault {name!r} with arguments {list(args)}: {error}") from error


def fault_words(action: FaultAction) -> str:
    """The arguments of a fault as a person types them: `CHANNEL [GAIN=0.6]`."""
    words = []
    for parameter in inspect.signature(action).parameters.values():
        word = parameter.name.upper()
        if parameter.kind is parameter.VAR_POSITIONAL:
            words.append(f"{word}...")
        elif parameter.default is parameter.empty:
            words.append(word)
        else:
            words.append(f"[{word}={parameter.default}]" if parameter.default else f"[{word}]")
    return " ".join(words)
