"""Settings of the depth model, plain records that go into the model file; docs/depth-model.md has the reasons.

The paper gives neither sizes nor weights nor the number of noise levels. Where a line departs from the printed
equation, a switch gives the printed one, and `printed()` sets all of them.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

Form = Literal["residual", "literal"]
FORMS: tuple[Form, ...] = ("residual", "literal")
Head = Literal["diffusion", "slopes"]
HEADS: tuple[Head, ...] = ("diffusion", "slopes")
LATENT_STRIDE = 4  # pixels for each cell of the latent
COARSEST_STRIDE = 8  # of the lowest level; a patch's side is a multiple of it


@dataclass(frozen=True, slots=True)
class DepthConfig:
    """Everything that training needs besides the data. `heads` divides both widths, and 8 divides all widths."""

    form: Form = "residual"  # literal: depth from scratch, without the integrated height (the paper's)
    head: Head = "diffusion"  # the paper's; slopes: one regression of what the normals miss (slopes.py), residual alone
    patch_px: int = 64  # side of what the network sees at once in training; the slopes head then takes any size
    levels: int = 400  # T of A1
    predict: Literal["velocity", "noise"] = "velocity"  # A2 is printed for the noise
    latent_channels: int = 4
    widths: tuple[int, int] = (48, 96)  # of the U-Net and the conditioner, at 1/4 and 1/8 of the picture's size
    decoder_width: int = 16  # of the decoder at full size; twice that at 1/4
    heads: int = 3
    prototypes: int = 8  # M of the UCP, at each level
    slope_widths: tuple[int, ...] = (24, 48, 72, 96)  # of the slopes head, at 1/2, 1/4, 1/8 and 1/16 of the size
    guided_decoder: bool = True  # the decoder sees picture and normals at full size; printed: the latent alone
    joined_input: bool = True  # the U-Net's input also gets the finest features, place by place; printed: attention
    gate: Literal["centred", "printed"] = "centred"  # A6
    gate_beta: float = 4.0  # beta_l at the start; it is learned
    adversarial: Literal["hinge", "non_saturating", "printed"] = "hinge"  # A4
    adversarial_weight: float = 0.01
    latent_noise: float = 0.1  # added to latents while the decoder learns, so that it bears the U-Net's errors
    latent_penalty: float = 1e-3  # on the square of latents, so that this noise counts
    steps: int = 2000  # of both stages together
    autoencoder_share: float = 0.3  # of these steps
    adversarial_start: float = 0.5  # share of the first stage after which the discriminator joins
    batch: int = 16
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    warm_up_steps: int = 50
    clip_norm: float = 1.0
    average_decay: float = 0.995  # of the U-Net's averaged weights, which are those that are kept
    sampling_steps: int = 10  # of DDIM, while calibrating; the default afterwards
    samples: int = 4  # likewise
    calibrate_patches: int = 96  # held-out patches at most
    calibrate_px: int = 64  # their side
    seed: int = 0

    @property
    def geometry_channels(self) -> int:
        """Normals and mask; for the residual form also its reliability and the integrated height, or slopes."""
        if self.form == "literal":
            return 4
        return 6 if self.head == "diffusion" else 9

    @property
    def multiple_px(self) -> int:
        """What the sides of a patch or view are multiples of."""
        return COARSEST_STRIDE if self.head == "diffusion" else 2 ** len(self.slope_widths)

    @property
    def autoencoder_steps(self) -> int:
        """Steps of the first stage of the diffusion head; at least one."""
        return max(1, round(self.steps * self.autoencoder_share))

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> DepthConfig:
        """Reads what `to_dict` wrote."""
        listed: dict[str, Any] = {name: tuple(raw[name]) for name in ("widths", "slope_widths") if name in raw}
        return cls(**(raw | listed))

    def to_dict(self) -> dict[str, Any]:
        """Plain values; they stand in the model file under `config`."""
        return dataclasses.asdict(self)


def config_of_head(head: Head) -> DepthConfig:
    """The default of a head."""
    return DepthConfig() if head == "diffusion" else DepthConfig(head="slopes", batch=8, calibrate_px=128)


def printed(form: Form = "literal") -> DepthConfig:
    """The letter of A1 to A6, for comparisons; what the paper leaves open keeps our values."""
    return DepthConfig(
        form=form,
        predict="noise",
        guided_decoder=False,
        joined_input=False,
        gate="printed",
        gate_beta=1.0,
        adversarial="printed",
    )
