"""Shards: tar files of images, on a disk and in object storage."""

from __future__ import annotations

import io
import os
import tarfile
import uuid
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mirada.data import Dataset, Sample, convert, load_all, read
from mirada.data.member import Member, _opened, _store, file_system
from mirada.data.output import encoded
from mirada.errors import DataError, ImageError
from mirada.image import Preparation, decode
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
    with pytest.raises(DataError, match=r"net-val-0.tar/1.png: it is of class 1, and classes.txt names 0 to 0"):
        read(tmp_path)


def test_convert_writes_shards_that_hold_the_same(
    textures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirada.data.shards.SHARD_BYTES", 40_000)  # several shards
    before = read(textures)
    assert convert(before, tmp_path / "shards", "shards") == (
        f"Names of image files (shards number them from 0): {len(before)}.",
    )
    after = read(tmp_path / "shards")
    names = sorted(path.name for path in (tmp_path / "shards").iterdir())
    assert names[:2] == ["shard-000000.tar", "shard-000001.tar"]
    assert after.class_names == before.class_names
    assert Counter(row[1:] for row in said(after)) == Counter(row[1:] for row in said(before))
    convert(after, tmp_path / "folders", "folders")
    assert Counter(row[1:] for row in said(read(tmp_path / "folders"))) == Counter(row[1:] for row in said(before))


def test_arrays_become_png() -> None:
    first = read("digits").samples[0]
    assert (decode(encoded(first)) == first.image()).all()


def test_parts_become_shards(make_textures: Callable[[Path, int], Path], tmp_path: Path) -> None:
    for part, count in (("train", 4), ("val", 2), ("test", 3)):
        make_textures(tmp_path / "data" / part, count)
    convert(tmp_path / "data", tmp_path / "shards", "shards")
    assert sorted(path.name for path in (tmp_path / "shards").iterdir()) == [
        "test-000000.tar",
        "train-000000.tar",
        "val-000000.tar",
    ]
    before, after = read(tmp_path / "data"), read(tmp_path / "shards")
    assert Counter(row[1:] for row in said(after)) == Counter(row[1:] for row in said(before))
    assert [sample.part for sample in after.samples] == [sample.part for sample in before.samples]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("s.tar", b"no archive" * 100, r"s.tar: this is no whole tar file .* Fetch it again, or pack it again: tar"),
        ("s.tar", b"", "this is no whole tar file"),
    ],
)
def test_a_damaged_shard_is_named(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=message):
        read(tmp_path)


def test_a_zip_archive_that_is_called_a_tar_file(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "s.tar", "w") as archive:
        archive.writestr("a.jpg", b"")
    with pytest.raises(DataError, match=r"s.tar: this is a zip archive, no tar file. Unpack it \(unzip\)"):
        read(tmp_path)


@pytest.mark.parametrize(("mode", "by"), [("w:gz", "gzip.*gunzip"), ("w:bz2", "bzip2.*bunzip2"), ("w:xz", "xz.*unxz")])
def test_a_compressed_shard_is_named(tmp_path: Path, mode: str, by: str) -> None:
    path = pack(tmp_path / "s.tar", {"a/1.png": picture(1)}, mode)
    with pytest.raises(DataError, match=f"s.tar: it is compressed by {by}"):
        read(tmp_path)
    path.rename(tmp_path / "s.tar.gz")
    with pytest.raises(DataError, match=r"there is no image in this folder(.|\n)*unpack each first"):
        read(tmp_path)


@pytest.mark.parametrize("kept", [512 + 200, 1_536, 1_536 + 100, 2_048])
def test_a_shard_that_is_cut_short_is_named(tmp_path: Path, kept: int) -> None:
    """Within an image, between two, within a header, and where the mark of the end is missing."""
    pack(tmp_path / "s.tar", {"a/1.png": picture(1)[:500], "b/2.png": picture(2)})
    whole = (tmp_path / "s.tar").read_bytes()
    assert len(read(tmp_path)) == 2
    (tmp_path / "s.tar").write_bytes(whole[:kept])
    with pytest.raises(DataError, match=r"s.tar: this is no whole tar file.*Fetch it again"):
        read(tmp_path)


