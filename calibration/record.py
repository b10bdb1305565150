"""The calibration record: everything measured about one rig, bound to one camera, and never edited by hand.

A record is a YAML file; these are its fields. Spreads are one sigma. Recipes are bound to a record by its SHA-256, so
files of earlier versions must still load: fields may be added with a default, never renamed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

SCHEMA_VERSION = 1

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
UtcTime = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z$")]
# No figure of a rig lies beyond these; a value that does is a slip, and would only be noticed by what it spoils.
MOST = 1e9
Positive = Annotated[float, Field(gt=0, le=MOST, allow_inf_nan=False)]
Finite = Annotated[float, Field(ge=-MOST, le=MOST, allow_inf_nan=False)]
Pixels = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Focal = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]  # px
Coordinate = Annotated[float, Field(ge=-100_000, le=100_000, allow_inf_nan=False)]  # mm or degrees
Intensity = Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=1_000_000)]
Channel = Annotated[int, Field(ge=1, le=255)]
Vector = tuple[Finite, Finite, Finite]
Rows = tuple[tuple[Finite, ...], ...]
Share = Annotated[float, Field(ge=0, le=MOST, allow_inf_nan=False)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Part = Literal["camera", "viewpoints", "light directions", "light intensities", "dark frame", "sensor", "flat field"]


def _whole_number(value: object) -> object:
    """Python takes `true` and 1.0 for 1; a file that says so means something else."""
    if isinstance(value, bool | float):
        raise ValueError(f"expected a whole number, found {str(value).lower()}")
    return value


SchemaVersion = Annotated[Literal[1], BeforeValidator(_whole_number)]


def vector_of(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Three numbers as a record keeps them."""
    return float(values[0]), float(values[1]), float(values[2])


def rows_of(matrix: NDArray[np.float64]) -> tuple[tuple[float, ...], ...]:
    """A matrix as a record keeps it, row by row."""
    return tuple(tuple(float(v) for v in row) for row in matrix)


class CalibrationFieldError(ValueError):
    """A field holds what it must not; `field_path` leads to it from the top of the document."""

    def __init__(self, field_path: tuple[str | int, ...], message: str) -> None:
        super().__init__(message)
        self.field_path = field_path


class CalibratedLight(BaseModel):
    """One channel of the light controller as the camera sees it.

    Camera axes: x right, y up, z toward the camera, origin at the target point (on the optical axis at the working
    distance). A directional light has either a position (near light) or a direction toward it; a diffuse one neither.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    channel: Channel
    name: Identifier
    kind: Literal["directional", "diffuse"]
    position_mm: tuple[Coordinate, Coordinate, Coordinate] | None = None
    direction: Vector | None = None
    relative_intensity: Intensity = 1.0
    # Signal over black of the white plane in the middle of the picture, as a share of full scale per ms, at full
    # brightness and 0 dB. By this level the lights of two calibrations are compared.
    plane_level_per_ms: Intensity | None = None
    lobe_exponent: Share | None = None  # of the LED, which aims at the target point; None where it was not measured
    direction_spread_deg: Share | None = None  # one sigma per axis, at the target point
    distance_spread_mm: Share | None = None
    intensity_spread: Share | None = None  # relative, one sigma
    flags: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _has_a_place(self) -> CalibratedLight:
        given = [name for name in ("position_mm", "direction") if getattr(self, name) is not None]
        if self.kind == "directional" and len(given) != 1:
            raise CalibrationFieldError((), "a directional light needs either position_mm or direction")
        if self.kind == "diffuse" and given:
            raise CalibrationFieldError((given[0],), "a diffuse light has no place; leave this out")
        if given and self._toward()[2] <= 0:
            raise CalibrationFieldError((given[0],), "the light is behind the part (z must be > 0, toward the camera)")
        return self

    def unit_direction(self) -> tuple[float, float, float]:
        """Unit vector (x, y, z) from the target point toward the light. Raises ValueError for a diffuse light."""
        x, y, z = self._toward()
        length = math.sqrt(x * x + y * y + z * z)
        return (x / length, y / length, z / length)

    def _toward(self) -> Vector:
        vector = self.position_mm if self.position_mm is not None else self.direction
        if vector is None:
            raise ValueError(f"light {self.name!r} (channel {self.channel}) is diffuse: it has no direction")
        return vector


class SensorRecord(BaseModel):
    """EMVA 1288 figures of the unbinned sensor at the recorded gain."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pixel_format: str
    gain_db: Finite
    gain_dn_per_e: Positive
    gain_spread: Share
    read_noise_e: Share
    read_noise_spread_e: Share
    saturation_capacity_e: Positive
    linearity_error_percent: Share | None = None
    dsnu_e: Share
    prnu_percent: Share


