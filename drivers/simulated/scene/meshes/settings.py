"""What the YAML beside a mesh says: units, how it stands in the fixture, materials, and what may be missing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from drivers.simulated.scene import kernels
from drivers.simulated.scene.patches import Material

Units = Literal["um", "mm", "cm", "m", "inch"]
MM_PER_UNIT: dict[str, float] = {"um": 0.001, "mm": 1.0, "cm": 10.0, "m": 1000.0, "inch": 25.4}
TEXTURES = {"plain": kernels.PLAIN, "grain": kernels.GRAIN, "brushed": kernels.BRUSHED}
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$")]
Share = Annotated[float, Field(ge=0.0, le=0.95)]
Coordinate = Annotated[float, Field(ge=-200.0, le=200.0)]
Angle = Annotated[float, Field(ge=-360.0, le=360.0)]
Range = tuple[Coordinate, Coordinate]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class MeshMaterial(_Strict):
    """A surface: diffuse colour, gloss at normal incidence, GGX roughness, and a relief that goes through the body.

    `slope` is the relief's typical tangent of tilt, `cell_mm` its pitch, `mottle` the relative spread of albedo.
    `brushed` runs along x.
    """

    albedo: tuple[Share, Share, Share] = (0.5, 0.5, 0.5)
    gloss: tuple[Share, Share, Share] = (0.04, 0.04, 0.04)
    roughness: float = Field(default=0.5, ge=0.02, le=1.0)
    texture: Literal["plain", "grain", "brushed"] = "grain"
    slope: float = Field(default=0.03, ge=0.0, le=0.3)
    cell_mm: float = Field(default=0.6, ge=0.2, le=20.0)
    mottle: float = Field(default=0.04, ge=0.0, le=0.5)

    def as_material(self) -> Material:
        """The same as the Scene's kernels know it."""
        texture = TEXTURES[self.texture]
        return Material(self.albedo, self.gloss, self.roughness, texture, self.slope, self.cell_mm, self.mottle)


class Box(_Strict):
    """A space in the fixture, mm, of the part as it stands there; a side that is left out has no bound."""

    x: Range = (-200.0, 200.0)
    y: Range = (-200.0, 200.0)
    z: Range = (-200.0, 200.0)

    @model_validator(mode="after")
    def _in_order(self) -> Box:
        for axis in ("x", "y", "z"):
            lo, hi = getattr(self, axis)
            if not lo < hi:
                raise ValueError(f"{axis}: the first number must be the smaller one, found {lo:g} and {hi:g}")
        return self


class Facing(_Strict):
    """Directions of a surface's normal, within an angle of `direction`."""

    direction: tuple[Coordinate, Coordinate, Coordinate]
    within_deg: float = Field(default=30.0, gt=0.0, le=180.0)

    @model_validator(mode="after")
    def _points_somewhere(self) -> Facing:
        if not any(self.direction):
            raise ValueError("direction: must not be all zero")
        return self


class Region(_Strict):
    """Triangles whose middle lies in `box` and whose normal is `facing`, with a material of their own."""

    name: Name
    box: Box = Box()
    facing: Facing | None = None
    material: MeshMaterial | None = None  # None: the product's
    defects: bool = True  # whether defects may lie here


class Feature(_Strict):
    """What may be missing: all of the part that lies in `box`."""

    name: Name
    box: Box


class FixturePose(_Strict):
    """Turned about its own x, then y, then z; its middle stands at x_mm and y_mm, its lowest point at z_mm."""

    turn_deg: tuple[Angle, Angle, Angle] = (0.0, 0.0, 0.0)
    x_mm: float = Field(default=0.0, ge=-40.0, le=40.0)
    y_mm: float = Field(default=0.0, ge=-40.0, le=40.0)
    z_mm: float = Field(default=0.0, ge=0.0, le=40.0)


class MeshSettings(_Strict):
    """One mesh product. Every field has a default, so that a mesh without a YAML is a product too."""

    name: Name | None = None  # None: the file's name without its ending
    units: Units = "mm"
    pose: FixturePose = FixturePose()
    smooth_deg: float = Field(default=30.0, ge=0.0, le=90.0)  # edges shallower than this are shaded as round
    tolerance_mm: float = Field(default=0.03, ge=0.0, le=1.0)  # how far a part's ends may be from the drawing
    material: MeshMaterial = MeshMaterial()
    regions: tuple[Region, ...] = Field(default=(), max_length=50)  # the first that fits counts
    features: tuple[Feature, ...] = Field(default=(), max_length=50)  # none: a chip is broken out of an edge

    @model_validator(mode="after")
    def _named_once(self) -> MeshSettings:
        for what, names in (("regions", [r.name for r in self.regions]), ("features", [f.name for f in self.features])):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{what}: {', '.join(twice)} is named twice; a name belongs to one of them")
        if any(r.name in ("body", "fixture") for r in self.regions):
            raise ValueError("regions: `body` is the rest of the part and `fixture` the plate; take other names")
        return self


def settings_file(mesh: Path) -> Path:
    """Where the YAML of a mesh lies: beside it, with the ending .yaml."""
    return mesh.with_suffix(".yaml")


def read_settings(mesh: Path) -> MeshSettings:
    """What the YAML beside a mesh says, defaults where there is none. Raises ValueError with file and field.

    The station reads the same file first, by its own stricter reader, which names the line too.
    """
    path = settings_file(mesh)
    if not path.is_file():
        return MeshSettings()
    try:
        return MeshSettings.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{path}: cannot be read as YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{path}: {'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from error
