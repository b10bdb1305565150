"""Several processes train the model that one would have trained, and one of them writes."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import numpy as np
import pytest
from killed_runs import context, needs_fork

pytest.importorskip("torch", reason="training needs the extra `train`")

from models import fit
from models.checkpoint import Checkpoint
from models.config import EncoderConfig, NetworkConfig, ScoreConfig, TrainConfig
from models.together import ALONE, Together
from models.train import help_to_train, train_product

CONFIG = TrainConfig(
    encoder=EncoderConfig(sigmas_px=(1.0,), components=8, floor=0.02),
    network=NetworkConfig(width=16, heads=2, prototypes=3, stages=1, dropout=0.2),
    score=ScoreConfig(spread_minimum=0.1),
    steps=6,
    threads=1,
    tokens_per_view=16,
    batch_views=5,  # which two processes share unequally
)


def as_process(rank: int, port: int, data: Path, out: Path) -> None:
    """In a child: what `torchrun` sets, then one process of the training."""
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    fit.EVERY = 2
    saved: list[Path] = []
    plain = Checkpoint.save

    def save(self: Checkpoint, state: dict[str, object]) -> None:
        saved.append(self.file)
        plain(self, state)

    Checkpoint.save = save  # type: ignore[method-assign]
    if rank:
        help_to_train()
        assert not saved
        return
    report = train_product(data, out, CONFIG)
    assert len(saved) == CONFIG.steps // 2
    out.with_suffix(".json").write_text(report.to_json())


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@needs_fork
def test_two_processes_train_the_model_of_one_and_one_of_them_writes(small_dataset: Path, tmp_path: Path) -> None:
    """Issue 11, point 5. Dropout, noise and drawn tokens are the same; sums in float32 have another order."""
    forks, port, file = context("models.train"), free_port(), tmp_path / "two.onnx"
    both = [forks.Process(target=as_process, args=(rank, port, small_dataset, file)) for rank in (0, 1)]
    for process in both:
        process.start()
    alone = train_product(small_dataset, tmp_path / "one.onnx", CONFIG)
    for process in both:
        process.join(120)
    assert [process.exitcode for process in both] == [0, 0]
    found = json.loads(file.with_suffix(".json").read_text())
    assert found["last_loss"] == pytest.approx(alone.last_loss, rel=1e-5)
    assert found["limits"] == pytest.approx(alone.limits, rel=1e-3)
    assert _scores(found) == pytest.approx(_scores(json.loads(alone.to_json())), rel=1e-3)
    assert not list(tmp_path.glob(".*")), "the state of the fit is gone with its need"


def _scores(report: dict) -> list[float]:
    return [score for of_view in report["held_out"]["by_variant"]["plain"].values() for score in of_view]


def test_every_row_of_a_batch_has_one_process() -> None:
    for size in (1, 2, 3, 8):
        rows = [Together(rank, size).rows(8) for rank in range(size)]
        assert np.concatenate([np.arange(8)[of_rank] for of_rank in rows]).tolist() == list(range(8))
        assert sum(Together(rank, size).share(8) for rank in range(size)) == pytest.approx(1.0)


def test_more_processes_than_a_step_has_views_are_refused() -> None:
    with pytest.raises(ValueError, match="9 processes, but a step has 8 views"):
        fit.fit_cprn(None, None, None, TrainConfig(), lambda *_: None, None, Together(0, 9))  # type: ignore[arg-type]
    assert ALONE.is_alone
    assert list(ALONE.each("ab", str.upper)) == [(0, "A"), (1, "B")]
