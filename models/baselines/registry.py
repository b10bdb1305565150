"""Baselines by name, on any encoder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from models.baselines.features import Features
from models.baselines.gaussian import PlaceGaussian
from models.baselines.mapper import CrossModalMapper
from models.baselines.method import Baseline, Rule, fit_baseline, train_tokens
from models.baselines.neighbours import GlobalNeighbours, LocalNeighbours
from models.config import TrainConfig
from models.dataset import Dataset
from models.progress import Progress, silent

RULES: dict[str, Callable[[], Rule]] = {
    "local": LocalNeighbours,
    "global": GlobalNeighbours,
    "gaussian": PlaceGaussian,
    "mapper": CrossModalMapper,
}


def fit_baselines(
    names: Sequence[str],
    dataset: Dataset,
    config: TrainConfig | None = None,
    features: Features | None = None,
    progress: Progress = silent,
) -> Iterator[Baseline]:
    """The baselines of these names, one after another, on the same tokens; `features` None is the filter bank.

    Raises ValueError for an unknown name before anything is fitted, DatasetError for a set that has too few parts.
    """
    unknown = [name for name in names if name not in RULES]
    if unknown:
        raise ValueError(f"baseline {unknown[0]!r} is unknown; there are {', '.join(RULES)}")
    config = config or TrainConfig()
    features = features or Features(dataset, config, keep=True)
    good = train_tokens(dataset, features, progress=progress)
    for name in names:
        yield fit_baseline(dataset, RULES[name](), features, good, config, progress)
