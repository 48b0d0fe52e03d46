"""A recipe: every number that training needs, as data.

Does not know: torch, pictures, which network is trained.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal, get_args

import yaml

from mirada.errors import UsageError
from mirada.image.policy import Policy
from mirada.image.prepare import is_number, is_whole
from mirada.words import meant

__all__ = ["RECIPES", "Recipe", "find_recipe", "plain_values", "read_recipe"]

Optimizer = Literal["adamw", "sgd"]
Schedule = Literal["cosine", "plateau", "steps", "constant"]
Loss = Literal["cross entropy", "squared"]
Start = Literal["he", "glorot", "normal", "lecun"]
Precision = Literal["auto", "float32", "bfloat16"]
RECIPES: Final = ("modern", "lenet5", "lenet5-1998", "alexnet", "vgg")
"""Those that are built in."""
STEPS: Final = 2_500
"""Of a training whose epochs nobody gave."""


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        name: how to speak of it.
        network: what it trains where nothing else is given: a network of the zoo; None: lenet5.
        epochs: how often every training image is seen; None: so that there are about 2,500 steps, 10 to 100.
        batch_size: images a step; None: 128 where there are 5,000 images or more, else 32.
        optimizer: "adamw" (Loshchilov and Hutter, "Decoupled weight decay regularization", 2017), or "sgd", gradient
            descent with momentum, in the rule of AlexNet's paper (Krizhevsky et al. 2012, section 5):
            v <- momentum v - weight_decay rate w - rate gradient, w <- w + v.
        learning_rate: the largest.
        momentum: of "sgd"; of "adamw" the first beta.
        weight_decay: decoupled for "adamw", L2 for "sgd".
        decays_vectors: whether biases and the scales and shifts of normalisation decay too.
        schedule: of the rate. "cosine" rises linearly for the first tenth of the steps, then falls along half a cosine
            to zero (Loshchilov and Hutter, "SGDR", 2016, equation 5, without restarts). "plateau" divides by
            `divide_by` where the validation error has not fallen for `patience` epochs, up to `divisions` times, then
            training ends. "steps" multiplies it by the factors of `factors` from their epochs on. Or "constant".
        divide_by, patience, divisions: of "plateau".
        factors: of "steps": pairs of the first epoch, from 1, and what the learning rate is multiplied with.
        loss: "cross entropy", or "squared": half the squared distance of the scores to 1 for the true class and -1 for
            the others, summed over the classes (LeCun et al. 1998, equation 8, without its radial basis functions).
        label_smoothing: share of the truth that is given to all classes alike; of the cross entropy only.
        clip: the largest norm of the gradient of a step, which is scaled down to it; None for any.
        average: each step, the weights that are judged and kept move this little less than the whole way to those that
            are trained (an exponential moving average: 0.999 is about the last 1,000 steps); 0 for none.
        dropout: the share that is left out behind each fully connected layer but the last, where the listing has no
            dropout of its own.
        start: initial weights. "he" is the default of `mirada.arch.build`; "glorot" N(0, 2/(fan in + fan out));
            "normal" N(0, spread^2); "lecun" uniform within 2.4/fan in either way (LeCun et al. 1998, section II.B).
        spread: of "normal".
        ones: the layers whose biases start from 1; other biases start from 0.
        held: side of the pictures that views are cut from, in sides of the input of the network.
        crops: how many crops of a picture are averaged when it is judged: 1, or 10, the corners and the middle and
            their mirror images, of the held picture (Krizhevsky et al. 2012, section 4.1).
        shift: each image is moved at random by up to this share of its width and height, the border filled with its
            edge pixels: a translation that leaves every label true. Only where there is no policy.
        policy: what random views change, see `mirada.image.policy`; None for the shift alone.
        precision: "float32", "bfloat16" for the arithmetic of the layers, or "auto": the second where the processor
            multiplies it natively.
        ensemble: how many networks are trained, each from a seed of its own, and averaged.
    """

    name: str = "own"
    network: str | None = None
    epochs: int | None = None
    batch_size: int | None = None
    optimizer: Optimizer = "adamw"
    learning_rate: float = 2e-3
    momentum: float = 0.9
    weight_decay: float = 5e-2
    decays_vectors: bool = False
    schedule: Schedule = "cosine"
    divide_by: float = 10.0
    patience: int = 5
    divisions: int = 3
    factors: tuple[tuple[int, float], ...] = ()
    loss: Loss = "cross entropy"
    label_smoothing: float = 0.0
    clip: float | None = None
    average: float = 0.0
    dropout: float = 0.0
    start: Start = "he"
    spread: float = 0.01
    ones: tuple[str, ...] = ()
    held: float = 1.0
    crops: int = 1
    shift: float = 1 / 16
    policy: Policy | None = field(default=None)
    precision: Precision = "auto"
    ensemble: int = 1

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise _wrong(name, f"one of {', '.join(choices)}", getattr(self, name))
        for name, (least, most) in _WHOLE.items():
            value = getattr(self, name)
            if value is None and name in ("epochs", "batch_size"):
                continue
            if not is_whole(value) or not least <= value <= most:
                raise _wrong(name, f"a whole number from {least} to {most:,}", value)
        for name, (low, high) in _NUMBERS.items():
            value = getattr(self, name)
            if value is None and name == "clip":
                continue
            is_above = name in ("learning_rate", "clip")
            if not is_number(value) or not low <= value <= high or (is_above and value == low):
                span = f"above {low:g} and up to {high:g}" if is_above else f"from {low:g} to {high:g}"
                raise _wrong(name, f"a number {span}", value)
        if self.crops not in (1, 10):
            raise _wrong("crops", "1 or 10", self.crops)
        if not isinstance(self.decays_vectors, bool):
            raise _wrong("decays_vectors", "yes or no", self.decays_vectors)
        if not (isinstance(self.ones, tuple) and all(isinstance(name, str) for name in self.ones)):
            raise _wrong("ones", "a list of names of layers", self.ones)
        if not (isinstance(self.factors, tuple) and all(_is_factor(pair) for pair in self.factors)):
            raise _wrong("factors", "pairs of an epoch from 1 and a factor above 0", self.factors)
        if (self.schedule == "steps") != bool(self.factors):
            raise _wrong("factors", "some for the schedule 'steps', and none for others", self.factors)
        if not isinstance(self.name, str) or not (self.network is None or isinstance(self.network, str)):
            raise _wrong("name" if not isinstance(self.name, str) else "network", "a name", self.network)
        if self.loss == "squared" and self.label_smoothing:
            raise _wrong("label_smoothing", "0 with a squared loss", self.label_smoothing)

    def for_images(self, images: int) -> Recipe:
        """The recipe for so many training images, with epochs and batch size. A small set is seen more often."""
        batch_size = (128 if images >= 5_000 else 32) if self.batch_size is None else self.batch_size
        steps = max(1, -(-images // batch_size))
        epochs = min(max(round(STEPS / steps), 10), 100) if self.epochs is None else self.epochs
        return replace(self, epochs=epochs, batch_size=batch_size)

    def with_values(self, **values: Any) -> Recipe:
        """The recipe with other values, plain ones, in the place of those that are not None.

        Raises:
            UsageError: a field is unknown or out of range.
        """
        return self.from_values(self.json() | {name: value for name, value in values.items() if value is not None})

    def json(self) -> dict[str, Any]:
        """As plain values."""
        content = asdict(self) | {"policy": None if self.policy is None else self.policy.to_json()}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in content.items()}

    @classmethod
    def from_values(cls, values: object) -> Recipe:
        """A recipe from plain values; what is left out has its default.

        Raises:
            UsageError: a field is unknown or out of range.
        """
        if not isinstance(values, Mapping):
            raise UsageError(f"a recipe has fields, such as 'epochs: 10', found {values!r}")
        known = {each.name for each in fields(cls)}
        for name in values:
            if name not in known:
                raise UsageError(f"a recipe has no '{name}'.{meant(str(name), known)}")
        given: dict[str, Any] = dict(values)
        if isinstance(given.get("ones"), list):
            given["ones"] = tuple(given["ones"])
        if isinstance(given.get("factors"), list):
            given["factors"] = tuple(tuple(pair) if isinstance(pair, list) else pair for pair in given["factors"])
        if isinstance(given.get("policy"), str):
            from mirada.image.policy import find_policy

            given["policy"] = find_policy(given["policy"])
        elif isinstance(given.get("policy"), Mapping):
            given["policy"] = Policy.from_json(given["policy"])
        elif given.get("policy") is not None:
            raise _wrong("policy", "the name of a policy, or its fields", given["policy"])
        return cls(**given)


def find_recipe(name: str) -> Recipe:
    """A recipe by its name, or from a YAML file.

    Raises:
        UsageError: there is none, or it cannot be understood.
    """
    if name in RECIPES:
        return read_recipe(resources.files(__package__).joinpath(f"{name}.yaml").read_text(encoding="utf-8"), name)
    path = Path(name)
    if path.suffix not in (".yaml", ".yml", ".json"):
        there = f"there are {', '.join(RECIPES)}, or a file NAME.yaml"
        raise UsageError(f"there is no recipe '{name}': {there}.{meant(name, RECIPES)}")
    try:
        return read_recipe(path.read_text(encoding="utf-8"), name)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{name}: the recipe cannot be read ({getattr(error, 'strerror', None) or error})") from error


def read_recipe(text: str, source: str) -> Recipe:
    """A recipe from YAML.

    Raises:
        UsageError: it cannot be understood; the message begins with the source.
    """
    try:
        content = plain_values(text)
        return Recipe.from_values({"name": Path(source).stem, **content} if isinstance(content, Mapping) else content)
    except (yaml.YAMLError, RecursionError) as error:
        where = str(error).replace('in "<unicode string>", ', "")
        raise UsageError(f"{source}: the recipe is not YAML ({' '.join(where.split())})") from error
    except UsageError as error:
        raise UsageError(f"{source}: {error}") from error


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Plain values as in YAML 1.2, where 1e-3 is a number: in 1.1 it is a text, as it has no point."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:[0-9]+|[0-9]*\.[0-9]+|[0-9]+\.)[eE][-+]?[0-9]+$"),
    [*"-+.0123456789"],
)


