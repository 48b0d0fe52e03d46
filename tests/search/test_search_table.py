"""The tables of an index alone."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

GROWTH = """
import resource, sys
import numpy as np
from mirada.engine.process import give_back_freed_memory
from mirada.search.table import Table

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

rng = np.random.default_rng(0)
table = Table.create(sys.argv[1], {}, 1_280, None)
give_back_freed_memory()
for piece in range(16):
    names = [f"{piece}/{number}" for number in range(1_000)]
    rows = [{"path": name, "file": name.encode(), "places": rng.bytes(3_136)} for name in names]
    table.put(rows, rng.standard_normal((1_000, 1_280), np.float32), are_new=True)
before = peak()
table.tidy()
assert len(table.ids()) == 16_000
print(peak() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only there is freed memory given back")
def test_joining_pieces_does_not_hold_them_all_in_memory(tmp_path: Path) -> None:
    run = subprocess.run([sys.executable, "-c", GROWTH, tmp_path], capture_output=True, text=True, check=True)
    in_pieces = sum(file.stat().st_size for file in (tmp_path / "images.lance" / "data").iterdir()) / 2
    assert in_pieces > 90e6
    assert int(run.stdout) < in_pieces / 2
