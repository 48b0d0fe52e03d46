from __future__ import annotations

import dataclasses
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirada.data import Dataset, Part, Sample, read, split, split_as
from mirada.data.samples import class_labels
from mirada.data.split import shares
from mirada.errors import DataError, UsageError

Tree = Callable[[Iterable[str]], Path]
Row = tuple[str, Part | None, int]  # class, part, content


def dataset_of(rows: Iterable[Row]) -> Dataset:
    """A data set in memory: each row one grey sample whose pixels are its content, written in base 256."""
    rows = list(rows)
    labels = class_labels(name for name, _, _ in rows)
    samples = tuple(
        Sample(
            f"{name}/{index:04}", labels[name], part, array=np.frombuffer(content.to_bytes(4, "big"), np.uint8)[None]
        )
        for index, (name, part, content) in enumerate(rows)
    )
    return Dataset("made", None, "class folders", tuple(labels), samples)


def distinct(counts: dict[str, int], part: Part | None = None, start: int = 0) -> list[Row]:
    names = [name for name, count in counts.items() for _ in range(count)]
    return [(name, part, start + index) for index, name in enumerate(names)]


def by_class(dataset: Dataset, indices: Iterable[int]) -> Counter[str]:
    return Counter(label.name for index in indices if (label := dataset.samples[index].label) is not None)


def test_a_split_by_hand() -> None:
    dataset = dataset_of(distinct({"a": 20, "b": 40, "c": 3, "d": 2}))
    drawn = split(dataset, seed=3)
    # 65 pictures: test 13, val 9.75 -> 10. Quotas of test 4, 8, 0.6, 0.4; of val 3, 6, 0.45, 0.3.
    # c and d must give one to test (14 in all), and c one to val, which makes 10.
    assert by_class(dataset, drawn.test) == {"a": 4, "b": 8, "c": 1, "d": 1}
    assert by_class(dataset, drawn.val) == {"a": 3, "b": 6, "c": 1}
    assert by_class(dataset, drawn.train) == {"a": 13, "b": 26, "c": 1, "d": 1}
    assert (drawn.seed, drawn.fractions.val, drawn.fractions.test) == (3, 0.15, 0.2)
    assert drawn.notes == ("Classes without an image in val: 1 of 4, 'd'.",)
    for indices in drawn.parts.values():
        assert list(indices) == sorted(indices)


@pytest.mark.parametrize(
    ("sizes", "val", "test", "vals", "tests"),
    [
        # total 100 each: test 20.4 -> 20 from quotas 10.2, 6.8, 3.4; val 15.3 -> 15 from 7.65, 5.1, 2.55
        ([51, 34, 17], 0.15, 0.2, [8, 5, 2], [10, 7, 3]),
        ([10, 10, 10], 0.15, 0.2, [2, 2, 1], [2, 2, 2]),
        ([1000], 0.15, 0.2, [150], [200]),
        ([100], 0.29, 0.07, [29], [7]),
        ([1, 2, 3, 4], 0.15, 0.2, [0, 0, 1, 1], [0, 1, 1, 1]),
        ([1, 2, 3, 4], 0.0, 0.0, [0, 0, 0, 0], [0, 0, 0, 0]),
        ([3], 0.45, 0.45, [1], [1]),
        ([2], 0.15, 0.0, [0], [0]),
        ([10], 0.45, 0.52, [4], [5]),
        ([0], 0.15, 0.2, [0], [0]),
    ],
)
def test_shares(sizes: list[int], val: float, test: float, vals: list[int], tests: list[int]) -> None:
    found = shares(np.array(sizes), val=val, test=test)
    assert [each.tolist() for each in found] == [vals, tests]


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(0, 60), min_size=1, max_size=12),
    val=st.floats(0.01, 0.4),
    test=st.floats(0.01, 0.4),
)
def test_shares_are_within_one_of_the_fraction(sizes: list[int], val: float, test: float) -> None:
    vals, tests = shares(np.array(sizes), val=val, test=test)
    for size, in_val, in_test in zip(sizes, vals, tests, strict=True):
        assert abs(in_val - size * val) < 1 + 1e-6
        assert abs(in_test - size * test) < 1 + 1e-6
        assert in_val + in_test < size or size == in_val == in_test == 0
        assert in_test >= (size >= 2)
        assert in_val >= (size >= 3)
    # Where no class must give more than its quota, or cannot give it, the total is the rounded fraction of the whole.
    has_room = all(np.ceil(size * test) + in_val < size for size, in_val in zip(sizes, vals, strict=True))
    if min(sizes) * test >= 1 and has_room:
        assert tests.sum() == np.floor(sum(size * test for size in sizes) + 0.5)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([None], {"train": 26, "val": 6, "test": 8}),
        (["train"], {"train": 26, "val": 6, "test": 8}),
        (["train", "test"], {"train": 34, "val": 6, "test": 40}),
        (["train", "val"], {"train": 32, "val": 40, "test": 8}),
        (["train", "val", "test"], {"train": 40, "val": 40, "test": 40}),
        ([None, "test"], {"train": 34, "val": 6, "test": 40}),
    ],
)
def test_parts_that_the_source_gives_are_kept(parts: list[Part | None], expected: dict[str, int]) -> None:
    rows = [row for n, part in enumerate(parts) for row in distinct({"a": 20, "b": 20}, part, 1000 * n)]
    dataset = dataset_of(rows)
    drawn = split(dataset)
    assert {part: len(indices) for part, indices in drawn.parts.items()} == expected
    for index, sample in enumerate(dataset.samples):
        if sample.part in ("val", "test"):
            assert index in drawn.parts[sample.part]
    assert drawn.fractions.val == (None if "val" in parts else 0.15)
    assert drawn.fractions.test == (None if "test" in parts else 0.2)
    assert drawn.notes == ()


