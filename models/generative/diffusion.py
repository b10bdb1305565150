"""Equations A1 and A2: noise is added to a latent level by level, and a network learns to take it away.

Names are the paper's: x_0 the true latent, x_t the latent at level t of T, epsilon the noise. Schedules and steps are
those of diffusers: DDPM (Ho et al. 2020) with the cosine schedule (Nichol and Dhariwal 2021), and DDIM (Song et al.
2021), which walks the same levels in few strides and adds no noise on its way.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from diffusers.schedulers import DDIMScheduler, DDPMScheduler
from torch import Tensor
from torch.nn import functional

Denoise = Callable[[Tensor, Tensor], Tensor]  # x_t, t (B,) -> what the network predicts


class Diffusion:
    """The schedule of T levels, and what the network predicts at each of them.

    `noise` is the printed epsilon_theta. `velocity` is sqrt(a) epsilon - sqrt(1 - a) x_0 with a = alpha_bar_t (Salimans
    and Ho 2022): A2 under other weights of the levels. It has a meaning at pure noise too, so the last level holds no
    trace of x_0 and ten strides suffice; as epsilon, an error there is divided by sqrt(alpha_bar_T).
    """

    def __init__(self, levels: int, predict: str) -> None:
        self.levels, self.predict = levels, predict
        common = {
            "num_train_timesteps": levels,
            "beta_schedule": "squaredcos_cap_v2",
            "prediction_type": "v_prediction" if predict == "velocity" else "epsilon",
            "clip_sample": False,
            "timestep_spacing": "trailing",
            "rescale_betas_zero_snr": predict == "velocity",
        }
        self._ddpm, self._ddim = DDPMScheduler(**common), DDIMScheduler(**common)

    @property
    def alpha_bar(self) -> Tensor:
        """(T,) the share of the true latent's variance that is left at each level."""
        left: Tensor = self._ddpm.alphas_cumprod
        return left

    def noised(self, x_0: Tensor, epsilon: Tensor, t: Tensor) -> Tensor:
        """The forward process of A1: x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) epsilon; t (B,) in 0..T-1."""
        x_t: Tensor = self._ddpm.add_noise(x_0, epsilon, t)
        return x_t

    def target(self, x_0: Tensor, epsilon: Tensor, t: Tensor) -> Tensor:
        """What the network shall predict from x_t."""
        if self.predict == "noise":
            return epsilon
        velocity: Tensor = self._ddpm.get_velocity(x_0, epsilon, t)
        return velocity

    def reverse_step(self, predicted: Tensor, t: int, x_t: Tensor, generator: torch.Generator) -> Tensor:
        """(A1): x_(t-1) drawn from N(mu_theta(x_t, t, I, P), sigma_t^2 I); the network's word is in `predicted`."""
        x_before: Tensor = self._ddpm.step(predicted, t, x_t, generator=generator).prev_sample
        return x_before

    def sample(self, denoise: Denoise, x_T: Tensor, steps: int) -> Tensor:
        """From pure noise to x_0 by DDIM in `steps` strides; the same x_T gives the same x_0."""
        if not 1 <= steps <= self.levels:
            raise ValueError(f"{steps} sampling steps: from 1 to the model's {self.levels} levels are possible")
        self._ddim.set_timesteps(steps)
        x = x_T
        for t in self._ddim.timesteps.tolist():
            predicted = denoise(x, torch.full((len(x),), t, dtype=torch.long))
            x = self._ddim.step(predicted, t, x).prev_sample
        return x


def L_diffusion(target: Tensor, predicted: Tensor) -> Tensor:
    """Equation A2: the mean squared difference, over images and latent cells."""
    return functional.mse_loss(predicted, target)
