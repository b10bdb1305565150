"""The entry point of `station`. What needs no command is answered from the catalogue, without loading typer."""

from __future__ import annotations

import sys

from station.commands.catalogue import help_text, version_text


def main() -> None:
    """Answer `--help` and `--version` at once; anything else goes to the whole command line."""
    asked = sys.argv[1:]
    if asked == ["--help"]:
        print(help_text(), end="")
    elif asked == ["--version"]:
        print(version_text())
    else:
        from station.commands.app import main as run

        run()


if __name__ == "__main__":
    main()
