"""The anomaly detector: one `.onnx` file, refused unless it proves what it is on the runtime that will run it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from station.errors import BadInput
from station.inspection.result import AnomalyMap
from station.judge.golden import Feed, expected_figures, golden_feeds, map_figures
from station.judge.inference import Graph, GraphUnreadable, ProviderMissing, Runner, opened_graph
from station.judge.known_regions import REMEDY, region_misfits
from station.judge.model_grid import GridError, block_mean, block_normals, grid_factor
from station.judge.model_metadata import FORMAT_VERSIONS, METADATA_KEY, ModelMetadata
from station.judge.part_checks import why_part_unknown
from station.recipe.loaded import LoadedRecipe, Recipe
from station.rig.inference import CPU, InferenceChoice

OLD_INPUTS = {"diffuse_rgb": "tensor(float)", "normals": "tensor(float)", "view_index": "tensor(int64)"}
INPUTS_OF_FORMAT = {1: OLD_INPUTS, 2: {**OLD_INPUTS, "region": "tensor(float)"}}
OUTPUTS = ("pred_score", "anomaly_map")
TARGET_MAPS = "target_maps"  # (B, T, h, w) calibrated, on tokens: a third output, for the self-test alone
# Of the view's limit, or of the golden score where that is larger; the exporter's gate allows as much.
MAP_TOLERANCE, SCORE_TOLERANCE = 1e-4, 1e-5
LOOSEST = 5.0  # of the map's unit, in which 1 is good parts' 99th percentile: a high limit shall hide no damage
OLD_SCORE_TOLERANCE = 1e-3  # of format 1 on the CPU, whose golden scores lie far above any limit
Image = NDArray[np.float32]


class ModelRefused(BadInput):
    """A model file that must not judge parts; the text names the file, the cause and what to do."""

    def __init__(self, path: Path, reason: str, hint: str) -> None:
        super().__init__(f"model {path}: {reason}; {hint}")
        self.path, self.reason, self.hint = path, reason, hint


class DetectorInputError(GridError):
    """A capture that does not fit the model; the text gives both sizes or the view's name."""


