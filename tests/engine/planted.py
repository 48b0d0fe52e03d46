"""A planted engine: `planted.py WAY FOLDER PRECISION` answers as the real one, or wrong in that way."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

way, folder, precision = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
own = folder / f"outputs-{precision}.npz"


def probe(folder: Path) -> list[NDArray[np.generic]]:
    from mirada.engine.probe import main

    for compiled in folder.glob("network.*.blob"):  # of another planted engine, which shares the folder
        compiled.unlink()
    main(folder, "f32")
    with np.load(folder / "outputs-f32.npz") as kept:
        outputs = [kept[name] for name in kept.files]
    (folder / "outputs-f32.npz").unlink()
    return outputs


if way == "right":
    np.savez(own, *probe(folder))
elif way == "scaled":
    np.savez(own, *(output * np.float16(1.05) for output in probe(folder)))
elif way == "swapped":
    other = folder / "swapped"
    shutil.copytree(folder, other)
    np.save(other / "images.npy", np.load(folder / "images.npy")[..., ::-1])
    outputs = probe(other)
    shutil.rmtree(other)
    np.savez(own, *outputs)
elif way == "segmentation fault":
    np.savez(own, *probe(folder))
    os.kill(os.getpid(), signal.SIGSEGV)
elif way == "division":
    os.kill(os.getpid(), signal.SIGFPE)
elif way == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
elif way == "status":
    print("to standard output")
    sys.stderr.write("a long way\nno such instruction\n")
    sys.exit(3)
elif way == "no word":
    sys.exit(4)
else:  # the right answer, taken from a file that the test wrote, and then spoilt
    with np.load(Path(__file__).with_name("right.npz")) as kept:
        maps, features = kept["arr_0"], kept["arr_1"]
    if way == "nan":
        features[3, 2] = np.nan
    elif way == "infinite":
        maps[0, 0, 0, 0] = np.inf
    elif way == "one image":
        features[7] = features[8]
    elif way == "zero":
        features[:] = 0
    outputs = {
        "shape": (maps.transpose(0, 3, 1, 2), features),
        "few images": (maps[:-1], features[:-1]),
        "one output": (features,),
        "order": (features, maps),
    }.get(way, (maps, features))
    if way != "no file":
        np.savez(own, *outputs)
    if way == "torn file":
        own.write_bytes(own.read_bytes()[:-40])
    if way == "empty file":
        own.write_bytes(b"")
    if way == "other file":
        own.write_bytes(b"what is this?")

said = {
    "garbage": "Segmentation? <no JSON here>",
    "other JSON": '["images_per_second"]',
    "no number": '{"images_per_second": null}',
    "nothing": "",
    "no text": "",
}.get(way, json.dumps({"images_per_second": 1e6 if way in ("right", "known") else 1e9}))
print("a warning of a library\n" + said if said else "")
if way == "no text":
    sys.stdout.buffer.write(bytes(range(128, 256)))
