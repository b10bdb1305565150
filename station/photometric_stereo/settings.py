"""The solver settings that a recipe may choose, and the error of photometric stereo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Method = Literal["ls", "masked", "robust"]
ColourWeights = Literal["luma", "equal", "red", "green", "blue"]  # how the colours of photographs make one value
Refinement = Literal["none", "bounced"]  # of a folder of photographs; a recipe has more of them
METHODS: tuple[Method, ...] = ("ls", "masked", "robust")


class PhotometricStereoError(ValueError):
    """Frames, maps or settings do not fit the lights or each other; the text names the light and what was found."""


@dataclass(frozen=True)
class SolverSettings:
    """How the normals are solved. `s` is a pixel's own 70 % quantile over the lights; under `ls` its albedo.

    `ls` is the paper's plain least squares; `masked` leaves out shadowed and saturated lights; `robust` is
    `masked` with a soft start against highlights and Cauchy re-weighting (six lights or more).
    """

    method: Method = "masked"
    shadow_fraction: float = 0.08  # of s: a light under it is in shadow here
    dark_fraction: float = 0.01  # of full scale: where s is under it, nothing can be said
    saturation_fraction: float = 0.99  # of the format's full scale, on raw counts
    maximum_condition: float = 100.0  # tr(A) tr(A^-1) / 9 of the pixel's weighted L^T L: 1 is isotropic
    iterations: int = 3  # of the robust re-weighting
    cauchy_fraction: float = 0.05  # of s: the residual at which a light's weight is one half

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise PhotometricStereoError(f"method {self.method!r} is unknown, choose one of {', '.join(METHODS)}")
        for name in ("shadow_fraction", "dark_fraction", "saturation_fraction", "cauchy_fraction"):
            if not 0 < getattr(self, name) <= 1:
                raise PhotometricStereoError(f"{name} is {getattr(self, name)}, must be above 0 and at most 1")
        if not self.maximum_condition > 1:
            raise PhotometricStereoError(f"maximum_condition is {self.maximum_condition}, must be above 1")
        if not 0 <= self.iterations <= 20:
            raise PhotometricStereoError(f"iterations is {self.iterations}, must be 0 to 20")
