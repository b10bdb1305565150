"""`station demo`: three simulated parts through the real drivers, and whether they came out as promised."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from drivers.process_memory import peak_memory_mb
from drivers.simulated.config import SimulatedRigConfig
from drivers.simulated.control import RigControl
from station.commands.inspect import ready_engine
from station.engine.engine import Engine
from station.inspection.reasons import ReasonKind
from station.inspection.result import Inspection, Verdict, ViewResult, inspection_without_pictures
from station.recipe.demo import DEMO_RECIPES
from station.recipe.loaded import LoadedRecipe, load_recipe
from station.report.contact_sheet import write_contact_sheet
from station.report.text import inspection_document, inspection_lines, stage_lines
from station.rig.simulated import FRAME_TIMEOUT_S, PATIENT_FRAME_TIMEOUT_S, running_rig

DEAD_CHANNEL = 4
DILATION_SHARE = 0.02  # of the picture's width
Progress = Callable[[str], None]
FULL_REMARK = (
    "full resolution: shows capture, time and memory. The demo model learned from binned pictures;\n"
    "PASS and FAIL of this run mean nothing yet, and good parts may FAIL"
)


@dataclass(frozen=True, slots=True)
class DemoPart:
    part_id: str
    seed: int
    defects: tuple[tuple[str, int], ...]
    dead_channel: int | None
    expected: Verdict


PARTS = (
    DemoPart("DEMO-GOOD", 501, (), None, Verdict.PASS),
    DemoPart("DEMO-SIDE-SCRATCH", 502, (("side_scratch", 502),), None, Verdict.FAIL),
    DemoPart("DEMO-DEAD-LIGHT", 503, (), DEAD_CHANNEL, Verdict.UNDECIDED),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One demo part: what came out, and each promise with whether it was kept."""

    part: DemoPart
    inspection: Inspection  # without its pictures: three parts at full resolution would not fit into 8 GB
    contact_sheet: Path
    promises: tuple[tuple[str, bool], ...]


@dataclass(frozen=True, slots=True)
class DemoReport:
    outcomes: tuple[Outcome, ...]
    folder: Path
    recipe: Path
    peak_memory_mb: float
    rig_peak_memory_mb: float

    @property
    def as_promised(self) -> bool:
        return all(kept for outcome in self.outcomes for _, kept in outcome.promises)

    def as_dict(self) -> dict[str, object]:
        return {
            "inspections": [
                {
                    **inspection_document(o.inspection),
                    "contact_sheet": str(o.contact_sheet),
                    "promises": dict(o.promises),
                }
                for o in self.outcomes
            ],
            "as_promised": self.as_promised,
            "peak_memory_mb": {"station": self.peak_memory_mb, "rig": self.rig_peak_memory_mb},
            "folder": str(self.folder),
        }

    def closing_text(self) -> str:
        verdicts = ", ".join(f"{o.part.part_id} {o.inspection.verdict.value}" for o in self.outcomes)
        end = "All as promised." if self.as_promised else "NOT as promised: see the lines marked BROKEN above."
        return (
            f"{verdicts}. {end}\n"
            f"Peak memory: station {self.peak_memory_mb:.0f} MB, simulated rig {self.rig_peak_memory_mb:.0f} MB.\n"
            f"Everything is in {self.folder}"
        )


def run_demo(out: Path, *, product: str, full: bool, progress: Progress) -> DemoReport:
    """Start a simulated rig at the hardware's own times, inspect the three parts, check the promises."""
    recipe = DEMO_RECIPES / (f"{product}_full.yaml" if full else f"{product}.yaml")
    loaded = load_recipe(recipe)
    out.mkdir(parents=True, exist_ok=True)
    if full:
        progress(FULL_REMARK)
    progress("starting the simulated rig (the first start on a machine compiles the renderer: about a minute)")
    config = SimulatedRigConfig()
    patience_s = PATIENT_FRAME_TIMEOUT_S if full else FRAME_TIMEOUT_S
    with running_rig(out / "rig", config, patience_s) as (process, rig_file):
        progress(f"rig file: {rig_file}")
        with ready_engine(rig_file, recipe, out / "archive") as engine:
            progress(f"recipe {loaded.recipe.recipe_id}, {len(loaded.recipe.viewpoints)} views ready")
            outcomes = tuple(_inspect(part, engine, process.control, loaded, out, progress) for part in PARTS)
        rig_memory = float(process.control.call("status")["peak_memory_mb"])
    return DemoReport(outcomes, out, recipe, peak_memory_mb(), rig_memory)


