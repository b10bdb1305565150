"""Arrays as the bytes of an .npz file: the same arrays give the same bytes, so that a file's hash names its content."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

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
