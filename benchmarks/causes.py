"""Causes that are not the part: does the judge name them, and do good and defective parts keep their verdicts?

    python benchmarks/causes.py [--product connector] [--good 30] [--defective 7] [--disturbed 3] [--json]

Simulated. Parts of seeds that no training, limit or reference has seen are photographed as the rig does (anew placed,
the arm within its repeatability) and judged with the demo recipe's own model and reference. Undisturbed first: n good
and n defective parts (all kinds in turn). Then each cause at several strengths on `--disturbed` good and as many
defective parts. The dark frame is always taken before the cause begins. Intervals are Clopper and Pearson's, 95 %.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import beta

from drivers.geometry.pose import Pose
from drivers.protocols import Frame
from drivers.simulated.scene import DEFAULT_BOUNCES, DEFECT_KINDS, Scene, make_part, random_defect
from drivers.simulated.scene.mounted import MountedCamera
from station.acquire.captured_view import CapturedFrame, CapturedView
from station.acquire.plan import CaptureStep, make_plan
from station.acquire.stage_times import StageTimes
from station.inspection.reasons import ReasonKind
from station.inspection.result import Verdict, ViewResult
from station.inspection.rule import judge_part
from station.judge.detector import AnomalyDetector
from station.judge.view_judge import ViewJudge
from station.recipe.demo import DEMO_RECIPES
from station.recipe.loaded import LoadedRecipe, load_recipe

FIRST_GOOD, FIRST_DEFECTIVE = 90_000, 95_000
REPEATABILITY = np.array([0.02, 0.02, 0.02, 0.005, 0.005])  # mm and degrees, one sigma, as the demo rig's
NO_SHIFT = (0.0, 0.0, 0.0)
Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Cause:
    """What is wrong with the rig, from the first lit frame on, and the kind of reason that must be given."""

    name: str
    expected: ReasonKind | None = None
    gains: tuple[tuple[int, float], ...] = ()  # channel -> share of its light
    stuck: tuple[tuple[int, float], ...] = ()  # channel -> level at which it burns whatever is commanded
    exposure: float = 1.0  # light gathered over what is reported
    steps_mm: Vector = NO_SHIFT  # lost by the arm's x, y, z
    knock_mm: Vector = NO_SHIFT  # of the camera on its arm: right, down, ahead
    knock_deg: Vector = NO_SHIFT  # the same, turned about these axes


def causes() -> Iterator[Cause]:
    """Every cause at strengths from harmless to gross; channel 4 is a light of the recipe, channel 3 is none."""
    for level in (0.005, 0.01, 0.02, 0.03):
        yield Cause(f"lamp 3 stuck at {level:g}", ReasonKind.LIGHT_STUCK_ON, stuck=((3, level),))
    for gain in (0.98, 0.95, 0.9, 0.85):
        yield Cause(f"lamp 4 at {gain:g}", ReasonKind.LIGHT_WEAK, gains=((4, gain),))
    for factor in (0.8, 1.1, 1.2):
        yield Cause(f"exposure x {factor:g}", ReasonKind.EXPOSURE_WRONG, exposure=factor)
    for lost_mm in (0.1, 0.2, 0.5):
        yield Cause(f"lost steps x {lost_mm:g} mm", ReasonKind.CAMERA_MOVED, steps_mm=(lost_mm, 0.0, 0.0))
    for way in ((0.2, 0.0, 0.0), (0.5, 0.0, 0.0), (0.0, 0.5, 0.0), (0.0, 0.0, 0.5)):
        yield Cause(f"camera knocked {way} mm", ReasonKind.CAMERA_MOVED, knock_mm=way)
    for turn_deg in (-0.1, 0.1, -0.3, 1.0):
        name = f"camera turned {turn_deg:g} deg"
        yield Cause(name, ReasonKind.CAMERA_MOVED, knock_deg=(0.0, 0.0, turn_deg))


class Bench:
    """One product's recipe, its judge, and the camera that photographs parts of it."""

    def __init__(self, product: str) -> None:
        self.product = product
        self.loaded: LoadedRecipe = load_recipe(DEMO_RECIPES / f"{product}.yaml")
        self.judge = ViewJudge(self.loaded, AnomalyDetector.load(self.loaded.model_path))
        self.plan = make_plan(self.loaded.recipe)
        self.prove_ms: list[float] = []

    def inspect(self, scene: Scene, seed: int, cause: Cause) -> tuple[Verdict, tuple[ViewResult, ...]]:
        """The part's verdict and its views under this cause."""
        times = StageTimes()
        self.judge.begin_part(times)
        views = tuple(self._view(scene, seed, cause, v.name) for v in self.loaded.recipe.viewpoints)
        self.prove_ms.append(times.as_dict().get("prove", float("nan")) / len(views))
        return judge_part(views, tuple(view.view for view in views), self.judge.reasons_of_part(views))[0], views

    def scene(self, seed: int, kind: str, knock_mm: Vector, knock_deg: Vector) -> Scene:
        """The part as it lies in the fixture, before a camera that was knocked by that much."""
        defects = () if kind == "good" else (random_defect(self.product, kind, seed),)
        camera = MountedCamera().moved(knock_mm, knock_deg)
        return Scene(make_part(self.product, seed, defects), seed=1, camera=camera, bounces=DEFAULT_BOUNCES)

    def _view(self, scene: Scene, seed: int, cause: Cause, view: str) -> ViewResult:
        rng = np.random.default_rng([seed, len(view), ord(view[0])])
        error = REPEATABILITY * rng.standard_normal(5) + np.array([*cause.steps_mm, 0.0, 0.0])
        captured = CapturedView(view, self.plan)
        for step in self.plan:
            if step.view == view:
                pose = Pose(*(float(v) for v in np.array(step.pose.as_tuple()) + error))
                frame = CapturedFrame(step, self._frame(scene, pose, step, cause, seed), step.pose)
                self.judge.take(frame)
                captured.add(frame)
        return self.judge.judge(captured)

    def _frame(self, scene: Scene, pose: Pose, step: CaptureStep, cause: Cause, seed: int) -> Frame:
        capture, black_dn = self.loaded.recipe.capture, self.loaded.calibration.black_level_dn
        lit: dict[int, float] = {}
        factor = 1.0
        if step.kind != "dark":
            lit = {step.channel: step.brightness * dict(cause.gains).get(step.channel, 1.0), **dict(cause.stuck)}
            factor = cause.exposure
        pixels = scene.photograph(
            pose, lit, exposure_us=step.exposure_us * factor, gain_db=step.gain_db, pixel_format=capture.pixel_format,
            binning=capture.binning, roi=None, frame_seed=seed * 100 + step.index, black_level_dn=black_dn,
        )  # fmt: skip
        return Frame(pixels, capture.pixel_format, 12, black_dn, step.exposure_us, step.gain_db, 0, step.index)


