"""The fields of a recipe: everything chosen for a product, that is how it is lit, photographed and judged.

The models refuse unknown fields and wrong types; `station.documents` turns a refusal into a message with its line.
A new field belongs here, with its unit in its name, its bounds and a default under which older recipes mean the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from drivers.geometry.pose import Pose
from drivers.protocols import CameraSettings
from station.documents.errors import FieldError

WINDOWS_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
MINIMUM_DIRECTIONAL_LIGHTS = 3
DARK = "dark"  # in place of a light's name: the frame that is taken with every light off

Identifier = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,31}$")]
FileName = Annotated[str, Field(pattern=r"^[^\x00-\x1f]{1,255}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Millimetres = Annotated[float, Field(ge=-100_000, le=100_000, allow_inf_nan=False)]
Degrees = Annotated[float, Field(ge=-3600, le=3600, allow_inf_nan=False)]
Pixels = Annotated[float, Field(ge=-1_000_000, le=1_000_000, allow_inf_nan=False)]
Component = Annotated[float, Field(ge=-10, le=10, allow_inf_nan=False)]  # of a unit vector
Exposure = Annotated[float, Field(gt=0, le=10_000_000, allow_inf_nan=False)]  # us
Gain = Annotated[float, Field(ge=1, le=16, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


def _whole_number(value: object) -> object:
    """Python takes `true` and 1.0 for the choice 1; a file that says so means something else."""
    if isinstance(value, bool | float):
        raise ValueError(f"expected a whole number, found {str(value).lower()}")
    return value


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class CaptureChoice(_Strict):
    """How the camera is set for every frame (PFNC pixel format, SFNC gain); exposures belong to the lights."""

    pixel_format: Literal["Mono8", "Mono12", "BayerRG8", "BayerRG12"]
    binning: Annotated[Literal[1, 2, 4, 8], BeforeValidator(_whole_number)] = 1
    gain_db: Annotated[float, Field(ge=0, le=48, allow_inf_nan=False)] = 0.0
    settle_s: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] = 0.0  # wait after each move
    # In which order the arm visits the viewpoints: the first one first, the others by the shortest way or as written.
    order: Literal["least_travel", "as_written"] = "least_travel"
    # How often a view whose frames disagree with their proof is taken again, whole, before the part is UNDECIDED.
    retakes_per_view: Annotated[int, Field(ge=0, le=5)] = 0

    @property
    def is_color(self) -> bool:
        return not self.pixel_format.startswith("Mono")


class PoseChoice(_Strict):
    """The camera's entrance pupil in the station frame, and how it looks (see drivers.protocols)."""

    x_mm: Millimetres
    y_mm: Millimetres
    z_mm: Millimetres
    tilt_deg: Degrees
    pan_deg: Degrees


class Viewpoint(_Strict):
    """A taught pose of the camera, with the score limit of its view."""

    name: Name
    pose: PoseChoice
    limit: Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)]  # a score above it fails
    # The mean height of the part's surface over the plane through the target point, toward this view's camera; near
    # lights are computed for this plane. See station.recipe.solver_inputs.
    plane_height_mm: Annotated[float, Field(ge=-100, le=100, allow_inf_nan=False)] = 0.0

    def as_pose(self) -> Pose:
        """The pose as the arm's driver takes it."""
        return Pose(**self.pose.model_dump())


class ReLookChoice(_Strict):
    """Another look, with other exposures, at a view that is UNDECIDED for exposure or coverage alone.

    Without this block there is none. See station.judge.re_look, and docs/states.md.
    """

    takt_s: Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]  # from Start; no look begins that ends later
    shorten_to: Annotated[float, Field(ge=0.1, lt=1, allow_inf_nan=False)] = 0.5  # of an exposure that clips
    # Of one under which the part is too dark. At 4 the frame's own noise has doubled, see proof_tolerances.noise.
    lengthen_to: Annotated[float, Field(gt=1, le=4, allow_inf_nan=False)] = 2.0


