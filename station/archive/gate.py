"""What keeps the thinning off the disk while a part is being judged."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Gate:
    """What lets the thinning touch the disk. Once `hold` returns, nothing is touched until `release`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_held = False

    def hold(self) -> None:
        """Keep the thinning out; waits for the one file that is being removed."""
        self._is_held = True
        with self._lock:
            return

    def release(self) -> None:
        """Let it work again."""
        self._is_held = False

    @contextmanager
    def step(self) -> Iterator[None]:
        """One step of the thinning. Raises Held instead while it is kept out."""
        with self._lock:
            if self._is_held:
                raise Held
            yield


class Held(Exception):
    """The thinning was kept out of its next step; it is carried on later."""
