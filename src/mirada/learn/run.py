"""Where a training stands: all that changes while it goes on, and that it needs to go on to the bit."""

from __future__ import annotations

import math
import time
from dataclasses import asdict
from typing import Any, Final

import numpy as np
from torch import Tensor, nn

from mirada.learn.checkpoint import Checkpoint
from mirada.learn.journal import Epoch, Journal
from mirada.learn.rates import Rates
from mirada.learn.recipes import Recipe
from mirada.learn.update import Average, optimizer_of

__all__ = ["Run"]

ABSURD: Final = 1_000.0
"""Times the loss of the first step, from which training has diverged, though the loss is a number still."""


class Run:
    """A training, from its beginning or from where a checkpoint has kept it.

    Args:
        network: what is trained.
        recipe: with its number of epochs.
        steps_an_epoch: how many.
        checkpoint: where it is kept; None for nowhere.
        journal: told of each step and epoch.

    Attributes:
        optimizer: as the recipe says.
        rates: the schedule, and where it stands.
        epoch: the one that it is in, from 1.
        step: steps of it that are done.
        history: the epochs that are over.
        is_over: whether no epoch follows.
        network: what is trained.
        absurd_loss: from which loss on training has diverged.
    """

    def __init__(
        self,
        network: nn.Module,
        recipe: Recipe,
        steps_an_epoch: int,
        checkpoint: Checkpoint | None = None,
        journal: Journal | None = None,
    ) -> None:
        assert recipe.epochs is not None
        self.recipe, self.steps_an_epoch, self.epochs = recipe, steps_an_epoch, recipe.epochs
        self.optimizer = optimizer_of(network, recipe)
        self.rates = Rates(recipe, steps_an_epoch)
        self.epoch, self.step, self.is_over = 1, 0, False
        self.history: list[Epoch] = []
        self.network, self._checkpoint, self._journal = network, checkpoint, journal
        self._average = Average(network, recipe.average) if recipe.average else None
        self._losses: list[float] = []
        self.absurd_loss = math.inf
        self._best_loss, self._best = math.inf, dict[str, Tensor]()
        self._begin = time.perf_counter()
        kept = None if checkpoint is None else checkpoint.read()
        if kept is not None:
            self._restore(*kept)
        if journal is not None:
            journal.take_up(self.epoch, self.step)

    @property
    def judged(self) -> nn.Module:
        """The network whose weights count."""
        return self.network if self._average is None else self._average.network

    @property
    def steps(self) -> int:
        """Of all epochs."""
        return self.epochs * self.steps_an_epoch

    @property
    def steps_done(self) -> int:
        """Of all epochs."""
        return (self.epoch - 1) * self.steps_an_epoch + self.step

    @property
    def where(self) -> str:
        """Where it stands, in words."""
        if not self.step:
            return f"epoch {self.epoch - 1} of {self.epochs}"
        return f"step {self.step} of {self.steps_an_epoch} in epoch {self.epoch} of {self.epochs}"

    @property
    def loss(self) -> float:
        """Of the last step."""
        return self._losses[-1]

    @property
    def rate(self) -> float:
        """The learning rate of the last step."""
        return self.optimizer.rate

    def note(self) -> str:
        """How it goes, in a few words."""
        note = f"epoch {self.epoch}/{self.epochs}, loss {np.mean(self._losses[-50:]):.3f}"
        accuracy = self.history[-1].val_accuracy if self.history else None
        return note if accuracy is None else f"{note}, val {accuracy:.1%}"

    def add_step(self, loss: float) -> None:
        """The optimizer has made a step."""
        self.step += 1
        self._losses.append(loss)
        if self.steps_done == 1 and math.isfinite(loss):
            self.absurd_loss = ABSURD * max(loss, 1.0)
        if self._average is not None:
            self._average.follow()
        if self._journal is not None:
            self._journal.add_step(self.epoch, self.step, self.steps_done, loss, self.rate)

    def end_epoch(self, val_loss: float | None, val_accuracy: float | None) -> None:
        """All images were seen, and the network was judged: keep it where it is the best, or where nothing can tell."""
        seconds = time.perf_counter() - self._begin
        self.history.append(Epoch(self.epoch, float(np.mean(self._losses)), val_loss, val_accuracy, seconds))
        if val_loss is None or val_loss < self._best_loss:
            self._best_loss = math.inf if val_loss is None else val_loss
            self._best = {name: tensor.clone() for name, tensor in self.judged.state_dict().items()}
        ends = self.rates.is_over(None if val_accuracy is None else 1 - val_accuracy)
        self.is_over = ends or self.epoch == self.epochs
        self.epoch, self.step, self._losses = self.epoch + 1, 0, []
        if self._journal is not None:
            self._journal.add_epoch(self.history[-1])

    def restore_best(self) -> None:
        """Give the network the weights of the best epoch."""
        if self._best:
            self.network.load_state_dict(self._best)

    def keep(self) -> None:
        """Write a checkpoint."""
        assert self._checkpoint is not None
        tensors = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        tensors |= {f"best.{name}": tensor for name, tensor in self._best.items()}
        tensors |= {f"optimizer.{name}": tensor for name, tensor in self.optimizer.tensors().items()}
        if self._average is not None:
            tensors |= {f"average.{name}": tensor for name, tensor in self._average.network.state_dict().items()}
        values = {
            "epoch": self.epoch,
            "step": self.step,
            "is_over": self.is_over,
            "losses": self._losses,
            "absurd_loss": self.absurd_loss,
            "rates": self.rates.to_json(),
            "history": [asdict(epoch) for epoch in self.history],
            "best_loss": self._best_loss,
            "average_steps": 0 if self._average is None else self._average.steps,
            "seconds": time.perf_counter() - self._begin,
            "rate": self.optimizer.rate,
        }
        if self._journal is not None:
            self._journal.write()  # first: rows after the checkpoint are cut off when it is taken up
        self._checkpoint.write(tensors, values)

    def _restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        def of(prefix: str) -> dict[str, Tensor]:
            return {n.removeprefix(prefix): tensor for n, tensor in tensors.items() if n.startswith(prefix)}

        self.network.load_state_dict(of("network."))
        self._best = of("best.")
        self.optimizer.restore(of("optimizer."), values["rate"])
        if self._average is not None:
            self._average.network.load_state_dict(of("average."))
            self._average.steps = values["average_steps"]
        self.epoch, self.step, self.is_over = values["epoch"], values["step"], values["is_over"]
        self._losses, self._best_loss = values["losses"], values["best_loss"]
        self.absurd_loss = values["absurd_loss"]
        self.rates.restore(values["rates"])
        self.history = [Epoch(**epoch) for epoch in values["history"]]
        self._begin = time.perf_counter() - values["seconds"]