class LightChoice(_Strict):
    """One light as this product uses it: its channel at the controller, its brightness (0..1) and exposure."""

    name: Name
    channel: Annotated[int, Field(ge=1, le=255)]
    kind: Literal["directional", "diffuse"]
    brightness: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 1.0
    exposure_us: Exposure


class GlossChoice(_Strict):
    """The product's broad highlight; see station.photometric_stereo.gloss, which fits it from frames."""

    of_albedo: Annotated[float, Field(gt=0, le=20, allow_inf_nan=False)]
    roughness: Annotated[float, Field(ge=0.02, le=1, allow_inf_nan=False)]


class PhotometricStereoChoice(_Strict):
    """How a view's normals are solved: `method` at once, then `refine`.

    The detector must get normals from the same solver as its training set; `detector_normals` names it. With `first`
    a refined map goes to archive and screen only, and is left out when the station falls behind. With `refined` it is
    always made. `bounced` takes off light that bounced between surfaces of a matte part, and refuses normals that stay
    in doubt (docs/bounced-light.md); it knows nothing of gloss.
    """

    method: Literal["ls", "masked", "robust"] = "masked"
    shadow_fraction: Share = 0.08  # a light under this share of the pixel's bright quantile counts as shadowed
    minimum_observable_share: Share = 0.5  # of a view's pixels; fewer make it UNDECIDED
    refine: Literal["none", "robust", "gloss", "bounced"] = "none"
    detector_normals: Literal["first", "refined"] = "first"
    gloss: GlossChoice | None = None

    @model_validator(mode="after")
    def _refinement_is_whole(self) -> PhotometricStereoChoice:
        if self.refine == "gloss" and self.gloss is None:
            raise FieldError(("gloss",), "refine: gloss needs the product's gloss (of_albedo and roughness)")
        if self.refine == "bounced" and self.method != "masked":
            raise FieldError(
                ("method",),
                f"refine: bounced finds lit lights of its own, and {self.method!r} would not count: choose masked",
            )
        if self.detector_normals == "refined" and self.refine == "none":
            raise FieldError(
                ("detector_normals",), "'refined' needs a refinement: choose refine: robust, gloss or bounced"
            )
        return self

    @property
    def gloss_of_detector(self) -> tuple[float, float] | None:
        """of_albedo and roughness, where they change the normals that the detector gets."""
        if self.gloss is None or self.refine != "gloss" or self.detector_normals != "refined":
            return None
        return self.gloss.of_albedo, self.gloss.roughness


class ModelChoice(_Strict):
    """The anomaly model's `.onnx` file, and the hash that it must have."""

    file: FileName  # relative to the recipe
    sha256: Sha256 | None = None  # of the file, once one is pinned
    # What it learned from, which every result says: a model of pictures alone never sees a dent that keeps its colour.
    judges: Literal["both", "pictures"] = "both"  # pictures and normals, or pictures alone


class WhiteBalance(_Strict):
    """Gains of at least 1, so that what saturates stays white; `station calibrate white` measures them."""

    red: Gain = 1.0
    green: Gain = 1.0
    blue: Gain = 1.0

    @property
    def gains(self) -> tuple[float, float, float]:
        """Red, green, blue."""
        return self.red, self.green, self.blue


class DisplayChoice(_Strict):
    """How pictures are drawn for people. It changes no pixel that is solved, judged or archived."""

    white_balance: WhiteBalance = WhiteBalance()


class LightLevelLimits(_Strict):
    """Limits of a frame's mean level over its reference level, as ratios; see station.lights.levels."""

    dead_below: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 0.15
    weak_below: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 0.8
    strong_above: Annotated[float, Field(gt=1, le=1000, allow_inf_nan=False)] = 1.25
    clipped_above: Share = 0.005  # share of pixels at full scale under the diffuse light; more is UNDECIDED
    ambient_told_above: Share = 0.01  # the dark frame's level over the references; more raises a warning
    ambient_above: Share = (
        0.025  # the same; more is UNDECIDED. At 5 % good demo parts FAIL, at 2.6 % their scores double
    )


