"""The simulated camera: a GenTL 1.5 producer in C, which the package's build makes into `simcam.cti`.

It finds rigs by the `*.endpoint` files in the folder that ENDPOINTS_VARIABLE names, and shows a moving ramp without
one, so that any GenTL consumer can be tried on it.
"""

from __future__ import annotations

from pathlib import Path

from drivers.errors import DeviceNotFound

ENDPOINTS_VARIABLE = "FACET_SIMCAM_ENDPOINTS"


def producer_path() -> Path:
    """The producer's file. Raises DeviceNotFound, saying how to build it, when it was not built."""
    path = Path(__file__).with_name("simcam.cti")
    if not path.is_file():
        raise DeviceNotFound(
            "simulated camera",
            f"{path} is missing: no C compiler was found when the package was installed. Install one "
            "(Debian: apt-get install gcc libc6-dev; Windows: Visual Studio Build Tools) and run "
            "`python setup.py build_ext --inplace` in the source folder, or install the package again",
        )
    return path
