"""Encoders by name, as a command or a configuration gives them."""

from __future__ import annotations

from pathlib import Path

from models.encoders.efficientnet_lite import EfficientNetLite0
from models.encoders.filterbank import FilterBankEncoder
from models.encoders.protocol import Encoder, EncoderError

NAMES = ("filterbank", "efficientnet-lite0", "dinov2:FOLDER", "onnx:FILE")


def load_encoder(name: str, input_size: tuple[int, int], modalities: int = 2) -> Encoder:
    """The encoder of that name for pictures of (H, W) pixels; `modalities` 1 for pictures without normals.

    EncoderError for an unknown name and for whatever the encoder misses.
    """
    kind, _, place = name.partition(":")
    if kind == "filterbank":
        return FilterBankEncoder(modalities=modalities)
    if kind == "efficientnet-lite0":
        return EfficientNetLite0(Path(place) if place else None, modalities=modalities)
    if kind == "dinov2" and place:
        from models.encoders.dinov2 import Dinov2Encoder

        return Dinov2Encoder(Path(place), input_size, modalities)
    if kind == "onnx" and place:
        from models.encoders.onnx_features import OnnxEncoder

        return OnnxEncoder(Path(place), input_size, modalities)
    raise EncoderError(f"there is no encoder {name!r}: give one of {', '.join(NAMES)}")
