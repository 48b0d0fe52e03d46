from __future__ import annotations

import pytest

from mirada.errors import UsageError
from mirada.learn.recipes import Recipe, recipe_for


@pytest.mark.parametrize(
    ("images", "epochs", "batch_size"),
    [
        # about 2,500 steps: epochs = round(2500 / ceil(images / batch)), from 10 to 100
        (1, 100, 32),
        (800, 100, 32),  # 25 steps an epoch
        (1_168, 68, 32),  # 37 steps: 67.57
        (4_999, 16, 32),  # 157 steps: 15.92
        (5_000, 62, 128),  # 40 steps: 62.5, to the even number
        (60_000, 10, 128),  # 469 steps: 5.3
    ],
)
def test_about_2500_steps(images: int, epochs: int, batch_size: int) -> None:
    assert recipe_for(images) == Recipe(epochs, batch_size)


def test_the_numbers_that_stay() -> None:
    assert recipe_for(60_000).json() == {
        "epochs": 10,
        "batch_size": 128,
        "learning_rate": 2e-3,
        "weight_decay": 5e-2,
        "shift": 0.0625,
        "policy": None,
    }


def test_single_values_are_replaced() -> None:
    assert recipe_for(1_168, epochs=3) == Recipe(3, 32)
    assert recipe_for(1_168, batch_size=64) == Recipe(100, 64)  # 19 steps an epoch
    assert recipe_for(1_168, learning_rate=0.1) == Recipe(68, 32, learning_rate=0.1)
    assert recipe_for(1_168, epochs=1, batch_size=1, learning_rate=1e-9) == Recipe(1, 1, learning_rate=1e-9)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"epochs": -3}, "epochs must be at least 1, got -3"),
        ({"batch_size": 0}, "batch size must be at least 1, got 0"),
        ({"batch_size": -1}, "batch size must be at least 1, got -1"),
        ({"learning_rate": 0.0}, "the learning rate must be a number above 0, got 0.0"),
        ({"learning_rate": -0.1}, "the learning rate must be a number above 0, got -0.1"),
        ({"learning_rate": float("inf")}, "the learning rate must be a number above 0, got inf"),
        ({"learning_rate": float("nan")}, "the learning rate must be a number above 0, got nan"),
    ],
)
def test_refusals(values: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        recipe_for(100, **values)  # type: ignore[arg-type]
    assert str(caught.value) == message
