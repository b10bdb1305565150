"""Export to one `.onnx` file that describes itself, behind a gate: onnxruntime must agree with torch."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray

from models.config import TrainConfig
from models.encoder import ENCODER_ID
from models.network import AnomalyNetwork
from models.scoring import ScoreCalibration

FORMAT_VERSION = 1
METADATA_KEY = "facet"
INPUTS = ("diffuse_rgb", "normals", "view_index")
OUTPUTS = ("pred_score", "anomaly_map")
MAP_TOLERANCE, SCORE_TOLERANCE = 1e-4, 1e-5
GOLDEN_SEED = 20
OPSET = 17


class ParityError(Exception):
    """onnxruntime does not reproduce torch, so no file was written; the text holds the differences."""


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """What the file states about itself; `metadata_of` turns it into the JSON that the station reads."""

    product: str
    views: tuple[str, ...]
    input_size: tuple[int, int]  # H, W
    photometric_stereo: dict[str, Any]  # how the normals were solved, as the data set's index states it
    config: TrainConfig
    modalities: tuple[str, ...]  # names along the T axis of `calibration`
    calibration: ScoreCalibration
    limits: dict[str, float]  # per view
    dataset_sha256: str
    n_train_parts: int
    held_out: dict[str, Any] | None = None  # parts, and scores by variant and view: limits can be chosen anew from them


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


def golden_inputs(
    input_size: tuple[int, int], view_index: int, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """The self-test's input, kind "lattice": integers only until the last division, so every machine has the same.

    colour[c, y, x] = ((7 x + 13 y + 29 c + 31 seed + 3 view) mod 64) / 64; the normal is (p, q, r) / 9 of the
    exact unit triples (1, 4, 8), (4, 4, 7), (-4, 1, 8), (-1, -4, 8), chosen by (x // 16 + y // 16 + seed) mod 4.
    """
    h, w = input_size
    c, y, x = np.arange(3)[:, None, None], np.arange(h)[None, :, None], np.arange(w)[None, None, :]
    rgb = ((7 * x + 13 * y + 29 * c + 31 * seed + 3 * view_index) % 64).astype(np.float32) / np.float32(64)
    triples = np.array([(1, 4, 8), (4, 4, 7), (-4, 1, 8), (-1, -4, 8)], np.float32) / np.float32(9)
    normals = triples[(x[0] // 16 + y[0] // 16 + seed) % 4].transpose(2, 0, 1)
    return rgb[None], np.ascontiguousarray(normals)[None], np.array([view_index], np.int64)


Arrays = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]  # one view's inputs, batch of one
Outputs = tuple[float, NDArray[np.float32]]  # score, map (H, W)


def export_network(
    network: AnomalyNetwork, description: ModelDescription, out_file: Path, stored: Sequence[Arrays] = ()
) -> Exported:
    """Write the network and its description, once onnxruntime agrees with torch on golden and `stored` views.

    Raises ParityError, and then leaves no file behind.
    """
    network.eval()
    partial = out_file.with_name(f".{out_file.name}.{os.getpid()}.part")
    out_file.parent.mkdir(parents=True, exist_ok=True)
    try:
        _write_graph(network, description, partial)
        golden = [golden_inputs(description.input_size, v, GOLDEN_SEED) for v in range(len(description.views))]
        inputs = [*golden, *stored]
        expected = [_torch_outputs(network, arrays) for arrays in inputs]
        _describe(partial, description, [score for score, _ in expected[: len(golden)]])
        parity = check_parity(partial, description, inputs, expected)
        content = partial.read_bytes()
        os.replace(partial, out_file)
    finally:
        partial.unlink(missing_ok=True)
    return Exported(hashlib.sha256(content).hexdigest(), len(content), parity)


def _write_graph(network: AnomalyNetwork, description: ModelDescription, path: Path) -> None:
    """The bare graph, batch axis free, through the TorchScript exporter."""
    rgb, normals, view = golden_inputs(description.input_size, 0, GOLDEN_SEED)
    arguments = (torch.from_numpy(rgb), torch.from_numpy(normals), torch.from_numpy(view))
    with warnings.catch_warnings():
        # deprecated, but it takes seconds where its successor takes minutes, and the parity gate checks what it wrote
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            arguments,
            str(path),
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            dynamic_axes={name: {0: "batch"} for name in (*INPUTS, *OUTPUTS)},
            opset_version=OPSET,
            dynamo=False,
        )


def _torch_outputs(network: AnomalyNetwork, arrays: Arrays) -> Outputs:
    """What onnxruntime has to reproduce."""
    with torch.no_grad():
        score, fused = network(*(torch.from_numpy(a) for a in arrays))
    return float(score[0]), fused[0].numpy()


def _describe(path: Path, description: ModelDescription, golden_scores: list[float]) -> None:
    """Put the metadata into the file at `path`, in place."""
    model = onnx.load(str(path))
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, json.dumps(metadata_of(description, golden_scores), sort_keys=True)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def metadata_of(description: ModelDescription, golden_scores: list[float]) -> dict[str, Any]:
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
        "encoder": {"id": ENCODER_ID, "weights": None, "license": "none needed: no weights"},
        "config": d.config.to_dict(),
        "score": asdict(d.config.score),
        "calibration": {"n_parts": d.calibration.n_parts, "views": per_view},
        "limits_suggested": d.limits,
        "held_out": d.held_out,
        "training": {"n_parts": d.n_train_parts, "dataset_sha256": d.dataset_sha256},
        "golden": {"kind": "lattice", "seed": GOLDEN_SEED, "scores": golden_scores},
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
        scale = max(limit, float(np.abs(fused).max()))
        map_difference = max(map_difference, float(np.abs(got_map[0] - fused).max()) / scale)
        score_difference = max(score_difference, abs(float(got_score[0]) - score) / max(limit, abs(score)))
        flips += (float(got_score[0]) <= limit) != (score <= limit)
    report = ParityReport(map_difference, score_difference, flips)
    if not (map_difference <= MAP_TOLERANCE and score_difference <= SCORE_TOLERANCE and flips == 0):
        raise ParityError(
            f"{path.name}: onnxruntime differs from torch ({report}; allowed: {MAP_TOLERANCE}, {SCORE_TOLERANCE} "
            "and no flip); the model was not written. Compare the versions of torch, onnx and onnxruntime "
            "with requirements/dev.txt"
        )
    return report
