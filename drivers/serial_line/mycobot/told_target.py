"""Whether a myCobot was told what was sent: it is asked where it was told to go, as its frames carry no checksum."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from drivers.serial_line.mycobot import protocol as frames
from drivers.serial_line.mycobot.conversation import MyCobotConversation
from drivers.serial_line.mycobot.protocol import Six
from drivers.serial_line.mycobot.readings import states_the_same_joints, states_the_same_place

log = logging.getLogger(__name__)

ATTEMPTS = 5
IS_SAME: dict[int, Callable[[Six, Sequence[float]], bool]] = {
    frames.ANGLES_PLAN: states_the_same_joints,
    frames.COORDINATES_PLAN: states_the_same_place,
}


class ToldTarget:
    """Asks in each move and after it. Firmware that has never answered is asked for its first move only, and named in
    the log. Where `is_asked` is False it is never asked.
    """

    def __init__(self, conversation: MyCobotConversation, *, is_asked: bool) -> None:
        self._conversation = conversation
        self._is_known: bool | None = None if is_asked else False  # whether the firmware answers, once it was asked
        self._known_under_way: set[int] = set()  # the commands that were answered by the target while the arm moved

    def contradiction_under_way(self, command: int, sent: Sequence[float]) -> str | None:
        """The same as `contradiction`, asked while the arm moves; None also where its answer is no proof.

        The maker does not document whether the answer is the target, or the place planned for that moment. So it is
        believed from firmware that has stated a target under way before, and only when it repeats itself. A silence
        is left to the question after arrival. Raises as `contradiction`.
        """
        if self._is_known is False:
            return None
        before = None
        for _ in range(ATTEMPTS):
            told = self._conversation.planned(command)
            if told is None:
                return None
            if IS_SAME[command](told, sent):
                self._known_under_way.add(command)
                return None
            if told == before and command in self._known_under_way:
                return _in_words(told, sent)
            before = told
        return None

    def contradiction(self, command: int, sent: Sequence[float]) -> str | None:
        """What the arm states instead of `sent`, in words; None where both are the same, or it cannot be asked.

        `command` is ANGLES_PLAN or COORDINATES_PLAN. A byte that was changed on the way may lead less than the
        tolerance aside. An answer that differs is asked for again, as it may be the answer that was changed. Raises
        PositionUntrusted, DeviceLost.
        """
        if self._is_known is False:
            return None
        told = None
        for _ in range(ATTEMPTS):
            told = self._conversation.planned(command)
            if told is not None:
                self._is_known = True
                if IS_SAME[command](told, sent):
                    return None
        if told is None and self._is_known is None:
            self._is_known = False
            log.warning(
                "%s: its firmware does not report where it was told to go: a byte changed on the way is noticed beyond "
                "the tolerance only",
                self._conversation.device,
            )
            return None
        return _in_words(told, sent)


def _in_words(told: Six | None, sent: Sequence[float]) -> str:
    words = "nothing" if told is None else ", ".join(f"{v:g}" for v in told)
    return f"sent to {', '.join(f'{v:.2f}' for v in sent)}; asked where it was told to go, it answers {words}"
