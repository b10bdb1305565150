"""Faults by name: what a device offers, how one is caused, and how its arguments read in a help text.

A fault is a function whose parameters are texts, as a person types them behind `station rig inject`; it returns a
sentence that states what is wrong from now on.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping

FaultAction = Callable[..., str]
NOT_FINITE = {"nan", "inf", "infinity"}


def inject_fault(device: str, faults: Mapping[str, FaultAction], name: str, args: tuple[str, ...]) -> str:
    """Cause the fault `name`; returns its sentence.

    Raises ValueError for an unknown name, listing those that exist, and for wrong arguments, stating the right ones.
    """
    action = faults.get(name)
    if action is None:
        raise ValueError(f"{device}: unknown fault {name!r}; there are {', '.join(sorted(faults))}")
    if any(word.lower().lstrip("+-") in NOT_FINITE for word in args):
        raise ValueError(f"{device}: fault {name!r} with arguments {list(args)}: every number must be finite")
    try:
        inspect.signature(action).bind(*args)
    except TypeError as error:
        wanted = fault_words(action) or "no arguments"
        raise ValueError(f"{device}: fault {name!r} takes {wanted} ({error})") from error
    try:
        return action(*args)
    except (ValueError, KeyError, IndexError) as error:
        raise ValueError(f"{device}: fault {name!r} with arguments {list(args)}: {error}") from error


def fault_words(action: FaultAction) -> str:
    """The arguments of a fault as a person types them: `CHANNEL [GAIN=0.6]`."""
    words = []
    for parameter in inspect.signature(action).parameters.values():
        word = parameter.name.upper()
        if parameter.kind is parameter.VAR_POSITIONAL:
            words.append(f"{word}...")
        elif parameter.default is parameter.empty:
            words.append(word)
        else:
            words.append(f"[{word}={parameter.default}]" if parameter.default else f"[{word}]")
    return " ".join(words)
