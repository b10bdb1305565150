"""`station --help` and `--version` answer from the catalogue, and the catalogue agrees with the commands."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib.metadata import version

import pytest
from typer.testing import CliRunner

from station.commands.app import app
from station.commands.catalogue import COMMANDS, GROUPS, help_text

ANSWERED = """
import sys
sys.argv = ["station", {option!r}]
from station.commands.main import main
main()
print(sorted({{"typer", "numpy", "pydantic", "rich"}} & set(sys.modules)), file=sys.stderr)
"""


def first_sentence(text: str) -> str:
    return " ".join(text.split()).split(". ")[0].rstrip(".")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_commands_line_is_its_own_first_sentence(name: str) -> None:
    """Issue 15, point 20."""
    entry = COMMANDS[name]
    assert first_sentence(entry.help) == first_sentence(inspect.getdoc(entry.load()) or "")


@pytest.mark.parametrize("name", GROUPS)
def test_a_groups_line_is_its_own(name: str) -> None:
    """Issue 15, point 20."""
    assert GROUPS[name].load().info.help == GROUPS[name].help


@pytest.mark.parametrize(("option", "words"), [("--help", "lights-trend"), ("--version", version("facet-station"))])
def test_help_and_version_load_no_command_and_not_even_typer(option: str, words: str) -> None:
    """Issue 15, point 20: 1.4 CPU-seconds were spent on loading every command."""
    run = subprocess.run(
        [sys.executable, "-c", ANSWERED.format(option=option)], capture_output=True, text=True, check=True
    )
    assert words in run.stdout
    assert run.stderr.strip() == "[]"


def test_a_command_loads_no_other() -> None:
    """Issue 15, point 20."""
    code = (
        "import sys; sys.argv = ['station', 'history', '--help']; from station.commands.app import app, run_guarded;"
        "run_guarded(app); print([m for m in sys.modules if m.startswith('station.commands.') and 'calibrate' in m])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"
    assert "--verdict" in run.stdout


@pytest.mark.parametrize("name", [*COMMANDS, *GROUPS])
def test_every_command_explains_itself(name: str) -> None:
    result = CliRunner().invoke(app, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert f"station {name}" in result.output or f"{name} [OPTIONS]" in result.output


def test_the_help_behind_an_option_is_the_same() -> None:
    assert CliRunner().invoke(app, ["-v", "--help"]).output == help_text()


def test_a_misspelt_command_is_bad_input_and_the_right_one_is_proposed() -> None:
    result = CliRunner().invoke(app, ["rejugde"])
    assert result.exit_code == 2
    assert "Did you mean 'rejudge'?" in result.output


def test_a_group_shows_the_whole_sentence_of_each_command() -> None:
    output = " ".join(CliRunner().invoke(app, ["calibrate", "--help"]).output.split())
    assert "Does the rig still agree with the record?".lower() in output.lower()
    assert "Ends with 0 accepted, 1 refused." in output
