"""The matrix by which raw counts become g and what no g explains: plain least squares in one product per pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST_PROJECTED = 9  # lights: with more, K * K products are more than predicting each light from g takes


def supports(count: int) -> list[tuple[int, int]]:
    """First and last light (exclusive) that each row of the projection looks at, for `count` lights.

    Three rows give g; the others span what no g can explain. Of those, a row orthogonal to the light vectors needs
    four lights, and one more for each earlier row that it overlaps.
    """
    rows = [(0, count)] * 3
    if count >= 8:
        return [*rows, (0, 4), (4, 8), *((0, 6 + i) for i in range(count - 5))]
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
    """For `vectors.project`: the matrix for raw counts (value = (raw - black) * scale), row by row, its constants.

    Beyond MOST_PROJECTED lights only the rows that give g; then per light what its residual is made of: scale,
    -black * scale, -l.
    """
    if len(directions) > MOST_PROJECTED:
        inverse = np.linalg.pinv(directions) * scale
        lights = np.column_stack([scale, -black_dn * scale, -directions])
        return np.concatenate([inverse.ravel(), -(inverse @ black_dn), lights.ravel()]).astype(np.float32)
    matrix = projection(directions) * scale
    return np.concatenate([matrix.ravel(), -(matrix @ black_dn)]).astype(np.float32)
