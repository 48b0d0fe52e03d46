"""The number format that networks are trained in on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirada.machine import machine

if TYPE_CHECKING:
    import torch

__all__ = ["training_dtype"]


def training_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the processor multiplies it natively, else float32: emulated, it is far slower.

    Decided by the processor's abilities, not by a clock, so that the same machine trains the same weights.
    """
    import torch

    if device.type != "cpu":
        return torch.bfloat16 if device.type == "cuda" and torch.cuda.is_bf16_supported() else torch.float32
    abilities = str(machine()["abilities"]).split()
    return torch.bfloat16 if {"avx512_bf16", "amx_bf16", "bf16"} & set(abilities) else torch.float32
