"""The rig file: which devices there are, how to reach them, how far they may travel.

Each section names its driver and holds that driver's settings. `drivers/registry.py` finds both, so the model of a
rig file is built for each combination of drivers and every field is checked with its line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model

from drivers.registry import (
    DriverKind,
    DriverSource,
    DriverUnavailable,
    Group,
    Travel,
    driver_kind,
    driver_names,
    driver_source,
)
from drivers.settings import Text
from station.documents.document import read_document, save_document
from station.documents.errors import FieldError
from station.rig.inference import CPU, InferenceChoice

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Section = Literal["camera", "arm", "lights"]
Stepping = Literal["software", "strobe"]

GROUPS: Mapping[Section, Group] = {"camera": "cameras", "arm": "arms", "lights": "lights"}
DEFAULT_DRIVERS: Mapping[Section, str] = {"camera": "genicam", "arm": "grbl", "lights": "gardasoft"}


class RigFile(BaseModel):
    """A rig: three sections, each the settings of its driver with the driver's name as the field `driver`.

    Instances are of a subclass made by `load_rig` or `make_rig`, whose sections have their drivers' own types.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: Name
    simulated: bool
    camera: BaseModel
    arm: BaseModel
    lights: BaseModel
    stepping: Stepping = "software"  # strobe: the camera's exposure line fires the light that was armed before
    strobe_line: Text = "Line1"  # the camera's output that goes to the light controller's trigger input
    inference: InferenceChoice = CPU  # on what this machine runs a model

    def driver_of(self, section: Section) -> str:
        """The name of the section's driver, such as `grbl`."""
        return str(getattr(getattr(self, section), "driver"))  # noqa: B009 - the field is added to each section

    def place_of(self, section: Section) -> str:
        """Where the device is, for messages: its port or GenTL producer, else its driver's name."""
        settings = getattr(self, section)
        place = getattr(settings, "port", None) or getattr(settings, "producer", None)
        return str(place or self.driver_of(section))

    def travel(self) -> Travel:
        """Field of Pose -> least and greatest value (mm, degrees), as far as the arm's settings alone give it.

        Empty for a driver that does not derive it from its settings; then only the open arm knows its reach.
        """
        kind = driver_kind("arms", self.driver_of("arm"))
        return {} if kind.travel is None else kind.travel(self.arm)


class _Driver(BaseModel):
    """The field that every section has beside its driver's settings."""

    driver: str


def load_rig(path: Path) -> RigFile:
    """Read a rig file; opens nothing.

    Raises DocumentError with file and line of every problem, an unknown driver or a broken driver package included;
    LibraryMissing where the file is sound and this machine lacks a shared library of a driver.
    """
    document = read_document(path)
    return document.validated(_model_for(document.data))


def make_rig(content: Mapping[str, Any]) -> RigFile:
    """A rig from plain data of the same shape as the file.

    Raises pydantic's ValidationError, and for a driver that cannot be loaded DriverUnavailable, LibraryMissing.
    """
    for section, group in GROUPS.items():
        driver_kind(group, _driver_named(content, section))
    return _model_for(content).model_validate_json(json.dumps(content), strict=True)


def save_rig(path: Path, rig: RigFile) -> None:
    """Write a file that `load_rig` reads back equal; atomic."""
    save_document(path, rig, header="A rig of the Facet station: its devices and how to reach them.")


def _model_for(content: Any) -> type[RigFile]:
    """RigFile with each section typed by the driver that the content names for it."""
    return _rig_model(*(_section_model(section, _driver_named(content, section)) for section in GROUPS))


def _driver_named(content: Any, section: Section) -> str:
    """The driver named in the section; the default where none is, or where the section is not a mapping at all."""
    found = content.get(section) if isinstance(content, Mapping) else None
    name = found.get("driver") if isinstance(found, Mapping) else None
    return name if isinstance(name, str) else DEFAULT_DRIVERS[section]


def _section_model(section: Section, name: str) -> type[BaseModel]:
    """The section's model; for a driver that cannot be used, one that refuses `driver` with the reason."""
    group = GROUPS[section]
    if name not in driver_names(group):
        return _unknown_driver(section, driver_names(group))
    try:
        source = driver_source(group, name)
        return _typed_section(source, source.load(), is_default=name == DEFAULT_DRIVERS[section])
    except DriverUnavailable as error:
        return _refused_driver(section, str(error))


@lru_cache(maxsize=64)
def _typed_section(source: DriverSource, kind: DriverKind, is_default: bool) -> type[BaseModel]:
    """The driver's settings plus `driver: NAME`; one model per driver, so that equal rigs compare equal."""
    name: Any = Literal[source.name]
    default = source.name if is_default else ...
    return create_model(kind.settings.__name__, __base__=(kind.settings, _Driver), driver=(name, default))


def _unknown_driver(section: Section, names: tuple[str, ...]) -> type[BaseModel]:
    """Refuses the name with the choice of those that exist; the settings cannot be checked without their driver."""
    choice: Any = Literal[names]
    return create_model(section, __config__=ConfigDict(extra="ignore"), driver=(choice, ...))


def _refused_driver(section: Section, why: str) -> type[BaseModel]:
    """Refuses a driver whose package cannot be loaded, at the line that names it."""

    def refuse(_name: str) -> str:
        raise FieldError((), why)

    driver = Annotated[str, AfterValidator(refuse)]
    return create_model(section, __config__=ConfigDict(extra="ignore"), driver=(driver, ...))


@lru_cache(maxsize=64)
def _rig_model(camera: type[BaseModel], arm: type[BaseModel], lights: type[BaseModel]) -> type[RigFile]:
    return create_model("RigFile", __base__=RigFile, camera=(camera, ...), arm=(arm, ...), lights=(lights, ...))