class ViewReferenceChoice(_Strict):
    """The file of what the fixture looks like in each view; `station view-reference` makes it."""

    file: FileName  # relative to the recipe
    sha256: Sha256


class PartReferenceChoice(_Strict):
    """The file of what a good part looks like in each view, and where it is; `station train` makes it."""

    file: FileName  # relative to the recipe
    sha256: Sha256


class ProofTolerances(_Strict):
    """How far a view may differ from its reference; beyond it the view is UNDECIDED. See station.judge.view_proof.

    The defaults are from `benchmarks/causes.py`: good demo parts bear this much, and undisturbed views stay far below.
    """

    moved_mm: Annotated[float, Field(gt=0, le=50, allow_inf_nan=False)] = 0.25  # of the fixture in the picture
    distance_mm: Annotated[float, Field(gt=0, le=50, allow_inf_nan=False)] = 0.25  # nearer or farther
    turned_deg: Annotated[float, Field(gt=0, le=45, allow_inf_nan=False)] = 0.15  # at 0.25 a good demo part FAILs
    light: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 0.08  # of one light against the others
    exposure: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 0.15  # of all lights alike
    stray: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 0.02  # of a light's own level, while it is off
    light_turned_deg: Annotated[float, Field(gt=0, le=45, allow_inf_nan=False)] = 0.6  # about the target point
    blurred_below: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 0.75  # of the reference's sharpness
    noise: Annotated[float, Field(gt=1, le=100, allow_inf_nan=False)] = 1.75  # over the reference's noise
    part_moved_mm: Annotated[float, Field(gt=0, le=50, allow_inf_nan=False)] = 2.3  # on the fixture, from its reference
    part_turned_deg: Annotated[float, Field(gt=0, le=45, allow_inf_nan=False)] = 2.3


class ReferenceLight(_Strict):
    """A light at training time: its calibration, and how the recipe used it.

    An exposure, brightness or gain of None was not recorded and is taken as unchanged.
    """

    relative_intensity: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)]
    plane_level_per_ms: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)] | None = None
    direction: tuple[Component, Component, Component] | None = (
        None  # unit vector toward the light, camera axes; None for a diffuse light
    )
    exposure_us: Exposure | None = None
    brightness: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    gain_db: Annotated[float, Field(ge=0, le=48, allow_inf_nan=False)] | None = None


class ReferenceCamera(_Strict):
    """The camera at training time: its lens, in pixels of the full sensor, and its place on the arm.

    `on_arm_mm` and `on_arm_deg` (a rotation vector) are in the arm's own frame: x right, y down, z ahead.
    """

    focal_px: Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)]
    center_px: tuple[Pixels, Pixels]
    on_arm_mm: tuple[Millimetres, Millimetres, Millimetres] = (0.0, 0.0, 0.0)
    on_arm_deg: tuple[Degrees, Degrees, Degrees] = (0.0, 0.0, 0.0)


