"""The rig process: one world (part, gantry, lights, clock) behind a GenTL link and two serial lines."""

from __future__ import annotations

import logging
import threading
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from drivers.process_memory import peak_memory_mb
from drivers.protocols import Pixels, Pose
from drivers.simulated.camera.exposure import Exposed, ExposureRequest
from drivers.simulated.camera.faults import CameraFaults
from drivers.simulated.camera.wire import CameraWire
from drivers.simulated.clock import SimulatedClock
from drivers.simulated.config import SimulatedBoard, SimulatedDefect, SimulatedPart, SimulatedRigConfig
from drivers.simulated.control import ControlServer, Verb
from drivers.simulated.faults import FaultAction, fault_words, inject_fault
from drivers.simulated.firmware.kinds import ARMS, LIGHTS, wire_class
from drivers.simulated.scene import (
    DEFECT_KINDS,
    PRODUCTS,
    LightHead,
    Placement,
    Scene,
    compile_kernels,
    make_part,
    random_defect,
)
from drivers.simulated.scene.board import BoardMake, BoardPlacement, BoardScene, compile_board_kernels
from drivers.simulated.scene.head import WORKING_DISTANCE_MM
from drivers.simulated.scene.mounted import MountedCamera, arm_frame

log = logging.getLogger(__name__)

DIFFUSE_CHANNEL = 9
BOARD = "charuco"
CHANNELS = tuple(range(1, 10))
SENSOR_HEIGHT_PX = 3648
STROBE_WIRE = 0b010  # the camera's Line1 goes to the trigger inputs of the light controller
FRAMES_REMEMBERED = 500
VISITS_REMEMBERED = 256  # true poses that can be asked for a defect mask
MAXIMUM_POSE_ERROR = 1.0  # mm or degrees: visits farther from the asked pose are visits to another place


@dataclass(frozen=True, slots=True)
class Visit:
    """One stay of the camera at a place: all its frames share one pose error."""

    axes: tuple[float, ...]
    error: tuple[float, float, float, float, float]
    since_s: float


