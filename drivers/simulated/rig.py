"""The rig process: one world (part, arm, lights, clock) behind a GenTL producer, two serial wires and a back door."""

from __future__ import annotations

import threading
from pathlib import Path

from drivers.simulated.back_door import BackDoor
from drivers.simulated.camera.exposure import Exposed, ExposureRequest
from drivers.simulated.camera.wire import CameraWire
from drivers.simulated.config import SimulatedRigConfig
from drivers.simulated.control import ControlServer, Verb
from drivers.simulated.faults import FaultAction
from drivers.simulated.firmware.kinds import wire_class
from drivers.simulated.scene import compile_kernels
from drivers.simulated.scene.board import compile_board_kernels
from drivers.simulated.world.world import CHANNELS, World

__all__ = ["CHANNELS", "SimulatedRig"]


class SimulatedRig:
    """Owns the world and the wires that offer it; `start`, then `close`.

    The wires lie in `folder` under names that survive a restart: `gantry`, `lights`, `cameras/*.endpoint`, `control`.
    `stopped` is set when somebody asks the rig to end.
    """

    def __init__(self, config: SimulatedRigConfig, folder: Path) -> None:
        self.config = config
        self.folder = folder
        self.stopped = threading.Event()
        self._world = World(config)
        wire, latency_s = wire_class(config.line_kind), config.serial_latency_ms / 1e3
        self._wires = (
            wire(folder / "gantry", self._world.arm, latency_s=latency_s),
            wire(folder / "lights", self._world.lights, latency_s=latency_s),
        )
        self._camera = CameraWire(
            expose=self._expose,
            now_ns=self._world.clock.now_ns,
            endpoints_folder=folder / "cameras",
            serial_number=config.serial_number,
            frame_folder=folder,
            temperature_c=self._world.camera_faults.temperature_c,
        )
        self._back_door = BackDoor(self._world, folder, self.faults, self.stopped)
        self._control = ControlServer(folder, self.verbs())

    def start(self) -> None:
        """Offer the wires; returns when all of them can be opened and the first frame need not wait for a compiler."""
        compile_kernels()
        compile_board_kernels()
        (self.folder / "cameras").mkdir(parents=True, exist_ok=True)
        for wire in self._wires:
            wire.start()
        self._camera.start()
        self._control.start()

    def close(self) -> None:
        """Take the back door, the camera and the wires away, in this order."""
        self._control.close()
        self._camera.close()
        for wire in self._wires:
            wire.close()

    def verbs(self) -> dict[str, Verb]:
        """What the back door answers."""
        return self._back_door.verbs()

    def faults(self) -> dict[str, dict[str, FaultAction]]:
        """Device -> name -> what causes it, those of the wires included; of the whole rig under the empty name."""
        faults = self._world.faults()
        plugs: dict[str, FaultAction] = {"unplug": self._unplug, "plug": self._plug, "line": self._fire_line}
        return {**faults, "camera": {**faults["camera"], **plugs}}

    def _expose(self, request: ExposureRequest) -> Exposed | None:
        return self._world.exposures.expose(request, self._camera.exposure_ended)

    def _unplug(self) -> str:
        self._camera.close()
        return "camera unplugged"

    def _plug(self) -> str:
        self._camera.start()
        return "camera plugged in"

    def _fire_line(self) -> str:
        return f"an edge on Line0 of {self._camera.fire_line()} cameras"
