"""The collection as a page: the layout as numbers, and what stands on the page."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from drawn import decoded
from mirada.errors import DataError, UsageError
from mirada.search import Index, atlas, index
from mirada.search.layout import laid_out


@pytest.mark.parametrize("count", [1, 2, 4, 5, 8, 17, 40])
def test_every_vector_has_a_cell_of_its_own(count: int) -> None:
    vectors = np.random.default_rng(count).standard_normal((count, 6)).astype(np.float32)
    cells, (columns, rows) = laid_out(vectors)
    assert len({tuple(cell) for cell in cells.tolist()}) == count
    assert cells.min() >= 0
    assert (cells < [columns, rows]).all()
    assert columns * (rows - 1) < count <= columns * rows


def test_pictures_that_are_all_the_same_have_cells_too() -> None:
    """t-SNE has nothing to go by."""
    cells, (columns, rows) = laid_out(np.repeat(np.eye(9, dtype=np.float32)[:1], 9, axis=0))
    assert len({tuple(cell) for cell in cells.tolist()}) == 9
    assert (cells < [columns, rows]).all()


def test_what_is_alike_lies_together() -> None:
    rng = np.random.default_rng(0)
    centres = np.eye(8)[:4]
    vectors = np.repeat(centres, 30, axis=0) + 0.02 * rng.standard_normal((120, 8))
    cells, _ = laid_out(vectors.astype(np.float32))
    apart = np.linalg.norm(cells[:, None] - cells[None], axis=-1)
    same = np.repeat(np.arange(4), 30)
    inside = apart[same[:, None] == same[None]].mean()
    assert inside < 0.6 * apart[same[:, None] != same[None]].mean()


def content(page: Path) -> dict:
    """The data of a page."""
    return json.loads(re.search(r"const atlas = (\{.*\});\n", page.read_text(encoding="utf-8"))[1])  # type: ignore[index]


def test_a_page_shows_every_picture(textures: Path, textures_index: Index, tmp_path: Path) -> None:
    textures_index.atlas(tmp_path / "atlas.html")
    told = content(tmp_path / "atlas.html")
    assert {(Path(tile[2]).name, tile[3]) for tile in told["tiles"]} == {
        (path.name, path.parent.name) for path in textures.rglob("*.png")
    }
    assert len(told["sheets"]) == 1
    sheet = decoded(told["sheets"][0])
    for place, tile in enumerate(told["tiles"]):
        y, x = (side * told["tile"] for side in divmod(place, told["side"]))
        shown = sheet[y : y + told["tile"], x : x + told["tile"]].astype(float)
        picture = Image.open(tile[2]).convert("RGB")
        side = min(picture.size)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        right = picture.crop((left, top, left + side, top + side)).resize((told["tile"],) * 2, Image.Resampling.BOX)
        assert abs(shown.mean() - np.asarray(right, float).mean()) < 6
    text = (tmp_path / "atlas.html").read_text()
    assert "default-src 'none'" in text
    assert "http" not in text.replace("http-equiv", "")
    assert [path.name for path in tmp_path.iterdir()] == ["atlas.html"]


def test_of_many_some_stand_for_all(textures_index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atlas, "MOST", 7)
    textures_index.atlas(tmp_path / "atlas.html")
    told = content(tmp_path / "atlas.html")
    assert len(told["tiles"]) == 7
    assert sum(tile[4] for tile in told["tiles"]) == 30
    assert "7 of 30 pictures" in (tmp_path / "atlas.html").read_text()


def test_no_name_can_end_the_script(textures: Path, tmp_path: Path) -> None:
    folder = tmp_path / "<b>"
    folder.mkdir()
    Image.open(textures / "dots" / "00.png").save(folder / "<script>alert(1)<.png")
    index(tmp_path, tmp_path / "index").atlas(tmp_path / "atlas.html")
    text = (tmp_path / "atlas.html").read_text()
    assert "<script>alert" not in text
    assert content(tmp_path / "atlas.html")["tiles"][0][2].endswith("<script>alert(1)<.png")


def test_what_cannot_be_shown(textures: Path, textures_index: Index, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"atlas.html: the page cannot be written \(No such file or directory\)"):
        textures_index.atlas(tmp_path / "no" / "atlas.html")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(b"")
    with pytest.raises(DataError, match="the index is empty: there is nothing to show"):
        index(tmp_path / "photos", tmp_path / "index").atlas(tmp_path / "atlas.html")
