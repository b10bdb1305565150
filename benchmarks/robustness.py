"""Right on every ordinary day? Good and defective parts under what a factory does to their pictures.

    python benchmarks/robustness.py --collection FOLDER [--recipe FILE] [--cache FOLDER] [--good 30] [--defective 28]
                                    [--rendered-defective 28] [--only TEXT] [--threads 1] [--json]

Simulated. The parts are the test parts of a collection of raw frames (`station/collection/folder.py`), which no
training, limit or reference may have seen. Lamps, exposure, noise and blur are done to those frames
(`station/teach/disturbances.py`). Placement, camera, a light that truly moved and another rig are photographed anew,
once, into `--cache` (8 CPU-s a part and condition; a run broken off goes on); without a cache they are left out.
A part's frames go through the judge that the station has. No dark frame is taken: there is no ambient light.

A condition lies within or beyond what the recipe promises (`proof_tolerances`), and that is printed with it. Within: no
more good parts FAIL than the same parts undisturbed (McNemar's exact test, one-sided, 5 %), and S-AUROC falls by .01 at
most, over parts that are decided both times. Beyond:
every good part is UNDECIDED with a reason of the right kind. `unproven` says that the recipe lacks the reference by
which it could be told; it is measured as if it had to be borne. Intervals are Clopper and Pearson's, 95 %. S-AUROC is
of the highest score over its limit, over parts that are decided.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
from robustness_conditions import Condition, Frames, Source, conditions
from scipy.stats import beta, binomtest, rankdata

from station.acquire.captured_view import CapturedFrame, CapturedView
from station.acquire.plan import lit_steps, make_plan
from station.acquire.stage_times import StageTimes
from station.collection.folder import CollectedPart, Collection
from station.inspection.reasons import Reason, ReasonKind
from station.inspection.result import Verdict, ViewResult
from station.inspection.rule import judge_part
from station.judge.detector import AnomalyDetector
from station.judge.view_judge import ViewJudge
from station.judge.whole_view import judged_view
from station.recipe.demo import DEMO_RECIPES
from station.recipe.loaded import LoadedRecipe, load_recipe

MOST_AUROC_LOST = 0.01
SIGNIFICANT = 0.05
PASS, FAIL, UNDECIDED = Verdict.PASS.value, Verdict.FAIL.value, Verdict.UNDECIDED.value


@dataclass(frozen=True)
class Judged:
    """A part's verdict, its views, and the reasons that they give together."""

    verdict: Verdict
    views: tuple[ViewResult, ...]
    of_part: tuple[Reason, ...]


@dataclass
class Parts:
    """What came of n parts of one kind under one condition."""

    verdicts: Counter[str] = field(default_factory=Counter)
    named: int = 0  # UNDECIDED with a reason of an expected kind
    reasons: Counter[str] = field(default_factory=Counter)  # parts with a reason of that kind
    shares: dict[str, float] = field(default_factory=dict)  # part -> highest score over its limit, if it was decided
    failed: set[str] = field(default_factory=set)
    failing: Counter[str] = field(default_factory=Counter)  # views that FAIL

    @property
    def n(self) -> int:
        return sum(self.verdicts.values())

    def add(self, part: str, judged: Judged, expected: Sequence[ReasonKind]) -> None:
        verdict, views = judged.verdict, judged.views
        kinds = {reason.kind for reason in (*judged.of_part, *(reason for view in views for reason in view.reasons))}
        self.verdicts[verdict.value] += 1
        self.reasons.update(kind.value for kind in kinds)
        self.named += verdict is Verdict.UNDECIDED and any(kind in expected for kind in kinds)
        self.failing.update(view.view for view in views if view.verdict is Verdict.FAIL)
        found = [view.pred_score / view.limit for view in views if view.pred_score is not None]
        if verdict is not Verdict.UNDECIDED and found:
            self.shares[part] = max(found)
        if verdict is Verdict.FAIL:
            self.failed.add(part)

    def text(self) -> str:
        counts = "".join(f"{self.verdicts[v]:>5}" for v in (PASS, FAIL, UNDECIDED))
        low, high = interval(self.verdicts[FAIL], self.n)
        return f"{self.n:>4}{counts}  FAIL {low:.2f}..{high:.2f}"


