"""Builds the simulated camera, a GenTL producer in plain C: a `.cti` library that Python never imports."""

from __future__ import annotations

import sys
from typing import Any

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

PRODUCER = "drivers.simulated.simcam.simcam"
FOLDER = "drivers/simulated/simcam"
IS_WINDOWS = sys.platform == "win32"


class BuildProducer(build_ext):
    """No Python symbol is exported or linked, so one build serves every Python on its platform."""

    def get_ext_filename(self, fullname: str) -> str:
        return fullname.replace(".", "/") + ".cti"

    def get_export_symbols(self, ext: Any) -> list[str]:  # noqa: ARG002 - the signature is setuptools'
        return []

    def get_libraries(self, ext: Any) -> list[str]:
        return list(ext.libraries)


class PlatformWheel(bdist_wheel):
    def get_tag(self) -> tuple[str, str, str]:
        return "py3", "none", super().get_tag()[2]


producer = Extension(
    PRODUCER,
    sources=[f"{FOLDER}/{name}.c" for name in ("simcam", "camera", "features", "link", "platform")],
    depends=[f"{FOLDER}/{name}.h" for name in ("camera", "features", "gentl", "link", "platform")],
    libraries=["ws2_32"] if IS_WINDOWS else ["pthread", "m"],
    extra_compile_args=[] if IS_WINDOWS else ["-std=c11", "-O2", "-fvisibility=hidden", "-Wall", "-Wextra"],
    optional=True,  # without a compiler the rest installs; `station check` then says what is missing
)

setup(ext_modules=[producer], cmdclass={"build_ext": BuildProducer, "bdist_wheel": PlatformWheel})