@dataclass
class Row:
    """What came of n parts of one kind under one cause."""

    cause: str
    parts: str
    verdicts: Counter[str]
    named: int  # parts that got the expected kind of reason
    worst: float  # highest score over its limit, of all views that were judged

    @property
    def n(self) -> int:
        return sum(self.verdicts.values())

    def text(self) -> str:
        counts = "".join(f"{self.verdicts[v.value]:>5}" for v in Verdict)
        low, high = interval(self.verdicts[Verdict.FAIL.value], self.n)
        figures = f"{self.named:>7}{self.worst:>8.2f}   {low:.2f}..{high:.2f}"
        return f"{self.cause:<34}{self.parts:<10}{self.n:>4}{counts}{figures}"


def interval(hits: int, n: int) -> tuple[float, float]:
    """95 % of Clopper and Pearson (1934)."""
    low = 0.0 if hits == 0 else float(beta.ppf(0.025, hits, n - hits + 1))
    return low, 1.0 if hits == n else float(beta.ppf(0.975, hits + 1, n - hits))


def measure(bench: Bench, good: int, defective: int, disturbed: int) -> Iterator[Row]:
    """The undisturbed rows, then a row for each cause and kind of part. Scenes are kept while their part lasts."""
    parts = {
        "good": [(FIRST_GOOD + i, "good") for i in range(good)],
        "defective": [(FIRST_DEFECTIVE + i, DEFECT_KINDS[i % len(DEFECT_KINDS)]) for i in range(defective)],
    }
    for name, of_kind in parts.items():
        rows: dict[str, Row] = {}
        for number, (seed, kind) in enumerate(of_kind):
            scenes = {(NO_SHIFT, NO_SHIFT): bench.scene(seed, kind, NO_SHIFT, NO_SHIFT)}
            for cause in [Cause("undisturbed"), *(causes() if number < disturbed else ())]:
                knock = cause.knock_mm, cause.knock_deg
                scene = scenes.setdefault(knock, bench.scene(seed, kind, *knock))
                row = rows.setdefault(cause.name, Row(cause.name, name, Counter(), 0, 0.0))
                verdict, views = bench.inspect(scene, seed, cause)
                row.verdicts[verdict.value] += 1
                row.named += any(reason.kind is cause.expected for view in views for reason in view.reasons)
                shares = [v.pred_score / v.limit for v in views if v.pred_score is not None and not v.reasons]
                row.worst = max(row.worst, *shares, 0.0)
                found = " ".join(f"{share:.2f}" for share in shares)
                print(f"{kind} {seed}: {cause.name}: {verdict.value} {found}", file=sys.stderr, flush=True)
        yield from rows.values()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--product", choices=("connector", "knob"), default="connector")
    for name, default in (("good", 30), ("defective", 7), ("disturbed", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args(arguments)
    bench = Bench(chosen.product)
    started = time.process_time()
    rows = []
    if not chosen.json:
        head = "".join(f"{v.value[:4]:>5}" for v in Verdict)
        print(f"{'cause':<34}{'parts':<10}{'n':>4}{head}{'named':>7}{'worst':>8}   FAIL, 95 %")
    for row in measure(bench, chosen.good, chosen.defective, chosen.disturbed):
        rows.append(row)
        if not chosen.json:
            print(row.text(), flush=True)
    if chosen.json:
        print(json.dumps([{"n": row.n, **vars(row), "verdicts": dict(row.verdicts)} for row in rows]))
    else:
        print(
            f"proofs: {np.median(bench.prove_ms):.0f} wall-ms a view; {time.process_time() - started:.0f} CPU-s in all"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
