from __future__ import annotations

import io
from pathlib import Path

import pytest

from mirada.arch import Architecture, Volume, parse, zoo
from mirada.backbone import BUILTIN, Backbone, find, read_architecture
from mirada.backbone.catalog import MAX_LISTING_BYTES
from mirada.errors import ArchitectureError, MiradaError, UsageError

LISTING = "name: Mine\n[8x8x1] INPUT\n[4x4x1] MAX POOL: 2x2\n[5] FC: 5 neurons\n"
KNOWN = (
    "efficientnet-lite0, alexnet, googlenet, lenet5, lenet5-1998, resnet18, resnet34, resnet50, senet, vgg11, vgg13, "
    "vgg16, vgg19, zfnet"
)


@pytest.mark.parametrize(
    ("name", "timm_name", "builtin"),
    [
        ("efficientnet-lite0", "tf_efficientnet_lite0", True),
        ("timm:resnet18", "resnet18", False),
        ("timm:tf_efficientnet_lite0", "tf_efficientnet_lite0", False),
        ("timm:resnet18.a1_in1k", "resnet18.a1_in1k", False),
    ],
)
def test_names_of_backbones(name: str, timm_name: str, builtin: bool) -> None:
    backbone = find(name)
    assert backbone == Backbone(name, timm_name)
    assert backbone.is_builtin is builtin


def test_the_builtin_name() -> None:
    assert find(BUILTIN) == Backbone("efficientnet-lite0", "tf_efficientnet_lite0")


@pytest.mark.parametrize("name", zoo.names())
def test_names_of_the_zoo(name: str) -> None:
    assert find(name) == parse(zoo.text(name))


@pytest.mark.parametrize("prefix", ["", "\ufeff"])
def test_a_file(tmp_path: Path, prefix: str) -> None:
    path = tmp_path / "mine.net"
    path.write_text(prefix + LISTING, encoding="utf-8")
    for given in (path, str(path)):
        network = find(given)
        assert isinstance(network, Architecture)
        assert network == parse(LISTING)
        assert network.file == "mine.net"


def test_a_file_of_the_zoos_name_does_not_hide_the_zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("lenet5").write_text(LISTING)
    assert read_architecture("lenet5").name == "LeNet-5"
    assert read_architecture("./lenet5").name == "Mine"


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(LISTING))
    network = find("-")
    assert network == parse(LISTING)
    assert isinstance(network, Architecture)
    assert network.file == "standard input"


@pytest.mark.parametrize("source", ["lenet5", "FILE", "-"])
def test_another_input_drops_the_claims(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "FILE").write_text(LISTING)
    monkeypatch.setattr("sys.stdin", io.StringIO(LISTING))
    monkeypatch.chdir(tmp_path)
    network = read_architecture(source, input=Volume(64, 64, 1))
    assert network.input == Volume(64, 64, 1)
    assert [layer.claim for layer in network.layers] == [None] * len(network.layers)
    # 2x2 pooling of 64x64 gives 32x32; LeNet-5 gives (64 - 4)/2 = 30, then (30 - 4)/2 = 13
    before_vector = [row.volume for row in network.rows if not row.volume.is_vector][-1]
    assert before_vector == (Volume(13, 13, 16) if source == "lenet5" else Volume(32, 32, 1))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "lenet",
            "lenet is no network that mirada knows\n  did you mean lenet5?\n  or give a listing FILE.net, or timm:NAME",
        ),
        (
            "efficientnet-lite",
            "efficientnet-lite is no network that mirada knows\n  did you mean efficientnet-lite0?\n"
            "  or give a listing FILE.net, or timm:NAME",
        ),
        (
            "qqqqqq",
            f"qqqqqq is no network that mirada knows\n  known: {KNOWN}\n  or give a listing FILE.net, or timm:NAME",
        ),
        ("mine.net", "there is no file mine.net"),
        ("no/such/folder", "there is no file no/such/folder"),
    ],
)
def test_unknown_names(name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        find(name)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x89PNG\r\n\x1a\n\xff\xfe", "bad.net is not text: a listing is plain text in UTF-8"),
        (b"#" * (MAX_LISTING_BYTES + 1), "bad.net is larger than 1,000,000 bytes: not a listing"),
    ],
)
def test_files_that_are_no_listings(
    content: bytes, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.net").write_bytes(content)
    with pytest.raises(ArchitectureError) as caught:
        find("bad.net")
    assert str(caught.value) == message
    assert caught.value.source == "bad.net"


def test_a_file_that_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.net").write_text(LISTING)

    def refuse(self: Path, **_: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(ArchitectureError) as caught:
        find("mine.net")
    assert str(caught.value) == "mine.net cannot be read (Permission denied)"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe\x00", "standard input is not text: a listing is plain text in UTF-8"),
        (
            LISTING.encode() + b"#" * MAX_LISTING_BYTES,
            "standard input is larger than 1,000,000 bytes: not a listing",
        ),
    ],
)
def test_standard_input_that_is_no_listing(content: bytes, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))
    with pytest.raises(ArchitectureError) as caught:
        find("-")
    assert str(caught.value) == message


def test_an_error_in_a_listing_names_the_file_and_the_line(tmp_path: Path) -> None:
    (tmp_path / "mine.net").write_text("[8x8x1] INPUT\nCONF: 4 3x3\n")
    with pytest.raises(MiradaError, match=r"mine\.net, line 2") as caught:
        find(tmp_path / "mine.net")
    assert isinstance(caught.value, ArchitectureError)
    assert caught.value.line == 2
