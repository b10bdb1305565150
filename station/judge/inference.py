"""Runs a model's graph with the chosen runtime: onnxruntime on the CPU or by CUDA, or OpenVINO. No other is taken."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from station.rig.inference import InferenceChoice

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
CURE = "or choose `inference: {provider: cpu}` in the rig file"
Feed = Mapping[str, NDArray[Any]]


class GraphUnreadable(Exception):
    """The bytes are no graph that the runtime can run; the text is the runtime's own first line."""


class ProviderMissing(Exception):
    """The chosen runtime is not on this machine: what is missing, and what to do."""

    def __init__(self, reason: str, cure: str) -> None:
        super().__init__(f"{reason}: {cure}")
        self.reason, self.cure = reason, cure


class Runner(Protocol):
    """A graph that is ready to run."""

    def run(self, outputs: tuple[str, ...], feed: Feed) -> list[NDArray[np.float32]]:
        """The named outputs for these inputs."""
        ...


@dataclass(frozen=True, slots=True)
class Graph:
    """A graph with what it says of itself: name -> type of its inputs, names of its outputs, its metadata."""

    runner: Runner
    inputs: Mapping[str, str]
    outputs: tuple[str, ...]
    metadata: Mapping[str, str]


def opened_graph(content: bytes, choice: InferenceChoice) -> Graph:
    """Read an ONNX file's bytes for the chosen runtime. Raises GraphUnreadable, ProviderMissing."""
    session = _session(content, choice, _cuda() if choice.provider == "cuda" else [CPU])
    runner: Runner = _OnnxRunner(session)
    if choice.provider == "openvino":
        runner = _OpenVinoRunner(content, choice)
    try:
        inputs = {i.name: i.type for i in session.get_inputs()}
        outputs = tuple(o.name for o in session.get_outputs())
        return Graph(runner, inputs, outputs, dict(session.get_modelmeta().custom_metadata_map))
    except UnicodeDecodeError as error:
        raise GraphUnreadable(_first_line(error)) from error


class _OnnxRunner:
    def __init__(self, session: Any) -> None:
        self._session = session

    def run(self, outputs: tuple[str, ...], feed: Feed) -> list[NDArray[np.float32]]:
        return list(self._session.run(list(outputs), dict(feed)))


class _OpenVinoRunner:
    """OpenVINO on the CPU. It would round to bfloat16 by itself where the processor can; single precision is asked."""

    def __init__(self, content: bytes, choice: InferenceChoice) -> None:
        try:
            import openvino
        except ImportError as error:
            text = f"the rig file asks for OpenVINO, and Python has no module {error.name or 'openvino'!r}"
            raise ProviderMissing(text, f"install facet-station[openvino], {CURE}") from error
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",
            "EXECUTION_MODE_HINT": "ACCURACY",
            "INFERENCE_NUM_THREADS": choice.threads,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,
        }
        try:
            core = openvino.Core()
            compiled = core.compile_model(core.read_model(model=io.BytesIO(content)), "CPU", settings)
        except RuntimeError as error:
            raise GraphUnreadable(f"OpenVINO: {_first_line(error)}") from error
        self._compiled, self._request = compiled, compiled.create_infer_request()

    def run(self, outputs: tuple[str, ...], feed: Feed) -> list[NDArray[np.float32]]:
        found = self._request.infer(dict(feed))
        return [np.array(found[self._compiled.output(name)]) for name in outputs]


def _cuda() -> list[Any]:
    """CUDA first, what it cannot do on the CPU; its convolutions in full single precision."""
    if CUDA not in onnxruntime.get_available_providers():
        text = f"the rig file asks for CUDA, and this onnxruntime has only {onnxruntime.get_available_providers()}"
        raise ProviderMissing(text, f"install onnxruntime-gpu instead of onnxruntime, {CURE}")
    return [(CUDA, {"use_tf32": "0"}), CPU]


def _session(content: bytes, choice: InferenceChoice, providers: list[Any]) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = choice.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if choice.provider == "openvino":  # this session only reads what the file says of itself
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        # its own fallback would run the model on another provider without asking, now or in the middle of a part
        session = onnxruntime.InferenceSession(content, options, providers=providers, enable_fallback=0)
    except Exception as error:
        raise GraphUnreadable(_first_line(error)) from error
    if (
        choice.provider == "cuda" and session.get_providers()[0] != CUDA
    ):  # where a library is missing it leaves CUDA out
        text = "the rig file asks for CUDA, and onnxruntime could not start it (driver, CUDA and cuDNN must fit)"
        raise ProviderMissing(text, f"repair the installation, {CURE}")
    return session


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:160]
