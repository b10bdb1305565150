"""The proof that a frame belongs to its trigger: its id, the time of its exposure, its exposure time, its size."""

from __future__ import annotations

from typing import Any

from drivers.errors import FrameOutOfOrder
from drivers.genicam.connection import Connection
from drivers.genicam.producers import VENDOR_ERRORS


class FrameProof:
    """What the frames of one acquisition are held against. `shape` is (height, width) as configured.

    `given_up` counts the exposures since the last proven frame whose frame was not accepted: each of them may have
    taken one id, or none where its trigger was lost, so the next frame's id may be later by so many, and no more.
    """

    def __init__(self, connection: Connection, shape: tuple[int, int]) -> None:
        self._connection = connection
        self._shape = shape
        self._last_frame_id: int | None = None  # None: no frame since the stream was started
        self.given_up = 0

    def check(self, buffer: Any, not_before_ns: int | None, exposure_us: float) -> None:
        """Raises FrameOutOfOrder unless the id is the next one, the exposure began at `not_before_ns` or later on
        the camera's clock, and exposure time and size are those that were set."""
        self._check_id(int(buffer.frame_id))
        self._check_time(buffer, not_before_ns)
        self._check_exposure(buffer, exposure_us)
        self._check_shape(buffer)
        self.given_up = 0

    def _check_id(self, frame_id: int) -> None:
        last = self._last_frame_id
        if last is not None and frame_id <= last:
            kind = "a duplicate" if frame_id == last else "a stale one"
            raise self._refused(f"frame {frame_id} follows frame {last}: {kind}, it came before")
        self._last_frame_id = frame_id
        if last is not None and frame_id > last + 1 + self.given_up:
            given_up = f", of which {self.given_up} were given up" if self.given_up else ""
            raise self._refused(
                f"frame {frame_id} follows frame {last}: lost in between: {frame_id - last - 1}{given_up}"
            )

    def _check_time(self, buffer: Any, not_before_ns: int | None) -> None:
        if not_before_ns is not None and int(buffer.timestamp_ns) < not_before_ns:
            late_ms = (not_before_ns - int(buffer.timestamp_ns)) / 1e6
            raise self._refused(f"frame {int(buffer.frame_id)} is stale: exposed {late_ms:.3f} ms before its trigger")

    def _check_exposure(self, buffer: Any, exposure_us: float) -> None:
        """Within 1 us or 1 %: the frame of an earlier setting would differ by more."""
        found_us = chunk(self._connection, buffer, "ChunkExposureTime", exposure_us)
        if abs(found_us - exposure_us) > 1.0 + 0.01 * exposure_us:
            raise self._refused(f"frame {buffer.frame_id} was exposed {found_us:g} us, asked were {exposure_us:g} us")

    def _check_shape(self, buffer: Any) -> None:
        height, width = int(buffer.height), int(buffer.width)
        if (height, width) != self._shape:
            raise self._refused(
                f"frame {buffer.frame_id} is {width} x {height}, configured is {self._shape[1]} x {self._shape[0]}"
            )

    def _refused(self, found: str) -> FrameOutOfOrder:
        return FrameOutOfOrder(self._connection.device, found)


def chunk(connection: Connection, buffer: Any, name: str, fallback: float) -> float:
    """A value that the frame itself carries (GenICam chunk data), else `fallback`."""
    try:
        has_chunks = bool(buffer.is_containing_chunk_data())
    except VENDOR_ERRORS:
        has_chunks = False
    features = connection.features
    return float(features.read(name)) if has_chunks and features.is_readable(name) else fallback
