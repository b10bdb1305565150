"""The one stage of the slopes head: regression, with the optimiser of the other stages. `train.py` walks it."""

from __future__ import annotations

from models.generative.patches import PatchSource, Units
from models.generative.slopes import L_slopes, SlopeModel
from models.generative.stages import AveragedStage, descend, draw, set_rate

SLOPES = 3  # kind of draws, beside those of the diffusion's stages


class SlopeStage(AveragedStage):
    """Weights by the loss of the integrated heights; the averaged ones are kept."""

    name = "slopes"

    def __init__(self, model: SlopeModel, source: PatchSource, units: Units, steps: int) -> None:
        super().__init__(model, [model], model.config)
        self._network, self._source, self._units, self._steps = model, source, units, steps

    def step(self, n: int) -> dict[str, float]:
        """One batch."""
        config = self._network.config
        batch = draw(self._source, self._units, config, SLOPES, n)
        set_rate((self._optimiser,), n, self._steps, config)
        loss = L_slopes(self._network.missing_slopes(batch.picture, batch.geometry), batch, self._units.height_px)
        descend(loss, self._optimiser, config)
        self._follow(n, config)
        return {"slopes": float(loss.detach())}
