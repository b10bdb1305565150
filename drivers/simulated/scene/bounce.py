"""Light that bounces: what the surfaces of a part and its fixture send each other, and what they keep from the dome.

Radiosity (Goral et al. 1984) on the cells of `surfels.py`. Which cell sees which is gathered once per geometry, along
directions spread evenly by cosine; a lamp then costs sparse products. Every bounce is diffuse: gloss counts in a
surface's reflectance, and not in the direction that it sends light to. A polished surface mirrors no surroundings.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from drivers.simulated.scene import kernels
from drivers.simulated.scene.geometry import Grid, stack_grids
from drivers.simulated.scene.kept_transport import Arrays, keep_arrays, load_arrays
from drivers.simulated.scene.meshes import exchange
from drivers.simulated.scene.meshes.shape import Shape
from drivers.simulated.scene.meshes.sight import TracedPart
from drivers.simulated.scene.part import Packed
from drivers.simulated.scene.surfels import PLACES_PER_SIDE, Surfels, filling, make_surfels, plate_row

F64 = NDArray[np.float64]
F32 = NDArray[np.float32]
I32 = NDArray[np.int32]

RAYS = 512  # per cell: bounced light to about 1 % of itself
GEOMETRIES_KEPT = 4
_CELLS_PER_TASK = 256
_LEAST_COSINE = 0.15  # grazing light says little about where it comes from, and would count without bound
_NO_TABLE = np.zeros((0, kernels.BOUNCED_SIZE), np.float32)
_kept: OrderedDict[str, Transport] = OrderedDict()
_lock = threading.Lock()


@dataclass(frozen=True)
class Transport:
    """Which cells of one geometry see which, whatever their colour and light."""

    surfels: Surfels
    directions: F64  # (M, 3)
    free: NDArray[np.bool_]  # (N, M) nothing is met in that direction
    received: csr_matrix  # (N, N): irradiance of a cell from the radiosity of all
    toward: tuple[csr_matrix, csr_matrix, csr_matrix]  # x, y, z of the same, times its mean direction
    filled: csr_matrix  # (N, N): see `surfels.filling`; of a mesh (4 T + plate, N), see `MeshCells`


def no_table() -> F32:
    """What the kernels take for direct light alone."""
    return _NO_TABLE


def transport_of(packed: Packed, threads: int = 2) -> Transport:
    """The transport of a part's geometry: gathered once, in a second or two of CPU, and kept here and on the disk."""
    key = _key(packed)
    with _lock:
        found = _kept.get(key)
        if found is None:
            found = _kept[key] = _loaded_or_gathered(packed, key, threads)
            while len(_kept) > GEOMETRIES_KEPT:
                _kept.popitem(last=False)
        _kept.move_to_end(key)
        return found


def forget() -> None:
    """Drop what this process has kept; the disk is asked again."""
    with _lock:
        _kept.clear()


def lamp_table(transport: Transport, packed: Packed, light: F64, grid: Grid, bounces: int) -> F32:
    """(N, BOUNCED_SIZE) of one lamp, `light` as `scene.lamp` gives it, after so many diffuse bounces."""
    surfels = transport.surfels
    if packed.traced is not None:
        direct = _lit_mesh(packed.traced, surfels, light, grid.frame[:3])
        return _table(transport, packed, direct, np.ones(len(direct)), bounces)
    direct = np.zeros(len(surfels.points))
    kernels.lit_cells(
        packed.patches, packed.cuts, surfels.cells, surfels.exposed, PLACES_PER_SIDE, light, *stack_grids([grid]),
        direct, 0, len(surfels.cells),
    )  # fmt: skip
    return _table(transport, packed, direct, np.ones(len(direct)), bounces)


def dome_table(transport: Transport, packed: Packed, axis: F64, power: float, bounces: int) -> F32:
    """The same of the dome round the optical axis (3,), which points away from the camera; with its open share."""
    surfels = transport.surfels
    share = np.zeros(len(surfels.points))
    kernels.open_to_dome(surfels.normals, transport.directions, -axis, transport.free, share)
    facing = 0.5 * (1.0 - surfels.normals @ axis)
    return _table(transport, packed, power * share * facing, share, bounces)


