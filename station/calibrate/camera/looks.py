"""From where the board is photographed: three places of the board, and the camera's looks at each of them."""

from __future__ import annotations

import math

from drivers.geometry.pose import Pose
from station.calibrate.bench.board_bench import BoardPlace

# tilt and pan in degrees, distance in mm, and by how many mm in x and y it looks beside the board's middle
Look = tuple[float, float, float, float, float]
WEDGE_EAST = BoardPlace(0.0, 0.0, 25.0, 25.0, 0.0, 20.0)
WEDGE_NORTHWEST = BoardPlace(0.0, 0.0, 25.0, 25.0, 130.0, -35.0)
FLAT = BoardPlace(0.0, 0.0, 8.0, 0.0, 0.0, 12.0)
# A wrong pitch of the board shows only against the arm's own travel: that is why some looks go far to the side.
LOOKS: tuple[tuple[BoardPlace, tuple[Look, ...]], ...] = (
    (WEDGE_EAST, (
        (0, -90, 250, 36, 24), (0, 10, 262, -36, 24), (4, 95, 240, -30, -24), (8, 170, 250, 32, -26),
        (22, 90, 256, 0, 0), (22, -80, 244, -16, 0), (30, 40, 250, 10, 10), (18, -150, 252, 0, 16),
    )),
    (WEDGE_NORTHWEST, (
        (0, -60, 255, 30, 28), (2, 40, 243, -36, -20), (5, 150, 258, 34, -24), (12, -140, 248, -30, 26),
        (25, 30, 250, 16, 0), (25, -170, 241, 0, 0), (32, 100, 256, -10, 10), (15, -45, 246, -16, 0),
    )),
    (FLAT, (
        (0, -90, 250, 42, 28), (0, 25, 240, -38, 24), (0, 140, 262, -30, -34), (0, -90, 250, 40, -30),
        (18, -70, 245, 14, 14), (30, 160, 258, -14, 0), (38, 60, 250, 0, -16), (45, -15, 243, 0, 0),
        (45, -125, 257, 12, 12), (44, 110, 250, -12, -12),
    )),
)  # fmt: skip


def pose_of_look(place: BoardPlace, look: Look) -> Pose:
    """The arm's pose from which a camera as drawn looks so at the board, rounded to 0.001 mm."""
    tilt, pan, distance, beside_x, beside_y = look
    t, p = math.radians(tilt), math.radians(pan)
    return Pose(
        round(place.x_mm + beside_x + distance * math.sin(t) * math.cos(p), 3),
        round(place.y_mm + beside_y + distance * math.sin(t) * math.sin(p), 3),
        round(place.z_mm + distance * math.cos(t), 3), float(tilt), float(pan),
    )  # fmt: skip
