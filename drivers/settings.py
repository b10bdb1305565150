"""What the settings of all drivers share: strict models, and field types with their limits.

A driver's settings are one section of a rig file, without its `driver:` line. The settings object is passed whole to
the driver, so each default stands in one place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Text = Annotated[str, Field(pattern=r"^[^\x00-\x1f]{1,1024}$")]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]

# What a machine of this size can mean. A value beyond is a slip of the keyboard or of the unit, and is refused with its
# line; the three types above are for drivers of other packages, which state bounds of their own.
Coordinate = Annotated[float, Field(ge=-100_000, le=100_000, allow_inf_nan=False)]  # mm or degrees
Timeout = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]  # seconds
Interval = Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)]  # seconds; 0 = never
Pause = Annotated[float, Field(ge=0, le=60, allow_inf_nan=False)]  # seconds in every step
Distance = Annotated[float, Field(ge=0, le=10_000, allow_inf_nan=False)]  # mm
ToleranceMm = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]
ToleranceDeg = Annotated[float, Field(gt=0, le=90, allow_inf_nan=False)]


class SettingsError(ValueError):
    """Raised by a model's own check, and reported with file and line.

    `field_path` leads from that model to the field that is meant: names of fields, and indices of lists.
    """

    def __init__(self, field_path: Sequence[str | int], message: str) -> None:
        super().__init__(message)
        self.field_path = tuple(field_path)


class DriverSettings(BaseModel):
    """Refuses unknown keys, converts nothing silently, and does not change afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _distinct(channels: tuple[int, ...]) -> tuple[int, ...]:
    for index, channel in enumerate(channels):
        if channel in channels[:index]:
            raise SettingsError((index,), f"channel {channel} stands here twice")
    return channels


Channels = Annotated[
    tuple[Annotated[int, Field(ge=1, le=255)], ...],
    Field(min_length=1),
    AfterValidator(_distinct),
]
