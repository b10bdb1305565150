"""Where the frames of one view lie from the camera on: those of the directional lights as the solver reads them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.protocols import Pixels
from station.photometric_stereo.memory import Ring, ring_shape
from station.photometric_stereo.recycled import RecycledMemory


class ViewMemory:
    """A plane for each light; it is lent again once no frame and no solver refers to any of them."""

    def __init__(
        self,
        directional: tuple[str, ...],
        others: tuple[str, ...],
        shape: tuple[int, int],
        dtype: np.dtype[Any],
        memory: RecycledMemory,
    ) -> None:
        """Lights by name, the directional ones in the solver's order; `shape` (H, W) and `dtype` of the frames."""
        names = (*directional, *others)
        planes = ring_shape(len(names), shape, dtype)
        lent = memory.lend(int(np.prod(planes)) * dtype.itemsize)
        self._planes: NDArray[Any] = lent.view(dtype).reshape(planes)
        self._planes[:, :, shape[1] :] = 0  # kernels read whole groups of pixels
        self._places = {name: place for place, name in enumerate(names)}
        self._directional = len(directional)
        self._shape = shape

    @property
    def ring(self) -> Ring:
        """(K, H or more, W + SPARE_PX or more): the directional lights' planes."""
        return self._planes[: self._directional]

    def plane(self, name: str) -> Pixels:
        """(H, W), rows apart: where the frame under that light belongs."""
        height, width = self._shape
        return self._planes[self._places[name], :height, :width]

    def holds(self, index: int, pixels: Pixels) -> bool:
        """Whether `pixels` are the plane of directional light `index`, so that nothing has to be copied."""
        if index >= self._directional or pixels.dtype != self._planes.dtype or pixels.shape != self._shape:
            return False
        plane = self._planes[index]
        return bool(pixels.ctypes.data == plane.ctypes.data and pixels.strides == plane.strides)
