"""Inspects unseen parts on a simulated rig and counts verdicts: the confusion table and per-defect scores."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from drivers.simulated.config import SimulatedRigConfig
from drivers.simulated.scene import DEFECT_KINDS
from station.commands.inspect.ready_engine import ready_engine
from station.inspection.result import Inspection, Verdict, inspection_without_pictures
from station.recipe.demo import DEMO_RECIPES
from station.recipe.loaded import load_recipe
from station.report.inspection_text import inspection_document
from station.rig.simulated import running_rig

FIRST_GOOD_SEED = 9000  # training uses seeds from 1000, limits from 3000, the demo 501 to 503
FIRST_DEFECTIVE_SEED = 9500
CLOCK_SPEED = 10.0  # simulated seconds per second


@dataclass(frozen=True, slots=True)
class Judged:
    """One part: what it truly is, and its inspection without pictures."""

    kind: str  # "good" or the defect's kind
    seed: int
    inspection: Inspection

    @property
    def highest(self) -> tuple[str, float]:
        """The deciding view and its score as a multiple of its limit; ("none", NaN) if no view could be scored."""
        for view in self.inspection.views:
            if view.view == self.inspection.deciding_view and view.pred_score is not None:
                return view.view, view.pred_score / view.limit
        return "none", float("nan")


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """Every part that was judged, in order, with the counts that follow from them."""

    product: str
    judged: tuple[Judged, ...]

    def confusion(self) -> dict[str, Counter[str]]:
        """Verdicts counted per truth, `good` and `defective`; a defective part counts once, whatever its defect."""
        table = {"good": Counter[str](), "defective": Counter[str]()}
        for j in self.judged:
            table["good" if j.kind == "good" else "defective"][j.inspection.verdict.value] += 1
        return table

    @property
    def errors(self) -> int:
        """Good parts that did not PASS and defective parts that did not FAIL."""
        expected = {"good": Verdict.PASS.value, "defective": Verdict.FAIL.value}
        return sum(n for truth, row in self.confusion().items() for v, n in row.items() if v != expected[truth])

    def as_dict(self) -> dict[str, object]:
        """The `--json` document: the counts, and each part's own inspection document with its kind and seed."""
        return {
            "product": self.product,
            "is_simulated": True,
            "confusion": {truth: dict(row) for truth, row in self.confusion().items()},
            "errors": self.errors,
            "parts": [{"kind": j.kind, "seed": j.seed, **inspection_document(j.inspection)} for j in self.judged],
        }

    def as_text(self) -> str:
        """The confusion table, then a line per part with the deciding view and its score as a multiple of its limit."""
        table = self.confusion()
        lines = [f"{self.product}, simulated parts, seeds from {FIRST_GOOD_SEED} and {FIRST_DEFECTIVE_SEED}"]
        lines.append(f"{'':<12}" + "".join(f"{v.value:>11}" for v in Verdict))
        lines += [f"{truth:<12}" + "".join(f"{row[v.value]:>11}" for v in Verdict) for truth, row in table.items()]
        lines.append(f"errors: {self.errors} of {len(self.judged)}")
        lines.append(f"\n{'kind':<18}{'seed':>6}  {'verdict':<10}{'view':<8}{'score/limit':>12}")
        for j in self.judged:
            view, ratio = j.highest
            lines.append(f"{j.kind:<18}{j.seed:>6}  {j.inspection.verdict.value:<10}{view:<8}{ratio:>12.3f}")
        return "\n".join(lines)


def parts_to_judge(good: int, defective: int) -> list[tuple[str, int]]:
    """(kind, seed) of each part: first the good ones, then each kind of defect in turn."""
    parts = [("good", FIRST_GOOD_SEED + n) for n in range(good)]
    return parts + [(DEFECT_KINDS[n % len(DEFECT_KINDS)], FIRST_DEFECTIVE_SEED + n) for n in range(defective)]


def evaluate_product(product: str, good: int, defective: int, out: Path, recipe: Path | None) -> EvaluationReport:
    """Load each part into a simulated rig and inspect it through harvesters and both serial lines.

    The rig's clock runs ten times as fast as the wall's. Progress goes to stderr, one line a part.
    Raises DocumentError and ModelRefused for the recipe, DeviceError if the rig does not start.
    """
    path = recipe or DEMO_RECIPES / f"{product}.yaml"
    loaded = load_recipe(path)
    config = SimulatedRigConfig(clock_speed=CLOCK_SPEED)
    judged: list[Judged] = []
    parts = parts_to_judge(good, defective)
    with (
        running_rig(out / "rig", config) as (process, rig_file),
        ready_engine(rig_file, path, out / "archive") as engine,
    ):
        for number, (kind, seed) in enumerate(parts, start=1):
            defects = () if kind == "good" else ((kind, seed),)
            process.control.load(loaded.recipe.product, seed, defects)
            inspection = engine.inspect(f"{kind}-{seed}")
            judged.append(Judged(kind, seed, inspection_without_pictures(inspection)))
            print(f"{number}/{len(parts)} {kind} {seed}: {inspection.verdict.value}", file=sys.stderr, flush=True)
    return EvaluationReport(product, tuple(judged))
