"""The rig file: which devices there are, how to reach them, how far they may travel."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from station.document_errors import FieldError
from station.documents import load_document, save_document

AXES = ("x_mm", "y_mm", "z_mm", "tilt_deg", "pan_deg")

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Text = Annotated[str, Field(pattern=r"^[^\x00-\x1f]{1,1024}$")]
VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class CameraFile(_Strict):
    driver: Literal["genicam"] = "genicam"
    producer: Text  # `simcam` for the simulated camera, else the path of the maker's .cti
    serial_number: Text | None = None  # needed where the producer shows more than one camera
    environment: dict[VariableName, Text] = Field(default_factory=dict)  # set before the producer is loaded
    frame_timeout_s: Positive = 5.0  # beyond the exposure itself; then the frame counts as lost


class AxisFile(_Strict):
    """One axis of the arm: machine position = station position + offset."""

    name: Literal["x_mm", "y_mm", "z_mm", "tilt_deg", "pan_deg"]
    machine_axis: Literal["X", "Y", "Z", "A", "B", "C"]
    minimum: Finite  # of the station position; nothing outside is ever sent to the controller
    maximum: Finite
    offset: Finite = 0.0


class ArmFile(_Strict):
    driver: Literal["grbl"] = "grbl"
    port: Text
    axes: tuple[AxisFile, ...]
    tolerance_mm: Positive = 0.05
    reply_timeout_s: Positive = 1.0

    @model_validator(mode="after")
    def _axes_are_complete(self) -> ArmFile:
        names = [axis.name for axis in self.axes]
        missing = [name for name in AXES if name not in names]
        if missing:
            raise FieldError(("axes",), f"the axis {missing[0]} is missing; all of {', '.join(AXES)} are needed")
        letters: dict[str, int] = {}
        for index, axis in enumerate(self.axes):
            if names.index(axis.name) != index:
                raise FieldError(("axes", index, "name"), f"{axis.name} stands here twice")
            if letters.setdefault(axis.machine_axis, index) != index:
                raise FieldError(("axes", index, "machine_axis"), f"{axis.machine_axis} already drives another axis")
            if not axis.minimum < axis.maximum:
                raise FieldError(("axes", index, "minimum"), f"{axis.minimum} is not below the maximum {axis.maximum}")
        return self


class LightsFile(_Strict):
    driver: Literal["gardasoft"] = "gardasoft"
    port: Text
    channels: tuple[Annotated[int, Field(ge=1, le=255)], ...] = Field(min_length=1)
    settle_s: NotNegative = 0.005  # from acknowledge to stable light
    reply_timeout_s: Positive = 0.5

    @model_validator(mode="after")
    def _channels_are_unique(self) -> LightsFile:
        for index, channel in enumerate(self.channels):
            if channel in self.channels[:index]:
                raise FieldError(("channels", index), f"channel {channel} stands here twice")
        return self


class RigFile(_Strict):
    name: Name
    simulated: bool
    camera: CameraFile
    arm: ArmFile
    lights: LightsFile


def load_rig(path: Path) -> RigFile:
    """Raises DocumentError."""
    return load_document(path, RigFile)


def save_rig(path: Path, rig: RigFile) -> None:
    """Atomic; `load_rig` reads the same back."""
    save_document(path, rig, header="A rig of the Facet station: its devices and how to reach them.")
