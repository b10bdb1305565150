"""Parts: a product's shape with one seed's tolerances, texture, colour and defects.

Calibration targets have neither tolerances nor placement errors: their geometry is the truth that is measured.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from drivers.simulated.scene import kernels
from drivers.simulated.scene.defects import DEFECT_KINDS, Defect, draw_defect, place_defect
from drivers.simulated.scene.meshes.file import SHIPPED_PRODUCTS
from drivers.simulated.scene.meshes.placing import place_flaw
from drivers.simulated.scene.meshes.product import MeshProduct, mesh_product
from drivers.simulated.scene.meshes.shape import Shape
from drivers.simulated.scene.meshes.sight import TracedPart
from drivers.simulated.scene.patches import Body, Material
from drivers.simulated.scene.products import block, connector, knob, lever, targets

_DRAWN = ("connector", "knob", "block", "lever", "sphere_diffuse", "sphere_mirror", "plane_white", "empty")
PRODUCTS = (*_DRAWN, *SHIPPED_PRODUCTS)
_BODIES: Mapping[str, Callable[[], Body]] = {
    "connector": connector.build,
    "knob": knob.build,
    "block": block.build,
    "lever": lever.build,
    "sphere_diffuse": targets.sphere_diffuse,
    "sphere_mirror": targets.sphere_mirror,
    "plane_white": targets.plane_white,
    "empty": targets.empty,
}
_INCOMPLETE: Mapping[str, Callable[[str], Body]] = {
    "connector": connector.build,
    "knob": knob.build,
    "block": block.build,  # block and lever serve benchmarks: they have no recipe and no model
    "lever": lever.build,
}
_INSPECTED = tuple(_INCOMPLETE)

PLATE = Material((0.055, 0.056, 0.058), alpha=0.6, texture=kernels.GRAIN, slope=0.02, cell_mm=0.8, mottle=0.15, seed=9)
SHIFT_MM, ROTATION_DEG, TONE = 0.08, 0.25, 0.03


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the part lies on the fixture: rotation about z, then shift."""

    x_mm: float = 0.0
    y_mm: float = 0.0
    rotation_deg: float = 0.0

    def then(self, off: Placement) -> Placement:
        """This placement, turned and shifted as a whole by `off`."""
        turn = math.radians(off.rotation_deg)
        return Placement(
            math.cos(turn) * self.x_mm - math.sin(turn) * self.y_mm + off.x_mm,
            math.sin(turn) * self.x_mm + math.cos(turn) * self.y_mm + off.y_mm,
            self.rotation_deg + off.rotation_deg,
        )


@dataclass(frozen=True)
class Packed:
    """A part as the kernels read it; layouts in `kernels.py`."""

    patches: NDArray[np.float64]
    corners: NDArray[np.float64]  # (N, 8, 3) mm
    bounds: NDArray[np.float64]  # (N, 4) mm, see `Patch.bounds`
    closed: NDArray[np.bool_]  # (N,), see `Patch.is_closed`
    cuts: NDArray[np.float64]
    materials: NDArray[np.float64]
    paints: NDArray[np.float64]
    defects: NDArray[np.float64]
    traced: TracedPart | None = None  # of a mesh, which has no patches


@dataclass(frozen=True)
class MeshForm:
    """What a part from a mesh has instead of patches: its drawing, and how this one differs from it along each axis."""

    product: MeshProduct
    drawing: Shape
    factors: tuple[float, float, float]


@dataclass(frozen=True)
class Part:
    """One individual part. `faces[i]` names the face whose id in `ViewTruth.faces` is i; 0 is the fixture.

    The body of a part from a mesh has materials and no patches; `form` has its triangles.
    """

    product: str
    seed: int
    defects: tuple[Defect, ...]
    placement: Placement
    body: Body
    twin: Body | None  # the same part with nothing missing, if something is missing
    form: MeshForm | None = None
    twin_form: MeshForm | None = None

    @cached_property
    def faces(self) -> tuple[str, ...]:
        """Names by face id; those of a missing feature keep their ids, so that truth and twin compare."""
        if self.form is not None:
            return ("fixture", *self.form.drawing.names)
        whole = self.twin if self.twin is not None else self.body
        names = dict.fromkeys(patch.face for body in (whole, self.body) for patch in body.patches)
        return ("fixture", *names)

    @cached_property
    def packed(self) -> Packed:
        """The part with its defects, as the kernels read it."""
        return self._packed(self.body, self.form, [d for d in self.defects if d.kind != "missing_feature"])

    @cached_property
    def packed_twin(self) -> Packed | None:
        """The part with nothing missing and without other defects; None where nothing is missing."""
        return None if self.twin is None else self._packed(self.twin, self.twin_form, [])

    def _packed(self, body: Body, form: MeshForm | None, defects: Sequence[Defect]) -> Packed:
        if form is None:
            return _pack(body, self.faces, defects)
        return replace(_pack(body, self.faces, []), traced=_traced(form, defects))