def plain_values(text: str) -> Any:
    """What YAML says, in plain values: texts, numbers, truths, lists and mappings.

    Raises:
        yaml.YAMLError: it is none.

    >>> plain_values("{learning_rate: 1e-3, name: 1e}")
    {'learning_rate': 0.001, 'name': '1e'}
    """
    return yaml.load(text, _Loader)


def _wrong(name: str, expected: str, found: object) -> UsageError:
    return UsageError(f"{name.replace('_', ' ')} must be {expected}, got {found}")


def _is_factor(pair: object) -> bool:
    return (
        isinstance(pair, tuple)
        and len(pair) == 2
        and is_whole(pair[0])
        and pair[0] >= 1
        and is_number(pair[1])
        and pair[1] > 0
    )


_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "optimizer": get_args(Optimizer),
    "schedule": get_args(Schedule),
    "loss": get_args(Loss),
    "start": get_args(Start),
    "precision": get_args(Precision),
}
_WHOLE: Final = {
    "epochs": (1, 1_000_000),
    "batch_size": (1, 1_000_000),
    "patience": (1, 1_000_000),
    "divisions": (0, 100),
    "ensemble": (1, 100),
}
_NUMBERS: Final = {
    "learning_rate": (0.0, 1e6),
    "momentum": (0.0, 0.9999),
    "weight_decay": (0.0, 1e3),
    "divide_by": (1.0, 1e6),
    "label_smoothing": (0.0, 0.99),
    "clip": (0.0, 1e12),
    "average": (0.0, 0.99999),
    "dropout": (0.0, 0.95),
    "spread": (0.0, 10.0),
    "held": (1.0, 4.0),
    "shift": (0.0, 0.5),
}
