"""Which disturbance would fail how many held-out good parts, and what a recipe may promise to bear.

Raw frames of good parts are disturbed and judged by ViewJudge itself. First with the recipe's tolerances for lamps,
exposure, sharpness and noise opened, so that the scores alone decide: the largest strength at which no more parts FAIL
than undisturbed may be promised, and its tolerance becomes the worst figure that was measured there. Then, what lies
beyond a promised tolerance is judged once more with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from drivers.protocols import Frame
from station.acquire.captured_view import CapturedFrame, CapturedView
from station.acquire.plan import lit_steps, make_plan
from station.acquire.stage_times import StageTimes
from station.collection.folder import CollectedPart, Collection
from station.inspection.result import Verdict, ViewResult, without_pictures
from station.inspection.rule import judge_part
from station.judge.detector import AnomalyDetector
from station.judge.view_judge import ViewJudge
from station.judge.view_proof import EXPOSURE, SHARP
from station.judge.whole_view import judged_view
from station.recipe.fields import ProofTolerances
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
    light_turned,
    noise_times,
    nothing,
    seed_of,
    with_turned_lights,
)
from station.teach.fit_for_recipe import as_taken
from station.teach.prepared_view import OPEN

NOISE, LIGHT_RATIO = "noise_ratio", "light_ratio_"  # figures of quality
# what any rig does between two good parts: a tolerance below it would make every part UNDECIDED
LEAST_PROMISED = {"light": 0.02, "exposure": 0.02, "noise": 1.2}
MOST_PROMISED_SHARPNESS = 0.95
STEP = 0.001  # to which a promised tolerance is rounded, outward
UNDISTURBED = "undisturbed"
Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Trial:
    """One row to be: its name, the tolerance that it tries if there is one, its strength, and what is done.

    `of_light` gets one of the recipe's directional lights, another one for every part.
    """

    name: str
    of_light: Callable[[str], Disturbance]
    tolerance: str | None = None
    strength: float = 0.0


TRIALS = (
    Trial(UNDISTURBED, lambda _: nothing()),
    *(
        Trial(f"one lamp {factor - 1:+.0%}", lambda light, f=factor: lamp_at(light, f), "light", abs(factor - 1))  # type: ignore[misc]
        for factor in (0.98, 0.95, 1.05, 0.9)
    ),
    Trial("all lamps -5%", lambda _: all_lamps_at(0.95), "exposure", 0.05),
    Trial("all lamps +5%", lambda _: all_lamps_at(1.05), "exposure", 0.05),
    Trial("all lamps -10%", lambda _: all_lamps_at(0.9), "exposure", 0.1),
    Trial("all lamps +10%", lambda _: all_lamps_at(1.1), "exposure", 0.1),
    Trial("exposure +20%", lambda _: exposure_at(1.2), "exposure", 0.2),
    Trial("noise x1.5", lambda _: noise_times(1.5), "noise", 1.5),
    Trial("noise x2", lambda _: noise_times(2.0), "noise", 2.0),
    Trial("blur 0.25 px", lambda _: blurred_by(0.25), "blurred_below", 0.25),
    Trial("blur 0.5 px", lambda _: blurred_by(0.5), "blurred_below", 0.5),
    Trial("blur 1 px", lambda _: blurred_by(1.0), "blurred_below", 1.0),
    Trial("one light 1 deg off", lambda light: light_turned(light, 1.0)),
)


@dataclass(frozen=True, slots=True)
class Row:
    """What came of n good parts under one disturbance, with the promised tolerances."""

    name: str
    passed: int
    failed: int
    undecided: int
    worst: float  # highest score over its limit among all views; with opened tolerances
    failed_if_judged: int  # with opened tolerances


@dataclass(frozen=True, slots=True)
class DisturbanceTable:
    """All rows, and the tolerances that may be promised after them."""

    n: int
    rows: tuple[Row, ...]
    tolerances: ProofTolerances
    promised: tuple[str, ...]  # in words

    def as_text(self) -> str:
        """The table, and what is promised."""
        head = f"{'good parts under':<22}{'PASS':>6}{'FAIL':>6}{'UNDEC':>7}{'worst':>8}   of {self.n} held-out parts"
        lines = [f"{r.name:<22}{r.passed:>6}{r.failed:>6}{r.undecided:>7}{r.worst:>8.2f}" for r in self.rows]
        none = 1 - 0.05 ** (1 / self.n)
        note = f"none of {self.n} parts means at most {none:.0%} of all parts, at 95% confidence"
        return "\n".join([head, *lines, *self.promised, note])

    def as_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        rows = [{name: getattr(row, name) for name in Row.__slots__} for row in self.rows]
        tolerances = self.tolerances.model_dump(mode="json")
        return {"n": self.n, "rows": rows, "proof_tolerances": tolerances, "promised": list(self.promised)}


@dataclass(slots=True)
class _Outcome:
    """Of one trial: each part's views, judged with opened tolerances."""

    trial: Trial
    views: list[tuple[ViewResult, ...]]

    def count(self, verdict: Verdict) -> int:
        return sum(judge_part(views, tuple(v.view for v in views))[0] is verdict for views in self.views)

    def worst(self, tolerance: str) -> float | None:
        """The worst figure of that tolerance in all views; None where none was measured."""
        found = [f for views in self.views for v in views if (f := figure(tolerance, v)) is not None]
        return (min(found) if tolerance == "blurred_below" else max(found)) if found else None


