"""The Scene and the solver against an independent renderer: light with all its bounces (Mitsuba 3). All simulated.

    pip install "facet-station[foreign]"
    python benchmarks/foreign_renderer.py [--cache FOLDER] [--products block lever] [--views top front] [--albedo 0.5]
                                          [--samples 400] [--bounces 6] [--json]

Every part is matte, of one albedo, without texture, tolerance or placement error; see `foreign/views.py`. With --cache,
views are kept in a folder, and Mitsuba is needed only for those that are not there: a minute or two each on 2 cores,
for three albedos at once. A kept view is taken as it is: empty the folder after a change of a part's shape, of the
lamps or of --samples.

Scene: |Scene - renderer| over the renderer's total light, per pixel and lamp, in percent; a pixel that gets less than
1 % of its albedo from a lamp is not judged by it. `shadow` counts pixels of the part for which the two disagree
whether a lamp reaches them. A pixel is *concave* where bounced light is over 5 % of the total of the lamps that reach
it, in the mean, or where none reaches it; at a *contact* where another surface rises within 1 mm of it; *open* where it
is neither. `noise` is what is left of the renderer's own in the view's bounced light, rms over its mean.

Solver: errors of normals in degrees over the pixels called observable, and over those that three lamps reach directly;
how many are called observable of all, and although fewer than three lamps reach them; how many errors the stated 95 %
interval holds on open, concave and all observable pixels. Rows of `direct` light show what the light model alone costs:
the solver knows one plane per view and not the height of each pixel. Frames carry the noise of a sensor binned by 4: at
the renderer's own 16 it would sink below what is left of the renderer's noise.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from foreign.scene import SceneRow, scene_rows
from foreign.solver import SolverRow, solver_rows
from foreign.views import RenderedView, RendererMissing, render
from truth_views import VIEWS

from drivers.simulated.scene import DEFAULT_BOUNCES, make_part

PRODUCTS = ("connector", "knob", "block", "lever")
ALBEDOS = (0.2, 0.5, 0.8)  # rendered together
SCENE_HEADER = (
    f"{'percent of total light':<40}{'direct':<23}{'total':<23}{'dome, direct':<23}{'dome, total':<21}"
    f"{'shadow':>9}{'noise':>7}\n{'part':<10}{'rho':>5} {'view':<6}{'where':<8}{'pixels':>7}"
) + f"  {'median':>7}{'p95':>7}{'bias':>7}" * 4
SOLVER_HEADER = f"""\
{"degrees":<43}{"mean error":>16}{"observ-":>9}{"< 3":>8}   95 % interval holds
{"part":<10}{"rho":>5} {"view":<6}{"K":>2} {"light":<7}{"solver":<10}{"all":>8}{"3 lit":>8}{"able":>9}{"lit":>8}\
{"open":>9}{"concave":>9}{"all":>8}"""


def rendered(product: str, name: str, albedo: float, samples: int, cache: Path | None) -> RenderedView:
    """From the cache, or from the renderer. Raises RendererMissing, and ValueError for a broken file."""
    others = ALBEDOS if albedo in ALBEDOS else (albedo,) * 3
    file = None if cache is None else cache / f"{product}_{name}_a{round(100 * albedo):02d}.npz"
    if file is not None and file.is_file():
        return RenderedView.load(file)
    views = dict(zip(others, render(make_part(product, 0).body, name, others, samples), strict=True))
    if cache is not None:
        for one, view in views.items():
            view.save(cache / f"{product}_{name}_a{round(100 * one):02d}.npz")
    return views[albedo]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, help="folder of rendered views")
    parser.add_argument("--products", nargs="+", choices=PRODUCTS, default=PRODUCTS)
    parser.add_argument("--views", nargs="+", choices=tuple(VIEWS), default=tuple(VIEWS))
    parser.add_argument("--albedo", nargs="+", type=_albedo, default=[0.5])
    parser.add_argument("--samples", type=int, default=400, help="paths per pixel and lamp")
    parser.add_argument(
        "--bounces", type=int, default=DEFAULT_BOUNCES, help="of the Scene's light; 0: direct light only"
    )
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    started = time.perf_counter()
    try:
        of_scene, of_solver = rows(given)
    except (RendererMissing, ValueError) as e:
        print(f"foreign_renderer: {e}", file=sys.stderr)
        return 2
    elapsed_s = time.perf_counter() - started
    if given.json:
        found = {"scene": [asdict(r) for r in of_scene], "solver": [asdict(r) for r in of_solver], "wall_s": elapsed_s}
        print(json.dumps(found, indent=1))
        return 0
    print("\n".join([SCENE_HEADER, *(r.as_text() for r in of_scene), "", SOLVER_HEADER]))
    print("\n".join([*(r.as_text() for r in of_solver), f"simulated; {elapsed_s:.0f} s"]))
    return 0


def _albedo(text: str) -> float:
    value = float(text)
    if not 0.01 <= value <= 0.99 or abs(100 * value - round(100 * value)) > 1e-6:
        raise argparse.ArgumentTypeError(f"{text}: expected hundredths from 0.01 to 0.99")
    return value


def rows(given: argparse.Namespace) -> tuple[list[SceneRow], list[SolverRow]]:
    """Raises RendererMissing, and ValueError for a broken file and for what the Scene refuses."""
    of_scene: list[SceneRow] = []
    of_solver: list[SolverRow] = []
    for product in given.products:
        for albedo in given.albedo:
            views = {name: rendered(product, name, albedo, given.samples, given.cache) for name in given.views}
            for name, view in views.items():
                of_scene += scene_rows(product, albedo, name, view, given.bounces)
            of_solver += solver_rows(product, albedo, views)
    return of_scene, of_solver


if __name__ == "__main__":
    sys.exit(main())
