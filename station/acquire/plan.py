"""The plan: what will be captured, step by complete step, before any device is touched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from drivers.geometry.pose import Pose
from station.acquire.order import Motion, least_travel, round_trip_s
from station.recipe.fields import DARK, LightChoice, Recipe, Viewpoint

Kind = Literal["dark", "directional", "diffuse"]


@dataclass(frozen=True, slots=True)
class CaptureStep:
    """One frame: where, under which light, exposed how. Nothing is taken over from the step before."""

    index: int  # 0-based, over the whole plan
    view: str
    pose: Pose
    light: str  # `dark` where every light is off
    channel: int  # 0 where every light is off
    kind: Kind
    brightness: float  # 0..1 of what the light controller can give
    exposure_us: float
    gain_db: float


def make_plan(recipe: Recipe) -> tuple[CaptureStep, ...]:
    """Viewpoints in the order of `visited`, at each all lights in the recipe's order; the dark frame comes first.

    The dark frame is taken once a part, at its first view, with every light off. It is exposed as long as the longest
    of the other frames, so that its noise is no larger than theirs.
    """
    return tuple(replace(step, index=index) for index, step in enumerate(_steps(recipe)))


def visited(recipe: Recipe, motion: Motion = Motion()) -> tuple[Viewpoint, ...]:  # noqa: B008 - frozen
    """The viewpoints in the order in which the arm goes to them, as `capture.order` asks."""
    if recipe.capture.order == "as_written":
        return recipe.viewpoints
    return tuple(recipe.viewpoints[i] for i in least_travel([v.as_pose() for v in recipe.viewpoints], motion))


def expected_text(recipe: Recipe, motion: Motion = Motion()) -> str:  # noqa: B008 - frozen
    """A line on the order of the views and the time that it will take, at the least."""
    views = visited(recipe, motion)
    poses = [view.as_pose() for view in views]
    moves_s = round_trip_s(poses, motion)
    written_s = round_trip_s([view.as_pose() for view in recipe.viewpoints], motion)
    settling_s = len(views) * recipe.capture.settle_s
    exposures_s = sum(step.exposure_us for step in make_plan(recipe)) / 1e6
    saved = f", {written_s - moves_s:.2f} s less than as written" if views != recipe.viewpoints else ""
    return (
        f"order {', '.join(view.name for view in views)}{saved}; expected: moves {moves_s:.2f} s (at "
        f"{motion.mm_per_s:g} mm/s and {motion.deg_per_s:g} deg/s, back to the first view), "
        f"settling {settling_s:.2f} s, exposures {exposures_s:.2f} s; readout and lights come on top"
    )


def _steps(recipe: Recipe) -> Iterator[CaptureStep]:
    """All steps in their order, not numbered yet."""
    for viewpoint in visited(recipe):
        if viewpoint is recipe.viewpoints[0]:
            yield _dark_step(recipe, viewpoint)
        for light in recipe.lights:
            yield _lit_step(recipe, viewpoint, light)


def _dark_step(recipe: Recipe, viewpoint: Viewpoint) -> CaptureStep:
    return CaptureStep(
        index=0,
        view=viewpoint.name,
        pose=viewpoint.as_pose(),
        light=DARK,
        channel=0,
        kind="dark",
        brightness=0.0,
        exposure_us=max(light.exposure_us for light in recipe.lights),
        gain_db=recipe.capture.gain_db,
    )


def _lit_step(recipe: Recipe, viewpoint: Viewpoint, light: LightChoice) -> CaptureStep:
    return CaptureStep(
        index=0,
        view=viewpoint.name,
        pose=viewpoint.as_pose(),
        light=light.name,
        channel=light.channel,
        kind=light.kind,
        brightness=light.brightness,
        exposure_us=light.exposure_us,
        gain_db=recipe.capture.gain_db,
    )


def lit_steps(plan: tuple[CaptureStep, ...]) -> tuple[CaptureStep, ...]:
    """The steps of a plan that are taken under a light."""
    return tuple(step for step in plan if step.kind != "dark")


def exposed_otherwise(
    plan: tuple[CaptureStep, ...], view: str, factors: Mapping[str, float]
) -> tuple[CaptureStep, ...]:
    """The plan's steps of one view, with these factors on the exposures of the lights that they name.

    A dark frame among them is exposed as long as the longest of the others again.
    """
    steps = [step for step in plan if step.view == view]
    lit = {s.light: s.exposure_us * factors.get(s.light, 1.0) for s in steps if s.kind != "dark"}
    return tuple(replace(step, exposure_us=lit.get(step.light, max(lit.values()))) for step in steps)


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
