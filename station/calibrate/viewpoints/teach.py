"""Teaching by jogging: steps and hold-to-run inside the travel, and a viewpoint kept under its name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from calibration.record import CalibrationFieldError, Identifier
from drivers.errors import OutOfTravel
from drivers.protocols import Arm, Pose
from station.documents.document import load_document, save_document
from station.errors import BadInput

FIELDS: Mapping[str, str] = {"x": "x_mm", "y": "y_mm", "z": "z_mm", "tilt": "tilt_deg", "pan": "pan_deg"}
LARGEST_STEP: Mapping[str, float] = {"x": 20.0, "y": 20.0, "z": 20.0, "tilt": 10.0, "pan": 20.0}
HOLD_STEP: Mapping[str, float] = {"x": 1.0, "y": 1.0, "z": 1.0, "tilt": 0.5, "pan": 1.0}
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")


class TeachError(BadInput, ValueError):
    """A jog or a name that is not allowed; the text says why and what is."""


class TaughtPose(BaseModel):
    """Millimetres and degrees of the arm, as in recipes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    x_mm: Annotated[float, Field(allow_inf_nan=False)]
    y_mm: Annotated[float, Field(allow_inf_nan=False)]
    z_mm: Annotated[float, Field(allow_inf_nan=False)]
    tilt_deg: Annotated[float, Field(allow_inf_nan=False)]
    pan_deg: Annotated[float, Field(allow_inf_nan=False)]


class TaughtView(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Identifier
    pose: TaughtPose


class TaughtViews(BaseModel):
    """A file of taught viewpoints, in the order in which they are visited."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    viewpoints: tuple[TaughtView, ...] = ()

    @model_validator(mode="after")
    def _names_are_unique(self) -> TaughtViews:
        names = [view.name for view in self.viewpoints]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise CalibrationFieldError(("viewpoints", index, "name"), f"{name!r} is taught twice")
        return self

    def poses(self) -> dict[str, Pose]:
        return {view.name: Pose(**view.pose.model_dump()) for view in self.viewpoints}


def jogged(pose: Pose, axis: str, amount: float) -> Pose:
    """`pose` with one axis moved by mm or degrees. Raises TeachError for another axis or a step too large."""
    if axis not in FIELDS:
        raise TeachError(f"axis {axis!r} is unknown; there are {', '.join(FIELDS)}")
    largest = LARGEST_STEP[axis]
    if not abs(amount) <= largest:
        raise TeachError(f"a step of {amount:g} along {axis} is too large: at most {largest:g} at a time")
    field = FIELDS[axis]
    return replace(pose, **{field: getattr(pose, field) + amount})


def step(arm: Arm, axis: str, amount: float) -> Pose:
    """Move one axis by one step; returns where the arm then stands.

    Raises TeachError, and OutOfTravel before anything moves.
    """
    target = jogged(arm.position(), axis, amount)
    arm.check_reachable(target)
    return arm.move_to(target)


def run_while(arm: Arm, axis: str, direction: int, held: Callable[[], bool]) -> Pose:
    """Hold-to-run: steps of HOLD_STEP while `held` says so; ends within one step of its release.

    At the end of the travel it stands still without an error: the last step is the last that fits.
    """
    if direction not in (-1, 1):
        raise TeachError(f"direction must be 1 or -1, found {direction}")
    if axis not in FIELDS:
        raise TeachError(f"axis {axis!r} is unknown; there are {', '.join(FIELDS)}")
    here = arm.position()
    while held():
        target = jogged(here, axis, direction * HOLD_STEP[axis])
        try:
            arm.check_reachable(target)
        except OutOfTravel:
            return here
        here = arm.move_to(target)
    return here


def teach(arm: Arm, name: str, known: TaughtViews) -> TaughtViews:
    """Keep where the arm stands as viewpoint `name`; one of that name is replaced in its place.

    Raises TeachError for a bad name, and where the arm was not homed: its numbers mean nothing then.
    """
    if not _NAME.match(name):
        raise TeachError(f"{name!r} is no name for a viewpoint: letters, digits, dot, dash, underscore, at most 64")
    if not arm.position_trusted:
        raise TeachError("the arm has not been homed: its position means nothing yet; home it first")
    x, y, z, tilt, pan = (round(v, 4) for v in arm.position().as_tuple())
    new = TaughtView(name=name, pose=TaughtPose(x_mm=x, y_mm=y, z_mm=z, tilt_deg=tilt, pan_deg=pan))
    views = [new if view.name == name else view for view in known.viewpoints]
    return TaughtViews(viewpoints=tuple(views if name in known.poses() else [*views, new]))


def load_taught(file: Path) -> TaughtViews:
    """None yet where there is no file. Raises DocumentError."""
    return load_document(file, TaughtViews) if file.exists() else TaughtViews()


def save_taught(file: Path, views: TaughtViews) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    save_document(file, views, header="Viewpoints taught with `station calibrate teach`.")


HELP = "x|y|z|tilt|pan AMOUNT   go NAME   teach NAME   list   quit"


def obey(arm: Arm, line: str, views: TaughtViews) -> tuple[str, TaughtViews]:
    """One line of a teaching session: what to answer, and the viewpoints after it. Raises TeachError, OutOfTravel."""
    words = line.split()
    match words:
        case ["list"]:
            poses = views.poses()
            return "\n".join(f"{name}: {_words(pose)}" for name, pose in poses.items()) or "none taught", views
        case ["teach", name]:
            views = teach(arm, name, views)
            return f"{name} taught at {_words(views.poses()[name])}", views
        case ["go", name]:
            if name not in views.poses():
                raise TeachError(f"no viewpoint {name!r}; there are {', '.join(views.poses()) or 'none'}")
            arm.check_reachable(views.poses()[name])
            return _words(arm.move_to(views.poses()[name])), views
        case [axis, amount] if axis in FIELDS:
            return _words(step(arm, axis, _number(amount))), views
    raise TeachError(f"expected {HELP}; found {line!r}")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise TeachError(f"{text!r} is no number of mm or degrees") from None


def _words(pose: Pose) -> str:
    return (
        f"x {pose.x_mm:.3f} y {pose.y_mm:.3f} z {pose.z_mm:.3f} mm, tilt {pose.tilt_deg:.3f}, pan {pose.pan_deg:.3f} "
        "degrees"
    )


def taught_poses(file: Path) -> dict[str, Pose]:
    """Of a file of taught viewpoints, by name. Raises TeachError where there are none, DocumentError."""
    poses = load_document(file, TaughtViews).poses()
    if not poses:
        raise TeachError(f"{file}: no viewpoint was taught yet")
    return poses
