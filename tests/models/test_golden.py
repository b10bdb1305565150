"""The exporter and the station make the same self-test from the same bytes."""

from __future__ import annotations

import numpy as np

from models import golden as written
from station.judge import golden as read
from station.judge.model_metadata import Golden

SIZE, CELL_PX = (60, 84), 6


def test_both_sides_make_the_same_inputs() -> None:
    rng = np.random.default_rng(3)
    rgb, normals = rng.random((3, *SIZE), np.float32), rng.standard_normal((3, *SIZE)).astype(np.float32)
    normals /= np.sqrt((normals**2).sum(axis=0))
    normals[:, :CELL_PX, :CELL_PX] = 0
    for packed in (written.packed_sample(rgb, normals, CELL_PX), written.lattice_sample(SIZE, 1, CELL_PX)):
        colors, directions = read.unpacked_sample(packed, CELL_PX, SIZE)
        turned = (read.turned(colors), read.turned(directions), read.golden_region(SIZE))
        expected = [(colors, directions, np.ones(SIZE, np.float32)), turned]
        for made, wanted in zip(written.sample_inputs(packed, CELL_PX, SIZE), expected, strict=True):
            for a, b in zip(made, wanted, strict=True):
                assert np.array_equal(a, b)
    assert not written.sample_inputs(written.packed_sample(rgb, normals, CELL_PX), CELL_PX, SIZE)[0][1][:, 0, 0].any()


def test_both_sides_make_the_same_figures_and_the_record_holds_them() -> None:
    rng = np.random.default_rng(4)
    maps = [rng.random(shape).astype(np.float32) for shape in (SIZE, (3, 10, 14))]
    for planes in maps:
        np.testing.assert_allclose(written.map_figures(planes), read.map_figures(planes), rtol=1e-6)
    record = written.golden_record(
        [written.lattice_sample(SIZE, v, CELL_PX) for v in (0, 1)], CELL_PX, SIZE, lambda *_: (2.0, maps[1])
    )
    golden = Golden.model_validate(record)
    assert golden.scores == (2.0,) * 4
    for known in read.expected_figures(golden, 1):
        assert known is not None
        np.testing.assert_array_equal(known, written.map_figures(maps[1]))
