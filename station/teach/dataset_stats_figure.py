"""The paper's Figure 2 for any sets: counts, good and defective by product, areas of masks, and where defects lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from station.report.bar_panels import BarPanel, PlacePanel, draw_panels
from station.report.figure_grid import write_picture
from station.teach.dataset_stats import Stats, bin_names, histogram


def draw_stats(stats: Stats, path: Path) -> None:
    """Write four panels as a PNG."""
    several = len(stats.products) > 1
    counts = [(p.name, (float(sum(p.good.values())), float(sum(p.defective.values())))) for p in stats.products]
    named = [(f"{p.name}: {k}" if several else k, (float(n),)) for p in stats.products for k, n in p.kinds.items()]
    areas = histogram([area for p in stats.products for area in p.all_areas])
    where = np.sum([p.where for p in stats.products], axis=0)
    panels = (
        BarPanel("Parts", counts, ("good", "defective")),
        BarPanel("Defective parts by kind", named),
        BarPanel("Masks by share of the picture", [(b, (float(n),)) for b, n in zip(bin_names(), areas, strict=True)]),
        PlacePanel("Where the masks' centres lie", where),
    )
    write_picture(draw_panels(panels), path)
