"""Running a network tells nobody: no connection, no process of somebody else's, nothing in the person's home."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys
from concurrent.futures import thread
from pathlib import Path

told = []
watched = {"socket.connect", "socket.getaddrinfo", "os.fork", "os.posix_spawn", "subprocess.Popen"}
sys.addaudithook(lambda event, arguments: told.append(event) if event in watched else None)

from mirada.engine.openvino_engine import OpenVinoEngine, convert
from mirada.engine.program import Program
from mirada.image import Preparation
import numpy as np
import torch

class Doubles(torch.nn.Module):
    def forward(self, x):
        return (x.float().mean((1, 2)) * 2,)

del told[:]  # what torch and numpy ask of the system when they are imported is theirs
folder = Path(sys.argv[1])
convert(Doubles(), (4, 5, 3), folder)
engine = OpenVinoEngine(Program("doubles", {}, Preparation((5, 4), "stretch"), Doubles), folder, "f32")
assert engine(np.full((1, 4, 5, 3), 7, np.uint8))[0].tolist() == [[14, 14, 14]]
for waiting in list(thread._threads_queues):  # a message may be on its way in a thread
    waiting.join(5)
print(sorted(set(told)), "openvino_telemetry.main" in sys.modules)
"""

ASKED = """
import sys
from mirada.engine.openvino_engine import _openvino

openvino = _openvino()
print("openvino.tools.ovc" in sys.modules, callable(openvino.convert_model), "openvino.tools.ovc" in sys.modules)
"""


def test_the_converter_of_openvino_is_loaded_when_it_is_asked_for() -> None:
    assert subprocess.check_output([sys.executable, "-c", ASKED], text=True) == "False True True\n"


def test_an_engine_tells_nobody(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    said = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        env=os.environ | {"HOME": str(home), "USERPROFILE": str(home)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == "[] False\n"
    assert not list(home.iterdir())
