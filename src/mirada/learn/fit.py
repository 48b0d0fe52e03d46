"""Gradient descent, from top to bottom: read `fit` first, everything else here serves it.

Does not know: where images come from, which network it trains, how a model is saved.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mirada.engine import Program
from mirada.engine.torch_engine import TorchEngine, default_device, normalised
from mirada.errors import TrainingError, UsageError
from mirada.image.mix import mixed
from mirada.learn.losses import cross_entropies
from mirada.learn.pixels import Pixels
from mirada.learn.recipes import Recipe
from mirada.progress import Progress, silent
from mirada.tasks import Task

__all__ = ["Epoch", "fit"]


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one pass over the training images gave.

    Attributes:
        number: from 1.
        train_loss: the mean over its steps.
        val_loss: mean cross entropy on the validation images, in a rung of the ladder after temperature scaling; None
            where there are none.
        val_accuracy: share of them that is right, or None.
        seconds: since training began.
    """

    number: int
    train_loss: float
    val_loss: float | None
    val_accuracy: float | None
    seconds: float


def fit(
    network: nn.Module,
    train: Pixels,
    val: Pixels,
    task: Task,
    recipe: Recipe,
    *,
    seed: int = 0,
    device: torch.device | None = None,
    progress: Progress = silent,
) -> list[Epoch]:
    """Train a network in place; at the end it has the weights of the epoch with the lowest validation loss.

    Ctrl-C, or a loss that is no longer a number, after the first epoch ends training early and keeps the best so far.

    Args:
        network: (N, C, h, w) float32 -> the outputs that the task judges.
        train, val: prepared images; val may be empty, then the last epoch counts.
        task: gives the loss.
        recipe: the numbers.
        seed: of the order of the images, their shifts or views, and what is mixed.
        device: where to train; None for the fastest.
        progress: told after each step.

    Returns:
        One `Epoch` for each pass.

    Raises:
        TrainingError: the loss is no longer a number in the first epoch; says at which step and what to try.
        UsageError: batch norm cannot work with the batch size of the recipe.
    """
    _check_batch_size(network, recipe)
    device = device or default_device()
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(_parameter_groups(network, recipe.weight_decay), lr=recipe.learning_rate, fused=True)
    # A last batch of one image has no variance for batch norm: instead another image sits out each epoch.
    images_an_epoch = len(train) - (len(train) > 1 and len(train) % recipe.batch_size == 1)
    steps_an_epoch = math.ceil(images_an_epoch / recipe.batch_size)
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)  # dropout
    begin, history, best = time.perf_counter(), list[Epoch](), _Best()
    try:
        for number in range(1, recipe.epochs + 1):
            network.train()
            losses: list[float] = []
            order = rng.permutation(len(train))[:images_an_epoch]
            for pixels, class_ids in _batches(train, order, recipe, seed, number):
                step = (number - 1) * steps_an_epoch + len(losses)
                _set_learning_rate(optimizer, recipe, step, recipe.epochs * steps_an_epoch)
                pixels, targets = _mixed(pixels, class_ids, recipe, task, rng)
                images = torch.from_numpy(pixels).to(device)
                if recipe.policy is None:
                    images = _shifted(images, recipe.shift, rng)
                loss = task.loss(network(normalised(images, train.preparation)), torch.from_numpy(targets).to(device))
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                losses.append(_checked(loss.item(), f"at step {len(losses) + 1} of epoch {number}", recipe))
                progress("training", step + 1, recipe.epochs * steps_an_epoch, _note(number, recipe, losses, history))
            val_loss, val_accuracy = _judge(network, val, task, device)
            if val_loss is not None:
                _checked(val_loss, f"on the validation images after epoch {number}", recipe)
            seconds = time.perf_counter() - begin
            history.append(Epoch(number, float(np.mean(losses)), val_loss, val_accuracy, seconds))
            best.keep(network, history[-1])
    except (KeyboardInterrupt, TrainingError):  # the best epoch so far is not lost
        if not history:
            raise
    best.restore(network)
    _check_finite(network, recipe)
    return history


