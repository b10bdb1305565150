"""Compiles the kernels that most tests need, once, before several test processes would each compile them.

Numba keeps them beside their source files, so a second call takes seconds. `make test` runs this beside mypy, which
uses one core only.
"""

from __future__ import annotations

import numpy as np

from drivers.simulated.scene import compile_kernels
from drivers.simulated.scene.board import compile_board_kernels
from station.photometric_stereo.bounced.refine import warm_up_bounced
from station.photometric_stereo.solve import DirectionalLights, warm_up
from station.recipe.demo import DEMO_RECIPES
from station.recipe.loaded import load_recipe
from station.recipe.solver_inputs import lights_for


def main() -> None:
    compile_kernels()
    compile_board_kernels()
    near = lights_for(load_recipe(DEMO_RECIPES / "connector.yaml", need_model=False))
    slanted = ((0.6, 0.0, 0.8), (-0.6, 0.0, 0.8), (0.0, 0.6, 0.8), (0.0, -0.6, 0.8))
    far = DirectionalLights(tuple("abcd"), np.array(slanted), np.ones(4))
    for lights in (near, far):
        for packed in (False, True):
            warm_up(lights, packed=packed)
    warm_up_bounced()
    print("kernels of the renderer and of the solver are compiled")


if __name__ == "__main__":
    main()
