"""What `station ctl` does: one connection, one request, one answer."""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

from station.commands.exit_codes import ExitCode
from station.commands.say import printable, say
from station.errors import StationFault
from station.inspection.result import Verdict
from station.service.address import address_of
from station.service.link import Link
from station.service.protocol import ALIVE, DROPPED
from station.service.verbs import TABLE, VerbRefused, checked_arguments, verb_named

SERVICE_ENDED = "the service ended meanwhile: whether the part got its verdict stands in its archive (station history)"


@dataclass(frozen=True, slots=True)
class Asked:
    """What was typed; see `station.commands.ctl.command`."""

    verb: str
    arguments: tuple[str, ...] = ()
    address: str | None = None
    takeover: bool = False
    wait: bool = False
    as_json: bool = False


def ask(asked: Asked) -> ExitCode:
    """Raises BadInput for what was typed, NoService, NotTheOperator, and what the service refuses with."""
    if asked.verb == "verbs":
        rows = [{"usage": verb.usage(), "help": verb.help} for verb in TABLE]
        say(rows, asked.as_json, "\n".join(f"{row['usage']:<20}{row['help']}" for row in rows))
        return ExitCode.DONE
    if asked.verb not in ("status", "watch"):
        arguments = _named(asked)  # before anybody is asked
    events: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
    link = Link(address_of(asked.address), f"station ctl {asked.verb}", events.put)

    def end() -> None:
        link.ended.wait()
        events.put(None)

    threading.Thread(target=end, name="end of link", daemon=True).start()
    try:
        if asked.verb == "status":
            return _status(link, asked.as_json)
        return _watch(link, events) if asked.verb == "watch" else _do(link, events, asked, arguments)
    finally:
        link.close()


def _named(asked: Asked) -> dict[str, Any]:
    """The arguments by their names, in the order of the verb's usage."""
    verb = verb_named(asked.verb)
    if len(asked.arguments) > len(verb.arguments):
        raise VerbRefused(f"{verb.name}: takes {len(verb.arguments)} arguments; its usage is: {verb.usage()}")
    names = [argument.name for argument in verb.arguments]
    return checked_arguments(verb, dict(zip(names, asked.arguments, strict=False)))


def _status(link: Link, as_json: bool) -> ExitCode:
    found = link.ask("status").result
    lines = [f"{found['state']}{': ' + found['reason'] if found['reason'] else ''}"]
    if found["inspection_id"]:
        lines.append(f"part {found['part_id']} ({found['inspection_id']}): {found['verdict'] or 'no verdict yet'}")
    if found["fault"]:
        lines.append(f"fault: {found['fault']['text']}; {found['fault']['action']}")
    lines.append(f"operator: {found['operator'] or 'nobody'}; clients: {found['clients']}")
    lines.append(f"rig {found['rig']}, recipe {found['recipe']}, archive {found['archive']}")
    if not found["is_alive"]:
        lines.append(f"the engine does not answer: {found['not_alive']}")
    say(found, as_json, "\n".join(lines))
    return ExitCode.DONE if found["is_alive"] else ExitCode.FAULT


def _watch(link: Link, events: SimpleQueue[dict[str, Any] | None]) -> ExitCode:
    link.ask("subscribe")
    while (event := events.get()) is not None:
        if event["event"] != ALIVE:
            print(json.dumps(event), flush=True)
        if event["event"] == DROPPED:
            break
    print(f"ended: {printable(link.problem)}", file=sys.stderr)
    return ExitCode.FAULT


def _do(link: Link, events: SimpleQueue[dict[str, Any] | None], asked: Asked, arguments: dict[str, Any]) -> ExitCode:
    is_waiting = asked.wait and asked.verb == "start"
    if is_waiting:
        link.ask("subscribe")
    link.ask("take", takeover=asked.takeover)
    answer = link.ask("do", None, verb=asked.verb, arguments=arguments).result.get("answer")
    if is_waiting:
        return _verdict(events, str(answer), asked.as_json)
    text = f"{asked.verb}: done" if answer is None else f"{asked.verb}: inspection {answer}"
    say({"verb": asked.verb, "answer": answer}, asked.as_json, text)
    return ExitCode.DONE


def _verdict(events: SimpleQueue[dict[str, Any] | None], inspection_id: str, as_json: bool) -> ExitCode:
    """Wait for that part's verdict. One that comes UNDECIDED because it is not stored may come again; it counts."""
    while (event := events.get()) is not None:
        if event["event"] != "ResultReady" or event["data"]["inspection"]["inspection_id"] != inspection_id:
            continue
        found = event["data"]["inspection"]
        reasons = [reason if isinstance(reason, str) else reason["text"] for reason in found["reasons"]]
        text = "\n".join([f"part {found['part_id']}: {found['verdict']}", *reasons, event["data"]["archive_folder"]])
        say(event["data"], as_json, text)
        return ExitCode.DONE if found["verdict"] == Verdict.PASS else ExitCode.FOUND
    raise StationFault(SERVICE_ENDED)
