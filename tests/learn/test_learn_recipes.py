"""Recipes: what is built in, what a file may say, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mirada.arch import zoo
from mirada.errors import UsageError
from mirada.image.policy import find_policy
from mirada.learn.recipes import RECIPES, Recipe, find_recipe, plain_values, read_recipe


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
    assert Recipe().for_images(images) == Recipe(epochs=epochs, batch_size=batch_size)


def test_what_is_given_stays() -> None:
    assert Recipe(epochs=3).for_images(1_168) == Recipe(epochs=3, batch_size=32)
    assert Recipe(batch_size=64).for_images(1_168) == Recipe(epochs=100, batch_size=64)  # 19 steps an epoch


def test_those_that_are_built_in() -> None:
    """Each can be read, and trains a network that there is."""
    found = {name: find_recipe(name) for name in RECIPES}
    assert [recipe.name for recipe in found.values()] == list(RECIPES)
    assert {recipe.network for recipe in found.values()} <= {None, *zoo.names()}
    assert found["modern"] == Recipe(name="modern")


def test_alexnet_as_published() -> None:
    """Krizhevsky et al. 2012, sections 4 and 5."""
    recipe = find_recipe("alexnet")
    assert (recipe.batch_size, recipe.momentum, recipe.weight_decay, recipe.learning_rate) == (128, 0.9, 0.0005, 0.01)
    assert (recipe.optimizer, recipe.schedule, recipe.divide_by, recipe.divisions) == ("sgd", "plateau", 10, 3)
    assert (recipe.start, recipe.spread, recipe.decays_vectors) == ("normal", 0.01, True)
    assert recipe.ones == ("CONV2", "CONV4", "CONV5", "FC6", "FC7")
    assert (recipe.dropout, recipe.crops, round(227 * recipe.held)) == (0.5, 10, 256)
    assert recipe.policy == find_policy("alexnet")


def test_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("# Mine.\nepochs: 3\noptimizer: sgd\npolicy: light\nones: [CONV1]\nclip: 1\n")
    expected = Recipe("mine", epochs=3, optimizer="sgd", policy=find_policy("light"), ones=("CONV1",), clip=1)
    assert find_recipe(str(file)) == expected
    file.write_text("policy: {turn: 10}\nschedule: steps\nfactors: [[2, 0.1], [5, 0.01]]\n")
    recipe = find_recipe(str(file))
    assert recipe.policy is not None
    assert recipe.policy.turn == 10
    assert recipe.factors == ((2, 0.1), (5, 0.01))


@pytest.mark.parametrize("name", RECIPES)
def test_plain_values_give_the_recipe_back(name: str) -> None:
    recipe = find_recipe(name)
    assert Recipe.from_values(recipe.json()) == recipe
    assert recipe.with_values(epochs=None) == recipe
    assert recipe.with_values(epochs=7) == replace(recipe, epochs=7)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"epochs": 0}, "epochs must be a whole number from 1 to 1,000,000, got 0"),
    ({"epochs": 2.5}, "epochs must be a whole number from 1 to 1,000,000, got 2.5"),
    ({"batch_size": -1}, "batch size must be a whole number from 1 to 1,000,000, got -1"),
    ({"learning_rate": 0.0}, "learning rate must be a number above 0 and up to 1e+06, got 0.0"),
    ({"learning_rate": -0.1}, "learning rate must be a number above 0 and up to 1e+06, got -0.1"),
    ({"learning_rate": float("inf")}, "learning rate must be a number above 0 and up to 1e+06, got inf"),
    ({"learning_rate": float("nan")}, "learning rate must be a number above 0 and up to 1e+06, got nan"),
    ({"learning_rate": "fast"}, "learning rate must be a number above 0 and up to 1e+06, got fast"),
    ({"momentum": 1.0}, "momentum must be a number from 0 to 0.9999, got 1.0"),
    ({"optimizer": "adam"}, "optimizer must be one of adamw, sgd, got adam"),
    ({"optimizer": []}, "optimizer must be one of adamw, sgd, got []"),
    ({"clip": 0}, "clip must be a number above 0 and up to 1e+12, got 0"),
    ({"crops": 5}, "crops must be 1 or 10, got 5"),
    ({"ones": "CONV1"}, "ones must be a list of names of layers, got CONV1"),
    ({"schedule": "steps"}, "factors must be some for the schedule 'steps', and none for others, got ()"),
    ({"factors": [[0, 1]]}, "factors must be pairs of an epoch from 1 and a factor above 0, got ((0, 1),)"),
    ({"loss": "squared", "label_smoothing": 0.1}, "label smoothing must be 0 with a squared loss, got 0.1"),
    ({"decays_vectors": 1}, "decays vectors must be yes or no, got 1"),
    ({"policy": 3}, "policy must be the name of a policy, or its fields, got 3"),
    ({"policy": "lite"}, "there is no policy 'lite'"),
    ({"momentun": 1}, "a recipe has no 'momentun'. Did you mean 'momentum'?"),
    ({1: 1}, "a recipe has no '1'."),
    ({"network": 5}, "network must be a name, got 5"),
]


@pytest.mark.parametrize(("values", "message"), REFUSED)
def test_refusals(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        Recipe.from_values(values)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs: [", "mine.yaml: the recipe is not YAML"),
        ("- 1", "mine.yaml: a recipe has fields, such as 'epochs: 10', found [1]"),
        ("epochs: 0", "mine.yaml: epochs must be"),
        ("!!python/object/apply:os.system [ls]", "mine.yaml: the recipe is not YAML"),
    ],
)
def test_files_that_are_none(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_recipe(text, "mine.yaml")
    assert str(caught.value).startswith(message)
    assert "unicode string" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("5E-4", 5e-4),
        ("-2.e+1", -20.0),
        (".5e1", 5.0),
        ("0.1", 0.1),
        ("7", 7),
        ("1e", "1e"),
        ("e5", "e5"),
    ],
)
def test_numbers_are_written_as_people_write_them(text: str, value: object) -> None:
    """YAML 1.1 takes 1e-3 for a text."""
    found = plain_values(f"weight_decay: {text}")["weight_decay"]
    assert (found, type(found)) == (value, type(value))


def test_names_that_there_are_not(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no recipe 'alexnett'.*Did you mean 'alexnet'\?"):
        find_recipe("alexnett")
    with pytest.raises(UsageError, match=r"gone\.yaml: the recipe cannot be read \(No such file"):
        find_recipe(str(tmp_path / "gone.yaml"))
