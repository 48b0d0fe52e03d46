"""What the tests of this room share: the networks of the zoo, read once, and one thread for tiny convolutions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import pytest
import torch

from mirada.arch import Architecture, parse, zoo


@pytest.fixture(scope="session")
def network_of_the_zoo() -> Callable[[str], Architecture]:
    """The architecture of a name of the zoo."""
    return cache(lambda name: parse(zoo.text(name), f"{name}.net"))


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Layers of a few numbers: threads that wait for each other take longer than the work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
