"""A split on disk: which image went to which part, by name and by content, in JSON.

```
{"version": 1, "dataset": {"name": "pets", "kind": "class folders"}, "seed": 0, "fractions": {"val": 0.15, "test": 0.2},
 "class_names": ["cat", "dog"],
 "parts": {"train": [{"key": "cat/1.jpg", "label": "cat", "sha256": "9f..."}, ...], "val": [...], "test": [...]}}
```

A fraction is null where the source gave the part; a sha256 is null where the file could not be read.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mirada.data.samples import PARTS, Dataset, Part, Sample, some
from mirada.data.text import shown
from mirada.data.threads import map_samples
from mirada.errors import DataError, ImageError
from mirada.files import write_whole

__all__ = ["Changes", "Entry", "Fractions", "Manifest", "content_hashes", "read_manifest", "verify", "write_manifest"]

VERSION: Final = 1
SHA256: Final = re.compile(r"[0-9a-f]{64}")
SAID: Final = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Fractions:
    """What was asked for; None for a part that the source gave."""

    val: float | None
    test: float | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One sample: its key, `Sample.said` (the name of its class, or a hash of what else is said of it), and
    `Sample.content_hash()`, or None where it could not be read."""

    key: str
    label: str
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Manifest:
    """A split by name and content.

    Args:
        name, kind, class_names: as in `Dataset`.
        seed, fractions: what it was drawn with.
        parts: "train", "val" and "test" -> entries, in the order of the data set.
    """

    name: str
    kind: str
    seed: int
    fractions: Fractions
    class_names: tuple[str, ...]
    parts: Mapping[Part, tuple[Entry, ...]]


@dataclass(frozen=True, slots=True)
class Changes:
    """How a data set differs from a manifest, as keys. True where it differs; its text is a sentence or more.

    Args:
        gone: in the manifest, but no longer in the data set.
        new: in the data set, but not in the manifest.
        changed: in both, but with another content or label, or put by the source into another of val and test.
    """

    gone: tuple[str, ...]
    new: tuple[str, ...]
    changed: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.gone or self.new or self.changed)

    def __str__(self) -> str:
        named = (("gone", self.gone), ("new", self.new), ("changed", self.changed))
        sentences = [f"{len(keys):,} {what} ({some(keys)})" for what, keys in named if keys]
        return f"{', '.join(sentences)}." if sentences else "Nothing has changed."


def content_hashes(samples: Sequence[Sample]) -> list[str | None]:
    """`Sample.content_hash()` of each sample, by several threads; None where the file cannot be read."""
    return list(map_samples(_hash_or_none, samples))


def _hash_or_none(sample: Sample) -> str | None:
    try:
        return sample.content_hash()
    except ImageError:
        return None


def verify(dataset: Dataset, manifest: Manifest) -> Changes:
    """Compare a data set with the manifest of a split: names, contents and labels. Reads every file once."""
    entries = {entry.key: (part, entry) for part in PARTS for entry in manifest.parts[part]}
    hashes = content_hashes(dataset.samples)
    new, changed, met = [], [], set()
    for sample, content in zip(dataset.samples, hashes, strict=True):
        met.add(sample.key)
        if sample.key not in entries:
            new.append(sample.key)
            continue
        part, entry = entries[sample.key]
        if (sample.said(dataset.class_names), content) != (entry.label, entry.sha256) or sample.part not in (
            None,
            "train",
            part,
        ):
            changed.append(sample.key)
    gone = tuple(key for key in entries if key not in met)
    return Changes(gone, tuple(new), tuple(changed))


def write_manifest(manifest: Manifest, path: str | Path) -> None:
    """Write a manifest, one entry a line. The file appears complete or not at all, and replaces an earlier one.

    Raises DataError where it cannot be written.
    """
    path = Path(path)
    try:
        write_whole(_to_json(manifest).encode(), path)
    except OSError as error:
        raise DataError(f"{path}: the manifest cannot be written ({error.strerror}).") from error


def _to_json(manifest: Manifest) -> str:
    head = {
        "version": VERSION,
        "dataset": {"name": manifest.name, "kind": manifest.kind},
        "seed": manifest.seed,
        "fractions": {"val": manifest.fractions.val, "test": manifest.fractions.test},
        "class_names": manifest.class_names,
    }
    lines = ["{"]
    lines += [f"{json.dumps(name)}: {json.dumps(value)}," for name, value in head.items()]
    lines.append('"parts": {')
    for part in PARTS:
        entries = ",\n".join(
            json.dumps({"key": entry.key, "label": entry.label, "sha256": entry.sha256})
            for entry in manifest.parts[part]
        )
        lines.append(f'"{part}": [\n{entries}\n]{"" if part == PARTS[-1] else ","}')
    return "\n".join([*lines, "}", "}", ""])