class SimulatedRig:
    """Owns the world and the threads that offer it; `start`, then `close`."""

    def __init__(self, config: SimulatedRigConfig, folder: Path) -> None:
        self.config = config
        self.folder = folder
        self.clock = SimulatedClock(config.clock_speed)
        self.gantry = ARMS[config.arm_kind](self.clock)
        self.lights = LIGHTS[config.lights_kind](self.clock, len(CHANNELS))
        self.camera_faults = CameraFaults(self.clock)
        line = wire_class(config.line_kind)
        self._lines = (
            line(folder / "gantry", self.gantry, latency_s=config.serial_latency_ms / 1e3),
            line(folder / "lights", self.lights, latency_s=config.serial_latency_ms / 1e3),
        )
        self._camera = CameraWire(
            expose=self.expose,
            now_ns=self.clock.now_ns,
            endpoints_folder=folder / "cameras",
            serial_number=config.serial_number,
            frame_folder=folder,
            temperature_c=self.camera_faults.temperature_c,
        )
        self._control = ControlServer(folder, self.verbs())
        self.stopped = threading.Event()
        self._lock = threading.Lock()
        self._visit: Visit | None = None
        self._visits = 0
        self._seen_from: deque[Pose] = deque(maxlen=VISITS_REMEMBERED)  # since the part was loaded, latest last
        self._frames = 0
        self._frame_log: deque[dict[str, Any]] = deque(maxlen=FRAMES_REMEMBERED)
        self._prerendered: dict[tuple[object, ...], Pixels] = {}
        self._ambient = config.imperfections.ambient_level
        wrong = config.imperfections
        self._mounted = MountedCamera.toleranced(
            config.seed, wrong.focal_length_percent, wrong.principal_point_px, wrong.camera_mount_mm,
            wrong.camera_mount_deg,
        )  # fmt: skip
        self._board_make = BoardMake(wrong.board_bow_um, wrong.board_pitch_percent)
        self._bumped: list[tuple[tuple[float, ...], tuple[float, ...]]] = []  # a place, and how far off it now is
        self.part = config.part
        self._scene = self._make_scene(config.part)

    def start(self) -> None:
        """Offer the wires; returns when all of them can be opened and the first frame need not wait for a compiler."""
        compile_kernels()
        compile_board_kernels()
        (self.folder / "cameras").mkdir(parents=True, exist_ok=True)
        for line in self._lines:
            line.start()
        self._camera.start()
        self._control.start()

    def close(self) -> None:
        self._control.close()
        self._camera.close()
        for line in self._lines:
            line.close()

    def verbs(self) -> dict[str, Verb]:
        """What the back door answers."""
        return {
            "load": self._load,
            "inject": self._inject,
            "faults": self._list_faults,
            "defect_mask": self._defect_mask,
            "status": self._status,
            "frames": self._frames_taken,
            "truth": self._truth,
            "stop": self._stop,
        }

    # -- the camera -------------------------------------------------------------------------

    def expose(self, request: ExposureRequest) -> Exposed | None:
        """One exposure as the sensor would take it: the light and the pose of that very time."""
        start_s = self.clock.now_s()
        exposure_s = request.exposure_us / 1e6
        if request.active_lines & STROBE_WIRE:
            self.lights.exposure_line(start_s, start_s + exposure_s)
        self.clock.sleep(exposure_s)
        self._camera.exposure_ended()
        levels = self.lights.mean_levels(start_s, start_s + exposure_s)
        pose = self.true_pose(start_s + exposure_s / 2)
        with self._lock:
            self._frames += 1
            frame_seed = self._frames
            scene = self._scene
        fault = self.camera_faults.next_frame()
        if self._ambient:
            levels = {**levels, DIFFUSE_CHANNEL: levels.get(DIFFUSE_CHANNEL, 0.0) + self._ambient}
        lit = {channel: level for channel, level in levels.items() if level > 0}
        pixels = self._photograph(scene, pose, lit, request, frame_seed)
        ready_s = start_s + exposure_s + self._transfer_s(request, pixels.nbytes)
        self.clock.sleep(ready_s - self.clock.now_s())
        exposed = Exposed(pixels, int(start_s * 1e9), complete=fault != "incomplete")
        self._remember(request, exposed, lit, pose, fault)
        return self.camera_faults.spoil(exposed, request.frame_id, fault)

    def _photograph(
        self, scene: Scene, pose: Pose, lit: dict[int, float], request: ExposureRequest, frame_seed: int
    ) -> Pixels:
        roi = (request.offset_x, request.offset_y, request.width, request.height)
        camera = (roi, request.binning, request.pixel_format, request.exposure_us, request.gain_db)
        factor = self.camera_faults.exposure_factor
        key = (id(scene), pose, tuple(sorted(lit.items())), *camera, request.black_level_dn, factor)
        if self.config.prerendered and key in self._prerendered:
            return self._prerendered[key]
        pixels = scene.photograph(
            pose,
            lit,
            exposure_us=request.exposure_us * factor,
            gain_db=request.gain_db,
            pixel_format=request.pixel_format,
            binning=request.binning,
            roi=roi,
            frame_seed=frame_seed,
            black_level_dn=request.black_level_dn,
        )
        if self.config.prerendered:
            pixels.flags.writeable = False
            self._prerendered[key] = pixels
        return pixels

    def _remember(
        self, request: ExposureRequest, exposed: Exposed, lit: dict[int, float], pose: Pose, fault: str | None
    ) -> None:
        """The truth about a frame, for judging what the station says of it."""
        middle_s = exposed.timestamp_ns / 1e9 + request.exposure_us / 2e6
        entry = {
            "frame_id": request.frame_id,
            "timestamp_ns": exposed.timestamp_ns,
            "lights": lit,
            "pose": pose.as_tuple(),
            "moving": self.gantry.is_moving_between(exposed.timestamp_ns / 1e9, middle_s),
            "exposure_us": request.exposure_us,
            "fault": fault,
        }
        with self._lock:
            self._frame_log.append(entry)

    def _transfer_s(self, request: ExposureRequest, payload_bytes: int) -> float:
        rows_share = request.height * request.binning / SENSOR_HEIGHT_PX
        readout_s = self.config.camera.readout_ms_full / 1e3 * rows_share
        return max(readout_s, payload_bytes / self.config.camera.link_bytes_per_s)

    def true_pose(self, t_s: float) -> Pose:
        """Where the camera physically is at `t_s`: the axes, plus this visit's error."""
        axes = self.gantry.axes_at(t_s)
        with self._lock:
            visit = self._visit
            stayed = visit is not None and visit.axes == axes and not self.gantry.is_moving_between(visit.since_s, t_s)
            if visit is None or not stayed:
                self._visits += 1
                visit = Visit(axes, self._draw_pose_error(self._visits), t_s)
                self._visit = visit
            bump = self._bump_at(axes)
            pose = Pose(*(a + e + b for a, e, b in zip(axes[:5], visit.error, bump, strict=True)))
            if not self._seen_from or self._seen_from[-1] != pose:
                self._seen_from.append(pose)
        return pose

    def _bump_at(self, axes: tuple[float, ...]) -> tuple[float, ...]:
        near = [off for place, off in self._bumped if np.allclose(axes[:5], place, atol=MAXIMUM_POSE_ERROR)]
        return near[-1] if near else (0.0,) * 5

    def _draw_pose_error(self, visit: int) -> tuple[float, float, float, float, float]:
        draw = np.random.default_rng([self.config.seed, visit]).standard_normal(5)
        mm, deg = self.config.imperfections.pose_repeatability_mm, self.config.imperfections.pose_repeatability_deg
        return (
            float(draw[0] * mm),
            float(draw[1] * mm),
            float(draw[2] * mm),
            float(draw[3] * deg),
            float(draw[4] * deg),
        )

    # -- the back door ----------------------------------------------------------------------

    def _make_scene(self, part: SimulatedPart) -> Scene:
        if part.product == BOARD:
            return self._make_board(part, part.board or SimulatedBoard())
        if part.board is not None:
            raise ValueError(f"`board` says how a {BOARD} lies; found it with product {part.product!r}")
        if part.product not in PRODUCTS:
            raise ValueError(f"unknown product {part.product!r}; there are {', '.join((*PRODUCTS, BOARD))}")
        for defect in part.defects:
            if defect.kind not in DEFECT_KINDS:
                raise ValueError(f"unknown defect {defect.kind!r}; there are {', '.join(DEFECT_KINDS)}")
        defects = [random_defect(part.product, d.kind, d.seed) for d in part.defects]
        made = make_part(part.product, part.seed, defects)
        place = made.placement
        moved = Placement(place.x_mm + part.x_mm, place.y_mm + part.y_mm, place.rotation_deg)
        return Scene(replace(made, placement=moved), self._head(), seed=self.config.seed, camera=self._mounted)

    def _make_board(self, part: SimulatedPart, lies: SimulatedBoard) -> Scene:
        placement = BoardPlacement(
            part.x_mm, part.y_mm, lies.z_mm, lies.tilt_deg, lies.lean_deg, lies.rotation_deg
        )  # fmt: skip
        return BoardScene(placement, self._board_make, self._head(), seed=self.config.seed, camera=self._mounted)

    def _head(self) -> LightHead:
        wrong = self.config.imperfections
        return LightHead.toleranced(self.config.seed, wrong.light_direction_deg, wrong.light_intensity_percent)

    def _load(self, request: dict[str, Any]) -> dict[str, Any]:
        part = SimulatedPart(
            product=str(request.get("product", self.part.product)),
            seed=int(request.get("seed", self.part.seed)),
            defects=tuple(SimulatedDefect(**d) for d in request.get("defects", ())),
            x_mm=float(request.get("x_mm", 0.0)),
            y_mm=float(request.get("y_mm", 0.0)),
            board=SimulatedBoard(**request["board"]) if request.get("board") is not None else None,
        )
        scene = self._make_scene(part)
        with self._lock:
            self.part, self._scene = part, scene
            self._seen_from.clear()
            self._prerendered.clear()
        return {"loaded": part.model_dump(mode="json")}

    def faults(self) -> dict[str, dict[str, FaultAction]]:
        """Device -> name -> what causes it; those of the whole rig under the empty name."""
        return {
            "": {
                "ambient": self._set_ambient,
                "bump": lambda *numbers: self._displace("bump", [float(n) for n in numbers]),
                "knock": lambda *numbers: self._displace("knock", [float(n) for n in numbers]),
            },
            "board": {"bow": self._bow_board, "pitch": self._stretch_board},
            "gantry": self.gantry.faults,
            "lights": self.lights.faults,
            "camera": {
                **self.camera_faults.faults(),
                "unplug": self._unplug,
                "plug": self._plug,
                "line": self._fire_line,
            },
        }

    def _inject(self, request: dict[str, Any]) -> dict[str, Any]:
        fault = str(request.get("fault", ""))
        arguments = tuple(str(a) for a in request.get("arguments", ()))
        device, _, name = fault.rpartition(".")
        faults = self.faults()
        if device not in faults or (not device and name not in faults[device]):
            raise ValueError(
                f"unknown fault {fault!r}: say {', '.join(faults[''])}, board.NAME, gantry.NAME, lights.NAME or "
                "camera.NAME; "
                "`station rig inject --list` shows all"
            )
        return {"injected": inject_fault(device or "rig", faults[device], name, arguments)}

    def _list_faults(self, _request: dict[str, Any]) -> dict[str, Any]:
        """Every fault with its arguments, as `inject` takes them."""
        return {
            "faults": {
                f"{device}.{name}".lstrip("."): fault_words(action)
                for device, actions in self.faults().items()
                for name, action in sorted(actions.items())
            }
        }

    def _set_ambient(self, level: str = "0.1") -> str:
        self._ambient = float(level)
        return f"ambient light at {self._ambient:g}"

    def _displace(self, fault: str, values: list[float]) -> str:
        """`bump`: near one place (x y z tilt pan) the arm now stands off by five values; `knock`: the camera itself
        sits otherwise on the arm, by mm and degrees along its right, down and ahead."""
        if len(values) != (10 if fault == "bump" else 6):
            raise ValueError(f"{fault} takes {10 if fault == 'bump' else 6} numbers, found {len(values)}")
        if fault == "bump":
            with self._lock:
                self._bumped.append((tuple(values[:5]), tuple(values[5:])))
            return f"near {values[:5]} the arm stands off by {values[5:]}"
        self._mounted = self._mounted.moved((values[0], values[1], values[2]), (values[3], values[4], values[5]))
        self._remake_scene()
        return f"the camera moved on its arm by {values[:3]} mm and {values[3:]} degrees"

    def _bow_board(self, micrometres: str = "20") -> str:
        self._remake_board(replace(self._board_make, bow_um=float(micrometres)))
        return f"the calibration board's middle stands {self._board_make.bow_um:g} um above its rim"

    def _stretch_board(self, percent: str = "0.5") -> str:
        self._remake_board(replace(self._board_make, pitch_percent=float(percent)))
        return f"the calibration board's pitch is {self._board_make.pitch_percent:g} % longer than stated"

    def _remake_board(self, make: BoardMake) -> None:
        self._board_make = make
        self._remake_scene()

    def _remake_scene(self) -> None:
        scene = self._make_scene(self.part)
        with self._lock:
            self._scene = scene
            self._prerendered.clear()

    def _unplug(self) -> str:
        self._camera.close()
        return "camera unplugged"

    def _plug(self) -> str:
        self._camera.start()
        return "camera plugged in"

    def _fire_line(self) -> str:
        return f"an edge on Line0 of {self._camera.fire_line()} cameras"

    def _frames_taken(self, request: dict[str, Any]) -> dict[str, Any]:
        """Every frame exposed since simulated time `since_ns`: its light levels, true pose and fault."""
        since_ns = int(request.get("since_ns", 0))
        with self._lock:
            return {"frames": [entry for entry in self._frame_log if entry["timestamp_ns"] >= since_ns]}

    def _defect_mask(self, request: dict[str, Any]) -> dict[str, Any]:
        """The truth, for judging the station's answer: a file with the (H, W) mask seen near `pose`."""
        scene, pose = self._seen_near(request["pose"])
        mask = scene.truth(pose, int(request["binning"])).defect_mask
        file = self.folder / "defect_mask.npy"
        np.save(file, mask)
        return {"file": str(file), "pixels": int(mask.sum())}

    def _seen_near(self, wanted: list[float]) -> tuple[Scene, Pose]:
        """The scene, and the true pose of the latest visit near `wanted`."""
        with self._lock:
            near = [p for p in self._seen_from if np.allclose(p.as_tuple(), wanted, atol=MAXIMUM_POSE_ERROR)]
            scene = self._scene
        if not near:
            raise ValueError(f"the camera has not been at {wanted} since the part was loaded")
        return scene, near[-1]

    def _truth(self, request: dict[str, Any]) -> dict[str, Any]:
        """What a calibration should find; with `pose` and `binning` also a file with the view's exact normals."""
        sensor = self._scene.sensor
        answer: dict[str, Any] = {
            "lights": [
                {"channel": light.channel, "position_mm": light.position_mm, "power": light.power, "lobe": light.lobe}
                for light in self._scene.head.lights
                if not light.is_dome
            ],
            "camera": {
                "fx_px": self._mounted.focal_px,
                "fy_px": self._mounted.focal_px,
                "cx_px": self._mounted.center_px[0],
                "cy_px": self._mounted.center_px[1],
                "mount": self._mounted.mount().tolist(),  # camera's frame to the arm's camera frame
                "working_distance_mm": WORKING_DISTANCE_MM,
            },
            "sensor": {
                "gain_dn_per_e": sensor.gain_dn_per_e(12, 0.0),
                "read_noise_e": sensor.read_noise_e,
                "saturation_e": sensor.saturation_e,
                "prnu_percent": sensor.prnu_percent,
                "dsnu_e": sensor.dsnu_e,
            },
        }
        if "arm" in request:
            place = arm_frame(Pose(*(float(v) for v in request["arm"]))) @ self._mounted.mount()
            answer["viewpoint"] = place.tolist()  # (4, 4) camera to station where the arm comes to stand on average
        if "pose" in request:
            scene, pose = self._seen_near(request["pose"])
            seen = scene.truth(pose, int(request["binning"]))
            file = self.folder / "truth.npz"
            dark = [scene.shadow(pose, int(c), int(request["binning"])) for c in request.get("channels", ())]
            lit = seen.part_mask & ~np.any([np.zeros_like(seen.part_mask), *dark], axis=0)  # by each of these lights
            np.savez(file, normals=seen.normals, part_mask=seen.part_mask, depth_mm=seen.depth_mm, lit=lit)
            answer |= {"pose": list(pose.as_tuple()), "file": str(file)}
        return answer

    def _status(self, _request: dict[str, Any]) -> dict[str, Any]:
        now_s = self.clock.now_s()
        return {
            "name": self.config.name,
            "time_s": now_s,
            "axes": list(self.gantry.axes_at(now_s)),
            "light_levels": self.lights.mean_levels(now_s, now_s),
            "part": self.part.model_dump(mode="json"),
            "frames": self._frames,
            "peak_memory_mb": peak_memory_mb(),
        }

    def _stop(self, _request: dict[str, Any]) -> dict[str, Any]:
        self.stopped.set()
        return {"stopping": True}
