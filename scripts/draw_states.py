"""Draws the engine's states and verbs from the code: `python scripts/draw_states.py` writes docs/states.md.

A test holds the document equal to `station/engine/state_table.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from station.engine.events import State
from station.engine.state_table import ALL_TAKEN, Kind, Verb, effect, steps

DOCUMENT = Path(__file__).parents[1] / "docs" / "states.md"
HEAD = """# States and verbs

Drawn from `station/engine/state_table.py` by `python scripts/draw_states.py`; a test holds this page equal to the code.
The states are those of OPC 40100-1, and *Paused* lies within its SingleExecution. Every verb is defined in every state
and may be pressed twice.

## The states

```mermaid
stateDiagram-v2
"""
RULES = f"""
## What holds

- **Pause** takes effect after the view that is being taken. `pause(now=True)` takes effect at the next step: a move or
  an exposure that has begun comes to its end. A view that was broken off is taken again from its first frame, and
  frames from before and after a pause never make one view. The part's dark frame belongs to its first view.
- **Paused**, the lights are off and acknowledged, the arm stands, and every device is asked every 0.4 s. One that is
  lost leads to Error. Views that were complete are judged meanwhile. Nothing resumes by itself.
- **Retake view** throws away the present view's frames. Paused after a view, that view is taken again when resumed. A
  complete take that FAILs stands, with its frames, whatever a later take shows.
- **Skip to verdict** judges what was seen: UNDECIDED with the reason *skipped*, unless a complete view FAILs.
- Once the last view is over, pause and retake are refused with "{ALL_TAKEN}", and skip to verdict
  changes nothing.
- **A second look** at a view that exposure or coverage alone leaves undecided, where the recipe has a `re_look` block,
  comes after the last view, within its takt, before the part is free ([proofs.md](proofs.md)). It cannot be paused; a
  stop keeps it from beginning, and an abort ends it at once.
- **Abort** latches the stop signal, holds the arm, switches the lights off, lets the job end as UNDECIDED, and enters
  Halted, from where only homing leads on. **Halt** does the same from every state, and closes the devices.
- A frame that disagrees with its proof (its id, its time against its trigger or its light, its exposure, its size) or
  that did not come whole however often it was exposed rejects its view. The recipe's `capture.retakes_per_view` (0 to
  5, default 0) says how often a view is then taken again, whole, before the part is UNDECIDED and the station in
  Error. A lost device, a light's fault, and an arm that stands elsewhere are never tried again.
- Every retake is recorded in the inspection (`retakes` in `verdict.json`, in `station inspect --json`, and as a note
  in its text): view, rejected take, who or what rejected it, why, and the ids of the frames that were thrown away.
"""


def text() -> str:
    """The whole page."""
    return "".join([HEAD, *_diagram(), "```\n\n## Every verb in every state\n\n", *_table(), RULES])


def _diagram() -> Iterable[str]:
    """One arrow for each pair of states, with everything that leads along it; closing the station is left out."""
    yield f"    [*] --> {State.PREOPERATIONAL.value}\n"
    by: dict[tuple[State, State], list[str]] = {}
    for step in steps():
        if step.by != "the station closes" and not (step.before is step.after and step.by in set(Verb)):
            by.setdefault((step.before, step.after), []).append(step.by)
    for (before, after), causes in by.items():
        yield f"    {before.value} --> {after.value}: {', '.join(dict.fromkeys(causes))}\n"


def _table() -> Iterable[str]:
    """A section for each state: what each verb does, and where to."""
    for state in State:
        yield f"### {state.value}\n\n| verb | does | leads to |\n|---|---|---|\n"
        for verb in Verb:
            found = effect(state, verb)
            does = {Kind.ACTS: "", Kind.NOTHING: "no effect: ", Kind.REFUSED: "**refused**: "}[found.kind] + found.text
            yield f"| `{verb.value}` | {does} | {', '.join(after.value for after in found.to)} |\n"
        yield "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(text(), encoding="utf-8")
