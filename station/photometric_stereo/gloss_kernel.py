"""The rounds of `gloss` pixel by pixel, compiled: what the array form does, at a tenth of its cost."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

F64 = NDArray[np.float64]


@njit(nogil=True, cache=True, error_model="numpy")
def taken_off(
    values: F64,
    usable: NDArray[np.bool_],
    directions: F64,
    inverse: F64,
    views: F64,
    of_albedo: float,
    roughness: float,
    rounds: int,
    taken: F64,
) -> None:
    """Fill `taken` (n, K) with the highlight; values, usable (n, K), directions (n, K, 3), inverse (n, 3, K)."""
    pixels, count = values.shape
    square = roughness * roughness
    added = np.empty(count)
    for p in range(pixels):
        for k in range(count):
            taken[p, k] = 0.0
        vx, vy, vz = views[p, 0], views[p, 1], views[p, 2]
        for _ in range(rounds):
            gx = gy = gz = 0.0
            for k in range(count):
                rest = values[p, k] - taken[p, k]
                gx += inverse[p, 0, k] * rest
                gy += inverse[p, 1, k] * rest
                gz += inverse[p, 2, k] * rest
            length = math.sqrt(gx * gx + gy * gy + gz * gz)
            if length == 0.0:
                length = 1.0
            nx, ny, nz = gx / length, gy / length, gz / length
            view = max(nx * vx + ny * vy + nz * vz, 1e-3)
            product = norm = 0.0
            for k in range(count):
                lx, ly, lz = directions[p, k, 0], directions[p, k, 1], directions[p, k, 2]
                light = max(nx * lx + ny * ly + nz * lz, 0.0)
                hx, hy, hz = lx + vx, ly + vy, lz + vz
                half = nx * hx + ny * hy + nz * hz
                spread = half * half / (hx * hx + hy * hy + hz * hz) * (square - 1.0) + 1.0
                masking = light * math.sqrt(square + (1.0 - square) * view * view)
                masking += view * math.sqrt(square + (1.0 - square) * light * light)
                added[k] = of_albedo * light * 0.5 * square / (spread * spread * max(masking, 1e-6))
                if usable[p, k]:
                    model = light + added[k]
                    product += model * values[p, k]
                    norm += model * model
            albedo = max(product / max(norm, 1e-12), 0.0)
            for k in range(count):
                taken[p, k] += 0.5 * (albedo * added[k] - taken[p, k])
