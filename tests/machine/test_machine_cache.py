"""Where things are kept, and that a folder is there whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mirada.errors import UsageError
from mirada.machine import available_cpus, cache, cache_folder, machine, written_aside


def test_the_environment_names_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRADA_CACHE", str(tmp_path / "not" / "yet"))
    assert cache_folder("engines") == tmp_path / "not" / "yet" / "engines"
    assert cache_folder("engines").is_dir()
    (cache_folder("engines") / "file").write_text("stays")
    assert (cache_folder("engines") / "file").read_text() == "stays"
    assert [path.name for path in (tmp_path / "not" / "yet").iterdir()] == ["engines"]


@pytest.mark.parametrize(
    ("platform", "environment", "place"),
    [
        ("linux", {}, ".cache/mirada"),
        ("linux", {"XDG_CACHE_HOME": ""}, ".cache/mirada"),
        ("linux", {"XDG_CACHE_HOME": "{home}/elsewhere"}, "elsewhere/mirada"),
        ("linux", {"MIRADA_CACHE": "", "XDG_CACHE_HOME": "{home}/elsewhere"}, "elsewhere/mirada"),
        ("linux", {"MIRADA_CACHE": "{home}/mine", "XDG_CACHE_HOME": "{home}/elsewhere"}, "mine"),
        ("darwin", {}, "Library/Caches/mirada"),
        ("win32", {"LOCALAPPDATA": "{home}/Local"}, "Local/mirada/Cache"),
        ("win32", {}, "AppData/Local/mirada/Cache"),
    ],
)
def test_without_it_the_cache_is_where_the_system_keeps_such_things(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, environment: dict[str, str], place: str
) -> None:
    for name in ("MIRADA_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value.format(home=tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(cache.sys, "platform", platform)
    assert cache_folder("weights") == tmp_path / place / "weights"
    assert (tmp_path / place / "weights").is_dir()


def test_a_cache_that_cannot_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRADA_CACHE", str(tmp_path))
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(UsageError, match=r"the cache .*engines cannot be written to: .*MIRADA_CACHE"):
        cache_folder("engines")


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    refused = pytest.raises(UsageError, match=r"the cache .*place cannot be written \(No space .*\): .*MIRADA_CACHE")
    with refused, written_aside(tmp_path / "place"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        monkeypatch.setenv("MIRADA_CACHE", str(place))
        with pytest.raises(UsageError, match=r"the cache .*engines cannot be made \(.+\): .*MIRADA_CACHE"):
            cache_folder("engines")
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_folder_is_whole_when_it_appears(tmp_path: Path) -> None:
    place = tmp_path / "place"
    with written_aside(place) as aside:
        (aside / "below").mkdir()
        (aside / "below" / "first").write_text("1")
        assert not place.exists()
        assert aside.parent == tmp_path  # of the same file system, so that it can be renamed
        (aside / "second").write_text("2")
    assert (place / "below" / "first").read_text() == "1"
    assert (place / "second").read_text() == "2"
    assert list(tmp_path.iterdir()) == [place]


@pytest.mark.parametrize("error", [ValueError("in the block"), KeyboardInterrupt()])
def test_where_the_block_fails_nothing_appears(tmp_path: Path, error: BaseException) -> None:
    def fill() -> None:
        with written_aside(tmp_path / "place") as aside:
            (aside / "first").write_text("1")
            raise error

    with pytest.raises(type(error)):
        fill()
    assert list(tmp_path.iterdir()) == []


def test_what_another_made_meanwhile_stays(tmp_path: Path) -> None:
    place = tmp_path / "place"
    with written_aside(place) as first, written_aside(place) as second:
        assert first != second
        (first / "of").write_text("first")
        (second / "of").write_text("second")
    assert (place / "of").read_text() == "second"  # the inner one was done earlier
    assert list(tmp_path.iterdir()) == [place]


def test_a_file_in_the_way_is_an_error_and_stays(tmp_path: Path) -> None:
    (tmp_path / "place").write_text("in the way")
    with pytest.raises(UsageError, match=r"place cannot be written \("), written_aside(tmp_path / "place") as aside:
        (aside / "first").write_text("1")
    assert (tmp_path / "place").read_text() == "in the way"
    assert [path.name for path in tmp_path.iterdir()] == ["place"]


def test_a_name_as_long_as_a_name_may_be(tmp_path: Path) -> None:
    place = tmp_path / ("k" * 255)
    with written_aside(place) as aside:
        (aside / "first").write_text("1")
    assert (place / "first").read_text() == "1"


def test_a_process_that_is_killed_leaves_no_half_folder(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from mirada.machine import written_aside\n"
        "with written_aside(Path(sys.argv[1])) as aside:\n"
        "    (aside / 'first').write_text('1')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "place"], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "place").exists()
    with written_aside(tmp_path / "place") as aside:  # and it is in nobody's way
        (aside / "second").write_text("2")
    assert [path.name for path in (tmp_path / "place").iterdir()] == ["second"]


CPUINFO = """processor\t: 0
model name\t: A Processor 9000
cpu family\t: 25
model\t\t: 97
flags\t\t: fpu avx2 sse avx512_bf16 amx_tile avx512f

processor\t: 1
model name\t: Another
"""


@pytest.mark.parametrize(
    ("text", "processor", "abilities"),
    [
        (CPUINFO, "A Processor 9000 25 97", "avx2 avx512f avx512_bf16"),
        ("processor : 0\nFeatures : fp asimd asimdhp bf16\n", None, "bf16 asimdhp"),
        (None, None, ""),
    ],
)
def test_what_the_machine_says_of_itself(
    monkeypatch: pytest.MonkeyPatch, text: str | None, processor: str | None, abilities: str
) -> None:
    def read_text(path: Path, *_: object, **__: object) -> str:
        assert path == Path("/proc/cpuinfo")
        if text is None:
            raise FileNotFoundError
        return text

    monkeypatch.setattr(cache, "available_cpus", lambda: 3)
    monkeypatch.setattr(Path, "read_text", read_text)
    monkeypatch.setattr(cache.platform, "processor", lambda: "")
    monkeypatch.setattr(cache.platform, "machine", lambda: "riscv64")
    found = cache.machine.__wrapped__()
    assert found["processor"] == (processor or "riscv64")
    assert found["abilities"] == abilities
    assert found["processors"] == 3


def test_this_machine_can_be_written_down() -> None:
    found = machine()
    assert json.loads(json.dumps(found)) == found
    assert found["processors"] == available_cpus()
    assert found["processor"]
    assert os.uname().sysname in str(found["system"])
