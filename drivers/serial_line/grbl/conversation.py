"""The conversation with a Grbl-dialect controller: one line in flight, one reply to each, none taken for granted.

Anything that may have moved the axes unseen (an alarm, a restart, a silence, a stop) blocks every further line until
an operator asks for homing. The controller is never unlocked (`$X`) nor resumed (`~`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from drivers.errors import CommandRefused, DeviceLost, DeviceTimeout, PositionUntrusted
from drivers.serial_line.arms.latched_arm import REMEDY, untrusted
from drivers.serial_line.grbl import protocol as grbl
from drivers.serial_line.grbl.exchange import IDENTITY_ATTEMPTS, MOVING, SWALLOWED_S, GrblExchange, MoveWatch
from drivers.serial_line.grbl.last_words import LastWords
from drivers.serial_line.grbl.protocol import Alarm, Banner, Info, Ok, Refusal, Reply, Status, Unknown
from drivers.serial_line.port import Port
from drivers.serial_line.replies import STOPPED, Halted, Replies

log = logging.getLogger(__name__)

CALM_S = 0.3  # for the first answer of a controller of which nothing is known yet; it need not answer
HOMING_REQUIRED = 11  # an alarm that some firmware raises at every reset; homing is what it waits for
DOOR_OPENED = Info("MSG", "Check Door")  # said at once; a status report shows it as well
SETTINGS_LOST = 7  # an error that comes unasked, at start-up; it is never the answer to a line
LOCKED = frozenset((9, 13, 18, 45, 46, 50, 51, 79))  # errors by which an alarm or a safety input forbids motion


class GrblConversation:
    """Send and response over one port. One thread commands at a time (the arm holds the lock); any may halt.

    `distrust` is called, from whichever thread notices, with the reason why the position may be wrong. The
    constructor opens the port and raises DeviceNotFound; it sends nothing.
    """

    ask_attempts = 1  # of a glance

    def __init__(
        self, device: str, port: str, baud_rate: int, reply_timeout_s: float, distrust: Callable[[str], None]
    ) -> None:
        self.device = device
        self.reply_timeout_s = reply_timeout_s
        self.blocked: str | None = "not yet connected"  # why only a reset may be sent
        self.axis_count: int | None = None  # in a whole status report, once known; another count is noise
        self.last_words = LastWords()
        self._distrust = distrust
        self._replies: Replies[Reply | Halted] = Replies()
        self._gate = threading.Lock()  # held only while bytes leave: after `!` no line may follow
        self._is_halted = False  # until an operator asks for homing
        self._is_holding = False  # `!` was sent and no reset since
        self._is_deaf = False  # the controller ignores `!` (homing): only a reset stops it
        self._is_resetting = False
        self.port = Port(
            device, port, baud_rate=baud_rate, terminator=b"\n", on_piece=self._receive, on_lost=self._lose
        )
        self._exchange = GrblExchange(self.port, self._replies, reply_timeout_s, self.last_words)

    # -- the reader thread ------------------------------------------------------------------

    def _receive(self, raw: bytes) -> None:
        reply = grbl.parse(raw)
        self.last_words.note(reply)
        if isinstance(reply, Alarm):
            # even ALARM:2, which keeps the position, leaves a lock that only homing ends: `$X` is never sent
            self._block_from_outside(grbl.alarm_text(reply.code), is_lock=reply.code != HOMING_REQUIRED)
        elif isinstance(reply, Banner) and not self._is_resetting:
            self._block_from_outside(self.blocked or "the controller restarted by itself")  # an alarm is the cause
        elif isinstance(reply, Status) and (why := grbl.trouble(reply)) and not self._is_resetting:
            self._distrust(why)
        elif reply == DOOR_OPENED and not self._is_resetting:
            self._distrust("the door was opened")
        elif isinstance(reply, Unknown) and raw.strip():
            log.warning("%s: not understood and not counted as a reply: %r", self.device, raw)
        self._replies.put(reply)

    def _block_from_outside(self, why: str, *, is_lock: bool = True) -> None:
        """Let the trust fall before a waiting command can hear why, and again should homing have just restored it."""
        self._distrust(why)
        if is_lock:
            self.blocked = why
            self._distrust(why)

    def _lose(self, loss: DeviceLost) -> None:
        self._distrust("the connection was lost")
        self._replies.put(loss)

    # -- commands ---------------------------------------------------------------------------

    def command(
        self, text: str, timeout_s: float | None = None, *, is_deaf: bool = False, is_watched: bool = False
    ) -> list[Reply]:
        """Send one line and wait for its one response; returns what was pushed in between.

        `is_deaf`: the controller ignores a hold meanwhile, so that a halt resets it. `is_watched`: the state is
        asked for while waiting; a door, a hold, a safety input or `error:n` then ends in a hold and a reset, as the
        line before this one may be running. Raises CommandRefused for `error:n` to an unwatched line and for
        ALARM:2; PositionUntrusted for any other alarm, a restart, a halt, a safety input or a watched `error:n`;
        DeviceTimeout after having reset the controller; DeviceLost.
        """
        self._exchange.drain()
        with self._gate:
            refusal = self.blocked
            if refusal is None:
                self._is_deaf = is_deaf
                self.port.write(text.encode("ascii") + b"\n")
        if refusal is not None:
            raise self._refuse(f"{text!r} not sent", refusal)
        try:
            watch = MoveWatch(self.port, 2 * self.reply_timeout_s) if is_watched else None
            return self._await_ok(text, self.reply_timeout_s if timeout_s is None else timeout_s, watch)
        finally:
            self._is_deaf = False

    def _refuse(self, what: str, why: str) -> PositionUntrusted:
        if self._is_holding:  # stopped between two lines of a move
            self._end_hold()
        return untrusted(self.device, f"{what}: {why}")

    def _await_ok(self, text: str, timeout_s: float, watch: MoveWatch | None) -> list[Reply]:
        deadline_s, pushed = time.monotonic() + timeout_s, list[Reply]()
        while True:
            reply = self._replies.next(deadline_s if watch is None else min(deadline_s, watch.due_s))
            match reply:
                case None if watch is not None and time.monotonic() < deadline_s:
                    if not watch.ask():
                        raise self._give_up(f"{text} and then ?", watch.patience_s)
                case None:
                    raise self._give_up(text, timeout_s)
                case Ok():
                    return pushed
                case Refusal(code) if code in LOCKED:
                    self.blocked = grbl.error_text(code)
                    self._distrust(self.blocked)
                    raise untrusted(self.device, f"{text!r} answered with {self.blocked}")
                case Refusal(code) if code != SETTINGS_LOST and watch is not None:
                    raise self._break_off(text, grbl.error_text(code))  # what came before it may be running
                case Refusal(code) if code != SETTINGS_LOST:
                    self._clear_refusal()
                    raise CommandRefused(self.device, f"{text!r} answered with {grbl.error_text(code)}")
                case Alarm(2):
                    raise CommandRefused(self.device, f"{text!r} answered with {grbl.alarm_text(2)}")
                case Alarm(code) if code == HOMING_REQUIRED:
                    pushed.append(reply)
                case Alarm() | Banner():
                    raise untrusted(self.device, f"during {text!r}: {self.blocked}")
                case Halted():
                    self._end_hold()
                    raise untrusted(self.device, f"stopped during {text!r}")
                case Status() if watch is not None:
                    watch.answered()
                    if why := grbl.trouble(reply):
                        raise self._break_off(text, why)
                case _:
                    pushed.append(reply)

    def _break_off(self, text: str, why: str) -> PositionUntrusted:
        """After a safety input, a hold or a refusal in mid-move: hold, then reset, so that nothing can be resumed."""
        self.blocked = why
        self._distrust(why)
        self.port.write(grbl.HOLD)
        outcome = self._end_hold()
        return untrusted(self.device, f"during {text!r}: {why}; {outcome}")

    def glance(self) -> Status | None:
        """The answer to one `?`, blocked or not; None when none came. Raises PositionUntrusted, DeviceLost."""
        self._exchange.drain()
        return self._ask_status(self.reply_timeout_s)

    def status(self) -> Status:
        """The answer to `?`, which is asked twice at most, as it changes nothing.

        Raises DeviceTimeout, PositionUntrusted while an alarm blocks the controller, DeviceLost.
        """
        if self.blocked is not None:
            raise self._refuse("the position was not asked", self.blocked)
        self._exchange.drain()
        report = self._ask_status(self.reply_timeout_s) or self._ask_status(self.reply_timeout_s)
        if report is None:
            raise self._give_up("?", 2 * self.reply_timeout_s)
        return report

    def _ask_status(self, timeout_s: float) -> Status | None:
        self.port.write(grbl.STATUS_QUERY)
        deadline_s = time.monotonic() + timeout_s
        while (reply := self._replies.next(deadline_s)) is not None:
            if isinstance(reply, Status) and self._is_whole(reply):
                return reply
            if isinstance(reply, Banner) or (isinstance(reply, Alarm) and reply.code != HOMING_REQUIRED):
                raise untrusted(self.device, f"while asking for the position: {self.blocked}")
            if isinstance(reply, Halted):
                self._end_hold()
                raise untrusted(self.device, "stopped while asking for the position")
        return None

    def _is_whole(self, report: Status) -> bool:
        return self.axis_count is None or (report.mpos is not None and len(report.mpos) == self.axis_count)

    # -- stopping and starting again --------------------------------------------------------

    def halt(self) -> None:
        """Send `!` now, from any thread; no line follows it until `allow`. Raises DeviceLost."""
        with self._gate:
            self._is_halted = self._is_holding = True
            self.blocked = STOPPED
            was_deaf = self._is_deaf
            self.port.write(grbl.HOLD)
            if was_deaf:
                self.port.write(grbl.SOFT_RESET)
        self._replies.put(Halted())

    def allow(self) -> None:
        """Let lines be sent again: only ever because an operator asked for homing."""
        with self._gate:
            self._is_halted = False

    def calm(self) -> None:
        """Hold axes that still run (a move left over from another program) until they stand: a reset loses steps."""
        self.port.write(grbl.STATUS_QUERY)
        deadline_s = time.monotonic() + CALM_S
        while (reply := self._replies.next(deadline_s)) is not None:
            if isinstance(reply, Status):
                if reply.name in MOVING:
                    self.port.write(grbl.HOLD)
                    self._exchange.await_stand()
                return

    def reset(self, banner_timeout_s: float | None = None) -> None:
        """Soft reset, repeated while it is swallowed; drop all that came before the banner, and resynchronise.

        Raises DeviceTimeout when no banner comes or nothing answers after it, PositionUntrusted while a door is
        open or the emergency stop is pressed, DeviceLost.
        """
        self._is_resetting = True
        try:
            self._exchange.drain()
            report = self._exchange.restart(banner_timeout_s or self.reply_timeout_s + SWALLOWED_S)
            if report is not None:
                self.blocked = grbl.safety_trouble(report)
                raise untrusted(self.device, f"{self.blocked}: it takes no reset until that has ended; then {REMEDY}")
            with self._gate:
                self._is_holding = False
                self.blocked = STOPPED if self._is_halted else None
            self._exchange.synchronise(between_attempts=self._refuse_open_door)
        except DeviceTimeout:
            self.blocked = self.blocked or "the controller did not answer after a reset"
            raise
        finally:
            self._is_resetting = False

    def read_itself(self) -> tuple[dict[str, str], dict[int, float]]:
        """The answers to `$I` and `$$`: key -> text, number -> value; each entry read twice alike.

        Raises PositionUntrusted while a door is open, DeviceTimeout, DeviceLost.
        """
        self._exchange.drain()
        try:
            return self._exchange.read_itself(between_attempts=self._refuse_open_door)
        except DeviceTimeout:
            self.blocked = self.blocked or "its settings could not be read"
            raise

    def modal_words(self) -> frozenset[str]:
        """The G-code words in force, as `$G` states them: G21, G90 ...; none where no text came whole.

        A garbled text is asked for again, as `$G` changes nothing. Raises as `command`.
        """
        for _ in range(IDENTITY_ATTEMPTS):
            pushed = self.command("$G")
            words = frozenset(w for i in pushed if isinstance(i, Info) and i.key == "GC" for w in i.text.split())
            if words:
                return words
        return frozenset()

    @property
    def braking_s(self) -> float:
        """How long axes at full rate take to a stand; waited for before a reset."""
        return self._exchange.braking_s

    @braking_s.setter
    def braking_s(self, seconds: float) -> None:
        self._exchange.braking_s = seconds

    def _refuse_open_door(self) -> None:
        """A controller whose door is open reports its state, but reads no line: raise PositionUntrusted for it."""
        report = self._ask_status(self.reply_timeout_s)
        if report is not None and report.state == "Door":
            self.blocked = grbl.trouble(report)
            raise untrusted(self.device, f"{self.blocked}: close the door, then {REMEDY}")

    def _clear_refusal(self) -> None:
        """After `error:n` some firmware repeats it until an empty line: send one, take its `ok`."""
        self.port.write(b"\n")
        if not self._exchange.await_ok():
            self.blocked = "no answer after a refused line"
            self._distrust(self.blocked)

    def _give_up(self, text: str, timeout_s: float) -> DeviceTimeout:
        """Hold, reset and drop what was under way; nothing is sent again. The text states how the reset went."""
        self.blocked = f"no answer to {text!r}"
        self._distrust(self.blocked)
        said = self.last_words.in_words()
        self.port.write(grbl.HOLD)
        outcome = self._end_hold()
        return DeviceTimeout(
            self.device,
            f"no answer to {text!r} within {timeout_s:.1f} s; {said}; {outcome}. Home the arm before moving",
        )

    def _end_hold(self) -> str:
        """Wait until the axes stand, then reset; returns the outcome in words."""
        why = self.blocked
        self._exchange.await_stand()
        try:
            self.reset()
        except DeviceTimeout as error:
            outcome = f"reset failed too ({error.message})"
        except PositionUntrusted:
            outcome = f"not reset ({self.blocked})"
        else:
            outcome = "the controller was reset"
        self.blocked = why
        return outcome