def _batches(
    train: Pixels, order: NDArray[np.int64], recipe: Recipe, seed: int, epoch: int
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    """Pixels and class ids of the images in this order: as they are prepared, or other views of them each epoch."""
    if recipe.policy is None:
        return train.batches(order, recipe.batch_size)
    return train.views(order, recipe.batch_size, recipe.policy, seed, epoch)


def _mixed(
    pixels: NDArray[np.uint8], class_ids: NDArray[np.int64], recipe: Recipe, task: Task, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.generic]]:
    """Pixels and what is true of them: class ids (N,), or shares (N, K) where the policy mixes pictures."""
    policy = recipe.policy
    if policy is None or not (policy.mixup or policy.cutmix):
        return pixels, class_ids
    return mixed(pixels, np.eye(len(task.class_names), dtype=np.float32)[class_ids], policy, rng)


def _check_batch_size(network: nn.Module, recipe: Recipe) -> None:
    if recipe.batch_size == 1 and any(isinstance(module, nn.BatchNorm2d) for module in network.modules()):
        raise UsageError("a batch of 1 image has too little variance for batch norm: use a batch size of 2 or more")


def _check_finite(network: nn.Module, recipe: Recipe) -> None:
    for name, tensor in network.state_dict().items():
        if not torch.isfinite(tensor).all():
            _checked(math.nan, f"after the last step, in {name}", recipe)


@dataclass
class _Best:
    """The weights of the best epoch so far."""

    loss: float = math.inf
    state: dict[str, Tensor] | None = None

    def keep(self, network: nn.Module, epoch: Epoch) -> None:
        """Copy the weights where the epoch is the best, or where nothing can tell."""
        if epoch.val_loss is None or epoch.val_loss < self.loss:
            self.loss = math.inf if epoch.val_loss is None else epoch.val_loss
            self.state = copy.deepcopy(network.state_dict())

    def restore(self, network: nn.Module) -> None:
        """Give the network its best weights back."""
        if self.state is not None:
            network.load_state_dict(self.state)


def _parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Weights decay; biases and the scales and shifts of normalisation, which are vectors, do not."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _set_learning_rate(optimizer: torch.optim.Optimizer, recipe: Recipe, step: int, steps: int) -> None:
    warm_up = max(1, steps // 10)
    if step < warm_up:
        share = (step + 1) / warm_up
    else:
        share = 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))
    for group in optimizer.param_groups:
        group["lr"] = recipe.learning_rate * share


def _shifted(images: Tensor, share: float, rng: np.random.Generator) -> Tensor:
    """Each image (N, h, w, C) moved by its own random whole pixels, its border filled with its edge pixels."""
    n, h, w, _ = images.shape
    most_y, most_x = round(share * h), round(share * w)
    if most_y == most_x == 0:
        return images
    dy = torch.from_numpy(rng.integers(-most_y, most_y + 1, n)).to(images.device)
    dx = torch.from_numpy(rng.integers(-most_x, most_x + 1, n)).to(images.device)
    rows = (torch.arange(h, device=images.device) + dy[:, None]).clamp_(0, h - 1)  # (N, h)
    columns = (torch.arange(w, device=images.device) + dx[:, None]).clamp_(0, w - 1)  # (N, w)
    each = torch.arange(n, device=images.device)[:, None, None]
    return images[each, rows[:, :, None], columns[:, None, :]]


def _judge(network: nn.Module, val: Pixels, task: Task, device: torch.device) -> tuple[float | None, float | None]:
    """Mean cross entropy and accuracy on the validation images."""
    if not len(val):
        return None, None
    engine = TorchEngine(Program("validation", {}, val.preparation, lambda: network), device=device)
    loss, right, seen = 0.0, 0, 0
    for pixels, class_ids in val.batches(np.arange(len(val)), 256):
        (outputs,) = engine(pixels)
        loss += float(cross_entropies(outputs, class_ids).sum())
        right += int((outputs.argmax(axis=1) == class_ids).sum())
        seen += len(class_ids)
    return loss / max(seen, 1), right / max(seen, 1)


def _checked(loss: float, where: str, recipe: Recipe) -> float:
    if math.isfinite(loss):
        return loss
    raise TrainingError(
        f"the loss is {loss} {where}: training diverged at a learning rate of "
        f"{recipe.learning_rate:g}. Try a smaller one: --learning-rate {recipe.learning_rate / 10:g}"
    )


def _note(number: int, recipe: Recipe, losses: Sequence[float], history: Sequence[Epoch]) -> str:
    note = f"epoch {number}/{recipe.epochs}, loss {np.mean(losses[-50:]):.3f}"
    accuracy = history[-1].val_accuracy if history else None
    return note if accuracy is None else f"{note}, val {accuracy:.1%}"
