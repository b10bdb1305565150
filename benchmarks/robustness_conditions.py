"""The conditions of `robustness.py`: what is wrong, what the recipe promises of it, and where the frames come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from calibration.record import Calibration
from drivers.protocols import Frame
from drivers.simulated.scene import LightHead, Placement, make_part, random_defect
from drivers.simulated.scene.mounted import MountedCamera
from station.collection.folder import CollectedPart, Collection
from station.inspection.reasons import ReasonKind
from station.recipe.aimed_views import aimed
from station.recipe.fields import ProofTolerances, Recipe
from station.recipe.loaded import LoadedRecipe
from station.recipe.solver_inputs import noise_for
from station.teach.disturbances import (
    Disturbance,
    Sensor,
    all_lamps_at,
    blurred_by,
    disturbed_frames,
    exposure_at,
    lamp_at,
    noise_times,
    nothing,
    seed_of,
)
from station.teach.fit_for_recipe import about_of
from station.teach.photographer import FORMAT, Color, Photographer

Frames = Mapping[str, Mapping[str, Frame]]  # view -> light -> frame
Promise = Callable[[Recipe], str]  # within, edge, beyond, or unproven where the recipe has nothing to tell it by
EDGE = 0.05  # of a tolerance: what lies nearer to it may be told either way

LAMP = (ReasonKind.LIGHT_WEAK, ReasonKind.LIGHT_STRONG, ReasonKind.LIGHTS_WEAK, ReasonKind.LIGHTS_STRONG)
EXPOSURE = (ReasonKind.EXPOSURE_WRONG, ReasonKind.LIGHTS_WEAK, ReasonKind.LIGHTS_STRONG, ReasonKind.SATURATED)
CAMERA, PART = (ReasonKind.CAMERA_MOVED,), (ReasonKind.PART_MOVED, ReasonKind.PART_NOT_FOUND)
NOISE, BLUR, TURNED = (ReasonKind.NOISY,), (ReasonKind.BLURRED,), (ReasonKind.LIGHT_MOVED,)


@dataclass(frozen=True)
class Rendering:
    """What must be photographed anew: the part lies or the camera stands elsewhere, a light moved, another rig."""

    off_mm: float = 0.0
    turn_deg: float = 0.0
    camera_mm: float = 0.0
    light_deg: float = 0.0
    other_rig: int | None = None  # the seed of its tolerances; it comes with a true record


@dataclass(frozen=True)
class Condition:
    """One row: raw frames changed by `of`, or rendered anew; which reasons name the cause; what is promised."""

    name: str
    promise: Promise
    kinds: tuple[ReasonKind, ...] = ()
    of: Callable[[int, Sequence[str]], Disturbance] | None = None  # a part's number, lights -> what is wrong with it
    rendering: Rendering | None = None
    figures: tuple[str, ...] = field(default=())  # of a view's quality, printed as medians


def conditions() -> Iterator[Condition]:
    """As issue 17 lists them, undisturbed first."""
    yield Condition("undisturbed", _always, of=lambda *_: nothing())
    for share in (-0.10, -0.05, -0.02, 0.05):
        yield Condition(
            f"one lamp {share:+.0%}", _borne(lambda t: t.light, abs(share), _has_view_reference), LAMP,
            partial(_one_lamp_at, factor=1 + share),
        )  # fmt: skip
    for share in (-0.10, 0.10):
        promise = _borne(lambda t: t.exposure, abs(share), _has_view_reference)
        yield Condition(
            f"all lamps {share:+.0%}", promise, EXPOSURE, lambda *_, f=1 + share: all_lamps_at(f), None,
            ("exposure_ratio",),
        )  # fmt: skip
    yield Condition(
        "exposure +20 %", _borne(lambda t: t.exposure, 0.2, _has_view_reference), EXPOSURE,
        lambda *_: exposure_at(1.2), None, ("exposure_ratio",),
    )  # fmt: skip
    noisy = _borne(lambda t: t.noise, 2.0, _has_view_reference)
    yield Condition("noise x2", noisy, NOISE, lambda *_: noise_times(2.0), None, ("noise_ratio",))
    for sigma_px in (0.5, 1.0):
        yield Condition(
            f"blur {sigma_px:g} px", _by_sharpness, BLUR, lambda *_, s=sigma_px: blurred_by(s), None,
            ("sharpness_ratio",),
        )  # fmt: skip
    for mm in (0.2, 0.5, 1.0, 2.0):
        promise = _borne(lambda t: t.part_moved_mm, mm, _has_part_reference)
        yield Condition(f"placed {mm:g} mm off", promise, PART, rendering=Rendering(off_mm=mm))
    for deg in (1.0, 2.0):
        promise = _borne(lambda t: t.part_turned_deg, deg, _has_part_reference)
        yield Condition(f"placed {deg:g} deg off", promise, PART, rendering=Rendering(turn_deg=deg))
    for mm in (0.1, 0.5):
        promise = _borne(lambda t: t.moved_mm, mm, _has_view_reference)
        yield Condition(
            f"camera {mm:g} mm off", promise, CAMERA, rendering=Rendering(camera_mm=mm), figures=("fixture_moved_mm",)
        )
    promise = _borne(lambda t: t.light_turned_deg, 1.0, _has_view_reference)
    yield Condition("one light 1 deg off", promise, TURNED, rendering=Rendering(light_deg=1.0))
    yield Condition("record of another rig", _always, rendering=Rendering(other_rig=77))


def _one_lamp_at(number: int, lights: Sequence[str], factor: float) -> Disturbance:
    """Another lamp for every part."""
    return lamp_at(lights[number % len(lights)], factor)


def _always(_: Recipe) -> str:
    """Nothing in the pictures could tell it, so it has to be borne."""
    return "within"


def _by_sharpness(_: Recipe) -> str:
    """The tolerance is of the sharpness as measured, not of pixels: the row's own figures tell."""
    return "measured"


