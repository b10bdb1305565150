"""The plan: what will be captured, step by complete step, before any device is touched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from drivers.protocols import Pose
from station.recipe.loaded import Recipe


@dataclass(frozen=True, slots=True)
class CaptureStep:
    """One frame: where, under which light, exposed how. Nothing is taken over from the step before."""

    index: int  # 0-based, over the whole plan
    view: str
    pose: Pose
    light: str
    channel: int
    kind: Literal["directional", "diffuse"]
    brightness: float
    exposure_us: float
    gain_db: float


def make_plan(recipe: Recipe) -> tuple[CaptureStep, ...]:
    """Viewpoints in the recipe's order, at each all lights in the recipe's order."""
    pairs = [(viewpoint, light) for viewpoint in recipe.viewpoints for light in recipe.lights]
    return tuple(
        CaptureStep(
            index=index,
            view=viewpoint.name,
            pose=viewpoint.as_pose(),
            light=light.name,
            channel=light.channel,
            kind=light.kind,
            brightness=light.brightness,
            exposure_us=light.exposure_us,
            gain_db=recipe.capture.gain_db,
        )
        for index, (viewpoint, light) in enumerate(pairs)
    )


def format_plan(plan: tuple[CaptureStep, ...]) -> str:
    """The plan as a table to print: one line per frame."""
    header = "  # view                       x y z mm   tilt pan deg light       ch  level        us    dB"
    rows = [
        f"{step.index:>3} {step.view:<10} {_position(step.pose):>24} {_angles(step.pose):>14} {step.light:<10} "
        f"{step.channel:>3} {step.brightness:>6.3f} {step.exposure_us:>9.1f} {step.gain_db:>5.1f}"
        for step in plan
    ]
    return "\n".join([header, *rows])


def _position(pose: Pose) -> str:
    return f"{pose.x_mm:.2f} {pose.y_mm:.2f} {pose.z_mm:.2f}"


def _angles(pose: Pose) -> str:
    return f"{pose.tilt_deg:.1f} {pose.pan_deg:.1f}"
