"""What went wrong decides the exit code: 2 for what a person typed or wrote, 3 for rig and machine."""

from __future__ import annotations

import sys
from enum import IntEnum

import typer

from drivers.errors import DeviceError, FeatureMissing, OutOfTravel
from station.errors import BadInput, StationFault


class ExitCode(IntEnum):
    DONE = 0
    FOUND = 1
    BAD_INPUT = 2
    FAULT = 3


def run_guarded(app: typer.Typer) -> int:
    """Run the command line; one line on stderr for every fault that has a name. Usage errors end with 2."""
    try:
        app()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else ExitCode.DONE
    except (BadInput, OutOfTravel, FeatureMissing) as error:
        print(f"error: {error}", file=sys.stderr)
        return ExitCode.BAD_INPUT
    except (DeviceError, StationFault, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return ExitCode.FAULT
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return ExitCode.FAULT
    return ExitCode.DONE