def _has_view_reference(recipe: Recipe) -> bool:
    return recipe.view_reference is not None


def _has_part_reference(recipe: Recipe) -> bool:
    return recipe.part_reference is not None


def _borne(tolerance: Callable[[ProofTolerances], float], size: float, is_proven: Callable[[Recipe], bool]) -> Promise:
    def promise(recipe: Recipe) -> str:
        borne = tolerance(recipe.proof_tolerances)
        if not is_proven(recipe):
            return "unproven"
        if abs(size - borne) <= EDGE * borne:
            return "edge"
        return "within" if size < borne else "beyond"

    return promise


class Source:
    """Frames of the test parts of a collection: as they are, disturbed, or photographed anew into a cache."""

    def __init__(self, loaded: LoadedRecipe, collection: Collection, cache: Path | None, threads: int) -> None:
        self.loaded, self.collection, self.cache, self.threads = loaded, collection, cache, threads
        self._lights = [light.name for light in loaded.recipe.lights]

    def recipe_for(self, condition: Condition) -> LoadedRecipe:
        """The recipe under which the condition is judged: another rig has its own record."""
        rendering = condition.rendering
        if rendering is None or rendering.other_rig is None:
            return self.loaded
        return with_record(self.loaded, true_record(self.loaded.calibration, *_other_rig(rendering.other_rig)))

    def can(self, condition: Condition) -> bool:
        """Whether its frames can be had: to photograph anew needs a cache and a simulated collection."""
        return condition.rendering is None or (self.cache is not None and self.collection.about.is_simulated)

    def frames(self, condition: Condition, part: CollectedPart, number: int) -> Frames:
        """The frames of the part, which is the number-th of its kind, under this condition."""
        if condition.rendering is not None:
            taken, own = self._photographed(condition, part)
            return {view: taken.frames(own, view) for view in own.frames}
        assert condition.of is not None
        found = {}
        for view in part.frames:
            frames = self.collection.frames(part, view)
            first = next(iter(frames.values()))
            sensor = Sensor(noise_for(self.loaded, first), self._grid_factor(first))
            rng = np.random.default_rng(seed_of(condition.name, part.name, view))
            found[view] = disturbed_frames(condition.of(number, self._lights), frames, sensor, rng)
        return found

    def _grid_factor(self, frame: Frame) -> int:
        """Capture pixels per pixel of the 684 x 456 grid on which blur is stated."""
        return max(1, round(int(frame.pixels.shape[1]) / (self.loaded.calibration.image_width // 8)))

    def _photographed(self, condition: Condition, part: CollectedPart) -> tuple[Collection, CollectedPart]:
        assert self.cache is not None
        assert condition.rendering is not None
        loaded = self.recipe_for(condition)
        color: Color = "rgb" if self.collection.about.pixel_format.startswith("Bayer") else "mono"
        folder = self.cache / loaded.recipe.product / condition.name.replace(" ", "-")
        kept = Collection.create(folder, about_of(loaded, FORMAT[color], is_simulated=True))
        if not kept.holds(part.name):
            seed = int(part.facts["seed"])
            rng = np.random.default_rng(seed_of(condition.name, seed))
            head, camera = _rig_of(condition.rendering, rng, self._directional())
            off = _placement(condition.rendering, rng)
            kinds = () if part.kind == "good" else tuple(part.kind.split("+"))
            defects = tuple(random_defect(loaded.recipe.product, kind, seed + n) for n, kind in enumerate(kinds))
            photographer = Photographer(loaded, color, self.threads)
            made = make_part(loaded.recipe.product, seed, defects, off)
            views = {view: frames for view, frames, _ in photographer.photographed(made, seed, camera, head)}
            kept.add(part.name, part.kind, part.split, views, facts={"seed": seed, "condition": condition.name})
        return kept, kept.part(part.name)

    def _directional(self) -> list[int]:
        return [light.channel for light in self.loaded.recipe.directional_lights]


def _placement(rendering: Rendering, rng: np.random.Generator) -> Placement | None:
    if not (rendering.off_mm or rendering.turn_deg):
        return None
    azimuth, sign = rng.uniform(0, 2 * np.pi), float(rng.choice([-1.0, 1.0]))
    x, y = rendering.off_mm * np.array([np.cos(azimuth), np.sin(azimuth)])
    return Placement(float(x), float(y), sign * rendering.turn_deg)


def _rig_of(
    rendering: Rendering, rng: np.random.Generator, channels: Sequence[int]
) -> tuple[LightHead | None, MountedCamera | None]:
    if rendering.other_rig is not None:
        return _other_rig(rendering.other_rig)
    if rendering.camera_mm:
        azimuth = rng.uniform(0, 2 * np.pi)
        x, y = rendering.camera_mm * np.array([np.cos(azimuth), np.sin(azimuth)])
        return None, MountedCamera().moved((float(x), float(y), 0.0), (0.0, 0.0, 0.0))
    if rendering.light_deg:
        return _with_light_turned(int(rng.choice(np.array(channels))), rendering.light_deg, rng), None
    return None, None


def _with_light_turned(channel: int, degrees: float, rng: np.random.Generator) -> LightHead:
    """The drawing's head with one light truly elsewhere, at the same distance from the target point."""
    head = LightHead.nominal()
    at = np.array(head.light(channel).position_mm)
    toward = at / np.linalg.norm(at)
    aside = np.cross(toward, rng.standard_normal(3))
    aside /= np.linalg.norm(aside)
    angle = np.radians(degrees)
    x, y, z = np.linalg.norm(at) * (np.cos(angle) * toward + np.sin(angle) * aside)
    moved = replace(head.light(channel), position_mm=(float(x), float(y), float(z)))
    return LightHead(tuple(moved if light.channel == channel else light for light in head.lights))


def _other_rig(seed: int) -> tuple[LightHead, MountedCamera]:
    """Lights off by 0.5 degrees and 1 %, a lens of 0.5 % and 10 px, as the drawing's tolerances have them."""
    return LightHead.toleranced(seed), MountedCamera.toleranced(seed, 0.5, 10.0, 0.0, 0.0)


def true_record(drawing: Calibration, head: LightHead, camera: MountedCamera) -> Calibration:
    """What a faultless calibration of that rig would state."""
    lights = []
    for light in drawing.lights:
        true = head.light(light.channel)
        level = light.plane_level_per_ms
        found: dict[str, object] = {
            "relative_intensity": true.power,
            "plane_level_per_ms": None if level is None else level * true.power,
        }
        if light.position_mm is not None:
            found["position_mm"] = true.position_mm
        lights.append(light.model_copy(update=found))
    focal, (cx, cy) = camera.focal_px, camera.center_px
    return drawing.model_copy(
        update={"lights": tuple(lights), "fx_px": focal, "fy_px": focal, "cx_px": cx, "cy_px": cy}
    )


def with_record(loaded: LoadedRecipe, record: Calibration) -> LoadedRecipe:
    """The recipe under another record: its poses corrected, and no reference made under the first record holding."""
    recipe = aimed(loaded.recipe, record)
    sha256s = {**loaded.sha256s, "calibration": "0" * 64}
    return replace(loaded, recipe=recipe, calibration=record, sha256s=sha256s)
