"""Training in several processes, as `torchrun` starts them: each takes its rows of every batch and its share of views.

All processes draw the same random numbers, for the whole batch, and keep their own rows of them. Gradients are summed
over the processes before every step, and equation 6 sees the assignment of the whole batch. So the weights are those
of one process but for the order of sums in float32. The first process alone writes: states, model, recipe.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional

PATIENCE = timedelta(days=7)  # the others wait while the first one solves a collection
In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True, slots=True)
class Together:
    """This process among those that train one model; by itself where there is one."""

    rank: int = 0
    size: int = 1

    @property
    def is_alone(self) -> bool:
        """Whether nothing has to be exchanged."""
        return self.size == 1

    def rows(self, n: int) -> slice:
        """This process's rows of a batch of `n`."""
        return slice(n * self.rank // self.size, n * (self.rank + 1) // self.size)

    def share(self, n: int) -> float:
        """What part of a batch of `n` that is."""
        return (n * (self.rank + 1) // self.size - n * self.rank // self.size) / n

    def each(self, items: Sequence[In], work: Callable[[In], Out]) -> Iterable[tuple[int, Out]]:
        """(place, what `work` makes of the item) for all items in their order; the work is shared out."""
        for start in range(0, len(items), self.size):
            mine = start + self.rank
            done = work(items[mine]) if mine < len(items) else None
            for place, found in enumerate(self._from_all(done), start):
                if place < len(items):
                    yield place, found

    def _from_all(self, mine: Any) -> list[Any]:
        if self.is_alone:
            return [mine]
        found: list[Any] = [None] * self.size
        distributed.all_gather_object(found, mine)
        return found

    def told(self, message: Any = None) -> Any:
        """What the first process hands to all; the others hand over nothing."""
        if self.is_alone:
            return message
        found = [message]
        distributed.broadcast_object_list(found)
        return found[0]

    def whole(self, mine: Tensor, share: float) -> Tensor:
        """The mean over the whole batch of what is a mean over this process's `share` of it.

        Its gradient is this process's part, so that the sum of all gradients is that of the whole mean.
        """
        if self.is_alone:
            return mine
        total = mine.detach() * share
        distributed.all_reduce(total)
        return total + share * (mine - mine.detach())

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Give every process the gradients of the whole batch. One exchange for all parameters."""
        if self.is_alone:
            return
        found = [p for p in parameters if p.requires_grad]
        flat = torch.cat([torch.zeros(p.numel()) if p.grad is None else p.grad.reshape(-1) for p in found])
        distributed.all_reduce(flat)
        start = 0
        for parameter in found:
            end = start + parameter.numel()
            parameter.grad = flat[start:end].reshape(parameter.shape).clone()
            start = end

    def share_dropout(self, module: nn.Module) -> None:
        """Let every Dropout below `module` draw for the whole batch, of which this process has its rows."""
        if self.is_alone:
            return
        for name, child in module.named_children():
            if isinstance(child, nn.Dropout):
                setattr(module, name, _SharedDropout(child.p, self))
            else:
                self.share_dropout(child)

    def leave(self) -> None:
        """End the exchange; nothing can be told afterwards."""
        if not self.is_alone:
            distributed.destroy_process_group()


class _SharedDropout(nn.Module):
    """nn.Dropout whose mask is this process's rows of the one that a single process would draw."""

    def __init__(self, p: float, group: Together) -> None:
        super().__init__()
        self.p, self.group, self.batch = p, group, 0

    def forward(self, x: Tensor) -> Tensor:
        """(rows, ...) -> (rows, ...); `batch` is the number of rows of all processes."""
        if not self.training or self.p == 0:
            return x
        mask = functional.dropout(torch.ones(self.batch, *x.shape[1:]), self.p)
        return x * mask[self.group.rows(self.batch)]


def set_batch(module: nn.Module, batch: int) -> None:
    """Before each step: how many rows all processes have together."""
    for child in module.modules():
        if isinstance(child, _SharedDropout):
            child.batch = batch


ALONE = Together()


def together() -> Together:
    """This process among those that `torchrun` has started, which exchange by gloo; ALONE without it."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return ALONE
    if not distributed.is_initialized():
        distributed.init_process_group("gloo", timeout=PATIENCE)
    return Together(distributed.get_rank(), distributed.get_world_size())
