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


def _with_default(default: str) -> type[_WholeSentences]:
    """A group whose command `default` is meant where the first word names no command, as in `station depth FOLDER`."""

    class _Defaulting(_WholeSentences):
        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            is_command = not args or args[0] in self.commands or args[0] in ctx.help_option_names
            return list(super().parse_args(ctx, args if is_command else [default, *args]))

    return _Defaulting


def command_group(about: str, default: str | None = None) -> typer.Typer:
    """An empty group with that line of help; its commands are added with `command()`.

    `default` is the command that is meant where the first word names none.
    """
    return typer.Typer(
        cls=_WholeSentences if default is None else _with_default(default),
        help=about,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
