"""The one stage of the slopes head: regression, with the optimiser of the other stages. `train.py` walks it."""

from __future__ import annotations

import copy
from typing import Any

from models.generative.patches import PatchSource, Units
from models.generative.slopes import L_slopes, SlopeModel
from models.generative.stages import adam, descend, draw, follow, set_rate

SLOPES = 3  # kind of draws, beside those of the diffusion's stages


class SlopeStage:
    """Weights by the loss of the integrated heights; the averaged ones are kept."""

    name = "slopes"

    def __init__(self, model: SlopeModel, source: PatchSource, units: Units, steps: int) -> None:
        self._model, self._source, self._units, self._steps = model, source, units, steps
        self._optimiser = adam([model], model.config)
        self._average = copy.deepcopy(model)

    def begin(self) -> None:
        """The average starts where the network does."""
        self._average = copy.deepcopy(self._model)

    def step(self, n: int) -> dict[str, float]:
        """One batch."""
        config = self._model.config
        batch = draw(self._source, self._units, config, SLOPES, n)
        set_rate((self._optimiser,), n, self._steps, config)
        loss = L_slopes(self._model.missing_slopes(batch.picture, batch.geometry), batch, self._units.height_px)
        descend(loss, self._optimiser, config)
        follow(self._average, self._model, n, config)
        return {"slopes": float(loss.detach())}

    def finish(self) -> None:
        """The averaged weights take the place of the last ones."""
        self._model.load_state_dict(self._average.state_dict())

    def content(self) -> dict[str, Any]:
        """Also the average so far."""
        return {
            "model": self._model.state_dict(),
            "average": self._average.state_dict(),
            "optimisers": [self._optimiser.state_dict()],
        }

    def load(self, content: dict[str, Any]) -> None:
        """Take up what `content` gave."""
        self._model.load_state_dict(content["model"])
        self._average.load_state_dict(content["average"])
        self._optimiser.load_state_dict(content["optimisers"][0])
