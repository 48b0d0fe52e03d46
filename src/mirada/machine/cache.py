"""Where mirada keeps what is dear to make and can be made again: compiled networks, and activations of images.

```
CACHE/
  engines/KEY/        a compiled network, and which way of running it passed on which machine
  activations/KEY/    outputs of a frozen network, by the content of the images
  neighbours/KEY/     the index of what a model was trained on
```

`CACHE` is `$MIRADA_CACHE`, or the user's cache directory. Everything in it may be deleted at any time.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from mirada.errors import UsageError
from mirada.machine.cpus import available_cpus

__all__ = ["cache_folder", "machine", "written_aside"]


def cache_folder(name: str) -> Path:
    """The folder `name` of the cache, made where it is missing.

    Raises:
        UsageError: it cannot be made or written to; says what to set.
    """
    folder = _root() / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _refused(folder, f"cannot be made ({error.strerror})") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _refused(folder, "cannot be written to")
    return folder


def _refused(folder: Path, reason: str) -> UsageError:
    return UsageError(f"the cache {folder} {reason}: name another folder in the environment variable MIRADA_CACHE")


def _root() -> Path:
    if given := os.environ.get("MIRADA_CACHE"):
        return Path(given)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "mirada"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "mirada" / "Cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mirada"


@cache
def machine() -> dict[str, str | int]:
    """What decides how fast, and whether rightly, a network is run here: processor, its abilities, how many, system."""
    return {
        "processor": _processor(),
        "abilities": _abilities(),
        "processors": available_cpus(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _cpuinfo() -> dict[str, str]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split("\n\n")[0]
    except OSError:  # not Linux
        return {}
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}


def _processor() -> str:
    info = _cpuinfo()
    found = [info[key] for key in ("model name", "cpu family", "model") if key in info]
    return " ".join(found) or platform.processor() or platform.machine()


def _abilities() -> str:
    """Those that decide between number formats."""
    flags = (_cpuinfo().get("flags") or _cpuinfo().get("Features") or "").split()
    wanted = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "amx_int8", "bf16", "asimdhp")
    return " ".join(name for name in wanted if name in flags)


@contextmanager
def written_aside(place: Path) -> Iterator[Path]:
    """A new folder to fill that becomes `place` when the block ends, whole or not at all.

    Where another process made `place` meanwhile, that one stays.

    Raises:
        UsageError: the disk is full, or `place` cannot be written.
    """
    aside: Path | None = None
    try:
        aside = Path(tempfile.mkdtemp(prefix=f".{place.name[:40]}.", suffix=".part", dir=place.parent))
        yield aside
        try:
            aside.rename(place)
        except OSError:
            if not place.is_dir():
                raise
    except OSError as error:
        raise _refused(place, f"cannot be written ({error.strerror})") from error
    finally:
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)