def _inspect(
    part: DemoPart, engine: Engine, control: RigControl, loaded: LoadedRecipe, out: Path, progress: Progress
) -> Outcome:
    control.load(loaded.recipe.product, part.seed, part.defects)
    if part.dead_channel is not None:
        control.inject("lights.light_dead", str(part.dead_channel))
    inspection = engine.inspect(part.part_id)
    sheet = out / f"contact_sheet_{part.part_id}.png"
    write_contact_sheet(inspection, sheet)
    is_full = loaded.recipe.capture.binning == 1
    promises = tuple(_completion(part, inspection) if is_full else _promises(part, inspection, control, loaded))
    marks = [f"    {'kept  ' if kept else 'BROKEN'} {text}" for text, kept in promises]
    progress("\n".join(inspection_lines(inspection) + marks + stage_lines(inspection.processing_times_ms)))
    progress(f"    contact sheet: {sheet}")
    return Outcome(part, inspection_without_pictures(inspection), sheet, promises)


def _completion(part: DemoPart, inspection: Inspection) -> list[tuple[str, bool]]:
    """What the full-resolution run promises: every view complete and scored, and never PASS with a dead light.

    Its model learned from pictures that the simulated sensor binned, one ray per pixel; averaged full-resolution
    pictures differ from those along every edge, so its PASS and FAIL are not promised.
    """
    scored = [v for v in inspection.views if v.pred_score is not None and np.isfinite(v.pred_score)]
    promises = [("all five views were captured, solved and scored", len(scored) == len(inspection.expected_views))]
    if part.dead_channel is not None:
        promises.append((f"the verdict is {part.expected.value}", inspection.verdict is part.expected))
    return promises


def _promises(
    part: DemoPart, inspection: Inspection, control: RigControl, loaded: LoadedRecipe
) -> list[tuple[str, bool]]:
    promises = [(f"the verdict is {part.expected.value}", inspection.verdict is part.expected)]
    if part.defects:
        promises += _side_scratch_promises(inspection, control, loaded)
    if part.dead_channel is not None:
        name = next(light.name for light in loaded.recipe.lights if light.channel == part.dead_channel)
        named = any(r.kind is ReasonKind.LIGHT_DEAD and r.light == name for r in inspection.reasons)
        promises.append((f"the dead light {name} is named", named))
    return promises


def _side_scratch_promises(inspection: Inspection, control: RigControl, loaded: LoadedRecipe) -> list[tuple[str, bool]]:
    views = {v.view: v for v in inspection.views}
    deciding = views.get(inspection.deciding_view or "")
    top = views.get("top")
    promises = [
        (f"a side view decides ({inspection.deciding_view})", deciding is not None and deciding.view != "top"),
        ("the top view alone would have passed", top is not None and top.verdict is Verdict.PASS),
    ]
    if deciding is not None and deciding.anomaly_map is not None:
        mask = true_defect_mask(deciding.view, control, loaded)
        inside = peak_inside(deciding, mask)
        promises.append((f"the peak of the {deciding.view} map lies in the true defect, dilated by 2 %", inside))
    return promises


def true_defect_mask(view: str, control: RigControl, loaded: LoadedRecipe) -> NDArray[np.bool_]:
    """The Scene's own (H, W) mask of the defect, as seen at the last visit of that viewpoint."""
    viewpoint = next(v for v in loaded.recipe.viewpoints if v.name == view)
    answer = control.call(
        "defect_mask", pose=list(viewpoint.as_pose().as_tuple()), binning=loaded.recipe.capture.binning
    )
    mask: NDArray[np.bool_] = np.load(answer["file"], allow_pickle=False)
    return mask


def peak_inside(view: ViewResult, mask: NDArray[np.bool_]) -> bool:
    """Does the map's highest pixel lie in the mask, dilated by 2 % of the picture's width?"""
    assert view.anomaly_map is not None
    scores = view.anomaly_map.scores
    row, column = np.unravel_index(int(np.argmax(scores)), scores.shape)
    height, width = mask.shape
    y = int((row + 0.5) * height / scores.shape[0])
    x = int((column + 0.5) * width / scores.shape[1])
    if not mask.any():
        return False
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return bool(distance[y, x] <= DILATION_SHARE * width)


def open_console_where_possible(out: Path, report: DemoReport) -> None:
    """Where there is a screen, the demo ends in the operator's window; where there is none, it says so."""
    from station.commands.console import start_console
    from station.console.requirements import ConsoleUnavailable, has_display

    if not has_display():
        print("no screen here: `station console --screenshot FILE` draws the operator's window into a file")
        return
    try:
        start_console(None, report.recipe, out / "console", None, "")
    except ConsoleUnavailable as unavailable:
        print(f"the console cannot open: {unavailable}", file=sys.stderr)
