"""The operator's place: one client at a time may ask for verbs; all others look on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from station.errors import StationFault


class NotTheOperator(StationFault):
    """A verb was asked for by a client that may not; the text says who may, and what helps."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has the place: the client's key, the name that it gave, since when."""

    key: int
    name: str
    since: datetime


class OperatorPlace:
    """Its owner sees to it that one thread at a time uses it; `changed` is called with the new holder, or None."""

    def __init__(self, changed: Callable[[Holder | None], None]) -> None:
        self._changed = changed
        self.holder: Holder | None = None

    def take(self, key: int, name: str, *, is_takeover: bool) -> None:
        """Take the place if it is free. Taking it from its holder needs `is_takeover`. Raises NotTheOperator."""
        holder = self.holder
        if holder is not None and holder.key == key:
            return
        if holder is not None and not is_takeover:
            raise NotTheOperator(
                f"the operator's place is taken {_by(holder)}: ask for its release, or take it over (--takeover)"
            )
        self.holder = Holder(key, name, datetime.now(UTC))
        self._changed(self.holder)

    def release(self, key: int) -> None:
        """Give it back; does nothing for a client that has not got it."""
        if self.holder is not None and self.holder.key == key:
            self.holder = None
            self._changed(None)

    def require(self, key: int, verb: str) -> None:
        """Raise NotTheOperator unless this client has the place."""
        holder = self.holder
        if holder is None:
            raise NotTheOperator(f"{verb}: only the operator may ask for it, and nobody has taken that place: take it")
        if holder.key != key:
            raise NotTheOperator(
                f"{verb}: only the operator may ask for it, and the place is taken {_by(holder)}; "
                "this client looks on until it takes the place over (--takeover)"
            )


def _by(holder: Holder) -> str:
    return f"by {holder.name} since {holder.since.astimezone():%H:%M:%S}"
