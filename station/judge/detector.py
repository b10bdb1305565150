"""The anomaly detector: one `.onnx` file, refused unless it proves what it is, run by onnxruntime."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from pydantic import ValidationError

from station.errors import BadInput
from station.inspection.result import AnomalyMap
from station.judge.model_grid import block_mean, block_normals, brought_back
from station.judge.model_metadata import FORMAT_VERSION, METADATA_KEY, ModelMetadata
from station.recipe.loaded import Recipe

INPUTS = {"diffuse_rgb": "tensor(float)", "normals": "tensor(float)", "view_index": "tensor(int64)"}
OUTPUTS = ("pred_score", "anomaly_map")
SELF_TEST_TOLERANCE = 1e-3  # of the score, relative above 1: other processors round differently
Image = NDArray[np.float32]


class ModelRefused(BadInput):
    """A model file that must not judge parts; the text names the file, the cause and what to do."""

    def __init__(self, path: Path, reason: str, hint: str) -> None:
        super().__init__(f"model {path}: {reason}; {hint}")
        self.path, self.reason, self.hint = path, reason, hint


class DetectorInputError(ValueError):
    """A capture that does not fit the model; the text gives both sizes or the view's name."""


class AnomalyDetector:
    """Scores one view at a time. Immutable after `load`; `detect` may be called from any one thread at a time."""

    def __init__(self, path: Path, sha256: str, metadata: ModelMetadata, session: Any) -> None:
        self.path, self.sha256, self.metadata = path, sha256, metadata
        self._session = session

    @classmethod
    def load(cls, path: Path, sha256: str | None = None, threads: int = 1) -> AnomalyDetector:
        """Open a model and run its golden self-test on every view.

        `sha256` is the hash that the file must have (default: any); `threads` are onnxruntime's. Raises ModelRefused.
        """
        content = _read(path)
        found = hashlib.sha256(content).hexdigest()
        if sha256 is not None and found != sha256.lower():
            raise ModelRefused(
                path, f"its SHA-256 is {found}, the recipe asks for {sha256}", "restore the file or release it anew"
            )
        session = _session(path, content, threads)
        detector = cls(path, found, _metadata(path, session), session)
        detector._self_test()
        return detector

    @property
    def model_id(self) -> str:
        """Product and the start of the file's hash."""
        return f"{self.metadata.product}-{self.sha256[:12]}"

    def check_fits(self, recipe: Recipe) -> None:
        """Raise ModelRefused unless the model was made for this product, these views, lights and colours."""
        for reason in _misfits(self.metadata, recipe):
            raise ModelRefused(self.path, reason, "train a model for this recipe, or name the right file")

    def warm_up(self) -> None:
        """Run once, so that the first part does not pay for allocation."""
        self._run(*_golden(self.metadata, 0))

    def detect(self, image: Image, normals: Image, view: str, shift_px: tuple[float, float] = (0.0, 0.0)) -> AnomalyMap:
        """Map and score of one view; `image` and `normals` are (3, H, W) as the station makes them.

        What the capture shows stands `shift_px` (right, down) from where the model saw it, and is brought back by whole
        pixels of the model's grid. A capture larger than that grid by a whole factor is averaged down. A score or map
        that is not finite is handed on as NaN, which passes no limit. Raises DetectorInputError.
        """
        if view not in self.metadata.views:
            raise DetectorInputError(f"the model does not know the view {view!r}, only {list(self.metadata.views)}")
        factor = self._factor(image, normals)
        dx, dy = (round(shift / factor) for shift in shift_px)
        rgb = brought_back(block_mean(image, factor), dx, dy)
        directions = brought_back(block_normals(normals, factor), dx, dy)
        score, fused = self._run(rgb[None], directions[None], self._index(view))
        if not np.isfinite(fused).all():
            score = float("nan")
        return AnomalyMap(fused, score)

    def _index(self, view: str) -> NDArray[np.int64]:
        return np.array([self.metadata.views.index(view)], np.int64)

    def _factor(self, image: Image, normals: Image) -> int:
        h, w = self.metadata.input_size
        if image.shape != normals.shape or image.ndim != 3 or image.shape[0] != 3:
            raise DetectorInputError(f"image {image.shape} and normals {normals.shape} must both be (3, H, W), alike")
        factor: int = image.shape[1] // h
        if factor < 1 or image.shape[1:] != (factor * h, factor * w):
            raise DetectorInputError(
                f"a capture of {image.shape[2]} x {image.shape[1]} pixels is no whole multiple of the model's "
                f"{w} x {h}: choose the recipe's binning so that it is"
            )
        return factor

    def _run(self, rgb: Image, normals: Image, index: NDArray[np.int64]) -> tuple[float, Image]:
        feed = {"diffuse_rgb": rgb, "normals": normals, "view_index": index}
        score, fused = self._session.run(list(OUTPUTS), feed)
        return float(score[0]), np.asarray(fused[0], np.float32)

    def _self_test(self) -> None:
        """Every view's golden input must give its golden score, and a finite map."""
        for v, expected in enumerate(self.metadata.golden.scores):
            try:
                score, fused = self._run(*_golden(self.metadata, v))
            except Exception as error:
                raise ModelRefused(self.path, f"it does not run: {error}", "export it again") from error
            close = abs(score - expected) <= SELF_TEST_TOLERANCE * max(1.0, abs(expected))
            if not (close and np.isfinite(fused).all()):
                raise ModelRefused(
                    self.path,
                    f"self-test failed: view {self.metadata.views[v]!r} scores {score:.6g} instead of {expected:.6g}",
                    "the file or this machine's onnxruntime is damaged; restore the file, else export it again",
                )


