"""The pictures of the running or last part, for the tiles of windows in other processes.

A view's pictures are thinned to PREVIEW_PX on a thread of their own, after the view was judged. A capture that is no
larger stays as it is. The image is averaged; of the maps every n-th pixel is taken, so that each value is a measured
one. The score map is sent whole. In full, pictures are in the archive.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from station.engine.events import Event, JobStarted, ViewJudged
from station.inspection.result import AnomalyMap, ViewResult
from station.photometric_stereo.normal_map import NormalMap, PackedNormalMap
from station.photometric_stereo.packing import pack_scaled, unpack_scaled
from station.service.protocol import NotTheProtocol

log = logging.getLogger(__name__)

PREVIEW_PX = 1000  # of the longer side, at most
WAIT_S = 10.0
MAXIMUM_BYTES = 256 * 1024 * 1024
_PLANES = ("normals", "albedo", "lit_count", "residual", "observable", "saturated")
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Preview:
    """One view's pictures as arrays by name, and the figures that belong to them (`image_scale` and the like)."""

    arrays: Arrays
    scales: dict[str, float]

    def head(self) -> dict[str, Any]:
        """What a reply says of the bytes that follow it."""
        listed = [
            {"name": name, "dtype": array.dtype.str, "shape": list(array.shape)} for name, array in self.arrays.items()
        ]
        return {"arrays": listed, "scales": self.scales}

    def pieces(self) -> Iterator[memoryview]:
        """The bytes of the arrays, in the order of `head`."""
        for array in self.arrays.values():
            yield np.ascontiguousarray(array).data.cast("B")


class Previews:
    """Those of one part at a time. `take` only queues; whoever asks waits for the view that is being made."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Event | None] = SimpleQueue()
        self._changed = threading.Condition()
        self._inspection_id = ""
        self._made: dict[str, Preview] = {}
        self._awaited: set[str] = set()
        self._thread = threading.Thread(target=self._make_all, name="previews", daemon=True)

    def start(self) -> None:
        """Begin to make them."""
        self._thread.start()

    def take(self, event: Event) -> None:
        """Runs on the engine's threads."""
        if isinstance(event, JobStarted):
            with self._changed:
                self._inspection_id, self._made, self._awaited = event.inspection_id, {}, set()
        elif isinstance(event, ViewJudged):
            with self._changed:
                self._awaited.add(event.result.view)
            self._queue.put(event)

    def of_view(self, inspection_id: str, view: str) -> Preview | None:
        """None where there are none: of an earlier part, of a view without pictures, or not made within WAIT_S."""
        with self._changed:
            self._changed.wait_for(
                lambda: inspection_id != self._inspection_id or view not in self._awaited, timeout=WAIT_S
            )
            return self._made.get(view) if inspection_id == self._inspection_id else None

    def close(self) -> None:
        """End, without those that are not made yet."""
        self._queue.put(None)
        if self._thread.is_alive():
            self._thread.join()

    def _make_all(self) -> None:
        while isinstance(event := self._queue.get(), ViewJudged):
            made: Preview | None = None
            try:
                made = preview_of(event.result)
            except Exception:  # a window without a picture is no reason to end
                log.exception("view %s: its pictures for windows could not be made", event.result.view)
            with self._changed:
                if event.inspection_id == self._inspection_id:
                    self._awaited.discard(event.result.view)
                    if made is not None:
                        self._made[event.result.view] = made
                self._changed.notify_all()
            del event, made  # a view's pictures must not be kept until the next one comes


def preview_of(result: ViewResult, longest_px: int = PREVIEW_PX) -> Preview | None:
    """The view's pictures, thinned; None where it has none."""
    arrays: Arrays = {}
    scales: dict[str, float] = {}
    if result.image is not None:
        packed, scale = pack_scaled(_averaged(result.image, longest_px))
        arrays["image"], scales["image"] = packed, scale
    if result.normal_map is not None:
        found = result.normal_map
        step = _step(found.albedo.shape, longest_px)
        packed_map = _thinned(found, step)
        arrays |= {name: np.asarray(getattr(packed_map, name)) for name in _PLANES}
        scales |= {"albedo": packed_map.albedo_scale, "residual": packed_map.residual_scale}
    if result.anomaly_map is not None:
        arrays["scores"] = result.anomaly_map.scores.astype(np.float32, copy=True)
    return Preview(arrays, scales) if arrays else None


def with_preview(result: ViewResult, head: Mapping[str, Any], data: bytes) -> ViewResult:
    """The view with the pictures of that reply: `head` as `Preview.head` gives it, `data` the bytes behind it.

    Raises NotTheProtocol where they do not fit.
    """
    arrays, scales = _unpacked(head, data), dict(head.get("scales", {}))
    try:
        if "image" in arrays:
            result = replace(result, image=unpack_scaled(arrays["image"], scales["image"]))
        if "normals" in arrays:
            planes = {name: arrays[name] for name in _PLANES}
            found = PackedNormalMap(**planes, albedo_scale=scales["albedo"], residual_scale=scales["residual"])
            result = replace(result, normal_map=found)
    except KeyError as error:
        raise NotTheProtocol(f"pictures without {error}") from error
    if "scores" in arrays and result.pred_score is not None:
        result = replace(result, anomaly_map=AnomalyMap(arrays["scores"], result.pred_score))
    return result


def _unpacked(head: Mapping[str, Any], data: bytes) -> Arrays:
    arrays, start = {}, 0
    try:
        for entry in head["arrays"]:
            dtype, shape = np.dtype(entry["dtype"]), tuple(map(int, entry["shape"]))
            size = math.prod(shape) * dtype.itemsize
            arrays[str(entry["name"])] = np.frombuffer(data[start : start + size], dtype).reshape(shape)
            start += size
    except (KeyError, TypeError, ValueError) as error:
        raise NotTheProtocol(f"pictures that do not fit their description: {error}") from error
    return arrays


def _step(shape: tuple[int, ...], longest_px: int) -> int:
    return max(1, math.ceil(max(shape[-2:]) / longest_px))


def _thinned(found: NormalMap | PackedNormalMap, step: int) -> PackedNormalMap:
    """Every `step`-th pixel of each plane, in arrays of their own."""
    thin: dict[str, Any] = {name: np.ascontiguousarray(getattr(found, name)[..., ::step, ::step]) for name in _PLANES}
    if isinstance(found, PackedNormalMap):
        return replace(found, **thin)
    return NormalMap(**thin).packed()


def _averaged(image: NDArray[np.float32], longest_px: int) -> NDArray[np.float32]:
    step = _step(image.shape, longest_px)
    if step == 1:
        return image
    size = (image.shape[2] // step, image.shape[1] // step)
    planes = [cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in image]
    return np.stack(planes).astype(np.float32, copy=False)
