"""Groups of copies: how pairs are proposed and joined, and the whole way over files."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_sample_images

from mirada.errors import UsageError
from mirada.search import cells, index, lookup, open_index
from mirada.search.similar import alike_by_look, grouped


def test_hashes_that_share_a_quarter_are_proposed() -> None:
    looks = np.random.default_rng(0).integers(0, 256, (50, 8), np.uint8)
    looks[7] = looks[3]
    looks[7, 0] ^= 0b101
    looks[9] = looks[3]
    looks[9, ::2] ^= 1  # one bit in each quarter: not found
    assert alike_by_look(looks) == {(3, 7)}


def test_groups_by_hand() -> None:
    contents = ["a", "b", "a", "c", "d", "e", "f"]
    sure = {(0, 1): 0.95, (1, 3): 0.6, (0, 3): 0.97, (4, 5): 0.5, (5, 6): 0.2}
    asked = []

    def judge(i: int, j: int) -> float:
        asked.append((i, j))
        return sure[i, j]

    pairs = [(1, 2), (1, 3), (0, 3), (4, 5), (5, 6), (0, 2)]
    found = grouped(contents, pairs, judge, 0.5)
    # 2 has the content of 0, so 0 is asked about; 3 hangs on 0 (0.97), 1 on 0 (0.95), not on 3 (0.6)
    assert found == [((0, 1, 2, 3), "same picture", 0.95), ((4, 5), "same picture", 0.5)]
    assert sorted(asked) == [(0, 1), (0, 3), (1, 3), (4, 5), (5, 6)]
    assert grouped(contents, [], judge, 0.5) == [((0, 2), "same file", 1.0)]


@given(
    st.integers(2, 9).flatmap(
        lambda n: st.tuples(
            st.lists(st.sampled_from("abcdefgh"), min_size=n, max_size=n),
            st.dictionaries(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), st.floats(0, 1), max_size=20),
        )
    )
)
def test_groups_are_apart_and_each_as_sure_as_its_weakest_link(given_: tuple[list[str], dict]) -> None:
    contents, drawn = given_
    leaders = [contents.index(content) for content in contents]
    sure = {
        tuple(sorted((leaders[i], leaders[j]))): value for (i, j), value in drawn.items() if leaders[i] != leaders[j]
    }
    found = grouped(contents, sure, lambda i, j: sure[i, j], 0.3)
    members = [place for places, _, _ in found for place in places]
    assert len(members) == len(set(members))
    for places, kind, certainty in found:
        assert (kind == "same file") == (len({contents[place] for place in places}) == 1)
        limits = {certainty, *(value for value in sure.values() if value >= 0.3)}

        def reached(limit: float, start: int = places[0]) -> set[int]:
            seen, ahead = {start}, [start]
            while ahead:
                at = ahead.pop()
                near = {j for pair, value in sure.items() if value >= limit and leaders[at] in pair for j in pair}
                near |= {place for place, leader in enumerate(leaders) if leader in near | {leaders[at]}}
                ahead += near - seen
                seen |= near
            return seen

        assert reached(max(certainty, 0.3)) == set(places)
        if kind != "same file":
            assert all(reached(limit) != set(places) for limit in limits if limit > certainty)


@pytest.fixture
def place(tmp_path: Path) -> str:
    """In a folder only: what is told of files does not depend on where the index is."""
    return str(tmp_path / "index")


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """Two photographs, what became of these, and noise."""
    photos = tmp_path / "photos"
    photos.mkdir()
    one, other = load_sample_images().images
    for number in range(20):
        noise = np.random.default_rng(number).integers(0, 256, (20, 30, 3), np.uint8)
        Image.fromarray(noise).resize((150, 100)).save(photos / f"noise-{number}.png")
    made = {
        "one.png": one,
        "other.png": other,
        "one-small.png": cv2.resize(one, (160, 107), interpolation=cv2.INTER_AREA),
        "one-cut.png": one[40:400, 100:600],
        "one-dark.png": (one * 0.6).astype(np.uint8),
    }
    for name, picture in made.items():
        Image.fromarray(picture).save(photos / name)
    shutil.copy(photos / "other.png", photos / "other-again.png")
    return photos


@pytest.mark.parametrize("is_large", [False, True])
def test_copies_are_found_and_nothing_else(
    copied: Path, place: str, is_large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_large:
        monkeypatch.setattr(lookup, "IN_MEMORY", 10_000)
        monkeypatch.setattr(cells, "PER_CELL", 10)
    groups = index(copied, place).similar(certainty=0.9)
    found = [(group.kind, {Path(path).name for path in group.paths}) for group in groups]
    assert found[0] == ("same file", {"other.png", "other-again.png"})
    assert found[1] == ("same picture", {"one.png", "one-small.png", "one-cut.png", "one-dark.png"})
    assert groups[0].certainty == 1
    assert groups[1].certainty >= 0.9
    assert len(found) == 2


def test_files_that_are_gone_are_compared_by_content(copied: Path, place: str) -> None:
    index(copied, place)
    for path in copied.glob("*.png"):
        os.unlink(path)  # noqa: PTH108
    assert [group.kind for group in open_index(place).similar()] == ["same file"]


def test_a_certainty_that_is_none(textures_index) -> None:
    with pytest.raises(UsageError, match="the certainty must lie between 0 and 1, got 2"):
        textures_index.similar(certainty=2)
