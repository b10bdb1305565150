"""Settings of a training run: encoder, network, score and optimiser, as plain records that go into the model file."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

Color = Literal["rgb", "mono"]
MODALITIES = ("rgb", "normals")
RETIRED = ("limit_false_alarm", "limit_minimum_margin", "limit_spared_share")  # of older files: limits lay per view


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
    """CPRN: the sound reading by default; each departure from the paper's equations is a switch (docs/cprn.md).

    `heads` must divide the numbers per token, which are `width`, or the encoder's components without `embedding`.
    """

    width: int = 96
    heads: int = 3
    prototypes: int = 16  # M; the paper gives no number
    stages: int = 3  # L, as many as encoder levels in the paper; the filter bank has one level
    ffn_ratio: int = 2
    targets: Literal["both", "rgb"] = "both"  # the paper rebuilds rgb
    query: Literal["chain", "skip"] = "chain"  # skip: each stage gets the encoder's tokens (eq. 4)
    attention: Literal["relu", "softmax", "dot_product"] = "relu"  # eq. 4; the first two are cosine attention
    query_residual: bool = False  # an identity path: the loss falls to zero without prototypes
    lp_sign: Literal["corrected", "literal"] = "corrected"  # eq. 6
    lp_weight: float = 0.02  # lambda_p; the paper gives no number
    groups: int = 1  # of stages whose outputs are averaged; eq. 5 has one
    map_from: Literal["groups", "last"] = "groups"  # last: the last stage alone makes the map (section 4.4)
    dropout: float = 0.1
    place_components: int = 16  # of what good parts show at each place of each view; 0 = row and column alone
    prototype_residual: bool = True  # eq. 3 is printed without a residual around its FFN
    added_norms: bool = True  # LayerNorms before attention and FFN that the paper does not print
    embedding: bool = True  # tokens are widened, their place added; off: they enter as the encoder gave them
    placed: bool = True  # row and column are added; off for parts that are not aligned
    # What is rebuilt: Table 4's rows are colour alone, normals alone, both side by side in one token, and both by UCP.
    inputs: Literal["both", "rgb", "normals", "concatenation"] = "both"
    prototype_source: Literal["input", "fixed"] = "input"  # fixed: one learned dictionary, the same for every image
    has_normals: bool = True  # off for a set of pictures alone
    fill_unseen: bool = False  # missing normals are replaced where good parts lack them too (unseen.py)


@dataclass(frozen=True, slots=True)
class ScoreConfig:
    """From token distances to one calibrated map and one number."""

    sigma_px: float = 9.0  # smoothing of the map, on the token grid; 0 = none
    fine_sigma_px: float = 4.5  # of a second map, for what is smaller than a token; 0 = none
    top_tokens: int = 4  # the score is the mean of so many highest tokens of the smoothed map; 0 = of all
    local: bool = True  # distances are first expressed in spreads of good parts at the same token
    local_floor: float = 0.5  # of the view's median spread
    spread_minimum: float = 0.005  # of a distance (0..2); a smaller spread would make rounding count
    fuse: Literal["max", "sum"] = "max"
    place_gauss: bool = True  # a second branch: how far a token lies from good parts' tokens at its place
    learned_parts: bool = True  # parts that were learned from serve calibration and limits too (cross_fit.py)

    @property
    def scales_px(self) -> tuple[float, ...]:
        """The Gaussians by which the map is smoothed, the widest first."""
        return (self.sigma_px, self.fine_sigma_px) if self.fine_sigma_px else (self.sigma_px,)

    def scaled_names(self, targets: tuple[str, ...]) -> tuple[str, ...]:
        """Of the smoothed maps: all targets at the first scale, then all at the second."""
        return (*targets, *(f"{name}_fine" for name in targets)) if self.fine_sigma_px else targets


@dataclass(frozen=True, slots=True)
class NeighbourConfig:
    """Settings of the branch; they go into the model file."""

    encoder: str = "efficientnet-lite0"
    bank: int = 3000  # tokens kept for each view and modality
    pool: int = 40000  # tokens drawn at random, of which the bank is chosen
    place_weight: float = 1.0  # in spreads of one feature for each token of distance; 0 for parts that are not aligned
    seed: int = 0


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Everything that `train_product` needs besides the data set."""

    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    score: ScoreConfig = field(default_factory=ScoreConfig)
    neighbours: NeighbourConfig | None = None  # a third branch, on an encoder of its own
    color: Color = "rgb"
    mono_weights: tuple[float, float, float] = (0.294, 0.55, 0.25)  # grey of the demo sensor without colour filters
    steps: int = 900
    batch_views: int = 8
    tokens_per_view: int = 512  # drawn at random for each step; 0 = all of them
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    warm_up_steps: int = 30
    clip_norm: float = 1.0
    token_noise: float = 0.2  # standard deviation added to whitened tokens; the target stays clean
    seed: int = 0
    threads: int = 1  # more only helps on an idle machine: under load they wait for each other
    overkill: float = 0.01  # of whole good parts; see models.part_limits
    confidence: float = 0.95  # of the overkill that the held-out parts promise

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> TrainConfig:
        """Reads what `to_dict` wrote and JSON kept, lists for tuples; switches that came later take their defaults."""
        encoder = {**raw["encoder"], "sigmas_px": tuple(raw["encoder"]["sigmas_px"])}
        score = {k: v for k, v in raw["score"].items() if k != "top_fraction"}  # of models before format 2
        parts = {
            "encoder": EncoderConfig(**encoder),
            "network": NetworkConfig(**raw["network"]),
            "score": ScoreConfig(**{**LACKING, **score}),
            "neighbours": NeighbourConfig(**raw["neighbours"]) if raw.get("neighbours") else None,
            "mono_weights": tuple(raw["mono_weights"]),
        }
        return cls(**{**{name: value for name, value in raw.items() if name not in RETIRED}, **parts})

    def to_dict(self) -> dict[str, Any]:
        """Nested dictionaries of plain values; they stand in the model's metadata under `config`."""
        return dataclasses.asdict(self)


