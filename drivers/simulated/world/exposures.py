"""One exposure of the simulated camera: the light and the pose of that very time, then readout and transfer.

Every frame's truth is remembered, so that a test can hold the station's frame against it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from drivers.geometry.pose import Pose
from drivers.protocols import Pixels
from drivers.simulated.camera.exposure import Exposed, ExposureRequest
from drivers.simulated.camera.faults import CameraFaults
from drivers.simulated.clock import SimulatedClock
from drivers.simulated.config import SimulatedRigConfig
from drivers.simulated.firmware.kinds import ArmFirmware, LightFirmware
from drivers.simulated.scene import DIFFUSE_CHANNEL, HEIGHT_PX, Scene
from drivers.simulated.world.fixture import Fixture
from drivers.simulated.world.moments import EXPOSING, TRANSFERRING, Moments
from drivers.simulated.world.visits import Visits

STROBE_WIRE = 0b010  # the camera's Line1 goes to the trigger inputs of the light controller
FRAMES_REMEMBERED = 500


class Exposures:
    """Exposes frame after frame, on the thread of the camera's wire. `count` is how many there were.

    `ambient_level` is light of the diffuse dome that is always on.
    """

    def __init__(
        self,
        config: SimulatedRigConfig,
        clock: SimulatedClock,
        arm: ArmFirmware,
        lights: LightFirmware,
        fixture: Fixture,
        visits: Visits,
        faults: CameraFaults,
        moments: Moments,
    ) -> None:
        self._config = config
        self._clock = clock
        self._arm = arm
        self._lights = lights
        self._fixture = fixture
        self._visits = visits
        self._faults = faults
        self._moments = moments
        self.ambient_level = config.imperfections.ambient_level
        self.count = 0
        self._lock = threading.Lock()
        self._log: deque[dict[str, Any]] = deque(maxlen=FRAMES_REMEMBERED)
        self._prerendered: dict[tuple[object, ...], Pixels] = {}
        self._prerendered_scene: Scene | None = None

    def expose(self, request: ExposureRequest, ended: Callable[[], None]) -> Exposed | None:
        """Returns when the frame has been read out and transferred; None for one that a fault loses.

        `ended` is called once the sensor gathers no more light.
        """
        exposure_s = request.exposure_us / 1e6
        is_struck = self._moments.is_next(EXPOSING)
        with self._clock.standing() if is_struck else nullcontext():
            start_s = self._clock.now_s()
            if request.active_lines & STROBE_WIRE:
                self._lights.exposure_line(start_s, start_s + exposure_s)
            if is_struck:
                self._clock.set_forward(exposure_s / 2)
            self._moments.reached(EXPOSING)
        self._clock.sleep(start_s + exposure_s - self._clock.now_s())
        ended()
        lit = self._lit(start_s, start_s + exposure_s)
        pose = self._visits.true_pose(start_s + exposure_s / 2)
        scene = self._fixture.seen_from(pose)
        self.count += 1
        fault = self._faults.next_frame()
        pixels = self._photograph(scene, pose, lit, request, frame_seed=self.count)
        self._moments.reached(TRANSFERRING)
        ready_s = start_s + exposure_s + self._transfer_s(request, pixels.nbytes)
        self._clock.sleep(ready_s - self._clock.now_s())
        exposed = Exposed(pixels, int(start_s * 1e9), complete=fault != "incomplete")
        self._remember(request, exposed, lit, pose, fault)
        return self._faults.spoil(exposed, request.frame_id, fault)

    def since(self, since_ns: int) -> list[dict[str, Any]]:
        """The truth of each frame exposed since `since_ns`, simulated time: light levels, true pose, fault."""
        with self._lock:
            return [entry for entry in self._log if entry["timestamp_ns"] >= since_ns]

    def _lit(self, start_s: float, end_s: float) -> dict[int, float]:
        """Channel -> mean level of the exposure, ambient light included; dark ones are left out."""
        levels = self._lights.mean_levels(start_s, end_s)
        if self.ambient_level:
            levels = {**levels, DIFFUSE_CHANNEL: levels.get(DIFFUSE_CHANNEL, 0.0) + self.ambient_level}
        return {channel: level for channel, level in levels.items() if level > 0}

    def _photograph(
        self, scene: Scene, pose: Pose, lit: dict[int, float], request: ExposureRequest, frame_seed: int
    ) -> Pixels:
        factor = self._faults.exposure_factor
        key = (pose, tuple(sorted(lit.items())), request.picture, request.exposure_us, request.gain_db, factor)
        if scene is not self._prerendered_scene:
            self._prerendered_scene = scene
            self._prerendered.clear()
        if self._config.prerendered and key in self._prerendered:
            return self._prerendered[key]
        pixels = scene.photograph(
            pose,
            lit,
            exposure_us=request.exposure_us * factor,
            gain_db=request.gain_db,
            pixel_format=request.pixel_format,
            binning=request.binning,
            roi=(request.offset_x, request.offset_y, request.width, request.height),
            frame_seed=frame_seed,
            black_level_dn=request.black_level_dn,
        )
        if self._config.prerendered:
            pixels.flags.writeable = False
            self._prerendered[key] = pixels
        return pixels

    def _transfer_s(self, request: ExposureRequest, payload_bytes: int) -> float:
        """Readout and transfer overlap: the slower one counts."""
        rows_share = request.height * request.binning / HEIGHT_PX
        readout_s = self._config.camera.readout_ms_full / 1e3 * rows_share
        return max(readout_s, payload_bytes / self._config.camera.link_bytes_per_s)

    def _remember(
        self, request: ExposureRequest, exposed: Exposed, lit: dict[int, float], pose: Pose, fault: str | None
    ) -> None:
        middle_s = exposed.timestamp_ns / 1e9 + request.exposure_us / 2e6
        entry = {
            "frame_id": request.frame_id,
            "timestamp_ns": exposed.timestamp_ns,
            "lights": lit,
            "pose": pose.as_tuple(),
            "moving": self._arm.is_moving_between(exposed.timestamp_ns / 1e9, middle_s),
            "exposure_us": request.exposure_us,
            "fault": fault,
        }
        with self._lock:
            self._log.append(entry)
