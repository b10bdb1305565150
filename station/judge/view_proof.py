"""What a view's own pictures prove: where the camera stands, which lamps shine how strongly, exposure, sharpness.

The fixture is the witness: it lies still, and it is the same whatever part lies in it. A cause that is not the part is
found here before a good part would fail by it, and the view is UNDECIDED with that cause.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from drivers.protocols import Frame
from station.inspection.reasons import Reason, ReasonKind
from station.judge.fixture_lights import FixtureLights, LitFrame
from station.judge.fixture_picture import FixturePicture, cell_edge_px, fixture_picture
from station.judge.fixture_place import FixtureTracker, Place, moved
from station.judge.lamp_turns import LEAST_UNSURE_DEG, Turn, figures_of, tilts_for
from station.judge.lamp_turns import REMEDY as LAMP_REMEDY
from station.recipe.fields import ProofTolerances, Viewpoint
from station.recipe.loaded import LoadedRecipe
from station.recipe.view_reference_file import ViewReference, misfits

LEAST_LIKENESS = 0.5  # of the fixture's texture; undisturbed views of the demo products have 0.99
MEASURED_TO = 0.01  # of a light's strength: 110 undisturbed views of demo parts were off by 0.0084 at most
COUNTS_TOO = 0.3  # of the strongest stray light
MOST_OF_A_MOVED_LAMP = 0.25  # of another lamp's light: so much as if it shone too; beyond it, lamps were exchanged
LEAST_LIGHT = 0.2  # of the diffuse light's reference level: below, the fixture is not looked for
WITH_MORE_FIXTURE = "leave more fixture without moving shadows in the picture, and make the view reference anew"
ALL_LIGHTS = (ReasonKind.LIGHTS_WEAK, ReasonKind.LIGHTS_STRONG)
MOVED, TURNED, SCALE, SHARP, EXPOSURE, LIKENESS, NOISE = (
    "fixture_moved_mm", "fixture_turned_deg", "fixture_scale", "sharpness_ratio", "exposure_ratio", "fixture_likeness",
    "noise_ratio",
)  # fmt: skip


@dataclass(frozen=True)
class Stray:
    """Light of a lamp that was not commanded: its share of the lamp's full light, and in which lamp's frame.

    `elsewhere` is what it gives in other lamps' frames: the second least of them.
    """

    share: float
    frame: str
    elsewhere: float

    @property
    def is_in_one_frame(self) -> bool:
        """Whether it seems to shine beside one lamp only: then rather that lamp shines from elsewhere."""
        return self.elsewhere < COUNTS_TOO * self.share and self.share < MOST_OF_A_MOVED_LAMP


@dataclass(frozen=True)
class ViewEvidence:
    """What the pictures of one view show. A figure is None, or a light absent, where it cannot be told."""

    place: Place | None
    cell_px: int
    cell_mm: float
    distance_mm: float  # to the camera
    lights: Mapping[str, float]  # per light: its strength over the reference
    strays: Mapping[str, Stray]  # per lamp: the most that it gave in a frame that was not its own
    sharpness: float | None  # over the reference's, the median of all frames
    untold: tuple[str, ...] = ()  # lights whose strength cannot be told though the fixture is recognised
    noise: float | None = None  # over the reference's, the median of all frames
    turns: Mapping[str, Turn] = field(default_factory=dict)  # per lamp, against what good parts seem to do

    @property
    def exposure(self) -> float | None:
        """What all frames have in common: the median of the lights' strengths."""
        return float(np.median(list(self.lights.values()))) if self.lights else None

    @property
    def against_others(self) -> dict[str, float]:
        """Each light's strength over what all have in common."""
        common = self.exposure
        return {name: value / common for name, value in self.lights.items()} if common else {}

    @property
    def worth_correcting(self) -> dict[str, float]:
        """The strengths that are off by more than they are measured to; normals bear what is left."""
        return {name: ratio for name, ratio in self.against_others.items() if abs(ratio - 1) > MEASURED_TO}

    @property
    def shift_px(self) -> tuple[float, float]:
        """How far right and down the fixture stands, in pixels of the capture; 0 where it cannot be told."""
        if self.place is None:
            return 0.0, 0.0
        return self.place.dx_cells * self.cell_px, self.place.dy_cells * self.cell_px

    def figures(self) -> dict[str, float]:
        """The figures that are archived with the view's quality."""
        found = {EXPOSURE: self.exposure, SHARP: self.sharpness, NOISE: self.noise}
        if self.place is not None:
            found[MOVED], found[SCALE] = self.place.shift_cells * self.cell_mm, self.place.scale
            found[TURNED], found[LIKENESS] = float(np.degrees(self.place.turn_rad)), self.place.likeness
        found |= {f"light_ratio_{name}": value for name, value in self.against_others.items()}
        found |= {f"stray_light_{name}": stray.share for name, stray in self.strays.items()}
        found |= figures_of(self.turns)
        return {name: value for name, value in found.items() if value is not None}


