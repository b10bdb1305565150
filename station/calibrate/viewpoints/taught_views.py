"""Viewpoints as a person taught them: names and poses of the arm, in a file of their own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, model_validator

from calibration.record import CalibrationFieldError, Identifier, SchemaVersion
from drivers.geometry.pose import Pose
from station.documents.document import load_document, save_document
from station.errors import BadInput
from station.recipe.fields import Degrees, Millimetres

WORKING_DISTANCE_MM = 250.0
# the demo's five: at the working distance from the target point (0, 0, 8) mm
STATION_VIEWS: Mapping[str, Pose] = {
    "top": Pose(0.0, 0.0, 258.0, 0.0, -90.0),
    "front": Pose(0.0, -176.777, 184.777, 45.0, -90.0),
    "right": Pose(176.777, 0.0, 184.777, 45.0, 0.0),
    "back": Pose(0.0, 176.777, 184.777, 45.0, 90.0),
    "left": Pose(-176.777, 0.0, 184.777, 45.0, 180.0),
}


class TeachError(BadInput, ValueError):
    """A jog, a name or a file of viewpoints that is not allowed; the text says why and what is."""


class TaughtPose(BaseModel):
    """A pose of the arm in mm and degrees, as in recipes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    x_mm: Millimetres
    y_mm: Millimetres
    z_mm: Millimetres
    tilt_deg: Degrees
    pan_deg: Degrees


class TaughtView(BaseModel):
    """One viewpoint of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Identifier
    pose: TaughtPose


class TaughtViews(BaseModel):
    """A file of taught viewpoints, in the order in which they are visited."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: SchemaVersion = 1
    viewpoints: tuple[TaughtView, ...] = ()

    @model_validator(mode="after")
    def _names_are_unique(self) -> TaughtViews:
        names = [view.name for view in self.viewpoints]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise CalibrationFieldError(("viewpoints", index, "name"), f"{name!r} is taught twice")
        return self

    def poses(self) -> dict[str, Pose]:
        """By name, in the order in which they are visited."""
        return {view.name: Pose(**view.pose.model_dump()) for view in self.viewpoints}


def load_taught(file: Path) -> TaughtViews:
    """The file's viewpoints; none where there is no file yet. Raises DocumentError."""
    return load_document(file, TaughtViews) if file.exists() else TaughtViews()


def save_taught(file: Path, views: TaughtViews) -> None:
    """Writes the file anew; its folder is made if absent."""
    file.parent.mkdir(parents=True, exist_ok=True)
    save_document(file, views, header="Viewpoints taught with `station calibrate teach`.")


def taught_poses(file: Path) -> dict[str, Pose]:
    """The poses of a file by name. Raises TeachError where it holds none, DocumentError where it does not load."""
    poses = load_document(file, TaughtViews).poses()
    if not poses:
        raise TeachError(f"{file}: no viewpoint was taught yet; teach one with `station calibrate teach`")
    return poses


def views_to_visit(file: Path | None) -> Mapping[str, Pose]:
    """The viewpoints of a file, or the demo's five without one. Raises TeachError, DocumentError."""
    return STATION_VIEWS if file is None else taught_poses(file)
