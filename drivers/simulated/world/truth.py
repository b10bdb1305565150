"""The truth about a simulated rig, for judging what the station measured: a defect mask, normals, the geometry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from drivers.geometry.pose import Pose
from drivers.simulated.scene import Scene, Sensor
from drivers.simulated.scene.head import WORKING_DISTANCE_MM
from drivers.simulated.scene.mounted import MountedCamera, arm_frame
from drivers.simulated.world.fixture import Fixture


class Truth:
    """Answers as JSON values; pictures go into files of `folder`."""

    def __init__(self, folder: Path, fixture: Fixture) -> None:
        self._folder = folder
        self._fixture = fixture

    def defect_mask(self, request: dict[str, Any]) -> dict[str, Any]:
        """A file with the (H, W) bool mask of what the camera saw of defects near `pose` at `binning`.

        Raises ValueError when it has not been there.
        """
        scene, pose = self._fixture.seen_near(request["pose"])
        mask = scene.truth(pose, int(request["binning"])).defect_mask
        file = self._folder / "defect_mask.npy"
        np.save(file, mask)
        return {"file": str(file), "pixels": int(mask.sum())}

    def measurable(self, request: dict[str, Any]) -> dict[str, Any]:
        """What a calibration should find: lights, lens, mount, sensor.

        With `arm` also the viewpoint at which the camera stands on average, as a (4, 4) from the camera's frame to the
        station's. With `pose` and `binning` also a file with the view's exact normals, lit by all of `channels`.
        """
        camera = self._fixture.camera
        scene = self._fixture.scene
        answer: dict[str, Any] = {
            "lights": _lights(scene),
            "camera": _camera(camera),
            "sensor": _sensor(scene.sensor),
        }
        if "arm" in request:
            place = arm_frame(Pose(*(float(v) for v in request["arm"]))) @ camera.mount()
            answer["viewpoint"] = place.tolist()
        if "pose" in request:
            answer |= self._normals(request)
        return answer

    def _normals(self, request: dict[str, Any]) -> dict[str, Any]:
        scene, pose = self._fixture.seen_near(request["pose"])
        seen = scene.truth(pose, int(request["binning"]))
        file = self._folder / "truth.npz"
        dark = [scene.shadow(pose, int(c), int(request["binning"])) for c in request.get("channels", ())]
        lit = seen.part_mask & ~np.any([np.zeros_like(seen.part_mask), *dark], axis=0)  # by each of these lights
        np.savez(file, normals=seen.normals, part_mask=seen.part_mask, depth_mm=seen.depth_mm, lit=lit)
        return {"pose": list(pose.as_tuple()), "file": str(file)}


def _lights(scene: Scene) -> list[dict[str, Any]]:
    return [
        {"channel": light.channel, "position_mm": light.position_mm, "power": light.power, "lobe": light.lobe}
        for light in scene.head.lights
        if not light.is_dome
    ]


def _camera(camera: MountedCamera) -> dict[str, Any]:
    return {
        "fx_px": camera.focal_px,
        "fy_px": camera.focal_px,
        "cx_px": camera.center_px[0],
        "cy_px": camera.center_px[1],
        "mount": camera.mount().tolist(),  # camera's frame to the arm's camera frame
        "working_distance_mm": WORKING_DISTANCE_MM,
    }


def _sensor(sensor: Sensor) -> dict[str, float]:
    return {
        "gain_dn_per_e": sensor.gain_dn_per_e(12, 0.0),
        "read_noise_e": sensor.read_noise_e,
        "saturation_e": sensor.saturation_e,
        "prnu_percent": sensor.prnu_percent,
        "dsnu_e": sensor.dsnu_e,
    }
