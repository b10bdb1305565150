"""Export to one `.onnx` file that describes itself, behind a gate: onnxruntime must agree with torch."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import platform
import warnings
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray

from models.config import TrainConfig
from models.encoder import FilterBank
from models.encoders.onnx_features import foreign_model, inline_foreign
from models.golden import golden_record, lattice_sample, packed_sample, sample_inputs
from models.network import AnomalyNetwork
from models.scoring import ScoreCalibration

FORMAT_VERSION = 2  # 1 had no region
METADATA_KEY = "facet"
INPUTS = ("diffuse_rgb", "normals", "view_index", "region")
OUTPUTS = ("pred_score", "anomaly_map")
TARGET_MAPS = "target_maps"  # a third output, for the self-test alone: the map shows only the oddest target
MAP_TOLERANCE, SCORE_TOLERANCE = 1e-4, 1e-5
OPSET = 17
SAMPLE_CELL_PX = 1  # of the self-test's pictures: coarse ones look odd to the network, and small errors drown


class ParityError(Exception):
    """onnxruntime does not reproduce torch, so no file was written; the text holds the differences."""


# One view's inputs, batch of one: colour, normals, view, region
Arrays = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """What the file states about itself; `metadata_of` turns it into the JSON that the station reads."""

    product: str
    views: tuple[str, ...]
    input_size: tuple[int, int]  # H, W
    photometric_stereo: dict[str, Any]  # how the normals were solved, as the data set's index states it
    config: TrainConfig
    modalities: tuple[str, ...]  # names along the axis of maps in `calibration`
    calibration: ScoreCalibration
    limits: dict[str, float]  # per view
    dataset_sha256: str
    n_train_parts: int
    regions: NDArray[np.bool_] | None = None  # (V, H, W) of a set that has them
    held_out_scores: Mapping[str, list[float]] = field(default_factory=dict)  # per view, of parts unseen by calibration
    learned_scores: Mapping[str, list[float]] = field(default_factory=dict)  # the same of parts that were learned from
    encoder: type[FilterBank] | FilterBank = FilterBank  # its id, licence and hash
    second_encoder: Mapping[str, Any] = field(default_factory=dict)  # `neighbours`: the same of that branch's encoder
    score_tolerance: float = SCORE_TOLERANCE  # of the parity gate


@dataclass(frozen=True, slots=True)
class ParityReport:
    """Largest differences between torch and onnxruntime over the golden inputs, and labels that flipped."""

    map_difference: float
    score_difference: float
    label_flips: int


@dataclass(frozen=True, slots=True)
class Exported:
    """The written file's hash and size, and how far onnxruntime was from torch."""

    sha256: str
    bytes: int
    parity: ParityReport


Outputs = tuple[float, NDArray[np.float32]]  # score, map (H, W)


def export_network(
    network: AnomalyNetwork, description: ModelDescription, out_file: Path, stored: Sequence[Arrays] = ()
) -> Exported:
    """Write the network and its description, once onnxruntime agrees with torch on golden and `stored` views.

    The golden inputs are made from the first stored view of each; where there is none, from a lattice. Raises
    ParityError, and then leaves no file behind.
    """
    network.eval()
    partial = out_file.with_name(f".{out_file.name}.{os.getpid()}.part")
    out_file.parent.mkdir(parents=True, exist_ok=True)
    try:
        _write_graph(network, description, partial)
        samples = _samples(description, stored)
        inputs = [*golden_inputs(description, samples), *stored]
        expected = [_torch_outputs(network, arrays) for arrays in inputs]
        _describe(partial, description, _golden(network, description, samples))
        parity = check_parity(partial, description, inputs, expected)
        content = partial.read_bytes()
        os.replace(partial, out_file)
    finally:
        partial.unlink(missing_ok=True)
    return Exported(hashlib.sha256(content).hexdigest(), len(content), parity)


def _write_graph(network: AnomalyNetwork, description: ModelDescription, path: Path) -> None:
    """The bare graph, batch axis free, through the TorchScript exporter."""
    first = golden_inputs(description, [lattice_sample(description.input_size, 0, SAMPLE_CELL_PX)])[0]
    arguments = tuple(torch.from_numpy(array) for array in first)
    with warnings.catch_warnings():
        # deprecated, but it takes seconds where its successor takes minutes, and the parity gate checks what it wrote
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            arguments,
            str(path),
            input_names=list(INPUTS),
            output_names=[*OUTPUTS, TARGET_MAPS],
            dynamic_axes={name: {0: "batch"} for name in (*INPUTS, *OUTPUTS, TARGET_MAPS)},
            opset_version=OPSET,
            dynamo=False,
        )
    foreign = None if network.near is None else foreign_model(network.near.encoder)
    if foreign is not None:
        path.write_bytes(inline_foreign(onnx.load(str(path)), foreign).SerializeToString())


def packed_region(region: NDArray[np.bool_]) -> str:
    """(H, W) as text: Base64 of zlib of its bits, row by row: station/judge/known_regions.py unpacks it."""
    return base64.b64encode(zlib.compress(np.packbits(region).tobytes(), 9)).decode()