class Recipe(_Strict):
    """One product's recipe as its file holds it; `station.recipe.loaded` adds the files that it refers to."""

    recipe_id: Identifier
    revision: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    product: Identifier
    calibration: FileName  # relative to the recipe
    calibration_sha256: Sha256 | None = None  # of that file; see station.recipe.binding
    capture: CaptureChoice
    viewpoints: tuple[Viewpoint, ...] = Field(min_length=1)
    lights: tuple[LightChoice, ...]
    photometric_stereo: PhotometricStereoChoice = PhotometricStereoChoice()
    model: ModelChoice
    display: DisplayChoice = DisplayChoice()
    light_level_limits: LightLevelLimits = LightLevelLimits()
    reference_levels: dict[Name, dict[Name, Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]]] = Field(
        default_factory=dict
    )  # mean level of a good part's frame over black, share of full scale, per view and light
    # The lights under which those levels were taken; without them, the lights of the calibration named above.
    reference_lights: dict[Name, ReferenceLight] = Field(default_factory=dict)
    # The camera with which those levels were taken; poses are corrected for another one (station.recipe.aimed_views).
    # Without it the arm goes to the poses as they are written.
    reference_camera: ReferenceCamera | None = None
    # Without it nothing is proven of camera and lights in the picture but what the levels show.
    view_reference: ViewReferenceChoice | None = None
    # Without it the part must lie as in training, and the whole picture is judged.
    part_reference: PartReferenceChoice | None = None
    proof_tolerances: ProofTolerances = ProofTolerances()
    re_look: ReLookChoice | None = None

    @property
    def directional_lights(self) -> tuple[LightChoice, ...]:
        """The lights that photometric stereo solves with, in the recipe's order."""
        return tuple(light for light in self.lights if light.kind == "directional")

    def camera_settings(self) -> CameraSettings:
        """What the camera is configured to; its size follows from the sensor and the binning."""
        return CameraSettings(pixel_format=self.capture.pixel_format, binning=self.capture.binning)

    @model_validator(mode="after")
    def _fits_together(self) -> Recipe:
        if self.recipe_id in WINDOWS_RESERVED:
            raise FieldError(("recipe_id",), f"{self.recipe_id!r} cannot be a file name on every system")
        _unique("viewpoints", self.viewpoints, "name")
        _unique("lights", self.lights, "name")
        _unique("lights", self.lights, "channel")
        if not self.capture.is_color and self.display.white_balance != WhiteBalance():
            text = f"{self.capture.pixel_format} pictures have no colours to balance: leave it out"
            raise FieldError(("display", "white_balance"), text)
        self._check_kinds_of_light()
        self._check_reference_levels()
        return self

    def _check_kinds_of_light(self) -> None:
        for index, light in enumerate(self.lights):
            if light.name.lower() == DARK:  # a file system may not tell them apart
                text = f"{DARK!r} names the frame with every light off; give this light another name"
                raise FieldError(("lights", index, "name"), text)
        diffuse = [index for index, light in enumerate(self.lights) if light.kind == "diffuse"]
        if len(diffuse) != 1:
            at = ("lights", diffuse[1], "kind") if diffuse else ("lights",)
            raise FieldError(at, f"exactly one light must be diffuse, found {len(diffuse)}")
        count = len(self.directional_lights)
        if count < MINIMUM_DIRECTIONAL_LIGHTS:
            wanted = f"photometric stereo needs at least {MINIMUM_DIRECTIONAL_LIGHTS} directional lights"
            raise FieldError(("lights",), f"{wanted}, found {count}")
        if self.photometric_stereo.refine == "bounced" and count <= MINIMUM_DIRECTIONAL_LIGHTS:
            text = f"bounced needs {MINIMUM_DIRECTIONAL_LIGHTS + 1} directional lights or more, found {count}"
            raise FieldError(("photometric_stereo", "refine"), f"{text}: three fit any plane, and none is found unlit")

    def _check_reference_levels(self) -> None:
        views = {viewpoint.name for viewpoint in self.viewpoints}
        lights = {light.name for light in self.lights}
        for view, levels in self.reference_levels.items():
            _known(("reference_levels", view), "viewpoint", views)
            for light in levels:
                _known(("reference_levels", view, light), "light", lights)
        for light in self.reference_lights:
            _known(("reference_lights", light), "light", lights)
        missing = sorted(lights - set(self.reference_lights))
        if self.reference_lights and missing:
            raise FieldError(("reference_lights",), f"light {missing[0]!r} is missing: train, or bind the recipe anew")


def _unique(table: str, items: Sequence[Viewpoint | LightChoice], key: str) -> None:
    first: dict[object, int] = {}
    for index, item in enumerate(items):
        value = getattr(item, key)
        other = first.setdefault(value, index)
        if other != index:
            raise FieldError((table, index, key), f"{value!r} is already that of {table}[{other}]")


def _known(at: tuple[str, ...], what: str, names: Iterable[str]) -> None:
    if at[-1] not in names:
        raise FieldError(at, f"no {what} is named {at[-1]!r} (there are {', '.join(sorted(names))})")
