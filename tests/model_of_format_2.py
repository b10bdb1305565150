"""A model file of format 2 made from one of format 1: a region in front of the network, and a self-test of samples."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models.export import METADATA_KEY
from models.golden import golden_record, packed_sample

Image = NDArray[np.float32]
CELL_PX = 6


def as_format_2(old: Path, new: Path, views: Sequence[tuple[Image, Image]]) -> Path:
    """Write `new`: what lies outside the region is 0 to the filters and in the map; `views` are good, one per view.

    A file that has a region already is copied.
    """
    model = onnx.load(str(old))
    if any(given.name == "region" for given in model.graph.input):
        new.write_bytes(old.read_bytes())
        return new
    _put_region_in(model.graph)
    _put_targets_out(model.graph)
    entry = next(p for p in model.metadata_props if p.key == METADATA_KEY)
    metadata = json.loads(entry.value)
    h, w = metadata["input_size"]
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])

    def run(rgb: Image, normals: Image, view: int, region: Image) -> tuple[float, Image]:
        arrays = (rgb[None], normals[None], np.array([view], np.int64), region[None])
        feed = dict(zip(("diffuse_rgb", "normals", "view_index", "region"), arrays, strict=True))
        score, maps = session.run(["pred_score", "target_maps"], feed)
        return float(score[0]), maps[0]

    samples = [packed_sample(*of_view, 1) for of_view in views]
    metadata.update(format_version=2, golden=golden_record(samples, 1, (h, w), run))
    entry.value = json.dumps(metadata)
    new.write_bytes(model.SerializeToString())
    return new


def _put_region_in(graph: onnx.GraphProto) -> None:
    """Colours, normals and map are multiplied by the region; the score is made from the map as it was."""
    shape = [*graph.input[0].type.tensor_type.shape.dim]
    graph.input.append(
        helper.make_tensor_value_info("region", TensorProto.FLOAT, ["batch", shape[2].dim_value, shape[3].dim_value])
    )
    graph.initializer.append(numpy_helper.from_array(np.array([1], np.int64), "region_axis"))
    for node in graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = f"{name}_shown" if name in ("diffuse_rgb", "normals") else name
        for i, name in enumerate(node.output):
            node.output[i] = f"{name}_whole" if name == "anomaly_map" else name
        for i, name in enumerate(node.input):
            node.input[i] = f"{name}_whole" if name == "anomaly_map" else name
    graph.node.insert(0, helper.make_node("Unsqueeze", ["region", "region_axis"], ["region_plane"]))
    for n, name in enumerate(("diffuse_rgb", "normals")):
        graph.node.insert(1 + n, helper.make_node("Mul", [name, "region_plane"], [f"{name}_shown"]))
    graph.node.append(helper.make_node("Mul", ["anomaly_map_whole", "region"], ["anomaly_map"]))


def _put_targets_out(graph: onnx.GraphProto) -> None:
    """A third output: the calibrated maps of all targets, before their maximum, averaged to tokens."""
    before = [node for node in graph.node if node.op_type == "ReduceMax"][-1].input[0]
    cell = [CELL_PX, CELL_PX]
    graph.node.append(helper.make_node("AveragePool", [before], ["target_maps"], kernel_shape=cell, strides=cell))
    graph.output.append(helper.make_tensor_value_info("target_maps", TensorProto.FLOAT, ["batch", None, None, None]))
