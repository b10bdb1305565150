"""One exposure of a configured camera: registers, drain, latch the device clock, trigger, wait, prove, copy.

`expose` does it in one call. `trigger`, `wait_exposed` and `collect` are its parts, so that a caller may arm the
next light while the frame is still read out.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from drivers.errors import CommandRefused, DeviceError, DeviceTimeout
from drivers.genicam.configuration import Configured, write_exposure, write_gain
from drivers.genicam.connection import Connection
from drivers.genicam.pixels import BY_CODE, decode
from drivers.genicam.producers import VENDOR_ERRORS
from drivers.genicam.proof import FrameProof, chunk
from drivers.genicam.stream import POLL_S, Stream
from drivers.protocols import Frame, Landing


@dataclass(frozen=True, slots=True)
class _Register:
    """A value as it was asked, and as the camera took it."""

    asked: float
    actual: float


@dataclass(frozen=True, slots=True)
class _Exposure:
    """What is known of an exposure before its trigger, to prove its frame by."""

    time_us: _Register
    gain_db: float
    not_before_ns: int | None  # the device clock before the trigger; None for a camera without a latch
    ends_before: int = 0  # the counter of ended exposures before the trigger


class Acquisition:
    """Exposes with the camera as `configured` describes it, on a stream that runs from the start.

    Each `configure` makes a new one, after it has stopped the stream. After any DeviceError here the next exposure
    may still succeed: frames that were given up are drained, and their ids allowed for.
    """

    def __init__(
        self, connection: Connection, configured: Configured, frame_timeout_s: float, closing: threading.Event
    ) -> None:
        self.landing: Landing | None = None  # where frames are unpacked to; see `LandsFrames`
        self._connection = connection
        self._configured = configured
        self._frame_timeout_s = frame_timeout_s
        self._closing = closing
        self._stream = Stream(connection, frame_timeout_s, closing)
        self._can_latch = connection.can_latch
        self._proof = FrameProof(connection, configured.shape)
        self._time_us: _Register | None = None  # None: not written since `configure`
        self._gain_db: _Register | None = None
        self._pending: _Exposure | None = None  # triggered, its frame still to come

    def expose(self, exposure_us: float, gain_db: float) -> Frame:
        """See `Camera.expose`. Raises FeatureMissing for an exposure time or gain out of range."""
        exposure = self._prepare(exposure_us, gain_db)
        with self._given_up_if_it_fails():
            self._connection.features.execute("TriggerSoftware")
            return self._frame_of(exposure)

    def trigger(self, exposure_us: float, gain_db: float) -> None:
        """See `StrobeCamera.trigger`."""
        features = self._connection.features
        exposure = self._prepare(exposure_us, gain_db)
        if self._configured.counts_exposure_ends:
            exposure = replace(exposure, ends_before=int(features.read("CounterValue")))
        with self._given_up_if_it_fails():
            features.execute("TriggerSoftware")
        self._pending = exposure

    def wait_exposed(self) -> bool:
        """See `StrobeCamera.wait_exposed`: by the counter of ended exposures, or by a frame that is there already."""
        device, pending = self._connection.device, self._pending
        if pending is None:
            raise CommandRefused(device, "exposes nothing: call trigger first")
        if not self._configured.counts_exposure_ends:
            return False
        deadline_s = time.monotonic() + pending.time_us.asked / 1e6 + self._frame_timeout_s
        while True:
            is_late = self._closing.is_set() or time.monotonic() >= deadline_s  # before the look that decides
            if int(self._connection.features.read("CounterValue")) != pending.ends_before or self._stream.has_frame:
                return True
            if is_late:
                raise DeviceTimeout(
                    device,
                    f"the exposure of {pending.time_us.asked:g} us did not end within {self._frame_timeout_s:g} s "
                    "after it was due",
                )
            time.sleep(POLL_S)

    def collect(self) -> Frame:
        """See `StrobeCamera.collect`."""
        pending, self._pending = self._pending, None
        if pending is None:
            raise CommandRefused(self._connection.device, "waits for no frame: call trigger before each collect")
        with self._given_up_if_it_fails():
            return self._frame_of(pending)

    @contextmanager
    def _given_up_if_it_fails(self) -> Iterator[None]:
        """An exposure that was triggered, and whose frame is not accepted, may have taken an id all the same."""
        try:
            yield
        except DeviceError:
            self._proof.given_up += 1
            raise

    def _prepare(self, exposure_us: float, gain_db: float) -> _Exposure:
        """Registers are written only when the wish has changed; old frames are thrown away; the clock is latched."""
        if self._pending is not None:  # abandoned: its frame may still come, and is then counted, not wanted
            self._pending = None
            self._proof.given_up += 1
        features = self._connection.features
        if self._time_us is None or self._time_us.asked != exposure_us:
            self._time_us = _Register(exposure_us, write_exposure(features, exposure_us))
        if self._gain_db is None or self._gain_db.asked != gain_db:
            self._gain_db = _Register(gain_db, write_gain(features, gain_db))
        self._stream.drain()
        not_before_ns = self._connection.latch_ns() if self._can_latch else None
        return _Exposure(self._time_us, self._gain_db.actual, not_before_ns)

    def _frame_of(self, exposure: _Exposure) -> Frame:
        with self._stream.fetched(exposure.time_us.asked) as buffer:
            self._proof.check(buffer, exposure.not_before_ns, exposure.time_us.actual)
            return self._copy(buffer, exposure)

    def _copy(self, buffer: Any, exposure: _Exposure) -> Frame:
        code = int(buffer.pixel_format)
        padding, offset = _optional_int(buffer, "padding_x"), _optional_int(buffer, "image_offset")
        pixels = decode(
            buffer.raw_buffer, code, self._configured.shape, padding, offset, self._connection.device, self.landing
        )
        return Frame(
            pixels=pixels,
            pixel_format=BY_CODE[code].name,
            significant_bits=BY_CODE[code].significant_bits,
            black_level_dn=self._configured.black_level_dn,
            exposure_us=chunk(self._connection, buffer, "ChunkExposureTime", exposure.time_us.actual),
            gain_db=chunk(self._connection, buffer, "ChunkGain", exposure.gain_db),
            timestamp_ns=_optional_int(buffer, "timestamp_ns"),
            frame_id=int(buffer.frame_id),
        )


def _optional_int(buffer: Any, name: str) -> int:
    """0 where the producer does not give this information."""
    try:
        return int(getattr(buffer, name))
    except VENDOR_ERRORS:
        return 0
