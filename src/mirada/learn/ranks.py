"""Several processes that train one network: each sees its share of every batch, and all take the same step.

Torch's distributed data parallel does the exchange of gradients, `torchrun` starts the processes and, where one dies,
all of them again; they go on from the last checkpoint.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import distributed, nn

from mirada.errors import TrainingError
from mirada.machine.ranks import rank, rank_count

__all__ = ["ALONE", "Ranks", "join_ranks", "leave_ranks"]

LOST: Final = re.compile(r"connection|peer|socket|broken pipe|timed out|timeout|remote process", re.IGNORECASE)
"""What torch's errors say where another process does not answer any more."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process, and how many there are.

    Attributes:
        rank: from 0.
        count: at least 1.
    """

    rank: int = 0
    count: int = 1

    @contextmanager
    def together(self) -> Iterator[None]:
        """While they work together.

        Raises:
            TrainingError: another process was lost.
        """
        try:
            yield
        except RuntimeError as error:  # of gloo and NCCL alike; only the words tell
            if self.count == 1 or not LOST.search(str(error)):
                raise
            raise TrainingError(
                f"another of the {self.count} processes was lost, so training cannot go on here. torchrun starts all "
                "again from the last checkpoint where --max-restarts allows it; else give the same command again"
            ) from error

    @property
    def is_first(self) -> bool:
        """Whether it is the one that writes."""
        return self.rank == 0

    def share(self, batch: NDArray[np.int64]) -> NDArray[np.int64]:
        """What this process sees of a batch: together the processes see each image once.

        Where there are more processes than images, one of the first that has none sees the first image: it must take
        part in the step. It counts nothing there, see `weight`.
        """
        own = batch[self.rank :: self.count]
        return own if len(own) else batch[:1]

    def weight(self, batch: int) -> float:
        """What the mean loss of the own share is multiplied with, so that the mean over processes is that of the batch.

        Args:
            batch: how many images all of them see.
        """
        return len(range(self.rank, batch, self.count)) * self.count / batch

    def joined(self, network: nn.Module, device: torch.device) -> nn.Module:
        """The network, with gradients that are the mean of those of all processes."""
        if self.count == 1:
            return network
        places = [device.index] if device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(network, device_ids=places, gradient_as_bucket_view=True)

    def mean(self, value: float) -> float:
        """The mean over all processes."""
        return self.summed([value])[0] / self.count

    def summed(self, values: Sequence[float]) -> list[float]:
        """The sums over all processes."""
        if self.count == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64)
        if distributed.get_backend() == "nccl":
            total = total.cuda()
        distributed.all_reduce(total)
        return [float(value) for value in total.tolist()]


ALONE = Ranks()


def join_ranks() -> Ranks:
    """Find the other processes, where `torchrun` started any; on graphics cards each takes one of its own."""
    if rank_count() == 1:
        return ALONE
    if not distributed.is_initialized():
        has_cards = torch.cuda.is_available()
        if has_cards:
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        # The store where processes find each other may outlive those that died: each start has its own names in it.
        store, place, count = next(distributed.rendezvous("env://"))  # type: ignore[attr-defined]
        start = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        distributed.init_process_group(
            "nccl" if has_cards else "gloo",
            store=distributed.PrefixStore(f"mirada {start}", store),  # type: ignore[attr-defined]
            rank=place,
            world_size=count,
        )
    return Ranks(rank(), rank_count())


def leave_ranks() -> None:
    """Part from the others, where there are any."""
    if rank_count() > 1 and distributed.is_initialized():
        distributed.destroy_process_group()
