"""A simulated device's side of its wire: what it has said and when that is due, and faults of the link."""

from __future__ import annotations

import inspect
import random
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
        self.is_silent = False
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
        if self.is_silent:
            return b"", late_s
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
            "silence": self._silence,
            "thaw": self._thaw,
            "drop_reply": self._drop_reply,
            "garble_reply": self._garble_reply,
            "late_reply": self._late_reply,
        }

    def _freeze(self) -> str:
        self.is_frozen = True
        return "frozen: nothing is read or answered until thaw"

    def _silence(self) -> str:
        self.is_silent = True
        return "silent: everything is read and obeyed, nothing is answered until thaw"

    def _thaw(self) -> str:
        self.is_frozen = self.is_silent = False
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


class Noise:
    """Bytes lost or changed on their way, in both directions, at a rate; the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed)
        self._drop_rate = 0.0
        self._corrupt_rate = 0.0

    def pass_on(self, data: bytes) -> bytes:
        """What arrives of `data`."""
        if not (self._drop_rate or self._corrupt_rate):
            return data
        arrived = bytearray()
        for byte in data:
            if self._draw.random() < self._drop_rate:
                continue
            flip = 1 << self._draw.randrange(8) if self._draw.random() < self._corrupt_rate else 0
            arrived.append(byte ^ flip)
        return bytes(arrived)

    def faults(self) -> dict[str, FaultAction]:
        return {"drop_bytes": self._fault_drop, "corrupt_bytes": self._fault_corrupt}

    def _fault_drop(self, rate: str = "0.01") -> str:
        self._drop_rate = _rate(rate)
        return f"of all bytes, both ways, {self._drop_rate:g} are lost (0 ends it)"

    def _fault_corrupt(self, rate: str = "0.01") -> str:
        self._corrupt_rate = _rate(rate)
        return f"of all bytes, both ways, {self._corrupt_rate:g} have one bit changed (0 ends it)"


class Delivery:
    """How bytes that are due are handed to the host: at once, one by one, or gathered."""

    def __init__(self) -> None:
        self._split_s = 0.0
        self._gather_s = 0.0
        self._waiting = bytearray()
        self._next_s: float | None = None

    def take(self, due: bytes, now_s: float) -> bytes:
        """What is handed over now; the rest comes from `next_s` on."""
        if due and not self._waiting:
            self._next_s = now_s + self._gather_s
        self._waiting += due
        if not self._waiting or self._next_s is None or now_s < self._next_s:
            return b""
        count = 1 if self._split_s else len(self._waiting)
        handed = bytes(self._waiting[:count])
        del self._waiting[:count]
        self._next_s = now_s + self._split_s if self._waiting else None
        return handed

    @property
    def next_s(self) -> float | None:
        return self._next_s

    def clear(self) -> None:
        self._waiting.clear()
        self._next_s = None

    def faults(self) -> dict[str, FaultAction]:
        return {"split": self._fault_split, "coalesce": self._fault_coalesce}

    def _fault_split(self, milliseconds: str = "2") -> str:
        self._split_s, self._gather_s = _milliseconds(milliseconds) / 1e3, 0.0
        return f"bytes arrive one by one, {self._split_s * 1e3:g} ms apart (0 ends it)"

    def _fault_coalesce(self, milliseconds: str = "20") -> str:
        self._split_s, self._gather_s = 0.0, _milliseconds(milliseconds) / 1e3
        return f"bytes are gathered for {self._gather_s * 1e3:g} ms and arrive together (0 ends it)"


def _rate(text: str) -> float:
    rate = float(text)
    if not 0.0 <= rate <= 1.0:
        raise ValueError(f"a rate is a share of 0 to 1, found {text}")
    return rate


def _milliseconds(text: str) -> float:
    value = float(text)
    if not 0.0 <= value <= 60_000.0:
        raise ValueError(f"a delay is 0 to 60000 ms, found {text}")
    return value


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
