"""GenicamCamera: the Camera protocol over harvesters, for any GenTL producer.

One exposure is: exposure time and gain, drain, latch the device clock, software trigger, wait without
holding the GIL, fetch raw, prove that the frame belongs to this trigger, copy, give the buffer back.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from drivers.errors import (
    CommandRefused,
    DeviceError,
    DeviceLost,
    DeviceTimeout,
    FeatureMissing,
    FrameIncomplete,
    FrameOutOfOrder,
)
from drivers.genicam.features import Features
from drivers.genicam.pixels import BY_CODE, decode, format_named
from drivers.genicam.producers import VENDOR_ERRORS, Producer, first_line, is_gone, load_producer
from drivers.protocols import CameraSettings, DeviceIdentity, Frame

log = logging.getLogger(__name__)

POLL_S = 0.0005
LOSS_CHECK_S = 0.05
BUFFERS = 4
BLACK_LEVEL_SHARE = 1 / 64  # of full scale: keeps the noise of darkness off zero

NEEDED = (
    ("PixelFormat",),
    ("Width",),
    ("Height",),
    ("TriggerMode",),
    ("TriggerSource",),
    ("TriggerSoftware",),
    ("ExposureTime", "ExposureTimeAbs"),
    ("Gain",),
)
LINEAR = (
    ("ExposureMode", "Timed"),
    ("ExposureAuto", "Off"),
    ("GainAuto", "Off"),
    ("BlackLevelAuto", "Off"),
    ("BalanceWhiteAuto", "Off"),
    ("GammaEnable", False),
    ("Gamma", 1.0),
    ("LUTEnable", False),
    ("ColorTransformationEnable", False),
    ("AcquisitionFrameRateEnable", False),
    ("ReverseX", False),
    ("ReverseY", False),
)
EXPOSURE = ("ExposureTime", "ExposureTimeAbs")
CHUNKS = ("Timestamp", "FrameID", "ExposureTime", "Gain")


@dataclass(slots=True)
class _Session:
    """What lives from opening to loss: the acquirer, its features, and what was last written."""

    acquirer: Any
    features: Features
    can_count: bool = False  # the producer tells how many buffers wait; else the driver falls back to try_fetch
    can_latch: bool = False
    is_started: bool = False
    exposure_us: tuple[float, float] | None = None  # asked, actual
    gain_db: tuple[float, float] | None = None
    black_level_dn: float = 0.0
    shape: tuple[int, int] = (0, 0)  # (height, width) configured
    last_frame_id: int | None = None  # None: no frame since the start
    may_skip: bool = False  # after a failed exposure: how many frames the camera counted meanwhile is not known


class GenicamCamera:
    """A GenICam camera that exposes one frame per software trigger. Make one with `GenicamCamera.open`."""

    def __init__(
        self,
        producer: Producer,
        serial_number: str | None,
        environment: Mapping[str, str] | None = None,
        frame_timeout_s: float = 5.0,
    ) -> None:
        self._producer = producer
        self._serial_number = serial_number
        self._environment = dict(environment or {})
        self._frame_timeout_s = frame_timeout_s
        self._device = f"camera {serial_number or producer.path.name}"
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._settings: CameraSettings | None = None
        self._session: _Session | None = self._connect()
        self._identity = self._read_identity(self._session)

    @classmethod
    def open(
        cls,
        producer: str | Path = "simcam",
        serial_number: str | None = None,
        environment: Mapping[str, str] | None = None,
        frame_timeout_s: float = 5.0,
    ) -> GenicamCamera:
        """Open a camera: `producer` is "simcam", "viky" or the path of a `.cti` file.

        `environment` is set in this process before the producer looks for devices. Raises
        DeviceNotFound: no such producer, no such serial number, or it does not answer.
        """
        return cls(load_producer(producer), serial_number, environment, frame_timeout_s)

    @property
    def identity(self) -> DeviceIdentity:
        return self._identity

    @property
    def frame_timeout_s(self) -> float:
        return self._frame_timeout_s

    @property
    def is_lost(self) -> bool:
        """True once the device has gone; `reconnect` brings it back when it is there again."""
        session = self._session
        return session is None or is_gone(session.acquirer)

    def missing_features(self) -> tuple[str, ...]:
        """What this camera lacks of what the station needs; empty for one that it can use."""
        with self._lock:
            return self._alive().features.missing(NEEDED)

    def configure(self, settings: CameraSettings) -> CameraSettings:
        """Stop, load the default user set, apply, read back, start. See the Camera protocol."""
        with self._lock:
            session = self._alive()
            lacking = session.features.missing(NEEDED)
            if lacking:
                raise FeatureMissing(self._device, f"this camera has no {', no '.join(lacking)}")
            self._settings = None
            self._stop(session)
            actual = _apply(session, settings, self._device)
            session.shape = (actual.height or 0, actual.width or 0)
            self._start(session)
            self._settings = settings
            return actual

    def time_ns(self) -> int:
        with self._lock:
            return self._latch(self._alive())

    def expose(self, exposure_us: float, gain_db: float = 0.0) -> Frame:
        with self._lock:
            session = self._alive()
            if self._settings is None or not session.is_started:
                raise CommandRefused(self._device, "asked to expose before it was configured: call configure first")
            try:
                return self._expose(session, exposure_us, gain_db)
            except DeviceError:
                session.may_skip = True
                raise

    def reconnect(self) -> None:
        """After DeviceLost: open the same serial number again and apply the last settings.

        Raises DeviceNotFound while it is not back.
        """
        with self._lock:
            self._disconnect()
            self._closing.clear()
            self._session = self._connect()
            self._identity = self._read_identity(self._session)
            settings = self._settings
            try:
                if settings is not None:
                    self.configure(settings)
            except DeviceError:
                self._settings = settings  # still what is wanted, at the next attempt
                raise

    def close(self) -> None:
        """Ends a waiting `expose` in another thread, then lets the device go."""
        self._closing.set()
        with self._lock:
            self._disconnect()

    def __enter__(self) -> GenicamCamera:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- opening and closing ----------------------------------------------------------------

    def _connect(self) -> _Session:
        acquirer = self._producer.acquire(self._serial_number, self._environment)
        features = Features(acquirer.remote_device.node_map, self._device, lambda: is_gone(acquirer))
        return _Session(acquirer, features)

    def _disconnect(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            self._producer.release(session.acquirer)

    def _alive(self) -> _Session:
        if self._session is None:
            raise DeviceLost(self._device, "it has been closed")
        if is_gone(self._session.acquirer):
            raise DeviceLost(self._device, "it no longer answers: unplugged, without power, or its rig has ended")
        return self._session

    def _read_identity(self, session: _Session) -> DeviceIdentity:
        info = session.acquirer.device

        def text(feature: str, fallback: str) -> str:
            if session.features.is_readable(feature):
                return str(session.features.read(feature))
            try:
                return str(getattr(info, fallback))
            except VENDOR_ERRORS as error:
                log.debug("%s: no %s: %s", self._device, fallback, first_line(error))
                return ""

        return DeviceIdentity(
            vendor=text("DeviceVendorName", "vendor"),
            model=text("DeviceModelName", "model"),
            serial_number=text("DeviceSerialNumber", "serial_number"),
            firmware=text("DeviceFirmwareVersion", "version"),
        )

    # -- streaming --------------------------------------------------------------------------

    def _stop(self, session: _Session) -> None:
        session.is_started = False
        with self._translated(session, "stopping the stream"):
            session.acquirer.stop()

    def _start(self, session: _Session) -> None:
        """Started once, then triggered: starting allocates all buffers anew."""
        with self._translated(session, "starting the stream"):
            session.acquirer.num_buffers = BUFFERS
            session.acquirer.start()
        session.can_count = self._probe_count(session)
        session.can_latch = session.features.missing((("TimestampLatch",), ("TimestampLatchValue",))) == ()
        session.last_frame_id = None
        session.may_skip = False
        session.is_started = True

    def _probe_count(self, session: _Session) -> bool:
        try:
            return int(session.acquirer.data_streams[0].num_awaiting_delivery) >= 0
        except VENDOR_ERRORS as error:
            log.info("%s: producer does not count waiting buffers: %s", self._device, first_line(error))
            return False

    @contextmanager
    def _translated(self, session: _Session, doing: str) -> Iterator[None]:
        try:
            yield
        except VENDOR_ERRORS as error:
            if is_gone(session.acquirer):
                raise DeviceLost(self._device, f"{doing}: the camera no longer answers") from error
            raise CommandRefused(self._device, f"{doing}: {first_line(error)}") from error

    # -- one exposure -----------------------------------------------------------------------

    def _expose(self, session: _Session, exposure_us: float, gain_db: float) -> Frame:
        session.exposure_us = _set_cached(session.features, session.exposure_us, exposure_us, *EXPOSURE)
        session.gain_db = _set_cached(session.features, session.gain_db, gain_db, "Gain")
        self._drain(session)
        not_before_ns = self._latch(session) if session.can_latch else None
        session.features.execute("TriggerSoftware")
        deadline_s = time.monotonic() + exposure_us / 1e6 + self._frame_timeout_s
        buffer = self._wait(session, deadline_s)
        try:
            with self._translated(session, "reading the frame"):
                self._prove(session, buffer, not_before_ns)
                return self._copy(session, buffer)
        finally:
            with self._translated(session, "giving the buffer back"):
                buffer.parent.queue_buffer(buffer, False)  # True would zero its memory first

    def _latch(self, session: _Session) -> int:
        session.features.execute("TimestampLatch")
        return int(session.features.read("TimestampLatchValue"))

    def _waiting(self, session: _Session) -> bool:
        return int(session.acquirer.data_streams[0].num_awaiting_delivery) > 0

    def _drain(self, session: _Session) -> None:
        """Frames that nobody waits for: of a stray trigger, or too late for the last one."""
        if not session.can_count:
            return
        with self._translated(session, "draining old frames"):
            while self._waiting(session):
                buffer = session.acquirer.try_fetch(timeout=0.001, is_raw=True)
                if buffer is not None:
                    log.warning("%s: frame %s came unasked and is thrown away", self._device, buffer.frame_id)
                    buffer.parent.queue_buffer(buffer, False)

    def _wait(self, session: _Session, deadline_s: float) -> Any:
        """Poll and sleep, because fetch holds the GIL while it waits (genicam/harvesters issue 508)."""
        check_s = 0.0
        while True:
            with self._translated(session, "waiting for the frame"):
                if not session.can_count or self._waiting(session):
                    buffer = session.acquirer.try_fetch(timeout=0.001, is_raw=True)
                    if buffer is not None:
                        return buffer
                    if session.can_count:
                        raise FrameIncomplete(self._device, "a frame arrived with fewer bytes than its format needs")
            now_s = time.monotonic()
            if self._closing.is_set():
                raise DeviceLost(self._device, "it was closed while a frame was awaited")
            if now_s >= check_s:
                check_s = now_s + LOSS_CHECK_S
                self._alive()
            if now_s >= deadline_s:
                raise DeviceTimeout(
                    self._device, f"no frame within {self._frame_timeout_s:g} s after the exposure: lost on the way"
                )
            time.sleep(POLL_S)

    def _prove(self, session: _Session, buffer: Any, not_before_ns: int | None) -> None:
        """The frame must be of this trigger: next id, and exposed after the clock was latched."""
        frame_id, last = int(buffer.frame_id), session.last_frame_id
        if last is not None and frame_id <= last:
            raise FrameOutOfOrder(self._device, f"frame {frame_id} follows frame {last}: an old frame came again")
        session.last_frame_id = frame_id
        if last is not None and frame_id != last + 1 and not session.may_skip:
            raise FrameOutOfOrder(
                self._device, f"frame {frame_id} follows frame {last}: frames in between: {frame_id - last - 1}"
            )
        if not_before_ns is not None and int(buffer.timestamp_ns) < not_before_ns:
            late_ms = (not_before_ns - int(buffer.timestamp_ns)) / 1e6
            raise FrameOutOfOrder(self._device, f"frame {frame_id} was exposed {late_ms:.3f} ms before its trigger")
        self._prove_settings(session, buffer)
        session.may_skip = False

    def _prove_settings(self, session: _Session, buffer: Any) -> None:
        """A frame says how long it was exposed and how large it is: neither may be of an earlier setting."""
        if session.exposure_us is not None:
            actual_us = session.exposure_us[1]
            found_us = _chunk(session, buffer, "ChunkExposureTime", actual_us)
            if abs(found_us - actual_us) > 1.0 + 0.01 * actual_us:
                raise FrameOutOfOrder(
                    self._device, f"frame {buffer.frame_id} was exposed {found_us:g} us, asked were {actual_us:g} us"
                )
        shape = (int(buffer.height), int(buffer.width))
        if shape != session.shape:
            raise FrameOutOfOrder(
                self._device,
                f"frame {buffer.frame_id} is {shape[1]} x {shape[0]}, configured is "
                f"{session.shape[1]} x {session.shape[0]}",
            )

    def _copy(self, session: _Session, buffer: Any) -> Frame:
        code = int(buffer.pixel_format)
        padding, offset = _optional_int(buffer, "padding_x"), _optional_int(buffer, "image_offset")
        pixels = decode(buffer.raw_buffer, code, session.shape, padding, offset, self._device)
        assert session.exposure_us is not None
        assert session.gain_db is not None
        return Frame(
            pixels=pixels,
            pixel_format=BY_CODE[code].name,
            significant_bits=BY_CODE[code].significant_bits,
            black_level_dn=session.black_level_dn,
            exposure_us=_chunk(session, buffer, "ChunkExposureTime", session.exposure_us[1]),
            gain_db=_chunk(session, buffer, "ChunkGain", session.gain_db[1]),
            timestamp_ns=_optional_int(buffer, "timestamp_ns"),
            frame_id=int(buffer.frame_id),
        )


def _optional_int(buffer: Any, name: str) -> int:
    """0 where the producer does not give this information."""
    try:
        return int(getattr(buffer, name))
    except VENDOR_ERRORS:
        return 0


def _chunk(session: _Session, buffer: Any, name: str, fallback: float) -> float:
    try:
        has_chunks = bool(buffer.is_containing_chunk_data())
    except VENDOR_ERRORS:
        has_chunks = False
    return float(session.features.read(name)) if has_chunks and session.features.is_readable(name) else fallback


def _set_cached(
    features: Features, known: tuple[float, float] | None, asked: float, *names: str
) -> tuple[float, float]:
    """(asked, actual); the register is written only when the wish has changed."""
    if known is not None and known[0] == asked:
        return known
    return asked, float(features.write(asked, *names))


def _apply(session: _Session, settings: CameraSettings, device: str) -> CameraSettings:
    """From the camera's own defaults, so that nothing is left over from another program."""
    features = session.features
    session.exposure_us = session.gain_db = None
    if features.name_of("UserSetLoad"):
        features.write("Default", "UserSetSelector")
        features.execute("UserSetLoad")
    for name, value in LINEAR:
        features.force(value, name)
    pixel_format = format_named(settings.pixel_format, device)
    features.write(pixel_format.name, "PixelFormat")
    actual = _apply_geometry(features, settings, device)
    _apply_trigger(features)
    _apply_chunks(features)
    if features.name_of("BlackLevel"):
        full_scale = 2**pixel_format.significant_bits
        session.black_level_dn = float(features.write(full_scale * BLACK_LEVEL_SHARE, "BlackLevel"))
    return replace(actual, pixel_format=str(features.read("PixelFormat")))


