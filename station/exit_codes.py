"""What went wrong decides the exit code: 2 for what a person typed or wrote, 3 for rig and machine."""

from __future__ import annotations

import sys
from enum import IntEnum

import click
import typer

from drivers.errors import DeviceError, FeatureMissing, OutOfTravel
from station.bad_input import BadInput


class ExitCode(IntEnum):
    DONE = 0
    FOUND = 1
    BAD_INPUT = 2
    FAULT = 3


def run_guarded(app: typer.Typer) -> int:
    """Run the command line; one line on stderr for every fault that has a name."""
    try:
        result = app(standalone_mode=False)
    except click.exceptions.Abort:
        print("interrupted", file=sys.stderr)
        return ExitCode.FAULT
    except click.ClickException as error:
        error.show()
        return ExitCode.BAD_INPUT
    except (BadInput, OutOfTravel, FeatureMissing) as error:
        print(f"error: {error}", file=sys.stderr)
        return ExitCode.BAD_INPUT
    except (DeviceError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return ExitCode.FAULT
    return int(result) if isinstance(result, int) else ExitCode.DONE
