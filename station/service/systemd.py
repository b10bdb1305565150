"""What systemd is told (sd_notify(3)): that the service is ready, what it does, that it lives, that it stops.

The messages go to the socket named by NOTIFY_SOCKET. Without one nothing is sent. They are a line each, so no library
is needed.
"""

from __future__ import annotations

import logging
import os
import socket

log = logging.getLogger(__name__)

_MICROSECONDS = 1e6


class SystemdNotifier:
    """Sends states to systemd; a message that cannot be sent is logged and lost."""

    def __init__(self, socket_name: str | None = None, watchdog_us: str | None = None) -> None:
        """The arguments stand for NOTIFY_SOCKET and WATCHDOG_USEC of the environment."""
        name = os.environ.get("NOTIFY_SOCKET", "") if socket_name is None else socket_name
        self._name = "\0" + name[1:] if name.startswith("@") else name
        limit = os.environ.get("WATCHDOG_USEC", "") if watchdog_us is None else watchdog_us
        self.watchdog_s: float | None = int(limit) / _MICROSECONDS if limit.isdecimal() and int(limit) else None

    @property
    def is_heard(self) -> bool:
        """Whether anybody asked for the messages."""
        return bool(self._name) and hasattr(socket, "AF_UNIX")

    def ready(self, status: str) -> None:
        """The service can be reached."""
        self._send(f"READY=1\nSTATUS={_line(status)}")

    def status(self, text: str) -> None:
        """What `systemctl status` shows."""
        self._send(f"STATUS={_line(text)}")

    def alive(self) -> None:
        """The watchdog's sign of life. Without it for WATCHDOG_USEC, systemd ends the service and starts it again."""
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """The service is ending by itself."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if not self.is_heard:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
                line.setblocking(False)
                line.sendto(message.encode(), self._name)
        except OSError as error:
            log.warning("systemd was not notified: %s", error)


def _line(text: str) -> str:
    return text.replace("\n", " ")[:300]
