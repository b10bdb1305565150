"""Starts the simulated rig as a process of its own, waits until its wires can be opened, and stops it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from queue import Empty, Queue
from types import TracebackType

from drivers.errors import DeviceLost, DeviceTimeout
from drivers.simulated.config import SimulatedRigConfig
from drivers.simulated.control import RigControl

START_TIMEOUT_S = 240.0  # the first start on a machine compiles the renderer


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
        getting ready, DeviceTimeout when it takes longer than START_TIMEOUT_S."""
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
        assert process.stdout is not None
        lines: Queue[str] = Queue()
        stdout = process.stdout
        threading.Thread(target=lambda: lines.put(stdout.readline()), daemon=True).start()
        try:
            line = lines.get(timeout=START_TIMEOUT_S)
        except Empty:
            self.kill()
            raise DeviceTimeout(
                "simulated rig", f"in {self.folder} was not ready within {START_TIMEOUT_S:.0f} s; see its rig.log"
            ) from None
        if "ready" not in line:
            self.kill()
            words = (self.folder / "rig.log").read_text(encoding="utf-8").strip()
            raise DeviceLost(
                "simulated rig", f"in {self.folder} ended while starting: {words or 'its rig.log is empty'}"
            )

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
