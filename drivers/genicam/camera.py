"""GenicamCamera: the Camera protocol over harvesters, for any GenTL producer.

One exposure is: exposure time and gain, drain, latch the device clock, software trigger, wait without
holding the GIL, fetch raw, prove that the frame belongs to this trigger, copy, give the buffer back.
With a hardware trigger `arm` does what comes before the trigger and `wait` what comes after it. A camera
that has no trigger can still be looked through: `configure_free_running` and `grab`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any

from pydantic import Field

from drivers.errors import (
    CommandRefused,
    DeviceError,
    DeviceLost,
    DeviceTimeout,
    FeatureMissing,
    FrameIncomplete,
    FrameOutOfOrder,
)
from drivers.genicam.features import Features, Value
from drivers.genicam.pixels import BY_CODE, decode
from drivers.genicam.producers import VENDOR_ERRORS, Producer, first_line, is_gone, load_producer
from drivers.genicam.settings import EXPOSURE, NEEDED, apply, apply_strobe, count_exposure_ends, describe, write_gain
from drivers.protocols import CameraSettings, DeviceIdentity, Frame
from drivers.registry import DriverKind
from drivers.settings import DriverSettings, Positive, Text

log = logging.getLogger(__name__)

POLL_S = 0.0005
LOSS_CHECK_S = 0.05
BUFFERS = 4
SOFTWARE, ANY_LINE = "Software", "a line"


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
    armed: tuple[float, int | None] | None = None  # exposure time, device clock; of a frame that is still to come
    counts_ends: bool = False  # a counter of the camera tells when an exposure is over
    ends_before: int = 0  # what it told before the trigger
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
        self._trigger_source: str | None = SOFTWARE  # None: running freely
        self._strobe: tuple[str, str] | None = None
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
            needed = NEEDED if self._trigger_source == SOFTWARE else [n for n in NEEDED if n != ("TriggerSoftware",)]
            lacking = session.features.missing(tuple(needed))
            if lacking:
                raise FeatureMissing(self._device, f"this camera has no {', no '.join(lacking)}")
            return self._configure(session, settings, self._trigger_source or SOFTWARE)

    def _configure(self, session: _Session, settings: CameraSettings, trigger_source: str | None) -> CameraSettings:
        self._settings = None
        self._stop(session)
        session.exposure_us = session.gain_db = session.armed = None
        session.features.written.clear()
        actual, session.black_level_dn = apply(session.features, settings, trigger_source)
        if self._strobe is not None:
            apply_strobe(session.features, *self._strobe)
        session.counts_ends = count_exposure_ends(session.features)
        session.shape = (actual.height or 0, actual.width or 0)
        self._start(session)
        self._settings, self._trigger_source = settings, trigger_source
        return actual

    def describe(self) -> dict[str, object]:
        """What it offers, for `station check`: read only, nothing is written. What it lacks is under `missing`."""
        with self._lock:
            return describe(self._alive().features)

    def written_features(self) -> dict[str, tuple[Value, Value]]:
        """Of each feature written since `configure`: what was asked last, and what the camera then had."""
        with self._lock:
            return dict(self._alive().features.written)

    def temperature_c(self) -> float | None:
        """Of the camera's housing or sensor; None where it does not tell."""
        with self._lock:
            features = self._alive().features
            return float(features.read("DeviceTemperature")) if features.is_readable("DeviceTemperature") else None

    def trigger_sources(self) -> tuple[str, ...]:
        """What can start an exposure: Software, Line0 ...; none for a camera that only runs freely."""
        with self._lock:
            return self._alive().features.symbolics("TriggerSource")

    def set_trigger_source(self, source: str) -> None:
        """Software (`expose`) or a line (`arm`, `wait`), from the next `configure` on. Raises FeatureMissing."""
        offered = self.trigger_sources()
        if source not in offered:
            raise FeatureMissing(
                self._device, f"cannot be triggered by {source}; it can be by {', '.join(offered) or 'nothing'}"
            )
        self._trigger_source = source

    def set_strobe(self, line: str = "Line1", source: str = "ExposureActive") -> str:
        """Give `source` out on an output line, now and after each `configure`; returns what the camera took.

        Raises FeatureMissing for a camera without such a line or source.
        """
        with self._lock:
            taken = apply_strobe(self._alive().features, line, source)
            self._strobe = (line, source)
            return taken

    def time_ns(self) -> int:
        with self._lock:
            return self._latch(self._alive())

    def expose(self, exposure_us: float, gain_db: float = 0.0) -> Frame:
        with self._lock:
            session = self._alive()
            self._require(session, SOFTWARE)
            try:
                return self._expose(session, exposure_us, gain_db)
            except DeviceError:
                session.may_skip = True
                raise

    def _require(self, session: _Session, source: str | None) -> None:
        if self._settings is None or not session.is_started:
            raise CommandRefused(self._device, "asked to expose before it was configured: call configure first")
        found = self._trigger_source
        if found != source and not (source == ANY_LINE and found not in (None, SOFTWARE)):
            way = {None: "runs freely: call grab", SOFTWARE: "is triggered by software: call expose"}
            raise CommandRefused(self._device, way.get(found, f"is triggered by {found}: call arm and wait"))

    def arm(self, exposure_us: float, gain_db: float = 0.0) -> None:
        """Ready for an edge on the trigger line: settings made, old frames gone, clock noted."""
        with self._lock:
            session = self._alive()
            self._require(session, ANY_LINE)
            session.armed = (exposure_us, self._prepare(session, exposure_us, gain_db))

    def wait(self) -> Frame:
        """The frame of the edge that came after `arm`. Raises as `expose` does."""
        with self._lock:
            session = self._alive()
            self._require(session, ANY_LINE)
            armed, session.armed = session.armed, None
            if armed is None:
                raise CommandRefused(self._device, "waits for no frame: call arm before each trigger")
            try:
                return self._collect(session, *armed)
            except DeviceError:
                session.may_skip = True
                raise

    def trigger(self, exposure_us: float, gain_db: float = 0.0) -> None:
        """Start one exposure and return; `collect` brings its frame. See StrobeCamera."""
        with self._lock:
            session = self._alive()
            self._require(session, SOFTWARE)
            not_before_ns = self._prepare(session, exposure_us, gain_db)
            if session.counts_ends:
                session.ends_before = int(session.features.read("CounterValue"))
            session.features.execute("TriggerSoftware")
            session.armed = (exposure_us, not_before_ns)

    def wait_exposed(self) -> bool:
        """True once the exposure is over, told by its counter or by its frame; False at once without a counter.

        Raises DeviceTimeout, DeviceLost, CommandRefused without a `trigger`.
        """
        with self._lock:
            session = self._alive()
            if session.armed is None:
                raise CommandRefused(self._device, "exposes nothing: call trigger first")
            if not session.counts_ends:
                return False
            deadline_s = time.monotonic() + session.armed[0] / 1e6 + self._frame_timeout_s
            while int(session.features.read("CounterValue")) == session.ends_before:
                if session.can_count and self._waiting(session):
                    return True
                if self._closing.is_set() or time.monotonic() >= deadline_s:
                    raise DeviceTimeout(self._device, "the exposure did not end in time")
                time.sleep(POLL_S)
            return True

    def collect(self) -> Frame:
        """The frame of the last `trigger`. Raises as `expose` does."""
        with self._lock:
            session = self._alive()
            self._require(session, SOFTWARE)
            armed, session.armed = session.armed, None
            if armed is None:
                raise CommandRefused(self._device, "waits for no frame: call trigger before each collect")
            try:
                return self._collect(session, *armed)
            except DeviceError:
                session.may_skip = True
                raise

    def configure_free_running(self, settings: CameraSettings, frame_rate_hz: float | None = None) -> CameraSettings:
        """For a camera without trigger or exposure time: pictures to look at, not to measure with.

        Without `frame_rate_hz` the camera keeps its own.
        """
        with self._lock:
            session = self._alive()
            actual = self._configure(session, settings, None)
            if frame_rate_hz is not None:
                session.features.write(frame_rate_hz, "AcquisitionFrameRate")
            return actual

    def grab(self) -> Frame:
        """The next frame of a camera that runs freely; nothing is known of which light it saw."""
        with self._lock:
            session = self._alive()
            self._require(session, None)
            session.may_skip = True
            self._drain(session, quiet=True)
            return self._collect(session, 0.0, None)

    def grab_next(self) -> Frame:
        """As `grab`, but the oldest frame that waits, so that none is thrown away between two calls."""
        with self._lock:
            session = self._alive()
            self._require(session, None)
            session.may_skip = True
            return self._collect(session, 0.0, None)

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
                    self._configure(self._session, settings, self._trigger_source)
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
        not_before_ns = self._prepare(session, exposure_us, gain_db)
        session.features.execute("TriggerSoftware")
        return self._collect(session, exposure_us, not_before_ns)

    def _prepare(self, session: _Session, exposure_us: float, gain_db: float) -> int | None:
        """Registers are written only when the wish has changed. Returns the device clock before the trigger."""
        if session.armed is not None:  # given up: its frame may come still, and is then counted, not wanted
            session.armed, session.may_skip = None, True
        if session.exposure_us is None or session.exposure_us[0] != exposure_us:
            session.exposure_us = (exposure_us, float(session.features.write(exposure_us, *EXPOSURE)))
        if session.gain_db is None or session.gain_db[0] != gain_db:
            session.gain_db = (gain_db, write_gain(session.features, gain_db))
        self._drain(session)
        return self._latch(session) if session.can_latch else None

    def _collect(self, session: _Session, exposure_us: float, not_before_ns: int | None) -> Frame:
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

    def _drain(self, session: _Session, *, quiet: bool = False) -> None:
        """Frames that nobody waits for: of a stray trigger, or too late for the last one."""
        if not session.can_count:
            return
        with self._translated(session, "draining old frames"):
            while self._waiting(session):
                buffer = session.acquirer.try_fetch(timeout=0.001, is_raw=True)
                if buffer is not None:
                    level = logging.DEBUG if quiet else logging.WARNING
                    log.log(level, "%s: frame %s came unasked and is thrown away", self._device, buffer.frame_id)
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
            kind = "a duplicate" if frame_id == last else "a stale one"
            raise FrameOutOfOrder(self._device, f"frame {frame_id} follows frame {last}: {kind}, it came before")
        session.last_frame_id = frame_id
        if last is not None and frame_id != last + 1 and not session.may_skip:
            raise FrameOutOfOrder(
                self._device, f"frame {frame_id} follows frame {last}: lost in between: {frame_id - last - 1}"
            )
        if not_before_ns is not None and int(buffer.timestamp_ns) < not_before_ns:
            late_ms = (not_before_ns - int(buffer.timestamp_ns)) / 1e6
            raise FrameOutOfOrder(
                self._device, f"frame {frame_id} is stale: exposed {late_ms:.3f} ms before its trigger"
            )
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
        exposure_us = session.exposure_us[1] if session.exposure_us is not None else 0.0  # running freely: not known
        gain_db = session.gain_db[1] if session.gain_db is not None else 0.0
        return Frame(
            pixels=pixels,
            pixel_format=BY_CODE[code].name,
            significant_bits=BY_CODE[code].significant_bits,
            black_level_dn=session.black_level_dn,
            exposure_us=_chunk(session, buffer, "ChunkExposureTime", exposure_us),
            gain_db=_chunk(session, buffer, "ChunkGain", gain_db),
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


VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]


class GenicamSettings(DriverSettings):
    """What a rig file says of a camera."""

    producer: Text  # `simcam` for the simulated camera, else the path of the maker's .cti
    serial_number: Text | None = None  # needed where the producer shows more than one camera
    environment: dict[VariableName, Text] = Field(default_factory=dict)  # set before the producer is loaded
    frame_timeout_s: Positive = 5.0  # beyond the exposure itself; then the frame counts as lost


def _open(settings: GenicamSettings) -> GenicamCamera:
    return GenicamCamera.open(settings.producer, settings.serial_number, settings.environment, settings.frame_timeout_s)


EXAMPLE = """\
driver: genicam
producer: /opt/maker/lib/camera.cti   # the maker's GenTL producer; `simcam` and `viky` are short names
serial_number: '40012345'             # needed where the producer shows more than one camera
environment: {MAKER_LOG: '0'}         # set before the producer is loaded; may be left out
frame_timeout_s: 5.0                  # beyond the exposure itself; then the frame counts as lost
"""

DRIVER = DriverKind(GenicamSettings, _open, EXAMPLE)
