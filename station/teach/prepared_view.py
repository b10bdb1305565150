"""One view of a collected part, from raw frames to what the detector is shown, by the functions of the judge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from drivers.protocols import Frame
from station.inspection.reasons import Reason
from station.judge.diffuse_picture import diffuse_rgb
from station.judge.model_grid import block_mean, block_normals
from station.judge.part_checks import check_placement
from station.judge.part_place import PartTracker
from station.judge.shown_view import ShownView, shown_view
from station.judge.view_proof import ViewEvidence, check_evidence, view_proofs
from station.judge.view_solver import ViewSolver
from station.lights.levels import mean_level
from station.recipe.loaded import LoadedRecipe
from station.recipe.part_reference_file import PartReferences
from station.recipe.solver_inputs import noise_for
from station.recipe.view_reference_file import read_references
from station.teach.disturbances import Disturbance, Sensor, disturbed_frames, seed_of, with_turned_lights

OPEN = {"light": 0.99, "exposure": 0.99, "blurred_below": 0.001, "noise": 100.0}  # of ProofTolerances
Picture = tuple[NDArray[np.float32], NDArray[np.float32]]  # rgb and normals, (3, H, W) each


@dataclass(frozen=True, slots=True)
class PreparedView:
    """What the detector would be shown, and why the judge would refuse the view; levels per light, of full scale."""

    shown: ShownView
    shift_px: tuple[float, float]
    reasons: tuple[Reason, ...]
    levels: Mapping[str, float]
    is_misplaced: bool = False  # farther than the recipe bears: the picture could not be brought back


class ViewPreparer:
    """Solves the views of one collection on the model's `grid` (H, W), from frames of `shape` (H, W)."""

    def __init__(self, loaded: LoadedRecipe, shape: tuple[int, int], grid: tuple[int, int]) -> None:
        """Raises ViewReferenceError where the recipe's view reference cannot be read."""
        self._loaded = opened(with_view_references(loaded))
        self._shape, self._grid = shape, grid
        self._plain_solver = ViewSolver(self._loaded, shape)
        self._proofs = view_proofs(self._loaded)
        self._trackers: dict[str, PartTracker] = {}
        recipe = self._loaded.recipe
        self._directional = [light.name for light in recipe.directional_lights]
        self._diffuse = next(light.name for light in recipe.lights if light.kind == "diffuse")
        self._lights = [light.name for light in recipe.lights]

    def use(self, references: PartReferences) -> None:
        """Bring parts to these references from now on."""
        self._trackers = {name: PartTracker(view) for name, view in references.views.items()}

    def on_grid(self, view: str, frames: Mapping[str, Frame]) -> Picture:
        """Colours and normals as the camera saw them, in arrays of their own."""
        evidence, reasons = self._evidence(view, frames)
        with self._solved(self._plain_solver, view, frames, None if reasons else evidence) as (image, normals):
            factor = self._shape[0] // self._grid[0]
            return block_mean(image, factor), block_normals(normals, factor).copy()

    @contextmanager
    def prepared(
        self, part: str, view: str, frames: Mapping[str, Frame], disturbance: Disturbance
    ) -> Iterator[PreparedView]:
        """The view under this disturbance, whose noise follows from part, view and disturbance.

        The arrays hold until the context ends.
        """
        rng = np.random.default_rng(seed_of(part, view, disturbance.name))
        used = {name: frames[name] for name in self._lights}
        noise = noise_for(self._loaded, used[self._diffuse])
        used = disturbed_frames(disturbance, used, Sensor(noise, self._shape[0] // self._grid[0]), rng)
        solver = self._plain_solver
        if disturbance.turns:
            solver = ViewSolver(with_turned_lights(self._loaded, disturbance.turns), self._shape)
        evidence, reasons = self._evidence(view, used)
        shift_px = (0.0, 0.0) if evidence is None or reasons else evidence.shift_px
        with self._solved(solver, view, used, None if reasons else evidence) as (image, normals):
            shown = shown_view(image, normals, self._grid, self._trackers.get(view), shift_px)
            tolerances = self._loaded.recipe.proof_tolerances
            off = () if shown.placement is None else check_placement(shown.placement, tolerances, shown.outside)
            levels = {name: mean_level(frame) for name, frame in used.items()}
            yield PreparedView(shown, shift_px, (*off, *reasons), levels, bool(off))

    def mask_shown(self, view: str, mask: NDArray[np.bool_], prepared: PreparedView) -> NDArray[np.bool_]:
        """A defect's mask (H, W) on the grid, moved as the picture was."""
        planes = np.ascontiguousarray(np.broadcast_to(mask.astype(np.float32), (3, *mask.shape)))
        placement, factor = prepared.shown.placement, self._shape[0] // self._grid[0]
        if placement is None:
            moved = shown_view(planes, planes, self._grid, None, _over(prepared.shift_px, factor)).rgb
        else:
            moved, _ = self._trackers[view].bring_back(planes, planes, placement, _over(prepared.shift_px, factor))
        return np.asarray(moved[0] > 0.5)

    def _evidence(self, view: str, frames: Mapping[str, Frame]) -> tuple[ViewEvidence | None, tuple[Reason, ...]]:
        proof = self._proofs.get(view)
        if proof is None:
            return None, ()
        evidence = proof.evidence({name: frames[name] for name in self._lights})
        return evidence, check_evidence(evidence, self._loaded.recipe.proof_tolerances)

    @contextmanager
    def _solved(
        self, solver: ViewSolver, view: str, frames: Mapping[str, Frame], evidence: ViewEvidence | None
    ) -> Iterator[Picture]:
        """Colours and normals of the capture, lamps corrected by the evidence; they hold until the context ends."""
        directional = [frames[name] for name in self._directional]
        solver.begin(view)
        for index, frame in enumerate(directional):
            solver.add(index, frame)
        if evidence is not None:
            solver.relight(evidence.worth_correcting)
        first = solver.first()
        found = first
        if self._loaded.recipe.photometric_stereo.detector_normals == "refined":
            found = solver.refined(first, directional)
        strength = 1.0 if evidence is None else evidence.lights.get(self._diffuse, 1.0)
        yield diffuse_rgb(frames[self._diffuse], strength), found.normals
        solver.recycle(first)


def opened(loaded: LoadedRecipe) -> LoadedRecipe:
    """The recipe, which bears any lamp, exposure, blur and noise: what it bears is found after training, not before."""
    tolerances = loaded.recipe.proof_tolerances.model_copy(update=OPEN)
    return replace(loaded, recipe=loaded.recipe.model_copy(update={"proof_tolerances": tolerances}))


def with_view_references(loaded: LoadedRecipe) -> LoadedRecipe:
    """The recipe with its view references read, which `need_model=False` leaves out. Raises ViewReferenceError."""
    choice = loaded.recipe.view_reference
    if choice is None or loaded.view_references is not None:
        return loaded
    return replace(loaded, view_references=read_references(loaded.path.parent / choice.file, choice.sha256))


def _over(shift_px: tuple[float, float], factor: int) -> tuple[float, float]:
    return shift_px[0] / factor, shift_px[1] / factor
