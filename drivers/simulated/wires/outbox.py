"""What a simulated device has sent and when it is due at the host, with the faults of single replies."""

from __future__ import annotations

from collections import deque

from drivers.simulated.faults import FaultAction


class Outbox:
    """Bytes on their way to the host, in order, each after the reply latency. All times are simulated seconds.

    Faults here hit the next *response* (what the host waits for), not what the device sends unasked.
    `is_frozen`: the device reads and answers nothing. `is_silent`: it reads and obeys, and answers nothing.
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
        """Due after the latency, and never before what was sent earlier."""
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
        """When the next bytes reach the host; None while there are none, or while frozen."""
        return self._queue[0][0] if self._queue and not self.is_frozen else None

    def clear(self) -> None:
        """What was still on its way is gone (unplugged)."""
        self._queue.clear()

    def faults(self) -> dict[str, FaultAction]:
        """Name -> fault of the replies."""
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
