"""A height field photographed under a ring of far lights and a diffuse one: shadows, some bounced light, noise.

Simpler than the Scene, and a hundred times as fast: the camera looks straight down from far away, the lights are far,
and bounced light is an estimate. Each pixel is the mean of FINE x FINE samples, so that edges mix both sides.

    E_k = max(0, n . l_k) v_k                        v_k: whether light k is seen, along a ray over the samples
    B_k = E_k + (1 - s) G(albedo E_k)                s: mean of the sky's 16 directions that are seen; G: 0.8 mm blur
    I_k = albedo B_k + gloss lobe(n, l_k) v_k
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from drivers.simulated.scene.discontinuities import discontinuities, near_steps
from drivers.simulated.scene.head import position
from drivers.simulated.scene.jit import kernel
from drivers.simulated.scene.reliefs.canvas import Relief

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Bools = NDArray[np.bool_]

FINE = 3  # samples per pixel and direction; odd, so that one lies on the pixel's centre
BOUNCE_MM, LOBE_EXPONENT = 0.8, 120.0
SKY = tuple((azimuth, slant) for slant in (30.0, 65.0) for azimuth in np.arange(0.0, 360.0, 45.0))
CLEAR_MM = 0.03  # above the surface, where a ray to a light begins
SATURATION_E, READ_NOISE_E = 14000.0, 4.0
BRIGHT_SHARE = 0.75  # of full scale, that the 99 % quantile of the brightest frame is exposed to


@dataclass(frozen=True)
class ReliefPhotographs:
    """What a camera sees of a relief, and what is true of it; (H, W) pixels, a FINE-th of the samples."""

    frames: tuple[NDArray[np.uint16], ...]  # (H, W) 12 bits, one for each light
    picture: F32  # (3, H, W) linear 0..1, under the diffuse light
    height_mm: F32  # (H, W) true, at pixel centres, toward the camera
    normals: F32  # (3, H, W) true, at pixel centres
    steps: Bools  # (H, W) within 1 mm of a discontinuity
    pixel_mm: float


def photographed(relief: Relief, directions: F64, seed: int, binning: int = 8) -> ReliefPhotographs:
    """Frames under far lights in these directions (K, 3), unit vectors; noise by seed, of a sensor binned so.

    Raises ValueError where the samples make no whole pixels.
    """
    if relief.height_mm.shape[0] % FINE or relief.height_mm.shape[1] % FINE:
        raise ValueError(f"{relief.height_mm.shape} samples make no whole pixels of {FINE} x {FINE}")
    rng = np.random.default_rng([seed, 29])
    sky = _openness(relief)
    grey = relief.albedo.mean(axis=0)
    lit = [_frame(relief, grey, sky, direction) for direction in directions]
    exposure = BRIGHT_SHARE / max(float(np.quantile(np.stack(lit), 0.99)), 1e-6)
    frames = tuple(_exposed(image * exposure, rng, binning) for image in lit)
    depth = np.asarray(-relief.height_mm[FINE // 2 :: FINE, FINE // 2 :: FINE], np.float32)
    normals = np.ascontiguousarray(relief.normals[:, FINE // 2 :: FINE, FINE // 2 :: FINE])
    pixel_mm = relief.sample_mm * FINE
    torn = discontinuities(depth, normals, pixel_mm)
    return ReliefPhotographs(
        frames, _diffuse(relief, sky, rng, binning), -depth, normals, near_steps(torn, pixel_mm), pixel_mm
    )


def _frame(relief: Relief, grey: F32, sky: F64, direction: F64) -> F64:
    """(H, W) of pixels: light that comes back to the camera under one lamp, in units of a white surface."""
    seen = _seen(relief, direction)
    facing = np.maximum(np.einsum("c,cyx->yx", direction, relief.normals.astype(np.float64)), 0.0) * seen
    sigma = BOUNCE_MM / relief.sample_mm
    bounced = (1.0 - sky) * _blurred(grey * facing, sigma)
    half = direction + np.array([0.0, 0.0, 1.0])
    half /= np.linalg.norm(half)
    toward = np.maximum(np.einsum("c,cyx->yx", half, relief.normals.astype(np.float64)), 0.0)
    return _binned(grey * (facing + bounced) + relief.gloss * 4.0 * toward**LOBE_EXPONENT * seen)


def _diffuse(relief: Relief, sky: F64, rng: np.random.Generator, binning: int) -> F32:
    light = sky * (0.5 + 0.5 * relief.normals[2])
    planes = np.stack([_binned(plane * light) for plane in relief.albedo])
    exposure = BRIGHT_SHARE / max(float(np.quantile(planes, 0.99)), 1e-6)
    noisy = [_exposed(plane * exposure, rng, binning).astype(np.float32) / np.float32(4095) for plane in planes]
    return np.stack(noisy)


def _exposed(image: F64, rng: np.random.Generator, binning: int) -> NDArray[np.uint16]:
    """12-bit counts with shot and read noise of a pixel that is the mean of binning x binning ones (EMVA 1288)."""
    electrons = np.clip(image, 0, None) * SATURATION_E
    noisy = electrons + rng.standard_normal(image.shape) * np.sqrt(electrons + READ_NOISE_E**2) / binning
    return np.asarray(np.clip(np.round(noisy / SATURATION_E * 4095), 0, 4095), np.uint16)


def _binned(samples: F64) -> F64:
    height, width = samples.shape
    return np.asarray(samples.reshape(height // FINE, FINE, width // FINE, FINE).mean(axis=(1, 3)), np.float64)


def _blurred(image: F64, sigma: float) -> F64:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101), np.float64)


def _openness(relief: Relief) -> F64:
    """(H, W) share of the sky that each sample sees, weighted by the cosine of its slant; found once per pixel."""
    planes = (relief.height_mm, relief.under_mm, relief.floor_mm)
    height, under, floor = (np.ascontiguousarray(plane[FINE // 2 :: FINE, FINE // 2 :: FINE]) for plane in planes)
    coarse = replace(relief, height_mm=height, under_mm=under, floor_mm=floor, sample_mm=relief.sample_mm * FINE)
    weights = [float(np.cos(np.radians(slant))) for _, slant in SKY]
    total = sum(
        weight * _seen(coarse, np.array(position(azimuth, slant, 1.0)))
        for weight, (azimuth, slant) in zip(weights, SKY, strict=True)
    )
    return np.asarray(total / sum(weights)).repeat(FINE, axis=0).repeat(FINE, axis=1)


def _seen(relief: Relief, direction: F64) -> Bools:
    """(H, W) whether the way from each sample to a far light is free.

    Heights and rays are taken above the plane on which the relief lies. Nothing changes, but a ray soon leaves what
    stands on the plane, where it would climb along a ground that leans for long.
    """
    z = relief.height_mm
    right, down = ((b - a) / (n - 1) for a, b, n in (_ends(z, 1), _ends(z, 0)))
    plane = right * np.arange(z.shape[1])[None, :] + down * np.arange(z.shape[0])[:, None]
    sideways = float(np.hypot(direction[0], direction[1]))
    step = np.array([direction[0], -direction[1]]) / sideways  # columns and rows of one step
    rise = direction[2] / sideways * relief.sample_mm - float(step @ [right, down])
    out = np.zeros(z.shape, np.bool_)
    _follow_rays(z - plane, relief.under_mm - plane, relief.floor_mm - plane, step, rise, CLEAR_MM, out)
    return out


def _ends(z: F64, axis: int) -> tuple[float, float, int]:
    """Mean height of the first and last row or column, and how many there are."""
    first, last = np.take(z, 0, axis).mean(), np.take(z, -1, axis).mean()
    return float(first), float(last), z.shape[axis]


@kernel
def _follow_rays(height: F64, under: F64, floor: F64, step: F64, rise: float, clear_mm: float, out: Bools) -> None:
    """One step is one sample sideways; beyond the border nothing stands. A gap under a bridge lets light through."""
    rows, columns = height.shape
    step_x, step_y = step[0], step[1]
    highest = height.max()
    for r in range(rows):
        for c in range(columns):
            z = height[r, c] + clear_mm
            x, y = float(c), float(r)
            free = True
            while True:
                x += step_x
                y += step_y
                z += rise
                i, j = int(np.floor(y)), int(np.floor(x))
                if z > highest or i < 0 or j < 0 or i >= rows - 1 or j >= columns - 1:
                    break
                fx, fy = x - j, y - i
                upper = height[i, j] * (1.0 - fx) + height[i, j + 1] * fx
                lower = height[i + 1, j] * (1.0 - fx) + height[i + 1, j + 1] * fx
                if z >= upper * (1.0 - fy) + lower * fy:
                    continue
                near_i, near_j = int(np.round(y)), int(np.round(x))
                if floor[near_i, near_j] < z < under[near_i, near_j]:
                    continue
                free = False
                break
            out[r, c] = free
