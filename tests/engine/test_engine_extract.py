"""Samples -> rows. The engine here is made for the tests: it counts what it is given, and its answer is a few sums."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from mirada.data import Sample
from mirada.engine import Engine, Program
from mirada.engine.engine import Outputs, Tag
from mirada.engine.extract import Extracted, extract
from mirada.engine.kept import Kept, Layout
from mirada.errors import ImageError
from mirada.image import Preparation
from mirada.image.policy import POLICIES

Paint = Callable[[str, int], NDArray[np.uint8]]

PREPARATION = Preparation((24, 20), "crop", 1.3, mean=(0.5,) * 3, std=(0.5,) * 3)
LAYOUT: Layout = (((5, 6, 3), "<f2"), ((3,), "<f4"))
AHEAD = 3


def _sums(pixels: NDArray[np.uint8]) -> Outputs:
    """The means of 4 x 4 squares, and weighted sums of the picture: other pixels give other sums."""
    squares = pixels.reshape(5, 4, 6, 4, 3).mean(axis=(1, 3))
    places = np.arange(pixels.size).reshape(pixels.shape)
    return squares.astype(np.float16), (pixels * np.sin(places)).sum(axis=(0, 1)).astype(np.float32)


class Counting(Engine):
    """Keeps some images on their way, as the real ones do."""

    def __init__(self) -> None:
        super().__init__(Program("sums", {}, PREPARATION, _no_network))
        self.calls = 0

    def stream(self, items: Iterable[tuple[Tag, NDArray[np.uint8] | None]]) -> Iterator[tuple[Tag, Outputs | None]]:
        waiting: deque[tuple[Tag, Outputs]] = deque()
        for tag, pixels in items:
            assert pixels is not None
            assert pixels.shape == (20, 24, 3)
            self.calls += 1
            waiting.append((tag, _sums(pixels)))
            if len(waiting) == AHEAD:
                yield waiting.popleft()
        yield from waiting


def _no_network() -> None:
    raise AssertionError("nothing needs the network")


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory, paint: Paint) -> list[Sample]:
    """Twelve pictures: files, arrays in colour, and grey arrays."""
    folder, made = tmp_path_factory.mktemp("pictures"), list[Sample]()
    for number in range(12):
        picture, key = paint(("checks", "dots", "stripes")[number % 3], number)[: 60 + number], f"{number}.png"
        if number % 4 < 2:
            Image.fromarray(picture).save(folder / key)
            made.append(Sample(key, None, path=folder / key))
        else:
            made.append(Sample(key, None, array=picture if number % 4 == 2 else picture[:, :, 0].copy()))
    return made


def _contents(samples: Sequence[Sample]) -> list[str]:
    return [sample.content_hash() for sample in samples]


def _extracted(folder: Path, samples: Sequence[Sample], views: int = 3, seed: int = 0) -> tuple[Extracted, list[bytes]]:
    """What came of it, and the bytes of every row by sample and view."""
    with Kept(folder, LAYOUT) as kept:
        found = extract(Counting(), samples, _contents(samples), PREPARATION, kept, views=range(views), seed=seed)
        places = found.places.ravel()
        rows = [a.tobytes() + b.tobytes() for a, b in zip(kept.read(places, 0), kept.read(places, 1), strict=True)]
    return found, rows


def test_places_are_rows_in_the_order_of_the_samples(tmp_path: Path, samples: list[Sample]) -> None:
    found, rows = _extracted(tmp_path, samples)
    assert found.places.tolist() == np.arange(36).reshape(12, 3).tolist()
    assert found.places.dtype == np.int64
    assert found.failures == ()
    assert len(set(rows)) == 36  # every view of every picture is another


def test_view_0_is_the_prepared_picture(tmp_path: Path, samples: list[Sample]) -> None:
    """Also of another framing than the engine's own."""
    framed = Preparation((24, 20), "pad", mean=(0.1,) * 3, std=(0.2,) * 3)
    with Kept(tmp_path, LAYOUT) as kept:
        found = extract(Counting(), samples, _contents(samples), framed, kept, views=range(2))
        for sample, (first, second) in zip(samples, found.places, strict=True):
            maps, sums = _sums(framed.pixels(sample.image()))
            assert kept.read(np.array([first]), 0)[0].tobytes() == maps.tobytes()
            assert kept.read(np.array([first]), 1)[0].tobytes() == sums.tobytes()
            assert kept.read(np.array([second]), 1)[0].tobytes() != sums.tobytes()


