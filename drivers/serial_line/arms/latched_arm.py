"""What every arm on a serial port shares: the latch of trust in its position, the stop, and the watch at rest.

The latch falls with anything that may have moved the axes unseen, in whichever thread it is noticed; only homing
raises it again. The stop does not wait for the command in progress.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from typing import Generic, Protocol, Self, TypeVar

from drivers.errors import DeviceError, DeviceTimeout, OutOfTravel, PositionUntrusted
from drivers.geometry.pose import Pose
from drivers.protocols import DeviceIdentity
from drivers.serial_line.arms.waypoints import NoSafeWay, SafeWays
from drivers.serial_line.port import Port
from drivers.serial_line.replies import STOPPED, shortened

log = logging.getLogger(__name__)

REMEDY = "home the arm"
NOT_HOMED = "not homed since the connection was made"
NOT_COMPLETED = "homing was not completed"
PROVISIONAL = (NOT_HOMED, NOT_COMPLETED)  # reasons that give way to the first that something happened


def untrusted(device: str, what: str) -> PositionUntrusted:
    """The error for a position in doubt: what happened, and its remedy, which is named once."""
    return PositionUntrusted(device, what if REMEDY in what else f"{what}; {REMEDY}")


class ArmConversation(Protocol):
    """The conversation with an arm's controller, as far as the latch needs it."""

    port: Port
    reply_timeout_s: float
    ask_attempts: int  # of a question that is not answered

    def halt(self) -> None:
        """Hold now, from any thread; the command that waits ends with PositionUntrusted."""
        ...


Conversation = TypeVar("Conversation", bound=ArmConversation)


class LatchedArm(ABC, Generic[Conversation]):
    """The position is trusted only while nothing has happened that may have moved the axes unseen.

    A subclass sets `_conversation`, calls `_start` as the last step of its constructor, and raises the latch in its
    homing.
    """

    _conversation: Conversation
    _identity: DeviceIdentity

    def __init__(self, device: str, ways: SafeWays | None) -> None:
        self.last_reason = NOT_HOMED
        self._device = device
        self._ways = ways or SafeWays()
        self._is_at_home = False  # homed, and not moved since
        self._trust = threading.Event()
        self._closing = threading.Event()
        self._lock = threading.RLock()  # one conversation at a time; stop() does not take it

    @property
    def port(self) -> Port:
        """The port, with the log of every byte that left."""
        return self._conversation.port

    @property
    def identity(self) -> DeviceIdentity:
        return self._identity

    @property
    def position_trusted(self) -> bool:
        return self._trust.is_set()

    def stop(self) -> None:
        """Hold at once, from any thread; a waiting command then raises PositionUntrusted. Raises DeviceLost."""
        was_trusted = self._trust.is_set()
        self._trust.clear()
        self.last_reason = STOPPED
        self._conversation.halt()  # before anything that may take time, a log line included
        if was_trusted:
            log.warning("%s: position no longer trusted: %s", self._device, STOPPED)

    def check_at_rest(self, silence_s: float | None = None) -> None:
        """See `drivers.protocols.AsksAtRest`. Raises PositionUntrusted with the reason, DeviceTimeout, DeviceLost."""
        if not self._lock.acquire(timeout=-1 if silence_s is None else silence_s):
            raise DeviceTimeout(self._device, f"another question to it was not answered for {silence_s:g} s")
        try:
            if self._trust.is_set():
                with shortened(self._conversation, silence_s, self._conversation.ask_attempts):
                    self._look()
        except DeviceError as error:
            self._distrust(error.message)
            raise
        finally:
            self._lock.release()
        if not self._trust.is_set():
            raise PositionUntrusted(self._device, f"{self.last_reason}; home the arm")

    def close(self) -> None:
        """Give the port back. A move in progress runs to its end; servos keep their hold."""
        self._closing.set()
        self._distrust("the connection was closed")
        self._conversation.port.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @abstractmethod
    def _connect(self) -> None:
        """Find out that the right controller listens, and set `_identity`. Moves nothing. Raises DeviceError."""

    @abstractmethod
    def _distrust(self, reason: str) -> None:
        """Let the latch fall, from whichever thread notices the reason."""

    @abstractmethod
    def _look(self) -> None:
        """Ask a resting arm whether it may still be trusted; if not, call `_distrust` or raise DeviceError."""

    def _start(self, every_s: float) -> None:
        """Connect, then look at the arm as often as this while it rests (0: never); else give the port back."""
        try:
            self._connect()
        except DeviceError:
            self.port.close()
            raise
        if every_s > 0:
            name = f"watch {self._conversation.port.name}"
            threading.Thread(target=self._watch, args=(every_s,), name=name, daemon=True).start()

    def _watch(self, every_s: float) -> None:
        """Look at the arm while nothing is commanded: what happens then ends the trust as well."""
        while not self._closing.wait(every_s):
            if self._trust.is_set() and self._lock.acquire(blocking=False):
                try:
                    self._look()
                except DeviceError as error:
                    if self._trust.is_set():  # else whoever raised it has named the reason
                        self._distrust(error.message)
                finally:
                    self._lock.release()

    def _require_trust(self) -> None:
        if not self._trust.is_set():
            raise untrusted(self._device, f"move refused: {self.last_reason}")

    def _check_ways(self, pose: Pose) -> None:
        try:
            self._ways.check_target(pose)
        except NoSafeWay as error:
            raise OutOfTravel(self._device, str(error)) from error

    def _stops(self, start: Pose, target: Pose) -> tuple[Pose, ...]:
        """The poses at which the way to the target stops, the target last. Raises OutOfTravel where none is free."""
        try:
            return self._ways.route(start, target, is_from_home=self._is_at_home)
        except NoSafeWay as error:
            raise OutOfTravel(self._device, str(error)) from error
