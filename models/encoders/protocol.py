"""What an encoder is: frozen features of a picture and of its normals, with a name, a licence and a hash."""

from __future__ import annotations

from torch import Tensor, nn


class EncoderError(Exception):
    """An encoder cannot be had here; the text names what is missing or wrong and what to do."""


class Encoder(nn.Module):
    """Frozen features, before whitening. `forward` maps to (B, modalities, C, h, w), colour first.

    A subclass sets the five fields; its parameters need no gradient and its mode stays `eval`.
    """

    id: str  # goes into the model file
    license: str  # of the weights, an SPDX name or a sentence
    sha256: str | None  # of the weights file; None where there are no weights
    stride_px: int  # between tokens, in pixels of the model's grid, rounded
    modalities: int  # 2: colour and normals; 1: colour alone

    def forward(self, diffuse_rgb: Tensor, normals: Tensor) -> Tensor:
        """(B, 3, H, W) linear 0..1 and unit normals (B, 3, H, W) -> (B, modalities, C, h, w) float32."""
        raise NotImplementedError

    def freeze(self) -> None:
        """No parameter learns, and batch statistics stay as they are."""
        self.requires_grad_(False)
        super().train(False)

    def train(self, mode: bool = True) -> Encoder:  # noqa: ARG002
        """A frozen network has one mode: `eval`, whatever its owner is told."""
        super().train(False)
        return self

    def metadata(self) -> dict[str, str | None]:
        """What the field `encoder` of a model file's metadata says of it."""
        return {"id": self.id, "license": self.license, "sha256": self.sha256}
