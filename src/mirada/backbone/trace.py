"""Torch module -> table: what each submodule did to the volume when one image of zeros was sent through."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from mirada.arch import Volume
from mirada.arch.table import Table, TableRow
from mirada.backbone.catalog import BUILTIN, BUILTIN_TIMM_NAME
from mirada.errors import ArchitectureError, UsageError
from mirada.words import nearest_word

__all__ = ["check_timm_name", "module_table", "no_such", "timm_module", "trace"]

DEFAULT_INPUT = Volume(224, 224, 3)


def trace(name: str, input: Volume | None = None) -> Table:
    """The table of `timm:NAME`, `torchvision:NAME` or the built-in network, built with random weights.

    Multiply-adds are those of convolutions and linear layers: products inside attention are not counted.

    Raises:
        UsageError: the library has no such network.
        ArchitectureError: the network cannot be run on this input.
    """
    if name == BUILTIN:
        module, own_input = _timm(BUILTIN_TIMM_NAME)
    else:
        library, _, model = name.partition(":")
        module, own_input = (_timm if library == "timm" else _torchvision)(model)
    return module_table(module, input or own_input, name)


def module_table(module: nn.Module, input: Volume, name: str) -> Table:
    """The table of a torch module that takes one image (1, D, H, W).

    Parameters that several modules share are counted once, where they are met first. A module that is run more than
    once has one row, its multiply-adds summed.

    Raises:
        ArchitectureError: it cannot be run on this input.
    """
    module = module.eval()
    seen: dict[str, _Seen] = {}
    with _recorded(module, seen), torch.inference_mode():
        try:
            module(torch.zeros(1, input.depth, input.height, input.width))
        except (RuntimeError, ValueError, AssertionError, IndexError, TypeError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise ArchitectureError(f"{name} cannot be run on an input of {input}\n  {reason}", source=name) from error
    first = TableRow("INPUT", "INPUT", "INPUT", 0, "", input, input, 0, 0)
    return Table(name, "", (first, *_rows(module, seen, input)))


@dataclass
class _Seen:
    """What one module was given and gave."""

    given: Volume
    volume: Volume
    multiply_adds: int = 0


@dataclass
class _Counter:
    counted: set[int] = field(default_factory=set)

    def own(self, module: nn.Module) -> int:
        """The parameters of the module itself that were not counted before."""
        new = {id(p): p.numel() for p in module.parameters(recurse=False) if id(p) not in self.counted}
        self.counted.update(new)
        return sum(new.values())


def _rows(module: nn.Module, seen: dict[str, _Seen], input: Volume) -> Iterator[TableRow]:
    counter = _Counter()
    for path, child in module.named_modules():
        parameters = counter.own(child)
        if not path or path not in seen:
            if parameters:  # held by a module that was not called itself, such as a position embedding of the network
                place = seen.get(path) or seen.get("") or _Seen(input, input)
                shown, multiply_adds = path or "(network)", place.multiply_adds if path in seen else 0
                yield TableRow(
                    shown, shown, type(child).__name__, 0, "", place.given, place.volume, parameters, multiply_adds
                )
            continue
        if isinstance(child, nn.Identity):
            continue
        is_block = any(True for _ in child.children())
        yield TableRow(
            path,
            path.rpartition(".")[2],
            type(child).__name__,
            path.count("."),
            type(child).__name__ if is_block else _words(child),
            seen[path].given,
            seen[path].volume,
            parameters,
            seen[path].multiply_adds,
            is_block=is_block,
        )


def _words(module: nn.Module) -> str:
    extra = module.extra_repr()
    return f"{type(module).__name__}({extra})" if len(extra) <= 60 else type(module).__name__


@contextmanager
def _recorded(module: nn.Module, seen: dict[str, _Seen]) -> Iterator[None]:
    def hook(path: str) -> Any:
        def record(child: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            given, made = _first_tensor(args), _first_tensor(output)
            if given is None or made is None:
                return
            entry = seen.setdefault(path, _Seen(_volume(given), _volume(made)))
            entry.volume = _volume(made)
            entry.multiply_adds += _multiply_adds(child, given, made)

        return record

    handles = [child.register_forward_hook(hook(path)) for path, child in module.named_modules(remove_duplicate=True)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _first_tensor(value: Any) -> Tensor | None:
    if isinstance(value, Tensor):
        return value if value.ndim >= 2 else None
    values = value.values() if isinstance(value, dict) else value if isinstance(value, (tuple, list)) else ()
    return next((t for v in values if (t := _first_tensor(v)) is not None), None)


def _volume(tensor: Tensor) -> Volume:
    """(1, D, H, W) is a volume, (1, K) a vector, (1, L, K) a row of L tokens."""
    shape = tuple(tensor.shape[1:])
    if len(shape) == 3:
        return Volume(shape[2], shape[1], shape[0])
    if len(shape) == 2:
        return Volume(1, shape[0], shape[1])
    return Volume(1, 1, max(tensor[0].numel(), 1))


def _multiply_adds(module: nn.Module, given: Tensor, made: Tensor) -> int:
    weight = getattr(module, "weight", None)
    if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Conv3d)) and isinstance(weight, Tensor):
        return weight[0].numel() * made[0].numel()
    if isinstance(module, nn.Linear) and isinstance(weight, Tensor):
        return module.in_features * made[0].numel()
    return 0


def _timm(model: str) -> tuple[nn.Module, Volume]:
    module = timm_module(model)
    depth, height, width = module.default_cfg["input_size"]  # type: ignore[index]
    return module, Volume(width, height, depth)


def check_timm_name(model: str) -> None:
    """Raise UsageError where timm has no network of that name."""
    import timm

    if not timm.is_model(model) or "/" in model or ":" in model:
        raise UsageError(no_such("timm", model, timm.list_models()))


def timm_module(model: str, **settings: Any) -> nn.Module:
    """A network of timm with random weights. Raises UsageError where timm has none of that name."""
    import timm

    check_timm_name(model)
    try:
        module: nn.Module = timm.create_model(model, pretrained=False, **settings)
    except (RuntimeError, ValueError) as error:  # the part behind a dot is no tag of the network's
        raise UsageError(f"timm cannot make {model}: {error}") from error
    return module


def _torchvision(model: str) -> tuple[nn.Module, Volume]:
    import torchvision

    known = torchvision.models.list_models(module=torchvision.models)
    if model not in known:
        raise UsageError(no_such("torchvision", model, known))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # about random weights, which nobody asks for here
        module: nn.Module = torchvision.models.get_model(model, weights=None)
    return module, DEFAULT_INPUT


def no_such(library: str, model: str, known: list[str]) -> str:
    """The message that a library has no network of a name, with the nearest one."""
    near = nearest_word(model, known)
    listing = f"python -c 'import {library}; print({library}{'.models' * (library == 'torchvision')}.list_models())'"
    hint = f"did you mean {library}:{near}?" if near else f"to see the names of its {len(known):,} networks: {listing}"
    return f"{library} has no network called {model!r}\n  {hint}"
