"""Commands in processes of their own that are killed with SIGKILL at a moment that the disk shows.

The processes are forked from a server that has imported what they need, so that a kill costs no import.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

PATIENCE_S = 240.0
HAS_FORK = hasattr(os, "fork")
needs_fork = pytest.mark.skipif(not HAS_FORK, reason="Windows has no fork; a kill there is TerminateProcess")


def context(*modules: str) -> ForkServerContext:
    """Forks from a server that has imported these modules."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(["killed_runs", *modules])
    return found


def command(arguments: tuple[str, ...], log: str) -> None:
    """In the child: one `station` command. Ends with its exit code."""
    _quiet(log)
    from station.commands.app import app
    from station.commands.exit_codes import run_guarded

    sys.argv = ["station", *arguments]
    sys.exit(run_guarded(app))


def train_tiles(data: str, recipe: str, steps: int, log: str) -> None:
    """In the child: `station train` on a made-up collection."""
    _quiet(log)
    from made_collection import made_references
    from small_network import use_small_network

    from station.teach import prepare
    from station.teach.training import train

    use_small_network(pytest.MonkeyPatch())
    setattr(prepare, "part_references_of", made_references)  # noqa: B010 - what is imported there is not exported
    train(None, Path(data), Path(recipe), steps, disturbed=0)


def _quiet(log: str) -> None:
    """What a child says goes to a file."""
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)


def run(
    forks: ForkServerContext, target: Callable[..., None], *arguments: object, kill_when: Callable[[], bool]
) -> bool:
    """Run the target and kill it as soon as `kill_when` says so; whether it was killed before it ended."""
    process = forks.Process(target=target, args=arguments)
    process.start()
    until = time.monotonic() + PATIENCE_S
    while process.is_alive() and time.monotonic() < until:
        if kill_when():
            process.kill()
            break
        time.sleep(0.002)
    assert time.monotonic() < until, "the moment never came"
    process.join()
    return process.exitcode == -9


def ended(forks: ForkServerContext, target: Callable[..., None], *arguments: object) -> int | None:
    """Run the target to its end; its exit code."""
    process = forks.Process(target=target, args=arguments)
    process.start()
    process.join(PATIENCE_S)
    return process.exitcode


def count(folder: Path, pattern: str) -> int:
    """How many files fit now."""
    return sum(1 for _ in folder.glob(pattern))
