"""The guide names commands and options that there are, and figures that the code holds."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
import typer.main

from station.commands.app import app

GUIDE = Path(__file__).parents[3] / "docs" / "calibration.md"
COMMANDS = re.findall(r"^station .*$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)


def test_the_guide_shows_every_command_of_calibration() -> None:
    shown = {line.split()[2] for line in COMMANDS if line.startswith("station calibrate ")}
    assert shown >= {"all", "camera", "viewpoints", "lights", "sensor", "field", "verify", "bind"}


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_guide_is_there_with_its_options(line: str) -> None:
    command: click.Command = typer.main.get_command(app)
    words = shlex.split(line)[1:]
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known