rows = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from([None, None, "train", "val", "test"]), st.integers(0, 25)),
    min_size=8,
    max_size=60,
).map(lambda drawn: [*distinct({"a": 3, "b": 3, "c": 3}, None, 100), *drawn])


@settings(max_examples=60, deadline=None)
@given(rows=rows, seed=st.integers(0, 2**32), order=st.randoms())
def test_what_holds_for_every_split(rows: list[Row], seed: int, order: random.Random) -> None:
    dataset = dataset_of(rows)
    drawn = split(dataset, seed=seed)

    every = sorted(index for indices in drawn.parts.values() for index in indices)
    assert every == list(range(len(dataset)))  # each sample in exactly one part

    part_of = {index: part for part, indices in drawn.parts.items() for index in indices}
    sides: dict[int, set[str]] = defaultdict(set)
    names: dict[int, set[str]] = defaultdict(set)
    for index, (name, part, content) in enumerate(rows):
        if part in ("val", "test"):
            assert part_of[index] == part
        else:
            sides[content].add(part_of[index])
            names[content].add(name)
    assert all(sides[content] == {"train"} for content in names if len(names[content]) > 1)  # contradictions stay
    assert all(len(parts) == 1 for parts in sides.values())  # copies never on two sides

    assert set(by_class(dataset, drawn.train)) == {"a", "b", "c"}
    assert split(dataset, seed=seed) == drawn

    shuffled = list(dataset.samples)
    order.shuffle(shuffled)
    again = split(dataclasses.replace(dataset, samples=tuple(shuffled)), seed=seed)
    for part in ("train", "val", "test"):
        assert {shuffled[i].key for i in again.parts[part]} == {dataset.samples[i].key for i in drawn.parts[part]}


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(2, 30), min_size=2, max_size=6),
    copies=st.integers(1, 3),
    seed=st.integers(0, 1000),
)
def test_the_fractions_count_distinct_pictures(sizes: list[int], copies: int, seed: int) -> None:
    names = "abcdef"[: len(sizes)]
    once = distinct(dict(zip(names, sizes, strict=True)))
    dataset = dataset_of(once * copies)
    drawn = split(dataset, seed=seed)
    in_test, in_val = by_class(dataset, drawn.test), by_class(dataset, drawn.val)
    for name, size in zip(names, sizes, strict=True):
        assert abs(in_test[name] / copies - size * 0.2) < 1
        assert abs(in_val[name] / copies - size * 0.15) < 1
        assert in_test[name] >= 1


def test_seeds_differ() -> None:
    dataset = dataset_of(distinct({"a": 50, "b": 50}))
    assert split(dataset, seed=1).test != split(dataset, seed=2).test


def test_fractions_of_nothing_make_no_part() -> None:
    drawn = split(dataset_of(distinct({"a": 5, "b": 5})), val=0, test=0)
    assert {part: len(indices) for part, indices in drawn.parts.items()} == {"train": 10, "val": 0, "test": 0}
    assert drawn.notes == ()


