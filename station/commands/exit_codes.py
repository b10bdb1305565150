"""The exit codes of `station`, and which fault leads to which.

A script can distinguish a bad part (1) from a typing error (2) and from a rig that needs a person (3).
"""

from __future__ import annotations

import sys
from enum import IntEnum

import typer

from drivers.errors import DeviceError, FeatureMissing, OutOfTravel
from station.commands.say import printable
from station.errors import BadInput, StationFault


class ExitCode(IntEnum):
    """What a command's end means; 2 is also what typer ends with for a wrong option."""

    DONE = 0
    FOUND = 1  # the part did not PASS, or the check found something
    BAD_INPUT = 2
    FAULT = 3


def run_guarded(app: typer.Typer) -> int:
    """Run the command line and return its exit code; a known fault prints its text on stderr as `error: ...`.

    OutOfTravel and FeatureMissing count as bad input, because a file asks for what the device does not have.
    Any other exception passes through: it is a defect of the program, and its traceback is needed.
    """
    try:
        app()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else ExitCode.DONE
    except (BadInput, OutOfTravel, FeatureMissing) as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return ExitCode.BAD_INPUT
    except (DeviceError, StationFault, OSError) as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return ExitCode.FAULT
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return ExitCode.FAULT
    return ExitCode.DONE
