"""What is found: against vectors and places compared by hand, by every kind of query, and what is refused."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mirada.errors import DataError, ImageError, UsageError
from mirada.image import decode
from mirada.search import Embedding, Index, index, open_index
from mirada.search.likeness import WEIGHT
from mirada.search.table import FORMAT, Table


def names(hits) -> list[str]:
    return ["/".join(Path(hit.path).parts[-2:]) for hit in hits]


def test_like_finds_like(textures: Path, textures_index: Index) -> None:
    for kind in ("dots", "stripes", "checks"):
        hits = textures_index.search(textures / kind / "03.png", k=5)
        assert Counter(hit.label for hit in hits) == {kind: 5}
        assert f"{kind}/03.png" not in names(hits)  # an image of the index is no hit of its own


def test_likeness_is_the_mean_of_vectors_and_places(textures: Path, textures_index: Index) -> None:
    """Formulas written anew, with the numbers of the network in full."""
    one, other = (decode(textures / "dots" / name) for name in ("00.png", "07.png"))
    a, b = textures_index.embedder.see([one, other])
    assert a.places is not None
    assert b.places is not None
    line = np.exp(-0.5 * (np.linspace(-1, 1, 7) / 0.6) ** 2)
    weights = np.outer(line, line).ravel()
    best = [max(float(x @ y) for y in b.places) for x in a.places]
    right = (float(a.vector @ b.vector) + WEIGHT * float(weights @ best / weights.sum())) / (1 + WEIGHT)
    hits = textures_index.search(one, k=30)
    found = next(hit.similarity for hit in hits if hit.path.endswith("dots/07.png"))
    assert found == pytest.approx(right, abs=0.01)  # kept in half precision, places in a byte a number
    assert [hit.similarity for hit in hits] == sorted((hit.similarity for hit in hits), reverse=True)


def test_a_picture_finds_itself_where_it_is_not_of_the_index(textures: Path, textures_index: Index) -> None:
    hits = textures_index.search(decode(textures / "checks" / "05.png"), k=1)
    assert names(hits) == ["checks/05.png"]
    assert hits[0].similarity == pytest.approx(1, abs=0.005)
    assert hits[0].nearer_than == pytest.approx(0.9999)
    assert hits[0].words == "nearly the same"


def test_the_kinds_of_query_agree(textures: Path, textures_index: Index, tmp_path: Path) -> None:
    copy = Path(shutil.copy(textures / "dots" / "03.png", tmp_path / "copy.png"))
    of_item = textures_index.search(textures / "dots" / "03.png", k=5)
    of_file, of_array = (textures_index.search(query, k=6) for query in (copy, decode(copy)))
    assert names(of_file) == names(of_array) == ["dots/03.png", *names(of_item)]
    assert [hit.similarity for hit in of_file[1:]] == pytest.approx([h.similarity for h in of_item], abs=0.01)


def test_grey_is_grey(textures: Path, textures_index: Index) -> None:
    grey = np.asarray(Image.open(textures / "dots" / "03.png").convert("L"))
    assert names(textures_index.search(grey)) == names(textures_index.search(np.repeat(grey[:, :, None], 3, axis=2)))


def test_several_pictures_count_together(textures: Path, textures_index: Index) -> None:
    both = textures_index.search([textures / "dots" / "00.png", textures / "checks" / "00.png"], k=28)
    assert {"dots/00.png", "checks/00.png"}.isdisjoint(names(both))
    alone = [
        {hit.path: hit.similarity for hit in textures_index.search(textures / kind / "00.png", k=29)}
        for kind in ("dots", "checks")
    ]
    for hit in both:
        assert hit.similarity == pytest.approx(np.mean([each[hit.path] for each in alone]), abs=1e-5)


def test_a_region_is_a_picture_of_its_own(textures: Path, textures_index: Index) -> None:
    picture = decode(textures / "dots" / "03.png")
    in_file = textures_index.search(textures / "dots" / "03.png", k=30, region=(10, 20, 40, 30))
    by_hand = textures_index.search(picture[20:50, 10:50], k=30)
    assert len(in_file) == 29  # the picture itself is left out
    assert names(in_file) == [name for name in names(by_hand) if name != "dots/03.png"]


@pytest.mark.parametrize("region", [(-1, 0, 5, 5), (0, 0, 0, 5), (92, 0, 5, 5), (0, 76, 5, 5)])
def test_a_region_outside(textures: Path, textures_index: Index, region: tuple[int, int, int, int]) -> None:
    with pytest.raises(UsageError, match=r"dots.03.png: the region .* lies outside its 96 x 80 pixels"):
        textures_index.search(textures / "dots" / "03.png", region=region)


def test_vectors_may_be_looked_for(textures: Path, textures_index: Index) -> None:
    seen = textures_index.embedder.see([decode(textures / "dots" / "03.png")])[0]
    hits = textures_index.search(Embedding(seen.vector[None], textures_index.maker), k=1)
    assert names(hits) == ["dots/03.png"]
    assert hits[0].similarity == pytest.approx(1, abs=1e-3)


def test_a_condition_is_exact(textures: Path, textures_index: Index) -> None:
    query = textures / "dots" / "03.png"
    hits = textures_index.search(query, k=100, where="label IN ('stripes', 'checks') AND NOT path LIKE '%07.png'")
    assert Counter(hit.label for hit in hits) == {"stripes": 9, "checks": 9}
    everything = [name for name in names(textures_index.search(query, k=100)) if name in names(hits)]
    assert names(hits) == everything
    assert textures_index.search(query, where="width > 96") == []
    assert len(textures_index.search(query, k=100, where="width = 96 and height = 80 and taken is null")) == 29


def test_a_condition_that_is_none(textures: Path, textures_index: Index) -> None:
    with pytest.raises(UsageError, match=r"--where: there is no column 'vector'; there are path, label"):
        textures_index.search(textures / "dots" / "03.png", where="vector IS NULL")
    with pytest.raises(UsageError, match=r"--where: width = 1>>>; DROP TABLE images"):
        textures_index.search(textures / "dots" / "03.png", where="width = 1; DROP TABLE images")
    assert len(open_index(textures_index.place)) == 30


@pytest.mark.parametrize("k", [0, -1])
def test_a_number_of_hits_that_is_none(textures: Path, textures_index: Index, k: int) -> None:
    with pytest.raises(UsageError, match=f"k must be at least 1, got {k}"):
        textures_index.search(textures / "dots" / "03.png", k=k)


def test_queries_that_cannot_be_read(textures: Path, textures_index: Index, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes((textures / "dots" / "03.png").read_bytes()[:99])
    with pytest.raises(ImageError, match=r"broken.png: is cut short"):
        textures_index.search(tmp_path / "broken.png")
    with pytest.raises(ImageError, match=r"no.png: does not exist"):
        textures_index.search([textures / "dots" / "03.png", tmp_path / "no.png"])
    with pytest.raises(UsageError, match="no image was given"):
        textures_index.search([])
    with pytest.raises(UsageError, match=r"image\[0\]: expected uint8 of shape .*, got float64 \(3, 4, 3\)"):
        textures_index.search(np.zeros((3, 4, 3)))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="a region is a part of one picture"):
        textures_index.search([textures / "dots" / "03.png"] * 2, region=(0, 0, 9, 9))


def test_an_image_that_is_gone_is_found_again_and_looked_for(photos: Path, place: str) -> None:
    made = index(photos, place)
    before = names(made.search(photos / "dots" / "03.png", k=5))
    (photos / "dots" / "03.png").unlink()
    assert names(open_index(place).search(photos / "dots" / "03.png", k=5)) == before
    assert "dots/03.png" in names(open_index(place).search(photos / "dots" / "04.png", k=9))


def test_an_image_that_has_changed_since_is_seen_anew(photos: Path, place: str) -> None:
    made = index(photos, place)
    shutil.copy(photos / "checks" / "03.png", photos / "dots" / "03.png")
    assert names(made.search(photos / "dots" / "03.png", k=1)) == ["checks/03.png"]


def test_there_is_no_index(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing: there is no index: make one with mirada index"):
        open_index(tmp_path / "nothing")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_index(photos: Path, place: str) -> None:
    kept = photos / "dots" / "03.png"
    index(photos / "dots", place)
    for picture in (photos / "dots").iterdir():
        picture.write_bytes(b"")
    emptied = index(photos / "dots", place)
    assert (len(emptied), len(emptied.unread)) == (0, 10)
    with pytest.raises(DataError, match="the index is empty: there is nothing to find"):
        emptied.search(photos / "checks" / "03.png")
    assert kept.exists()


def test_an_index_of_a_later_version(photos: Path, place: str) -> None:
    index(photos / "dots", place)
    Table.open(place).tell(format=FORMAT + 1)
    for act in (lambda: open_index(place), lambda: index(photos, place)):
        with pytest.raises(DataError, match=rf"the index has format {FORMAT + 1}, this mirada reads up to {FORMAT}"):
            act()


def test_the_network_of_an_index_is_gone(photos: Path, place: str, tmp_path: Path, transfer_model) -> None:
    saved = transfer_model.save(tmp_path / "model")
    made = index(photos / "dots", place, network=saved.path)
    assert made.maker.dimension == 1280
    assert names(made.search(photos / "dots" / "03.png", k=9)) != []
    shutil.rmtree(tmp_path / "model")
    opened = open_index(place)
    assert len(opened.search(photos / "dots" / "03.png", k=9)) == 9  # its own images need no network
    with pytest.raises(UsageError, match=r"what made the vectors of this index cannot be opened: "):
        opened.search(photos / "checks" / "03.png")


def test_vectors_of_two_makers(textures: Path, textures_index: Index, tmp_path: Path) -> None:
    other = index(textures / "dots", tmp_path / "other", layer="blocks.4")
    vectors = Embedding(np.ones((1, other.maker.dimension), np.float32), other.maker)
    with pytest.raises(UsageError, match=r"efficientnet-lite0, layer blocks.4: they differ in the layer"):
        textures_index.search(vectors)
    assert str(other.maker) == "efficientnet-lite0, layer blocks.4"
    assert other.search(textures / "dots" / "03.png", k=1)[0].label == "dots"


def test_the_same_images_give_the_same_index(textures: Path, textures_index: Index, tmp_path: Path) -> None:
    again = index(textures, tmp_path / "again")
    query = textures / "dots" / "03.png"
    assert again.search(query, k=29) == textures_index.search(query, k=29)


def test_an_index_in_a_table_of_lancedb_that_is_not_ours(tmp_path: Path, photos: Path) -> None:
    import lancedb

    lancedb.connect(tmp_path / "other").create_table("about", data=[{"json": "{}"}])
    with pytest.raises(DataError, match=r"there are tables, but no index of mirada's"):
        open_index(tmp_path / "other")
    with pytest.raises(DataError, match=r"there are tables, but no index of mirada's"):
        index(photos, tmp_path / "other")


def test_a_path_stays_as_it_was_given(photos: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Links are not followed, relative paths become absolute."""
    link = photos.parent / "link"
    link.symlink_to(photos, target_is_directory=True)
    monkeypatch.chdir(photos.parent)
    made = index("link/dots", place)
    hits = made.search(Path("link", "dots", "03.png"), k=9)
    assert {str(Path(hit.path).parent) for hit in hits} == {str(link / "dots")}
    assert len(hits) == 9
