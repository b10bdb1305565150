"""Draws the part of `whole_way.py`: a bracket with two ribs and three holes, as a user's own mesh would come.

`python docs/whole_way_mesh.py FOLDER` writes `bracket.stl` (mm) and `bracket.yaml`. It needs the extra `meshes`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import trimesh
from trimesh.creation import box, cylinder

SETTINGS = """\
units: mm
smooth_deg: 30
material: {albedo: [0.62, 0.5, 0.34], gloss: [0.04, 0.04, 0.04], roughness: 0.55, texture: grain, slope: 0.03}
features:  # what `--defect missing_feature` takes away
  - {name: rib, box: {x: [-13, -4], y: [3, 5.5], z: [4.05, 14]}}
"""


def bracket() -> trimesh.Trimesh:
    """A plate of 34 x 22 x 4 mm with a wall, two ribs against it, and three holes; one closed body."""
    solids = [
        _block((34.0, 22.0, 4.0), (0.0, 0.0, 2.0)),
        _block((4.0, 22.0, 10.0), (-15.0, 0.0, 9.0)),
        _block((9.0, 2.0, 6.0), (-8.5, 4.2, 7.0)),
        _block((9.0, 2.0, 6.0), (-8.5, -4.2, 7.0)),
    ]
    holes = [_hole(2.2, 11.0, 6.0), _hole(2.2, 11.0, -6.0), _hole(3.2, 3.0, 0.0)]
    found = trimesh.boolean.difference([trimesh.boolean.union(solids), *holes])
    assert isinstance(found, trimesh.Trimesh)
    return found


def _block(size_mm: tuple[float, float, float], middle_mm: tuple[float, float, float]) -> trimesh.Trimesh:
    made: trimesh.Trimesh = box(extents=size_mm)
    made.apply_translation(middle_mm)
    return made


def _hole(radius_mm: float, x_mm: float, y_mm: float) -> trimesh.Trimesh:
    made: trimesh.Trimesh = cylinder(radius=radius_mm, height=20.0, sections=48)
    made.apply_translation((x_mm, y_mm, 2.0))
    return made


def write_mesh(folder: Path) -> Path:
    """Write mesh and settings into `folder`, and return the mesh's path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "bracket.stl"
    bracket().export(path)
    path.with_suffix(".yaml").write_text(SETTINGS, encoding="utf-8")
    return path


if __name__ == "__main__":
    print(write_mesh(Path(sys.argv[1])))
