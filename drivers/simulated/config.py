"""The configuration of a simulated rig: read from YAML by the station, or from JSON by the rig process.

Keys keep their names: rig files and scripts of earlier versions still load.
"""

from __future__ import annotations

import os
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

ArmKind = Literal["grbl", "grblhal", "mycobot"]
LightsKind = Literal["gardasoft", "ccs", "ccs_strobe", "sa0255"]
LineKind = Literal["pty", "socket"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Product = Annotated[  # a name, or the path of a mesh
    str, Field(pattern=r"^(?:[A-Za-z0-9][A-Za-z0-9_.-]{0,63}|.{1,1000}\.(?:[sS][tT][lL]|[oO][bB][jJ]|[pP][lL][yY]))$")
]


Seed = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Angle = Annotated[float, Field(ge=-3600, le=3600)]


class Strict(BaseModel):
    """Refuses unknown keys, so that a misspelt one is an error, and values of another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class SimulatedDefect(Strict):
    """A defect by kind; size, depth and place are drawn from `seed` unless given."""

    kind: Name
    seed: Seed = 0


class SimulatedBoard(Strict):
    """How a calibration board (product `charuco`) lies in the fixture, and how it was made."""

    z_mm: float = Field(default=8.0, ge=0, le=60)  # of its middle, above the plate
    tilt_deg: float = Field(default=0.0, ge=0, le=60)  # on a wedge, its face leaning toward `lean_deg` (0 is +x)
    lean_deg: Angle = 0.0
    rotation_deg: Angle = 0.0  # in its own plane


class SimulatedPart(Strict):
    """What lies in the fixture: a product or mesh with its individual seed, or a target, or nothing."""

    product: Product = "connector"
    seed: Seed = 1
    defects: tuple[SimulatedDefect, ...] = ()
    x_mm: float = Field(default=0.0, ge=-40, le=40)  # put down beside the middle of the fixture
    y_mm: float = Field(default=0.0, ge=-40, le=40)
    turn_deg: float = Field(default=0.0, ge=-180, le=180)  # of a product or mesh, about the middle of the fixture
    board: SimulatedBoard | None = None


class Imperfections(Strict):
    """How far the rig differs from its drawing: spreads of normal draws from the rig's seed, unless stated otherwise.

    All zero but the arm's repeatability by default, so that a rig is as drawn until somebody asks for more.
    """

    pose_repeatability_mm: float = Field(default=0.02, ge=0, le=50)  # one sigma per axis, anew at each visit
    pose_repeatability_deg: float = Field(default=0.005, ge=0, le=45)
    light_direction_deg: float = Field(default=0.0, ge=0, le=10)  # one sigma per axis, of each light of the head
    light_intensity_percent: float = Field(default=0.0, ge=0, le=30)  # one sigma, of each light
    focal_length_percent: float = Field(default=0.0, ge=0, le=10)  # one sigma, of the lens
    principal_point_px: float = Field(default=0.0, ge=0, le=300)  # one sigma per axis
    camera_mount_mm: float = Field(default=0.0, ge=0, le=5)  # one sigma per axis, of the camera on its arm
    camera_mount_deg: float = Field(default=0.0, ge=0, le=5)
    board_bow_um: float = Field(default=0.0, ge=-500, le=500)  # of the calibration board, its middle up
    board_pitch_percent: float = Field(default=0.0, ge=-5, le=5)  # too long, evenly
    light_bounces: int = Field(default=6, ge=0, le=20)  # diffuse reflections between part, fixture and plate; 0 is none
    ambient_level: float = Field(default=0.0, ge=0, le=1)  # of the diffuse dome, always on


class CameraTiming(Strict):
    """The limits of the frame rate: readout of the sensor and transfer (USB3 by default), which overlap."""

    readout_ms_full: float = Field(default=47.8, ge=0, le=60_000)  # full sensor height; shorter for fewer rows
    link_bytes_per_s: float = Field(default=380e6, ge=1e3, le=1e12)


class SimulatedRigConfig(Strict):
    """One simulated rig. Everything random in it follows from `seed`: the same seed gives the same rig and frames."""

    name: Name = "simulated"
    serial_number: Name = "FACET-SIM-0001"
    seed: Seed = 1
    clock_speed: float = Field(default=1.0, ge=0.001, le=1000)  # 1 = the hardware's own times
    serial_latency_ms: float = Field(default=2.0, ge=0, le=60_000)
    arm_kind: ArmKind = "grbl"
    lights_kind: LightsKind = "gardasoft"
    line_kind: LineKind = "pty" if hasattr(os, "openpty") else "socket"
    stepping: Literal["software", "strobe"] = "software"  # what its rig file says
    part: SimulatedPart = SimulatedPart()
    imperfections: Imperfections = Imperfections()
    camera: CameraTiming = CameraTiming()
    prerendered: bool = False  # the same scene under the same light is rendered once, with one noise: for frame rates
