"""What a model file says about itself, under the key `facet` of its ONNX metadata."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

METADATA_KEY = "facet"
FORMAT_VERSIONS = (1, 2)  # 2 has the input `region`
INPUTS_OF_KIND = {"lattice": 1, "sample": 2}  # of one view's self-test


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StereoSettings(_Record):
    """The solver of the normals in the training set; a recipe with other settings is refused."""

    method: str
    lights: tuple[str, ...]
    shadow_fraction: float | None = None
    refine: str = "none"  # these two came later: older models learned from first normals on the target plane
    plane_heights_mm: dict[str, float] = {}  # per view, 0 where it is not listed
    gloss: tuple[float, float] | None = None  # of_albedo, roughness, where the normals were refined by gloss


class ModalityCalibration(_Record):
    """Median and 99th percentile of the smoothed maps of held-out good parts, in one view and one modality."""

    median: float
    p99: float


class ScoreCalibration(_Record):
    """The units of map and score: figures of `n_parts` held-out good parts, per view and modality."""

    n_parts: Annotated[int, Field(ge=1)]
    views: dict[str, dict[str, ModalityCalibration]]


class Golden(_Record):
    """The self-test of every view: `station.judge.golden` makes the inputs and says what kinds there are."""

    kind: Literal["lattice", "sample"]
    seed: int
    scores: tuple[float, ...]  # one an input, the inputs of a view one after the other
    cell_px: Annotated[int, Field(ge=1, le=1024)] = 1  # these three are of kind `sample`
    samples: tuple[str, ...] = ()  # one a view, packed
    figures: tuple[str, ...] = ()  # one a view: figures of the map of each input, packed

    @property
    def inputs_per_view(self) -> int:
        """How many inputs a view is tested with."""
        return INPUTS_OF_KIND[self.kind]


class ModelMetadata(_Record):
    """The whole record. Fields may be added with a default; none may be renamed, or older models are refused."""

    format_version: Literal[1, 2]
    product: str
    views: Annotated[tuple[str, ...], Field(min_length=1)]  # the order of `view_index`
    input_size: tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]]  # H, W
    color: Literal["rgb", "mono"]
    photometric_stereo: StereoSettings
    encoder: dict[str, Any]
    config: dict[str, Any]
    score: dict[str, Any]
    calibration: ScoreCalibration
    limits_suggested: dict[str, float]
    # per view, of held-out good parts in one order, each unseen by its calibration; older models have none
    held_out_scores: dict[str, tuple[float, ...]] = {}
    # the same of good parts that the weights have seen; none in older models
    learned_scores: dict[str, tuple[float, ...]] = {}
    training: dict[str, Any]
    golden: Golden
    versions: dict[str, str]
    created: str
    regions: dict[str, str] = {}  # per view, packed: models/export.py; none in files from before they were kept
    regions_used: bool = False  # whether it learned with regions; else `region` is 1 everywhere

    @property
    def has_normals(self) -> bool:
        """Whether it learned from normals too; a model of pictures alone does not look at those that it is given."""
        return bool(self.config.get("network", {}).get("has_normals", True))

    @model_validator(mode="after")
    def _fits_together(self) -> ModelMetadata:
        for name, views in (("calibration.views", self.calibration.views), ("limits_suggested", self.limits_suggested)):
            if set(views) != set(self.views):
                raise ValueError(f"{name} is for {sorted(views)}, the model's views are {list(self.views)}")
        for name, table in (("held_out_scores", self.held_out_scores), ("learned_scores", self.learned_scores)):
            if table and set(table) != set(self.views):
                raise ValueError(f"{name} is for {sorted(table)}, the views are {list(self.views)}")
            if len({len(scores) for scores in table.values()}) > 1:
                raise ValueError(f"{name} must give every view a score of every part")
        golden = self.golden
        if len(golden.scores) != len(self.views) * golden.inputs_per_view or not all(map(math.isfinite, golden.scores)):
            raise ValueError(f"golden.scores must be {golden.inputs_per_view} finite numbers per view")
        if golden.kind == "sample" and (
            self.format_version == 1 or not len(golden.samples) == len(golden.figures) == len(self.views)
        ):
            raise ValueError("golden of kind 'sample' needs format 2, and samples and figures of every view")
        return self
