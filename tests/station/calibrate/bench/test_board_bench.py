"""The board that the station takes for granted is the one that the simulated rig prints."""

from __future__ import annotations

from drivers.simulated.scene.board import COLS, ROWS, SQUARE_MM
from station.calibrate.bench.board_bench import BOARD


def test_the_usual_board_is_the_simulated_rigs_own() -> None:
    assert (BOARD.pattern, BOARD.cols, BOARD.rows, BOARD.square_mm) == ("charuco", COLS, ROWS, SQUARE_MM)
