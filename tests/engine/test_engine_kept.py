"""Rows on disk: what was appended whole is read back, whatever happened to the files or the process in between."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mirada.engine.kept import Kept, Layout, delete_unused
from mirada.errors import UsageError

LAYOUT: Layout = (((2, 1, 3), "<f2"), ((5,), "<f4"))
ROW, RECORD = 2 * 3 * 2 + 5 * 4, 32 + 4 + 4
"""Bytes of a row of this layout, and of its record: SHA-256, view, checksum."""


def _content(number: int) -> str:
    return hashlib.sha256(b"%d" % number).hexdigest()


def _outputs(number: int) -> tuple[NDArray[np.float16], NDArray[np.float32]]:
    rng = np.random.default_rng(number)
    return rng.normal(size=(2, 1, 3)).astype(np.float16), rng.normal(size=5).astype(np.float32)


def _appended(folder: Path, numbers: range) -> None:
    with Kept(folder, LAYOUT) as kept:
        for number in numbers:
            assert kept.append(_content(number), number % 2, _outputs(number)) == number


def _assert_rows(kept: Kept, count: int) -> None:
    """The first `count` rows are there, each is right, and there are no others."""
    assert len(kept) == count
    places = [kept.place(_content(number), number % 2) for number in range(20)]
    assert places == [*range(count), *[None] * (20 - count)]
    for output in (0, 1):
        found = kept.read(np.arange(count), output)
        assert found.shape == (count, *LAYOUT[output][0])
        for number in range(count):
            assert found[number].tobytes() == _outputs(number)[output].tobytes()


def test_what_is_appended_is_read_back(tmp_path: Path) -> None:
    with Kept(tmp_path / "made" / "new", LAYOUT) as kept:
        assert kept.row_bytes == ROW
        _assert_rows(kept, 0)
        for number in range(6):
            kept.append(_content(number), number % 2, _outputs(number))
            _assert_rows(kept, number + 1)
        assert kept.place(_content(0), 1) is None
    _appended(tmp_path / "made" / "new", range(6, 9))
    with Kept(tmp_path / "made" / "new", LAYOUT) as kept:
        _assert_rows(kept, 9)
    sizes = {path.name: path.stat().st_size for path in (tmp_path / "made" / "new").iterdir()}
    assert sizes == {"rows.bin": 9 * ROW, "index.bin": 9 * RECORD}


def test_where_files_have_no_reading_by_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows."""
    for name in ("preadv", "pread", "pwrite"):
        monkeypatch.delattr(os, name)
    _appended(tmp_path, range(6))
    with Kept(tmp_path, LAYOUT) as kept:
        _assert_rows(kept, 6)
        kept.append(_content(6), 0, _outputs(6))
        _assert_rows(kept, 7)


def test_only_what_nobody_has_open_is_deleted(tmp_path: Path) -> None:
    _appended(tmp_path / "free", range(2))
    (tmp_path / "empty").mkdir()
    with Kept(tmp_path / "open", LAYOUT) as kept:
        kept.append(_content(0), 0, _outputs(0))
        for name in ("free", "empty", "open", "not there"):
            delete_unused(tmp_path / name)
        assert [path.name for path in tmp_path.iterdir()] == ["open"]
        _assert_rows(kept, 1)
    delete_unused(tmp_path / "open")
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", flock)
    _appended(tmp_path, range(3))
    with Kept(tmp_path, LAYOUT) as kept:
        _assert_rows(kept, 3)


@settings(max_examples=30)
@given(places=st.lists(st.integers(0, 8), max_size=12), output=st.integers(0, 1))
def test_any_rows_of_one_output_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, places: list[int], output: int
) -> None:
    folder = tmp_path_factory.mktemp("kept")
    _appended(folder, range(9))
    with Kept(folder, LAYOUT) as kept:
        found = kept.read(np.array(places, np.int64), output)
    assert found.dtype == np.dtype(LAYOUT[output][1])
    assert found.shape == (len(places), *LAYOUT[output][0])
    assert found.tobytes() == b"".join(_outputs(place)[output].tobytes() for place in places)


def test_outputs_are_turned_into_the_type_of_the_layout(tmp_path: Path) -> None:
    first, second = _outputs(0)
    with Kept(tmp_path, LAYOUT) as kept:
        kept.append(_content(0), 0, (np.asfortranarray(first.astype(np.float64)), second[::-1].copy()[::-1]))
        _assert_rows(kept, 1)


@pytest.mark.parametrize("outputs", [(np.zeros((2, 1, 3)), np.zeros(4)), (np.zeros((2, 1, 3)),)])
def test_outputs_of_another_layout_are_refused(tmp_path: Path, outputs: tuple[NDArray[np.float64], ...]) -> None:
    with Kept(tmp_path, LAYOUT) as kept:
        with pytest.raises(ValueError, match=r"outputs|argument"):
            kept.append(_content(0), 0, outputs)
        _assert_rows(kept, 0)