def test_a_shard_with_a_damaged_header_is_named(tmp_path: Path) -> None:
    data = bytearray(pack(tmp_path / "s.tar", {"a/1.png": picture(1)[:500], "b/2.png": picture(2)}).read_bytes())
    data[1_024 + 150] ^= 0xFF  # in the sum of the second header
    (tmp_path / "s.tar").write_bytes(data)
    with pytest.raises(DataError, match=r"what begins at byte 1,024 is damaged.*pack it again: tar -cf NEW.tar FOLDER"):
        read(tmp_path)
    pack(tmp_path / "t.tar", {"c/1.png": picture(3)})
    found = read(tmp_path, may_be_broken=True)  # as check reads
    assert [sample.key for sample in found.samples] == ["t.tar/c/1.png"]
    assert len(found.faults) == 1


def test_names_with_points_keep_their_own_texts(tmp_path: Path) -> None:
    files = {"I.01.02.png": picture(1), "I.01.02.cls": b"a", "I.03.04.png": picture(2), "I.03.04.cls": b"b"}
    found = read(pack(tmp_path / "s.tar", files)).samples
    assert [sample.label.name for sample in found if sample.label] == ["a", "b"]


def test_an_image_that_is_there_twice_is_named(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "s.tar", "w:") as shard:
        for number in (1, 2):
            entry = tarfile.TarInfo("a/1.png")
            entry.size = len(picture(number))
            shard.addfile(entry, io.BytesIO(picture(number)))
    with pytest.raises(DataError, match=r"'s.tar/a/1.png' is there twice"):
        read(tmp_path)


def test_a_folder_around_it_tells_the_part_where_the_shard_does_not(tmp_path: Path) -> None:
    files = {"data/train/cat/1.png": picture(1), "data/train/dog/2.png": picture(2), "data/test/cat/3.png": picture(3)}
    found = read(pack(tmp_path / "s.tar", files)).samples
    assert [(s.label.name, s.part) for s in found if s.label] == [("cat", "train"), ("dog", "train"), ("cat", "test")]
    pack(tmp_path / "s.tar", {"train/1.png": picture(1)})
    with pytest.raises(DataError, match=r"s.tar/train/1.png: nothing tells its class"):
        read(tmp_path)


def test_a_shard_without_the_mark_of_its_end_is_cut_short(tmp_path: Path) -> None:
    path = pack(tmp_path / "s.tar", {"a/1.png": picture(1)[:500], "b/2.png": picture(2)})
    path.write_bytes(path.read_bytes()[:1_024])  # between the two
    with pytest.raises(DataError, match="it is cut short: the mark of its end is missing"):
        read(tmp_path)