def _table(transport: Transport, packed: Packed, direct: F64, open_share: F64, bounces: int) -> F32:
    surfels = transport.surfels
    out = np.zeros((len(direct), kernels.BOUNCED_SIZE), np.float32)
    out[:, 12] = open_share
    if bounces > 0:
        reflectance = _reflectance(packed, surfels)
        sent = reflectance * direct[:, None]
        for _ in range(bounces - 1):
            sent = reflectance * (direct[:, None] + _received(transport.received, sent))
        out[:, 0:3] = _received(transport.received, sent)
        for axis, matrix in enumerate(transport.toward):
            out[:, 3 + 3 * axis : 6 + 3 * axis] = _received(matrix, sent)
    return np.ascontiguousarray(transport.filled @ out, np.float32)


def _received(matrix: csr_matrix, sent: F64) -> F64:
    out = np.empty_like(sent)
    kernels.received_light(matrix.indptr, matrix.indices, matrix.data, sent, out)
    return out


def _reflectance(packed: Packed, surfels: Surfels) -> F64:
    """(N, 3): what a cell sends on of its light: diffuse albedo and gloss, without texture and paint."""
    plate = len(packed.materials) - 1
    if packed.traced is not None:
        material = surfels.owner.astype(np.int64)
    else:
        material = np.append(packed.patches[:, 20].astype(np.int64), plate)[surfels.owner]
    rows = packed.materials[material]
    gloss = np.where(rows[:, 6:7] >= kernels.POLISHED, rows[:, 3:6], 0.0)
    return np.asarray(np.minimum(rows[:, 0:3] + gloss, 0.95))


def _loaded_or_gathered(packed: Packed, key: str, threads: int) -> Transport:
    kept = load_arrays(key)
    if kept is not None:
        return _from_arrays(kept)
    found = _gathered(packed, threads) if packed.traced is None else _gathered_mesh(packed.traced.drawing)
    keep_arrays(key, _as_arrays(found))
    return found


def _gathered(packed: Packed, threads: int) -> Transport:
    surfels, directions = make_surfels(packed), _cosine_directions(RAYS)
    total = len(surfels.points)
    seen = np.full((total, RAYS), -1, np.int32)
    ways = np.zeros((total, RAYS, 3), np.float32)

    def task(start: int) -> None:
        stop = min(start + _CELLS_PER_TASK, total)
        kernels.gather_rows(
            packed.patches, packed.cuts, packed.corners, surfels.cells, surfels.points, surfels.normals,
            surfels.exposed, directions, seen, start, stop,
        )  # fmt: skip
        kernels.ray_directions(surfels.normals, directions, ways, start, stop)

    with ThreadPoolExecutor(max(threads, 1)) as pool:
        list(pool.map(task, range(0, total, _CELLS_PER_TASK)))
    return _transport(surfels, directions, seen, ways, filling(surfels))


def _gathered_mesh(drawing: Shape) -> Transport:
    """As `_gathered`, for the corners of a mesh and the plate round it; a surfel's owner is its material."""
    mesh, directions = exchange.cells_of(drawing), _cosine_directions(exchange.MESH_RAYS)
    plate = plate_row(drawing.corners.reshape(-1, 3))
    on_plate = exchange.plate_points(plate)
    points = np.concatenate([mesh.points, on_plate])
    normals = np.concatenate([mesh.normals, np.broadcast_to([0.0, 0.0, 1.0], on_plate.shape)])
    owner = np.concatenate([mesh.materials, np.full(len(on_plate), len(drawing.names), np.int32)])
    hidden = exchange.covered(drawing, on_plate)
    plate_exposed = np.where(hidden, 0, 1).astype(np.uint16)
    seen, ways = exchange.gathered(drawing, mesh, plate, points, exchange.frames(normals), directions)
    seen[len(mesh.points) :][hidden] = -1
    alone = Surfels(plate[None], on_plate, normals[: len(on_plate)], plate_exposed, owner[: len(on_plate)])
    exposed = np.concatenate([np.ones(len(mesh.points), np.uint16), plate_exposed])
    surfels = Surfels(exchange.grid_rows(drawing, plate), points, normals, exposed, owner)
    return _transport(surfels, directions, seen, ways, exchange.joined(mesh.filled, filling(alone)))


