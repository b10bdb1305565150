"""From views with depth to what the network sees: patches in the model's units, drawn and turned by seed.

Heights enter in pixels (mm over `pixel_mm`), so slope and height agree at any magnification. Files are read when they
are drawn, and the first `CACHE_BYTES` of them stay in memory: a folder of any size trains in the same memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.depth_views import F32, DepthIndex, DepthItem, DepthView, centred
from models.generative.config import DepthConfig

CACHE_BYTES = 400_000_000
TURNS = 8  # the symmetries of a square


@dataclass(frozen=True, slots=True)
class Units:
    """Root mean squares over the training patches, in pixels; the network's heights are divided by them."""

    height_px: float  # of what is predicted
    integrated_px: float


@dataclass(frozen=True, slots=True)
class Batch:
    """B patches; heights are in the model's unit."""

    picture: Tensor  # (B, 3, H, W) square roots, 0..1
    geometry: Tensor  # (B, G, H, W) normals and mask; for the residual form more, by its head
    height: Tensor  # (B, 1, H, W) what shall be predicted, mean 0 over `valid`
    valid: Tensor  # (B, 1, H, W) 0 or 1

    @classmethod
    def of(cls, views: Sequence[DepthView], units: Units, config: DepthConfig) -> Batch:
        """Views of one size, whose sides are multiples of `config.multiple_px`."""
        picture, geometry = zip(*(inputs_of(view, units, config) for view in views), strict=True)
        height = np.stack([target_px(view, config) / np.float32(units.height_px) for view in views])[:, None]
        valid = np.stack([view.valid for view in views])[:, None].astype(np.float32)
        return cls(_tensor(np.stack(picture)), _tensor(np.stack(geometry)), _tensor(height), _tensor(valid))


def inputs_of(view: DepthView, units: Units, config: DepthConfig) -> tuple[F32, F32]:
    """(3, H, W) and (G, H, W): the two modalities as the network takes them."""
    maps = [view.normals[0], view.normals[1], view.normals[2], view.mask.astype(np.float32)]
    if config.head == "slopes":
        maps += [view.reliability, *slope_maps(view)]
    elif config.form == "residual":
        maps += [view.integrated / np.float32(view.pixel_mm * units.integrated_px), view.reliability]
    picture: F32 = np.sqrt(np.clip(view.picture, 0, 1)).astype(np.float32)
    return picture, np.asarray(np.stack(maps), np.float32)


def slope_maps(view: DepthView) -> list[F32]:
    """Four of (H, W): slopes to the next pixel, right and down, then what integration made of them, less them.

    Where surfaces do not join, slopes contradict each other around a step, and integration smears what is left: the
    second pair shows where. Inverse hyperbolic sines, since walls are steep; 0 in the last column or row.
    """
    seen = view.mask
    n_z = np.where(seen, view.normals[2], np.float32(1))
    right, down = -view.normals[0] / n_z * seen, view.normals[1] / n_z * seen
    height = view.integrated / np.float32(view.pixel_mm)
    slopes = [np.zeros(view.shape, np.float32) for _ in range(4)]
    slopes[0][:, :-1] = (right[:, 1:] + right[:, :-1]) / 2
    slopes[1][:-1] = (down[1:] + down[:-1]) / 2
    slopes[2][:, :-1] = np.diff(height, axis=1) - slopes[0][:, :-1]
    slopes[3][:-1] = np.diff(height, axis=0) - slopes[1][:-1]
    return [np.asarray(np.arcsinh(slope), np.float32) for slope in slopes]


def target_px(view: DepthView, config: DepthConfig) -> F32:
    """(H, W) in pixels, mean 0 over `valid`, 0 elsewhere: the true height, or what integration misses of it."""
    true = view.depth - view.integrated if config.form == "residual" else view.depth
    return np.asarray(np.where(view.valid, centred(true, view.valid), 0) / view.pixel_mm, np.float32)


def measure_units(views: Sequence[DepthView], config: DepthConfig) -> Units:
    """Of some training patches."""
    targets = np.concatenate([target_px(view, config)[view.valid] for view in views])
    integrated = np.concatenate([view.integrated[view.mask] / np.float32(view.pixel_mm) for view in views])
    return Units(_rms(targets), _rms(integrated))


