"""What counts as better."""

from __future__ import annotations

import numpy as np
import pytest

from mirada.learn.standing import is_clear, is_worth_a_stage


@pytest.mark.parametrize(
    ("before", "loss", "is_worth"),
    [
        (0.70, 0.64, True),
        (0.70, 0.66, False),
        (0.70, 0.75, False),
        (0.24, 0.20, False),
        (0.24, 0.18, True),
        (0.10, 0.07, True),  # little is left: three tenths of it are much
        (0.10, 0.08, False),
        (0.0, 0.0, False),
    ],
)
def test_one_stage_more_must_save_enough(before: float, loss: float, is_worth: bool) -> None:
    assert is_worth_a_stage(before, loss) is is_worth


def test_a_gain_is_clear_above_its_standard_error() -> None:
    """Deviations of 0.1 over 100 images: a standard error of 0.01."""
    deviations = np.tile([-0.1, 0.1], 50)
    assert is_clear(deviations + 0.011)
    assert not is_clear(deviations + 0.009)
    assert not is_clear(deviations - 0.011)