def test_images_beside_a_shard_can_be_meant_too(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(picture(len(name)))
    pack(tmp_path / "backup.tar", {"a/1.png": picture(1)})
    with pytest.raises(DataError, match=r"it holds shards \('backup.tar'\) and images outside them \(cat/1.png\)"):
        read(tmp_path)
    assert read(tmp_path, kind="folders").kind == "class folders"
    pack(tmp_path / "shards" / "s.tar", {"a/1.png": picture(1), "b/1.png": picture(2)})
    (tmp_path / "shards" / "more").mkdir()
    (tmp_path / "shards" / "old.tar.gz").write_bytes(b"")
    assert read(tmp_path / "shards").notes == ("What lies beside the shards was not read (2): 'more', 'old.tar.gz'.",)


def test_what_has_no_class_is_named(tmp_path: Path) -> None:
    pack(tmp_path / "s.tar", {"1.png": picture(1)})
    with pytest.raises(DataError, match=r"s.tar/1.png: nothing tells its class: put a text 1.cls beside it"):
        read(tmp_path)
    pack(tmp_path / "s.tar", {"1.png": picture(1), "1.cls": b"two\nlines"})
    with pytest.raises(DataError, match=r"s.tar/1.cls: a class is expected, in one line"):
        read(tmp_path)
    pack(tmp_path / "s.tar", {"1.png": picture(1), "1.cls": b"\xff"})
    with pytest.raises(DataError, match=r"s.tar/1.cls, line 1: the byte 0xff is not UTF-8"):
        read(tmp_path)
    pack(tmp_path / "s.tar", {"1.txt": b""})
    with pytest.raises(DataError, match=r"there is no image in its shards \(1\)"):
        read(tmp_path)


def test_shards_of_parts_and_of_none_are_not_mixed(tmp_path: Path) -> None:
    pack(tmp_path / "train-0.tar", {"a/1.png": picture(1)})
    pack(tmp_path / "more.tar", {"a/2.png": picture(2)})
    with pytest.raises(DataError, match=r"nothing tells the part of more.tar/a/2.png, and that of others is told"):
        read(tmp_path)


def test_a_shard_that_changes_afterwards_is_an_error_of_the_image(tmp_path: Path) -> None:
    path = pack(tmp_path / "s.tar", {"a/1.png": picture(1), "b/2.png": picture(2)})
    first, second = read(tmp_path).samples
    path.write_bytes(path.read_bytes()[:1_000])
    with pytest.raises(DataError, match=r"s.tar: it ends within s.tar/b/2.png: it has changed"):
        second.data()
    path.unlink()
    with pytest.raises(DataError, match=r"s.tar: it cannot be read \(No such file"):
        first.content_hash()
    with pytest.raises(ImageError, match="more than the limit"):
        Member("s.tar", 0, 2**40).data("big")
    with pytest.raises(ValueError, match="either a path, a member of an archive, or an array"):
        Sample("both", None, path=path, member=first.member)


def test_check_looks_into_shards(textures: Path, tmp_path: Path) -> None:
    convert(textures, tmp_path / "shards", "shards")
    kinds = {finding.kind for finding in check(tmp_path / "shards").findings}
    assert kinds == {finding.kind for finding in check(textures).findings}


def test_object_storage_holds_the_same_as_a_disk(
    make_textures: Callable[[Path, int], Path], tmp_path: Path, object_storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part, count in (("train", 4), ("test", 3)):
        make_textures(tmp_path / "data" / part, count)
    convert(tmp_path / "data", tmp_path / "shards", "shards")
    pack(tmp_path / "shards" / "val" / "a b#1%.tar", {"1.png": picture(1), "1.cls": b"0"})
    pack(tmp_path / "shards" / "old" / "not-read.tar", {"a/1.png": picture(1)})
    (tmp_path / "shards" / "classes.txt").write_text("checks\n")
    address = upload(tmp_path / "shards", f"{object_storage}/{uuid.uuid4().hex}")
    near, far = read(tmp_path / "shards"), read(address)
    assert said(far) == said(near)
    assert {sample.part for sample in far.samples} == {"train", "val", "test"}
    assert far.where == address
    assert all(sample.is_far for sample in far.samples)
    one = read(f"{address}/test-000000.tar")
    assert [row[1:] for row in said(one)] == [row[1:] for row in said(near) if row[2] == "test"]
    monkeypatch.setenv("AWS_ENDPOINT_URL", os.environ["AWS_ENDPOINT"])
    monkeypatch.delenv("AWS_ENDPOINT")
    _store.cache_clear()
    assert said(read(address)) == said(near)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("s3://mirada/nothing-here", r"nothing-here: it cannot be read \(Path does not exist.*AWS_ACCESS_KEY_ID"),
        ("s3://mirada-not-there/x", r"s3://mirada-not-there/x: it cannot be read \("),
    ],
)
def test_an_address_that_cannot_be_read_is_named(object_storage: str, address: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(address)


def test_a_store_that_fails_ends_training_rather_than_leaving_images_out(
    textures: Path, tmp_path: Path, object_storage: str
) -> None:
    convert(textures, tmp_path / "shards", "shards")
    address = upload(tmp_path / "shards", f"{object_storage}/{uuid.uuid4().hex}")
    samples = read(address).samples
    system, base = file_system(address)
    system.delete_file(f"{base}/shard-000000.tar")
    _opened.cache_clear()
    with pytest.raises(DataError, match=f"{address}/shard-000000.tar: it cannot be read"):
        load_all(samples, Preparation((8, 8), "stretch"))
