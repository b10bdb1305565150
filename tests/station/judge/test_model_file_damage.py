"""A damaged model file never judges: its hash tells of every bit, and the self-test alone of every bit that counts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from station.judge.detector import AnomalyDetector, DetectorInputError, ModelRefused

pytest.importorskip("torch", reason="making a model needs the extra `train`")
from model_of_format_2 import as_format_2

from models.config import EncoderConfig, NetworkConfig, TrainConfig
from models.dataset import load_dataset, read_normals, read_rgb
from models.train import train_product

COUNTS = 0.01  # change of a score that must not go unnoticed
View = tuple[np.ndarray, np.ndarray, str]


@pytest.fixture(scope="module")
def views(small_dataset: Path) -> list[View]:
    """Real inputs: a part with a stain, and good parts that set the limits."""
    data = load_dataset(small_dataset)
    items = [item for item in data.of("test") if item.kind != "good"] + list(data.of("calibrate")[:4])
    return [(read_rgb(item.rgb, TrainConfig()), read_normals(item.normal), item.view) for item in items]


@pytest.fixture(scope="module")
def tiny_model(small_dataset: Path, views: list[View], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smallest network that has every part of the default one, in format 2."""
    folder = tmp_path_factory.mktemp("damage")
    encoder = EncoderConfig(sigmas_px=(1.0,), components=8, floor=0.02)
    network = NetworkConfig(width=16, heads=2, prototypes=3, stages=1)
    config = TrainConfig(encoder=encoder, network=network, steps=30, threads=1, tokens_per_view=32)
    train_product(small_dataset, folder / "old.onnx", config)
    good = {view: (rgb, normals) for rgb, normals, view in views[2:]}
    return as_format_2(folder / "old.onnx", folder / "new.onnx", [good[view] for view in ("top", "left")])


def _flipped(content: bytes, seed: int, count: int) -> Iterator[bytes]:
    for bit in np.random.default_rng(seed).integers(8 * len(content), size=count):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << (bit % 8)
        yield bytes(damaged)


def test_none_of_300_flipped_bits_passes_the_hash(tiny_model: Path, tmp_path: Path) -> None:
    content = tiny_model.read_bytes()
    expected = hashlib.sha256(content).hexdigest()
    assert AnomalyDetector.load(tiny_model, expected).metadata.format_version == 2
    file = tmp_path / "flipped.onnx"
    for damaged in _flipped(content, 7, 300):
        file.write_bytes(damaged)
        with pytest.raises(ModelRefused, match="SHA-256"):
            AnomalyDetector.load(file, expected)


def test_a_flipped_bit_that_changes_a_score_fails_the_self_test_without_a_hash(
    tiny_model: Path, views: list[View], tmp_path: Path
) -> None:
    """Issue 17. A flip that scales a place at which the stored view is ordinary may stay unseen: one in 150 at most."""
    whole = AnomalyDetector.load(tiny_model)
    scores = [whole.detect(*view).pred_score for view in views]
    file, refused, passed, missed = tmp_path / "flipped.onnx", 0, 0, 0
    for damaged in _flipped(tiny_model.read_bytes(), 1, 150):
        file.write_bytes(damaged)
        try:
            detector = AnomalyDetector.load(file)
            found = [detector.detect(*view).pred_score for view in views]
        except (ModelRefused, DetectorInputError):  # the latter: a view has another name now, which no recipe accepts
            refused += 1
            continue
        passed += 1
        missed += not np.allclose(found, scores, rtol=COUNTS, atol=0)
    assert missed <= 1
    assert refused > 50
    assert passed > 20
