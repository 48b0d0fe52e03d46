"""Who may write, and what is left when a process ends in the middle: nothing is lost, the next run puts it right."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mirada.errors import DataError, UsageError
from mirada.search import build, forget, index, open_index, writer
from mirada.search.database import connected
from mirada.search.table import Table

STEPS = ("put", "remove", "tell", "tell_unread", "tidy", "add_columns")


def content(place: str | Path) -> dict[bytes, tuple[Any, ...]]:
    """All that an index holds, but for where in it."""
    table = Table.open(str(place))
    names = [*table.columns, "file", "modified", "said", "source", "look", "places", "vector"]
    rows = [row for batch in table.batches(names) for row in batch.to_pylist()]
    return {row["file"]: tuple(map(str, (row[name] for name in names))) for row in rows}


def about(place: str | Path) -> tuple[Any, ...]:
    table = Table.open(str(place))
    return table.about["settled"], table.about["background"], table.columns, table.unread()


class Killed(BaseException):
    """As if the process ended there."""


def test_two_processes_do_not_write_at_once(photos: Path, place: str) -> None:
    index(photos / "dots", place)
    with writer.writing(place) as before_change:
        with pytest.raises(UsageError, match="another process is writing to this index: wait until it is done"):
            index(photos, place)
        assert len(open_index(place)) == 10  # others may search
        before_change()
    assert len(index(photos, place)) == 30


def test_who_was_killed_is_followed_when_the_time_is_over(photos: Path, object_storage: str) -> None:
    place = f"{object_storage}/killed/{time.time_ns()}"
    index(photos / "dots", place)
    lease = writer._lease_table(place)
    with writer.writing(place) as before_change:
        lease.checkout_latest()
        lease.update(values={"until": time.time() - 1})  # as if it had not been heard of for long
        assert len(index(photos, place)) == 30
        with pytest.raises(UsageError, match="another process has begun to write to this index: this one stops"):
            before_change()
    lease.checkout_latest()
    until = time.time() + 100
    lease.update(values={"until": until})
    (photos / "dots" / "00.png").touch()  # so that there is something to write
    with pytest.raises(UsageError, match=r"or, if it was killed, \d+ s") as refused:
        index(photos, place)
    left = int(str(refused.value).rsplit("killed, ", 1)[1].removesuffix(" s"))
    assert until - time.time() - 1 <= left <= 100


def changed(photos: Path, table: Path) -> list[Path]:
    """New, changed, moved, gone and unreadable images, and a table with a new column."""
    shutil.rmtree(photos / "checks")
    (photos / "dots" / "00.png").rename(photos / "moved.png")
    for number in range(15):
        picture = np.full((40, 50, 3), 10 * number, np.uint8)
        Image.fromarray(picture).save(photos / "stripes" / f"new-{number}.png")
    Image.fromarray(np.full((40, 50, 3), 201, np.uint8)).save(photos / "dots" / "01.png")
    (photos / "dots" / "02.png").write_bytes(b"broken")
    table.write_text("path,price\n" + "".join(f"{photos}/dots/0{i}.png,{i}\n" for i in range(3, 6)))
    for path in photos.rglob("*.png"):
        os.utime(path, (1_700_000_100, 1_700_000_100))
    return [photos, table]


@pytest.mark.long
def test_a_run_that_ends_anywhere_is_put_right_by_the_next(
    photos: Path, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is ended after each step that writes, one after the other, and each time taken up where the last one ended."""
    monkeypatch.setattr(build, "ROWS", 4)
    index(photos, place)
    given = changed(photos, tmp_path / "table.csv")
    steps = 0

    def ending_after(step: Callable[..., Any], limit: int) -> Callable[..., Any]:
        def done(*args: Any, **options: Any) -> Any:
            nonlocal steps
            result = step(*args, **options)
            steps += 1
            if steps >= limit:
                raise Killed
            return result

        return done

    kills = 0
    for limit in (1, 3, 2, 4, 1, 3, 2, 2, 1, 2, 1, 1, 1, 1):
        steps = 0
        with monkeypatch.context() as patched:
            for name in STEPS:
                patched.setattr(Table, name, ending_after(getattr(Table, name), limit))
            try:
                index(given, place)
                break
            except Killed:
                kills += 1
                held = open_index(place)  # it opens, and holds what was committed
                assert len(held.search(photos / "dots" / "04.png", k=100)) == len(held) - 1
    index(given, place)
    index(given, tmp_path / "undisturbed")
    assert kills >= 5
    assert content(place) == content(tmp_path / "undisturbed")
    assert about(place)[0] is True
    assert about(place)[2:] == about(tmp_path / "undisturbed")[2:]