def _misfits(m: ModelMetadata, recipe: Recipe) -> Iterator[str]:
    """Why a model does not belong to a recipe, one reason after the other."""
    if m.product != recipe.product:
        yield f"it was trained for {m.product!r}, the recipe is for {recipe.product!r}"
    unknown = [v.name for v in recipe.viewpoints if v.name not in m.views]
    if unknown:
        yield f"it does not know the view {unknown[0]!r}, only {list(m.views)}"
    color = "mono" if recipe.capture.pixel_format.startswith("Mono") else "rgb"
    if color != m.color:
        yield f"it was trained on {m.color} pictures, {recipe.capture.pixel_format} gives {color}"
    stereo, learned = recipe.photometric_stereo, m.photometric_stereo
    if stereo.method != learned.method:
        yield f"its normals were solved by {learned.method!r}, the recipe uses {stereo.method!r}"
    refine = stereo.refine if stereo.detector_normals == "refined" else "none"
    if refine != learned.refine:
        yield f"it learned from normals refined by {learned.refine!r}, the recipe gives it {refine!r}"
    if stereo.gloss_of_detector != learned.gloss:
        yield f"it learned from normals of gloss {learned.gloss}, the recipe has {stereo.gloss_of_detector}"
    if learned.shadow_fraction is not None and stereo.shadow_fraction != learned.shadow_fraction:
        yield f"it learned at shadow_fraction {learned.shadow_fraction:g}, the recipe has {stereo.shadow_fraction:g}"
    for v in recipe.viewpoints:
        height_mm = learned.plane_heights_mm.get(v.name, 0.0)
        if v.plane_height_mm != height_mm:
            yield f"view {v.name!r} learned at plane height {height_mm:g} mm, the recipe has {v.plane_height_mm:g}"
    lights = [light.name for light in recipe.directional_lights]
    if sorted(lights) != sorted(learned.lights):
        yield f"it was trained under {list(learned.lights)}, the recipe lights {lights}"


def _read(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ModelRefused(path, "there is no such file", "train it (`station train`) or correct the recipe") from None
    except OSError as error:
        raise ModelRefused(path, f"it cannot be read ({error.strerror})", "check the file and its rights") from error
    if not content:
        raise ModelRefused(path, "it is empty", "restore the file")
    return content


def _session(path: Path, content: bytes, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        reason = f"it is no readable ONNX model ({len(content)} bytes: {str(error).strip().splitlines()[0][:160]})"
        raise ModelRefused(path, reason, "the file is truncated, damaged or something else; restore it") from error
    inputs = {i.name: i.type for i in session.get_inputs()}
    outputs = tuple(o.name for o in session.get_outputs())
    if inputs != INPUTS or outputs != OUTPUTS:
        raise ModelRefused(
            path,
            f"its inputs are {inputs} and its outputs {list(outputs)}, expected {INPUTS} and {list(OUTPUTS)}",
            "it was not exported by `station train`",
        )
    return session


def _metadata(path: Path, session: Any) -> ModelMetadata:
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        raise ModelRefused(path, f"it has no metadata {METADATA_KEY!r}", "it was not exported by `station train`")
    try:
        raw = json.loads(text)
        version = raw.get("format_version") if isinstance(raw, dict) else None
        if version != FORMAT_VERSION:
            raise ModelRefused(
                path, f"its metadata has format {version!r}, this station reads {FORMAT_VERSION}", "export it again"
            )
        return ModelMetadata.model_validate(raw)
    except json.JSONDecodeError as error:
        raise ModelRefused(path, f"its metadata is not JSON ({error})", "export it again") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "as a whole"
        raise ModelRefused(path, f"its metadata is wrong: {where}: {first['msg']}", "export it again") from error


def _golden(metadata: ModelMetadata, view: int) -> tuple[Image, Image, NDArray[np.int64]]:
    """The self-test input of kind `lattice`: colour steps of 1/64 and exact unit triples over 9, tiled by 16 px."""
    (h, w), seed = metadata.input_size, metadata.golden.seed
    y, x = np.arange(h)[:, None], np.arange(w)[None, :]
    planes = [(7 * x + 13 * y + 29 * c + 31 * seed + 3 * view) % 64 for c in range(3)]
    triples = np.array([(1, 4, 8), (4, 4, 7), (-4, 1, 8), (-1, -4, 8)], np.float32) / np.float32(9)
    normals = triples[(x // 16 + y // 16 + seed) % 4].transpose(2, 0, 1)
    rgb = np.stack(planes).astype(np.float32) / np.float32(64)
    return rgb[None], np.ascontiguousarray(normals)[None], np.array([view], np.int64)
