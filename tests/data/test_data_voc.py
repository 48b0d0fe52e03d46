from __future__ import annotations

from pathlib import Path

import pytest
from annotated import draw, objects, parts, xml

from mirada.data import read
from mirada.errors import DataError


def voc(root: Path, **texts: str) -> Path:
    """A folder in the layout of VOC: for each stem a picture and its XML."""
    for stem, text in texts.items():
        draw(root / "JPEGImages" / f"{stem}.png")
        (root / "Annotations").mkdir(exist_ok=True)
        (root / "Annotations" / f"{stem}.xml").write_text(text)
    return root


def lists(root: Path, folder: str = "Main", **stems: str) -> None:
    for name, text in stems.items():
        file = root / "ImageSets" / folder / f"{name}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def test_boxes_count_pixels_from_1(tmp_path: Path) -> None:
    head = "<filename>a.png</filename><size><width>64</width><height>48</height><depth>3</depth></size>"
    boxes = [("dog", (1, 1, 64, 48)), (" cat ", (11.5, 21.25, 40, 25))]
    dataset = read(voc(tmp_path, a=xml(boxes, head), b=xml([])))
    assert (dataset.kind, dataset.task, dataset.class_names) == ("Pascal VOC", "detect", ("cat", "dog"))
    assert objects(dataset) == {
        "a": [("dog", (0, 0, 64, 48), False, None), ("cat", (10.5, 20.25, 40, 25), False, None)],
        "b": [],
    }
    assert [(sample.key, sample.claimed_wh) for sample in dataset.samples] == [
        ("JPEGImages/a.png", (64, 48)),
        ("JPEGImages/b.png", None),
    ]
    assert dataset.notes == ()


def test_difficult_objects_are_not_to_be_judged(tmp_path: Path) -> None:
    hard = xml([("cat", (1, 1, 2, 2)), ("cat", (3, 3, 4, 4))]).replace(
        "</object>", "<difficult>1</difficult></object>", 1
    )
    dataset = read(voc(tmp_path, a=hard, b=xml().replace("</object>", "<difficult> 0 </difficult></object>")))
    assert [is_crowd for _, _, is_crowd, _ in objects(dataset)["a"]] == [True, False]
    assert [is_crowd for _, _, is_crowd, _ in objects(dataset)["b"]] == [False]


def test_a_size_of_0_is_none(tmp_path: Path) -> None:
    head = "<size><width>0</width><height>0</height></size>"
    assert read(voc(tmp_path, a=xml(head=head))).samples[0].claimed_wh is None


def test_lists_give_the_parts(tmp_path: Path) -> None:
    root = voc(tmp_path, a=xml(), b=xml(), c=xml(), d=xml(), **{"my cat": xml()})
    lists(root, train="a\nmy cat\n", val=" b\n\n", test="c -1\n")
    dataset = read(root)
    assert parts(dataset) == {"a": "train", "my cat": "train", "b": "val", "c": "test"}
    assert [sample.part for sample in dataset.samples] == ["train", "train", "val", "test"]
    assert dataset.notes == ("Annotations of images that no list in ImageSets/Main names were left out: 1.",)


def test_trainval_is_train_where_these_are_not_apart(tmp_path: Path) -> None:
    root = voc(tmp_path, a=xml(), b=xml(), c=xml())
    lists(root, trainval="a\nb\n", test="c\n")
    assert parts(read(root)) == {"a": "train", "b": "train", "c": "test"}
    lists(root, train="a\n", val="b\n")
    assert parts(read(root)) == {"a": "train", "b": "val", "c": "test"}


def test_each_image_with_its_xml_beside_it(tmp_path: Path) -> None:
    for place in ("1/a", "1/b", "2/train/a", "2/valid/b"):
        draw(tmp_path / f"{place}.png")
        (tmp_path / f"{place}.xml").write_text(xml())
    (tmp_path / "1" / "other.xml").write_text("<project/>")
    assert parts(read(tmp_path / "1")) == {"a": None, "b": None}
    assert parts(read(tmp_path / "2")) == {"a": "train", "b": "val"}


def test_an_image_that_is_only_named_inside(tmp_path: Path) -> None:
    root = voc(tmp_path, a=xml())
    draw(root / "JPEGImages" / "other.png")
    (root / "Annotations" / "b.xml").write_text(xml(head="<filename>C:\\mine\\other.png</filename>"))
    assert [sample.key for sample in read(root).samples] == ["JPEGImages/a.png", "JPEGImages/other.png"]


def test_which_of_two_images_is_said_inside(tmp_path: Path) -> None:
    root = voc(tmp_path, a=xml())
    draw(root / "JPEGImages" / "a.bmp")
    with pytest.raises(DataError) as caught:
        read(root)
    file = root / "Annotations" / "a.xml"
    assert str(caught.value) == f"{file}: which is its image, 'a.bmp', 'a.png'? Keep one of them."
    file.write_text(xml(head="<filename>a.bmp</filename>"))
    dataset = read(root)
    assert [sample.key for sample in dataset.samples] == ["JPEGImages/a.bmp"]
    assert dataset.notes == ("Images without an annotation were left out (1): 'JPEGImages/a.png'.",)


def test_text_in_utf_16(tmp_path: Path) -> None:
    root = voc(tmp_path, a=xml([("cät", (1, 1, 2, 2))]))
    file = root / "Annotations" / "a.xml"
    file.write_bytes(('<?xml version="1.0" encoding="utf-16"?>' + file.read_text()).encode("utf-16"))
    assert read(root).class_names == ("cät",)


