"""Starts the simulated rig as a process of its own, waits until its wires can be opened, and stops it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from queue import Empty, Queue
from types import TracebackType
from typing import IO

from drivers.compile_notice import tell
from drivers.errors import DeviceLost, DeviceTimeout
from drivers.simulated.config import SimulatedRigConfig
from drivers.simulated.control import RigControl

READY = "rig ready"
START_TIMEOUT_S = 240.0
COMPILE_TIMEOUT_S = 1800.0  # from when the rig says that it compiles: the first start on a machine, or a busy one


class RigProcess:
    """A rig in `folder`; `kill` is the power cut, `close` the polite end. A context manager.

    What it reports goes to `rig.log` in the folder. It also ends when this process does: its standard input closes.
    """

    def __init__(self, folder: Path, config: SimulatedRigConfig) -> None:
        self.folder = folder
        self.config = config
        self.control = RigControl(folder)
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> RigProcess:
        """Returns once every wire can be opened. Raises DeviceLost with the rig's own words when it ends instead of
        getting ready, DeviceTimeout when it takes longer than START_TIMEOUT_S, or COMPILE_TIMEOUT_S if it compiles."""
        self.folder.mkdir(parents=True, exist_ok=True)
        errors = (self.folder / "rig.log").open("w", encoding="utf-8")
        with errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "drivers.simulated", str(self.folder), self.config.model_dump_json()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        self._wait_ready(self._process)
        return self

    def _wait_ready(self, process: subprocess.Popen[str]) -> None:
        """Passes on what the rig says while it starts; a rig that compiles has more time."""
        assert process.stdout is not None
        lines: Queue[str] = Queue()
        threading.Thread(target=_read_until_ready, args=(process.stdout, lines), daemon=True).start()
        timeout_s = START_TIMEOUT_S
        while (line := self._next_line(lines, timeout_s)) and READY not in line:
            timeout_s = COMPILE_TIMEOUT_S
            tell(line.strip())
        if READY not in line:
            self.kill()
            words = (self.folder / "rig.log").read_text(encoding="utf-8").strip()
            raise DeviceLost(
                "simulated rig", f"in {self.folder} ended while starting: {words or 'its rig.log is empty'}"
            )

    def _next_line(self, lines: Queue[str], timeout_s: float) -> str:
        try:
            return lines.get(timeout=timeout_s)
        except Empty:
            self.kill()
            raise DeviceTimeout(
                "simulated rig", f"in {self.folder} was not ready within {timeout_s:.0f} s; see its rig.log"
            ) from None

    @property
    def is_running(self) -> bool:
        """False before `start`, after the end, and when the process died by itself."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._reap()

    def close(self) -> None:
        """Ask it to end; kill it if it does not."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._reap()

    def _reap(self) -> None:
        if self._process is not None:
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    stream.close()
            self._process = None

    def __enter__(self) -> RigProcess:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _read_until_ready(stdout: IO[str], lines: Queue[str]) -> None:
    """Every line up to the one that says ready; an empty one where the rig ended instead."""
    for line in stdout:
        lines.put(line)
        if READY in line:
            return
    lines.put("")
