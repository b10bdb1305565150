"""The rig file: which devices there are, how to reach them, how far they may travel.

Each section names its driver and holds that driver's settings; `drivers/registry.py` knows both.
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

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Section = Literal["camera", "arm", "lights"]
Stepping = Literal["software", "strobe"]

GROUPS: Mapping[Section, Group] = {"camera": "cameras", "arm": "arms", "lights": "lights"}
DEFAULT_DRIVERS: Mapping[Section, str] = {"camera": "genicam", "arm": "grbl", "lights": "gardasoft"}


class RigFile(BaseModel):
    """A section is the settings of its driver, with the driver's name as its first field, `driver`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: Name
    simulated: bool
    camera: BaseModel
    arm: BaseModel
    lights: BaseModel
    stepping: Stepping = "software"  # strobe: the camera's exposure line fires the light that was armed before
    strobe_line: Text = "Line1"  # the camera's output that goes to the light controller's trigger input

    def driver_of(self, section: Section) -> str:
        return str(getattr(getattr(self, section), "driver"))  # noqa: B009 - the field is added to each section

    def place_of(self, section: Section) -> str:
        """Where the device is, for people: its port or producer, else its driver's name."""
        settings = getattr(self, section)
        place = getattr(settings, "port", None) or getattr(settings, "producer", None)
        return str(place or self.driver_of(section))

    def travel(self) -> Travel:
        """Field of Pose -> least and greatest value, as far as the arm's settings alone tell."""
        kind = driver_kind("arms", self.driver_of("arm"))
        return {} if kind.travel is None else kind.travel(self.arm)


class _Driver(BaseModel):
    driver: str


def load_rig(path: Path) -> RigFile:
    """Raises DocumentError; names file and line of what is wrong, an unknown or broken driver included."""
    document = read_document(path)
    return document.validated(_model_for(document.data))


def make_rig(content: Mapping[str, Any]) -> RigFile:
    """A rig from plain data, as a file would hold it. Raises pydantic's ValidationError."""
    return _model_for(content).model_validate_json(json.dumps(content), strict=True)


def save_rig(path: Path, rig: RigFile) -> None:
    """Atomic; `load_rig` reads the same back."""
    save_document(path, rig, header="A rig of the Facet station: its devices and how to reach them.")


def _model_for(content: Any) -> type[RigFile]:
    """RigFile with each section typed by the driver that it names."""
    return _rig_model(*(_section_model(section, _driver_named(content, section)) for section in GROUPS))


def _driver_named(content: Any, section: Section) -> str:
    found = content.get(section) if isinstance(content, Mapping) else None
    name = found.get("driver") if isinstance(found, Mapping) else None
    return name if isinstance(name, str) else DEFAULT_DRIVERS[section]


def _section_model(section: Section, name: str) -> type[BaseModel]:
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
    """Refuses the name, by a choice of those that exist; what else stands there cannot be judged."""
    choice: Any = Literal[names]
    return create_model(section, __config__=ConfigDict(extra="ignore"), driver=(choice, ...))


def _refused_driver(section: Section, why: str) -> type[BaseModel]:
    def refuse(_name: str) -> str:
        raise FieldError((), why)

    driver = Annotated[str, AfterValidator(refuse)]
    return create_model(section, __config__=ConfigDict(extra="ignore"), driver=(driver, ...))


@lru_cache(maxsize=64)
def _rig_model(camera: type[BaseModel], arm: type[BaseModel], lights: type[BaseModel]) -> type[RigFile]:
    return create_model("RigFile", __base__=RigFile, camera=(camera, ...), arm=(arm, ...), lights=(lights, ...))
