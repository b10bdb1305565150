"""DINOv2, with or without register tokens, from a local folder in the layout of the library `transformers`.

The folder holds config.json and model.safetensors; nothing is downloaded. `transformers` is imported when an encoder
is made and at no other time; the exported model does not need it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from models.encoders.display import DisplayPictures
from models.encoders.protocol import Encoder, EncoderError

CLASSES = {"dinov2": "Dinov2Model", "dinov2_with_registers": "Dinov2WithRegistersModel"}
UNSTATED = "not stated in the folder"


class Dinov2Encoder(Encoder):
    """Patch tokens of the layers two thirds up and last, side by side, with position embeddings for one grid."""

    def __init__(self, folder: Path, input_size: tuple[int, int], modalities: int = 2) -> None:
        """`input_size` is (H, W) in pixels; the picture is resized to whole patches inside.

        EncoderError where `transformers` is not installed, or the folder is not of this kind of network.
        """
        super().__init__()
        settings = _settings(folder)
        kind = str(settings["model_type"])
        weights = folder / "model.safetensors"
        if not weights.is_file():
            raise EncoderError(f"{weights} is missing: give the whole folder that `save_pretrained` wrote")
        self.model = _load(folder, kind)
        patch = int(settings.get("patch_size", 14))
        self.grid = (max(1, round(input_size[0] / patch)), max(1, round(input_size[1] / patch)))
        self.pixels = (self.grid[0] * patch, self.grid[1] * patch)
        self.leading = 1 + (int(settings.get("num_register_tokens", 4)) if kind != "dinov2" else 0)
        layers = int(settings["num_hidden_layers"])
        self.layers = tuple(sorted({max(1, round(layers * 2 / 3)), layers}))
        self.id = f"{kind}/{folder.name}/layers-" + "+".join(str(n) for n in self.layers)
        self.license, self.sha256 = _license(folder), _sha256(weights)
        self.stride_px, self.modalities = round(input_size[0] / self.grid[0]), modalities
        self.display = DisplayPictures()
        self._bake()
        self.freeze()

    def _bake(self) -> None:
        """Interpolate the position embeddings once: bicubic interpolation has no place in the exported graph."""
        embeddings = self.model.embeddings
        width = int(self.model.config.hidden_size)
        with torch.no_grad():
            blank = torch.zeros(1, 1 + self.grid[0] * self.grid[1], width)
            baked = embeddings.interpolate_pos_encoding(blank, *self.pixels).detach().clone()
        self.register_buffer("positions", baked, persistent=False)
        embeddings.interpolate_pos_encoding = lambda *_: self.positions

    def forward(self, diffuse_rgb: Tensor, normals: Tensor) -> Tensor:
        """(B, 3, H, W) twice -> (B, modalities, C, h, w), the grid of patches."""
        found = [self._patches(self.display.modality(m, diffuse_rgb, normals)) for m in range(self.modalities)]
        return torch.stack(found, dim=1)

    def _patches(self, picture: Tensor) -> Tensor:
        whole = functional.interpolate(picture, size=self.pixels, mode="bilinear", align_corners=False)
        states = self.model(pixel_values=whole, output_hidden_states=True).hidden_states
        tokens = torch.cat([self.model.layernorm(states[n])[:, self.leading :] for n in self.layers], dim=-1)
        return tokens.transpose(1, 2).reshape(-1, tokens.shape[-1], *self.grid)


def _settings(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        raw = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise EncoderError(f"{path} cannot be read ({error}): give the folder that `save_pretrained` wrote") from error
    kind = raw.get("model_type") if isinstance(raw, dict) else None
    if kind not in CLASSES:
        raise EncoderError(f"{path}: model_type is {kind!r}; this encoder reads {' and '.join(CLASSES)}")
    return dict(raw)


def _load(folder: Path, kind: str) -> Any:
    if importlib.util.find_spec("transformers") is None:
        raise EncoderError(
            "the encoder dinov2 needs the library transformers: run pip install transformers, "
            "or export the network to ONNX elsewhere and give it as onnx:FILE"
        )
    import transformers

    try:
        return getattr(transformers, CLASSES[kind]).from_pretrained(
            folder, local_files_only=True, attn_implementation="eager"
        )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise EncoderError(f"{folder} does not hold a {kind} network ({error})") from error


def _license(folder: Path) -> str:
    """The line `license:` of the folder's model card, if there is one."""
    card = folder / "README.md"
    if not card.is_file():
        return UNSTATED
    lines = card.read_text("utf-8", errors="replace").splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("license:")), UNSTATED)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
