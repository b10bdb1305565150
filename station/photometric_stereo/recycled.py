"""Memory that is lent as an array, and lent again once no array refers to it.

Fresh memory of the operating system costs a view at 20 megapixels some tenths of a second, and much more on a virtual
machine. Nobody gives anything back: what somebody still reads is never overwritten.
"""

from __future__ import annotations

import itertools
import weakref
from collections import deque

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]


class RecycledMemory:
    """Any thread may use it."""

    def __init__(self, most_spare: int) -> None:
        """`most_spare` pieces are kept for later at most; others go back to the system."""
        self._spare: deque[Bytes] = deque(maxlen=most_spare)  # appended to by whichever thread drops the last array
        self._numbers = itertools.count()
        self._lent: set[int] = set()

    @property
    def lent(self) -> int:
        """How many pieces are referred to by some array."""
        return len(self._lent)

    def lend(self, size: int) -> Bytes:
        """`size` bytes of any contents. All arrays made from it, however indirectly, keep it lent."""
        memory = self._taken(size)
        lease = _Lease(memory)
        number = next(self._numbers)
        self._lent.add(number)
        weakref.finalize(lease, self._back, number, memory).atexit = False
        return np.asarray(lease)

    def _taken(self, size: int) -> Bytes:
        """Spare memory of just that size; what was of another size is dropped, for the pictures' size has changed."""
        while self._spare:
            try:
                spare = self._spare.pop()
            except IndexError:  # another thread was quicker
                break
            if spare.size == size:
                return spare
        return np.empty(size, np.uint8)

    def _back(self, number: int, memory: Bytes) -> None:
        self._spare.append(memory)
        self._lent.discard(number)


class _Lease:
    """What numpy keeps as the base of an array that was made of it, and of all views of that."""

    def __init__(self, memory: Bytes) -> None:
        self.__array_interface__ = memory.__array_interface__