def _apply_geometry(features: Features, settings: CameraSettings, device: str) -> CameraSettings:
    if settings.binning != 1 or features.name_of("BinningHorizontal"):
        for name in ("BinningHorizontal", "BinningVertical"):
            if features.write(settings.binning, name) != settings.binning:
                raise FeatureMissing(device, f"{name} cannot be {settings.binning}")
    for name in ("OffsetX", "OffsetY"):
        if features.name_of(name):
            features.write(0, name)
    width = settings.width if settings.width is not None else int(features.read("WidthMax", "SensorWidth"))
    height = settings.height if settings.height is not None else int(features.read("HeightMax", "SensorHeight"))
    actual_width, actual_height = features.write(width, "Width"), features.write(height, "Height")
    if settings.offset_x or settings.offset_y:
        features.write(settings.offset_x, "OffsetX")
        features.write(settings.offset_y, "OffsetY")
    return replace(settings, width=int(actual_width), height=int(actual_height))


def _apply_trigger(features: Features) -> None:
    if features.name_of("AcquisitionMode"):
        features.write("Continuous", "AcquisitionMode")
    if features.name_of("TriggerSelector"):
        features.write("FrameStart", "TriggerSelector")
    features.write("On", "TriggerMode")
    features.write("Software", "TriggerSource")


def _apply_chunks(features: Features) -> None:
    """What a frame says of itself is better evidence than what a register says now."""
    if not features.name_of("ChunkModeActive"):
        return
    features.write(True, "ChunkModeActive")
    offered = features.symbolics("ChunkSelector")
    for name in CHUNKS:
        if name in offered:
            features.write(name, "ChunkSelector")
            features.write(True, "ChunkEnable")