def make_part(product: str, seed: int, defects: Sequence[Defect] = (), off: Placement | None = None) -> Part:
    """An individual of a product: the same seed gives the same part, with or without defects.

    `off` is how far from its seat somebody laid it, on top of its own play: a turn about the fixture's centre, then a
    shift. Calibration targets do not move.

    Raises ValueError for an unknown product, face or feature, and for more than one missing feature.
    """
    mesh = None if product in _DRAWN else mesh_product(product)
    if mesh is not None:
        return _mesh_part(mesh, seed, defects, off)
    require_product(product)
    rng = np.random.default_rng([seed, zlib.crc32(product.encode())])
    placement = _seated(rng, off)
    if product not in _INSPECTED:
        placement = Placement()
    whole = _BODIES[product]()
    materials = {name: _vary(material, rng) for name, material in whole.materials.items()}
    if product not in _INSPECTED:
        materials = whole.materials
    whole = replace(whole, materials=materials)
    missing = [_missing_name(product, whole, d) for d in defects if d.kind == "missing_feature"]
    if not missing:
        return Part(product, seed, tuple(defects), placement, whole, None)
    if len(missing) > 1:
        raise ValueError(f"at most one feature can be missing, found {', '.join(missing)}")
    body = replace(_INCOMPLETE[product](missing[0]), materials=materials)
    return Part(product, seed, tuple(defects), placement, body, whole)


def require_product(product: str) -> None:
    """Raises ValueError for a product that is neither drawn nor a mesh that can be found, or for a bad mesh."""
    if product not in _DRAWN and mesh_product(product) is None:
        raise ValueError(
            f"product {product!r} is unknown; there are {', '.join(PRODUCTS)}, the meshes in the folders of "
            "FACET_MESHES, and any mesh by its path (.stl, .obj or .ply)"
        )


def _seated(rng: np.random.Generator, off: Placement | None) -> Placement:
    """Where one part lies in its seat, which has some play."""
    placement = Placement(
        float(rng.uniform(-SHIFT_MM, SHIFT_MM)),
        float(rng.uniform(-SHIFT_MM, SHIFT_MM)),
        float(rng.uniform(-ROTATION_DEG, ROTATION_DEG)),
    )
    return placement if off is None else placement.then(off)


def _mesh_part(mesh: MeshProduct, seed: int, defects: Sequence[Defect], off: Placement | None) -> Part:
    """As a drawn part: by the product's name and the seed, wherever its file lies."""
    rng = np.random.default_rng([seed, zlib.crc32(mesh.name.encode())])
    placement = _seated(rng, off)
    body = replace(mesh.body, materials={name: _vary(material, rng) for name, material in mesh.body.materials.items()})
    form = MeshForm(mesh, mesh.drawing, mesh.factors(rng))
    missing = [(_missing_name(mesh.name, body, d), d.seed) for d in defects if d.kind == "missing_feature"]
    if not missing:
        return Part(mesh.name, seed, tuple(defects), placement, body, None, form)
    if len(missing) > 1:
        raise ValueError(f"at most one feature can be missing, found {', '.join(name for name, _ in missing)}")
    lacking = replace(form, drawing=mesh.without(*missing[0]))
    return Part(mesh.name, seed, tuple(defects), placement, body, body, lacking, form)