DOCTYPE = "it declares a document type, which an annotation does not need. Remove the <!DOCTYPE."
NUMBER = "must be a number of pixels, found"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<annotation>", "this is not XML (no element found: line 1, column 12)."),
        ("<annotation/>", None),
        ("<html><annotation/></html>", "the outermost element must be annotation, found 'html'."),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>', DOCTYPE),
        ("<!doctype annotation><annotation/>", "this is not XML (syntax error: line 1, column 0)."),
        (
            '<?xml version="1.0" encoding="nope"?><annotation/>',
            "this is not XML (unknown encoding: nope).",
        ),
        ("<annotation>&b;</annotation>", "this is not XML (undefined entity: line 1, column 12)."),
        (xml([(" ", (1, 1, 2, 2))]), "object 1 has no name."),
        (xml().replace("bndbox", "polygon"), "object 1, 'cat': it has no bndbox."),
        (xml([("a", (1, 1, 2, 2)), ("b", (5, 1, 3.5, 2))]), "object 2, 'b': xmax or ymax is below xmin or ymin."),
        (xml([("a", (1, 1, "x", 2))]), f"object 1, 'a': bndbox/xmax {NUMBER} 'x'."),  # type: ignore[list-item]
        (xml([("a", (1, 1, float("nan"), 2))]), f"object 1, 'a': bndbox/xmax {NUMBER} 'nan'."),
        (xml([("a", (1, 1, 2, float("inf")))]), f"object 1, 'a': bndbox/ymax {NUMBER} 'inf'."),
        (xml([("a", (1, 1, 2, 1e7))]), f"object 1, 'a': bndbox/ymax {NUMBER} '10000000.0'."),
        (xml().replace("ymax", "ymost"), f"object 1, 'cat': bndbox/ymax {NUMBER} ''."),
        (xml(head="<size><width>a</width></size>"), f"size/width {NUMBER} 'a'."),
        (
            xml().replace("</object>", "<difficult>yes</difficult></object>"),
            "object 1, 'cat': difficult must be 0 or 1, found 'yes'.",
        ),
    ],
)
def test_files_that_cannot_be_understood(tmp_path: Path, text: str, message: str | None) -> None:
    root = voc(tmp_path, a=xml(), b=text)
    if message is None:
        assert objects(read(root))["b"] == []
        return
    with pytest.raises(DataError) as caught:
        read(root)
    assert str(caught.value) == f"{root}/Annotations/b.xml: {message}"


def test_entities_hidden_in_another_encoding(tmp_path: Path) -> None:
    laughs = '<!DOCTYPE a [<!ENTITY a "ha">' + "".join(
        f'<!ENTITY {new} "{f"&{old};" * 10}">' for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    text = f"{laughs}]><annotation><object><name>&i;</name></object></annotation>"
    root = voc(tmp_path, a=xml(), b=text)
    for encoding in ("utf-8", "utf-16", "utf-16-be"):
        (root / "Annotations" / "b.xml").write_bytes(text.encode(encoding))
        with pytest.raises(DataError) as caught:
            read(root)
        assert str(caught.value) == f"{root}/Annotations/b.xml: {DOCTYPE}"


def test_images_that_are_not_there(tmp_path: Path) -> None:
    root = voc(tmp_path, a=xml(), b=xml())
    (root / "JPEGImages" / "b.png").unlink()
    with pytest.raises(DataError) as caught:
        read(root)
    assert str(caught.value) == (
        f"{root}/Annotations/b.xml: its image is not there: none is called 'b' in '{root}/Annotations', "
        f"'{root}/JPEGImages', '{root}/images', '{root}'."
    )


def test_names_in_a_list_without_an_annotation(tmp_path: Path) -> None:
    for name in ("a", "b"):
        draw(tmp_path / "JPEGImages" / f"{name}.png")
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations" / "a.xml").write_text(xml())
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\nb\n")
    assert "Names in ImageSets/Main that have no annotation were passed over (1): 'b'." in read(tmp_path).notes
    (lists / "train.txt").write_text("a.png\n")
    with pytest.raises(DataError, match=r"none of the images that it lists, such as 'a.png', has an annotation"):
        read(tmp_path)


def test_lists_that_contradict(tmp_path: Path) -> None:
    root = voc(tmp_path, a=xml(), b=xml())
    lists(root, train="a\nb\n", test="x\nb\n")
    with pytest.raises(DataError) as caught:
        read(root)
    assert str(caught.value) == f"{root}/ImageSets/Main/test.txt, line 2: 'b' is in train too. Keep it in one part."
    (root / "ImageSets" / "Main" / "test.txt").write_bytes(b"x\n\xff\n")
    with pytest.raises(DataError) as caught:
        read(root)
    assert str(caught.value) == (
        f"{root}/ImageSets/Main/test.txt, line 2: the byte 0xff is not UTF-8. Save it as UTF-8."
    )


def test_two_annotations_of_one_image(tmp_path: Path) -> None:
    root = voc(tmp_path, a=xml(head="<filename>a.png</filename>"))
    (root / "Annotations" / "b.xml").write_text(xml(head="<filename>a.png</filename>"))
    with pytest.raises(DataError) as caught:
        read(root)
    assert str(caught.value) == f"{root}: 'JPEGImages/a.png' is there twice. Keep it in one place."


def test_no_object_at_all(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(voc(tmp_path, a=xml([]), b=xml([])))
    assert str(caught.value) == f"{tmp_path}: no object is marked in its 2 XML files."
