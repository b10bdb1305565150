"""`Pose`: where a camera stands and how it looks, in five numbers.

Station frame: millimetres, origin on the fixture where the part sits, x right and y away from the operator, z up.
A camera at tilt t and pan p looks along f = -(sin t cos p, sin t sin p, cos t); the picture's up direction is
u = (-cos t cos p, -cos t sin p, sin t) and its right is f x u. Tilt 0, pan -90 is the top view with the station's
x to the right and y up.
"""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Pose:
    """The camera's entrance pupil in the station frame, and its tilt and pan. It has no roll."""

    x_mm: float
    y_mm: float
    z_mm: float
    tilt_deg: float
    pan_deg: float

    def as_tuple(self) -> tuple[float, float, float, float, float]:
        """The five numbers in the order of the fields."""
        return (self.x_mm, self.y_mm, self.z_mm, self.tilt_deg, self.pan_deg)


POSE_FIELDS = tuple(field.name for field in fields(Pose))