@dataclass
class Row:
    """One condition with its parts, figures and what of its goal holds."""

    name: str
    side: str  # within, edge, beyond or unproven
    good: Parts = field(default_factory=Parts)
    defective: Parts = field(default_factory=Parts)
    figures: dict[str, list[float]] = field(default_factory=dict)

    @property
    def auroc(self) -> float:
        return s_auroc([*self.good.shares.values()], [*self.defective.shares.values()])

    def auroc_of(self, good: Sequence[str], defective: Sequence[str]) -> float:
        """Over these parts, all of which are decided."""
        return s_auroc([self.good.shares[p] for p in good], [self.defective.shares[p] for p in defective])

    def medians(self) -> dict[str, float]:
        return {name: float(np.median(values)) for name, values in self.figures.items() if values}

    def broken(self, undisturbed: Row) -> list[str]:
        """What of the goal does not hold."""
        good, before = self.good.verdicts, undisturbed.good.verdicts
        if self.side == "beyond":
            found = [f"{good[FAIL]} good parts FAIL"] if good[FAIL] else []
            if self.good.named < self.good.n:
                found.append(f"{self.good.n - self.good.named} of {self.good.n} good parts are not UNDECIDED by name")
            return found
        found = []
        newly, no_longer = len(self.good.failed - undisturbed.good.failed), self._no_longer(undisturbed)
        if newly and binomtest(newly, newly + no_longer, 0.5, "greater").pvalue < SIGNIFICANT:
            found.append(f"{newly} good parts FAIL that do not undisturbed; {no_longer} the other way round")
        if self.side == "within" and self.good.verdicts[UNDECIDED] > before[UNDECIDED]:
            found.append(f"{good[UNDECIDED]} good parts UNDECIDED, undisturbed {before[UNDECIDED]}")
        if not self.defective.n:  # none was photographed: nothing is said of S-AUROC
            return found
        before_auroc, now = self._same_parts(undisturbed)
        if not before_auroc - now <= MOST_AUROC_LOST:  # NaN holds nothing
            found.append(f"S-AUROC falls from {before_auroc:.3f} to {now:.3f} on the same parts")
        return found

    def _no_longer(self, undisturbed: Row) -> int:
        """Good parts that FAIL undisturbed, and were judged and do not FAIL here."""
        return len((undisturbed.good.failed & self.good.shares.keys()) - self.good.failed)

    def _same_parts(self, undisturbed: Row) -> tuple[float, float]:
        """S-AUROC undisturbed and here, over the parts that are decided both times."""
        good, defective = (
            sorted(a.shares.keys() & b.shares.keys())
            for a, b in ((self.good, undisturbed.good), (self.defective, undisturbed.defective))
        )
        return undisturbed.auroc_of(good, defective), self.auroc_of(good, defective)


class Bench:
    """Judges frames of a part as the station does."""

    def __init__(self, loaded: LoadedRecipe, detector: AnomalyDetector) -> None:
        self._plan = lit_steps(make_plan(loaded.recipe))
        self._judge = ViewJudge(loaded, detector)

    def inspect(self, frames: Frames) -> Judged:
        self._judge.begin_part(StageTimes())
        views = tuple(self._view(view, frames) for view in dict.fromkeys(step.view for step in self._plan))
        of_part = self._judge.reasons_of_part(views)
        return Judged(judge_part(views, tuple(view.view for view in views), of_part)[0], views, of_part)

    def _view(self, view: str, frames: Frames) -> ViewResult:
        captured = [CapturedFrame(s, frames[view][s.light], s.pose) for s in self._plan if s.view == view]
        return judged_view(self._judge, CapturedView(view, self._plan), captured)


def s_auroc(good: Sequence[float], defective: Sequence[float]) -> float:
    """Of parts; ties count half; NaN where one kind is missing."""
    if not good or not defective:
        return float("nan")
    ranks = rankdata([*good, *defective])[len(good) :]
    n = len(defective)
    return float((ranks.sum() - n * (n + 1) / 2) / (len(good) * n))


def interval(hits: int, n: int) -> tuple[float, float]:
    """95 % of Clopper and Pearson (1934)."""
    low = 0.0 if hits == 0 else float(beta.ppf(0.025, hits, n - hits + 1))
    return low, 1.0 if hits == n else float(beta.ppf(0.975, hits + 1, n - hits))


def measured(source: Source, condition: Condition, detector: AnomalyDetector, parts: Sequence[CollectedPart]) -> Row:
    """One row. Parts that a broken-off run has photographed are not photographed again."""
    loaded = source.recipe_for(condition)
    bench = Bench(loaded, detector)
    row = Row(condition.name, condition.promise(loaded.recipe))
    counts: Counter[bool] = Counter()
    for part in parts:
        is_good = part.kind == "good"
        judged = bench.inspect(source.frames(condition, part, counts[is_good]))
        counts[is_good] += 1
        (row.good if is_good else row.defective).add(part.name, judged, condition.kinds)
        for name in condition.figures:
            row.figures.setdefault(name, []).extend(v.quality[name] for v in judged.views if name in v.quality)
        print(f"{condition.name}: {part.name}: {judged.verdict.value}", file=sys.stderr, flush=True)
    sharpness = row.medians().get("sharpness_ratio")
    if row.side == "measured":
        sides = {True: "within", False: "beyond"}
        below = loaded.recipe.proof_tolerances.blurred_below
        row.side = "unproven" if sharpness is None else sides[sharpness >= below]
    return row