def test_a_process_that_is_killed_leaves_an_index_that_goes_on(photos: Path, tmp_path: Path) -> None:
    """With SIGKILL, when the first rows are committed."""
    program = (
        "import sys, time\n"
        "from mirada.search import build, index\n"
        "from mirada.search.table import Table\n"
        "build.ROWS = 7\n"
        "put = Table.put\n"
        "def slow(*args, **options):\n"
        "    put(*args, **options)\n"
        "    print('committed', flush=True)\n"
        "    time.sleep(60)\n"
        "Table.put = slow\n"
        "index(sys.argv[1], sys.argv[2])\n"
    )
    command = [sys.executable, "-c", program, str(photos), str(tmp_path / "index")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "committed\n"
    with pytest.raises(UsageError, match="another process is writing"):
        index(photos, tmp_path / "index")
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    committed = len(open_index(tmp_path / "index"))
    assert 7 <= committed < 30
    made = index(photos, tmp_path / "index")
    assert made.changes is not None
    assert (made.changes.unchanged, made.changes.new) == (committed, 30 - committed)
    index(photos, tmp_path / "undisturbed")
    assert content(tmp_path / "index") == content(tmp_path / "undisturbed")
    assert about(tmp_path / "index") == about(tmp_path / "undisturbed")


@pytest.mark.parametrize("name", ["cells", "cells.mirada", "mirror.lance", "notes.txt"])
def test_a_folder_of_others_is_no_place(photos: Path, tmp_path: Path, snapshot: Any, name: str) -> None:
    """Photos in a folder called cells were once taken for the index's own."""
    place = tmp_path / "mine"
    shutil.copytree(photos / "dots", place / name)
    before = snapshot(place)
    with pytest.raises(UsageError, match=f"holds other things, such as '{name}'"):
        index(place / name, place)
    assert snapshot(place) == before


def test_what_an_operating_system_leaves_is_no_hindrance(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / ".DS_Store").write_bytes(b"")
    assert len(index(photos / "dots", tmp_path / "new")) == 10


def test_tables_of_others_stay(photos: Path, place: str) -> None:
    """A database of somebody's, with a table that is called as ours."""
    database = connected(place)
    database.create_table("images", data=[{"id": 1, "precious": "yes"}])
    with pytest.raises(UsageError, match="holds a table 'images' that is not mirada's"):
        index(photos / "dots", place)
    assert database.open_table("images").to_arrow().to_pylist() == [{"id": 1, "precious": "yes"}]


def test_a_table_that_was_never_whole_is_made_again(photos: Path, tmp_path: Path) -> None:
    """As a process leaves it that is killed while it makes the last table."""
    (tmp_path / "new" / "about.lance" / "data").mkdir(parents=True)
    with pytest.raises(DataError, match="there is no index"):
        open_index(tmp_path / "new")
    assert len(index(photos / "dots", tmp_path / "new")) == 10
    assert len(open_index(tmp_path / "new")) == 10


def test_where_nothing_is_to_be_done_nobody_waits(photos: Path, place: str) -> None:
    index(photos, place)
    with writer.writing(place):
        again = index(photos, place)
        assert again.changes is not None
        assert again.changes.unchanged == 30


def test_images_can_be_forgotten(photos: Path, place: str) -> None:
    (photos / "dots" / "broken.png").write_bytes(b"")
    index(photos, place)
    shutil.rmtree(photos / "dots")
    assert forget([photos / "dots"], place) == 10
    opened = open_index(place)
    assert (len(opened), opened.unread) == (20, {})
    assert {hit.label for hit in opened.search(photos / "checks" / "00.png", k=30)} == {"checks", "stripes"}
