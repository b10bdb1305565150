"""A band of rows in float32 packed to 16 bits, to the bits that the kernel writes when it packs by itself.

The kernel rounds once, in a fused multiply-add; a float64 holds the same product in full. To solve the band a second
time, for packed maps, took 25 to 50 times as long (8 and 16 lights).
"""

from __future__ import annotations

import numpy as np

from station.photometric_stereo.compiled.jit import entry
from station.photometric_stereo.normal_map import NormalMap, PackedNormalMap
from station.photometric_stereo.packing import ALBEDO_FULL_SCALE, ORIGIN, RESIDUAL_FULL_SCALE, TOP, UNIT


def pack_band(band: NormalMap, into: PackedNormalMap, first: int) -> None:
    """Write the band into the map's rows from `first` on, with the fixed full scales of `packing`."""
    rows = slice(first, first + band.albedo.shape[0])
    for c in range(3):
        _pack(band.normals[c], into.normals[c, rows], float(UNIT), float(ORIGIN))
    _pack(band.albedo, into.albedo[rows], TOP / ALBEDO_FULL_SCALE, 0.0)
    _pack(band.residual, into.residual[rows], TOP / RESIDUAL_FULL_SCALE, 0.0)
    for name in ("lit_count", "observable", "saturated"):
        getattr(into, name)[rows] = getattr(band, name)


@entry
def _pack(values, out, factor, origin):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """Round(factor value) + origin of (h, W) float32 values, 65535 at most and for what is no number."""
    for y in range(values.shape[0]):
        for x in range(values.shape[1]):
            scaled = np.rint(np.float64(values[y, x]) * factor) + origin
            out[y, x] = np.uint16(np.int32(scaled if scaled < 65535.0 else 65535.0))
