"""Dynamic int8 of a model file's matrix products, behind a gate: no held-out or test view may be judged otherwise.

Weights become 8-bit once, activations as they come; convolutions, norms and scoring stay in single precision. What is
compared are verdicts, not tensors: a network may differ everywhere and still find the same parts. The golden record is
made anew, because the file is another release with scores of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.quantization import QuantType, quantize_dynamic

from models.config import TrainConfig
from models.dataset import Dataset, DatasetError, Item, load_dataset, read_normals, read_rgb, regions_of
from models.export import INPUTS, METADATA_KEY, TARGET_MAPS
from models.golden import golden_record
from models.progress import Progress, silent

OPERATORS = ("MatMul", "Gemm")
SPLITS = ("calibrate", "test")


class QuantiseError(Exception):
    """The file cannot be quantised, or would judge otherwise; nothing was written. The text says what to do."""


@dataclass(frozen=True, slots=True)
class Quantised:
    """The written file, and how far its scores are from the first one's, as shares of their views' limits."""

    file: str
    sha256: str
    bytes_before: int
    bytes: int
    views: int  # compared, none judged otherwise
    mean_difference: float
    worst_difference: float
    worst_view: str  # part and view


def quantise(model_file: Path, dataset_folder: Path, out_file: Path, progress: Progress = silent) -> Quantised:
    """Write `model_file` in int8 to `out_file`, once the data set's held-out and test views keep their verdicts.

    Raises QuantiseError, and then leaves no file behind; DatasetError for a data set that does not serve.
    """
    content = model_file.read_bytes()
    model = onnx.load_from_string(content)
    metadata = _metadata(model_file, model)
    dataset = load_dataset(dataset_folder)
    items = [item for split in SPLITS for item in dataset.of(split)]
    if not items or metadata["product"] != dataset.product:
        raise DatasetError(
            f"{dataset_folder}: no held-out or test parts of {metadata['product']!r} (it is of {dataset.product!r}): "
            "name the data set that the model was trained on"
        )
    partial = out_file.with_name(f".{out_file.name}.{os.getpid()}.part")
    out_file.parent.mkdir(parents=True, exist_ok=True)
    try:
        write_int8(model_file, partial)
        differences = _compared(content, partial, metadata, dataset, items, progress)
        _describe(partial, metadata, hashlib.sha256(content).hexdigest())
        written = partial.read_bytes()
        os.replace(partial, out_file)
    finally:
        partial.unlink(missing_ok=True)
    worst = max(differences, key=lambda name: differences[name])
    return Quantised(
        str(out_file), hashlib.sha256(written).hexdigest(), len(content), len(written), len(differences),
        float(np.mean(list(differences.values()))), differences[worst], worst,
    )  # fmt: skip


def write_int8(model_file: Path, out_file: Path) -> None:
    """The graph with its products in dynamic int8, without any gate and without metadata that hold for it.

    Only products with one matrix of weights: onnxruntime has no int8 for a stack of them, as whitening has one for each
    modality. Weights have 7 bits: with 8, sums of two products overflow on processors without VNNI, and scores moved by
    60 % of their limits there. Raises QuantiseError where there is nothing to quantise.
    """
    graph = onnx.load(str(model_file)).graph
    matrices = {weight.name for weight in graph.initializer if len(weight.dims) == 2}
    nodes = [node.name for node in graph.node if node.op_type in OPERATORS and node.input[1] in matrices]
    if not nodes:
        raise QuantiseError(f"{model_file} has no {' or '.join(OPERATORS)} to quantise: keep it as it is")
    quantize_dynamic(
        str(model_file), str(out_file), op_types_to_quantize=list(OPERATORS), nodes_to_quantize=nodes,
        per_channel=True, weight_type=QuantType.QInt8, reduce_range=True, extra_options={"MatMulConstBOnly": True},
    )  # fmt: skip


def _metadata(path: Path, model: onnx.ModelProto) -> dict[str, Any]:
    text = next((p.value for p in model.metadata_props if p.key == METADATA_KEY), None)
    if text is None:
        raise QuantiseError(f"{path} has no metadata {METADATA_KEY!r}: name a file that `station train` wrote")
    metadata: dict[str, Any] = json.loads(text)
    if metadata["golden"]["kind"] != "sample":
        raise QuantiseError(f"{path} is of an older format, without a stored view for the self-test: train it anew")
    return metadata


def _compared(
    content: bytes, partial: Path, metadata: dict[str, Any], dataset: Dataset, items: list[Item], progress: Progress
) -> dict[str, float]:
    """Part and view -> difference of its score over its limit; QuantiseError where a verdict changes."""
    first, second = _session(content), _session(partial.read_bytes())
    differences: dict[str, float] = {}
    changed = []
    for n, (item, feed) in enumerate(_feeds(metadata, dataset, items)):
        limit = float(metadata["limits_suggested"][item.view])
        before, after = (float(session.run(["pred_score"], feed)[0][0]) for session in (first, second))
        name = f"{item.part} {item.view} {item.rgb.stem}"
        differences[name] = abs(after - before) / limit
        if (before <= limit) != (after <= limit):
            changed.append(f"{name}: {before:.4g} -> {after:.4g}, limit {limit:.4g}")
        progress(f"{item.part} {item.view}", (n + 1) / len(items))
    if changed:
        raise QuantiseError(
            f"int8 would judge {len(changed)} of {len(items)} views otherwise ({changed[0]}; scores move by up to "
            f"{max(differences.values()):.2%} of their limits): nothing was written, keep single precision"
        )
    return differences


def _feeds(
    metadata: dict[str, Any], dataset: Dataset, items: list[Item]
) -> Iterator[tuple[Item, dict[str, NDArray[Any]]]]:
    config, regions = TrainConfig.from_dict(metadata["config"]), regions_of(dataset)
    for item in items:
        rgb = read_rgb(item.rgb, config)
        normals = np.zeros_like(rgb) if item.normal is None else read_normals(item.normal)
        index = np.array([metadata["views"].index(item.view)], np.int64)
        region = regions[dataset.views.index(item.view)][None].astype(np.float32)
        yield item, dict(zip(INPUTS, (rgb[None], normals[None], index, region), strict=True))


def _describe(partial: Path, metadata: dict[str, Any], sha256: str) -> None:
    """Put the metadata into the quantised file: its own golden record, and what it was made from."""
    model = onnx.load(str(partial))
    session = _session(partial.read_bytes())
    has_targets = any(output.name == TARGET_MAPS for output in session.get_outputs())
    maps = TARGET_MAPS if has_targets else "anomaly_map"

    def run(
        rgb: NDArray[np.float32], normals: NDArray[np.float32], view: int, region: NDArray[np.float32]
    ) -> tuple[float, NDArray[np.float32]]:
        arrays = (rgb[None], normals[None], np.array([view], np.int64), region[None])
        score, found = session.run(["pred_score", maps], dict(zip(INPUTS, arrays, strict=True)))
        return float(score[0]), found[0]

    golden, (h, w) = metadata["golden"], metadata["input_size"]
    metadata["golden"] = dict(golden_record(golden["samples"], golden["cell_px"], (h, w), run))
    metadata["training"] = {**metadata["training"], "int8_of": sha256}
    del model.metadata_props[:]
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, json.dumps(metadata, sort_keys=True)
    partial.write_bytes(model.SerializeToString())


def _session(content: bytes) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
