"""Finds a mesh by path or name, loads it, refuses one that is no part, and stands it into the fixture."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.simulated.scene.meshes.settings import MM_PER_UNIT, MeshSettings
from drivers.simulated.scene.mounted import rotation

F64 = NDArray[np.float64]
ENDINGS = (".stl", ".obj", ".ply")
FOLDERS = "FACET_MESHES"  # folders in which meshes are found by name, as PATH is written
SHIPPED = Path(__file__).parent / "shipped"
SHIPPED_PRODUCTS = ("crank", "sheet")  # made by scripts/make_meshes.py
FIXTURE_MM = (100.0, 100.0, 60.0)  # the largest part that stands clear of the head's travel
LEAST_MM = 2.0
MOST_TRIANGLES = 200_000
MOST_BYTES = 100_000_000
_PACKAGES = ("trimesh", "embreex", "manifold3d")


_remembered: dict[str, Path] = {}


def remember(name: str, path: Path) -> None:
    """A mesh that was loaded by its path is found by its product's name too, in this process."""
    _remembered[name] = path.resolve()


def is_path(product: str) -> bool:
    """Whether a product is given as the path of a mesh."""
    return product.lower().endswith(ENDINGS)


def find_mesh(product: str) -> Path | None:
    """The file of a product given by path or name: shipped, loaded before by its path, or in a folder of FACET_MESHES.

    None for a name that no mesh has. A path is returned as it is, whether there is a file or not.
    """
    if is_path(product):
        return Path(product)
    if product not in SHIPPED_PRODUCTS and product in _remembered:
        return _remembered[product]
    given = [Path(folder) for folder in os.environ.get(FOLDERS, "").split(os.pathsep) if folder]
    places = (folder / f"{product}{ending}" for folder in (SHIPPED, *given) for ending in ENDINGS)
    return next((path for path in places if path.is_file()), None)


def require_packages(path: Path) -> None:
    """Raises ValueError, with what to install, where a package of the extra `meshes` is missing."""
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(
            f"{path}: a mesh as a part needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not "
            "installed; run pip install 'facet-station[meshes]'"
        )


def load_mesh(path: Path, settings: MeshSettings) -> tuple[F64, NDArray[np.int64]]:
    """Vertices (V, 3) in mm, standing in the fixture, and triangles (T, 3), counter-clockwise from outside.

    Raises ValueError with file, what was found and the cure: no such file, no faces, too many, not finite, open,
    inside out in places, not of a part's size.
    """
    require_packages(path)
    found = _read(path)
    vertices, triangles = np.asarray(found.vertices, np.float64), np.asarray(found.faces, np.int64)
    if len(triangles) == 0:
        raise ValueError(f"{path}: has no faces; export the part as triangles, not as points or lines")
    if len(triangles) > MOST_TRIANGLES:
        raise ValueError(f"{path}: has {len(triangles)} triangles, at most {MOST_TRIANGLES} are taken; decimate it")
    if not np.isfinite(vertices).all():
        raise ValueError(f"{path}: has vertices that are no finite numbers; export it anew")
    _require_closed(path, found)
    if found.volume < 0.0:
        triangles = triangles[:, ::-1]
    vertices = vertices * MM_PER_UNIT[settings.units]
    _require_size(path, np.ptp(vertices, axis=0), settings)
    return _standing(path, vertices, settings), np.ascontiguousarray(triangles)


def _read(path: Path) -> Any:
    """A trimesh.Trimesh whose equal vertices are one."""
    import trimesh

    if not path.is_file():
        raise ValueError(f"{path}: there is no such file; give the path of an {', '.join(ENDINGS)} mesh")
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"{path}: has {path.stat().st_size} bytes, at most {MOST_BYTES} are read; decimate it")
    try:
        found: Any = trimesh.load(str(path), force="mesh", process=True)
        found.merge_vertices(merge_tex=True, merge_norm=True)
        found.update_faces(found.nondegenerate_faces())
    except Exception as error:  # readers of three formats fail each in its own way
        raise ValueError(
            f"{path}: cannot be read as a mesh: {error or type(error).__name__}; export it anew"
        ) from error
    return found


def _require_closed(path: Path, found: Any) -> None:
    edges, counts = np.unique(np.sort(found.edges, axis=1), axis=0, return_counts=True)
    odd = edges[counts != 2]
    if len(odd):
        place = ", ".join(f"{value:.4g}" for value in found.vertices[odd[0]].mean(axis=0))
        raise ValueError(
            f"{path}: the mesh is open: {len(odd)} edges do not lie between exactly two triangles, the first at "
            f"({place}) in the file's units; a part is a closed body, sheet metal too: close it and export it anew"
        )
    if not found.is_winding_consistent:
        raise ValueError(f"{path}: neighbouring triangles face opposite ways; unify the normals and export it anew")
    if abs(found.volume) <= 0.0:
        raise ValueError(f"{path}: the body has no volume; a part is solid, sheet metal too")


def _require_size(path: Path, size_mm: F64, settings: MeshSettings) -> None:
    def fits(size: F64) -> bool:
        ordered, room = np.sort(size), np.sort(FIXTURE_MM)
        return bool((ordered <= room).all() and size.max() >= LEAST_MM)

    if fits(size_mm):
        return
    raw = size_mm / MM_PER_UNIT[settings.units]
    others = [unit for unit, factor in MM_PER_UNIT.items() if fits(raw * factor)]
    hint = f"; it would fit with `units: {others[0]}`" if others else ""
    words = " x ".join(f"{value:.0f}" if value >= 100 else f"{value:.4g}" for value in size_mm)
    what = f"smaller than {LEAST_MM:g} mm" if size_mm.max() < LEAST_MM else "larger than the fixture"
    room = " x ".join(f"{value:g}" for value in FIXTURE_MM)
    raise ValueError(
        f"{path}: the part is {words} mm by `units: {settings.units}`, {what} (which takes {room} mm){hint}; "
        f"state units in {path.with_suffix('.yaml').name}"
    )


def _standing(path: Path, vertices: F64, settings: MeshSettings) -> F64:
    """Turned, its middle over the pose's x and y, its lowest point at the pose's z."""
    pose = settings.pose
    turn = np.eye(3)
    for axis, angle in zip(np.eye(3), pose.turn_deg, strict=True):
        turn = rotation(axis * np.radians(angle)) @ turn
    turned = vertices @ turn.T
    lo, hi = turned.min(axis=0), turned.max(axis=0)
    placed = np.asarray(turned - [*(lo[:2] + hi[:2]) / 2.0, lo[2]] + [pose.x_mm, pose.y_mm, pose.z_mm], np.float64)
    reach = np.abs(placed[:, :2]).max(axis=0)
    if (reach > np.array(FIXTURE_MM[:2]) / 2.0).any() or placed[:, 2].max() > FIXTURE_MM[2]:
        x, y, z = (float(v) for v in (*reach, placed[:, 2].max()))
        raise ValueError(
            f"{path}: by its pose the part reaches {x:.1f} mm along x, {y:.1f} along y and {z:.1f} up; the fixture "
            f"takes {FIXTURE_MM[0] / 2:g}, {FIXTURE_MM[1] / 2:g} and {FIXTURE_MM[2]:g}: change `pose` in its YAML"
        )
    return placed
