"""Corrects viewpoint poses so that this camera sees the view that the model was trained on.

A camera that sits 0.3 degrees askew on its arm shifts the picture by more than a millimetre. The model would then
call every edge of a good part a defect.
"""

from __future__ import annotations

import numpy as np

from calibration.hand_eye.aim import CameraOnArm, aim, mount_of
from calibration.hand_eye.poses import arm_pose, pose_of
from calibration.record import Calibration
from drivers.geometry.rigid import rotation_vector
from station.recipe.fields import PoseChoice, Recipe, ReferenceCamera, Viewpoint

# A mount that was taken off and put back, or another lens of the same kind, needs less than this. Beyond it the part
# leaves the working distance for which lights and plane heights hold, or the camera is another one altogether.
MOST_MM, MOST_DEG = 6.0, 3.0


def reference_camera(calibration: Calibration) -> ReferenceCamera:
    """The camera as a recipe keeps it: focal length and principal point in pixels of the full sensor, and its mount.

    The mount is the camera's place on the arm, in mm and as a rotation vector in degrees.
    """
    camera = camera_on_arm(calibration)
    turn_deg = np.degrees(rotation_vector(camera.mount[:3, :3]))
    return ReferenceCamera(
        focal_px=round(camera.focal_px, 3), center_px=_two(*camera.center_px),
        on_arm_mm=_three(*camera.mount[:3, 3]), on_arm_deg=_three(*turn_deg),
    )  # fmt: skip


def camera_on_arm(calibration: Calibration) -> CameraOnArm:
    """The camera and its mount as the calibration found them.

    Where no viewpoint was measured, the mount is the drawing's: the camera's frame is the arm's.
    """
    views = calibration.viewpoints
    mount = mount_of(views[0].arm, views[0].pose()) if views else np.eye(4)
    return CameraOnArm(mount, calibration.fx_px, (calibration.cx_px, calibration.cy_px))


def aimed(recipe: Recipe, calibration: Calibration) -> Recipe:
    """The recipe with poses for this calibration's camera.

    The recipe itself is returned where it was trained with this camera, or does not record its camera.
    """
    if recipe.reference_camera is None:
        return recipe
    kept = recipe.reference_camera
    mount = pose_of(np.radians(kept.on_arm_deg), np.array(kept.on_arm_mm))
    then, now = CameraOnArm(mount, kept.focal_px, kept.center_px), camera_on_arm(calibration)
    if now.is_like(then):
        return recipe
    views = tuple(_aimed(view, then, now, calibration.working_distance_mm) for view in recipe.viewpoints)
    return recipe.model_copy(update={"viewpoints": views})


def aim_problem(written: Recipe, recipe: Recipe, calibration: Calibration) -> str | None:
    """Why the arm must not go to the corrected poses of `recipe`; None where it may.

    `written` holds the poses of the file. A correction of more than MOST_MM or MOST_DEG is refused.
    """
    for before, after in zip(written.viewpoints, recipe.viewpoints, strict=True):
        there, here = (arm_pose(view.as_pose().as_tuple()) for view in (before, after))
        mm = float(np.linalg.norm(here[:3, 3] - there[:3, 3]))
        deg = float(np.degrees(np.linalg.norm(rotation_vector(there[:3, :3].T @ here[:3, :3]))))
        if not (mm <= MOST_MM and deg <= MOST_DEG):
            return (
                f"view {before.name!r}: for {calibration.calibration_id} the arm would stand {mm:.1f} mm and {deg:.1f} "
                f"degrees from the recipe's pose to see what the model learned (at most {MOST_MM:g} mm and "
                f"{MOST_DEG:g} degrees): mount camera and lens as they were, or train the model with this calibration"
            )
    return None


def _aimed(view: Viewpoint, then: CameraOnArm, now: CameraOnArm, distance_mm: float) -> Viewpoint:
    found = aim(view.as_pose().as_tuple(), then, now, distance_mm)
    x, y, z, tilt, pan = (round(value, 4) for value in found)
    return view.model_copy(update={"pose": PoseChoice(x_mm=x, y_mm=y, z_mm=z, tilt_deg=tilt, pan_deg=pan)})


def _two(x: float, y: float) -> tuple[float, float]:
    return round(float(x), 3), round(float(y), 3)


def _three(x: float, y: float, z: float) -> tuple[float, float, float]:
    return round(float(x), 5), round(float(y), 5), round(float(z), 5)
