"""Ten minutes at the operator's window, played on the simulated rig: each step is pressed, printed and photographed.

    python scripts/operator_walk.py out/walk                 offscreen
    QT_QPA_PLATFORM=xcb python scripts/operator_walk.py ...  on the screen, or under xvfb-run

Every step prints what stands on the banner, beside the part id and in the strip; a PNG for each size goes into the
folder. Look at the pictures: what misleads there misleads an operator.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PyQt6.QtCore import QEvent, Qt
from PyQt6.QtGui import QKeyEvent, QMouseEvent
from PyQt6.QtWidgets import QApplication, QPushButton, QWidget

from drivers.simulated.config import SimulatedRigConfig
from drivers.simulated.control import RigControl
from station.archive import Archive
from station.commands.console.engine_adapter import EngineAdapter
from station.console import scan_filter
from station.console.window import ConsoleWindow
from station.engine.engine import Engine
from station.engine.events import State
from station.recipe.demo import DEMO_RECIPES
from station.rig.simulated import PATIENT_FRAME_TIMEOUT_S, running_rig

SIZES = ((1920, 1080), (1280, 800))
PATIENCE_S = 900.0  # on a busy machine
KEY_GAP_MS = 5


class Operator:
    """Two hands, a scanner and a camera in front of one window; `rig` is what happens in the cell meanwhile."""

    def __init__(self, window: ConsoleWindow, rig: RigControl, folder: Path, sizes: Sequence[tuple[int, int]]) -> None:
        self.window = window
        self.rig = rig
        self._folder = folder
        self._sizes = sizes
        self._pictures = 0
        self._key_ms = 0.0
        scan_filter.now_ms = lambda: self._key_ms  # a scanner's keys, however busy this machine is
        self._began = time.monotonic()

    def scan(self, label: str, onto: QWidget | None = None) -> None:
        """Type as a scanner does, into whatever has the focus."""
        self._key_ms += 1000
        for character in label:
            self._key(onto, 0, character)
        self._key(onto, Qt.Key.Key_Return, "\r")

    def press(self, button: QPushButton) -> None:
        """Touch a button; one that is disabled does not answer."""
        for kind in (QEvent.Type.MouseButtonPress, QEvent.Type.MouseButtonRelease):
            at = button.rect().center().toPointF()
            left = Qt.MouseButton.LeftButton
            QApplication.sendEvent(button, QMouseEvent(kind, at, left, left, Qt.KeyboardModifier.NoModifier))

    def wait(self, until: Callable[[], bool], what: str) -> None:
        """Let the window live until the condition holds. Raises TimeoutError."""
        end = time.monotonic() + PATIENCE_S
        while not until():
            if time.monotonic() > end:
                raise TimeoutError(f"waited for {what}; the banner says {self.banner()}")
            QApplication.processEvents()
            time.sleep(0.01)

    def wait_for_state(self, state: State) -> None:
        situation = self.window.situation
        self.wait(lambda: situation.state is state and not situation.is_resetting, f"state {state.value}")

    def wait_for_verdict(self) -> None:
        situation = self.window.situation
        self.wait(lambda: situation.is_starting or situation.is_busy, "the start")
        self.wait(lambda: not (situation.is_starting or situation.is_busy) and self.window.is_settled, "the verdict")

    def banner(self) -> str:
        content = self.window.panels.banner.content
        sign = "[KEEP OUT] " if content.keep_out else ""
        return f"{sign}{content.word} | {' | '.join((*content.lines, *content.muted))}"

    def look(self, step: str) -> None:
        """Print what stands there, and take a picture of it at each size."""
        panels = self.window.panels
        print(f"{time.monotonic() - self._began:6.1f} s  {step}\n    banner  {self.banner()}")
        print(f"    beside the part id  {panels.part_id.text()!r}: {panels.notice.text()}")
        print(f"    strip   {panels.faults.text.text()}")
        self._pictures += 1
        for width, height in self._sizes:
            for _ in range(3):  # the banner's height follows the window's, and the window's least height the banner's
                self.window.resize(width, height)
                QApplication.processEvents()
            name = f"{self._pictures:02d}-{step.replace(' ', '-')}-{width}x{height}.png"
            self.window.grab().save(str(self._folder / name))

    def _key(self, onto: QWidget | None, key: int, text: str) -> None:
        self._key_ms += KEY_GAP_MS
        for kind in (QEvent.Type.KeyPress, QEvent.Type.KeyRelease):
            event = QKeyEvent(kind, key or ord(text.upper()), Qt.KeyboardModifier.NoModifier, text)
            QApplication.sendEvent(onto or self.window.focusWidget() or self.window.panels.part_id, event)


@contextmanager
def open_station(folder: Path, recipe: Path) -> Iterator[tuple[ConsoleWindow, RigControl]]:
    """A window on a simulated rig that nobody has homed yet, and the back door of the rig."""
    application = QApplication.instance() or QApplication(["operator_walk"])
    if isinstance(application, QApplication):
        application.setStyle("Fusion")
    rig_folder = folder / "rig"
    with (
        running_rig(rig_folder, SimulatedRigConfig(), PATIENT_FRAME_TIMEOUT_S) as (_, rig),
        Archive.open(folder / "archive") as archive,
    ):
        engine = Engine(rig, archive)
        window = ConsoleWindow(EngineAdapter(engine, recipe, rig))
        window.resize(*SIZES[0])
        window.show()
        try:
            yield window, RigControl(rig_folder)
        finally:
            window.close()
            engine.close()


def walk(you: Operator) -> None:
    """A morning: homing, a good part, a bad one, a dead light, a lost camera at rest, and back to work."""
    panels, situation = you.window.panels, you.window.situation
    you.wait(lambda: not situation.is_reading_recipe, "the recipe")
    you.look("opened")
    you.press(panels.reset_button)
    QApplication.processEvents()
    you.look("homing")
    you.wait_for_state(State.READY)
    you.look("ready")
    you.scan("SN 0001", onto=panels.stop_button)
    you.wait(lambda: situation.job is not None and situation.steps_done > 6, "some frames")
    you.look("inspecting")
    you.scan("SN 0002")
    you.look("scan while inspecting")
    you.wait_for_verdict()
    you.look("pass")
    you.press(panels.stop_button)
    you.wait(lambda: bool(situation.notice), "the word on STOP")
    you.look("stop at rest")
    you.rig.load("connector", 1, (("scratch", 3),))
    you.scan("SN 0002")
    you.wait_for_verdict()
    you.look("fail")
    you.scan("SN 0001")
    you.wait(lambda: bool(situation.unconfirmed_part), "the question")
    you.look("an id that was inspected before")
    you.scan("x" * 90)
    you.look("an id that is too long")
    dead_light(you)
    lost_camera(you)
    fault_in_a_part(you)


def dead_light(you: Operator) -> None:
    """A lamp dies; the screens agree about it, and a repaired lamp leads back."""
    panels = you.window.panels
    you.rig.load("connector", 2, ())
    you.rig.inject("lights.light_dead", "4")
    you.scan("<b>SN 0003</b>")
    you.wait_for_verdict()
    you.look("dead light")
    you.press(panels.lights_button)
    you.look("dead light in the lights view")
    you.press(panels.faults.details)
    you.look("dead light in detail")
    you.press(panels.faults.details)
    you.rig.inject("lights.light_repaired", "4")
    you.scan("<b>SN 0003</b>")
    you.wait_for_verdict()
    you.look("repaired light")


def lost_camera(you: Operator) -> None:
    """The camera is unplugged while nothing runs; RESET without it fails, and with it leads back to work."""
    panels = you.window.panels
    you.rig.inject("camera.unplug")
    you.wait_for_state(State.ERROR)
    you.look("camera lost at rest")
    you.scan("SN 0004")
    you.look("scan in a fault")
    you.press(panels.faults.button)
    you.look("fault acknowledged")
    you.press(panels.reset_button)
    you.wait(lambda: not you.window.situation.is_resetting, "the refused reset")
    you.look("reset without the camera")
    you.rig.inject("camera.plug")
    you.press(panels.reset_button)
    you.wait_for_state(State.READY)
    you.look("reset")
    you.scan("SN 0004")
    you.wait_for_verdict()
    you.look("back to work")


def fault_in_a_part(you: Operator) -> None:
    """The arm is lost while it moves."""
    panels, situation = you.window.panels, you.window.situation
    you.scan("SN 0005")
    you.wait(lambda: situation.job is not None and situation.steps_done > 6, "some frames")
    you.rig.inject("gantry.unplug")
    you.wait(lambda: situation.state is State.ERROR and situation.result is not None, "the fault")
    you.look("arm lost in a part")
    you.rig.inject("gantry.plug")
    you.press(panels.reset_button)
    you.wait_for_state(State.READY)
    you.look("reset after a part")
    you.scan("SN 0006")
    you.wait(lambda: situation.job is not None and situation.steps_done > 3, "some frames")
    you.press(panels.stop_button)
    QApplication.processEvents()
    you.look("stopping")
    you.wait_for_verdict()
    you.look("stopped")


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("out/walk"), help="receives the pictures")
    folder: Path = parser.parse_args(arguments).folder
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="facet-walk-") as place,
        open_station(Path(place), DEMO_RECIPES / "connector.yaml") as (window, rig),
    ):
        walk(Operator(window, rig, folder, SIZES))


if __name__ == "__main__":
    main(sys.argv[1:])
