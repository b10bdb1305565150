"""On what this machine runs a model: a section of the rig file, because it belongs to the machine, not to a product."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Provider = Literal["cpu", "cuda", "openvino"]


class InferenceChoice(BaseModel):
    """The section `inference`. What is chosen is used, or the model is refused; nothing else is taken instead.

    `cpu` and `cuda` are onnxruntime's; `openvino` is Intel's runtime, on the CPU. `threads` are those of one inference
    on the CPU, beside the solver's own; with `cuda` they serve what stays on the CPU.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    provider: Provider = "cpu"
    threads: Annotated[int, Field(ge=1, le=256)] = 1


CPU = InferenceChoice()
