"""A group of commands whose `--help` shows each command's whole sentence; typer's own cuts it at the line's end."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup


class _WholeSentences(TyperGroup):
    def format_commands(self, ctx: Any, formatter: Any) -> None:
        rows = [(name, self._sentence(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def _sentence(self, ctx: Any, name: str) -> str:
        command = self.get_command(ctx, name)
        return " ".join((command.help or "").split()) if command is not None else ""


def command_group(about: str) -> typer.Typer:
    """An empty group with that line of help; its commands are added with `command()`."""
    return typer.Typer(
        cls=_WholeSentences, help=about, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False
    )
