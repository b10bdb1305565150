"""Parts for POD studies: sizes over their whole range, defects that lie apart, labels that are the masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from station.collection.folder import CollectedPart, Collection, CollectionError
from station.recipe.demo import DEMO_RECIPES
from station.recipe.loaded import load_recipe
from station.teach.photographer import Photographer
from station.teach.sized_defects import (
    APART_PX,
    COARSE,
    KINDS,
    MEASURES,
    _labelled,
    kinds_of_part,
    read_labels,
    read_sized,
    separate_defects,
    sized_defect,
)


@pytest.mark.parametrize("kind", KINDS)
def test_sizes_are_log_uniform_over_the_whole_range(kind: str) -> None:
    measure = MEASURES[kind]
    drawn = np.array([sized_defect("connector", kind, seed)[0] for seed in range(200)])
    share = np.log(drawn / measure.low) / np.log(measure.high / measure.low)
    assert share.min() >= -1e-3
    assert share.max() <= 1 + 1e-3
    assert np.quantile(share, [0.25, 0.5, 0.75]) == pytest.approx([0.25, 0.5, 0.75], abs=0.1)


def test_a_kind_without_a_measure_is_refused() -> None:
    with pytest.raises(ValueError, match="'missing_feature' has no measure"):
        sized_defect("connector", "missing_feature", 0)


def test_defects_of_a_part_lie_apart_and_each_pixel_has_the_label_of_its_own() -> None:
    loaded = load_recipe(DEMO_RECIPES / "connector.yaml", need_model=False)
    poses = {"top": Photographer(loaded, threads=1).poses(8000)["top"]}
    found = separate_defects("connector", 8000, ("stain", "dent", "stain"), poses)
    assert len(found) >= 2
    assert [sized.label for sized, _ in found] == list(range(1, len(found) + 1))
    masks = [view["top"] for _, view in found]
    places = [np.argwhere(mask) for mask in masks]
    gap = np.linalg.norm(places[0][:, None] - places[1][None], axis=2).min() * COARSE / 8
    assert gap > APART_PX * 0.9
    whole = np.kron(np.any(masks, axis=0), np.ones((2, 2))) > 0
    labels = _labelled(whole, found, "top")
    assert ((labels > 0) == whole).all()
    assert (labels[np.kron(masks[1], np.ones((2, 2))) > 0] == 2).all()


def test_every_part_has_each_kind_and_a_second_one_in_turn() -> None:
    assert [kinds_of_part(n)[-1] for n in range(5)] == list(KINDS)
    assert kinds_of_part(3)[:-1] == KINDS


def test_a_part_that_was_taken_otherwise_is_refused(tmp_path: Path) -> None:
    collection = Collection(tmp_path, None)  # type: ignore[arg-type] # only its folder is asked for
    part = CollectedPart("good-1", "good", "test", {}, {})
    with pytest.raises(CollectionError, match="lists no sized defects"):
        read_sized(collection, part)
    with pytest.raises(CollectionError, match=r"top_labels\.png: is missing"):
        read_labels(collection, part, "top")
