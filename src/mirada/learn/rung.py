"""Training the tail of a network from kept activations: one rung of the ladder, from top to bottom.

Does not know: where activations come from, which rung it is, how a model is saved.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from mirada.errors import TrainingError
from mirada.learn.fit import Epoch
from mirada.learn.losses import calibrated_losses
from mirada.learn.tail import Tail
from mirada.learn.update import AdamW, Group
from mirada.progress import Progress, silent

__all__ = [
    "Climbed",
    "Inputs",
    "RungRecipe",
    "first_judged",
    "fit_tail",
    "rung_recipe",
    "scale_head",
    "smoothing",
    "step_seconds",
    "trial_recipe",
    "val_logits",
]


@dataclass(frozen=True)
class RungRecipe:
    """The numbers of a rung.

    Args:
        epochs: how often every training image is seen, each time in one of its views.
        batch_size: images a step.
        learning_rate: of the head and the last stage; it rises for the first tenth of the steps, then falls along half
            a cosine to zero.
        stage_decay: how many times smaller it is for each stage further from the end (Howard and Ruder, "Universal
            language model fine-tuning", 2018, section 3.2, with another factor).
        weight_decay: decoupled, of AdamW; not on biases.
        label_smoothing: share of the truth that is given to all classes alike (Szegedy et al., "Rethinking the
            Inception architecture", 2016, section 7), see `smoothing`.
        dropout: share of the features that the head does not see in a step (Srivastava et al., "Dropout", 2014).
        start_spread: of the head that training starts from, see `scale_head`.
        patience: epochs without a better one after which the rung ends, counted from the middle on: before, steps are
            so large that the loss may rise for a while.
    """

    epochs: int
    batch_size: int = 32
    learning_rate: float = 1e-3
    stage_decay: float = 0.7
    weight_decay: float = 0.02
    label_smoothing: float = 0.1
    dropout: float = 0.3
    start_spread: float = 0.5
    patience: int = 5

    def json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


LAST_STAGE_EPOCHS, MOST_EPOCHS, FEWEST_STEPS, ENOUGH_IMAGES = 8, 12, 200, 30_000
ODDS, MOST_SMOOTHING = 100, 0.2


def smoothing(classes: int) -> float:
    """The label smoothing with which the right class is to be 100 times as probable as any other; at most 0.2.

    The scores that are aimed at are then as far apart whatever the number of classes: one share for all would ask for
    more the more classes there are, and steps that lead further from the pretrained weights.
    """
    return min(classes / (classes - 1 + ODDS), MOST_SMOOTHING)


def rung_recipe(images: int, stages: int, classes: int) -> RungRecipe:
    """The recipe for a number of training images, of trained stages and of classes.

    8 epochs for the last stage alone, 12 for more; fewer for many images, more for few. The more stages are trained,
    the smaller the learning rate: by their number to the power of 0.8.
    """
    most = LAST_STAGE_EPOCHS if stages == 1 else MOST_EPOCHS
    seen = max(min(most * images, ENOUGH_IMAGES), 3 * images, FEWEST_STEPS * 32)
    epochs = min(-(-seen // images), 100)
    return RungRecipe(epochs, learning_rate=1e-3 / stages**0.8, label_smoothing=smoothing(classes))


TRIAL_SHARE = 1 / 6
"""Of the epochs of a rung in full."""


def trial_recipe(images: int, stages: int, classes: int) -> RungRecipe:
    """The recipe of a trial: as many epochs whatever the number of stages, so that only the stages differ."""
    epochs = math.ceil(TRIAL_SHARE * rung_recipe(images, 2, classes).epochs)
    return replace(rung_recipe(images, stages, classes), epochs=epochs)


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a tail is trained on or judged by.

    Attributes:
        read: (n,) positions of images and (n,) numbers of views -> the input of the tail (n, D, H, W).
        class_ids: (N,).
        views: how many there are of each image.
    """

    read: Callable[[NDArray[np.int64], NDArray[np.int64]], Tensor]
    class_ids: NDArray[np.int64]
    views: int

    def __len__(self) -> int:
        return len(self.class_ids)


@dataclass(frozen=True, eq=False)
class Climbed:
    """What a rung gave.

    Attributes:
        epochs: one record each.
        val_logits: (M, K) of the best epoch, whose weights the tail has.
        was_stopped: by Ctrl-C.
        was_cut_short: by the deadline.
        has_diverged: whether it ended because the loss was no longer a number.
    """

    epochs: tuple[Epoch, ...]
    val_logits: NDArray[np.float32]
    was_stopped: bool = False
    was_cut_short: bool = False
    has_diverged: bool = False

    def shortfall(self, asked: int, planned: int) -> str | None:
        """The beginning of a sentence about why fewer epochs count than were asked for; None where nothing ended it.

        Args:
            asked: how many the recipe has.
            planned: for how many there seemed to be time.
        """
        if self.was_stopped:
            return "Ctrl-C ended training"
        if self.has_diverged:
            return "The loss was no longer a number in"
        return "There was time for" if self.was_cut_short or planned < asked else None


def scale_head(tail: Tail, train: Inputs, spread: float) -> None:
    """Scale the head so that the class scores of some training images have this standard deviation over the classes.

    A head that is sure of its training images already has little left to teach the stages; one that is unsure makes
    them learn what sets the classes apart.
    """
    some = np.unique(np.linspace(0, len(train) - 1, 128).astype(np.int64))
    with torch.inference_mode():
        scores = tail(train.read(some, np.zeros_like(some)).to(tail.device))
    found = float(scores.std(dim=1, correction=0).square().mean().sqrt())
    if found > 0:
        with torch.no_grad():
            for parameter in tail.head.parameters():
                parameter.mul_(spread / found)


def fit_tail(
    tail: Tail,
    train: Inputs,
    val: Inputs,
    recipe: RungRecipe,
    *,
    class_weights: NDArray[np.float32] | None = None,
    seed: int = 0,
    deadline: float = math.inf,
    stage: str = "training",
    progress: Progress = silent,
) -> Climbed:
    """Train a tail in place; at the end it has the weights of the epoch with the lowest calibrated validation loss.

    With a deadline the learning rate falls with the time that has passed, where that is ahead of the steps: however
    slow the machine turns out to be, the last steps are small (Li et al., "Budgeted training", 2020), and an epoch that
    the deadline cuts short counts like the others. Those of the first half, while steps are large, are then not judged:
    that is time for more of them. Ctrl-C, or a loss that is no longer a number, keeps the best epoch so far, where none
    was judged the last one; before the first is done, it is raised.

    Args:
        class_weights: (K,) how much an image of each class counts; None for all alike.
        deadline: of `time.perf_counter()`.

    Raises:
        TrainingError: in the first epoch the loss is no longer a number, or the class scores of the epoch that is kept.
    """
    device = tail.device
    optimizer = AdamW(_groups(tail, recipe), recipe.learning_rate)
    rng = np.random.default_rng(seed)
    steps_an_epoch = -(-len(train) // recipe.batch_size)
    steps = steps_an_epoch * recipe.epochs
    weights = None if class_weights is None else torch.from_numpy(class_weights).to(device)
    begin, epochs, best, step = time.perf_counter(), list[Epoch](), _Best(), 0
    was_stopped = was_cut_short = has_diverged = False
    try:
        for number in range(1, recipe.epochs + 1):
            losses = []
            order = rng.permutation(len(train))
            for i in range(0, len(order), recipe.batch_size):
                chosen = order[i : i + recipe.batch_size]
                optimizer.rate = _rate(recipe, max(step / steps, _share_of_time(begin, deadline)))
                inputs = train.read(chosen, rng.integers(0, train.views, len(chosen))).to(device)
                features = tail.features(inputs)
                scores = tail.head(_dropped(features, recipe.dropout, rng))
                targets = torch.from_numpy(train.class_ids[chosen]).to(device)
                loss = functional.cross_entropy(scores, targets, weights, label_smoothing=recipe.label_smoothing)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                losses.append(loss.item())
                step += 1
                progress(stage, step, steps, _note(number, recipe, epochs))
                if time.perf_counter() >= deadline:
                    break
            is_over = step == steps or time.perf_counter() >= deadline
            is_judged = len(val) > 0 and (is_over or number >= first_judged(recipe.epochs, math.isfinite(deadline)))
            logits = val_logits(tail, val) if is_judged else None
            if not (np.isfinite(losses).all() and _are_numbers(tail.parameters() if logits is None else [logits])):
                if not epochs:
                    raise TrainingError(f"{stage}: in epoch {number} the loss was no longer a number")
                has_diverged = True
                break
            val_loss = None if logits is None else float(calibrated_losses(logits, val.class_ids).mean())
            accuracy = None if logits is None else float((logits.argmax(axis=1) == val.class_ids).mean())
            seconds = time.perf_counter() - begin
            epochs.append(Epoch(number, float(np.mean(losses)), val_loss, accuracy, round(seconds, 2)))
            best.keep(tail, epochs[-1], logits)
            has_waited = number - max(best.number, recipe.epochs // 2) >= recipe.patience
            was_cut_short = step < steps and (is_over or (is_judged and time.perf_counter() >= deadline))
            if has_waited or was_cut_short:
                break
    except KeyboardInterrupt:
        was_stopped = True
        if not epochs:
            raise
    best.restore(tail)
    kept_logits = val_logits(tail, val) if best.logits is None else best.logits
    if not np.isfinite(kept_logits).all():
        raise TrainingError(f"{stage}: after epoch {best.number} the class scores were no longer numbers")
    return Climbed(tuple(epochs), kept_logits, was_stopped, was_cut_short, has_diverged)


def first_judged(epochs: int, has_deadline: bool) -> int:
    """The first epoch, from 1, that is judged even where time is not over."""
    return epochs // 2 + 1 if has_deadline else 1


def _are_numbers(arrays: Iterable[Tensor | NDArray[np.float32]]) -> bool:
    """Whether all of them hold numbers alone."""
    return all(bool(torch.isfinite(torch.as_tensor(array)).all()) for array in arrays)


def _share_of_time(begin: float, deadline: float) -> float:
    """How much of the time until the deadline has passed since `begin`, 0 to 1."""
    return 0.0 if math.isinf(deadline) else min((time.perf_counter() - begin) / max(deadline - begin, 1e-6), 1.0)


def _dropped(features: Tensor, share: float, rng: np.random.Generator) -> Tensor:
    """Features (N, F) of which each is zero with this probability, the others larger, so that sums stay as they are."""
    kept = torch.from_numpy(rng.random(features.shape, np.float32) >= share).to(features.device)
    return features * kept / (1 - share)


def val_logits(tail: Tail, val: Inputs) -> NDArray[np.float32]:
    """Class scores (M, K) of the first view of every image."""
    found = [np.zeros((0, tail.head.out_features), np.float32)]
    with torch.inference_mode():
        for i in range(0, len(val), 64):
            places = np.arange(i, min(i + 64, len(val)))
            found.append(tail(val.read(places, np.zeros_like(places)).to(tail.device)).cpu().numpy())
    return np.concatenate(found)


def step_seconds(tail: Tail, input_shape: tuple[int, ...], batch_size: int) -> float:
    """Seconds of one training step, measured on the tail as it is, which is not changed.

    Args:
        input_shape: of the tail for one image, (D, H, W).
    """
    x = torch.rand(batch_size, *input_shape, device=tail.device).contiguous(memory_format=torch.channels_last)
    targets = torch.zeros(batch_size, dtype=torch.int64, device=tail.device)
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        loss = functional.cross_entropy(tail(x), targets)
        loss.backward()  # type: ignore[no-untyped-call]
        loss.item()  # waits for a GPU
        times.append(time.perf_counter() - begin)
    tail.zero_grad()
    return min(times)


def _groups(tail: Tail, recipe: RungRecipe) -> list[Group]:
    """Parameters by depth: smaller steps further from the end; biases do not decay."""
    *stages, head = tail.parameters_by_depth()
    groups = []
    for depth, parameters in enumerate([head, *reversed(stages)]):
        share = recipe.stage_decay ** max(depth - 1, 0)
        learnt = [p for p in parameters if p.requires_grad]
        filters, biases = [p for p in learnt if p.ndim > 1], [p for p in learnt if p.ndim <= 1]
        groups += [Group(filters, recipe.weight_decay, share), Group(biases, 0.0, share)]
    return groups


def _rate(recipe: RungRecipe, share: float) -> float:
    """The learning rate where this share of the training, or of its time, is over."""
    factor = (share + 0.002) / 0.1 if share < 0.1 else 0.5 * (1 + math.cos(math.pi * (share - 0.1) / 0.9))
    return recipe.learning_rate * min(factor, 1.0)


@dataclass
class _Best:
    """The weights and validation scores of the best epoch so far."""

    number: int = 0
    loss: float = math.inf
    state: dict[str, Tensor] | None = None
    logits: NDArray[np.float32] | None = None

    def keep(self, tail: Tail, epoch: Epoch, logits: NDArray[np.float32] | None) -> None:
        """Copy the weights where the epoch is the best, or where nothing can tell."""
        if epoch.val_loss is None or epoch.val_loss < self.loss or self.state is None:
            self.number, self.loss = epoch.number, math.inf if epoch.val_loss is None else epoch.val_loss
            self.state = {name: parameter.detach().clone() for name, parameter in tail.named_parameters()}
            self.logits = logits

    def restore(self, tail: Tail) -> None:
        """Give the tail its best weights back."""
        with torch.no_grad():
            for name, parameter in tail.named_parameters():
                if self.state is not None:
                    parameter.copy_(self.state[name])


def _note(number: int, recipe: RungRecipe, epochs: Sequence[Epoch]) -> str:
    note = f"epoch {number}/{recipe.epochs}"
    accuracy = epochs[-1].val_accuracy if epochs else None
    return note if accuracy is None else f"{note}, val {accuracy:.1%}"
