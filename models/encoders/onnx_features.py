"""Any feature extractor in an ONNX file: run by onnxruntime while learning, made part of the exported graph.

torch traces one placeholder node for it; `inline_foreign` then puts the file's own nodes in the placeholder's stead.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import compose, version_converter
from torch import Tensor
from torch.nn import functional

from models.encoders.display import DisplayPictures
from models.encoders.protocol import Encoder, EncoderError

DOMAIN, PLACEHOLDER = "facet", "ForeignEncoder"
OPSET = 17  # of the exported model
LEADING_TOKENS = (0, 1, 5)  # before the patches of a transformer: none, a class token, a class token and registers


class OnnxEncoder(Encoder):
    """One picture in, (B, C, h, w) or patch tokens (B, N, C) out; pictures are ImageNet-normalised display values."""

    def __init__(
        self, path: Path, input_size: tuple[int, int], modalities: int = 2, license: str | None = None
    ) -> None:
        """`input_size` is (H, W) in pixels; a file with a size of its own gets pictures resized to it.

        EncoderError where the file cannot be read, run or merged into an exported model.
        """
        super().__init__()
        try:
            content = path.read_bytes()
            model = onnx.load_model_from_string(content)
            onnx.checker.check_model(model)
            self._session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        except (OSError, Exception) as error:  # protobuf and onnxruntime raise kinds of their own
            raise EncoderError(f"{path} is not an ONNX file that can be run here ({error})") from error
        self.model = _mergeable(path, model)
        self.pixels = _pixels(path, self.model, input_size)
        stated = {entry.key: entry.value for entry in model.metadata_props}
        self.license = license or stated.get("license", "not stated in the file")
        self.sha256 = hashlib.sha256(content).hexdigest()
        self.id, self.modalities = f"onnx/{path.stem}", modalities
        self.leading, self.channels, self.grid = self._probe(path)
        self.stride_px = max(1, round(input_size[0] / self.grid[0]))
        self.display = DisplayPictures()
        self._function = self._placeholder()
        self.freeze()

    def _run(self, picture: np.ndarray) -> np.ndarray:
        name = self._session.get_inputs()[0].name
        return np.asarray(self._session.run(None, {name: picture})[-1], np.float32)

    def _probe(self, path: Path) -> tuple[int, int, tuple[int, int]]:
        """Leading tokens, channels and grid of the last output, from one run on a grey picture."""
        try:
            found = self._run(np.zeros((1, 3, *self.pixels), np.float32))
        except Exception as error:
            raise EncoderError(
                f"{path} does not take a picture of {self.pixels[1]} x {self.pixels[0]} px ({error})"
            ) from error
        if found.ndim == 4:
            return 0, found.shape[1], (found.shape[2], found.shape[3])
        if found.ndim == 3:
            for leading in LEADING_TOKENS:
                rows = round(np.sqrt((found.shape[1] - leading) * self.pixels[0] / self.pixels[1]))
                if rows > 0 and (found.shape[1] - leading) % rows == 0:
                    return leading, found.shape[2], (rows, (found.shape[1] - leading) // rows)
        raise EncoderError(f"{path}: its last output has shape {found.shape}; (B, C, h, w) or (B, tokens, C) is needed")

    def _placeholder(self) -> Any:
        """A function that onnxruntime computes and that torch's exporter writes as one node."""
        run, sha256 = self._run, str(self.sha256)

        class Foreign(torch.autograd.Function):
            @staticmethod
            def forward(_ctx: Any, picture: Tensor) -> Tensor:
                return torch.from_numpy(run(np.ascontiguousarray(picture.detach().numpy())))

            @staticmethod
            def symbolic(graph: Any, picture: Any) -> Any:
                return graph.op(f"{DOMAIN}::{PLACEHOLDER}", picture, sha256_s=sha256)

        return Foreign

    def forward(self, diffuse_rgb: Tensor, normals: Tensor) -> Tensor:
        """(B, 3, H, W) twice -> (B, modalities, C, h, w)."""
        found = [self._features(self.display.modality(m, diffuse_rgb, normals)) for m in range(self.modalities)]
        return torch.stack(found, dim=1)

    def _features(self, picture: Tensor) -> Tensor:
        if tuple(picture.shape[2:]) != self.pixels:
            picture = functional.interpolate(picture, size=self.pixels, mode="bilinear", align_corners=False)
        found: Tensor = self._function.apply(picture)
        if self.leading or found.dim() == 3:
            found = found[:, self.leading :].transpose(1, 2)
        return found.reshape(-1, self.channels, *self.grid)


