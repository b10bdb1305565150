"""`station ctl`: its arguments."""

from __future__ import annotations

from typing import Annotated

import typer

from station.commands.options import AddressOption, JsonOption, TakeoverOption


def ctl(
    verb: Annotated[str, typer.Argument(help="A verb of the engine, `status`, `watch`, or `verbs` for their list.")],
    arguments: Annotated[list[str] | None, typer.Argument(help="Of the verb, such as the part's id.")] = None,
    address: AddressOption = None,
    takeover: TakeoverOption = False,
    wait: Annotated[bool, typer.Option("--wait", help="With `start`: wait for the verdict.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Ask a running service for a verb (start, stop, abort, reset), for its status, or for its events.

    A verb needs the operator's place: it is taken if it is free, and given back afterwards. `watch` prints the present
    and then each event as a line of JSON, until Ctrl-C. `start --wait` ends with 0 for PASS, and else with 1.
    """
    from station.commands.ctl.asking import Asked, ask

    raise typer.Exit(ask(Asked(verb, tuple(arguments or ()), address, takeover, wait, as_json)))