def test_views_of_an_image_are_rows_of_their_own(tmp_path: Path) -> None:
    with Kept(tmp_path, LAYOUT) as kept:
        for view in (0, 3, 1, 2**32 - 1):
            kept.append(_content(7), view, _outputs(view % 11))
    with Kept(tmp_path, LAYOUT) as kept:
        assert [kept.place(_content(7), view) for view in (0, 1, 2, 3, 2**32 - 1)] == [0, 2, None, 1, 3]
        assert kept.read(np.array([2]), 1).tobytes() == _outputs(1)[1].tobytes()


@pytest.mark.parametrize(("name", "unit"), [("rows.bin", ROW), ("index.bin", RECORD)])
def test_a_file_cut_short_anywhere_leaves_the_rows_before(tmp_path: Path, name: str, unit: int) -> None:
    _appended(tmp_path / "whole", range(3))
    whole = {path.name: path.read_bytes() for path in (tmp_path / "whole").iterdir()}
    for size in range(3 * unit + 1):
        folder = tmp_path / f"{size}"
        folder.mkdir()
        for other, content in whole.items():
            (folder / other).write_bytes(content[:size] if other == name else content)
        with Kept(folder, LAYOUT) as kept:
            _assert_rows(kept, size // unit)
            kept.append(_content(size // unit), size // unit % 2, _outputs(size // unit))  # and it goes on from there
            _assert_rows(kept, size // unit + 1)


@settings(max_examples=60)
@given(rows=st.integers(0, 6 * ROW), records=st.integers(0, 6 * RECORD), zeros=st.booleans())
def test_both_files_cut_short_leave_the_rows_that_both_have(
    tmp_path_factory: pytest.TempPathFactory, rows: int, records: int, zeros: bool
) -> None:
    """A power cut may also leave a file its length and take the content: then it holds zeros."""
    folder = tmp_path_factory.mktemp("kept")
    _appended(folder, range(6))
    for name, size in (("rows.bin", rows), ("index.bin", records)):
        os.truncate(folder / name, size)
        if zeros:
            os.truncate(folder / name, 6 * (ROW if name == "rows.bin" else RECORD))
    with Kept(folder, LAYOUT) as kept:
        count = min(rows // ROW, records // RECORD)
        # A number may end in zeros itself: then the row is whole though it was cut.
        _assert_rows(kept, len(kept))
        assert count <= len(kept) <= count + zeros


@given(byte=st.integers(0, ROW - 1), change=st.integers(1, 255), row=st.integers(0, 4))
@settings(max_examples=40)
def test_a_spoilt_row_and_what_follows_is_dropped(
    tmp_path_factory: pytest.TempPathFactory, byte: int, change: int, row: int
) -> None:
    folder = tmp_path_factory.mktemp("kept")
    _appended(folder, range(5))
    content = bytearray((folder / "rows.bin").read_bytes())
    content[row * ROW + byte] ^= change
    (folder / "rows.bin").write_bytes(content)
    with Kept(folder, LAYOUT) as kept:
        _assert_rows(kept, row)
    _appended(folder, range(row, 5))
    with Kept(folder, LAYOUT) as kept:
        _assert_rows(kept, 5)


def test_the_last_row_of_very_many_is_tested(tmp_path: Path) -> None:
    layout: Layout = (((1,), "<i4"),)
    with Kept(tmp_path, layout) as kept:
        for number in range(1000):
            kept.append(_content(number), 0, (np.array([number]),))
    content = bytearray((tmp_path / "rows.bin").read_bytes())
    content[-1] ^= 1
    (tmp_path / "rows.bin").write_bytes(content)
    with Kept(tmp_path, layout) as kept:
        assert len(kept) == 999
        assert kept.place(_content(999), 0) is None
        assert kept.read(np.arange(999), 0)[:, 0].tolist() == list(range(999))


def test_rows_that_vanish_while_they_are_used(tmp_path: Path) -> None:
    _appended(tmp_path, range(3))
    with Kept(tmp_path, LAYOUT) as kept:
        os.truncate(tmp_path / "rows.bin", 2 * ROW + 5)
        assert kept.read(np.array([1]), 1).tobytes() == _outputs(1)[1].tobytes()
        with pytest.raises(UsageError, match="was cut short while it was used"):
            kept.read(np.array([1, 2]), 1)


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system takes a part of what is written, and then nothing."""
    real, room = os.pwrite, 2 * (ROW + RECORD) + 7

    def pwrite(descriptor: int, data: bytes, offset: int) -> int:
        nonlocal room
        if not room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = real(descriptor, memoryview(data)[: min(room, 5)], offset)
        room -= written
        return written

    with Kept(tmp_path, LAYOUT) as kept:
        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", pwrite)
            for number in range(2):
                kept.append(_content(number), number % 2, _outputs(number))
            with pytest.raises(UsageError, match=r"No space left on device.*MIRADA_CACHE") as caught:
                kept.append(_content(2), 0, _outputs(2))
            assert str(tmp_path) in str(caught.value)
        _assert_rows(kept, 2)
        kept.append(_content(2), 0, _outputs(2))  # there is room again
        _assert_rows(kept, 3)
    with Kept(tmp_path, LAYOUT) as kept:
        _assert_rows(kept, 3)


def test_a_disk_that_is_full_within_a_record_loses_only_that_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, room = os.pwrite, 2 * ROW + RECORD + 11

    def pwrite(descriptor: int, data: bytes, offset: int) -> int:
        nonlocal room
        if not room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = real(descriptor, memoryview(data)[:room], offset)
        room -= written
        return written

    with Kept(tmp_path, LAYOUT) as kept:
        monkeypatch.setattr(os, "pwrite", pwrite)
        kept.append(_content(0), 0, _outputs(0))
        with pytest.raises(UsageError):
            kept.append(_content(1), 1, _outputs(1))
    assert (tmp_path / "index.bin").stat().st_size == RECORD + 11
    with Kept(tmp_path, LAYOUT) as kept:
        _assert_rows(kept, 1)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match=r"activations cannot be kept in .*file"):
        Kept(tmp_path / "file", LAYOUT)


APPENDING = """
import hashlib, sys
from pathlib import Path
import numpy as np
from mirada.engine.kept import Kept

with Kept(Path(sys.argv[1]), (((300_000,), "<i4"), ((3,), "<i4"))) as kept:
    for number in range(len(kept), len(kept) + 1000):
        content = hashlib.sha256(b"%d" % number).hexdigest()
        kept.append(content, 0, (np.arange(number, number + 300_000), np.full(3, number)))
        print(number, flush=True)
"""


def test_a_process_that_is_killed_leaves_whole_rows(tmp_path: Path) -> None:
    """A row is 1.2 MB, so that most kills fall into the writing of one. The next process goes on from there."""
    rng, said = np.random.default_rng(0), -1
    layout: Layout = (((300_000,), "<i4"), ((3,), "<i4"))
    for _ in range(4):
        process = subprocess.Popen([sys.executable, "-c", APPENDING, tmp_path], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for _ in range(int(rng.integers(1, 8))):
            line = process.stdout.readline()
        process.kill()
        rest, _ = process.communicate()
        first = said
        said = int((line + rest).split()[-1])
        assert said > first
        with Kept(tmp_path, layout) as kept:
            assert len(kept) in (said + 1, said + 2)  # the last one may not have been told any more
            for number in range(len(kept)):
                assert kept.place(_content(number), 0) == number
                assert (kept.read(np.array([number]), 0)[0] == np.arange(number, number + 300_000)).all()
            assert kept.read(np.arange(len(kept)), 1)[:, 2].tolist() == list(range(len(kept)))
    assert process.returncode == -9


def test_a_view_that_is_kept_twice_spoils_no_other(tmp_path: Path) -> None:
    with Kept(tmp_path, LAYOUT) as kept:
        for number in (0, 1, 1, 2):
            kept.append(_content(number), 0, _outputs(number))
        for number in range(3):
            place = kept.place(_content(number), 0)
            assert place is not None
            assert kept.read(np.array([place]), 1).tobytes() == _outputs(number)[1].tobytes()


def test_a_folder_is_one_object_s_alone_until_it_is_closed(tmp_path: Path) -> None:
    """Two that append would overwrite each other's rows, as two processes do that train on the same images."""
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from mirada.engine.kept import Kept\n"
        "try:\n"
        "    Kept(Path(sys.argv[1]), (((2, 1, 3), '<f2'), ((5,), '<f4')))\n"
        "except BlockingIOError:\n"
        "    print('blocked')\n"
        "else:\n"
        "    print('opened')\n"
    )

    def another_process() -> str:
        command = [sys.executable, "-c", program, str(tmp_path)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    descriptors = Path("/proc/self/fd")
    with Kept(tmp_path, LAYOUT) as kept:
        kept.append(_content(0), 0, _outputs(0))
        before = len(list(descriptors.iterdir())) if descriptors.is_dir() else 0
        for _ in range(3):
            with pytest.raises(BlockingIOError):
                Kept(tmp_path, LAYOUT)
        assert (len(list(descriptors.iterdir())) if descriptors.is_dir() else 0) == before  # no file is left open
        assert another_process() == "blocked"
        kept.append(_content(1), 1, _outputs(1))
        _assert_rows(kept, 2)
    assert another_process() == "opened"
    with Kept(tmp_path, LAYOUT) as kept:
        _assert_rows(kept, 2)