def figure(tolerance: str, view: ViewResult) -> float | None:
    """What the view's figures of quality say against that tolerance; None where nothing was measured."""
    quality = view.quality
    if tolerance == "light":
        ratios = [value for name, value in quality.items() if name.startswith(LIGHT_RATIO)]
        return max((abs(ratio - 1) for ratio in ratios), default=None)
    if tolerance == "exposure":
        return abs(quality[EXPOSURE] - 1) if EXPOSURE in quality else None
    return quality.get({"blurred_below": SHARP, "noise": NOISE}[tolerance])


def disturbance_table(
    loaded: LoadedRecipe,
    detector: AnomalyDetector,
    collection: Collection,
    n: int,
    progress: Progress,
    trials: Sequence[Trial] = TRIALS,
) -> DisturbanceTable:
    """Judge n good parts that were not trained on, test parts first, under each trial. The first trial is undisturbed.

    `loaded` has model and limits. Raises CollectionError for frames that cannot be read, ValueError without such parts.
    """
    parts = held_out(collection, n)
    if not parts:
        raise ValueError(f"{collection.folder}: no good part was held out: collect some with split test or calibrate")
    shape = next(iter(collection.frames(parts[0], loaded.recipe.viewpoints[0].name).values())).pixels.shape
    loaded = as_taken(loaded, (shape[0], shape[1]))
    bench = _Bench(_with(loaded, OPEN), detector)
    outcomes = [_Outcome(trial, []) for trial in trials]
    for number, part in enumerate(parts):
        frames = {view: collection.frames(part, view) for view in bench.views}
        for at, outcome in enumerate(outcomes):
            outcome.views.append(bench.judged(part, number, frames, outcome.trial))
            progress("disturbances", (number * len(trials) + at + 1) / (len(parts) * len(trials)))
    tolerances, promised = promise(loaded.recipe.proof_tolerances, outcomes)
    final = _Bench(_with(loaded, {name: getattr(tolerances, name) for name in OPEN}), detector)
    rows = []
    for outcome in outcomes:
        seen = list(outcome.views)
        for number, part in enumerate(parts):
            if _is_beyond(seen[number], tolerances):
                frames = {view: collection.frames(part, view) for view in bench.views}
                seen[number] = final.judged(part, number, frames, outcome.trial)
        rows.append(_row(outcome, _Outcome(outcome.trial, seen)))
    return DisturbanceTable(len(parts), tuple(rows), tolerances, promised)


def held_out(collection: Collection, n: int) -> list[CollectedPart]:
    """The first n good parts that no training saw, test parts first: limits were taken from those to calibrate."""
    parts = [*collection.parts("test", "good"), *collection.parts("calibrate", "good")]
    return parts[:n]


def promise(now: ProofTolerances, outcomes: Sequence[_Outcome]) -> tuple[ProofTolerances, tuple[str, ...]]:
    """The tolerances that may be promised after these outcomes, and the same in words."""
    base = outcomes[0]
    found: dict[str, float] = {}
    words = []
    for name in OPEN:
        tried = sorted((o for o in outcomes if o.trial.tolerance == name), key=lambda o: o.trial.strength)
        borne: list[_Outcome] = []
        for strength in sorted({o.trial.strength for o in tried}):
            group = [o for o in tried if o.trial.strength == strength]
            if any(_is_worse(o, base) for o in group):
                break
            borne = group
        worst = [w for o in (base, *borne) if (w := o.worst(name)) is not None]
        if tried and worst:
            found[name] = _no_looser(now, name, _outward(name, worst))
            what = " and ".join(o.trial.name for o in borne) if borne else "none of what was tried"
            words.append(f"borne: {what} (proof_tolerances.{name}: {found[name]:g})")
        elif tried:
            words.append(f"{name}: not measured in the pictures, so nothing is promised and {name} stays")
    return now.model_copy(update=found), tuple(words)