@settings(max_examples=15)
@given(data=st.data())
def test_rows_depend_on_nothing_but_the_image(
    tmp_path_factory: pytest.TempPathFactory, samples: list[Sample], data: st.DataObject
) -> None:
    """Not on the other images, their order, how many views are taken, nor on what an image is called."""
    chosen = data.draw(st.lists(st.integers(0, 11), min_size=1, unique=True))
    views = data.draw(st.integers(1, 3))
    _, all_rows = _extracted(tmp_path_factory.mktemp("all"), samples)
    renamed = [Sample(f"as {i}", None, path=samples[i].path, array=samples[i].array) for i in chosen]
    _, rows = _extracted(tmp_path_factory.mktemp("some"), renamed, views)
    assert rows == [all_rows[3 * i + view] for i in chosen for view in range(views)]


def test_another_seed_gives_other_views_of_the_same_picture(tmp_path: Path, samples: list[Sample]) -> None:
    _, rows = _extracted(tmp_path / "0", samples, seed=0)
    _, others = _extracted(tmp_path / "1", samples, seed=1)
    assert rows[::3] == others[::3]
    assert not set(rows[1::3] + rows[2::3]) & set(others)


def test_another_policy_gives_other_views_of_the_same_picture(tmp_path: Path, samples: list[Sample]) -> None:
    """The first view is the same by all of them; by "none" all are alike."""
    found = {}
    for name in ("light", "strong", "none"):
        with Kept(tmp_path / name, LAYOUT) as kept:
            policy = POLICIES[name]
            places = extract(
                Counting(), samples, _contents(samples), PREPARATION, kept, views=range(3), policy=policy
            ).places
            found[name] = [kept.read(places[:, view], 1).tobytes() for view in range(3)]
    assert found["light"][0] == found["strong"][0] == found["none"][0]
    assert len({*found["light"][1:], *found["strong"][1:]}) == 4
    assert found["none"][1] == found["none"][2]


def test_what_is_kept_is_not_run_again(tmp_path: Path, samples: list[Sample]) -> None:
    told: list[tuple[int, int | None]] = []

    def run(chosen: Sequence[Sample], views: int) -> tuple[int, list[list[int]]]:
        engine = Counting()
        told.clear()
        with Kept(tmp_path, LAYOUT) as kept:
            found = extract(
                engine,
                chosen,
                _contents(chosen),
                PREPARATION,
                kept,
                views=range(views),
                progress=lambda stage, done, total, note="": told.append((done, total)),
            )
        return engine.calls, found.places.tolist()

    assert run(samples[:5], 1) == (5, [[i] for i in range(5)])
    assert told == [(i, 5) for i in range(1, 6)]
    assert run(samples[:5], 1) == (0, [[i] for i in range(5)])
    assert told == []
    calls, places = run(samples[3:8], 2)
    assert calls == 5 * 2 - 2
    assert [place for place, _ in places[:2]] == [3, 4]
    assert told == [(i, 8) for i in range(1, 9)]
    assert run(samples[3:8][::-1], 2) == (0, places[::-1])


@pytest.mark.parametrize("stop", [1, 7, 29])
def test_interrupted_and_run_again_it_ends_with_the_same_rows(tmp_path: Path, samples: list[Sample], stop: int) -> None:
    def interrupt(stage: str, done: int, total: int | None, note: str = "") -> None:
        if done == stop:
            raise KeyboardInterrupt

    _, right = _extracted(tmp_path / "whole", samples)
    engine = Counting()
    with Kept(tmp_path / "parts", LAYOUT) as kept:
        with pytest.raises(KeyboardInterrupt):
            extract(engine, samples, _contents(samples), PREPARATION, kept, views=range(3), progress=interrupt)
        assert len(kept) == stop
    assert engine.calls <= stop + AHEAD
    again = Counting()
    with Kept(tmp_path / "parts", LAYOUT) as kept:
        found = extract(again, samples, _contents(samples), PREPARATION, kept, views=range(3))
        assert len(kept) == 36
    assert again.calls == 36 - stop
    assert found.places.min() == 0
    assert _extracted(tmp_path / "parts", samples)[1] == right


