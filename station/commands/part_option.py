"""The option `--part`: a part's id, checked while the command line is read and before a device is opened."""

from __future__ import annotations

from typing import Annotated

import typer

from station.inspection.part_id import PartIdRefused, check_part_id


def checked_part_id(text: str) -> str:
    """The id as it was given. Raises typer.BadParameter for one that `check_part_id` refuses."""
    try:
        return check_part_id(text)
    except PartIdRefused as refused:
        raise typer.BadParameter(str(refused)) from refused


PartOption = Annotated[
    str, typer.Option("--part", callback=checked_part_id, help="The part's id or serial number.", show_default=False)
]
