"""A model file as a method of evaluation: what it states about itself, and how it is run. It needs no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from models.beyond_picture import beyond_in, with_repeated
from models.config import TrainConfig
from models.dataset import Dataset, DatasetError, Item, read_normals, read_rgb, regions_of

METADATA_KEY = "facet"  # models/export.py writes it, and importing that would need torch


class ModelFile:
    """Runs a `.onnx` file on a data set's views; files with three inputs and with four (a region) alike."""

    def __init__(self, file: Path, dataset: Dataset, limits: Mapping[str, float] | None = None) -> None:
        """`limits` by view replace those that the file suggests.

        Raises DatasetError where the file cannot be read, is of another product, lacks a view of the set, or has
        another picture size.
        """
        self.name = file.stem
        self._session, self._metadata = _opened(file)
        self._dataset = dataset
        self._regions = dict(zip(dataset.views, regions_of(dataset), strict=True))
        self.config = TrainConfig.from_dict(self._metadata["config"])
        self._inputs = {i.name for i in self._session.get_inputs()}
        self._check(file)
        suggested = {view: float(v) for view, v in self._metadata["limits_suggested"].items()}
        self.limits: Mapping[str, float] = suggested if limits is None else limits
        lacking = [v for v in dataset.views if v not in self.limits]
        if lacking:
            raise DatasetError(f"{file}: no limit for the view {lacking[0]!r}; give the recipe that has one")

    def _check(self, file: Path) -> None:
        product, size = self._metadata["product"], tuple(self._metadata["input_size"])
        if product != self._dataset.product:
            items = len(self._dataset.of("test"))
            raise DatasetError(
                f"{self._dataset.folder}: no test parts of {product!r} (it holds {items} test views of "
                f"{self._dataset.product!r}): make it with `station dataset simulate {product} --defective N`"
            )
        if size != self._dataset.input_size:
            raise DatasetError(
                f"{file}: takes pictures of {size[1]} x {size[0]} pixels, and {self._dataset.folder} has "
                f"{self._dataset.input_size[1]} x {self._dataset.input_size[0]}; train on this set, or name its model"
            )
        unknown = [v for v in self._dataset.views if v not in self._metadata["views"]]
        if unknown:
            raise DatasetError(f"{file}: was not trained on the view {unknown[0]!r}; train on this set")

    def judge(self, item: Item) -> tuple[float, NDArray[np.float32]]:
        """The score and the map (H, W) of one view."""
        rgb, normals = read_rgb(item.rgb, self.config), _normals(item, self._dataset.input_size)
        region = self._regions[item.view]
        beyond = np.zeros_like(region) if item.normal is None else beyond_in(rgb, normals)
        rgb, normals, shown = with_repeated(rgb, normals, region, beyond)
        arrays: dict[str, Any] = {
            "diffuse_rgb": rgb[None],
            "normals": normals[None],
            "view_index": np.array([self._metadata["views"].index(item.view)], np.int64),
            "region": shown[None],
        }
        score, fused = self._session.run(["pred_score", "anomaly_map"], {name: arrays[name] for name in self._inputs})
        return float(score[0]), np.asarray(fused[0], np.float32)


def _normals(item: Item, size: tuple[int, int]) -> NDArray[np.float32]:
    """(3, H, W); zeros for a set of pictures alone."""
    return np.zeros((3, *size), np.float32) if item.normal is None else read_normals(item.normal)


def _opened(file: Path) -> tuple[Any, dict[str, Any]]:
    """The session and the file's own description; DatasetError where the file is no model of ours."""
    try:
        session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        metadata = json.loads(session.get_modelmeta().custom_metadata_map[METADATA_KEY])
    except KeyError:
        raise DatasetError(f"{file}: does not describe itself as a model of this station; train it anew") from None
    except Exception as error:  # onnxruntime has an exception of its own for each way to fail
        raise DatasetError(f"{file}: cannot be run ({error}); name a model file that `station train` wrote") from error
    return session, metadata
