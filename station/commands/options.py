"""Options that several commands share: one spelling and one help text for each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
OutOption = Annotated[Path, typer.Option("--out", file_okay=False, help="Folder for results; made if absent.")]
RecipeOption = Annotated[
    Path, typer.Option("--recipe", help="Recipe file, or the folder of its releases: the active one.")
]
ArchiveOption = Annotated[Path, typer.Option("--archive", help="Folder of the archive, as `inspect` writes it.")]
AddressOption = Annotated[
    str | None,
    typer.Option(
        "--address", help="unix:PATH, tcp:HOST:PORT:TOKEN, or a file that holds it; default: this user's one service."
    ),
]
TakeoverOption = Annotated[bool, typer.Option("--takeover", help="Take the operator's place from whoever has it.")]
MonoOption = Annotated[bool, typer.Option("--mono", help="Grey pictures, for recipes with a Mono pixel format.")]
PresetName = Literal[
    "sound", "filled", "paper", "rgb_only", "normals_only", "concatenation", "without_lp", "ucp", "fixed_prototypes"
]
PresetOption = Annotated[
    PresetName,
    typer.Option(
        "--preset",
        help="`filled` is for parts with pockets, where normals come and go; `paper` is the letter of the paper's "
        "equations 1 to 6, for comparisons: docs/cprn.md.",
    ),
]


def color_of(mono: bool) -> Literal["rgb", "mono"]:
    """The kind of pictures that `--mono` chooses."""
    return "mono" if mono else "rgb"