@pytest.fixture
def spoilt(tmp_path: Path, samples: list[Sample]) -> list[Sample]:
    """Of seven samples three cannot be read: no picture, cut short, and gone."""
    (tmp_path / "text.png").write_text("no picture")
    assert samples[0].path is not None
    (tmp_path / "short.png").write_bytes(samples[0].path.read_bytes()[:200])
    bad = [Sample(name, None, path=tmp_path / name) for name in ("text.png", "short.png", "gone.png")]
    return [bad[0], samples[0], samples[1], bad[1], samples[2], bad[2], samples[3]]


def _readable_contents(samples: Sequence[Sample]) -> list[str | None]:
    return [None if sample.path and not sample.path.exists() else sample.content_hash() for sample in samples]


def test_what_cannot_be_read_is_told_and_has_no_place(tmp_path: Path, spoilt: list[Sample]) -> None:
    engine = Counting()
    with Kept(tmp_path / "kept", LAYOUT) as kept:
        found = extract(engine, spoilt, _readable_contents(spoilt), PREPARATION, kept, views=range(2))
        assert found.places.tolist() == [[-1, -1], [0, 1], [2, 3], [-1, -1], [4, 5], [-1, -1], [6, 7]]
        assert [error.name for error in found.failures] == ["text.png", "short.png", "gone.png"]
        assert all(isinstance(error, ImageError) for error in found.failures)
        assert engine.calls == len(kept) == 8
        right = [_sums(PREPARATION.pixels(sample.image()))[1] for sample in (spoilt[1], spoilt[6])]
        assert np.array_equal(kept.read(np.array([0, 6]), 1), right)
        again = extract(engine, spoilt, _readable_contents(spoilt), PREPARATION, kept, views=range(2))
        assert engine.calls == 8
    assert np.array_equal(again.places, found.places)
    assert [str(error) for error in again.failures] == [str(error) for error in found.failures]


def test_the_last_word_of_the_progress_is_that_all_is_done(tmp_path: Path, spoilt: list[Sample]) -> None:
    """What cannot be read is done as well: no bar stands still before its end."""
    told: list[tuple[str, int, int | None]] = []

    def listen(stage: str, done: int, total: int | None, note: str = "") -> None:
        told.append((stage, done, total))

    with Kept(tmp_path / "kept", LAYOUT) as kept:
        contents = _readable_contents(spoilt)
        extract(Counting(), spoilt, contents, PREPARATION, kept, views=range(2), stage="looking", progress=listen)
    assert {stage for stage, _, _ in told} == {"looking"}
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    assert told[-1][1] == told[-1][2]


def test_equal_pictures_share_rows(tmp_path: Path, samples: list[Sample]) -> None:
    twins = [Sample(f"twin {i}", None, path=samples[0].path) for i in range(3)]
    mixed = [twins[0], samples[1], twins[1], samples[2], twins[2]]
    with Kept(tmp_path, LAYOUT) as kept:
        found = extract(Counting(), mixed, _contents(mixed), PREPARATION, kept, views=range(2))
        assert len(kept) == 3 * 2
        assert found.places[0].tolist() == found.places[2].tolist() == found.places[4].tolist()
        assert len(np.unique(found.places[[0, 1, 3]])) == 6
        right = _sums(PREPARATION.pixels(samples[2].image()))[1]
        assert kept.read(found.places[3, :1], 1)[0].tobytes() == right.tobytes()


def test_equal_pictures_that_cannot_be_read_fail_each(tmp_path: Path, spoilt: list[Sample]) -> None:
    twins = [Sample(f"twin {i}", None, path=spoilt[0].path) for i in range(2)]
    with Kept(tmp_path / "kept", LAYOUT) as kept:
        found = extract(Counting(), twins, _contents(twins), PREPARATION, kept)
    assert found.places.tolist() == [[-1], [-1]]
    assert [error.name for error in found.failures] == ["twin 0", "twin 1"]


def test_no_samples(tmp_path: Path) -> None:
    engine = Counting()
    with Kept(tmp_path, LAYOUT) as kept:
        found = extract(engine, [], [], PREPARATION, kept, views=range(2))
    assert found.places.shape == (0, 2)
    assert (found.failures, engine.calls) == ((), 0)