class ViewProof:
    """Gathers the evidence of one view against its reference."""

    def __init__(self, loaded: LoadedRecipe, reference: ViewReference, viewpoint: Viewpoint, diffuse: str) -> None:
        assert loaded.view_references is not None
        self._loaded = loaded
        self._pose = viewpoint.as_pose()
        self._tilts: dict[int, dict[str, NDArray[np.float32]]] = {}  # per size of cells
        self._uses = loaded.view_references.uses
        self._brightness = {light.name: light.brightness for light in loaded.recipe.lights}
        self._mm_per_px = loaded.calibration.mm_per_px(loaded.recipe.capture.binning)
        self._distance_mm = loaded.calibration.working_distance_mm
        self._reference = reference
        self._diffuse = diffuse
        at = reference.lights.index(diffuse)
        self._tracker = FixtureTracker(reference.levels[at], reference.fixture & reference.steady[at])
        self._median = float(np.median(reference.levels[at][reference.fixture]))
        self._lights = FixtureLights(reference.lights, reference.levels, reference.steady, reference.sway)
        self._sharpness = dict(zip(reference.lights, reference.sharpness, strict=True))
        self._noise = {} if reference.noise is None else dict(zip(reference.lights, reference.noise, strict=True))

    def evidence(self, frames: Mapping[str, Frame]) -> ViewEvidence:
        """`frames` under every light of the recipe, by its name. Raises GridMismatch for frames of another size."""
        cell_px = cell_edge_px(frames[self._diffuse].pixels.shape[1])
        return self.evidence_of({name: fixture_picture(frame, cell_px) for name, frame in frames.items()})

    def evidence_of(self, pictures: Mapping[str, FixturePicture]) -> ViewEvidence:
        """The same from pictures of the recipe's lights."""
        cell_px = pictures[self._diffuse].cell_px
        place = self._place(pictures[self._diffuse])
        is_seen = place is not None and place.likeness >= LEAST_LIKENESS
        lit = self._lit(pictures, place) if place is not None and is_seen else {}
        shares = {name: frame.shares() for name, frame in lit.items()}
        return ViewEvidence(
            place,
            cell_px,
            cell_px * self._mm_per_px,
            self._distance_mm,
            {name: found[name] / self._brightness[name] for name, found in shares.items()},
            _strays(shares),
            self._sharpness_over_reference(pictures),
            tuple(name for name in pictures if is_seen and name not in shares),
            self._noise_over_reference(pictures),
            self._turns(lit, cell_px),
        )

    def turned_deg(self, pictures: Mapping[str, FixturePicture]) -> dict[str, tuple[float, float]]:
        """Per lamp whose place is known, how far its frame shows it to have turned along two axes, in degrees.

        Empty where the fixture is not recognised.
        """
        place = self._place(pictures[self._diffuse])
        if place is None or not place.likeness >= LEAST_LIKENESS:
            return {}
        tilts = self._tilts_for(pictures[self._diffuse].cell_px)
        fitted = {name: f.turned(tilts[name]) for name, f in self._lit(pictures, place).items() if name in tilts}
        return {name: (turn.x_deg, turn.y_deg) for name, turn in fitted.items()}

    def _tilts_for(self, cell_px: int) -> dict[str, NDArray[np.float32]]:
        if cell_px not in self._tilts:
            names, shape = self._reference.lights, self._reference.fixture.shape
            self._tilts = {cell_px: tilts_for(self._loaded, self._pose, names, cell_px, (shape[0], shape[1]))}
        return self._tilts[cell_px]

    def _turns(self, lit: Mapping[str, LitFrame], cell_px: int) -> dict[str, Turn]:
        if self._reference.turns is None:
            return {}
        tilts, usual = self._tilts_for(cell_px), dict(zip(self._reference.lights, self._reference.turns, strict=True))
        found = {}
        for name, frame in lit.items():
            x_deg, y_deg, spread = map(float, usual[name])
            if name in tilts and np.isfinite(spread):
                turn = frame.turned(tilts[name], (x_deg, y_deg))
                unsure_deg = max(spread, LEAST_UNSURE_DEG)
                found[name] = Turn(turn.x_deg - x_deg, turn.y_deg - y_deg, unsure_deg, turn.explained)
        return found

    def _place(self, picture: FixturePicture) -> Place | None:
        """Of a picture under the diffuse light. None in the dark: there is nothing to be seen."""
        levels = picture.levels
        factor = self._expected(picture)[self._diffuse] * self._brightness[self._diffuse]
        if abs(factor - 1) > MEASURED_TO:  # another exposure than the reference's: the tracker clips what is too bright
            levels = levels / np.float32(factor)
        if not np.median(levels[self._reference.fixture]) > LEAST_LIGHT * self._median:
            return None
        return self._tracker.find(levels)

    def _lit(self, pictures: Mapping[str, FixturePicture], place: Place) -> dict[str, LitFrame]:
        """By the frame's light; a light is absent where too little steady fixture is to be seen."""
        found = {}
        for name, picture in pictures.items():
            frame = self._lights.lit(name, moved(picture.levels, place.onto_reference), self._expected(picture))
            if frame is not None:
                found[name] = frame
        return found

    def _expected(self, picture: FixturePicture) -> dict[str, float]:
        """Per lamp: what it would give at full light in this frame, over its reference picture."""
        return {
            name: picture.exposure_us / use.exposure_us / use.brightness * 10 ** ((picture.gain_db - use.gain_db) / 20)
            for name, use in self._uses.items()
        }

    def _sharpness_over_reference(self, pictures: Mapping[str, FixturePicture]) -> float | None:
        return float(np.median([picture.sharpness / self._sharpness[name] for name, picture in pictures.items()]))

    def _noise_over_reference(self, pictures: Mapping[str, FixturePicture]) -> float | None:
        """At the reference's gain, which both signal and noise follow."""
        ratios = [
            picture.noise / self._noise[name] / 10 ** ((picture.gain_db - self._uses[name].gain_db) / 20)
            for name, picture in pictures.items()
            if self._noise.get(name, 0.0) > 0
        ]
        return float(np.median(ratios)) if ratios else None


