"""The one solver of heights from slopes: exact where slopes agree, and least squares where they do not."""

from __future__ import annotations

import numpy as np

from models.height_fit import fitted_height


def test_slopes_of_a_height_give_it_back_under_any_weights() -> None:
    random = np.random.default_rng(0)
    height = random.normal(size=(9, 13))
    weights = random.uniform(0.05, 1.0, (9, 12)), random.uniform(0.05, 1.0, (8, 13))
    found = fitted_height(
        np.diff(height, axis=1), np.diff(height, axis=0), *weights, tolerance=1e-9, maximum_iterations=200
    )
    np.testing.assert_allclose(found, height - height.mean(), atol=1e-6)


def test_slopes_that_contradict_each_other_are_fitted_as_a_dense_solver_fits_them() -> None:
    random = np.random.default_rng(1)
    index = np.arange(20).reshape(4, 5)
    right, down = random.normal(size=(4, 4)), random.normal(size=(3, 5))
    weight_right, weight_down = random.uniform(0.05, 1.0, (4, 4)), random.uniform(0.05, 1.0, (3, 5))
    low = np.concatenate([index[:, :-1].ravel(), index[:-1].ravel()])
    high = np.concatenate([index[:, 1:].ravel(), index[1:].ravel()])
    root = np.sqrt(np.concatenate([weight_right.ravel(), weight_down.ravel()]))
    differences = np.zeros((root.size, 20))
    differences[np.arange(root.size), high], differences[np.arange(root.size), low] = root, -root
    sought = np.linalg.lstsq(differences, root * np.concatenate([right.ravel(), down.ravel()]), rcond=None)[0]
    found = fitted_height(right, down, weight_right, weight_down, tolerance=1e-9, maximum_iterations=200)
    np.testing.assert_allclose(found.ravel(), sought - sought.mean(), atol=1e-6)
