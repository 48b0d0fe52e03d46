"""What went wrong where a loss is no number: the first layer that shows it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from mirada.errors import TrainingError

if TYPE_CHECKING:
    from mirada.learn.recipes import Recipe
    from mirada.learn.run import Run

__all__ = ["check_loss", "check_val_loss", "check_weights", "first_bad_layer"]


def check_loss(run: Run, images: Tensor) -> None:
    """Refuse to go on where the loss of the last step is no number, or absurd.

    Args:
        run: where training stands.
        images: (N, C, h, w) float32, what the network was run on.

    Raises:
        TrainingError: it is; says where, in which layer, at which rate, and what to try.
    """
    if math.isfinite(run.loss) and run.loss < run.absurd_loss:
        return
    layer = first_bad_layer(run.network, images)
    where = f"at step {run.step} of epoch {run.epoch}{f', {layer}' if layer else ''}"
    raise TrainingError(_diverged(run.loss, where, run.recipe, run.rate))


def check_val_loss(run: Run, loss: float | None) -> None:
    """Refuse to go on where the loss on the validation images is no number.

    Raises:
        TrainingError: it is none.
    """
    if loss is not None and not math.isfinite(loss):
        where = f"on the validation images after epoch {run.epoch}"
        raise TrainingError(_diverged(loss, where, run.recipe, run.rate))


def check_weights(network: nn.Module, recipe: Recipe) -> None:
    """Refuse a network with weights that are no numbers.

    Raises:
        TrainingError: it has some; names the first.
    """
    for name, tensor in network.state_dict().items():
        if not torch.isfinite(tensor).all():
            where = f"after the last step, and {name} holds what is no number"
            raise TrainingError(_diverged(math.nan, where, recipe, recipe.learning_rate))


def first_bad_layer(network: nn.Module, images: Tensor) -> str:
    """Which layer is the first whose output is no number, in a few words; else which weight is the largest.

    Args:
        images: (N, C, h, w) float32, what the network is run on.
    """
    found: list[str] = []

    def look(name: str) -> Any:
        def hook(module: nn.Module, given: Any, output: Any) -> None:
            if not found and isinstance(output, Tensor) and not torch.isfinite(output).all():
                found.append(name.removesuffix(".activation").removesuffix(".norm"))

        return hook

    hooks = [module.register_forward_hook(look(name)) for name, module in network.named_modules() if name]
    was_training = network.training
    try:
        network.eval()  # statistics stay
        with torch.no_grad():
            network(images)
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    if found:
        return f"{found[0]} being the first layer whose output is no number"
    sizes = [(float(p.detach().abs().max()), name) for name, p in network.named_parameters() if p.numel()]
    bad = next((name for size, name in sizes if not math.isfinite(size)), None)
    if bad is not None:
        return f"{_layer(bad)} being the first whose weights are no numbers"
    largest, name = max(sizes, default=(0.0, ""))
    return f"the largest weight, {largest:.3g}, being in {_layer(name)}" if name else ""


def _layer(parameter: str) -> str:
    return parameter.rpartition(".")[0] or parameter


def _diverged(loss: float, where: str, recipe: Recipe, rate: float) -> str:
    limit = "" if recipe.clip else ", or limit the gradient: --set clip=1"
    most = "" if math.isclose(rate, recipe.learning_rate) else f" (it is {recipe.learning_rate:.3g} at most)"
    return (
        f"the loss is {loss:.4g} {where}: training diverged at a learning rate of {rate:.3g}{most}. Try a smaller one: "
        f"--learning-rate {recipe.learning_rate / 10:g}{limit}"
    )
