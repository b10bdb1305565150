"""The drivers of this package, and those that other packages bring.

A driver module ends with `DRIVER = DriverKind(...)`. A plant's own package names it in an entry point of the group
`facet.cameras`, `facet.arms` or `facet.lights`:

    [project.entry-points."facet.lights"]
    acme = "acme_lights.driver:DRIVER"

and a rig file then says `driver: acme`. Nothing is imported before a rig file asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, Protocol, runtime_checkable

from pydantic import BaseModel

from drivers.errors import DeviceError
from drivers.protocols import Arm, Camera, Lights
from drivers.system_libraries import cure_for, missing_library

Group = Literal["cameras", "arms", "lights"]
Travel = Mapping[str, tuple[float, float]]  # field of Pose -> least and greatest value

OWN_PACKAGE = "facet-station"
BUILT_IN: Mapping[Group, Mapping[str, str]] = {
    "cameras": {"genicam": "drivers.genicam.camera:DRIVER"},
    "arms": {
        "grbl": "drivers.serial_line.grbl.arm:DRIVER",
        "mycobot": "drivers.serial_line.mycobot.arm:DRIVER",
    },
    "lights": {
        "gardasoft": "drivers.serial_line.lights.gardasoft.lights:DRIVER",
        "ccs": "drivers.serial_line.lights.ccs.lights:DRIVER",
        "sa0255": "drivers.serial_line.lights.sa0255.lights:DRIVER",
    },
}


class DriverUnavailable(DeviceError):
    """No such driver, or it cannot be used; the text names it, its package, and what to do."""


class LibraryMissing(DeviceError):
    """A driver's package is installed, and this machine lacks a shared library that it loads; no file is at fault."""

    def __init__(self, driver: str, library: str) -> None:
        super().__init__(
            f"driver {driver}",
            f"it cannot be loaded, because this machine lacks the shared library {library}; {cure_for([library])}. "
            "`station check` lists everything else that is missing",
        )
        self.driver, self.library = driver, library

    def __reduce__(self) -> tuple[type[LibraryMissing], tuple[str, str]]:
        return type(self), (self.driver, self.library)


@dataclass(frozen=True)
class DriverKind:
    """One kind of device: the model of its rig file section, how it is opened, and a section that works.

    `settings` forbids unknown keys. `open` takes such a settings object and connects; it moves and lights nothing, and
    raises DeviceError. `example` is YAML: the section's lines, `driver:` included. `travel` reads an arm's limits from
    its settings alone, so that a recipe can be checked before a port is opened.
    """

    settings: type[BaseModel]
    open: Callable[[Any], Camera | Arm | Lights]
    example: str
    travel: Callable[[Any], Travel] | None = None


@runtime_checkable
class Describes(Protocol):
    """A device that can report more of itself than its identity."""

    def describe(self) -> Mapping[str, object]:
        """What it offers, read from it: name -> text, number or tuple of texts. Moves and lights nothing."""
        ...


@dataclass(frozen=True)
class DriverSource:
    """Where a driver's name leads, not yet imported."""

    name: str
    target: str  # module:attribute
    package: str  # as pip knows it, with its version

    def load(self) -> DriverKind:
        """Import the driver. Raises LibraryMissing where the machine lacks a shared library, DriverUnavailable
        whatever else is wrong with the package."""
        try:
            kind = EntryPoint(self.name, self.target, "").load()
        except Exception as error:  # a foreign module may raise anything, and must not take the others along
            library = missing_library(error)
            if library is not None:
                raise LibraryMissing(self.name, library) from error
            raise self._broken(f"{type(error).__name__}: {error}") from error
        if not isinstance(kind, DriverKind):
            raise self._broken(f"{self.target} is a {type(kind).__name__}, not a DriverKind")
        if not (isinstance(kind.settings, type) and issubclass(kind.settings, BaseModel)):
            raise self._broken(f"its settings are {kind.settings!r}, not a pydantic model")
        if kind.settings.model_config.get("extra") != "forbid":
            raise self._broken("its settings accept unknown keys: a misspelt one would go unnoticed (extra='forbid')")
        return kind

    def _broken(self, why: str) -> DriverUnavailable:
        device = f"driver {self.name!r} of package {self.package}"
        return DriverUnavailable(device, f"cannot be used: {why}. Mend or reinstall that package")


def driver_names(group: Group) -> tuple[str, ...]:
    """Every name that a rig file may use after `driver:`, sorted; whether it works shows when it is loaded."""
    return tuple(sorted(_sources(group)))


def driver_source(group: Group, name: str) -> DriverSource:
    """Where `name` leads. Raises DriverUnavailable where no package offers it, or more than one."""
    offered = _sources(group).get(name, ())
    if not offered:
        raise DriverUnavailable(
            group, f"there is no driver {name!r} of {group}; there are {', '.join(driver_names(group))}"
        )
    if len(offered) > 1:
        packages = " and ".join(source.package for source in offered)
        raise DriverUnavailable(group, f"driver {name!r} is offered by {packages}: uninstall one, or rename it")
    return offered[0]


def driver_kind(group: Group, name: str) -> DriverKind:
    """The driver, imported now. Raises DriverUnavailable, LibraryMissing."""
    return driver_source(group, name).load()


def foreign_drivers(group: Group) -> tuple[DriverSource, ...]:
    """The drivers that other packages bring, not yet imported."""
    return tuple(source for found in _sources(group).values() for source in found if source.package != OWN_PACKAGE)


def _sources(group: Group) -> dict[str, tuple[DriverSource, ...]]:
    sources: dict[str, tuple[DriverSource, ...]] = {
        name: (DriverSource(name, target, OWN_PACKAGE),) for name, target in BUILT_IN[group].items()
    }
    for point in entry_points(group=f"facet.{group}"):
        package = "(unknown)" if point.dist is None else f"{point.dist.name} {point.dist.version}"
        source = DriverSource(point.name, point.value, package)
        if source not in sources.get(point.name, ()):  # one package found twice on the path is one package
            sources[point.name] = (*sources.get(point.name, ()), source)
    return sources
