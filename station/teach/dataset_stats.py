"""`station dataset stats`: what sets hold, in the kinds of figures of the paper's Table 1 and Figure 2."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from station.teach.layouts.decoded import read_mask, size_of
from station.teach.layouts.known import read_any, sets_in
from station.teach.layouts.pictures import constant_normals
from station.teach.layouts.source import GOOD, SourceSet

AREA_EDGES = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)  # shares of the picture between the bins
CELLS = 3  # the picture is divided into so many rows and columns, to say where defects lie
SPLITS = ("train", "calibrate", "test")


@dataclass(frozen=True, slots=True)
class ProductStats:
    """One product. Areas are shares of the picture, one for each mask; `where` counts the masks' centres by cell."""

    name: str
    layout: str
    good: dict[str, int]  # split -> parts
    defective: dict[str, int]
    pictures: int
    views: tuple[str, ...]
    has_normals: bool
    areas: dict[str, tuple[float, ...]]  # kind of defect -> one for each mask
    kinds: dict[str, int]  # kind of defect -> parts
    seen_in: dict[str, int]  # view -> defective parts whose mask it has
    where: NDArray[np.int64]  # (3, 3), rows from the top
    smallest_px: tuple[int, int]  # H, W of the picture with the least area
    largest_px: tuple[int, int]
    notes: tuple[str, ...]

    @property
    def parts(self) -> int:
        """Good and defective ones of all splits."""
        return sum(self.good.values()) + sum(self.defective.values())

    @property
    def modalities(self) -> str:
        """As Table 1 writes them, MV- for several views."""
        several = "MV-" if len(self.views) > 1 else ""
        return f"{several}RGB + {several}Normal" if self.has_normals else f"{several}RGB"

    @property
    def all_areas(self) -> tuple[float, ...]:
        """Of all kinds."""
        return tuple(area for areas in self.areas.values() for area in areas)

    def as_dict(self) -> dict[str, object]:
        """The fields of `--json`."""
        return {
            "product": self.name, "layout": self.layout, "parts": self.parts, "good": self.good,
            "defective": self.defective, "pictures": self.pictures, "views": list(self.views),
            "modalities": self.modalities, "kinds": self.kinds, "defects_seen_in_view": self.seen_in,
            "masks": len(self.all_areas), "mask_areas": {kind: list(areas) for kind, areas in self.areas.items()},
            "area_edges": list(AREA_EDGES), "area_histogram": histogram(self.all_areas),
            "mask_centres_3x3": self.where.tolist(), "smallest_px": list(self.smallest_px),
            "largest_px": list(self.largest_px), "notes": list(self.notes),
        }  # fmt: skip

    def as_text(self) -> str:
        """A paragraph: counts, splits, kinds with the areas of their masks, where defects lie."""
        lines = [
            f"{self.name} ({self.layout}): {self.parts} parts, {sum(self.good.values())} good and "
            f"{sum(self.defective.values())} defective; {self.pictures} pictures, {len(self.views)} "
            f"{'views' if len(self.views) > 1 else 'view'} ({', '.join(self.views)}), {self._sizes()}; "
            f"{self.modalities}",
            "  "
            + "; ".join(
                self._of_split(split) for split in SPLITS if self.good.get(split, 0) + self.defective.get(split, 0)
            ),
        ]
        lines += self._kinds_text()
        if self.all_areas:
            lines += ["  masks by share of the picture:", *_bars(histogram(self.all_areas)), *self._where_text()]
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])

    def _sizes(self) -> str:
        small, large = (f"{size[1]} x {size[0]} px" for size in (self.smallest_px, self.largest_px))
        return small if small == large else f"{small} to {large}"

    def _of_split(self, split: str) -> str:
        return f"{split}: {self.good.get(split, 0)} good, {self.defective.get(split, 0)} defective"

    def _kinds_text(self) -> list[str]:
        if not self.kinds:
            return ["  no defective parts"]
        width = max(map(len, self.kinds))
        lines = [f"  {'kind':<{width}}  parts  masks   least  median    most  (% of the picture)"]
        for kind, count in self.kinds.items():
            areas = self.areas.get(kind, ())
            shares = [100 * f(areas) for f in (min, median, max)] if areas else []
            figures = "  ".join(f"{share:6.3f}" for share in shares) or "no masks"
            lines.append(f"  {kind:<{width}}  {count:5}  {len(areas):5}  {figures}")
        return lines

    def _where_text(self) -> list[str]:
        total = max(int(self.where.sum()), 1)
        rows = [" ".join(f"{100 * n / total:4.0f}" for n in row) for row in self.where]
        lines = ["  where their centres lie, % by thirds of the picture:", *(f"   {row}" for row in rows)]
        if len(self.views) > 1:
            defective = max(sum(self.defective.values()), 1)
            shares = ", ".join(f"{view} {100 * n / defective:.0f} %" for view, n in self.seen_in.items())
            lines.append(f"  defective parts whose defect a view has a mask of: {shares}")
        return lines


