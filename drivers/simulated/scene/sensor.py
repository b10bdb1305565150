"""The sensor after EMVA 1288: from mean electrons to digital numbers, noise included.

Noise comes from counters (frame, pixel), not from a running generator, so that a region of a frame has the very
pixels of the whole frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivers.simulated.scene.jit import kernel

WIDTH_PX, HEIGHT_PX = 5472, 3648
_BITS = {"Mono8": 8, "Mono12": 12, "BayerRG8": 8, "BayerRG12": 12}
PIXEL_FORMATS = tuple(_BITS)
_STEP = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class Sensor:
    """Parameters of one sensor in the words of EMVA 1288; electrons are per unbinned pixel.

    At 0 dB the largest DN stands for `saturation_e`. Binned pixels are the average of binning x binning.
    """

    saturation_e: float = 14000.0
    read_noise_e: float = 4.0
    dark_e_per_s: float = 5.0
    prnu_percent: float = 0.4
    dsnu_e: float = 1.0
    response_rgb: tuple[float, float, float] = (0.85, 1.0, 0.80)  # of the colour filters, to the lights' white
    luminance_rgb: tuple[float, float, float] = (0.25, 0.55, 0.20)  # of a sensor without filters

    def gain_dn_per_e(self, bits: int, gain_db: float) -> float:
        """System gain K of an unbinned pixel."""
        return float(((1 << bits) - 1) / self.saturation_e * 10.0 ** (gain_db / 20.0))

    def responses(self, pixel_format: str) -> NDArray[np.float64]:
        """Colour weights (4, 3) by (row & 1) * 2 + (column & 1)."""
        if not pixel_format.startswith("Bayer"):
            return np.tile(np.asarray(self.luminance_rgb), (4, 1))
        red, green, blue = self.response_rgb
        return np.array([[red, 0, 0], [0, green, 0], [0, green, 0], [0, 0, blue]], np.float64)


def significant_bits(pixel_format: str) -> int:
    """Raises ValueError for a format that the sensor does not deliver."""
    if pixel_format not in _BITS:
        raise ValueError(f"pixel format {pixel_format!r} is unknown; there are {', '.join(PIXEL_FORMATS)}")
    return _BITS[pixel_format]


@kernel
def _mix(value: np.uint64) -> np.uint64:
    """The finaliser of splitmix64."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@kernel
def _normal(counter: np.uint64) -> float:
    """A normal deviate from a counter (Box and Muller 1958)."""
    a = _mix(counter)
    b = _mix(a ^ _STEP)
    u = (float(a >> np.uint64(11)) + 1.0) / 9007199254740992.0
    return math.sqrt(-2.0 * math.log(u)) * math.cos(float(b >> np.uint64(11)) * (2.0 * math.pi / 9007199254740992.0))


@kernel
def _pattern(bits: np.uint64) -> float:
    """Two 16 bit numbers' sum, shifted and scaled to mean 0 and variance 1: enough for a fixed pattern."""
    total = float(bits & np.uint64(0xFFFF)) + float((bits >> np.uint64(16)) & np.uint64(0xFFFF))
    return (total / 65535.0 - 1.0) * math.sqrt(6.0)


@kernel
def expose_rows(
    electrons: NDArray[np.float32], values: NDArray[np.float64], keys: NDArray[np.uint64],
    origin: NDArray[np.int32], out: NDArray[np.uint16], row_0: int, row_1: int,
) -> None:  # fmt: skip
    """Noise and quantisation of some rows.

    values: 0 scale of `electrons`, 1 dark e, 2 binned pixels, 3 saturation e, 4 read noise e, 5 PRNU,
    6 DSNU e, 7 DN/e, 8 black DN, 9 largest DN; keys: 0 of this frame, 1 of the sensor; origin: column
    and row of the first pixel, so that a region sees the pattern of the whole sensor.
    """
    pixels = values[2]
    for row in range(row_0, row_1):
        line = np.uint64(row + origin[1]) << np.uint64(16)
        for column in range(out.shape[1]):
            place = (line | np.uint64(column + origin[0])) * _STEP
            fixed = _mix(place + keys[1])
            mean = electrons[row, column] * values[0] * (1.0 + values[5] * _pattern(fixed)) + values[1]
            # Poisson as a normal of the same mean and variance: good from about 20 e up, read noise hides the rest.
            # Shot and read noise are independent, so their variances add; what overflows the well is cut before.
            mean = min(mean, values[3])
            spread = math.sqrt(max(mean, 0.0) / pixels + values[4] * values[4])
            e = mean + spread * _normal(place + keys[0]) + values[6] * _pattern(fixed >> np.uint64(32))
            dn = math.floor(e * values[7] + values[8] + 0.5)
            out[row, column] = np.uint16(min(max(dn, 0.0), values[9]))


def exposure_values(
    sensor: Sensor, exposure_us: float, gain_db: float, bits: int, binning: int, black_level_dn: float
) -> NDArray[np.float64]:
    """The parameters of `expose_rows` for one frame."""
    return np.array([
        exposure_us, sensor.dark_e_per_s * exposure_us * 1e-6, binning * binning, sensor.saturation_e,
        sensor.read_noise_e / binning, 0.01 * sensor.prnu_percent / binning, sensor.dsnu_e / binning,
        sensor.gain_dn_per_e(bits, gain_db), black_level_dn, (1 << bits) - 1,
    ])  # fmt: skip