def _strays(shares: Mapping[str, Mapping[str, float]]) -> dict[str, Stray]:
    per_lamp: dict[str, list[tuple[float, str]]] = {}
    for frame, of_frame in shares.items():
        for lamp, share in of_frame.items():
            if lamp != frame:
                per_lamp.setdefault(lamp, []).append((share, frame))
    strays = {}
    for lamp, found in per_lamp.items():
        share, frame = max(found)
        strays[lamp] = Stray(share, frame, sorted(found)[min(1, len(found) - 1)][0])
    return strays


def view_proofs(loaded: LoadedRecipe) -> dict[str, ViewProof]:
    """Per view; empty where `why_unproven` gives a reason."""
    references = loaded.view_references
    if references is None or why_unproven(loaded) is not None:
        return {}
    diffuse = next(light.name for light in loaded.recipe.lights if light.kind == "diffuse")
    return {v.name: ViewProof(loaded, references.views[v.name], v, diffuse) for v in loaded.recipe.viewpoints}


def why_unproven(loaded: LoadedRecipe) -> str | None:
    """Why nothing can be proven in this recipe's pictures; None where it can."""
    references, recipe = loaded.view_references, loaded.recipe
    if references is None:
        return "the recipe names no view_reference"
    views = [viewpoint.name for viewpoint in recipe.viewpoints]
    channels = {light.name: light.channel for light in recipe.lights}
    found = list(misfits(references, views, channels, recipe.capture.pixel_format, loaded.sha256s["calibration"]))
    return f"its view_reference does not fit: {'; '.join(found)}" if found else None