def read_manifest(path: str | Path) -> Manifest:
    """Read a manifest. Every field is checked; nothing is guessed.

    Raises DataError with the place and what is wrong there.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: the manifest cannot be read ({error.strerror}).") from error
    return parse_manifest(content, path)


def parse_manifest(content: bytes, path: Path) -> Manifest:
    """The manifest that the content of a file is; see `read_manifest`.

    Args:
        path: of the file, for the errors.
    """
    try:
        loaded = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, or nested without end
        raise DataError(f"{path}: not a manifest of a split, because it is not JSON ({error}).") from error
    reader = _Reader(path)
    top = reader.mapping(loaded, "the file", {"version", "dataset", "seed", "fractions", "class_names", "parts"})
    if top["version"] != VERSION:
        raise DataError(
            f"{path}: the manifest has version {top['version']!r}; this mirada reads version {VERSION}. "
            "Use the mirada that wrote it, or divide the data set anew."
        )
    dataset = reader.mapping(top["dataset"], "dataset", {"name", "kind"})
    fractions = reader.mapping(top["fractions"], "fractions", {"val", "test"})
    names = tuple(
        reader.text(name, f"class_names[{i}]") for i, name in enumerate(reader.rows(top["class_names"], "class_names"))
    )
    if len(names) != len(set(names)):
        raise reader.wrong("class_names", "names without repetition", names)
    return Manifest(
        name=reader.text(dataset["name"], "dataset.name"),
        kind=reader.text(dataset["kind"], "dataset.kind"),
        seed=reader.seed(top["seed"]),
        fractions=Fractions(
            **{part: reader.fraction(fractions[part], f"fractions.{part}") for part in ("val", "test")}
        ),
        class_names=names,
        parts=_read_parts(reader, top["parts"], frozenset(names)),
    )


def _read_parts(reader: _Reader, loaded: object, class_names: frozenset[str]) -> dict[Part, tuple[Entry, ...]]:
    written = reader.mapping(loaded, "parts", set(PARTS))
    met: set[str] = set()
    parts: dict[Part, tuple[Entry, ...]] = {}
    for part in PARTS:
        entries = []
        for i, row in enumerate(reader.rows(written[part], f"parts.{part}")):
            entry = reader.entry(row, f"parts.{part}[{i}]", class_names)
            if entry.key in met:
                raise reader.wrong(f"parts.{part}[{i}].key", "a key that is nowhere else in the file", entry.key)
            met.add(entry.key)
            entries.append(entry)
        parts[part] = tuple(entries)
    return parts


@dataclass(frozen=True, slots=True)
class _Reader:
    """Checks of values that came out of a JSON file. Each names the place in its error."""

    path: Path

    def wrong(self, place: str, expected: str, found: object) -> DataError:
        return DataError(f"{self.path}: {place} must be {expected}, found {shown(found)}.")

    def mapping(self, value: object, place: str, names: set[str]) -> dict[str, Any]:
        if not isinstance(value, dict) or set(value) != names:
            raise self.wrong(place, f"an object with {some(sorted(names), most=9)}", value)
        return value

    def rows(self, value: object, place: str) -> list[Any]:
        if not isinstance(value, list):
            raise self.wrong(place, "a list", value)
        return value

    def text(self, value: object, place: str) -> str:
        if not isinstance(value, str) or not value:
            raise self.wrong(place, "a text", value)
        return value

    def seed(self, value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self.wrong("seed", "a whole number from 0", value)
        return value

    def fraction(self, value: object, place: str) -> float | None:
        if value is None:
            return None
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not (math.isfinite(value) and 0 <= value < 1)
        ):
            raise self.wrong(place, "a number from 0 to below 1, or null", value)
        return float(value)

    def entry(self, value: object, place: str, class_names: frozenset[str]) -> Entry:
        row = self.mapping(value, place, {"key", "label", "sha256"})
        label, content = self.text(row["label"], f"{place}.label"), row["sha256"]
        if label not in class_names and not SAID.fullmatch(label):
            raise self.wrong(f"{place}.label", "one of class_names, or a hash", label)
        if content is not None and not (isinstance(content, str) and SHA256.fullmatch(content)):
            raise self.wrong(f"{place}.sha256", "64 hexadecimal digits, or null", content)
        return Entry(self.text(row["key"], f"{place}.key"), label, content)