def lines_of(row: Row, undisturbed: Row) -> Iterator[str]:
    """The row for people."""
    yield f"{row.name:<24}{row.side:<10}{'good':<10}{row.good.text()}{_why(row.good)}"
    yield f"{'':<34}{'defective':<10}{row.defective.text()}{_why(row.defective)}"
    extra = "".join(f"  {name} {value:.3f}" for name, value in row.medians().items())
    broken = row.broken(undisturbed)
    goal = "goal holds" if not broken else "GOAL NOT HELD: " + "; ".join(broken)
    yield f"{'':<34}S-AUROC {row.auroc:.3f}{extra}  {goal}"


def _why(parts: Parts) -> str:
    kinds = ", ".join(f"{kind} {n}" for kind, n in parts.reasons.most_common(3))
    return f"  named {parts.named}/{parts.verdicts[UNDECIDED]}" + (f" ({kinds})" if kinds else "")


def test_parts(collection: Collection, good: int, defective: int) -> list[CollectedPart]:
    """The first test parts; defective ones with all kinds in turn."""
    found = list(islice(collection.parts("test", "good"), good))
    by_kind: dict[str, list[CollectedPart]] = {}
    for part in collection.parts("test"):
        if part.kind != "good":
            by_kind.setdefault(part.kind, []).append(part)
    longest = max(map(len, by_kind.values()), default=0)
    mixed = [parts[i] for i in range(longest) for parts in by_kind.values() if i < len(parts)]
    return [*found, *mixed[:defective]]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--collection", type=Path, required=True)
    parser.add_argument("--recipe", type=Path, help="default: the demo recipe of the collection's product")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--good", type=int, default=30)
    parser.add_argument("--defective", type=int, default=28)
    parser.add_argument(
        "--rendered-defective", type=int, help="of conditions that are photographed anew, which is slow"
    )
    parser.add_argument("--only", default="", help="conditions whose names contain this; undisturbed is always there")
    parser.add_argument("--threads", type=int, default=1, help="of rendering")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args(arguments)
    collection = Collection.open(chosen.collection)
    loaded = load_recipe(chosen.recipe or DEMO_RECIPES / f"{collection.about.product}.yaml")
    detector = AnomalyDetector.load(loaded.model_path, loaded.recipe.model.sha256)
    source = Source(loaded, collection, chosen.cache, chosen.threads)
    parts = test_parts(collection, chosen.good, chosen.defective)
    most = chosen.defective if chosen.rendered_defective is None else chosen.rendered_defective
    rendered = test_parts(collection, chosen.good, most)
    wanted = [c for c in conditions() if c.name == "undisturbed" or chosen.only in c.name]
    started = time.process_time()
    if not chosen.json:
        print(f"{loaded.recipe.product}, model {detector.model_id}. The recipe promises to bear:")
        print(f"  {loaded.recipe.proof_tolerances!r}")
        print(f"{'condition':<24}{'promise':<10}{'parts':<10}{'n':>4} PASS FAIL  UND")
    rows: list[Row] = []
    for condition in wanted:
        if not source.can(condition):
            print(f"{condition.name}: left out, it needs --cache", file=sys.stderr)
            continue
        rows.append(measured(source, condition, detector, rendered if condition.rendering else parts))
        if not chosen.json:
            print("\n".join(lines_of(rows[-1], rows[0])), flush=True)
    not_held = [row.name for row in rows[1:] if row.broken(rows[0])]
    if chosen.json:
        print(json.dumps([_record(row, rows[0]) for row in rows]))
    else:
        count = len(rows) - 1  # undisturbed is what the others are compared with
        print(f"{count - len(not_held)} of {count} goals hold; not: {', '.join(not_held) or 'none'}")
        print(f"{time.process_time() - started:.0f} CPU-s")
    return 1 if not_held else 0


def _record(row: Row, undisturbed: Row) -> dict[str, object]:
    kinds = {
        name: {"n": p.n, **vars(p), "failed": sorted(p.failed)}
        for name, p in (("good", row.good), ("defective", row.defective))
    }
    return {
        "condition": row.name, "promise": row.side, **kinds, "figures": row.medians(), "s_auroc": row.auroc,
        "not_held": row.broken(undisturbed),
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
