"""What several rooms share: small sets of pictures, and one model of each kind, trained once a run."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from mirada.model import Model

# A busy machine is no failure: no test may depend on how long an example takes.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")

Snapshot = Callable[[Path], dict[str, tuple[str, int]]]
Paint = Callable[[str, int], NDArray[np.uint8]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that take long come first."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of the tests' own: networks are tried once a run, and the person's cache is left alone."""
    folder = tmp_path_factory.mktemp("cache")
    before = os.environ.get("MIRADA_CACHE")
    os.environ["MIRADA_CACHE"] = str(folder)
    yield folder
    if before is None:
        del os.environ["MIRADA_CACHE"]
    else:
        os.environ["MIRADA_CACHE"] = before


@pytest.fixture
def one_thread() -> Iterator[None]:
    """On a few numbers, threads of torch cost more than they bring."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


TEXTURES = ("checks", "dots", "stripes")


def _paint(kind: str, number: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng([number, *kind.encode()])
    y, x = np.mgrid[:80, :96]
    step = int(rng.integers(6, 14))
    if kind == "stripes":
        figure = y // step % 2
    elif kind == "checks":
        figure = (y // step + x // step) % 2
    else:
        figure = (y % (2 * step) - step) ** 2 + (x % (2 * step) - step) ** 2 < (step // 2) ** 2
    light, dark = rng.integers(140, 256, 3), rng.integers(0, 110, 3)
    picture = np.where(figure[:, :, None], light, dark) + rng.normal(0, 6, (80, 96, 3))
    return picture.clip(0, 255).astype(np.uint8)  # (80, 96, 3)


@pytest.fixture(scope="session")
def paint() -> Paint:
    """A picture (80, 96, 3) of "checks", "dots" or "stripes"; each number gives another one."""
    return _paint


@pytest.fixture(scope="session")
def make_textures() -> Callable[[Path, int], Path]:
    """Make class folders of `TEXTURES`, so many pictures each."""

    def make(root: Path, count: int) -> Path:
        for kind in TEXTURES:
            (root / kind).mkdir(parents=True)
            for number in range(count):
                Image.fromarray(_paint(kind, number)).save(root / kind / f"{number:02}.png")
        return root

    return make


@pytest.fixture(scope="session")
def textures(tmp_path_factory: pytest.TempPathFactory, make_textures: Callable[[Path, int], Path]) -> Path:
    """Three class folders of ten pictures each. Read only: copy it to change it."""
    return make_textures(tmp_path_factory.mktemp("textures") / "textures", 10)


@pytest.fixture(scope="session")
def transfer_model(textures: Path) -> Model:
    """The built-in network with a new last layer for `textures`."""
    from mirada.learn import train  # imports torch: only those who ask for a model wait

    return train(textures, retrain="head")


@pytest.fixture(scope="session")
def digits_model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """LeNet-5 trained from scratch on digits for three epochs, and saved."""
    from mirada.learn import train

    return train("digits", "lenet5", epochs=3, out=tmp_path_factory.mktemp("digits") / "digits-model")


@pytest.fixture(scope="session")
def object_storage() -> Iterator[str]:
    """The address of a bucket of an S3 emulator on loopback."""
    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    said = {
        "AWS_ENDPOINT": f"http://{host}:{port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "emulated",
        "AWS_SECRET_ACCESS_KEY": "emulated",
        "AWS_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as environment:
        for name, value in said.items():
            environment.setenv(name, value)
        client = boto3.client("s3", endpoint_url=said["AWS_ENDPOINT"], region_name=said["AWS_REGION"])
        client.create_bucket(Bucket="mirada")
        yield "s3://mirada"
    server.stop()


@pytest.fixture(scope="session")
def snapshot() -> Snapshot:
    """The hash of the content and the time of the last change of everything below a folder."""

    def take(folder: Path) -> dict[str, tuple[str, int]]:
        return {
            path.relative_to(folder).as_posix(): (
                hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder",
                path.stat().st_mtime_ns,
            )
            for path in (folder, *folder.rglob("*"))
        }

    return take
