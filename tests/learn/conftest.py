"""What the tests of transfer learning share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest


@pytest.fixture(scope="module")
def a_little_network() -> Iterator[None]:
    """The built-in network sees 96 x 96 pixels, and torch runs it: a fifth of the work, and no engine is tried.

    Not to be used with a model that the whole run shares, which would be made of it.
    """
    from mirada.backbone.body import LITE0_PREPARATION
    from mirada.engine.torch_engine import TorchEngine

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("mirada.backbone.body.LITE0_PREPARATION", replace(LITE0_PREPARATION, size_wh=(96, 96)))
        patched.setattr("mirada.learn.rows.open_engine", TorchEngine)
        patched.setattr("mirada.model.model.open_engine", TorchEngine)
        yield
