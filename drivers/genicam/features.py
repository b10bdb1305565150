"""SFNC features by capability: the first name that exists wins; what is written is read back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from genicam import genapi, gentl

from drivers.errors import CommandRefused, DeviceLost, FeatureMissing
from drivers.genicam.producers import VENDOR_ERRORS, first_line

READABLE = (genapi.EAccessMode.RO, genapi.EAccessMode.RW)
WRITABLE = (genapi.EAccessMode.WO, genapi.EAccessMode.RW)

# raised by the node map, or by the camera itself where the map knows only a range (binning 3 of 1, 2, 4, 8)
REFUSED_VALUES = (genapi.OutOfRangeException, genapi.InvalidArgumentException, gentl.InvalidValueException)

Value = int | float | str | bool


class Features:
    """A camera's node map, by the names of the SFNC.

    `is_gone` distinguishes a refused value from a camera that is no longer there. Beside what each method names,
    all raise DeviceLost when the camera is gone and CommandRefused when the node map fails otherwise.
    """

    def __init__(self, node_map: Any, device: str, is_gone: Callable[[], bool]) -> None:
        self._map = node_map
        self.device = device
        self._is_gone = is_gone

    def name_of(self, *names: str) -> str | None:
        """The first of these that the camera has, in whatever access mode."""
        return next((name for name in names if self._map.has_node(name)), None)

    def is_readable(self, name: str) -> bool:
        return self._guarded(lambda: self._can(READABLE, name), f"access mode of {name}") is True

    def is_writable(self, name: str) -> bool:
        return self._guarded(lambda: self._can(WRITABLE, name), f"access mode of {name}") is True

    def _can(self, modes: tuple[Any, ...], name: str) -> bool:
        return bool(self._map.has_node(name)) and self._map.get_node(name).get_access_mode() in modes

    def read(self, *names: str) -> Any:
        """The value of the first readable one. Raises FeatureMissing or DeviceLost."""
        return self._guarded(lambda: self._read(names), f"reading {names[0]}")

    def _read(self, names: tuple[str, ...]) -> Any:
        name = next((n for n in names if self._can(READABLE, n)), None)
        if name is None:
            raise FeatureMissing(self.device, f"has no readable feature {' or '.join(names)}")
        return self._map.get_node(name).value

    def write(self, value: Value, *names: str) -> Any:
        """Write the first writable one, read it back, return what it is now.

        A float for an integer feature is rounded to its steps. Raises FeatureMissing for a value that the
        camera refuses, with its range.
        """
        return self._guarded(lambda: self._write(value, names), f"writing {names[0]} = {value!r}")

    def _write(self, value: Value, names: tuple[str, ...]) -> Any:
        name = next((n for n in names if self._can(WRITABLE, n)), None)
        if name is None:
            raise FeatureMissing(self.device, f"has no writable feature {' or '.join(names)}")
        node = self._map.get_node(name)
        if isinstance(node, genapi.IInteger) and isinstance(value, float):
            value = node.min + round((value - node.min) / node.inc) * node.inc
        try:
            node.value = value
        except REFUSED_VALUES as error:
            raise FeatureMissing(self.device, f"{name} cannot be {value!r}: {_range_of(node)}") from error
        return node.value if self._can(READABLE, name) else value

    def choose(self, name: str, values: tuple[str, ...]) -> None:
        """Set an enumeration to the first of `values` that it offers; a camera without any is left as it is."""
        offered = self.symbolics(name)
        value = next((v for v in values if v in offered), None)
        if value is not None and self.is_writable(name):
            self.write(value, name)

    def limits(self, name: str) -> tuple[Any, Any]:
        """Least and greatest value now."""
        found = self._guarded(lambda: (self._map.get_node(name).min, self._map.get_node(name).max), f"range of {name}")
        return found[0], found[1]

    def force(self, value: Value, name: str) -> None:
        """Where the camera has this feature, it must end up at this value: gamma off, automatics off.

        Raises FeatureMissing when it stays otherwise.
        """
        if not self.is_readable(name) or self.read(name) == value:
            return
        actual = self.write(value, name)
        if actual != value:
            raise FeatureMissing(self.device, f"{name} must be {value!r} for linear pictures, and stays {actual!r}")

    def execute(self, name: str) -> None:
        """Raises FeatureMissing where there is no such command, or not now."""
        self._guarded(lambda: self._execute(name), f"executing {name}")

    def _execute(self, name: str) -> None:
        if not self._can(WRITABLE, name):
            raise FeatureMissing(self.device, f"has no command {name} that can be executed now")
        self._map.get_node(name).execute()

    def symbolics(self, name: str) -> tuple[str, ...]:
        """The values that an enumeration offers; none where the camera has no such feature."""
        if self.name_of(name) is None:
            return ()
        return tuple(self._guarded(lambda: self._map.get_node(name).symbolics, f"values of {name}"))

    def missing(self, wanted: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
        """Of these features (each with its fallbacks), those that the camera has under no name."""
        return tuple(" or ".join(names) for names in wanted if self.name_of(*names) is None)

    def _guarded(self, work: Callable[[], Any], doing: str) -> Any:
        try:
            return work()
        except (AttributeError, *VENDOR_ERRORS) as error:
            if self._is_gone():
                raise DeviceLost(self.device, f"{doing}: the camera no longer answers") from error
            raise CommandRefused(self.device, f"{doing}: {first_line(error)}") from error


def _range_of(node: Any) -> str:
    symbolics = getattr(node, "symbolics", None)
    if symbolics is not None:
        return f"it can be {', '.join(symbolics)}"
    step = f" in steps of {node.inc}" if isinstance(node, genapi.IInteger) else ""  # floats need not have a step
    return f"it can be {node.min} to {node.max}{step}"
