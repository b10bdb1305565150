"""In which state the station stands, why, and which fault stands still; whoever listens hears of every change."""

from __future__ import annotations

import threading

from drivers.errors import DeviceError
from station.engine import alarms
from station.engine.events import Fault, State, StateChanged
from station.engine.listeners import Listeners


class Standing:
    """The state of one engine. It decides nothing: the engine's verbs and its job say what is entered."""

    def __init__(self, listeners: Listeners, reason: str) -> None:
        """Preoperational, for that reason; nothing is reported yet."""
        self._listeners = listeners
        self._lock = threading.Lock()  # between looking at the state and changing it; never held while reporting
        self.state, self.reason = State.PREOPERATIONAL, reason
        self.fault: Fault | None = None  # until homing has succeeded after it

    def enter(self, state: State, reason: str = "") -> None:
        """Enter the state, and report it."""
        with self._lock:
            self.state, self.reason = state, reason
        self._listeners.emit(StateChanged(state, reason))

    def enter_from(self, before: State, state: State, reason: str = "") -> None:
        """Enter it unless another state came meanwhile, as Halted does by a listener's abort."""
        with self._lock:
            if self.state is not before:
                return
            self.state, self.reason = state, reason
        self._listeners.emit(StateChanged(state, reason))
        if self.state is not state:  # it came while this one was reported: the last report must be the true one
            self._listeners.emit(StateChanged(self.state, self.reason))

    def exchange(self, state: State) -> State:
        """Stand in this state without a report, which comes once what it stands for runs; returns the one before."""
        with self._lock:
            before, self.state = self.state, state
        return before

    def report(self, fault: Fault) -> None:
        """Report a fault that stands from now on."""
        self.fault = fault
        self._listeners.emit(fault)

    def fail(self, error: BaseException) -> None:
        """Enter Error because of this, and report it as a fault with its remedy."""
        if isinstance(error, DeviceError):
            text, action = str(error), "clear the cause, then Reset: devices are opened again and the arm homes"
        else:
            text, action = f"{type(error).__name__}: {error}", "Reset; if it comes again, keep the log and report it"
        self.enter(State.ERROR, text)
        self.report(Fault(text, action, alarms.alarm_id(error)))