def check_evidence(
    evidence: ViewEvidence, tolerances: ProofTolerances, known: tuple[Reason, ...] = ()
) -> tuple[Reason, ...]:
    """Why the view cannot be judged. What the `known` reasons say already is not said twice.

    From another place the fixture is lit otherwise: where it has moved, its light proves nothing.
    """
    found = list(_place_reasons(evidence, tolerances))
    if evidence.place is None and not known:
        found.append(_in_the_dark())
    if not found:
        strays = tuple(_stray_reasons(evidence, tolerances))
        found = [*strays, *_light_reasons(evidence, tolerances, is_stray=bool(strays)), *_untold_reasons(evidence)]
    found += [*_sharpness_reasons(evidence, tolerances), *_noise_reasons(evidence, tolerances)]
    named = {reason.light for reason in known if reason.light is not None}
    is_of_all = any(reason.kind in ALL_LIGHTS for reason in known)
    return tuple(
        reason
        for reason in found
        if not (reason.light in named and reason.kind in (ReasonKind.LIGHT_WEAK, ReasonKind.LIGHT_STRONG))
        and not (is_of_all and reason.kind is ReasonKind.EXPOSURE_WRONG)
    )


def _in_the_dark() -> Reason:
    text = f"the fixture has less than {LEAST_LIGHT:.0%} of its reference brightness under the diffuse light"
    remedy = (
        "look whether something covers it; check the camera's exposure, the lens's cap and aperture, and that light"
    )
    return Reason(ReasonKind.EXPOSURE_WRONG, text, remedy)


def _place_reasons(evidence: ViewEvidence, tolerances: ProofTolerances) -> Iterator[Reason]:
    place = evidence.place
    if place is None:
        return
    remedy = (
        "home the arm and inspect again; if it stays, look whether camera, arm or fixture was knocked, then calibrate "
        "the viewpoints"
    )
    if not place.likeness >= LEAST_LIKENESS:
        text = f"the fixture is not recognised (likeness {place.likeness:.2f}, at least {LEAST_LIKENESS:g})"
        yield Reason(ReasonKind.CAMERA_MOVED, text, f"look whether something covers it; {remedy}")
        return
    shift_mm = place.shift_cells * evidence.cell_mm
    if not shift_mm <= tolerances.moved_mm:
        x_mm, y_mm = place.dx_cells * evidence.cell_mm, place.dy_cells * evidence.cell_mm
        text = (
            f"the fixture stands {place.shift_cells * evidence.cell_px:.1f} px ({shift_mm:.2f} mm: {abs(x_mm):.2f} to "
            f"the {'right' if x_mm > 0 else 'left'}, {abs(y_mm):.2f} {'down' if y_mm > 0 else 'up'}) from where the "
            f"reference has it (tolerance {tolerances.moved_mm:g} mm)"
        )
        yield Reason(ReasonKind.CAMERA_MOVED, text, remedy)
    nearer_mm = (place.scale - 1) * evidence.distance_mm
    if not abs(nearer_mm) <= tolerances.distance_mm:
        text = (
            f"the fixture stands {abs(nearer_mm):.2f} mm too {'near' if nearer_mm > 0 else 'far'} "
            f"(tolerance {tolerances.distance_mm:g} mm)"
        )
        yield Reason(ReasonKind.CAMERA_MOVED, text, remedy)
    turned_deg = abs(float(np.degrees(place.turn_rad)))
    if not turned_deg <= tolerances.turned_deg:
        text = f"the fixture stands turned by {turned_deg:.2f} degrees (tolerance {tolerances.turned_deg:g} degrees)"
        yield Reason(ReasonKind.CAMERA_MOVED, text, remedy)


