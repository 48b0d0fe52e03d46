"""Gradient descent, from top to bottom: read `fit` first, everything else here serves it.

What is random in a step depends on the seed, the epoch and the step alone: so a training that is taken up in the middle
goes on to the bit as it would have, and several processes draw the same.

Does not know: where images come from, which network it trains, how a model is saved.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from mirada.engine.torch_engine import default_device, normalised
from mirada.errors import TrainingError, UsageError
from mirada.learn.batches import Batches
from mirada.learn.checkpoint import Checkpoint
from mirada.learn.criterion import criterion
from mirada.learn.journal import Epoch, Journal
from mirada.learn.losses import cross_entropies
from mirada.learn.pixels import Pixels, in_batches
from mirada.learn.ranks import ALONE, Ranks
from mirada.learn.recipes import Recipe
from mirada.learn.run import Run
from mirada.learn.update import clip
from mirada.learn.watch import check_loss, check_val_loss, check_weights
from mirada.progress import Progress, silent
from mirada.tasks import Task

__all__ = ["Epoch", "fit"]

JUDGED_AT_ONCE: Final = 2**18
"""Pixels, of so many little pictures that the time between the layers no longer counts."""


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
    checkpoint: Checkpoint | None = None,
    journal: Journal | None = None,
    ranks: Ranks = ALONE,
    on_interrupt: Callable[[], None] = lambda: None,
    on_note: Callable[[str], None] = lambda note: None,
) -> list[Epoch]:
    """Train a network in place; at the end it has the weights of the epoch with the lowest validation loss.

    Ctrl-C, or a loss that is no longer a number, after the first epoch ends training early and keeps the best so far.

    Args:
        network: (N, C, h, w) float32 -> the outputs that the task judges.
        train, val: prepared images; val may be empty, then the last epoch counts.
        task: gives the classes, and the loss where the recipe has no other.
        recipe: the numbers.
        seed: of the order of the images, their shifts or views, and what is mixed.
        device: where to train; None for the fastest.
        progress: told after each step.
        checkpoint: where the training is kept while it goes on; what it has kept is taken up.
        journal: told of each step and epoch.
        ranks: this process among those that train together, see `mirada.learn.ranks`.
        on_interrupt: called where Ctrl-C has ended training early.
        on_note: told, in a sentence, that an interrupted training was taken up, or why this one ended early.

    Returns:
        One `Epoch` for each pass.

    Raises:
        TrainingError: the loss is no longer a number, or absurd, in the first epoch; says at which step, in which
            layer, and what to try.
        UsageError: batch norm cannot work with the batch size of the recipe; a checkpoint cannot be written, or is of
            another training.
    """
    recipe = recipe.for_images(len(train))
    _check_batch_size(network, recipe)
    device = device or default_device()
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    batches = Batches(train, task, recipe, seed, ranks, skips_one=_has_batch_norm(network))
    run = Run(network, recipe, len(batches), checkpoint, journal)
    if run.steps_done:
        on_note(f"An interrupted training was taken up after {run.where}.")
        progress(f"taken up after {run.where}", 1, 1)
    has_dropout = any(isinstance(module, nn.Dropout) for module in network.modules())
    model, precision, loss_of = ranks.joined(network, device), _precision(recipe, device), criterion(task, recipe)
    try:
        while not run.is_over:
            network.train()
            for pixels, targets, weight in batches.of(run.epoch, run.step):
                run.optimizer.rate = run.rates.rate(run.epoch, run.step)
                images = normalised(torch.from_numpy(pixels).to(device), train.preparation)
                if has_dropout:
                    _seed_dropout(seed, run, ranks, device)
                with precision:
                    outputs = model(images)
                loss = weight * loss_of(outputs.float(), torch.from_numpy(targets).to(device))
                run.optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                clip(network, recipe)
                run.optimizer.step()
                run.add_step(ranks.mean(loss.item()))
                check_loss(run, images)
                progress("training", run.steps_done, run.steps, run.note())
                if checkpoint is not None and checkpoint.is_due():
                    run.keep()
            val_loss, val_accuracy = _judged(run.judged, val, recipe, device, ranks)
            check_val_loss(run, val_loss)
            run.end_epoch(val_loss, val_accuracy)
    except (KeyboardInterrupt, TrainingError) as error:  # the best epoch so far is not lost
        if not run.history:
            raise
        if isinstance(error, KeyboardInterrupt):
            on_interrupt()
        why = "by Ctrl-C" if isinstance(error, KeyboardInterrupt) else f"because {error}"
        on_note(f"Training ended after {run.where}, {why}. The best epoch so far was kept.")
    run.restore_best()
    check_weights(network, recipe)
    return run.history


def _has_batch_norm(network: nn.Module) -> bool:
    return any(isinstance(module, nn.BatchNorm2d) for module in network.modules())


def _check_batch_size(network: nn.Module, recipe: Recipe) -> None:
    if recipe.batch_size == 1 and _has_batch_norm(network):
        raise UsageError("a batch of 1 image has too little variance for batch norm: use a batch size of 2 or more")


def _precision(recipe: Recipe, device: torch.device) -> AbstractContextManager[object]:
    """What the layers calculate in; weights, the loss and the steps are float32."""
    if recipe.precision != "bfloat16":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def _seed_dropout(seed: int, run: Run, ranks: Ranks, device: torch.device) -> None:
    """Of the generator of this device alone: `torch.manual_seed` takes a millisecond."""
    number = int(np.random.default_rng([seed, run.epoch, run.step, ranks.rank]).integers(2**63))
    if device.type == "cpu":
        torch.default_generator.manual_seed(number)
    else:
        torch.manual_seed(number)


def _judged(
    network: nn.Module, val: Pixels, recipe: Recipe, device: torch.device, ranks: Ranks
) -> tuple[float | None, float | None]:
    """Mean cross entropy and accuracy on the validation images, which the processes share."""
    if not len(val):
        return None, None
    assert recipe.batch_size is not None
    loss, right, seen = 0.0, 0, 0
    width, height = val.preparation.size_wh
    size = max(recipe.batch_size, JUDGED_AT_ONCE // (width * height))
    network.eval()
    with torch.inference_mode():
        for pixels, class_ids in val.batches(in_batches(np.arange(ranks.rank, len(val), ranks.count), size)):
            outputs: Tensor = network(normalised(torch.from_numpy(pixels).to(device), val.preparation))
            logits = outputs.float().cpu().numpy()
            loss += float(cross_entropies(logits, class_ids).sum())
            right += int((logits.argmax(axis=1) == class_ids).sum())
            seen += len(class_ids)
    loss, right_ones, all_seen = ranks.summed([loss, right, seen])
    return (loss if math.isfinite(loss) else math.nan) / max(all_seen, 1), right_ones / max(all_seen, 1)
