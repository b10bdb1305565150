"""One opened camera, from opening to loss: its acquirer, its node map, who it is, and its clock."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from drivers.errors import CommandRefused, DeviceLost
from drivers.genicam.features import Features
from drivers.genicam.producers import VENDOR_ERRORS, Producer, first_line, is_gone
from drivers.protocols import DeviceIdentity

log = logging.getLogger(__name__)

LATCH = (("TimestampLatch",), ("TimestampLatchValue",))


class Connection:
    """A camera that answers. It is used until the camera goes; after that a new one is opened.

    `acquirer` is the image acquirer of harvesters, `features` the camera's node map, `device` the name that
    error messages give it.
    """

    def __init__(
        self, producer: Producer, serial_number: str | None, environment: Mapping[str, str], device: str
    ) -> None:
        """Raises DeviceNotFound when the producer lists no such camera, or the camera does not answer."""
        self.device = device
        self._producer = producer
        self.acquirer: Any = producer.acquire(serial_number, environment)
        self.features = Features(self.acquirer.remote_device.node_map, device, lambda: self.is_gone)

    @property
    def is_gone(self) -> bool:
        return is_gone(self.acquirer)

    def require_present(self) -> None:
        """Raises DeviceLost once the camera no longer answers."""
        if self.is_gone:
            raise DeviceLost(
                self.device,
                "it no longer answers: unplugged, without power, or its rig has ended; restore it, then open it again",
            )

    def close(self) -> None:
        """Gives the camera back to the producer, also when it is gone."""
        self._producer.release(self.acquirer)

    def identity(self) -> DeviceIdentity:
        """Read from the SFNC device features, else from what the producer lists; empty where neither says."""
        return DeviceIdentity(
            vendor=self._text("DeviceVendorName", "vendor"),
            model=self._text("DeviceModelName", "model"),
            serial_number=self._text("DeviceSerialNumber", "serial_number"),
            firmware=self._text("DeviceFirmwareVersion", "version"),
        )

    def _text(self, feature: str, fallback: str) -> str:
        if self.features.is_readable(feature):
            return str(self.features.read(feature))
        try:
            return str(getattr(self.acquirer.device, fallback))
        except VENDOR_ERRORS as error:
            log.debug("%s: no %s: %s", self.device, fallback, first_line(error))
            return ""

    @property
    def can_latch(self) -> bool:
        return self.features.missing(LATCH) == ()

    def latch_ns(self) -> int:
        """The camera's clock now, on the scale of its frames' timestamps."""
        self.features.execute("TimestampLatch")
        return int(self.features.read("TimestampLatchValue"))

    @contextmanager
    def translated(self, doing: str) -> Iterator[None]:
        """The binding's exceptions become DeviceLost when the camera is gone, else CommandRefused."""
        try:
            yield
        except VENDOR_ERRORS as error:
            if self.is_gone:
                raise DeviceLost(self.device, f"{doing}: the camera no longer answers") from error
            raise CommandRefused(self.device, f"{doing}: {first_line(error)}") from error
