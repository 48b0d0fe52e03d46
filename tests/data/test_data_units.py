from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mirada.annotations import Label
from mirada.data import Dataset, Sample
from mirada.data.units import Unit, groups_of, shared_out, units
from mirada.errors import UsageError

FRACTIONS = (0.65, 0.15, 0.2)


def keyed(*keys: str, cells: Sequence[dict[str, str]] = (), names: Sequence[str] = ("a",)) -> Dataset:
    """A data set of samples with these keys; the class of a sample is the first letter of its key."""
    samples = tuple(
        Sample(key, Label(key[0], sorted(names).index(key[0])), array=np.zeros((1, 1), np.uint8), cells=own)
        for key, own in zip(keys, cells or [{}] * len(keys), strict=True)
    )
    return Dataset("made", None, "CSV", tuple(sorted(names)), samples)


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ("patient", ["p1", None, "p1"]),
        ("Patient", UsageError),  # as the table spells it
        (r"_(\d+)_", ["17", "17", None]),
        (r"a_\d", ["a_1", "a_1", "a_3"]),
        (r"(?:a)_(\d)(\d)", ["1", "1", None]),
        (r"b|(x)?", UsageError),  # finds nothing but nothing
        ("nowhere", UsageError),
        ("(", UsageError),
    ],
)
def test_groups(group: str, expected: list[str | None] | type[UsageError]) -> None:
    cells = [{"patient": "p1"}, {"patient": ""}, {"patient": "p1"}]
    dataset = keyed("a_17_1.jpg", "a_17_2.jpg", "a_3", cells=cells)
    if isinstance(expected, list):
        assert groups_of(dataset, group) == expected
    else:
        with pytest.raises(UsageError):
            groups_of(dataset, group)


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ("(", "group='(' is no column of made, and no regular expression (missing ), unterminated subpattern at "
         "position 0)."),
        ("x", "group='x' is no column of made, and finds nothing in the names, such as 'a1'."),
    ],
)  # fmt: skip
def test_groups_that_cannot_be_found(group: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        groups_of(keyed("a1", "a2"), group)
    assert str(caught.value) == message


def test_copies_and_groups_chain() -> None:
    dataset = keyed("a0", "b1", "a2", "a3", "b4", "a5", names="ab")
    contents = ["x", "y", "x", "z", "y", None]
    groups = ["g", "g", None, None, "h", "h"]
    # 0 and 2 are copies, 1 and 4 too; 0 and 1 are a group, 4 and 5 too: all but 3 are one unit
    assert units(dataset, range(6), contents, groups) == [
        Unit((0, 2, 5, 1, 4), 3, (0, 1), (2, 1)),  # three distinct pictures: x, y and the one that cannot be read
        Unit((3,), 1, (0,), (1,)),
    ]
    assert units(dataset, [1, 2, 4], contents) == [Unit((2,), 1, (0,), (1,)), Unit((1, 4), 1, (1,), (1,))]


def test_copies_under_two_classes_contradict() -> None:
    dataset = keyed("a0", "b1", "a2", names="ab")
    assert [unit.is_contradicted for unit in units(dataset, range(3), ["x", "x", "y"])] == [True, False]
    grouped = units(dataset, range(3), ["x", "y", "z"], ["g", "g", "g"])
    assert [unit.is_contradicted for unit in grouped] == [False]  # pictures of a group may differ


def ones(has: NDArray[np.bool_]) -> list[Unit]:
    """Units of one picture each: (N, classes), which has which class."""
    return [Unit((i,), 1, tuple(np.flatnonzero(row).tolist()), (1,) * int(row.sum())) for i, row in enumerate(has)]


def table(part: NDArray[np.int64], counts: NDArray[np.generic]) -> NDArray[np.float64]:
    """(parts, classes) how many pictures of each class each part has."""
    return np.array([counts[part == p].sum(axis=0) for p in range(3)], float)


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.integers(10, 300), st.integers(1, 12))
def test_every_class_has_its_share_in_every_part(seed: int, images: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    has = rng.random((images, classes)) < rng.uniform(0.02, 0.6, classes)
    part = shared_out(ones(has), classes, FRACTIONS, np.random.default_rng(seed))
    found = table(part, np.column_stack([has, np.ones(images, int)]))
    wanted = np.outer(FRACTIONS, [*has.sum(axis=0), images])
    # Whole pictures cannot do better than half a picture; one of several classes is a compromise between these. Of
    # 14,322 random sets the farthest was 3.05 pictures of a class away, and 4.9 of all.
    apart = np.abs(found - wanted)
    assert apart[:, :-1].max() <= 4
    assert apart[:, -1].max() <= 6
    by_chance = np.mean([np.abs(table(rng.permutation(part), has) - wanted[:, :-1]).mean() for _ in range(10)])
    if images >= 100 and classes >= 3:
        assert np.abs(found - wanted)[:, :-1].mean() < 0.5 * by_chance
    in_train = has[part == 0].any(axis=0)
    assert in_train[has.sum(axis=0) > 1].all()


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(20, 80))
def test_groups_are_shared_out_as_nearly_as_they_allow(seed: int, groups: int) -> None:
    rng = np.random.default_rng(seed)
    sizes, classes = rng.integers(1, 12, groups), rng.integers(0, 3, groups)
    made = [
        Unit(tuple(range(i * 100, i * 100 + n)), int(n), (int(c),), (int(n),))
        for i, (n, c) in enumerate(zip(sizes, classes, strict=True))
    ]
    part = shared_out(made, 3, FRACTIONS, np.random.default_rng(seed))
    counts = np.zeros((groups, 3))
    counts[np.arange(groups), classes] = sizes
    found, wanted = table(part, counts), np.outer(FRACTIONS, counts.sum(axis=0))
    # A part that is nearer than the largest group of a class: no whole group can be off by more.
    assert (np.abs(found - wanted) <= counts.max(axis=0) + 1e-9).all()


def test_contradictions_stay_in_the_first_part() -> None:
    made = [Unit((i,), 1, (i % 2,), (1,), is_contradicted=i < 30) for i in range(60)]
    for seed in range(5):
        part = shared_out(made, 2, FRACTIONS, np.random.default_rng(seed))
        assert (part[:30] == 0).all()
        assert np.bincount(part, minlength=3).tolist() == [39, 9, 12]


def test_a_part_of_nothing_gets_nothing() -> None:
    has = np.random.default_rng(0).random((50, 6)) < 0.5
    part = shared_out(ones(has), 6, (0.8, 0.0, 0.2), np.random.default_rng(0))
    assert np.bincount(part, minlength=3).tolist() == [40, 0, 10]


def test_a_class_of_two_units_is_in_the_first_part() -> None:
    big = [Unit((i,), 50, (0,), (50,)) for i in range(2)]
    small = [Unit((i,), 1, (1,), (1,)) for i in range(2, 4)]
    for seed in range(10):
        part = shared_out([*big, *small], 2, (0.2, 0.4, 0.4), np.random.default_rng(seed))
        assert 0 in part[:2]
        assert 0 in part[2:]


def test_pictures_without_a_class_are_shared_out_too() -> None:
    part = shared_out([Unit((i,), 1, (), ()) for i in range(100)], 3, FRACTIONS, np.random.default_rng(0))
    assert np.bincount(part).tolist() == [65, 15, 20]
    assert len(shared_out([], 3, FRACTIONS, np.random.default_rng(0))) == 0
