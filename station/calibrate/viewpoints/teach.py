"""Teaching by jogging: the arm is moved by steps inside its travel, and a pose is kept as a viewpoint under a name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from drivers.errors import OutOfTravel
from drivers.geometry.pose import Pose
from drivers.protocols import Arm
from station.calibrate.bench.target_bench import Progress
from station.calibrate.viewpoints.taught_views import (
    TaughtPose,
    TaughtView,
    TaughtViews,
    TeachError,
    load_taught,
    save_taught,
)

FIELDS: Mapping[str, str] = {"x": "x_mm", "y": "y_mm", "z": "z_mm", "tilt": "tilt_deg", "pan": "pan_deg"}
LARGEST_STEP: Mapping[str, float] = {"x": 20.0, "y": 20.0, "z": 20.0, "tilt": 10.0, "pan": 20.0}  # mm and degrees
HELP = "x|y|z|tilt|pan AMOUNT   go NAME   teach NAME   list   quit"
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")


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
    """Moves one axis by one step, and returns the pose that the arm then reports.

    Raises TeachError, and OutOfTravel before anything moves.
    """
    target = jogged(arm.position(), axis, amount)
    arm.check_reachable(target)
    return arm.move_to(target)


def teach(arm: Arm, name: str, known: TaughtViews) -> TaughtViews:
    """`known` with the arm's pose as viewpoint `name`; one of that name is replaced and keeps its turn.

    Raises TeachError for a bad name, and for an arm that was not homed: its position means nothing then.
    """
    if not _NAME.match(name):
        raise TeachError(f"{name!r} is no name for a viewpoint: letters, digits, dot, dash, underscore, at most 64")
    if not arm.position_trusted:
        raise TeachError("the arm has not been homed: its position means nothing yet; home it first")
    x, y, z, tilt, pan = (round(v, 4) for v in arm.position().as_tuple())
    new = TaughtView(name=name, pose=TaughtPose(x_mm=x, y_mm=y, z_mm=z, tilt_deg=tilt, pan_deg=pan))
    views = [new if view.name == name else view for view in known.viewpoints]
    return TaughtViews(viewpoints=tuple(views if name in known.poses() else [*views, new]))


def obey(arm: Arm, line: str, views: TaughtViews) -> tuple[str, TaughtViews]:
    """Obeys one line of a session: the answer, and the viewpoints afterwards. Raises TeachError, OutOfTravel."""
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


def teaching_session(
    arm: Arm, file: Path, lines: Iterable[str], progress: Progress, answer: Callable[[str], None]
) -> TaughtViews:
    """Obeys line by line until `quit` or the end of `lines`, and saves the file whenever a viewpoint was taught.

    The arm is homed first where its position is not trusted. A refused line is answered with `! ` and the reason, and
    the session goes on. Raises DocumentError for a file that does not load, DeviceError where the arm fails.
    """
    views = load_taught(file)
    if not arm.position_trusted:
        arm.home()
    progress(HELP)
    for line in lines:
        if line.split() == ["quit"]:
            break
        if not line.strip():
            continue
        try:
            words, taught = obey(arm, line, views)
        except (TeachError, OutOfTravel) as error:
            answer(f"! {error}")
            continue
        answer(words)
        if taught is not views:
            views = taught
            save_taught(file, views)
    return views