class AnomalyDetector:
    """Scores one view at a time. Immutable after `load`; `detect` may be called from any one thread at a time."""

    def __init__(
        self, path: Path, sha256: str, metadata: ModelMetadata, runner: Runner | None, inference: InferenceChoice = CPU
    ) -> None:
        self.path, self.sha256, self.metadata, self.inference = path, sha256, metadata, inference
        self._runner = runner
        self.golden_difference = 0.0  # the largest in the self-test: score against the exporter's, in limits or scores

    @classmethod
    def load(cls, path: Path, sha256: str | None = None, inference: InferenceChoice = CPU) -> AnomalyDetector:
        """Open a model on the chosen runtime and run its golden self-test there, on every view.

        `sha256` is the hash that the file must have (default: any). Raises ModelRefused, also where the runtime is not
        on this machine or does not give the scores and maps of the exporter.
        """
        content = _read(path)
        found = hashlib.sha256(content).hexdigest()
        if sha256 is not None and found != sha256.lower():
            raise ModelRefused(
                path, f"its SHA-256 is {found}, the recipe asks for {sha256}", "restore the file or release it anew"
            )
        graph = _graph(path, content, inference)
        metadata = _metadata(path, graph)
        _check_interface(path, graph, metadata)
        detector = cls(path, found, metadata, graph.runner, inference)
        detector._self_test(graph.outputs)
        return detector

    @property
    def model_id(self) -> str:
        """Product and the start of the file's hash."""
        return f"{self.metadata.product}-{self.sha256[:12]}"

    def check_regions(self, loaded: LoadedRecipe) -> None:
        """Raise ModelRefused where the recipe would judge regions that the model has not learned."""
        unknown = why_part_unknown(loaded) if loaded.recipe.part_reference is not None else None
        if unknown is not None:
            raise ModelRefused(self.path, f"the part cannot be brought to its reference: {unknown}", REMEDY)
        references = {} if loaded.part_references is None else loaded.part_references.views
        for reason in region_misfits(self.metadata, {name: view.region for name, view in references.items()}):
            raise ModelRefused(self.path, reason, REMEDY)

    def check_fits(self, recipe: Recipe) -> None:
        """Raise ModelRefused unless the model was made for this product, these views, lights and colours."""
        for reason in _misfits(self.metadata, recipe):
            raise ModelRefused(self.path, reason, "train a model for this recipe, or name the right file")

    def warm_up(self) -> None:
        """Run once, so that the first part does not pay for allocation."""
        self._run(next(golden_feeds(self.metadata, 0)))

    def detect(
        self,
        image: Image,
        normals: Image,
        view: str,
        region: Image | None = None,
    ) -> AnomalyMap:
        """Map and score of one view; `image` and `normals` are (3, H, W) as the station makes them.

        `region` (h, w) on the model's grid is 1 on the part and 0 elsewhere, as the model's reference has it.
        Without one all counts. A model of format 1 knows no region, and one that leaves something out is
        refused.

        A capture larger than that grid by a whole factor is averaged down. A score or map
        that is not finite is handed on as NaN, which passes no limit. Raises DetectorInputError.
        """
        if view not in self.metadata.views:
            raise DetectorInputError(f"the model does not know the view {view!r}, only {list(self.metadata.views)}")
        try:
            factor = grid_factor(image, normals, self.metadata.input_size)
        except GridError as error:
            raise DetectorInputError(str(error)) from error
        rgb, directions = block_mean(image, factor), block_normals(normals, factor)
        feed: Feed = {"diffuse_rgb": rgb[None], "normals": directions[None], "view_index": self._index(view)}
        score, fused = self._run({**feed, **self._region(region)})
        if not np.isfinite(fused).all():
            score = float("nan")
        return AnomalyMap(fused, score)

    def _index(self, view: str) -> NDArray[np.int64]:
        return np.array([self.metadata.views.index(view)], np.int64)

    def _region(self, region: Image | None) -> Feed:
        """The fourth input, for a model that has it."""
        size = self.metadata.input_size
        if region is not None and region.shape != size:
            raise DetectorInputError(f"a region of {region.shape} does not fit the model's grid of {size} (H, W)")
        if self.metadata.format_version == 1:
            if region is not None and not region.all():
                raise DetectorInputError("a model of format 1 judges the whole view; train one that knows regions")
            return {}
        whole = np.ones(size, np.float32) if region is None else np.asarray(region, np.float32)
        return {"region": whole[None]}

    def _run(self, feed: Feed) -> tuple[float, Image]:
        assert self._runner is not None
        score, fused = self._runner.run(OUTPUTS, feed)
        return float(score[0]), np.asarray(fused[0], np.float32)

    def _self_test(self, outputs: tuple[str, ...]) -> None:
        """Every golden input of every view must give the exporter's score, figures of the maps, and verdict."""
        for v, view in enumerate(self.metadata.views):
            try:
                found = [self._golden(feed, outputs) for feed in golden_feeds(self.metadata, v)]
                figures = expected_figures(self.metadata.golden, v)
            except Exception as error:
                raise ModelRefused(self.path, f"it does not run: {error}", "export it again") from error
            expected = self.metadata.golden.scores[v * len(found) : (v + 1) * len(found)]
            for (score, maps), wanted, known in zip(found, expected, figures, strict=True):
                share = abs(score - wanted) / max(self._limit(view), abs(wanted))
                self.golden_difference = max(self.golden_difference, share)
                problem = self._deviation(view, score, wanted) or _deviation_of_maps(maps, known, self._limit(view))
                if problem:
                    raise ModelRefused(
                        self.path,
                        f"self-test failed: view {view!r} {problem} (on {self.inference.provider})",
                        "the file or this machine's runtime is damaged; restore the file, else export it again",
                    )

    def _golden(self, feed: Feed, outputs: tuple[str, ...]) -> tuple[float, Image]:
        """Score, and the maps of all targets where the file gives them, else the one map."""
        assert self._runner is not None
        score, *maps = self._runner.run(outputs, feed)
        return float(score[0]), np.asarray(maps[-1][0], np.float32)

    def _limit(self, view: str) -> float:
        return self.metadata.limits_suggested[view]

    def _deviation(self, view: str, score: float, wanted: float) -> str:
        """How a golden score differs more than it may; empty where it does not."""
        limit = self._limit(view)
        is_old = self.metadata.format_version == 1 and self.inference.provider == "cpu"
        allowed = OLD_SCORE_TOLERANCE * max(1.0, abs(wanted)) if is_old else SCORE_TOLERANCE * max(limit, abs(wanted))
        if not abs(score - wanted) <= allowed or (score <= limit) != (wanted <= limit):
            return f"scores {score:.7g} instead of {wanted:.7g}"
        return ""


def _deviation_of_maps(maps: Image, known: Image | None, limit: float) -> str:
    """How golden maps differ more than they may from the exporter's figures; empty where they do not."""
    if not np.isfinite(maps).all():
        return "gives a map that is not finite"
    if known is None:
        return ""
    found = map_figures(maps)
    if found.shape != known.shape:
        return f"gives {found.size} figures of its maps, the file has {known.size}"
    worst = float((np.abs(found - known) / np.maximum(min(limit, LOOSEST), np.abs(known))).max())
    return "" if worst <= MAP_TOLERANCE else f"gives a map that differs by {worst:.3g}, allowed is {MAP_TOLERANCE:g}"


