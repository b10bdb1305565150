"""What a training run is told: encoder, network, score and optimiser, as plain records that go into the model file."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

Color = Literal["rgb", "mono"]
MODALITIES = ("rgb", "normals")


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """The weight-free filter bank and its whitening; lengths in pixels of the model's grid."""

    sigmas_px: tuple[float, ...] = (1.0, 2.0, 4.0)
    stride_px: int = 6
    components: int = 30
    floor: float = 1e-3  # of the largest eigenvalue: keeps near-constant directions from exploding
    standardise: bool = True  # unit variance per filter before PCA, so that weak relief filters count


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """CPRN: the sound reading by default, each departure from the paper's letter a switch."""

    width: int = 96
    heads: int = 3
    prototypes: int = 16
    stages: int = 3
    ffn_ratio: int = 2
    targets: Literal["both", "rgb"] = "both"
    query: Literal["chain", "skip"] = "chain"
    attention: Literal["relu", "softmax"] = "relu"
    query_residual: bool = False  # an identity path: the loss falls to zero without prototypes
    lp_sign: Literal["corrected", "literal"] = "corrected"
    lp_weight: float = 0.02
    groups: int = 1
    map_from: Literal["groups", "last"] = "groups"
    dropout: float = 0.1
    place_components: int = 16  # of what good parts show at each place of each view; 0 = row and column alone


@dataclass(frozen=True, slots=True)
class ScoreConfig:
    """From token distances to one calibrated map and one number."""

    sigma_px: float = 9.0  # smoothing of the map, after upsampling
    top_fraction: float = 0.0005  # the score is the mean of this share of the highest pixels
    local: bool = True  # distances are first expressed in spreads of good parts at the same token
    local_floor: float = 0.5  # of the view's median spread
    spread_minimum: float = 0.005  # of a distance (0..2): below it rounding would be told apart
    fuse: Literal["max", "sum"] = "max"


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Everything that `train_product` needs besides the data set."""

    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    score: ScoreConfig = field(default_factory=ScoreConfig)
    color: Color = "rgb"
    mono_weights: tuple[float, float, float] = (0.294, 0.55, 0.25)  # grey of the demo sensor without colour filters
    steps: int = 900
    batch_views: int = 8
    tokens_per_view: int = 512
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    warm_up_steps: int = 30
    clip_norm: float = 1.0
    token_noise: float = 0.2
    seed: int = 0
    threads: int = 1  # more only helps on an idle machine: under load they wait for each other
    limit_false_alarm: float = 1e-3  # per view, of the tail fitted to held-out good parts
    limit_minimum_margin: float = 1.1  # over the highest held-out good score

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> TrainConfig:
        """What `to_dict` gave, lists for tuples."""
        encoder = {**raw["encoder"], "sigmas_px": tuple(raw["encoder"]["sigmas_px"])}
        parts = {
            "encoder": EncoderConfig(**encoder),
            "network": NetworkConfig(**raw["network"]),
            "score": ScoreConfig(**raw["score"]),
            "mono_weights": tuple(raw["mono_weights"]),
        }
        return cls(**{**raw, **parts})

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def preset(name: Literal["sound", "paper"]) -> TrainConfig:
    """`sound` is the default. `paper` is the letter of sections 4.1 to 4.4, with eq. 6 by its text.

    `paper` reconstructs RGB features alone, so a defect that leaves the colour picture unchanged
    (a shallow dent) cannot raise its map: keep it for comparisons.
    """
    if name == "sound":
        return TrainConfig()
    network = NetworkConfig(
        targets="rgb", query="skip", attention="softmax", map_from="last", dropout=0.0, place_components=0
    )
    score = ScoreConfig(top_fraction=1.0, local=False, sigma_px=4.0)
    return TrainConfig(network=network, score=score)
