"""Arrays as an .npz file: the same arrays give the same bytes, so that a file's hash names its content."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")
LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip file can state


def npz_bytes(arrays: Mapping[str, Any]) -> bytes:
    """The file's content, in the order of the mapping: arrays and scalars, no pickled objects."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            one = io.BytesIO()
            np.lib.format.write_array(one, np.asarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", LONG_AGO), one.getvalue(), zipfile.ZIP_DEFLATED)
    return whole.getvalue()


@dataclass(frozen=True)
class NpzKind:
    """A kind of such files: what they hold, as messages call it, and how to get one again."""

    holds: str
    maximum_bytes: int
    make_anew: str
    error: type[ValueError]

    def read(self, path: Path, sha256: str, parsed: Callable[[bytes], T]) -> T:
        """What `parsed` makes of a file whose SHA-256 is `sha256`.

        Raises `error`: the file is missing, too large, has changed since it was made, or holds something else.
        """
        try:
            if path.stat().st_size > self.maximum_bytes:
                raise self.error(f"{path}: {path.stat().st_size} bytes are too many for {self.holds}")
            data = path.read_bytes()
        except OSError as error:
            text = f"{path}: cannot be read: {error.strerror or error}; it belongs beside the recipe"
            raise self.error(f"{text}; restore it, or {self.make_anew}") from error
        found = hashlib.sha256(data).hexdigest()
        if found != sha256:
            text = f"{path}: SHA-256 {found}, but the recipe names {sha256}"
            raise self.error(f"{text}; restore the file, or {self.make_anew}")
        try:
            return parsed(data)
        except (KeyError, ValueError, TypeError, zipfile.BadZipFile, EOFError) as error:
            raise self.error(f"{path}: holds no {self.holds}: {error}; {self.make_anew}") from error
