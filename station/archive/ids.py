"""Inspection ids that sort by time: 48 bits of milliseconds, 80 bits of chance (ULID)."""

from __future__ import annotations

import re
import secrets
import threading
import time
from datetime import datetime

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford base 32: no I, L, O, U
_PATTERN = re.compile(f"[0-7][{_ALPHABET}]{{25}}")
_lock = threading.Lock()
_last = 0


def new_inspection_id() -> str:
    """26 characters; later calls in this process sort after earlier ones, even if the clock is set back."""
    global _last
    with _lock:
        fresh = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
        _last = fresh if fresh >> 80 > _last >> 80 else _last + 1
        return _encoded(_last)


def first_id_of(when: datetime) -> str:
    """The id before which every id sorts that was made earlier, to the millisecond."""
    return _encoded(int(when.timestamp() * 1000) << 80)


def is_inspection_id(text: str) -> bool:
    """True for what `new_inspection_id` makes: safe as a folder's name."""
    return _PATTERN.fullmatch(text) is not None


def _encoded(value: int) -> str:
    return "".join(_ALPHABET[value >> shift & 31] for shift in range(125, -1, -5))
