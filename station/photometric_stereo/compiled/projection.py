"""The matrix that turns raw counts into g and what no g explains: plain least squares as one product per pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST_PROJECTED = 7  # lights: with more, the rows of what is left take longer than |I|^2 - |L g|^2 does


def supports(count: int) -> list[tuple[int, int]]:
    """First and last light (exclusive) that each row of the projection reads, for `count` lights.

    Three rows give g; the others span what no g can explain. Of those, a row orthogonal to the light vectors needs
    four lights, and one more for each earlier row that it overlaps.
    """
    rows = [(0, count)] * 3
    return [*rows, *((0, 4 + i) for i in range(count - 3))]


def projection(directions: NDArray[np.float64]) -> NDArray[np.float64]:
    """(K, K) of K light vectors (K, 3): the pseudo-inverse in rows 0..2, then an orthonormal base of what is left.

    The sum of squares of I - L g is that of rows 3.. times I (nothing cancels, as it would in |I|^2 - |L g|^2).
    """
    count = len(directions)
    explained = directions.T
    rows = [np.linalg.pinv(directions)]
    for first, last in supports(count)[3:]:
        row = np.zeros((1, count))
        row[0, first:last] = np.linalg.svd(explained[:, first:last])[2][-1]
        explained = np.vstack([explained, row])
        rows.append(row)
    return np.vstack(rows)


def projection_table(
    directions: NDArray[np.float64], scale: NDArray[np.float64], black_dn: NDArray[np.float64]
) -> NDArray[np.float32]:
    """For `project.project`: the matrix for raw counts (value = (raw - black) * scale), row by row, its constants.

    Beyond MOST_PROJECTED lights: per light scale, -black * scale and its column of the pseudo-inverse; the six
    entries of the triangle U of L = Q U, row by row, for |L g| = |U g|; 0 and 1. For even lights, which share black
    and scale, columns are of raw counts, and black and scale^2 stand at the end. In float32 the difference of the
    squares ends at about 5e-4 of the signal: below the step of 8 bits, and below the shot noise of any sensor.
    """
    if len(directions) <= MOST_PROJECTED:
        matrix = projection(directions) * scale
        return np.concatenate([matrix.ravel(), -(matrix @ black_dn)]).astype(np.float32)
    columns = np.linalg.pinv(directions).T
    last = (0.0, 1.0)
    if is_even(scale, black_dn):
        columns, last = columns * scale[0], (black_dn[0], scale[0] ** 2)
    triangle = np.linalg.qr(directions)[1][np.triu_indices(3)]
    per_light = np.column_stack([scale, -black_dn * scale, columns])
    return np.concatenate([per_light.ravel(), triangle, last]).astype(np.float32)


def is_even(scale: NDArray[np.float64], black_dn: NDArray[np.float64]) -> bool:
    """Whether all lights share black and scale, as `project.project_even` takes them."""
    return bool((scale == scale[0]).all() and (black_dn == black_dn[0]).all())