def _no_looser(now: ProofTolerances, name: str, value: float) -> float:
    """Blur and noise hide defects, which good parts cannot show: these tolerances are only ever tightened."""
    if name == "blurred_below":
        return max(value, now.blurred_below)
    return min(value, now.noise) if name == "noise" else value


def _is_worse(outcome: _Outcome, base: _Outcome) -> bool:
    return any(outcome.count(v) > base.count(v) for v in (Verdict.FAIL, Verdict.UNDECIDED))


def _outward(tolerance: str, figures: Sequence[float]) -> float:
    """The worst figure, rounded so that it lies within the tolerance, and within the field's own bounds."""
    if tolerance == "blurred_below":
        lowest = math.floor(min(figures) / STEP + 1e-6) * STEP
        return float(np.clip(lowest, STEP, MOST_PROMISED_SHARPNESS).round(3))
    top = 100.0 if tolerance == "noise" else 1 - STEP
    highest = math.ceil(max(figures) / STEP - 1e-6) * STEP
    return float(np.clip(highest, LEAST_PROMISED[tolerance], top).round(3))


def _is_beyond(views: Sequence[ViewResult], tolerances: ProofTolerances) -> bool:
    for name in OPEN:
        for value in (figure(name, view) for view in views):
            limit = getattr(tolerances, name)
            if value is not None and not (value >= limit if name == "blurred_below" else value <= limit):
                return True
    return False


def _row(opened: _Outcome, final: _Outcome) -> Row:
    ratios = [v.pred_score / v.limit for views in opened.views for v in views if v.pred_score is not None]
    return Row(
        name=opened.trial.name,
        passed=final.count(Verdict.PASS),
        failed=final.count(Verdict.FAIL),
        undecided=final.count(Verdict.UNDECIDED),
        worst=round(max(ratios, default=math.nan), 3),
        failed_if_judged=opened.count(Verdict.FAIL),
    )


def _with(loaded: LoadedRecipe, tolerances: dict[str, float]) -> LoadedRecipe:
    changed = loaded.recipe.proof_tolerances.model_copy(update=tolerances)
    return replace(loaded, recipe=loaded.recipe.model_copy(update={"proof_tolerances": changed}))


class _Bench:
    """One recipe's judge, and one for every light that is turned."""

    def __init__(self, loaded: LoadedRecipe, detector: AnomalyDetector) -> None:
        self.views = [v.name for v in loaded.recipe.viewpoints]
        self._loaded, self._detector = loaded, detector
        self._judge = ViewJudge(loaded, detector)
        self._plan = lit_steps(make_plan(loaded.recipe))
        self._lights = [light.name for light in loaded.recipe.directional_lights]

    def judged(
        self, part: CollectedPart, number: int, frames: dict[str, dict[str, Frame]], trial: Trial
    ) -> tuple[ViewResult, ...]:
        """The part's views under that trial, without their pictures."""
        disturbance = trial.of_light(self._lights[number % len(self._lights)])
        judge = self._judge
        if disturbance.turns:
            judge = ViewJudge(with_turned_lights(self._loaded, disturbance.turns), self._detector)
        judge.begin_part(StageTimes())
        return tuple(self._views(judge, part.name, frames, disturbance))

    def _views(
        self, judge: ViewJudge, part: str, frames: dict[str, dict[str, Frame]], disturbance: Disturbance
    ) -> Iterator[ViewResult]:
        height_px = self._detector.metadata.input_size[0]
        for view in self.views:
            some = next(iter(frames[view].values()))
            sensor = Sensor(noise_for(self._loaded, some), max(1, some.pixels.shape[0] // height_px))
            rng = np.random.default_rng(seed_of(part, view, disturbance.name))
            changed = disturbed_frames(disturbance, frames[view], sensor, rng)
            captured = [CapturedFrame(s, changed[s.light], s.pose) for s in self._plan if s.view == view]
            yield without_pictures(judged_view(judge, CapturedView(view, self._plan), captured))
