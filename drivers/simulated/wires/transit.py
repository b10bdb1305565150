"""What happens to bytes between a simulated device and the host: noise in both directions, and their delivery."""

from __future__ import annotations

import random

from drivers.simulated.faults import FaultAction


class Noise:
    """Bytes are lost or changed on their way, in both directions, at a rate; the same ones for the same seed."""

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
        """Name -> fault of the bytes."""
        return {"drop_bytes": self._fault_drop, "corrupt_bytes": self._fault_corrupt}

    def _fault_drop(self, rate: str = "0.01") -> str:
        self._drop_rate = _rate(rate)
        return f"of all bytes, both ways, {self._drop_rate:g} are lost (0 ends it)"

    def _fault_corrupt(self, rate: str = "0.01") -> str:
        self._corrupt_rate = _rate(rate)
        return f"of all bytes, both ways, {self._corrupt_rate:g} have one bit changed (0 ends it)"


class Delivery:
    """How bytes that are due are handed to the host: at once, one by one, or gathered.

    A real adapter does both: a slow UART splits a reply over several reads, a USB one gathers up to its latency
    timer (16 ms by default on FTDI's).
    """

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
        """When more is handed over; None while nothing waits."""
        return self._next_s

    def clear(self) -> None:
        """What waits is gone (unplugged)."""
        self._waiting.clear()
        self._next_s = None

    def faults(self) -> dict[str, FaultAction]:
        """Name -> fault of the delivery."""
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
        raise ValueError(f"a rate is a share from 0 to 1, found {text}")
    return rate


def _milliseconds(text: str) -> float:
    value = float(text)
    if not 0.0 <= value <= 60_000.0:
        raise ValueError(f"a delay is from 0 to 60000 ms, found {text}")
    return value
