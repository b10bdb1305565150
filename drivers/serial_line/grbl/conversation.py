"""The conversation with a Grbl-dialect controller: one line in flight, one reply each, nothing taken for granted."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from drivers.errors import CommandRefused, DeviceLost, DeviceTimeout, PositionUntrusted
from drivers.serial_line.grbl import protocol as grbl
from drivers.serial_line.grbl.protocol import Alarm, Banner, Info, Ok, Refusal, Reply, Setting, Status, Unknown
from drivers.serial_line.port import Line
from drivers.serial_line.replies import STOPPED, Halted, Replies

log = logging.getLogger(__name__)

POLL_S = 0.2  # of a move under way: Grbl's documents ask for 5 Hz at most
RESET_ATTEMPTS = 3
HOLD_POLL_S = 0.1
CALM_S = 0.3  # for the first answer of a controller of which nothing is known yet; not answering is allowed
STANDING = ("Hold:0", "Door:0", "Door:1", "Idle", "Sleep")  # and Alarm with any substate
HOMING_REQUIRED = 11  # an alarm that some firmware raises at every reset; homing is what it waits for
DOOR_OPENED = Info("MSG", "Check Door")  # said at once; a status report shows it as well
SETTINGS_LOST = 7  # an error that comes unasked, at start-up: never the answer to a line
LOCKED = frozenset((9, 13, 18, 45, 46, 50, 79))  # errors that say: an alarm or a safety input forbids motion

T = TypeVar("T")


class _Watch:
    """When to ask `?` during a move, and whether the answers keep coming."""

    def __init__(self, line: Line, patience_s: float) -> None:
        self.patience_s = patience_s
        self._line = line
        self._heard_s = time.monotonic()
        self.due_s = self._heard_s + POLL_S

    def ask(self) -> bool:
        """False when no report came for longer than `patience_s`."""
        now_s = time.monotonic()
        if now_s - self._heard_s > self.patience_s + POLL_S:
            return False
        self.due_s = now_s + POLL_S
        self._line.write(grbl.STATUS_QUERY)
        return True

    def answered(self) -> None:
        self._heard_s = time.monotonic()


class GrblLink:
    """Send-response over one port. One thread commands at a time (the arm holds the lock); any may halt.

    `distrust` is called, from whichever thread notices, with the reason why the position may be wrong.
    """

    def __init__(
        self, device: str, port: str, baud_rate: int, reply_timeout_s: float, distrust: Callable[[str], None]
    ) -> None:
        self.device = device
        self.reply_timeout_s = reply_timeout_s
        self.rejected_lines = 0
        self.blocked: str | None = "not yet connected"  # why only a reset may be sent
        self.axis_count: int | None = None  # in a whole status report, once known; fewer or more is noise
        self.about: dict[str, str] = {}  # what $I said at the last reset
        self.settings: dict[int, float] = {}  # and $$
        self._distrust = distrust
        self._replies: Replies[Reply | Halted] = Replies()
        self._gate = threading.Lock()  # held only while bytes leave: after `!` no line may follow
        self._is_halted = False  # until an operator asks for homing
        self._is_holding = False  # `!` was sent and no reset since
        self._is_deaf = False  # the controller ignores `!` (homing): only a reset stops it
        self._is_resetting = False
        self.line = Line(device, port, baud_rate=baud_rate, terminator=b"\n", on_line=self._receive, on_lost=self._lose)

    # -- the reader thread ------------------------------------------------------------------

    def _receive(self, raw: bytes) -> None:
        reply = grbl.parse(raw)
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
            self.rejected_lines += 1
            log.warning("%s: not understood and not counted as a reply: %r", self.device, raw)
        self._replies.put(reply)

    def _block_from_outside(self, why: str, *, is_lock: bool = True) -> None:
        """The trust falls before a waiting command can hear why, and again should homing have just restored it."""
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
        """Send one line, wait for its one response; returns what was pushed in between.

        A watched command asks for the state while it waits, and ends in a hold and a reset when a door, a hold
        or a safety input shows, or `error:n` does: the line before it may be running. Raises CommandRefused for
        `error:n` to what is not watched and for ALARM:2, PositionUntrusted for any other alarm, a restart, a halt,
        a safety input or a watched `error:n`, DeviceTimeout after having reset the controller, DeviceLost.
        """
        self._drain()
        with self._gate:
            refusal = self.blocked
            if refusal is None:
                self._is_deaf = is_deaf
                self.line.write(text.encode("ascii") + b"\n")
        if refusal is not None:
            raise self._refuse(f"{text!r} not sent", refusal)
        try:
            watch = _Watch(self.line, 2 * self.reply_timeout_s) if is_watched else None
            return self._await_ok(text, self.reply_timeout_s if timeout_s is None else timeout_s, watch)
        finally:
            self._is_deaf = False

    def _refuse(self, what: str, why: str) -> PositionUntrusted:
        if self._is_holding:  # stopped between two lines of a move
            self._end_hold()
        return PositionUntrusted(self.device, f"{what}: {why}; home the arm first")

    def _await_ok(self, text: str, timeout_s: float, watch: _Watch | None) -> list[Reply]:
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
                    raise PositionUntrusted(self.device, f"{text!r} answered with {self.blocked}; home the arm")
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
                    raise PositionUntrusted(self.device, f"during {text!r}: {self.blocked}; home the arm")
                case Halted():
                    self._end_hold()
                    raise PositionUntrusted(self.device, f"stopped during {text!r}; home the arm")
                case Status() if watch is not None:
                    watch.answered()
                    if why := grbl.trouble(reply):
                        raise self._break_off(text, why)
                case _:
                    pushed.append(reply)

    def _break_off(self, text: str, why: str) -> PositionUntrusted:
        """A safety input, a hold or a refusal in mid-move: stand still, then reset, so that nothing can be resumed."""
        self.blocked = why
        self._distrust(why)
        self.line.write(grbl.HOLD)
        outcome = self._end_hold()
        return PositionUntrusted(self.device, f"during {text!r}: {why}; {outcome}; home the arm")

    def glance(self) -> Status | None:
        """Ask `?` once, blocked or not; None when nothing came. Raises PositionUntrusted, DeviceLost."""
        self._drain()
        return self._ask_status(self.reply_timeout_s)

    def status(self) -> Status:
        """Ask `?` (twice at most: it changes nothing) and return the report.

        Raises DeviceTimeout, PositionUntrusted while an alarm blocks the controller, DeviceLost.
        """
        if self.blocked is not None:
            raise self._refuse("position not asked", self.blocked)
        self._drain()
        report = self._ask_status(self.reply_timeout_s) or self._ask_status(self.reply_timeout_s)
        if report is None:
            raise self._give_up("?", 2 * self.reply_timeout_s)
        return report

    def _ask_status(self, timeout_s: float) -> Status | None:
        self.line.write(grbl.STATUS_QUERY)
        deadline_s = time.monotonic() + timeout_s
        while (reply := self._replies.next(deadline_s)) is not None:
            if isinstance(reply, Status):
                if self._is_whole(reply):
                    return reply
                self.rejected_lines += 1
            if isinstance(reply, Banner) or (isinstance(reply, Alarm) and reply.code != HOMING_REQUIRED):
                raise PositionUntrusted(self.device, f"while asking for the position: {self.blocked}; home the arm")
            if isinstance(reply, Halted):
                self._end_hold()
                raise PositionUntrusted(self.device, "stopped while asking for the position; home the arm")
        return None

    def _is_whole(self, report: Status) -> bool:
        return self.axis_count is None or (report.mpos is not None and len(report.mpos) == self.axis_count)

    # -- stopping and starting again --------------------------------------------------------

    def halt(self) -> None:
        """`!` now, from any thread; no line is sent after it until `allow`. Raises DeviceLost."""
        with self._gate:
            self._is_halted = self._is_holding = True
            self.blocked = STOPPED
            was_deaf = self._is_deaf
            self.line.write(grbl.HOLD)
            if was_deaf:
                self.line.write(grbl.SOFT_RESET)
        self._replies.put(Halted())

    def allow(self) -> None:
        """Lines may be sent again: only ever because an operator asked for homing."""
        with self._gate:
            self._is_halted = False

    def calm(self) -> None:
        """If the axes still run (a move left over from another program), hold and wait: a reset would lose steps."""
        self.line.write(grbl.STATUS_QUERY)
        deadline_s = time.monotonic() + CALM_S
        while (reply := self._replies.next(deadline_s)) is not None:
            if isinstance(reply, Status):
                if reply.state in ("Run", "Jog", "Home"):
                    self.line.write(grbl.HOLD)
                    self._await_stand()
                return

    def reset(self, banner_timeout_s: float | None = None) -> None:
        """Soft reset, drop all that came before the banner, and resynchronise; fills `about` and `settings`.

        Raises DeviceTimeout when no banner comes, or nothing answers after it.
        """
        self._is_resetting = True
        try:
            self._drain()
            self.line.write(grbl.SOFT_RESET)
            self._await_banner(banner_timeout_s or self.reply_timeout_s)
            with self._gate:
                self._is_holding = False
                self.blocked = STOPPED if self._is_halted else None
            self._synchronise()
        except DeviceTimeout:
            self.blocked = self.blocked or "the controller did not answer after a reset"
            raise
        finally:
            self._is_resetting = False

    def _await_banner(self, timeout_s: float) -> None:
        deadline_s = time.monotonic() + timeout_s
        while (reply := self._replies.next(deadline_s)) is not None:
            if isinstance(reply, Banner):
                return
        raise DeviceTimeout(
            self.device,
            f"no Grbl banner within {timeout_s:g} s of a reset on {self.line.port}. "
            "Is it the right port and baud rate, and is the controller powered?",
        )

    def _synchronise(self) -> None:
        """An empty line to clear a sticky error, then `$I` until it is answered, then `$$` once.

        An `ok` counts only behind the text that belongs to it, and `$$` is asked only once: so one that
        was left over, or a second answer to a repeated `$I`, can never be taken for the answer to a later line.
        """
        for _ in range(RESET_ATTEMPTS):
            self.line.write(b"\n$I\n")
            about = self._await_text(Info, lambda found: any(i.key == "VER" for i in found))
            if about is not None:
                break
            self._refuse_open_door()
        else:
            raise DeviceTimeout(self.device, f"banner seen on {self.line.port}, but $I was not answered")
        self.line.write(b"$$\n")
        settings = self._await_text(Setting, bool)
        if settings is None:
            raise DeviceTimeout(self.device, f"$I answered on {self.line.port}, but $$ was not")
        self.about = {i.key: i.text for i in about}
        self.settings = {s.number: s.value for s in settings}

    def _refuse_open_door(self) -> None:
        """With its door open a controller reports, but reads no line."""
        report = self._ask_status(self.reply_timeout_s)
        if report is not None and report.state == "Door":
            self.blocked = grbl.trouble(report)
            raise PositionUntrusted(self.device, f"{self.blocked}: close the door, then home the arm")

    def _await_text(self, kind: type[T], is_complete: Callable[[list[T]], bool]) -> list[T] | None:
        found: list[T] = []
        deadline_s = time.monotonic() + self.reply_timeout_s
        while (reply := self._replies.next(deadline_s)) is not None:
            if isinstance(reply, Banner):  # a second one: some firmware greets twice, or the first was an old one
                found.clear()
            elif isinstance(reply, kind):
                found.append(reply)
            elif isinstance(reply, Ok) and is_complete(found):
                return found
        return None

    def _clear_refusal(self) -> None:
        """After `error:n` some firmware repeats it until an empty line: send one, take its `ok`."""
        self.line.write(b"\n")
        deadline_s = time.monotonic() + self.reply_timeout_s
        while (reply := self._replies.next(deadline_s)) is not None:
            if isinstance(reply, Ok):
                return
        self.blocked = "no answer after a refused line"
        self._distrust(self.blocked)

    def _give_up(self, text: str, timeout_s: float) -> DeviceTimeout:
        """No blind resend: hold, reset, drop what was under way. The reset's outcome goes into the text."""
        self.blocked = f"no answer to {text!r}"
        self._distrust(self.blocked)
        self.line.write(grbl.HOLD)
        outcome = self._end_hold()
        return DeviceTimeout(
            self.device, f"no answer to {text!r} within {timeout_s:.1f} s; {outcome}. Home the arm before moving"
        )

    def _end_hold(self) -> str:
        """Wait until the axes stand, then reset; the outcome in words."""
        why = self.blocked
        self._await_stand()
        try:
            self.reset()
        except (DeviceTimeout, PositionUntrusted) as error:
            outcome = f"reset failed too: {error.message}"
        else:
            outcome = "the controller was reset"
        self.blocked = why
        return outcome

    def _await_stand(self) -> None:
        deadline_s = time.monotonic() + self.reply_timeout_s
        while time.monotonic() < deadline_s:
            self.line.write(grbl.STATUS_QUERY)
            poll_end_s = time.monotonic() + HOLD_POLL_S
            while (reply := self._replies.next(poll_end_s)) is not None:
                if isinstance(reply, Banner | Alarm):
                    return
                if isinstance(reply, Status) and (reply.state == "Alarm" or reply.name in STANDING):
                    return

    # -- the queue --------------------------------------------------------------------------

    def _drain(self) -> None:
        """Drop what nobody waited for; a loss is kept, and an `ok` among it is worth a word."""
        for reply in self._replies.waiting():
            if isinstance(reply, Ok | Refusal):
                log.warning("%s: %s came unasked and was dropped", self.device, reply)
