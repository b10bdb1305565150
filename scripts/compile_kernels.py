"""Compiles the kernels that most tests need, once, before several test processes would each compile them.

Numba keeps them beside their source files, so a second call takes seconds. `make test` runs this beside mypy, which
uses one core only.
"""

from __future__ import annotations

from drivers.simulated.scene import compile_kernels
from drivers.simulated.scene.board import compile_board_kernels
from station.photometric_stereo.solve import warm_up
from station.recipe.demo import DEMO_RECIPES
from station.recipe.loaded import load_recipe
from station.recipe.solver_inputs import lights_for


def main() -> None:
    compile_kernels()
    compile_board_kernels()
    lights = lights_for(load_recipe(DEMO_RECIPES / "connector.yaml", need_model=False))
    for packed in (False, True):
        warm_up(lights, packed=packed)
    print("kernels of the renderer and of the solver are compiled")


if __name__ == "__main__":
    main()