# what a file from before these settings is
LACKING: dict[str, Any] = {"place_gauss": False, "fine_sigma_px": 0.0, "learned_parts": False}
PRESETS = (
    "sound", "filled", "paper", "rgb_only", "normals_only", "concatenation", "without_lp", "ucp", "fixed_prototypes",
)  # fmt: skip
Preset = Literal[
    "sound", "filled", "paper", "rgb_only", "normals_only", "concatenation", "without_lp", "ucp", "fixed_prototypes"
]


def preset(name: Preset) -> TrainConfig:
    """`sound` is the default, which the demo models use; with `filled`, missing normals of pockets are replaced too.

    `paper` is the letter of equations 1 to 6, for comparisons.

    As printed, `paper` rebuilds colour tokens alone: a defect that leaves the colour picture unchanged (a shallow dent)
    cannot raise its map. Its L_p has the printed sign, which ends with one prototype in use; `lp_sign="corrected"` is
    the text's reading. It cannot follow the paper in three things: the tokens are those of the whitened filter bank
    instead of two frozen ViTs, they have one level, which every stage gets, and the score is the mean of the map,
    scaled by good parts, where the paper computes it from L_r.

    The others are the rows of the paper's Table 4 and one ablation, all without the second branch, so that they compare
    with each other: `rgb_only`, `normals_only`, `concatenation`, `without_lp` (UCP), `ucp` (UCP + L_p), and
    `fixed_prototypes`. ValueError for another name.
    """
    if name == "paper":
        return _letter()
    sound = TrainConfig()
    if name == "sound":
        return sound
    if name == "filled":
        return dataclasses.replace(sound, network=dataclasses.replace(sound.network, fill_unseen=True))
    networks: dict[str, dict[str, Any]] = {
        "rgb_only": {"inputs": "rgb"},
        "normals_only": {"inputs": "normals"},
        "concatenation": {"inputs": "concatenation"},
        "without_lp": {"lp_weight": 0.0},
        "ucp": {},
        "fixed_prototypes": {"prototype_source": "fixed"},
    }
    if name not in networks:
        raise ValueError(f"preset {name!r} is unknown; there are {', '.join(PRESETS)}")
    network = dataclasses.replace(sound.network, **networks[name])
    return dataclasses.replace(sound, network=network, score=dataclasses.replace(sound.score, place_gauss=False))


def _letter() -> TrainConfig:
    network = NetworkConfig(
        heads=1,
        targets="rgb",
        query="skip",
        attention="dot_product",
        lp_sign="literal",
        map_from="last",
        dropout=0.0,
        place_components=0,
        prototype_residual=False,
        added_norms=False,
        embedding=False,
    )
    score = ScoreConfig(
        sigma_px=0.0, fine_sigma_px=0.0, top_tokens=0, local=False, place_gauss=False, learned_parts=False
    )
    return TrainConfig(network=network, score=score, tokens_per_view=0, token_noise=0.0)
