"""One whole camera and viewpoint calibration on the Scene, and how its stated intervals compare with the truth."""

from __future__ import annotations

from drivers.geometry.pose import Pose
from drivers.simulated.config import Imperfections
from station.calibrate.camera.measured_camera import measure_camera
from station.calibrate.studies.scene_bench import SceneBoardBench
from station.calibrate.viewpoints.measured_viewpoints import measure_viewpoints

STUDIED = Imperfections(
    pose_repeatability_mm=0.05, pose_repeatability_deg=0.01, focal_length_percent=0.5, principal_point_px=30.0,
    camera_mount_mm=0.5, camera_mount_deg=0.3,
)  # fmt: skip


def simulated_viewpoint_calibration(
    seed: int, binning: int = 8, wrong: Imperfections = STUDIED
) -> dict[str, tuple[float, float, float]]:
    """Estimate, half width of the 95 % interval and truth of every quantity of one simulated calibration.

    Keys: the camera as a record states it (`fx`, `fy`, `cx`, `cy`, px), then for each viewpoint `top x_mm` to `z_mm`
    along the station's axes and `top right_deg`, `down_deg`, `ahead_deg`, turns about the camera's axes (truth 0).
    """
    bench = SceneBoardBench(seed, wrong)
    camera = measure_camera(bench, lambda _: None, binning)
    found = measure_viewpoints(bench, camera, lambda _: None)
    true = bench.camera
    truth = {"fx": true.focal_px, "fy": true.focal_px, "cx": true.center_px[0], "cy": true.center_px[1]}
    stated = zip(truth, found.hand_eye.intrinsic, found.camera_interval95_px, strict=True)
    out = {name: (float(value), float(half), truth[name]) for name, value, half in stated}
    for viewpoint in found.viewpoints:
        exact = bench.true_viewpoint(Pose(*viewpoint.axes))
        _, turn = viewpoint.errors(exact)
        for axis, name in enumerate(("x_mm", "y_mm", "z_mm")):
            out[f"{viewpoint.name} {name}"] = (
                float(viewpoint.position_mm[axis]), float(viewpoint.position_interval95_mm[axis]),
                float(exact[axis, 3]),
            )  # fmt: skip
        for axis, name in enumerate(("right_deg", "down_deg", "ahead_deg")):
            out[f"{viewpoint.name} {name}"] = (
                float(turn[axis]), float(viewpoint.angle_interval95_deg[axis]), 0.0
            )  # fmt: skip
    return out