class CameraRecord(BaseModel):
    """How the camera's figures were found. A spread times `factor95` is half of its 95 % interval."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fx_spread_px: Share
    fy_spread_px: Share
    cx_spread_px: Share
    cy_spread_px: Share
    factor95: Positive
    model: str  # of the distortion: k1, k1k2, full or full+tangential
    rms_px: Share
    left_out_rms_px: Share | None = None
    pictures_used: Count
    pictures_taken: Count
    refused: tuple[str, ...] = ()  # pictures left out, each with the reason


class ReturnsRecord(BaseModel):
    """How repeated visits to one viewpoint scatter, one sigma per axis."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    count: int = Field(ge=2, le=1_000_000)
    mm: Share
    deg: Share
    px: Share
    worst_px: Share


class ViewpointRecord(BaseModel):
    """Where the camera truly is when the arm reports `arm`; frames as in `calibration.viewpoints`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Identifier
    arm: tuple[Coordinate, Coordinate, Coordinate, Coordinate, Coordinate]  # x, y, z in mm, tilt and pan in degrees
    camera_to_station: Rows  # (4, 4), camera frame x right, y down, z ahead
    covariance: Rows  # (6, 6) of a small move in the camera's frame: rotation in rad, then shift in mm
    factor95: Positive
    returns: ReturnsRecord | None = None

    @model_validator(mode="after")
    def _is_a_pose(self) -> ViewpointRecord:
        pose = np.array(self.camera_to_station if all(len(r) == 4 for r in self.camera_to_station) else ())
        turn = pose[:3, :3] if pose.shape == (4, 4) else np.zeros((3, 3))
        if not np.allclose(turn @ turn.T, np.eye(3), atol=1e-6) or np.linalg.det(turn) < 0:
            raise CalibrationFieldError(("camera_to_station",), "is no rigid pose of four rows of four")
        if len(self.covariance) != 6 or any(len(row) != 6 for row in self.covariance):
            raise CalibrationFieldError(("covariance",), "must have six rows of six")
        return self

    def pose(self) -> NDArray[np.float64]:
        """(4, 4) camera frame (x right, y down, z ahead) to station frame, mm."""
        return np.array(self.camera_to_station, np.float64)


class Picture(BaseModel):
    """One picture from which the calibration was computed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=255)]
    sha256: Sha256  # of the raw pixels, row by row, little endian


class FlatFieldRecord(BaseModel):
    """The flat-field maps: for each light by how much it is stronger than its model. A file beside the record.

    The lights ride with the camera and fall on every view alike, so one set of maps holds for all viewpoints.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
    sha256: Sha256
    departure_percent: Share  # rms of the maps, without what all lights share
    plane_tilt_deg: Share | None = None  # of the white plane against the camera, as the lights saw it
    plane_tilt_spread_deg: Share | None = None


class Provenance(BaseModel):
    """How a calibration came about, who released it, and until when it is valid."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lens_serial_number: str = "unknown"
    lights_serial_number: str = "unknown"
    temperature_c: Finite | None = None  # of the camera's housing; None where the camera cannot measure it
    measured: tuple[Part, ...]
    nominal: tuple[Part, ...] = ()  # taken from the drawing, not measured
    pictures: tuple[Picture, ...] = ()
    residuals: dict[str, Finite] = Field(default_factory=dict)
    limits: dict[str, Finite] = Field(default_factory=dict)
    flags: tuple[str, ...] = ()
    released_by: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    released: UtcTime | None = None
    expires: UtcTime | None = None

    @model_validator(mode="after")
    def _release_is_whole(self) -> Provenance:
        if (self.released_by is None) != (self.released is None):
            raise CalibrationFieldError(("released_by",), "released_by and released belong together")
        if self.released is not None and (self.expires is None or self.expires <= self.released):
            raise CalibrationFieldError(("expires",), "a released calibration needs an expiry after its release")
        both = sorted(set(self.measured) & set(self.nominal))
        if both:
            raise CalibrationFieldError(("nominal",), f"{both[0]!r} cannot be both measured and nominal")
        return self

    def is_expired(self, now: str) -> bool:
        """Whether `now`, UTC in the record's own form such as 2026-11-24T08:00:00Z, lies at or after the expiry."""
        return self.expires is not None and now[:19] >= self.expires[:19]


