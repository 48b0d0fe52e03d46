"""What makes two trainings the same, so that one goes on where the other was interrupted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from mirada.arch import Architecture
from mirada.backbone import Backbone
from mirada.errors import UsageError
from mirada.learn.job import Job
from mirada.version import __version__

__all__ = ["check_same", "key_of"]

MOST: Final = 5
"""Differences that are named."""
LONGEST: Final = 40
"""Letters of the values that are shown."""


def key_of(job: Job, source: Architecture | Backbone, options: Mapping[str, Any]) -> str:
    """The images in their parts, the network, the options, the seed and the version, as JSON."""
    images = {
        part: [(entry.key, entry.label, entry.sha256) for entry in entries]
        for part, entries in job.parts.manifest.parts.items()
    }
    content = {
        "images": hashlib.sha256(json.dumps(images, sort_keys=True).encode()).hexdigest(),
        "network": source.name,
        "seed": job.seed,
        "version of mirada": __version__,
        **options,
    }
    return json.dumps(content, sort_keys=True)


def check_same(place: Path, kept: str, key: str) -> None:
    """Refuse to go on with what another training has kept.

    Args:
        place: where it is.
        kept: the key of what is there.
        key: of the training that would go on.

    Raises:
        UsageError: they differ; says in what.
    """
    if kept == key:
        return
    try:
        names = list(_differences(json.loads(kept), json.loads(key)))
        differing = ", ".join(names[:MOST]) + (f" and {len(names) - MOST} more" if len(names) > MOST else "")
    except ValueError:  # of an earlier version
        differing = "images or options"
    raise UsageError(
        f"{place} holds an unfinished training, which differs in {differing}: give the same again to go on with it, "
        "another name with -o to begin anew, or move it away"
    )


def _differences(kept: Any, now: Any, name: str = "") -> Iterator[str]:
    """The names of the values that are not the same, with both where they are short."""
    if isinstance(kept, dict) and isinstance(now, dict):
        for key in sorted({*kept, *now}):
            if kept.get(key) != now.get(key):
                yield from _differences(kept.get(key), now.get(key), key.replace("_", " "))
        return
    both = f"{_short(kept)} there, {_short(now)} here"
    yield f"{name} ({both})" if len(both) <= LONGEST else name


def _short(value: object) -> str:
    return "none" if value is None else str(value)