def _misfits(m: ModelMetadata, recipe: Recipe) -> Iterator[str]:
    """Why a model does not belong to a recipe, one reason after the other."""
    if m.product != recipe.product:
        yield f"it was trained for {m.product!r}, the recipe is for {recipe.product!r}"
    unknown = [v.name for v in recipe.viewpoints if v.name not in m.views]
    if unknown:
        yield f"it does not know the view {unknown[0]!r}, only {list(m.views)}"
    color = "mono" if recipe.capture.pixel_format.startswith("Mono") else "rgb"
    if color != m.color:
        yield f"it was trained on {m.color} pictures, {recipe.capture.pixel_format} gives {color}"
    if m.has_normals and recipe.model.judges == "pictures":
        yield "it learned from normals too, but the recipe says model.judges: pictures"
    if m.has_normals:
        yield from _normals_misfits(m, recipe)
    elif recipe.model.judges != "pictures":
        yield "it learned from pictures alone, and the recipe does not say so (model.judges: pictures)"


def _normals_misfits(m: ModelMetadata, recipe: Recipe) -> Iterator[str]:
    """Why the recipe's normals are not those from which the model learned."""
    stereo, learned = recipe.photometric_stereo, m.photometric_stereo
    if stereo.method != learned.method:
        yield f"its normals were solved by {learned.method!r}, the recipe uses {stereo.method!r}"
    refine = stereo.refine if stereo.detector_normals == "refined" else "none"
    if refine != learned.refine:
        yield f"it learned from normals refined by {learned.refine!r}, the recipe gives it {refine!r}"
    if stereo.gloss_of_detector != learned.gloss:
        yield f"it learned from normals of gloss {learned.gloss}, the recipe has {stereo.gloss_of_detector}"
    if learned.shadow_fraction is not None and stereo.shadow_fraction != learned.shadow_fraction:
        yield f"it learned at shadow_fraction {learned.shadow_fraction:g}, the recipe has {stereo.shadow_fraction:g}"
    for v in recipe.viewpoints:
        height_mm = learned.plane_heights_mm.get(v.name, 0.0)
        if v.plane_height_mm != height_mm:
            yield f"view {v.name!r} learned at plane height {height_mm:g} mm, the recipe has {v.plane_height_mm:g}"
    lights = [light.name for light in recipe.directional_lights]
    if sorted(lights) != sorted(learned.lights):
        yield f"it was trained under {list(learned.lights)}, the recipe lights {lights}"


def _read(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ModelRefused(path, "there is no such file", "train it (`station train`) or correct the recipe") from None
    except OSError as error:
        raise ModelRefused(path, f"it cannot be read ({error.strerror})", "check the file and its rights") from error
    if not content:
        raise ModelRefused(path, "it is empty", "restore the file")
    return content


def _graph(path: Path, content: bytes, inference: InferenceChoice) -> Graph:
    try:
        return opened_graph(content, inference)
    except GraphUnreadable as error:
        reason = f"it is no readable ONNX model ({len(content)} bytes: {error})"
        raise ModelRefused(path, reason, "the file is truncated, damaged or something else; restore it") from error
    except ProviderMissing as error:
        raise ModelRefused(path, error.reason, error.cure) from error


def _check_interface(path: Path, graph: Graph, metadata: ModelMetadata) -> None:
    expected = INPUTS_OF_FORMAT[metadata.format_version]
    if graph.inputs != expected or graph.outputs not in (OUTPUTS, (*OUTPUTS, TARGET_MAPS)):
        raise ModelRefused(
            path,
            f"its inputs are {graph.inputs} and its outputs {list(graph.outputs)}, expected {expected} and "
            f"{list(OUTPUTS)}",
            "it was not exported by `station train`",
        )


def _metadata(path: Path, graph: Graph) -> ModelMetadata:
    text = graph.metadata.get(METADATA_KEY)
    if text is None:
        raise ModelRefused(path, f"it has no metadata {METADATA_KEY!r}", "it was not exported by `station train`")
    try:
        raw = json.loads(text)
        version = raw.get("format_version") if isinstance(raw, dict) else None
        if version not in FORMAT_VERSIONS:
            known = " and ".join(map(str, FORMAT_VERSIONS))
            raise ModelRefused(
                path, f"its metadata has format {version!r}, this station reads {known}", "export it again"
            )
        return ModelMetadata.model_validate(raw)
    except json.JSONDecodeError as error:
        raise ModelRefused(path, f"its metadata is not JSON ({error})", "export it again") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "as a whole"
        raise ModelRefused(path, f"its metadata is wrong: {where}: {first['msg']}", "export it again") from error