def _samples(description: ModelDescription, stored: Sequence[Arrays]) -> list[str]:
    """A packed picture of each view for the self-test."""
    found = []
    for view in range(len(description.views)):
        own = next((arrays for arrays in stored if int(arrays[2][0]) == view), None)
        found.append(
            lattice_sample(description.input_size, view, SAMPLE_CELL_PX)
            if own is None
            else packed_sample(own[0][0] * own[3], own[1][0] * own[3], SAMPLE_CELL_PX)
        )
    return found


def golden_inputs(description: ModelDescription, samples: Sequence[str]) -> list[Arrays]:
    """What the self-test feeds, view by view: two inputs for each packed sample."""
    return [
        (rgb[None], normals[None], np.array([view], np.int64), region[None])
        for view, packed in enumerate(samples)
        for rgb, normals, region in sample_inputs(packed, SAMPLE_CELL_PX, description.input_size)
    ]


def _golden(network: AnomalyNetwork, description: ModelDescription, samples: Sequence[str]) -> Mapping[str, Any]:
    def run(rgb: NDArray[np.float32], normals: NDArray[np.float32], view: int, region: NDArray[np.float32]) -> Outputs:
        arrays = (rgb[None], normals[None], np.array([view], np.int64), region[None])
        with torch.no_grad():
            score, _, of_targets = network(*(torch.from_numpy(a) for a in arrays))
        return float(score[0]), of_targets[0].numpy()

    return golden_record(samples, SAMPLE_CELL_PX, description.input_size, run)


def _torch_outputs(network: AnomalyNetwork, arrays: Arrays) -> Outputs:
    """What onnxruntime has to reproduce."""
    with torch.no_grad():
        score, fused, _ = network(*(torch.from_numpy(a) for a in arrays))
    return float(score[0]), fused[0].numpy()


def _describe(path: Path, description: ModelDescription, golden: Mapping[str, Any]) -> None:
    """Put the metadata into the file at `path`, in place."""
    model = onnx.load(str(path))
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, json.dumps(metadata_of(description, golden), sort_keys=True)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def metadata_of(description: ModelDescription, golden: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON under the key `facet`: all that a station must know before it trusts the file.

    Its fields are a contract with station/judge/model_metadata.py and with files written before: names stay.
    """
    d = description
    per_view = {
        view: {
            m: {"median": float(d.calibration.median[v, t]), "p99": float(d.calibration.p99[v, t])}
            for t, m in enumerate(d.modalities)
        }
        for v, view in enumerate(d.views)
    }
    return {
        "format_version": FORMAT_VERSION,
        "product": d.product,
        "views": list(d.views),
        "input_size": list(d.input_size),
        "color": d.config.color,
        "photometric_stereo": d.photometric_stereo,
        "encoder": {
            "id": d.encoder.id,
            "license": d.encoder.license,
            "sha256": d.encoder.sha256,
            **d.second_encoder,
        },
        "config": d.config.to_dict(),
        "score": asdict(d.config.score),
        "calibration": {"n_parts": d.calibration.n_parts, "views": per_view},
        "limits_suggested": d.limits,
        "training": {"n_parts": d.n_train_parts, "dataset_sha256": d.dataset_sha256},
        "golden": dict(golden),
        "regions_used": d.regions is not None,
        "regions": {} if d.regions is None else dict(zip(d.views, map(packed_region, d.regions), strict=True)),
        "held_out_scores": d.held_out_scores,
        "learned_scores": d.learned_scores,
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "onnx": onnx.__version__,
            "onnxruntime": onnxruntime.__version__,
            "numpy": np.__version__,
        },
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def check_parity(
    path: Path, description: ModelDescription, inputs: Sequence[Arrays], expected: Sequence[Outputs]
) -> ParityReport:
    """Run the file on each input; raises ParityError where a tolerance is exceeded or a label flips.

    Differences are shares of the view's limit, or of the map's or score's own size where that is larger. The map's
    unit is arbitrary; what counts is how near to its limit a score must lie to be judged differently.
    """
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    map_difference = score_difference = 0.0
    flips = 0
    for arrays, (score, fused) in zip(inputs, expected, strict=True):
        got_score, got_map = session.run(list(OUTPUTS), dict(zip(INPUTS, arrays, strict=True)))
        limit = description.limits[description.views[int(arrays[2][0])]]
        if not (np.isfinite(limit) and np.isfinite(score) and np.isfinite(fused).all()):
            raise ParityError(f"{path.name}: a score, map or limit is not a number (limit {limit}, score {score})")
        scale = max(limit, float(np.abs(fused).max()))
        map_difference = max(map_difference, float(np.abs(got_map[0] - fused).max()) / scale)
        score_difference = max(score_difference, abs(float(got_score[0]) - score) / max(limit, abs(score)))
        flips += (float(got_score[0]) <= limit) != (score <= limit)
    report = ParityReport(map_difference, score_difference, flips)
    if not (map_difference <= MAP_TOLERANCE and score_difference <= description.score_tolerance and flips == 0):
        raise ParityError(
            f"{path.name}: onnxruntime differs from torch ({report}; allowed: {MAP_TOLERANCE}, "
            f"{description.score_tolerance} and no flip); the model was not written. Compare the versions of torch, "
            "onnx and onnxruntime with requirements/dev.txt; if they agree, the good parts are alike to within "
            "rounding: add parts that differ as real ones do"
        )
    return report