@dataclass(frozen=True, slots=True)
class Stats:
    """Of one set, or of the sets in one folder."""

    name: str
    products: tuple[ProductStats, ...]

    def as_dict(self) -> dict[str, object]:
        """The document of `--json`."""
        return {"name": self.name, "table_1": self._table_1(), "products": [p.as_dict() for p in self.products]}

    def as_text(self) -> str:
        """Table 1's row, then each product."""
        rows = self._table_1()
        head = "\n".join(f"{title + ':':<24}{value}" for title, value in rows.items())
        return "\n\n".join([head, *(p.as_text() for p in self.products)])

    def _table_1(self) -> dict[str, object]:
        """The columns of Table 1. How fine the geometry is, no folder says."""
        views = {len(p.views) for p in self.products}
        normals = {p.has_normals for p in self.products}
        geometry = "none" if normals == {False} else f"{'multi' if max(views) > 1 else 'single'}-view normals"
        kinds = [kind for p in self.products for kind in p.kinds]  # of each category by itself, as such tables count
        counts = "-".join(str(n) for n in sorted({min(views), max(views)}))
        return {
            "Dataset": self.name,
            "Categories": len(self.products),
            "Defect Types": len(kinds),
            "Samples": sum(p.parts for p in self.products),
            "Modalities": "; ".join(dict.fromkeys(p.modalities for p in self.products)),
            "Geometric Resolution": "not stated in the files",
            "Multi-View": f"Yes ({counts} views)" if max(views) > 1 else "No",
            "Primary Geometric Data": geometry if len(normals) == 1 else f"{geometry}, of some products",
        }


def stats_of(path: Path) -> Stats:
    """Of a set of any kind, or of all sets in a folder. BadInput for neither, and for a set that cannot be read."""
    inside = [] if (path / "index.json").is_file() else sets_in(path)
    sets = [read_any(p) for p in inside] or [read_any(path)]
    return Stats(path.resolve().stem, tuple(product_stats(found) for found in sets))


def product_stats(found: SourceSet) -> ProductStats:
    """Counts, and areas and places of the masks. BadInput for files that do not fit each other."""
    good, defective = Counter[str](), Counter[str]()
    kinds, seen = Counter[str](), Counter[str]()
    for views in found.parts.values():
        first = views[0]
        (good if first.kind == GOOD else defective)[first.split] += 1
        if first.kind != GOOD:
            kinds[first.kind] += 1
            seen.update(view.view for view in views if view.mask is not None)
    areas: dict[str, list[float]] = {}
    where = np.zeros((CELLS, CELLS), np.int64)
    for picture in found.pictures:
        if picture.mask is not None:
            mask = read_mask(picture.mask, picture.file)
            areas.setdefault(picture.kind, []).append(float(mask.mean()))
            where[_cell(mask)] += 1
    sizes = sorted((size_of(picture.file) for picture in found.pictures), key=lambda s: s[0] * s[1])
    flat = constant_normals(found)
    by_kind = {kind: tuple(of_kind) for kind, of_kind in sorted(areas.items())}
    return ProductStats(
        found.product, found.layout, dict(good), dict(defective), len(found.pictures), found.views,
        found.has_normals and flat is None, by_kind, dict(sorted(kinds.items())),
        {view: seen[view] for view in found.views}, where, sizes[0], sizes[-1],
        tuple(dict.fromkeys([*found.notes, *([flat] if flat else [])])),
    )  # fmt: skip


def _cell(mask: NDArray[np.bool_]) -> tuple[int, int]:
    """Row and column of the third in which the mask's centre lies."""
    rows, columns = np.nonzero(mask)
    at = [int(CELLS * place.mean() // side) for place, side in zip((rows, columns), mask.shape, strict=True)]
    return min(at[0], CELLS - 1), min(at[1], CELLS - 1)


def histogram(areas: Sequence[float]) -> list[int]:
    """How many masks lie in each bin of AREA_EDGES."""
    at = np.searchsorted(AREA_EDGES, np.asarray(areas, np.float64), side="right")
    return [int(n) for n in np.bincount(at, minlength=len(AREA_EDGES) + 1)]


def bin_names() -> list[str]:
    """The bins' names, in per cent."""
    per_cent = [f"{100 * edge:g}" for edge in AREA_EDGES]
    middle = [f"{low}-{high} %" for low, high in pairwise(per_cent)]
    return [f"< {per_cent[0]} %", *middle, f"> {per_cent[-1]} %"]


def _bars(counts: Sequence[int]) -> list[str]:
    scale = max(1.0, max(counts) / 40)
    rows = zip(bin_names(), counts, strict=True)
    return [f"   {name:>11} {count:5} {'#' * round(count / scale)}".rstrip() for name, count in rows]
