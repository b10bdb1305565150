"""`station calibrate camera FOLDER`: the camera from every picture of a folder, in the order of their names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calibration.boards.board import Board, Picture
from calibration.camera.fit import Progress, calibrate_camera
from calibration.camera.report import CameraReport, ImageFinding
from station.errors import BadInput
from station.photometric_stereo.picture_files import read_picture

SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp")
MAXIMUM_PICTURES = 1000


class BoardFolderError(BadInput, ValueError):
    """A folder of board pictures that cannot be used; the text names folder or file and the cure."""


def board_pictures(folder: Path) -> tuple[Path, ...]:
    """The folder's pictures, sorted by name. Raises BoardFolderError for none, or more than MAXIMUM_PICTURES."""
    if not folder.is_dir():
        raise BoardFolderError(f"{folder}: no such folder")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    if not 0 < len(paths) <= MAXIMUM_PICTURES:
        raise BoardFolderError(
            f"{folder}: {len(paths)} pictures ({', '.join(SUFFIXES)}), expected 1 to {MAXIMUM_PICTURES}"
        )
    return tuple(paths)


def calibrate_camera_folder(
    folder: Path, board: Board, size_px: tuple[int, int] | None = None, tangential: bool = False,
    progress: Progress = lambda _: None,
) -> CameraReport:  # fmt: skip
    """The camera from the folder's pictures, of which only one is in memory at a time.

    A picture that cannot be read is reported like one without a board. Raises BoardFolderError.
    """
    paths = board_pictures(folder)
    unreadable: dict[str, ImageFinding] = {}

    def readable() -> Iterator[tuple[str, Picture]]:
        for path in paths:
            pixels = read_picture(path)
            if pixels is None or not _is_grey_or_colour(pixels):
                unreadable[path.name] = ImageFinding(path.name, False, "not a readable picture, or cut short")
            else:
                yield path.name, pixels

    report = calibrate_camera(readable(), board, size_px=size_px, tangential=tangential, progress=progress)
    images = sorted((*report.images, *unreadable.values()), key=lambda image: image.file)
    return replace(report, images=tuple(images))


def _is_grey_or_colour(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> bool:
    return pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)