def _stray_reasons(evidence: ViewEvidence, tolerances: ProofTolerances) -> Iterator[Reason]:
    """The lamp that gives most, and those that give about as much: a sum may stand for a lamp without reference."""
    over = {name: stray for name, stray in evidence.strays.items() if not stray.share <= tolerances.stray}
    most = max((stray.share for stray in over.values()), default=0.0)
    for name, stray in over.items():
        if stray.share < COUNTS_TOO * most:
            continue
        if stray.is_in_one_frame:
            text = (
                f"light {stray.frame!r} lights the fixture otherwise than in its reference, as if {stray.share:.1%} of "
                f"light {name!r} shone beside it, in this frame alone (tolerance {tolerances.stray:.1%})"
            )
            remedy = f"{LAMP_REMEDY}; if it stands right, look for crosstalk between the two channels"
            yield Reason(ReasonKind.LIGHT_MOVED, text, remedy, light=stray.frame)
        else:
            text = (
                f"light {name!r} shines at {stray.share:.1%} of its full light while {stray.frame!r} is on "
                f"(tolerance {tolerances.stray:.1%})"
            )
            remedy = "look for a lamp that stays on, beside it too; check the controller's channels and cables"
            yield Reason(ReasonKind.LIGHT_STUCK_ON, text, remedy, light=name)


def _light_reasons(evidence: ViewEvidence, tolerances: ProofTolerances, *, is_stray: bool) -> Iterator[Reason]:
    """Beside stray light, only what is wrong by more than it: both are told from the same light."""
    common = evidence.exposure
    if common is None:
        return
    besides = sum(stray.share for stray in evidence.strays.values()) if is_stray else 0.0
    if not abs(common - 1) <= tolerances.exposure + besides:
        text = f"every frame has {common:.3f} of its reference brightness (tolerance 1 +- {tolerances.exposure:g})"
        remedy = "check the camera's exposure and gain, the lens's aperture, and the lights' supply"
        yield Reason(ReasonKind.EXPOSURE_WRONG, text, remedy)
    for name, ratio in evidence.against_others.items():
        if abs(ratio - 1) <= tolerances.light + besides:
            continue
        figures = f"{ratio:.3f} of its reference, against the other lights (tolerance 1 +- {tolerances.light:g})"
        if ratio < 1:
            text, kind = f"light {name!r} is weak: {figures}", ReasonKind.LIGHT_WEAK
            remedy = "clean its window, or replace the lamp and calibrate the lights"
        else:
            text, kind = f"light {name!r} is too bright: {figures}", ReasonKind.LIGHT_STRONG
            remedy = "check its brightness, and look for ambient light"
        yield Reason(kind, text, remedy, light=name)


def _untold_reasons(evidence: ViewEvidence) -> Iterator[Reason]:
    for name in evidence.untold:
        text = f"the strength of light {name!r} cannot be told: too little of the fixture looks the same under it"
        yield Reason(ReasonKind.NO_REFERENCE, text, WITH_MORE_FIXTURE, light=name)


def _sharpness_reasons(evidence: ViewEvidence, tolerances: ProofTolerances) -> Iterator[Reason]:
    ratio = evidence.sharpness
    if ratio is not None and not ratio >= tolerances.blurred_below:
        text = f"the pictures have {ratio:.2f} of their reference sharpness (at least {tolerances.blurred_below:g})"
        remedy = "check the lens's focus and window, and whether something shakes the camera"
        yield Reason(ReasonKind.BLURRED, text, remedy)


def _noise_reasons(evidence: ViewEvidence, tolerances: ProofTolerances) -> Iterator[Reason]:
    ratio = evidence.noise
    if ratio is not None and not ratio <= tolerances.noise:
        text = f"the pictures have {ratio:.2f} times the noise of their reference (tolerance {tolerances.noise:g})"
        remedy = "check the camera's gain, exposure and temperature, and its cable"
        yield Reason(ReasonKind.NOISY, text, remedy)
