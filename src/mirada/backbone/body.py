"""The pretrained part of a network, apart from its new head: what decides its numbers, its weights, its stages.

For the built-in network everything but `module` and `stages` is had without importing torch: its compiled form may be
in the cache already.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from mirada.backbone.catalog import Backbone
from mirada.backbone.weights import read_arrays, tensors_hash
from mirada.errors import ModelError
from mirada.files import write_whole
from mirada.image import Preparation
from mirada.machine import cache_folder

if TYPE_CHECKING:
    from torch import nn

    from mirada.backbone.stages import Stage

__all__ = ["Body", "tapped"]

LITE0_FEATURES: Final = 1280
LITE0_TENSORS: Final = "041ffb5410590e14697c62f258704e9731ed370aba951362acf5b128b64138b5"
"""`tensors_hash` of the built-in weights, without their classifier, by timm's names."""

LITE0_PREPARATION: Final = Preparation((224, 224), "crop", 1 / 0.875, mean=(127 / 255,) * 3, std=(128 / 255,) * 3)
"""As the built-in weights were evaluated on ImageNet."""


class Body:
    """A backbone with its weights: prepared pixels in, features out.

    Args:
        backbone: which network.
        weights: a safetensors file to take instead of the published weights.
        state: its tensors by name, where they are at hand.
    """

    def __init__(
        self,
        backbone: Backbone,
        weights: Path | None = None,
        state: dict[str, NDArray[np.generic]] | None = None,
    ) -> None:
        self.backbone = backbone
        self._weights = weights
        self._state = state

    @property
    def _is_builtin(self) -> bool:
        return self.backbone.is_builtin and self._weights is None and self._state is None

    @property
    def name(self) -> str:
        """For people: the network, and, where that is known, that its weights are not the published ones."""
        is_other = self.backbone.is_builtin and self.identity["tensors"] != LITE0_TENSORS
        return f"{self.backbone.name}, retrained" if is_other else self.backbone.name

    @cached_property
    def preparation(self) -> Preparation:
        """As the weights were evaluated by their makers."""
        if self.backbone.is_builtin:
            return LITE0_PREPARATION
        from mirada.backbone.network import preparation_of
        from mirada.backbone.trace import check_timm_name

        check_timm_name(self.backbone.timm_name)
        return preparation_of(self.backbone)

    @cached_property
    def features(self) -> int:
        """How many numbers it gives for an image."""
        if self.backbone.is_builtin:
            return LITE0_FEATURES
        from mirada.backbone.network import build_backbone

        return build_backbone(self.backbone)[1]

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Plain values that decide what it computes: the network and a hash of its tensors."""
        tensors = LITE0_TENSORS if self._is_builtin else tensors_hash(self.state)
        return {"backbone": self.backbone.name, "tensors": tensors}

    @cached_property
    def state(self) -> dict[str, NDArray[np.generic]]:
        """Its tensors by timm's names."""
        if self._state is not None:
            return self._state
        if not self._is_builtin:
            return self._module_state()
        kept = cache_folder("weights") / f"{LITE0_TENSORS[:32]}.safetensors"
        try:
            state = read_arrays(kept)
            if tensors_hash(state) == LITE0_TENSORS:
                return state
        except ModelError:  # not kept yet
            pass
        state = self._module_state()
        from safetensors.numpy import save

        write_whole(save(state), kept)
        return state

    def _module_state(self) -> dict[str, NDArray[np.generic]]:
        from mirada.backbone.network import arrays_of

        return arrays_of(self.module)

    @cached_property
    def module(self) -> nn.Module:
        """The torch module, (N, 3, h, w) float32 -> (N, features), in evaluation mode."""
        from mirada.backbone.network import build_backbone, load_arrays, pretrained_backbone

        if self._state is None:
            return pretrained_backbone(self.backbone, self._weights)[0].eval()
        module, _ = build_backbone(self.backbone)
        load_arrays(module, self._state, self.backbone.name)
        return module.eval()

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """Its stages, from the pixels to the features; see `mirada.backbone.stages`.

        Raises:
            ArchitectureError: it cannot be cut.
        """
        from mirada.backbone.stages import cut

        return cut(self.module, self._pixels_shape)

    def input_shape(self, place: int) -> tuple[int, ...]:
        """What the stage number `place` is given for one image: (D, H, W) where it is activation maps."""
        return self.stages[place - 1].output_shape if place else self._pixels_shape

    @property
    def _pixels_shape(self) -> tuple[int, int, int]:
        width, height = self.preparation.size_wh
        return self.preparation.channels, height, width


def tapped(stages: Sequence[Stage], places: Sequence[int]) -> nn.Module:
    """A module that gives a tuple: the input of each of these stages (0 is the first), and at last the features."""
    from torch import Tensor, nn

    class Tapped(nn.Module):
        """Runs the stages, and gives what flows between some of them."""

        def __init__(self) -> None:
            super().__init__()
            self.stages = nn.ModuleList(stage.module for stage in stages)

        def forward(self, x: Tensor) -> tuple[Tensor, ...]:
            taken = []
            for i, stage in enumerate(self.stages):
                if i in places:
                    taken.append(x.clone())  # the stage may work in place
                x = stage(x)
            return (*taken, x)

    return Tapped()
