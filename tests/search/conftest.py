"""An index of small pictures, in a folder and in object storage."""

from __future__ import annotations

import os
import shutil
import uuid
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


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an index may be made, of either kind."""
    if request.param == "folder":
        return str(tmp_path / "index")
    return f"{request.getfixturevalue('object_storage')}/{uuid.uuid4().hex}/index"