class Calibration(BaseModel):
    """The record. Pixels are those of the full sensor, unbinned, centres at integers, origin at the top left."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: SchemaVersion = 1
    calibration_id: Identifier
    created: UtcTime
    camera_serial_number: Annotated[str, Field(min_length=1, max_length=64)]
    image_width: int = Field(gt=0, le=65_535)
    image_height: int = Field(gt=0, le=65_535)
    fx_px: Focal
    fy_px: Focal
    cx_px: Pixels
    cy_px: Pixels
    distortion: tuple[Finite, ...] = ()  # in OpenCV's order: k1 k2 p1 p2 k3 ...
    working_distance_mm: Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)]
    black_level_dn: Annotated[float, Field(ge=0, le=4095, allow_inf_nan=False)]  # on the camera's 12-bit scale
    lights: tuple[CalibratedLight, ...] = Field(min_length=1)
    is_simulated: bool
    note: str = ""
    camera: CameraRecord | None = None
    viewpoints: tuple[ViewpointRecord, ...] = ()
    sensor: SensorRecord | None = None
    flat_field: FlatFieldRecord | None = None
    provenance: Provenance | None = None

    @model_validator(mode="after")
    def _channels_and_names_are_unique(self) -> Calibration:
        for key in ("channel", "name"):
            seen: dict[object, int] = {}
            for index, light in enumerate(self.lights):
                value = getattr(light, key)
                if value in seen:
                    message = f"{value!r} is already that of lights[{seen[value]}]"
                    raise CalibrationFieldError(("lights", index, key), message)
                seen[value] = index
        return self

    def mm_per_px(self, binning: int = 1) -> float:
        """Size in mm of a binned pixel on the plane at the working distance."""
        return self.working_distance_mm / self.fx_px * binning

    def center_px(self, binning: int = 1) -> tuple[float, float]:
        """The principal point (x, y) in pixels of the binned picture."""
        return ((self.cx_px + 0.5) / binning - 0.5, (self.cy_px + 0.5) / binning - 0.5)

    def light(self, channel: int) -> CalibratedLight:
        """The light of a channel. Raises KeyError, naming the channels that there are."""
        for light in self.lights:
            if light.channel == channel:
                return light
        known = ", ".join(str(light.channel) for light in self.lights)
        raise KeyError(f"channel {channel} is not in calibration {self.calibration_id!r} (it has {known})")

    def viewpoint(self, name: str) -> ViewpointRecord | None:
        """The measured viewpoint of that name; None where it was not measured."""
        return next((viewpoint for viewpoint in self.viewpoints if viewpoint.name == name), None)

    def directions(self, channels: Sequence[int]) -> NDArray[np.float64]:
        """(K, 3) unit vectors toward the lights, seen from the target point."""
        return np.array([self.light(channel).unit_direction() for channel in channels], dtype=np.float64).reshape(-1, 3)

    def positions_mm(self, channels: Sequence[int]) -> NDArray[np.float64] | None:
        """(K, 3) positions from the target point; None unless all of these lights have one."""
        places = [self.light(channel).position_mm for channel in channels]
        return None if any(place is None for place in places) else np.array(places, dtype=np.float64).reshape(-1, 3)

    def intensities(self, channels: Sequence[int]) -> NDArray[np.float64]:
        """(K,) relative intensities at the target point."""
        return np.array([self.light(channel).relative_intensity for channel in channels], dtype=np.float64)
