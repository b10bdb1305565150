"""`station calibrate bind --collection`: raw frames that were taken before, solved under the rig's new record.

A rig that is measured anew is the same rig: its frames stay what they are, and what is known of its lamps, lens and
camera is better. Whether it is the same rig, only a person knows, who says so with name and reason.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path

from calibration.record import Calibration
from station.archive.lock import COLLECTION_LOCK_FILE, WriterLock
from station.calibrate.errors import RecordError
from station.collection.folder import Collection
from station.documents.document import load_document, read_document
from station.recipe.fields import Recipe


@dataclass(frozen=True)
class CollectionBound:
    """The collection, under which record it is solved now, and under which it was."""

    collection: str
    sha256: str
    before: str

    def as_dict(self) -> dict[str, str]:
        """For `--json`."""
        return asdict(self)

    def as_text(self) -> str:
        """What holds now, and what has to be made anew."""
        return (
            f"{self.collection}: its frames are solved under {self.sha256[:12]} from now on, not {self.before[:12]}; "
            "remove what was prepared from them, and make view references and model anew"
        )


def check_bindable(record: Path, recipe: Path, folder: Path, by: str, why: str) -> None:
    """Raises RecordError where name or reason are missing, a light is not in the record, the collection is of another
    product, or the recipe has learned from it already: under another record its camera is sent elsewhere."""
    if not (by.strip() and why.strip()):
        raise RecordError("--collection needs --by and --why: who vouches that the record is of the rig that took it")
    about = Collection.open(folder).about
    found = read_document(recipe).validated(Recipe)
    if about.product != found.product:
        raise RecordError(f"{folder}: is of {about.product!r}, {recipe} is for {found.product!r}: name the right one")
    if found.model.sha256 is not None or found.reference_camera is not None:
        raise RecordError(
            f"{recipe}: has learned under another record, and would send its camera elsewhere than where {folder} was "
            "taken: begin with the recipe as it was before its training, without model.sha256 and references"
        )
    known = {light.channel for light in load_document(record, Calibration).lights}
    missing = [name for name, light in about.lights.items() if light.channel not in known]
    if missing:
        raise RecordError(f"{record}: has no light on the channel of {missing[0]!r} of {folder}: name another record")


def bind_collection(record: Path, folder: Path, by: str, why: str) -> CollectionBound:
    """Note in the collection that its frames are solved under this record. Raises CollectionError, ArchiveInUse."""
    sha256 = hashlib.sha256(record.read_bytes()).hexdigest()
    lock = WriterLock.take(folder, "binding the collection to a record", COLLECTION_LOCK_FILE)
    try:
        collection = Collection.open(folder)
        before = collection.about.calibration_sha256
        if before != sha256:
            collection.under(sha256, by, why)
    finally:
        lock.release()
    return CollectionBound(str(folder), sha256, before)