def _rms(values: F32) -> float:
    return max(float(np.sqrt(np.mean(values.astype(np.float64) ** 2))) if values.size else 0.0, 1e-3)


def _tensor(array: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, np.float32))


class PatchSource:
    """Patches of some items of a folder, each draw by its own number: what was drawn before does not matter."""

    def __init__(self, index: DepthIndex, items: Sequence[DepthItem], patch_px: int) -> None:
        self._index, self._items, self._side = index, list(items), patch_px
        self._cache: dict[str, DepthView] = {}
        self._cached_bytes = 0

    def draw(self, seed: Sequence[int], count: int, *, turned: bool = True) -> list[DepthView]:
        """`count` patches of `patch_px` from random places of random items, each turned or mirrored at random."""
        random = np.random.default_rng(list(seed))
        return [self._one(random, int(random.integers(len(self._items))), turned) for _ in range(count)]

    def each(self, seed: Sequence[int], count: int) -> list[tuple[str, DepthView]]:
        """Up to `count` patches from different items, not turned, with the name of the part."""
        random = np.random.default_rng(list(seed))
        chosen = random.permutation(len(self._items))[:count]
        return [(self._items[n].part, self._one(random, int(n), turned=False)) for n in chosen.tolist()]

    def _one(self, random: np.random.Generator, n: int, turned: bool) -> DepthView:
        view = padded(self._read(self._items[n]), self._side)
        top, left = (int(random.integers(size - self._side + 1)) for size in view.shape)
        patch = view.cut(top, left, self._side, self._side)
        return turn(patch, int(random.integers(TURNS))) if turned else patch

    def _read(self, item: DepthItem) -> DepthView:
        if item.file in self._cache:
            return self._cache[item.file]
        view = self._index.read(item)
        size = sum(getattr(view, f.name).nbytes for f in fields(view)[:-1])
        if self._cached_bytes + size <= CACHE_BYTES:
            self._cache[item.file] = view
            self._cached_bytes += size
        return view


def padded(view: DepthView, side: int, multiple: int = 1) -> DepthView:
    """The view, at least `side` in both directions and a multiple of `multiple`.

    What is added on the right and below is unobserved.
    """
    add = [max(0, side - size) or -size % multiple for size in view.shape]
    if not any(add):
        return view
    maps = {}
    for f in fields(view)[:-1]:
        values = getattr(view, f.name)
        beyond = [(0, 0)] * (values.ndim - 2) + [(0, n) for n in add]
        repeated = f.name in ("picture", "integrated")
        maps[f.name] = np.pad(values, beyond, mode="edge") if repeated else np.pad(values, beyond)
    return DepthView(**maps, pixel_mm=view.pixel_mm)


def turn(view: DepthView, which: int) -> DepthView:
    """One of the eight symmetries of a square: H x W or W x H then. Normals (x right, y up) turn with the picture.

    The lamps stand in a ring, so a turned view is a view that might have been taken.
    """
    maps = {f.name: getattr(view, f.name) for f in fields(view)[:-1]}
    if which & 1:  # left and right
        maps = {name: values[..., ::-1] for name, values in maps.items()}
        maps["normals"] = maps["normals"] * _signs(-1, 1)
    if which & 2:  # up and down
        maps = {name: values[..., ::-1, :] for name, values in maps.items()}
        maps["normals"] = maps["normals"] * _signs(1, -1)
    if which & 4:  # rows and columns change places: dh/dx and dh/dy (down) do too
        maps = {name: values.swapaxes(-1, -2) for name, values in maps.items()}
        maps["normals"] = maps["normals"][[1, 0, 2]] * _signs(-1, -1)
    return DepthView(**{name: np.ascontiguousarray(values) for name, values in maps.items()}, pixel_mm=view.pixel_mm)


def unturned(height: F32, which: int) -> F32:
    """A map (H, W) of a view that `turn` turned so, in the order of the view before it."""
    if which & 4:
        height = height.swapaxes(-1, -2)
    if which & 2:
        height = height[..., ::-1, :]
    if which & 1:
        height = height[..., ::-1]
    return np.ascontiguousarray(height)


def _signs(x: int, y: int) -> F32:
    return np.array([x, y, 1], np.float32)[:, None, None]
