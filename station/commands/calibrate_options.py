"""The options that several commands of `station calibrate` share, and how they talk to the person at the rig."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

BINNINGS = (1, 2, 4, 8)


def checked_binning(binning: int) -> int:
    """Refuses a binning that no camera here has, before a device is opened."""
    if binning not in BINNINGS:
        raise typer.BadParameter(f"{binning} is none of {', '.join(map(str, BINNINGS))}")
    return binning


JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
RigOption = Annotated[str, typer.Option("--rig", help="Rig file; the word `simulated` starts a rig never calibrated.")]
RigFileOption = Annotated[str, typer.Option("--rig", help="Rig file.")]
ReferenceOption = Annotated[
    Path | None, typer.Option("--reference", help="Calibration with the camera, and the lights as drawn.")
]
DrawingOption = Annotated[
    Path | None, typer.Option("--reference", help="Calibration with the lights as drawn, which says the diffuse one.")
]
RecordsOption = Annotated[Path, typer.Option("--out", help="Folder that keeps calibration records; made if absent.")]
ReleaseOption = Annotated[str, typer.Option(help="Who releases the record if nothing is flagged.")]
MirrorExposureOption = Annotated[
    float | None,
    typer.Option("--mirror-us", min=1, help="Exposure of the mirror sphere's highlights; found for each light."),
]
PlaneExposureOption = Annotated[
    float | None, typer.Option("--plane-us", min=1, help="Exposure of the white plane; found for each light without.")
]
BinningOption = Annotated[int, typer.Option(callback=checked_binning, help="Of the pictures: 1, 2, 4 or 8.")]
SphereOption = Annotated[
    float, typer.Option("--sphere-mm", min=1, max=200, help="Diameter of the calibration spheres, 1 to 200.")
]
ViewsOption = Annotated[
    Path | None, typer.Option("--views", help="File of `station calibrate teach`; the demo's five without it.")
]
BoardOption = Annotated[
    str | None, typer.Option("--board", help="ChArUco board as COLSxROWSxSQUARE_MM; 24x20x3 without it.")
]
DiffuseOption = Annotated[
    int | None, typer.Option("--diffuse-channel", min=1, help="The light that shows the board; else the reference's.")
]


def ask(words: str) -> None:
    """Asks a person to do something at the rig, and returns when Enter was pressed."""
    typer.prompt(f"{words}. Then press Enter", default="", show_default=False, err=True)
