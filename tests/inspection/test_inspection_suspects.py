"""Labels that are wrong, pictures unlike all others, classes that mirroring changes."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from mirada.data import Dataset, read
from mirada.inspection.findings import Finding
from mirada.inspection.glance import glance
from mirada.inspection.suspects import FEWEST, neighbours, suspect_findings, suspicion


def clusters(counts: tuple[int, ...], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features (N, 16), each class about a direction of its own, and the classes."""
    rng = np.random.default_rng(seed)
    ids = np.repeat(np.arange(len(counts)), counts)
    features = np.eye(16)[ids] + 0.08 * rng.standard_normal((len(ids), 16))
    return (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32), ids


def test_changed_labels_are_the_most_doubtful() -> None:
    features, ids = clusters((30, 30, 30))
    wrong = np.array([3, 40, 77])
    given = ids.copy()
    given[wrong] = (ids[wrong] + 1) % 3
    found = suspicion(features, given, 3)
    assert set(np.argsort(-found.doubt)[:3]) == set(wrong)
    assert found.other[wrong].tolist() == ids[wrong].tolist()
    assert found.doubt[wrong].min() > 0.5
    assert np.delete(found.doubt, wrong).max() < 0


def test_of_a_class_of_a_few_nothing_is_said() -> None:
    features, ids = clusters((30, 30, FEWEST - 1))
    found = suspicion(features, ids, 3)
    assert np.isnan(found.doubt[ids == 2]).all()
    assert not np.isnan(found.doubt[ids < 2]).any()
    alone = suspicion(features[:30], ids[:30], 3)
    assert np.isnan(alone.doubt).all()


def test_the_same_seed_gives_the_same() -> None:
    features, ids = clusters((20, 20, 20), seed=3)
    assert suspicion(features, ids, 3, seed=1).doubt.tolist() == suspicion(features, ids, 3, seed=1).doubt.tolist()


def found_in(dataset: Dataset) -> dict[str, Finding]:
    glances = [glance(sample) for sample in dataset.samples]
    return {finding.kind: finding for finding in suspect_findings(dataset, glances)[0]}


def test_wrong_labels_and_a_strange_picture_among_real_ones(
    tmp_path: Path, make_textures: Callable[[Path, int], Path]
) -> None:
    root = make_textures(tmp_path / "data", 15)
    (root / "dots" / "03.png").rename(root / "stripes" / "was-dots.png")
    (root / "checks" / "07.png").rename(root / "dots" / "was-checks.png")
    strange = Image.new("RGB", (96, 80), "white")
    ImageDraw.Draw(strange).text((10, 30), "page not found", fill="black")
    strange.save(root / "checks" / "strange.png")
    (root / "checks" / "broken.png").write_bytes(b"broken")
    found = found_in(read(root))
    labels = {item.keys[0]: re.sub(r" \(\d+%( likely)?\)", "", item.said) for item in found["label"].items}
    assert labels == {
        "stripes/was-dots.png": "'stripes', looks like 'dots'",
        "dots/was-checks.png": "'dots', looks like 'checks'",
    } | {key: said for key, said in labels.items() if key == "checks/strange.png"}
    assert found["unlike"].items[0].keys == ("checks/strange.png",)


def test_classes_that_mirroring_changes(tmp_path: Path, cuts: list[np.ndarray]) -> None:
    """Arrows to the left and to the right on photographs."""
    rng = np.random.default_rng(0)
    for number in range(90):
        for side in ("left", "right"):
            picture = Image.fromarray(cuts[number % len(cuts)][:120, :120])
            y = int(rng.integers(40, 80))
            tip, tail = (15, 105) if side == "left" else (105, 15)
            inner = 45 if side == "left" else 75
            pen = ImageDraw.Draw(picture)
            pen.line([(tail, y), (tip, y)], fill="red", width=9)
            pen.polygon([(tip, y), (inner, y - 28), (inner, y + 28)], fill="red")
            (tmp_path / "data" / side).mkdir(parents=True, exist_ok=True)
            picture.save(tmp_path / "data" / side / f"{number:03}.png")
    found = found_in(read(tmp_path / "data"))
    said = [item.said for item in found["mirror"].items]
    assert [text.split(" in ")[0] for text in said] == ["'left' becomes 'right'", "'right' becomes 'left'"]


def test_textures_are_the_same_mirrored(tmp_path: Path, make_textures: Callable[[Path, int], Path]) -> None:
    found = found_in(read(make_textures(tmp_path / "data", 15)))
    assert "mirror" not in found
    assert "label" not in found


def test_of_a_few_pictures_nothing_is_said(textures: Path, tmp_path: Path) -> None:
    for kind in ("dots", "stripes"):
        shutil.copytree(textures / kind, tmp_path / "data" / kind)
    dataset = read(tmp_path / "data")
    found, unlooked = suspect_findings(dataset, [glance(sample) for sample in dataset.samples])
    assert found == []
    assert "that takes 30 pictures" in unlooked[0]


def test_a_picture_without_a_label_is_no_neighbour() -> None:
    features, ids = clusters((25, 25, 25), seed=4)
    whole = suspicion(features, ids, 3)
    ids[5] = -1
    found = suspicion(features, ids, 3)
    assert np.isnan(found.doubt[5])
    assert np.isfinite(np.delete(found.doubt, 5)).all()
    assert np.abs(np.delete(found.doubt - whole.doubt, 5)).max() < 0.2


@pytest.mark.parametrize("count", [3, 11, 2_500])
def test_neighbours_are_those_of_a_sort(count: int) -> None:
    """Of equal ones any: their cosines are the same."""
    features, _ = clusters((count,), seed=1)
    features[1] = features[0]
    near, cosines = neighbours(features)
    all_of_them = features @ features.T
    np.fill_diagonal(all_of_them, -2)
    most = min(10, count - 1)
    assert near.shape == cosines.shape == (count, most)
    assert (near != np.arange(count)[:, None]).all()
    assert np.allclose(cosines, -np.sort(-all_of_them, axis=1)[:, :most], atol=1e-6)
    assert np.allclose(np.take_along_axis(all_of_them, near, 1), cosines, atol=1e-6)


def test_many_equal_pictures() -> None:
    features = np.tile(np.eye(1, 8, dtype=np.float32), (40, 1))
    near, cosines = neighbours(features)
    assert near.shape == (40, 10)
    assert (cosines == 1).all()


@pytest.mark.parametrize("missing", [0, 1])
def test_the_best_other_label_is_never_the_given_one(missing: int) -> None:
    features, ids = clusters((25, 25, 25), seed=missing)
    found = suspicion(features, ids, 4)
    assert (found.other != ids).all()
