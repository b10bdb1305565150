"""The engine of `engine_bench`, served."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from served_bench import ServedBench


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedBench]:
    bench = ServedBench(tmp_path, monkeypatch)
    yield bench
    bench.close()


@pytest.fixture
def served_over_tcp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedBench]:
    bench = ServedBench(tmp_path, monkeypatch, over_tcp=True)
    yield bench
    bench.close()
