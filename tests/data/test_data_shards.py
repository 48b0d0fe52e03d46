"""Shards: tar files of images, on a disk and in object storage."""

from __future__ import annotations

import io
import tarfile
import uuid
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mirada.data import Dataset, Sample, convert, read
from mirada.data.member import Member
from mirada.errors import DataError, ImageError
from mirada.inspection import check


def picture(number: int) -> bytes:
    """The bytes of a PNG."""
    levels = np.random.default_rng(number).integers(256, size=(12, 16, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(levels).save(file, "PNG")
    return file.getvalue()


def pack(path: Path, files: dict[str, bytes], mode: str = "w:") -> Path:
    """A tar file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as shard:  # type: ignore[call-overload]
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            shard.addfile(entry, io.BytesIO(data))
    return path


def upload(folder: Path, address: str) -> str:
    """The files of a folder, to an address in the emulated store."""
    from mirada.data.member import file_system

    system, base = file_system(address)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with system.open_output_stream(f"{base}/{path.relative_to(folder).as_posix()}") as stream:
                stream.write(path.read_bytes())
    return address


def said(dataset: Dataset) -> list[tuple[str, str, str | None, str]]:
    """What a data set holds: of each sample the key, the class, the part and the content."""
    return [(s.key, s.label.name if s.label else "", s.part, s.content_hash()) for s in dataset.samples]


def test_the_class_is_a_text_beside_the_image_or_the_folder_around_it(tmp_path: Path) -> None:
    files = {"a/1.png": picture(1), "b/2.png": picture(2), "3.seg.png": picture(3), "3.cls": b"b\n", "a/4.cls": b"c"}
    dataset = read(pack(tmp_path / "s.tar", files | {"a/4.png": picture(4), "a/note.json": b"{}", "._1.png": b""}))
    found = {sample.key: sample.label.name for sample in dataset.samples if sample.label}
    assert found == {"s.tar/a/1.png": "a", "s.tar/b/2.png": "b", "s.tar/3.seg.png": "b", "s.tar/a/4.png": "c"}
    assert dataset.class_names == ("a", "b", "c")
    assert dataset.kind == "shards"
    assert dataset.notes == ("Files in the shards that are not read: 1 .json.",)
    for number, sample in zip((1, 2, 3, 4), dataset.samples, strict=True):
        assert sample.data() == picture(number)
        assert (sample.image() == np.asarray(Image.open(io.BytesIO(picture(number))))).all()


def test_numbers_are_lines_of_classes_txt_and_parts_are_told_by_names(tmp_path: Path) -> None:
    for name, numbers in {"train/0.tar": (0, 1), "net-val-0.tar": (1,), "testing_0.tar": (0,)}.items():
        files = {f"{i}{suffix}": data for i in numbers for suffix, data in ((".png", picture(i)), (".cls", b"%d" % i))}
        pack(tmp_path / name, files)
    assert read(tmp_path).class_names == ("0", "1")
    (tmp_path / "classes.txt").write_text("pear\napple\n")
    assert [(s.label.name, s.part) for s in read(tmp_path).samples if s.label] == [
        ("pear", "train"),
        ("apple", "train"),
        ("apple", "val"),
        ("pear", "test"),
    ]
    (tmp_path / "classes.txt").write_text("pear\n")
    with pytest.raises(DataError, match=r"net-val-0.tar/1.png: it is of class 1, and classes.txt names 1, from 0"):
        read(tmp_path)


def test_convert_writes_shards_that_hold_the_same(
    textures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirada.data.shards.SHARD_BYTES", 40_000)  # several shards
    before = read(textures)
    assert convert(before, tmp_path / "shards", "shards") == ()
    after = read(tmp_path / "shards")
    names = sorted(path.name for path in (tmp_path / "shards").iterdir())
    assert names[:2] == ["shard-000000.tar", "shard-000001.tar"]
    assert after.class_names == before.class_names
    assert Counter(row[1:] for row in said(after)) == Counter(row[1:] for row in said(before))
    convert(after, tmp_path / "folders", "folders")
    assert Counter(row[1:] for row in said(read(tmp_path / "folders"))) == Counter(row[1:] for row in said(before))


def test_arrays_become_png_and_parts_become_shards(tmp_path: Path) -> None:
    convert("digits", tmp_path / "digits", "shards")
    digits, shards = read("digits"), read(tmp_path / "digits")
    assert len(shards) == len(digits)
    for drawn, kept in zip(digits.samples[:20], shards.samples[:20], strict=True):
        assert (drawn.image() == kept.image()).all()
        assert drawn.label == kept.label


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("s.tar", b"no archive" * 100, r"s.tar: this is no whole tar file without compression .* Pack it again with"),
        ("s.tar", b"", "this is no whole tar file"),
    ],
)
def test_a_damaged_shard_is_named(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=message):
        read(tmp_path)


def test_a_compressed_shard_is_named(tmp_path: Path) -> None:
    pack(tmp_path / "s.tar", {"a/1.png": picture(1)}, "w:gz")
    with pytest.raises(DataError, match="no whole tar file without compression"):
        read(tmp_path)


def test_a_shard_that_is_cut_short_is_named(tmp_path: Path) -> None:
    whole = pack(tmp_path / "s.tar", {"a/1.png": picture(1), "b/2.png": picture(2)}).read_bytes()
    (tmp_path / "s.tar").write_bytes(whole[: 512 + 200])
    with pytest.raises(DataError, match=r"s.tar: this is no whole tar file"):
        read(tmp_path)


def test_what_has_no_class_is_named(tmp_path: Path) -> None:
    pack(tmp_path / "s.tar", {"1.png": picture(1)})
    with pytest.raises(DataError, match=r"s.tar/1.png: nothing tells its class: put a text 1.cls into the shard"):
        read(tmp_path)
    pack(tmp_path / "s.tar", {"1.png": picture(1), "1.cls": b"two\nlines"})
    with pytest.raises(DataError, match=r"s.tar/1.cls: a class is expected, in one line"):
        read(tmp_path)
    pack(tmp_path / "s.tar", {"1.png": picture(1), "1.cls": b"\xff"})
    with pytest.raises(DataError, match=r"s.tar/1.cls: the class is not a text in UTF-8"):
        read(tmp_path)
    pack(tmp_path / "s.tar", {"1.txt": b""})
    with pytest.raises(DataError, match="there is no image in the 1 shards"):
        read(tmp_path)


def test_shards_of_parts_and_of_none_are_not_mixed(tmp_path: Path) -> None:
    pack(tmp_path / "train-0.tar", {"a/1.png": picture(1)})
    pack(tmp_path / "more.tar", {"a/2.png": picture(2)})
    with pytest.raises(DataError, match=r"the name of more.tar tells no part, and those of other shards do"):
        read(tmp_path)


def test_a_shard_that_changes_afterwards_is_an_error_of_the_image(tmp_path: Path) -> None:
    path = pack(tmp_path / "s.tar", {"a/1.png": picture(1), "b/2.png": picture(2)})
    first, second = read(tmp_path).samples
    path.write_bytes(path.read_bytes()[:1_000])
    with pytest.raises(ImageError, match=r"the archive ends after \d+ of its"):
        second.data()
    path.unlink()
    with pytest.raises(ImageError, match=r"the archive cannot be read \(No such file"):
        first.content_hash()
    with pytest.raises(ImageError, match="more than the limit"):
        Member("s.tar", 0, 2**40).data("big")
    with pytest.raises(ValueError, match="either a path, a member of an archive, or an array"):
        Sample("both", None, path=path, member=first.member)


def test_check_looks_into_shards(textures: Path, tmp_path: Path) -> None:
    convert(textures, tmp_path / "shards", "shards")
    kinds = {finding.kind for finding in check(tmp_path / "shards").findings}
    assert kinds == {finding.kind for finding in check(textures).findings}


def test_object_storage_holds_the_same_as_a_disk(textures: Path, tmp_path: Path, object_storage: str) -> None:
    convert(textures, tmp_path / "shards", "shards")
    address = upload(tmp_path / "shards", f"{object_storage}/{uuid.uuid4().hex}")
    near, far = read(tmp_path / "shards"), read(address)
    assert said(far) == said(near)
    assert far.where == address
    one = read(f"{address}/shard-000000.tar")
    assert said(one) == said(near)
    for data, message in (
        (f"{address}x", "cannot be read|there are no shards"),
        ("nowhere://bucket", "this address cannot be opened"),
        (f"{object_storage}-not-there/x", "cannot be read|there are no shards"),
    ):
        with pytest.raises(DataError, match=message):
            read(data)
