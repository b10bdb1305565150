"""Which raw frames an archive keeps, and at how much free disk it warns, thins and refuses: `retention.yaml` in it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

from station.documents.document import read_document
from station.documents.errors import FieldError

FILE = "retention.yaml"


class PassRule(BaseModel):
    """What becomes of the raw frames of a PASS on which nobody gave a word and that nothing names."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    thin: bool = True  # false: no raw frame is ever removed
    kept_days: float = Field(default=30.0, ge=0, le=36_500)  # every PASS, for that long
    kept_latest: int = Field(default=200, ge=0, le=1_000_000)  # the latest inspections, however full the disk is
    then_one_in: int = Field(default=50, ge=1, le=1_000_000)  # and one in so many for good; 1 keeps every one


class Watermarks(BaseModel):
    """Free disk at which something is done. `refuse_below_gb` counts after the next part, 1 GB being 10^9 bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    warn_below_percent: float = Field(default=20.0, ge=0, le=100)
    thin_below_percent: float = Field(default=10.0, ge=0, le=100)  # from here on the oldest go at any age
    refuse_below_gb: float = Field(default=1.0, ge=0, le=1_000_000)

    @model_validator(mode="after")
    def _are_in_order(self) -> Watermarks:
        if self.thin_below_percent > self.warn_below_percent:
            raise FieldError(
                ("thin_below_percent",),
                f"is {self.thin_below_percent:g}, above warn_below_percent ({self.warn_below_percent:g}); "
                "a person must be warned first",
            )
        return self


class Retention(BaseModel):
    """The whole file; every field may be left out."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    passes: PassRule = PassRule()
    watermarks: Watermarks = Watermarks()

    def is_spared(self, inspection_id: str) -> bool:
        """Whether it is the one in `then_one_in`. The id alone decides, so that the same ones stay in every run."""
        return int.from_bytes(hashlib.sha256(inspection_id.encode()).digest()[:8]) % self.passes.then_one_in == 0

    def rule_text(self, *, is_disk_full: bool) -> str:
        """The rule as a thinned part states it."""
        when = (
            f"less than {self.watermarks.thin_below_percent:g} % of the disk free"
            if is_disk_full
            else f"PASS older than {self.passes.kept_days:g} days"
        )
        return f"{when}; one in {self.passes.then_one_in} and the latest {self.passes.kept_latest} are kept"


def read_retention(root: Path) -> Retention:
    """The archive's `retention.yaml`, or the defaults where there is none. Raises DocumentError."""
    path = root / FILE
    return read_document(path).validated(Retention) if path.exists() else Retention()
