"""GenicamCamera: the StrobeCamera protocol over harvesters, for any GenTL producer.

This class holds what outlives a lost camera (serial number, settings, strobe) and lets one thread at a time
command the device; `close` alone comes from another thread and ends a wait. One exposure is in `acquisition.py`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Annotated

from pydantic import Field

from drivers.errors import CommandRefused, DeviceError, DeviceLost, FeatureMissing
from drivers.genicam.acquisition import Acquisition
from drivers.genicam.configuration import NEEDED, configure, describe
from drivers.genicam.connection import Connection
from drivers.genicam.lines import apply_strobe
from drivers.genicam.producers import Producer, load_producer
from drivers.genicam.stream import stop_stream
from drivers.protocols import CameraSettings, DeviceIdentity, Frame, Landing
from drivers.registry import DriverKind
from drivers.settings import DriverSettings, Text, Timeout


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
        self._strobe: tuple[str, str] | None = None  # output line, source
        self._acquisition: Acquisition | None = None  # None: not configured
        self._landing: Landing | None = None
        self._connection: Connection | None = self._connect()
        self._identity = self._connection.identity()

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

    # -- opening and closing ----------------------------------------------------------------

    @property
    def identity(self) -> DeviceIdentity:
        """Read once when the camera was opened, so it is there after a loss too."""
        return self._identity

    @property
    def frame_timeout_s(self) -> float:
        return self._frame_timeout_s

    @property
    def is_lost(self) -> bool:
        """True once the device has gone or was closed; `reconnect` brings it back when it is there again."""
        connection = self._connection
        return connection is None or connection.is_gone

    def reconnect(self) -> None:
        """After DeviceLost: open the same serial number again and apply the last settings.

        Raises DeviceNotFound while it is not back.
        """
        with self._lock:
            self._disconnect()
            self._closing.clear()
            self._connection = self._connect()
            self._identity = self._connection.identity()
            settings = self._settings
            try:
                if settings is not None:
                    self._configure(self._connection, settings)
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

    def _connect(self) -> Connection:
        return Connection(self._producer, self._serial_number, self._environment, self._device)

    def _disconnect(self) -> None:
        connection, self._connection, self._acquisition = self._connection, None, None
        if connection is not None:
            connection.close()

    def _alive(self) -> Connection:
        if self._connection is None:
            raise DeviceLost(self._device, "it has been closed; call reconnect, or open it again")
        self._connection.require_present()
        return self._connection

    # -- configuration ----------------------------------------------------------------------

    def configure(self, settings: CameraSettings) -> CameraSettings:
        """Stop, load the default user set, apply, read back, start. See the Camera protocol."""
        with self._lock:
            connection = self._alive()
            lacking = connection.features.missing(NEEDED)
            if lacking:
                raise FeatureMissing(self._device, f"this camera has no {', no '.join(lacking)}")
            return self._configure(connection, settings)

    def _configure(self, connection: Connection, settings: CameraSettings) -> CameraSettings:
        self._settings = self._acquisition = None
        stop_stream(connection)
        configured = configure(connection.features, settings, self._strobe)
        self._acquisition = Acquisition(connection, configured, self._frame_timeout_s, self._closing)
        self._acquisition.landing = self._landing
        self._settings = settings
        return configured.settings

    def land_in(self, landing: Landing | None) -> None:
        """See `drivers.protocols.LandsFrames`."""
        with self._lock:
            self._landing = landing
            if self._acquisition is not None:
                self._acquisition.landing = landing

    def set_strobe(self, line: str = "Line1", source: str = "ExposureActive") -> str:
        """Give `source` out on an output line, now and after each `configure`; returns what the camera took.

        Raises FeatureMissing for a camera without such a line or source.
        """
        with self._lock:
            taken = apply_strobe(self._alive().features, line, source)
            self._strobe = (line, source)
            return taken

    def describe(self) -> dict[str, object]:
        """What it offers, for `station check`: read only, nothing is written. What it lacks is under `missing`."""
        with self._lock:
            return describe(self._alive().features)

    def temperature_c(self) -> float | None:
        """Of the camera's housing or sensor; None where the camera does not report it."""
        with self._lock:
            features = self._alive().features
            return float(features.read("DeviceTemperature")) if features.is_readable("DeviceTemperature") else None

    def check_at_rest(self, silence_s: float | None = None) -> None:  # noqa: ARG002 - the producer has its own patience
        """See `drivers.protocols.AsksAtRest`: listed as accessible, and its clock answers where it has one.

        Raises DeviceLost, CommandRefused.
        """
        with self._lock:
            connection = self._alive()
            if connection.can_latch:
                connection.latch_ns()  # cached nodes answer without the camera; this one goes to it
                connection.require_present()

    # -- exposures --------------------------------------------------------------------------

    def time_ns(self) -> int:
        """The device clock now. Raises FeatureMissing for a camera without TimestampLatch."""
        with self._lock:
            return self._alive().latch_ns()

    def expose(self, exposure_us: float, gain_db: float = 0.0) -> Frame:
        """One software trigger and its frame, proven and copied. See the Camera protocol."""
        with self._lock:
            return self._configured().expose(exposure_us, gain_db)

    def trigger(self, exposure_us: float, gain_db: float = 0.0) -> None:
        """Start one exposure and return; `collect` brings its frame. See StrobeCamera."""
        with self._lock:
            self._configured().trigger(exposure_us, gain_db)

    def wait_exposed(self) -> bool:
        """True once the exposure is over, by the camera's counter or by its frame; False at once without a counter.

        Raises DeviceTimeout, DeviceLost, CommandRefused without a `trigger`.
        """
        with self._lock:
            return self._configured().wait_exposed()

    def collect(self) -> Frame:
        """The frame of the last `trigger`. Raises as `expose` does, and CommandRefused without a `trigger`."""
        with self._lock:
            return self._configured().collect()

    def _configured(self) -> Acquisition:
        self._alive()
        if self._acquisition is None:
            raise CommandRefused(self._device, "asked to expose before it was configured: call configure first")
        return self._acquisition


VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]


class GenicamSettings(DriverSettings):
    """The camera section of a rig file."""

    producer: Text  # `simcam` for the simulated camera, else the path of the maker's .cti
    serial_number: Text | None = None  # needed where the producer shows more than one camera
    environment: dict[VariableName, Text] = Field(default_factory=dict)  # set before the producer is loaded
    frame_timeout_s: Timeout = 5.0  # beyond the exposure itself; then the frame counts as lost


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
