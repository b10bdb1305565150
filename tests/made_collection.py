"""A made-up collection: a textured tile on a plate, two views of 144 x 96 px, without any rendering."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from drivers.protocols import Frame
from station.collection.folder import About, Collection, LightTaken
from station.recipe.loaded import LoadedRecipe, load_recipe
from station.recipe.part_reference_file import CELL_PX, PartReference, PartReferences
from station.teach.part_reference import view_cameras

SHAPE, VIEWS = (96, 144), ("top", "left")
TILE = (slice(24, 72), slice(40, 104))
DIRECTIONS = {
    "L45": (0.4545, 0.4545, 0.7660), "L135": (-0.4545, 0.4545, 0.7660),
    "L225": (-0.4545, -0.4545, 0.7660), "L315": (0.4545, -0.4545, 0.7660),
}  # fmt: skip
POSES = {"top": (0.0, 0.0, 258.0, 0.0, -90.0), "left": (-176.777, 0.0, 184.777, 45.0, 180.0)}
AXES = ("x_mm", "y_mm", "z_mm", "tilt_deg", "pan_deg")
F32 = NDArray[np.float32]


def made_recipe(folder: Path) -> LoadedRecipe:
    """Recipe and drawing of a small rig, written into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    lights = [
        {"channel": 2 * n + 2, "name": name, "kind": "directional", "position_mm": [250 * v for v in toward]}
        for n, (name, toward) in enumerate(DIRECTIONS.items())
    ]
    lights.append({"channel": 9, "name": "diffuse", "kind": "diffuse"})
    calibration = {
        "schema_version": 1, "calibration_id": "small", "created": "2026-11-01T08:00:00Z",
        "camera_serial_number": "SIM-7", "image_width": 1152, "image_height": 768, "fx_px": 8000.0, "fy_px": 8000.0,
        "cx_px": 575.5, "cy_px": 383.5, "working_distance_mm": 250.0, "black_level_dn": 64.0, "is_simulated": True,
        "lights": lights,
    }  # fmt: skip
    (folder / "rig.calibration.yaml").write_text(yaml.safe_dump(calibration), encoding="utf-8")
    recipe = {
        "recipe_id": "tile", "revision": 1, "product": "tile", "calibration": "rig.calibration.yaml",
        "capture": {"pixel_format": "BayerRG12", "binning": 8},
        "viewpoints": [
            {"name": name, "pose": dict(zip(AXES, pose, strict=True)), "limit": 2.0}
            for name, pose in POSES.items()
        ],
        "lights": [
            {"name": light["name"], "channel": light["channel"], "kind": light["kind"], "exposure_us": 8000.0}
            for light in lights
        ],
        "model": {"file": "models/tile.onnx"},
    }  # fmt: skip
    path = folder / "tile.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    return load_recipe(path, need_model=False)


def made_frames(seed: int, scratched: bool = False) -> dict[str, dict[str, Frame]]:
    """View -> light -> frame; parts of other seeds differ in tone and noise."""
    rng = np.random.default_rng(seed)
    tone = 1 + 0.02 * rng.standard_normal()
    frames: dict[str, dict[str, Frame]] = {}
    for number, view in enumerate(VIEWS):
        fixed = np.random.default_rng(100 + number)
        relief, paint = (cv2.GaussianBlur(fixed.standard_normal(SHAPE), (0, 0), 2.0) for _ in "ab")
        albedo = np.full(SHAPE, 0.3)
        albedo[TILE] = tone * (0.6 + 0.4 * paint[TILE])
        slope_y, slope_x = (0.0 * g for g in np.gradient(relief))
        slope_y[TILE], slope_x[TILE] = (3 * g[TILE] for g in np.gradient(relief))
        if scratched:
            albedo[40:44, 60:80] *= 0.4
        normals = np.stack([-slope_x, slope_y, np.ones(SHAPE)])
        normals /= np.linalg.norm(normals, axis=0)
        lit = {name: np.maximum(np.tensordot(v, normals, axes=1), 0) for name, v in DIRECTIONS.items()}
        lit["diffuse"] = np.ones(SHAPE)
        frames[view] = {light: _frame(2500 * albedo * shade, rng, at) for at, (light, shade) in enumerate(lit.items())}
    return frames


def _frame(signal: NDArray[np.float64], rng: np.random.Generator, index: int) -> Frame:
    counts = np.clip(np.rint(signal + 64 + 2 * rng.standard_normal(SHAPE)), 0, 4095).astype(np.uint16)
    return Frame(counts, "BayerRG12", 12, 64.0, 8000.0, 0.0, 0, index)


def made_collection(loaded: LoadedRecipe, folder: Path, train: int = 5, calibrate: int = 5) -> Collection:
    """Good parts to train and calibrate on, and a good and a scratched one to test."""
    recipe = loaded.recipe
    lights = {x.name: LightTaken(x.channel, x.kind, x.exposure_us, x.brightness, 0.0) for x in recipe.lights}
    about = About("tile", VIEWS, lights, "BayerRG12", loaded.sha256s["calibration"], is_simulated=True)
    collection = Collection.create(folder, about)
    splits = ["train"] * train + ["calibrate"] * calibrate + ["test", "test"]
    for seed, split in enumerate(splits):
        kind = "scratch" if seed == len(splits) - 1 else "good"
        mask = np.zeros(SHAPE, bool)
        mask[40:44, 60:80] = kind != "good"
        frames = made_frames(seed, kind != "good")
        collection.add(f"{kind}-{seed}", kind, split, frames, dict.fromkeys(VIEWS, mask))
    return collection


def made_references(loaded: LoadedRecipe, parts: Sequence[Mapping[str, tuple[F32, F32]]]) -> PartReferences:
    """The tile where it is, in place of what would be learned from parts that lie here and there."""
    cameras = view_cameras(loaded, SHAPE)
    region = np.zeros(SHAPE, bool)
    region[TILE] = True
    size = (SHAPE[1] // CELL_PX, SHAPE[0] // CELL_PX)
    inside = cv2.resize(region.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    views = {}
    for view in VIEWS:
        colors, normals = (
            np.stack([
                cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
                for plane in np.mean([part[view][what] for part in parts], axis=0)
            ])
            for what in (0, 1)
        )  # fmt: skip
        heights = np.zeros_like(inside)
        views[view] = PartReference(colors, normals, inside, heights, region, cameras[view])
    return PartReferences(views, SHAPE, len(parts), loaded.sha256s["calibration"])