def _lit_mesh(part: TracedPart, surfels: Surfels, light: F64, place: F64) -> F64:
    """Irradiance of the cells of a mesh and its plate from one point light: `kernels.lit_cells`, one place a cell."""
    ways = place - surfels.points
    square = np.einsum("ij,ij->i", ways, ways)
    facing = np.einsum("ij,ij->i", ways, surfels.normals)
    lobe = np.maximum(-(ways @ light[:3]) / np.sqrt(square), 0.0) ** light[4]
    shaded = (surfels.exposed == 0) | (facing <= 0.0) | part.blocked(surfels.points, surfels.normals, place)
    return np.asarray(np.where(shaded, 0.0, light[3] * facing * lobe / (square * np.sqrt(square))))


def _transport(surfels: Surfels, directions: F64, seen: I32, ways: F32, filled: csr_matrix) -> Transport:
    """What the rays of all cells have met, as matrices."""
    count = len(directions)
    met = seen >= 0
    starts = np.concatenate([[0], np.cumsum(met.sum(axis=1))])
    columns = seen[met]
    even = np.full(len(columns), 1.0 / count, np.float32)
    slant = np.broadcast_to(np.maximum(directions[:, 2], _LEAST_COSINE), seen.shape)[met].astype(np.float32)
    weights = [even, *(even * ways[..., c][met] / slant for c in range(3))]
    received, *toward = (_matrix(values, columns, starts) for values in weights)
    return Transport(surfels, directions, ~met, received, (toward[0], toward[1], toward[2]), filled)


def _matrix(values: NDArray[np.float32], columns: I32, starts: NDArray[np.int64]) -> csr_matrix:
    """(N, N) of one entry per ray, rays to the same cell added up."""
    total = len(starts) - 1
    matrix = csr_matrix((values, columns.copy(), starts.copy()), shape=(total, total))
    matrix.sum_duplicates()
    return matrix


def _as_arrays(transport: Transport) -> Arrays:
    surfels, received, toward, filled = transport.surfels, transport.received, transport.toward, transport.filled
    return {
        "cells": surfels.cells, "points": surfels.points, "normals": surfels.normals, "exposed": surfels.exposed,
        "owner": surfels.owner,
        "free": np.packbits(transport.free, axis=1), "rays": np.array(len(transport.directions)),
        "columns": received.indices, "starts": received.indptr,
        "weights": np.stack([received.data, *(matrix.data for matrix in toward)]),
        "filled_columns": filled.indices, "filled_starts": filled.indptr, "filled_weights": filled.data,
    }  # fmt: skip


def _from_arrays(kept: Arrays) -> Transport:
    surfels = Surfels(kept["cells"], kept["points"], kept["normals"], kept["exposed"], kept["owner"])
    shape = (len(surfels.points), len(surfels.points))
    matrices = [csr_matrix((weights, kept["columns"], kept["starts"]), shape=shape) for weights in kept["weights"]]
    wide = (len(kept["filled_starts"]) - 1, len(surfels.points))
    filled = csr_matrix((kept["filled_weights"], kept["filled_columns"], kept["filled_starts"]), shape=wide)
    rays = int(kept["rays"])
    free = np.unpackbits(kept["free"], axis=1, count=rays).astype(np.bool_)
    return Transport(
        surfels, _cosine_directions(rays), free, matrices[0], (matrices[1], matrices[2], matrices[3]), filled
    )


def _cosine_directions(count: int) -> F64:
    """(count, 3) spread by the cosine to z: a sunflower's places on the disc below (Malley's method)."""
    n = np.arange(count)
    radius, angle = np.sqrt((n + 0.5) / count), np.pi * (3.0 - np.sqrt(5.0)) * n
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), np.sqrt(1.0 - (n + 0.5) / count)], axis=1)


def _key(packed: Packed) -> str:
    """Of the geometry alone: parts of one product share it, whatever their colours and defects."""
    if packed.traced is not None:
        return packed.traced.drawing.key
    found = hashlib.sha256(np.ascontiguousarray(packed.patches[:, :20]).tobytes())
    found.update(np.ascontiguousarray(packed.patches[:, 21:23]).tobytes())
    found.update(packed.cuts.tobytes())
    found.update(packed.corners.tobytes())
    return found.hexdigest()[:32]
