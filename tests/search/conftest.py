"""An index of small pictures, in a folder and in object storage."""

from __future__ import annotations

import logging
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from mirada.search import Index, index

OLD = 1_700_000_000


@pytest.fixture(scope="session")
def textures_index(textures: Path, tmp_path_factory: pytest.TempPathFactory) -> Index:
    """That of three class folders of ten pictures each. Read only."""
    return index(textures, tmp_path_factory.mktemp("index") / "textures-index")


@pytest.fixture
def photos(textures: Path, tmp_path: Path) -> Path:
    """The same pictures, to be changed, made long enough ago for their times to be trusted."""
    folder = tmp_path / "photos"
    shutil.copytree(textures, folder)
    for path in folder.rglob("*.png"):
        os.utime(path, (OLD, OLD))
    return folder


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


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an index may be made, of either kind."""
    if request.param == "folder":
        return str(tmp_path / "index")
    return f"{request.getfixturevalue('object_storage')}/{uuid.uuid4().hex}/index"
