"""`mirada check`: all that is wrong or odd with a data set, found without changing anything."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import cv2

from mirada.data import Dataset, read
from mirada.data.threads import map_samples
from mirada.errors import ImageError, UsageError
from mirada.inspection.files import file_findings
from mirada.inspection.findings import Finding
from mirada.inspection.glance import Glance, glance
from mirada.inspection.truth import truth_findings
from mirada.inspection.twins import twin_findings, twins
from mirada.progress import Progress, silent

__all__ = ["Report", "check"]

DEEP_UP_TO: Final = 5_000
"""Pictures up to which the features of a network are looked at unless told otherwise: about a minute."""


@dataclass(frozen=True)
class Report:
    """What was found.

    Attributes:
        dataset: what was looked at.
        findings: what must be mended first.
        is_deep: whether the features of a network were looked at, as far as that can be.
        notes: plain sentences, of what was read and of what was not looked at.
        formats: how many files of each format were read.
        sizes: the smallest, the median and the largest number of pixels along the longer side.
    """

    dataset: Dataset = field(repr=False)
    findings: tuple[Finding, ...]
    is_deep: bool
    formats: dict[str, int]
    sizes: tuple[int, int, int] | None
    notes: tuple[str, ...] = ()

    @property
    def must_be_mended(self) -> bool:
        """Whether something was found that must be mended."""
        return any(finding.weight == "mend" for finding in self.findings)

    def json(self) -> dict[str, Any]:
        """As plain values."""
        dataset = self.dataset
        parts = Counter(sample.part or "undivided" for sample in dataset.samples)
        return {
            "data": dataset.where,
            "kind": dataset.kind,
            "task": dataset.task,
            "images": len(dataset),
            "parts": dict(sorted(parts.items())),
            "classes": list(dataset.class_names),
            "formats": self.formats,
            "longer_side": self.sizes,
            "looked_deep": self.is_deep,
            "must_be_mended": self.must_be_mended,
            "notes": list(self.notes),
            "findings": [finding.json() for finding in self.findings],
        }


def check(
    data: str | os.PathLike[str] | Dataset,
    *,
    kind: str | None = None,
    deep: bool | None = None,
    progress: Progress = silent,
) -> Report:
    """Look at all of a data set, before anything is trained on it. Nothing is changed.

    Args:
        data: a folder, a CSV, JSON or YAML file, or a data set that was read.
        kind: how to read it, where it can be read in several ways; see `mirada.data.read`.
        deep: whether to look at the features of a network too, which finds labels that are probably wrong, pictures
            unlike all others, and classes that mirroring changes; None: up to 5,000 pictures.
        progress: told how far it is.

    Raises:
        DataError: it cannot be read at all.
        UsageError: a kind is given, and the data set was read already, or is of another.
    """
    if isinstance(data, Dataset):
        if kind is not None:
            raise UsageError(f"{data.where} was read already, as {data.kind}: a kind is given to mirada.read")
        dataset = data
    else:
        dataset = read(data, kind=kind, is_learnt_from=False, may_be_broken=True)
    is_deep = len(dataset) <= DEEP_UP_TO if deep is None else deep
    glances = _glances(dataset, progress)
    findings = file_findings(dataset, glances) + truth_findings(dataset, glances)
    with _each_in_its_thread():
        findings += twin_findings(dataset, twins(dataset, glances, progress))
    notes = list(dataset.notes)
    if is_deep:
        from mirada.inspection.suspects import suspect_findings

        suspected, unlooked = suspect_findings(dataset, glances, progress)
        findings += suspected
        notes += unlooked
    findings.sort(key=lambda finding: finding.weight != "mend")  # stable
    read_ones = [each for each in glances if isinstance(each, Glance)]
    sides = sorted(max(each.size_wh) for each in read_ones)
    formats = Counter(each.format or "array" for each in read_ones)
    return Report(
        dataset,
        tuple(findings),
        is_deep,
        dict(formats.most_common()),
        (sides[0], sides[len(sides) // 2], sides[-1]) if sides else None,
        tuple(notes),
    )


def _glances(dataset: Dataset, progress: Progress) -> Sequence[Glance | ImageError]:
    found: list[Glance | ImageError] = []
    with _each_in_its_thread(), closing(map_samples(glance, dataset.samples)) as looked:
        for each in looked:
            found.append(each)
            progress("reading images", len(found), len(dataset))
    return found


@contextmanager
def _each_in_its_thread() -> Iterator[None]:
    """OpenCV's own threads would get in the way of those that each do another picture."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
