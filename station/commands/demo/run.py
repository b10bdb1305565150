"""Runs the demo: a simulated rig, three parts through the real drivers, and a report of what was promised and kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from drivers.process_memory import peak_memory_mb
from drivers.simulated.config import SimulatedRigConfig
from drivers.simulated.control import RigControl
from station.commands.demo.parts import PARTS, DemoPart
from station.commands.demo.promises import Promise, promises_of
from station.commands.inspect.ready_engine import ready_engine
from station.commands.inspect.sheet import sheet_document, sheet_line, try_contact_sheet
from station.engine.engine import Engine
from station.errors import BadInput
from station.inspection.result import Inspection, inspection_without_pictures
from station.recipe.demo import DEMO_RECIPES
from station.recipe.loaded import LoadedRecipe, awaits_model, load_recipe
from station.report.inspection_text import inspection_document, inspection_lines, stage_lines
from station.rig.simulated import FRAME_TIMEOUT_S, PATIENT_FRAME_TIMEOUT_S, running_rig

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One demo part, its inspection, and each promise with whether it was kept."""

    part: DemoPart
    inspection: Inspection  # without its pictures: three parts at full resolution would not fit into 8 GB
    contact_sheet: Path
    promises: tuple[Promise, ...]
    unstored_problem: str = ""
    sheet_problem: str = ""


@dataclass(frozen=True, slots=True)
class DemoReport:
    """All three outcomes, where their files are, and the peak resident memory of both processes."""

    outcomes: tuple[Outcome, ...]
    folder: Path
    recipe: Path
    peak_memory_mb: float
    rig_peak_memory_mb: float

    @property
    def as_promised(self) -> bool:
        """Whether every promise of every part was kept; it decides between exit code 0 and 1."""
        return all(kept for outcome in self.outcomes for _, kept in outcome.promises)

    @property
    def is_stored(self) -> bool:
        """Whether every inspection is in the archive; a demo that is not ends with exit code 3."""
        return not any(outcome.unstored_problem for outcome in self.outcomes)

    def as_dict(self) -> dict[str, object]:
        """The `--json` document; memory is the peak of each process in MB."""
        return {
            "inspections": [
                {
                    **inspection_document(o.inspection),
                    **sheet_document(o.contact_sheet, o.sheet_problem),
                    "promises": dict(o.promises),
                }
                for o in self.outcomes
            ],
            "as_promised": self.as_promised,
            "is_stored": self.is_stored,
            "peak_memory_mb": {"station": self.peak_memory_mb, "rig": self.rig_peak_memory_mb},
            "folder": str(self.folder),
        }

    def closing_text(self) -> str:
        """The last lines of the demo: the verdicts, each promise that was not kept, and where the files are."""
        verdicts = ", ".join(f"{o.part.part_id} {o.inspection.verdict.value}" for o in self.outcomes)
        broken = [f"{o.part.part_id}: {text}" for o in self.outcomes for text, kept in o.promises if not kept]
        end = "".join(f"\nNOT KEPT: {text}" for text in broken) if broken else " All as promised."
        return (
            f"{verdicts}.{end}\n"
            f"Peak memory: station {self.peak_memory_mb:.0f} MB, simulated rig {self.rig_peak_memory_mb:.0f} MB.\n"
            f"Everything is in {self.folder}"
        )


def run_demo(out: Path, *, product: str, full: bool, progress: Progress) -> DemoReport:
    """Start a simulated rig at the hardware's own times, inspect the three parts, check the promises.

    `full` takes the recipe at 5472 x 3648, whose pictures take minutes to render. Each finished step goes to
    `progress` as text. Raises DocumentError for an unknown product, BadInput for a recipe without a model, and
    DeviceError if the rig does not start.
    """
    recipe = DEMO_RECIPES / (f"{product}_full.yaml" if full else f"{product}.yaml")
    if recipe.is_file() and awaits_model(recipe):
        raise BadInput(
            f"{recipe} has no model yet: docs/product.md has the commands that train it (the last one is station train "
            f"--data data/{product})"
        )
    loaded = load_recipe(recipe)
    out.mkdir(parents=True, exist_ok=True)
    progress("starting the simulated rig")
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
    """One part through fixture, station and archive; prints its lines and writes its contact sheet."""
    control.load(loaded.recipe.product, part.seed, part.defects)
    if part.dead_channel is not None:
        control.inject("lights.light_dead", str(part.dead_channel))
    inspection = engine.inspect(part.part_id)
    sheet = out / f"contact_sheet_{part.part_id}.png"
    problem = try_contact_sheet(inspection, sheet)
    promises = promises_of(part, inspection, control, loaded)
    marks = [f"    {'kept    ' if kept else 'NOT KEPT'} {text}" for text, kept in promises]
    progress("\n".join(inspection_lines(inspection) + marks + stage_lines(inspection)))
    progress(f"    {sheet_line(sheet, problem)}")
    return Outcome(part, inspection_without_pictures(inspection), sheet, promises, engine.unstored_problem, problem)
