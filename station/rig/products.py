"""Products of the simulated rig by name or by the path of a mesh, checked before a part of one is made."""

from __future__ import annotations

from pathlib import Path

from drivers.simulated.scene.meshes.file import find_mesh
from drivers.simulated.scene.meshes.product import MeshProduct, mesh_product
from drivers.simulated.scene.meshes.settings import MeshSettings, settings_file
from drivers.simulated.scene.part import PRODUCTS
from station.documents.document import load_document
from station.errors import BadInput


def product_for_rig(product: str) -> str:
    """What the rig process is asked for: a name as it is, a mesh by its whole path, so that its folder does not matter.

    Raises DocumentError for the mesh's YAML, with line and field, and BadInput for a mesh that is no part.
    """
    if product in PRODUCTS:
        return product
    mesh = _checked(product)
    return product if mesh is None else str(mesh.path.resolve())


def product_name(product: str) -> str:
    """The name of a product given by name or path; a mesh is known by its name from now on. Raises as above."""
    mesh = _checked(product)
    return product if mesh is None else mesh.name


def _checked(product: str) -> MeshProduct | None:
    path: Path | None = find_mesh(product)
    if path is None:
        return None
    if path.is_file() and settings_file(path).is_file():
        load_document(settings_file(path), MeshSettings)
    try:
        return mesh_product(product)
    except ValueError as error:
        raise BadInput(str(error)) from error