def test_copies_contradictions_and_leaks_are_noted() -> None:
    rows = [
        *distinct({"a": 9, "b": 9}, "train"),  # contents 0 to 17, keys a/0000 to b/0017
        ("a", "train", 0),  # a/0018: a copy of a/0000
        ("b", "train", 1),  # b/0019: the picture of a/0001 under another class
        *distinct({"a": 2, "b": 2}, "test", 100),  # a/0020, a/0021, b/0022, b/0023
        ("a", "test", 2),  # a/0024: also in train
    ]
    dataset = dataset_of(rows)
    drawn = split(dataset, val=0)
    assert {1, 19} <= set(drawn.train)
    assert drawn.notes == (
        "Images that are there more than once, byte for byte: 4, such as 'a/0000' and 'a/0018'. "
        "Copies were kept in the same part.",
        "Pictures that stand under more than one class: 1, such as 'a/0001' under 'a', 'b'. "
        "They stay in train: correct one of the labels.",
        "Images of test that are also in train, byte for byte: 1 of 5, such as 'a/0024' and 'a/0002'. "
        "A score on test will look better than it is.",
    )


def test_a_file_that_cannot_be_read_is_divided_all_the_same(tree: Tree) -> None:
    dataset = read(tree(f"{name}/{number}.jpg" for name in "ab" for number in range(4)))
    for gone in ("a/1.jpg", "b/3.jpg"):
        (tree([]) / gone).unlink()
    drawn = split(dataset)
    assert sorted(index for indices in drawn.parts.values() for index in indices) == list(range(8))
    assert drawn.notes == ("Files that could not be read, divided all the same: 'a/1.jpg', 'b/3.jpg'.",)
    hashes = {entry.key: entry.sha256 for entries in drawn.manifest.parts.values() for entry in entries}
    assert [key for key, content in hashes.items() if content is None] == ["a/1.jpg", "b/3.jpg"]


NEEDED = "At least two different ones are needed: add images, or remove the class."


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            distinct({"a": 3, "b": 1}),
            f"made: the class 'b' has only one image to learn from, 'b/0003'. {NEEDED}",
        ),
        (
            [*distinct({"a": 3, "b": 1}, "train"), *distinct({"b": 5}, "test", 10)],
            f"made: the class 'b' has only one image to learn from, 'b/0003'. {NEEDED}",
        ),
        (
            [*distinct({"a": 3}), ("b", None, 7), ("b", None, 7), ("b", None, 7)],
            f"made: the class 'b' has 3 images to learn from, but they are copies of one. {NEEDED}",
        ),
        (
            [*distinct({"a": 3}, "train"), *distinct({"b": 3}, "test", 10)],
            "made: test has classes that train lacks: 'b'. A model cannot know them: add them to train, or take them "
            "out of test.",
        ),
        (
            distinct({"a": 3}),
            "made: there is one class only, 'a'. A classifier needs at least two: add the images of another class.",
        ),
    ],
)
def test_classes_with_too_few_pictures(rows: list[Row], message: str) -> None:
    with pytest.raises(DataError) as caught:
        split(dataset_of(rows))
    assert str(caught.value) == message


def test_a_sample_without_label() -> None:
    dataset = dataset_of(distinct({"a": 3, "b": 3}))
    samples = (*dataset.samples, Sample("x", None, array=np.full((1, 1), 9, np.uint8)))
    with pytest.raises(DataError) as caught:
        split(dataclasses.replace(dataset, samples=samples))
    assert str(caught.value) == "made: 'x' has no label, so it cannot be divided by class."


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"val": -0.1}, "val=-0.1: a fraction lies from 0 to below 1, such as 0.15."),
        ({"test": 1.0}, "test=1.0: a fraction lies from 0 to below 1, such as 0.15."),
        ({"val": float("nan")}, "val=nan: a fraction lies from 0 to below 1, such as 0.15."),
        (
            {"val": 0.5, "test": 0.5},
            "val=0.5 and test=0.5 leave nothing for train: their sum must be below 1.",
        ),
        ({"seed": -1}, "seed=-1: a seed is a whole number from 0."),
    ],
)
def test_requests_that_cannot_be_met(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        split(dataset_of(distinct({"a": 3, "b": 3})), **arguments)  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_a_split_is_repeated_from_its_manifest() -> None:
    dataset = dataset_of(distinct({"a": 20, "b": 20}))
    drawn = split(dataset, seed=5)
    backwards = dataclasses.replace(dataset, samples=dataset.samples[::-1])
    again = split_as(backwards, drawn.manifest)
    for part in ("train", "val", "test"):
        keys = {backwards.samples[index].key for index in again.parts[part]}
        assert keys == {dataset.samples[index].key for index in drawn.parts[part]}

    with pytest.raises(DataError) as caught:
        split_as(dataclasses.replace(dataset, samples=dataset.samples[1:]), drawn.manifest)
    assert str(caught.value) == "made is not the data set that was divided: 1 gone ('a/0000'). Divide it anew."
