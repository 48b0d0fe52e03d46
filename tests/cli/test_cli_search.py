"""mirada index and mirada search, as a person and as a program use them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="module")
def world(textures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photos, one of them broken, and their index. Read only."""
    from mirada.search import index

    here = tmp_path_factory.mktemp("search")
    shutil.copytree(textures, here / "photos")
    (here / "photos" / "dots" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    index(here / "photos", here / "made")
    return here


@pytest.fixture
def here(world: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(world)
    return world


def test_index_says_what_it_did(mirada, here, tmp_path):
    said = mirada("index", "photos", "-o", tmp_path / "again")
    assert said.status == 1
    assert f"mirada: {here}/photos/dots/broken.png: cannot be read: " in said.err
    assert said.out.splitlines() == [
        "images    30: 30 new; 1 could not be read",
        "vectors   1,280 numbers each, by efficientnet-lite0",
        f"saved     {tmp_path}/again",
        f"try it    mirada search {tmp_path}/again IMAGE...",
    ]
    (here / "photos" / "dots" / "broken.png").touch()
    told = mirada("index", "photos", "-o", tmp_path / "again", "--json")
    assert told.status == 1
    assert (told.json["images"], told.json["unchanged"], told.json["new"]) == (30, 30, 0)
    assert list(told.json["unread"]) == [f"{here}/photos/dots/broken.png"]


def test_search_for_people(mirada, here):
    said = mirada("search", "made", "photos/dots/03.png", "-k", "3")
    assert (said.status, said.err) == (0, "")
    rows = [line.split("  ") for line in said.out.splitlines()]
    assert [row[2] for row in rows] == ["dots"] * 3
    assert all(row[-1].startswith(f"{here}/photos/dots/") for row in rows)
    assert [float(row[0]) for row in rows] == sorted((float(row[0]) for row in rows), reverse=True)


def test_search_for_programs(mirada, here):
    told = mirada("search", "made", "photos/dots/03.png", "-k", "40", "--where", "label = 'checks'", "--json").json
    assert len(told) == 10
    assert {hit["label"] for hit in told} == {"checks"}
    assert set(told[0]) == {
        *("path", "similarity", "nearer_than", "label", "width", "height", "bytes", "taken", "camera", "hash"),
    }


def test_a_page_of_what_was_found(mirada, here, tmp_path):
    page = tmp_path / "found.html"
    said = mirada("search", "made", "photos/dots/03.png", "photos/dots/04.png", "-k", "4", "--html", page)
    assert said.status == 0
    assert f"the page is {page}" in said.err
    text = page.read_text()
    assert text.count("<img ") == 2 + 4
    assert "4 pictures that look like these together" in text
    assert "http" not in text.replace("http-equiv", "")
    assert [path.name for path in tmp_path.iterdir()] == ["found.html"]


@pytest.fixture(scope="module")
def doubled(world: Path) -> Path:
    """The index of six pictures of noise, and the file of one of them again."""
    from mirada.search import index

    photos = world / "doubled"
    photos.mkdir()
    for number in range(6):
        noise = np.random.default_rng(number).integers(0, 256, (20, 30, 3), np.uint8)
        Image.fromarray(noise).resize((150, 100)).save(photos / f"noise-{number}.png")
    shutil.copy(photos / "noise-0.png", photos / "again.png")
    return Path(index(photos, world / "doubled-index").place)


def test_copies_for_people_and_programs_and_as_a_page(mirada, here, doubled, tmp_path):
    page = tmp_path / "copies.html"
    said = mirada("similar", doubled, "--html", page)
    paths = [f"{here}/doubled/{name}.png" for name in ("again", "noise-0")]
    assert said.status == 0
    assert said.out.splitlines() == ["same file", *(f"  {path}" for path in paths)]
    assert f"the page is {page}" in said.err
    told = mirada("similar", doubled, "--json").json
    assert told == [{"kind": "same file", "certainty": 1.0, "paths": paths}]
    text = page.read_text()
    assert text.count("<img ") == 2
    assert "1 group, 2 pictures" in text
    assert all(path in text for path in paths)


def test_of_many_copies_a_page_shows_some(mirada, here, tmp_path):
    from mirada.search import Group, groups_page

    paths = tuple(str(here / "photos" / "dots" / "03.png") for _ in range(15))
    text = groups_page([Group(paths, "same picture", 0.97)])
    assert text.count("<img ") == 12
    assert "and 3 more" in text
    assert "same picture, 97.0% sure" in text
    many = groups_page([Group((f"{number}a", f"{number}b"), "same file", 1.0) for number in range(302)])
    assert "2 more groups not shown." in many
    assert many.count("cannot be read any more") == 600
    assert "No two pictures are the same." in groups_page([])


def test_several_conditions_are_to_be_met_together(mirada, here):
    of_both = mirada(
        *("search", "made", "photos/dots/03.png", "--json", "-k", "40"),
        *("--where", "label = 'checks' or label = 'dots'", "--where", "label != 'dots'"),
    ).json
    assert {hit["label"] for hit in of_both} == {"checks"}


def test_images_are_forgotten(mirada, here, tmp_path):
    shutil.copytree(here / "made", tmp_path / "made")
    said = mirada("index", "photos/dots", "--forget", "-o", tmp_path / "made")
    assert (said.status, said.out) == (0, f"taken out 10 images of {tmp_path}/made\n")
    assert {hit["label"] for hit in mirada("search", tmp_path / "made", "photos/dots/03.png", "--json").json} == {
        "checks",
        "stripes",
    }


def test_a_photo_is_never_replaced_by_a_page(mirada, here, tmp_path):
    photo = tmp_path / "photo.png"
    shutil.copy("photos/dots/03.png", photo)
    for command in (("search", "made", photo, "--html", photo), ("atlas", "made", "-o", photo)):
        said = mirada(*command)
        assert said.status == 2
        assert f"{photo} is there already, and no page" in said.err
    assert photo.read_bytes() == (here / "photos" / "dots" / "03.png").read_bytes()


def test_nothing_meets_the_condition(mirada, here):
    said = mirada("search", "made", "photos/dots/03.png", "--where", "width > 5000")
    assert (said.status, said.out) == (0, "nothing else is there, or nothing meets the condition\n")


REFUSED = [
    (("search", "nothing", "photos/dots/03.png"), "nothing: there is no index: make one with mirada index"),
    (("search", "made", "nope.png"), "nope.png: does not exist"),
    (("search", "made", "photos/dots/broken.png"), "photos/dots/broken.png: "),
    (("search", "made", "photos/dots/03.png", "--where", "colour = 'red'"), "--where: there is no column 'colour'"),
    (("search", "made", "photos/dots/03.png", "--where", "1=1; --"), "--where: 1=1>>>; --: this cannot be read"),
    (
        ("search", "made", "photos/dots/03.png", "--region", "1,2,3"),
        "--region is left,top,width,height in whole pixels",
    ),
    (("search", "made", "photos/dots/03.png", "--region", "90,0,20,20"), "lies outside its 96 x 80 pixels"),
    (("search", "made", "photos/dots/03.png", "-k", "0"), "0 is not in the range x>=1"),
    (("search", "made", "photos/dots/03.png", "--html", "no/page.html"), "no/page.html: the page cannot be written"),
    (("search", "made"), "Missing argument 'QUERY...'"),
    (("index", "nope", "-o", "new"), "nope: there is no such file or folder"),
    (("index", "photos", "-o", "photos"), "photos holds other things, such as"),
    (("index", "photos", "-o", "made", "--layer", "blocks.3"), "they differ in the layer"),
    (("index", "photos", "-o", "new", "--layer", "FC9"), "the network has no layer 'FC9'"),
    (("index", "photos", "-o", "new", "--from", "alexnet"), "alexnet is a listing without weights"),
    (("index", "photos", "-o", "new", "--from", "timm:nope"), "nope"),
    (("index", "photos"), "Missing option '-o'"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED, ids=[" ".join(row[0]) for row in REFUSED])
def test_refused(mirada, here, arguments, message):
    said = mirada(*arguments)
    assert (said.status, said.out) == (2, "")
    assert message in said.err
    assert not (here / "new").exists()


@pytest.fixture(scope="module")
def model(transfer_model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of one that was trained on the textures."""
    return transfer_model.save(tmp_path_factory.mktemp("model") / "model").path


def test_an_answer_with_the_training_images_nearest_to_it(mirada, textures, model, transfer_model):
    query = textures / "dots" / "03.png"
    said = mirada("predict", model, query, "--top", "1", "--neighbours", textures, "--json")
    assert said.status == 0
    told = said.json["neighbours"]
    assert [hit["label"] for hit in told] == ["dots"] * 3
    trained_on = {textures / entry.key for entry in transfer_model.manifest.parts["train"]}
    assert {Path(hit["path"]) for hit in told} <= trained_on - {query}
    lines = mirada("predict", model, query, "--top", "1", "--neighbours", textures).out.splitlines()
    assert lines[0].startswith(f"{query}  dots")
    assert [line.split("  ")[2] for line in lines[1:]] == ["dots"] * 3


def test_neighbours_are_nearest_by_the_features_of_the_model(textures, model, transfer_model):
    """Against the roots of the features themselves, compared by hand."""
    from mirada.image import decode
    from mirada.search import training_images

    paths = [textures / entry.key for entry in transfer_model.manifest.parts["train"]]
    query = textures / transfer_model.manifest.parts["test"][0].key
    pixels = np.stack([transfer_model.preparation.pixels(decode(path)) for path in [query, *paths]])
    features = np.sqrt(np.asarray(transfer_model.engine(pixels)[-1], np.float32))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    cosines = features[1:] @ features[0]
    found = training_images(model, textures).search(query, k=5)
    assert [hit.similarity for hit in found] == pytest.approx(np.sort(cosines)[::-1][:5], abs=0.01)


NO_NEIGHBOURS = [
    (("--csv", "--neighbours", "photos"), "--csv has no column for --neighbours: take --json"),
    (("--neighbours", "nope"), "nope: there is no such file or folder"),
    (("--neighbours", "digits"), "digits has no image file that"),
]


@pytest.mark.parametrize(("options", "message"), NO_NEIGHBOURS)
def test_neighbours_refused(mirada, here, model, options, message):
    said = mirada("predict", model, "photos/dots/03.png", *options)
    assert (said.status, said.out) == (2, "")
    assert message in said.err
