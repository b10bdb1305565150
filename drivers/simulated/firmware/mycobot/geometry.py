"""How the simulated six-axis arm stands beside the fixture and carries the camera: stated, not measured.

A myCobot 320 on a low pedestal behind the fixture; the camera hangs under the flange, looking along the flange's x.
So all five viewpoints of the demo lie within its joints' limits.
"""

from __future__ import annotations

import numpy as np

from drivers.geometry.mycobot_kinematics import ModelName
from drivers.geometry.rigid import Transform, from_coordinates

MODEL: ModelName = "320"
BASE: Transform = from_coordinates(-150.0, 240.0, 45.0, 0.0, 0.0, 0.0)
MOUNT: Transform = np.array(  # camera right, down, forward are the flange's y, z, x
    [
        [0.0, 0.0, 1.0, 0.0],
        [1.0, 0.0, 0.0, 0.0],
        [0.0, 1.0, 0.0, 120.0],
        [0.0, 0.0, 0.0, 1.0],
    ]
)
TRAVEL = {
    "x_mm": (-220.0, 220.0),
    "y_mm": (-220.0, 220.0),
    "z_mm": (40.0, 320.0),
    "tilt_deg": (0.0, 60.0),
    "pan_deg": (-200.0, 200.0),
}
START_DEG = (30.0, -20.0, -70.0, -80.0, -60.0, -90.0)  # above the fixture, at no viewpoint
MIDDLE_PAN_DEG = 30.0  # pan is reported within 180 degrees of this, so that no viewpoint lies at the seam
FULL_SPEED_DEG_PER_S = 180.0
ACCELERATION_DEG_PER_S2 = 400.0
FULL_SPEED_MM_PER_S = 200.0
ACCELERATION_MM_PER_S2 = 800.0
