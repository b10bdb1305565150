"""The raw counts of one view under all lights, kept once, with what the frames said of themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.protocols import Frame
from station.photometric_stereo.memory import Ring, empty_ring
from station.photometric_stereo.normal_map import MOST_COUNTED
from station.photometric_stereo.radiometry import SATURATED, grey_values, saturation_limit_dn
from station.photometric_stereo.settings import PhotometricStereoError
from station.photometric_stereo.view_memory import ViewMemory


class FrameRing:
    """Takes one frame per light, whole or in blocks of rows, and copies its counts; the frame itself is not kept.

    Frames that came in a view's own memory are read where they lie. Other memory is allocated at the first frame and
    again only when the counts' type changes.
    """

    def __init__(
        self,
        names: tuple[str, ...],
        shape: tuple[int, int],
        *,
        keeps_values: bool = False,
        saturation_fraction: float = 1.0,
    ) -> None:
        """`keeps_values`: pixels with a colour at full scale keep their value (see `clipped`), for `ls`.

        From `saturation_fraction` of full scale on, the kernels leave a sample out of their counts by themselves.
        """
        self._saturation_fraction = saturation_fraction
        self._names = names
        self._keeps_values = keeps_values
        self._clipped: NDArray[np.uint8] | None = None
        self._any_clipped = False
        self._shape = shape
        self._counts: Ring | None = None  # of this view
        self._own: Ring | None = None
        self._memory: ViewMemory | None = None
        self._frames: dict[int, Frame] = {}  # without their pixels
        self._landed = [0] * len(names)  # rows

    def clear(self, memory: ViewMemory | None = None) -> None:
        """Forget the view. The frames of the next one are expected in `memory`; what comes elsewhere is copied."""
        self._memory, self._counts = memory, None
        if memory is not None:
            self._own = None
        self._frames.clear()
        self._landed = [0] * len(self._names)
        if self._any_clipped and self._clipped is not None:
            self._clipped[:] = 0
        self._any_clipped = False

    @property
    def clipped(self) -> NDArray[np.uint8] | None:
        """(H, W) under how many lights, 255 at most, a colour was at full scale and the value is not. None: nowhere.

        The kernels have counted such a light as lit.
        """
        return self._clipped if self._any_clipped else None

    @property
    def counts(self) -> Ring:
        """(K, H, W), rows and planes padded as `memory.empty_ring` says. A frame must have come before."""
        assert self._counts is not None
        return self._counts

    @property
    def frames(self) -> list[Frame]:
        """Those of all lights, in the lights' order, without their pixels. Every light must have a frame."""
        return [self._frames[k] for k in range(len(self._names))]

    @property
    def landed_rows(self) -> int:
        """How many rows, from the top, have come under every light."""
        return min(self._landed)

    def lights_without(self, rows: int) -> list[str]:
        """Names of the lights under which fewer than `rows` rows have come."""
        return [name for name, landed in zip(self._names, self._landed, strict=True) if landed < rows]

    def add(self, index: int, frame: Frame, clipped: NDArray[np.bool_] | None = None) -> None:
        """Copy the whole frame under light `index`. Raises PhotometricStereoError.

        `clipped` (H, W) marks pixels of a grey frame whose colours were at full scale before they were folded.
        """
        if frame.pixels.shape[:2] != self._shape and 0 <= index < len(self._names):
            raise PhotometricStereoError(
                f"light {self._names[index]!r}: frame of {frame.pixels.shape[:2]}, expected {self._shape}"
            )
        self.add_rows(index, frame, 0, clipped)

    def add_rows(self, index: int, block: Frame, top: int, clipped: NDArray[np.bool_] | None = None) -> None:
        """Copy rows from `top` on, at full width. Raises PhotometricStereoError."""
        if not 0 <= index < len(self._names):
            raise PhotometricStereoError(f"light {index} is unknown, there are {len(self._names)} lights")
        grey = block
        if block.pixels.ndim == 3:
            grey, clipped = grey_values(block)
        self._check(index, grey, top)
        height, width = grey.pixels.shape
        if clipped is None and self._memory is not None and self._memory.holds(index, grey.pixels):
            self._counts = self._memory.ring
        else:
            rows = self._own_counts(grey.pixels.dtype)[index, top : top + height, :width]
            rows[:] = grey.pixels
        if clipped is not None:
            self._mark(rows, clipped, top, saturation_limit_dn(grey, self._saturation_fraction))
        self._frames.setdefault(index, replace(grey, pixels=np.empty((0, 0), grey.pixels.dtype)))
        self._landed[index] = top + height

    def _own_counts(self, dtype: np.dtype[Any]) -> Ring:
        """The ring's own memory, with what has landed of this view."""
        before, self._memory = self._counts, None
        if self._own is None or self._own.dtype != dtype:
            self._own = empty_ring(len(self._names), self._shape, dtype)
        if before is not None and before is not self._own:
            height, width = self._shape
            for index in self._frames:
                self._own[index, :height, :width] = before[index, :height, :width]
        self._counts = self._own
        return self._own

    def _mark(self, rows: NDArray[Any], clipped: NDArray[np.bool_], top: int, limit_dn: int) -> None:
        """Full scale where a colour was at it; or, where values are kept, one more light that counts and must not."""
        if not self._keeps_values:
            np.minimum(rows, SATURATED - 1, out=rows)
            rows[clipped] = SATURATED
        elif (clipped := clipped & (rows < limit_dn)).any():
            if self._clipped is None:
                self._clipped = np.zeros(self._shape, np.uint8)
            number = self._clipped[top : top + len(rows)]
            number += clipped & (number < MOST_COUNTED)
            self._any_clipped = True

    def _check(self, index: int, grey: Frame, top: int) -> None:
        """Raises PhotometricStereoError unless the rows follow on and fit the view's other frames."""
        name, landed = self._names[index], self._landed[index]
        height, width = grey.pixels.shape
        if landed == self._shape[0]:
            raise PhotometricStereoError(f"light {name!r} already has its frame in this view")
        if top != landed or width != self._shape[1] or not 0 < height <= self._shape[0] - top:
            raise PhotometricStereoError(
                f"light {name!r}: rows {top}..{top + height} of {width} pixels, expected rows from {landed} on of a "
                f"frame of {self._shape}"
            )
        first = next(iter(self._frames.values()), grey)
        if (grey.pixel_format, grey.significant_bits) != (first.pixel_format, first.significant_bits):
            raise PhotometricStereoError(
                f"light {name!r}: frame of {grey.pixel_format} with {grey.significant_bits} bits among frames of "
                f"{first.pixel_format} with {first.significant_bits} bits"
            )