def foreign_model(encoder: Encoder) -> onnx.ModelProto | None:
    """The ONNX file behind an encoder, to be given to `inline_foreign`; None for an encoder made of torch."""
    return encoder.model if isinstance(encoder, OnnxEncoder) else None


def inline_foreign(exported: onnx.ModelProto, foreign: onnx.ModelProto) -> onnx.ModelProto:
    """`exported` with the graph of `foreign` in place of every placeholder node; unchanged where it has none.

    Each occurrence has node names of its own and shares the weights.
    """
    graph = exported.graph
    places = [node for node in graph.node if node.domain == DOMAIN and node.op_type == PLACEHOLDER]
    if not places:
        return exported
    weights = {w.name for w in foreign.graph.initializer}
    graph.initializer.extend(
        compose.add_prefix(foreign, "foreign/", rename_nodes=False, rename_edges=True).graph.initializer
    )
    nodes = []
    for node in graph.node:
        if node not in places:
            nodes.append(node)
            continue
        nodes += _nodes_at(node, foreign, f"foreign{places.index(node)}/", weights)
    del graph.node[:]
    graph.node.extend(nodes)
    for opset in [o for o in exported.opset_import if o.domain == DOMAIN]:
        exported.opset_import.remove(opset)
    have = {o.domain for o in exported.opset_import}
    exported.opset_import.extend(o for o in foreign.opset_import if o.domain not in have and o.domain)
    return exported


def _nodes_at(place: Any, foreign: onnx.ModelProto, prefix: str, weights: set[str]) -> list[Any]:
    """The foreign graph's nodes, wired to the placeholder's input and output."""
    ends = {_only_input(foreign): place.input[0], foreign.graph.output[-1].name: place.output[0]}

    def renamed(edge: str) -> str:
        if edge in ends or not edge:
            return str(ends.get(edge, ""))
        return str(f"foreign/{edge}" if edge in weights else prefix + edge)

    nodes = []
    for node in foreign.graph.node:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.name = prefix + node.name
        del copy.input[:], copy.output[:]
        copy.input.extend(renamed(edge) for edge in node.input)
        copy.output.extend(renamed(edge) for edge in node.output)
        nodes.append(copy)
    return nodes


def _only_input(model: onnx.ModelProto) -> str:
    weights = {w.name for w in model.graph.initializer}
    return str(next(i.name for i in model.graph.input if i.name not in weights))


def _mergeable(path: Path, model: onnx.ModelProto) -> onnx.ModelProto:
    """The model in the exported model's operator set; EncoderError where it could not become part of one."""
    weights = {w.name for w in model.graph.initializer}
    inputs = [i for i in model.graph.input if i.name not in weights]
    if len(inputs) != 1 or inputs[0].type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
        raise EncoderError(f"{path} has {len(inputs)} inputs; one float32 picture (B, 3, H, W) is needed")
    if len(inputs[0].type.tensor_type.shape.dim) != 4:
        raise EncoderError(f"{path}: its input has {len(inputs[0].type.tensor_type.shape.dim)} axes instead of 4")
    if any(attribute.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)
           for node in model.graph.node for attribute in node.attribute):  # fmt: skip
        raise EncoderError(f"{path} branches or loops inside: export it without control flow")
    if len(model.functions):
        raise EncoderError(f"{path} holds functions of its own: export it with its functions inlined")
    version = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)
    if version == OPSET:
        return model
    try:
        return version_converter.convert_version(model, OPSET)
    except Exception as error:
        raise EncoderError(
            f"{path} is written in operator set {version} and cannot be brought to {OPSET} ({error}): "
            f"export it with opset {OPSET}"
        ) from error


def _pixels(path: Path, model: onnx.ModelProto, input_size: tuple[int, int]) -> tuple[int, int]:
    """(H, W) that the file takes: its own where that is fixed, ours otherwise."""
    name = _only_input(model)
    shape = next(i for i in model.graph.input if i.name == name).type.tensor_type.shape
    batch, channels, height, width = (d.dim_value for d in shape.dim)
    if channels not in (0, 3):
        raise EncoderError(f"{path} takes pictures of {channels} channels; 3 are needed")
    if batch > 1:
        raise EncoderError(f"{path} takes {batch} pictures at a time; export it with a free batch axis")
    return (int(height) or input_size[0], int(width) or input_size[1])
