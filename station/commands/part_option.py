"""The option `--part`: a part's id, checked while the command line is read and before a device is opened."""

from __future__ import annotations

from typing import Annotated

import typer


def checked_part_id(text: str) -> str:
    """The id as it was given. Raises typer.BadParameter for a blank one, which no archive could find again."""
    if not text.strip():
        raise typer.BadParameter("the part id is empty; give the part's id or serial number")
    return text


PartOption = Annotated[
    str, typer.Option("--part", callback=checked_part_id, help="The part's id or serial number.", show_default=False)
]
