"""What every benchmark writes down: the machine, the versions, the runs."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
import time
from datetime import date
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PACKAGES = (
    *("mirada", "torch", "openvino", "timm", "numpy", "scipy", "pillow", "simplejpeg", "lancedb", "pyarrow"),
    "scikit-learn",
)
"""Whose versions decide speed."""


def machine() -> dict[str, Any]:
    """The processor, its count of cores, and the versions that decide speed."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
    }


def write_result(name: str, content: dict[str, Any]) -> Path:
    """Save a result as results/NAME.json."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    text = json.dumps({"name": name, "date": date.today().isoformat(), "machine": machine(), **content}, indent=2)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def timed(command: list[str], **options: Any) -> tuple[float, dict[str, Any]]:
    """Wall seconds of a process, and the JSON it prints; options of `subprocess.run`."""
    begin = time.perf_counter()
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **options).stdout
    return time.perf_counter() - begin, json.loads(out)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    values = {key.strip(): value.strip() for key, value in fields.items()}
    name = values.get("model name", platform.machine())
    return f"{name} {'with native' if 'avx512_bf16' in values.get('flags', '') else 'without'} bf16"
