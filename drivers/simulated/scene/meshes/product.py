"""A product from a mesh: found by path or name, loaded once, and what its parts have in common."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock

import numpy as np

from drivers.simulated.scene.meshes.file import find_mesh, is_path, load_mesh, remember
from drivers.simulated.scene.meshes.missing import CHIP, broken_out, cut_away
from drivers.simulated.scene.meshes.settings import MeshSettings, read_settings, settings_file
from drivers.simulated.scene.meshes.shape import BODY, F64, I64, Shape, make_shape
from drivers.simulated.scene.patches import Body

PRODUCTS_KEPT, SHAPES_KEPT = 4, 8
_kept: OrderedDict[tuple[object, ...], MeshProduct] = OrderedDict()
_lock = Lock()


@dataclass(frozen=True)
class MeshProduct:
    """A mesh that stands in the fixture: vertices (V, 3) in mm, closed triangles (T, 3), and its settings."""

    path: Path
    name: str
    settings: MeshSettings
    vertices: F64
    triangles: I64

    @cached_property
    def drawing(self) -> Shape:
        """The shape of the whole part as drawn."""
        return make_shape(self.vertices, self.triangles, self.settings)

    @cached_property
    def body(self) -> Body:
        """Materials by region, faces that may carry defects, and what may be missing; no patches."""
        own = self.settings.material
        regions = self.settings.regions
        materials = {BODY: own.as_material(), **{r.name: (r.material or own).as_material() for r in regions}}
        drawing, barred = self.drawing, {r.name for r in regions if not r.defects}
        zones, sides = [], []
        for number, name in enumerate(drawing.names):
            up = drawing.flat[drawing.regions == number, 2]
            if name not in barred and len(up):
                zones += [name] * bool((up > 0.2).any())
                sides += [name] * bool((np.abs(up) < 0.05).any())
        features = tuple(f.name for f in self.settings.features) or (CHIP,)
        return Body((), materials, tuple(zones), tuple(sides), features)

    @cached_property
    def _incomplete(self) -> OrderedDict[tuple[str, int], Shape]:
        return OrderedDict()

    def without(self, feature: str, seed: int) -> Shape:
        """The drawing without a feature; of a product that names none, with a chip broken out of an edge by `seed`."""
        boxes = {f.name: f.box for f in self.settings.features}
        key = (feature, 0 if feature in boxes else seed)
        found = self._incomplete.get(key)
        if found is None:
            if feature in boxes:
                vertices, triangles = cut_away(self.path, self.vertices, self.triangles, feature, boxes[feature])
            else:
                vertices, triangles = broken_out(self.path, self.vertices, self.triangles, seed)
            found = self._incomplete[key] = make_shape(vertices, triangles, self.settings)
            while len(self._incomplete) > SHAPES_KEPT:
                self._incomplete.popitem(last=False)
        return found

    def factors(self, rng: np.random.Generator) -> tuple[float, float, float]:
        """How much longer than drawn one part is along x, y and z: its ends are off by `tolerance_mm` at most."""
        half = np.maximum(np.ptp(self.vertices, axis=0) / 2.0, 1.0)
        x, y, z = 1.0 + rng.uniform(-1.0, 1.0, 3) * self.settings.tolerance_mm / half
        return float(x), float(y), float(z)


def mesh_product(product: str) -> MeshProduct | None:
    """The mesh of that path or name, as it is on the disk now; None for a name that no mesh has.

    Raises ValueError for a mesh or YAML that is not usable; the text names the file, what was found and the cure.
    """
    path = find_mesh(product)
    if path is None:
        return None
    key = (str(path.resolve()), _version(path), _version(settings_file(path)))
    with _lock:
        found = _kept.get(key)
        if found is None:
            settings = read_settings(path)
            found = _kept[key] = MeshProduct(path, settings.name or path.stem, settings, *load_mesh(path, settings))
            while len(_kept) > PRODUCTS_KEPT:
                _kept.popitem(last=False)
        _kept.move_to_end(key)
        if is_path(product):
            remember(found.name, path)
        return found


def _version(path: Path) -> tuple[int, int]:
    if not path.is_file():
        return (0, 0)
    facts = path.stat()
    return facts.st_mtime_ns, facts.st_size