def _traced(form: MeshForm, defects: Sequence[Defect]) -> TracedPart:
    shape = form.drawing.scaled(form.factors)
    flaws = [place_flaw(shape, defect) for defect in defects]
    owners = np.stack([shape.regions, shape.regions + 1], axis=1).astype(np.int32)  # the plate is face 0
    return TracedPart(shape, form.drawing, owners, np.array(flaws, np.float64).reshape(-1, kernels.FLAW_SIZE))


def random_defect(product: str, kind: str, seed: int) -> Defect:
    """A defect of that kind at inspection size, somewhere on a face that a view can see."""
    if kind not in DEFECT_KINDS:
        raise ValueError(f"defect kind {kind!r} is unknown; there are {', '.join(DEFECT_KINDS)}")
    mesh = None if product in _DRAWN else mesh_product(product)
    if mesh is not None:
        return draw_defect(mesh.body, kind, seed)
    if product not in _INSPECTED:
        raise ValueError(f"defects are drawn for {', '.join(_INSPECTED)}; found product {product!r}")
    return draw_defect(_BODIES[product](), kind, seed)


def _missing_name(product: str, body: Body, defect: Defect) -> str:
    if not body.features:
        raise ValueError(f"product {product!r} has no feature that could be missing")
    if defect.face is None:
        return body.features[int(np.random.default_rng([defect.seed, 5]).integers(len(body.features)))]
    if defect.face not in body.features:
        raise ValueError(f"product {product!r} has no feature {defect.face!r}; there are {', '.join(body.features)}")
    return defect.face


def _vary(material: Material, rng: np.random.Generator) -> Material:
    """One part's own colour, roughness, texture phase and tool marks."""
    tone = 1.0 + rng.uniform(-TONE, TONE)
    hue = 1.0 + rng.uniform(-0.3 * TONE, 0.3 * TONE, 3)
    red, green, blue = (float(a * tone * h) for a, h in zip(material.albedo, hue, strict=True))
    return replace(
        material,
        albedo=(red, green, blue),
        alpha=float(material.alpha * (1.0 + rng.uniform(-0.05, 0.05))),
        slope=float(material.slope * (1.0 + rng.uniform(-0.1, 0.1))),
        phase_mm=(float(rng.uniform(0, 50)), float(rng.uniform(0, 50))),
        seed=int(rng.integers(1, 1 << 40)),
    )


def _table(rows: list[list[float]], columns: int) -> NDArray[np.float64]:
    return np.array(rows, np.float64).reshape(len(rows), columns) if rows else np.zeros((1, columns))


def _pack(body: Body, faces: tuple[str, ...], defects: Sequence[Defect]) -> Packed:
    names = list(body.materials)
    placed: dict[int, list[list[float]]] = {}
    for defect in defects:
        index, row = place_defect(body, defect)
        placed.setdefault(index, []).append(row)
    patches: list[list[float]] = []
    cuts: list[list[float]] = []
    paints: list[list[float]] = []
    rows: list[list[float]] = []
    for i, patch in enumerate(body.patches):
        own = placed.get(i, [])
        shape = [*patch.shape, *([0.0] * (6 - len(patch.shape)))]
        if len(patch.shape) == 0 or not all(math.isfinite(v) for v in shape):
            raise ValueError(f"patch {patch.face}: shape {patch.shape} is not finite")
        patches.append([
            *patch.origin, *patch.u_axis, *patch.v_axis, *patch.w_axis, patch.kind, *shape,
            1.0 if patch.outward else -1.0, names.index(patch.material), len(cuts), len(patch.cuts),
            len(rows), len(own), faces.index(patch.face), len(paints), len(patch.paints),
        ])  # fmt: skip
        cuts += [[cut.kind, *cut.values] for cut in patch.cuts]
        paints += [[p.u_lo, p.u_hi, p.v_lo, p.v_hi, *p.rgb] for p in patch.paints]
        rows += own
    corners = np.array([patch.corners() for patch in body.patches]).reshape(-1, 8, 3)
    return Packed(
        np.array(patches, np.float64).reshape(-1, 28),
        corners,
        np.array([patch.bounds() for patch in body.patches]).reshape(-1, 4),
        np.array([patch.is_closed for patch in body.patches], np.bool_),
        _table(cuts, 5),
        _table([*(body.materials[n].row() for n in names), PLATE.row()], 14),
        _table(paints, 7),
        _table(rows, 14),
    )
