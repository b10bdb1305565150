"""The verbs of the rig's back door: load a part, inject a fault, ask for state or truth. No driver uses it.

`control.py` carries them over a local socket. Each verb takes and returns JSON values and raises ValueError or
KeyError for a request that it refuses.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from drivers.process_memory import peak_memory_mb
from drivers.simulated.config import SimulatedBoard, SimulatedDefect, SimulatedPart
from drivers.simulated.control import Verb
from drivers.simulated.faults import FaultAction, fault_words, inject_fault
from drivers.simulated.world.truth import Truth
from drivers.simulated.world.world import World


class BackDoor:
    """Acts on the world behind the drivers' backs. `stopped` is set by the verb `stop`."""

    def __init__(
        self,
        world: World,
        folder: Path,
        faults: Callable[[], dict[str, dict[str, FaultAction]]],
        stopped: threading.Event,
    ) -> None:
        self._world = world
        self._truth = Truth(folder, world.fixture)
        self._faults = faults
        self._stopped = stopped

    def verbs(self) -> dict[str, Verb]:
        """Name -> verb."""
        return {
            "load": self._load,
            "inject": self._inject,
            "forget": self._forget,
            "faults": self._list_faults,
            "defect_mask": self._truth.defect_mask,
            "status": self._status,
            "frames": self._frames_taken,
            "truth": self._truth.measurable,
            "stop": self._stop,
        }

    def _load(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            part = self._wanted_part(request)
        except ValidationError as error:  # its text has several lines; a person gets one
            raise ValueError(
                "; ".join(f"{p['loc'][-1]} = {p['input']!r}: {p['msg']}" for p in error.errors())
            ) from error
        self._world.fixture.load(part)
        return {"loaded": part.model_dump(mode="json")}

    def _wanted_part(self, request: dict[str, Any]) -> SimulatedPart:
        """What lies in the fixture now, with what the request names instead."""
        fixture = self._world.fixture
        return SimulatedPart(
            product=str(request.get("product", fixture.part.product)),
            seed=int(request.get("seed", fixture.part.seed)),
            defects=tuple(SimulatedDefect(**d) for d in request.get("defects", ())),
            x_mm=float(request.get("x_mm", 0.0)),
            y_mm=float(request.get("y_mm", 0.0)),
            turn_deg=float(request.get("turn_deg", 0.0)),
            board=SimulatedBoard(**request["board"]) if request.get("board") is not None else None,
        )

    def _inject(self, request: dict[str, Any]) -> dict[str, Any]:
        """At once, or in the middle of the `count`-th `moment` from now (`world/moments.py`)."""
        fault = str(request.get("fault", ""))
        arguments = tuple(str(a) for a in request.get("arguments", ()))
        device, _, name = fault.rpartition(".")
        faults = self._faults()
        if device not in faults or (not device and name not in faults[device]):
            raise ValueError(
                f"unknown fault {fault!r}: say {', '.join(faults[''])}, board.NAME, gantry.NAME, lights.NAME or "
                "camera.NAME; `station rig inject --list` shows all"
            )
        inject = partial(inject_fault, device or "rig", faults[device], name, arguments)
        if "moment" not in request:
            self._world.moments.acted_s = time.monotonic()
            return {"injected": inject()}
        moment, count = str(request["moment"]), int(request.get("count", 1))
        self._world.moments.wait_for(moment, count, inject)
        return {"injected": f"{fault} waits for {moment}, number {count} from now"}

    def _forget(self, _request: dict[str, Any]) -> dict[str, Any]:
        """What waits for its moment is not injected any more."""
        self._world.moments.forget()
        return {"forgotten": True}

    def _list_faults(self, _request: dict[str, Any]) -> dict[str, Any]:
        """Every fault with its arguments, as `inject` takes them."""
        return {
            "faults": {
                f"{device}.{name}".lstrip("."): fault_words(action)
                for device, actions in self._faults().items()
                for name, action in sorted(actions.items())
            }
        }

    def _frames_taken(self, request: dict[str, Any]) -> dict[str, Any]:
        """Every frame exposed since simulated time `since_ns`: its light levels, true pose and fault."""
        return {"frames": self._world.exposures.since(int(request.get("since_ns", 0)))}

    def _status(self, _request: dict[str, Any]) -> dict[str, Any]:
        world = self._world
        now_s = world.clock.now_s()
        return {
            "name": world.config.name,
            "time_s": now_s,
            "axes": list(world.arm.axes_at(now_s)),
            "light_levels": world.lights.mean_levels(now_s, now_s),
            "part": world.fixture.part.model_dump(mode="json"),
            "frames": world.exposures.count,
            "peak_memory_mb": peak_memory_mb(),
            "injected_s": world.moments.acted_s,
        }

    def _stop(self, _request: dict[str, Any]) -> dict[str, Any]:
        self._stopped.set()
        return {"stopping": True}
