from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from mirada.annotations import Labels
from mirada.data import Dataset, read
from mirada.errors import DataError

Tree = Callable[[Iterable[str]], Path]


def rows_of(dataset: Dataset) -> list[tuple[str, str | None, str | None]]:
    return [(sample.key, sample.label.name if sample.label else None, sample.part) for sample in dataset.samples]


@pytest.fixture
def images(tree: Tree) -> Path:
    return tree(["i/1.jpg", "i/2.jpg", "i/a, b.jpg", "3.png"])


PLAIN = [("i/1.jpg", "cat", None), ("i/2.jpg", "dog", None)]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"path,label\ni/1.jpg,cat\ni/2.jpg,dog\n", PLAIN),
        (b"path,label\r\ni/1.jpg,cat\r\ni/2.jpg,dog", PLAIN),
        (b"\xef\xbb\xbfpath;label\ni/1.jpg;cat\ni/2.jpg;dog\n", PLAIN),
        (b"path\tlabel\ni/1.jpg\tcat\ni/2.jpg\tdog\n", PLAIN),
        (b' Class , FileName \n"cat", i/1.jpg\n\n dog ,i/2.jpg\n', PLAIN),
        (b'"image";"category"\n"i/1.jpg";"cat"\n"i/2.jpg";"dog"\n', PLAIN),
        (b"path,label\ni\\1.jpg,cat\n./i/../i/2.jpg,dog\n", PLAIN),
        (b'path,label\n"i/a, b.jpg","a ""b"""\n3.png,c\n', [("i/a, b.jpg", 'a "b"', None), ("3.png", "c", None)]),
        (
            "path,label\ni/1.jpg,Äpfel\n3.png,猫\n".encode(),
            [("i/1.jpg", "Äpfel", None), ("3.png", "猫", None)],
        ),
        (
            b"label,split,path\ncat,test,i/1.jpg\ncat,TRAIN,i/2.jpg\ndog,training,3.png\n",
            [("i/2.jpg", "cat", "train"), ("3.png", "dog", "train"), ("i/1.jpg", "cat", "test")],
        ),
    ],
)
def test_tables(images: Path, raw: bytes, expected: list[tuple[str, str, str | None]]) -> None:
    table = images / "pets.csv"
    table.write_bytes(raw)
    dataset = read(table)
    assert (dataset.name, dataset.kind, dataset.root) == ("pets", "CSV", table)
    assert rows_of(dataset) == expected
    assert dataset.notes == ()
    for sample in dataset.samples:
        assert sample.image().shape == (8, 6, 3)


def test_absolute_paths_and_paths_that_lead_out(images: Path, tmp_path: Path) -> None:
    table = images / "i" / "pets.tsv"
    table.write_text(f"path\tlabel\n{images / '3.png'}\tcat\n../3.png\tdog\n2.jpg\tdog\n")
    assert [sample.key for sample in read(table).samples] == [(images / "3.png").as_posix(), "../3.png", "2.jpg"]


def test_what_was_not_read_is_said(images: Path) -> None:
    table = images / "pets.csv"
    table.write_text("id,path,label,filename\n1,i/1.jpg,cat,x\n2,i/2.jpg,dog,y\n3,i/1.jpg,cat,x\n")
    dataset = read(table)
    assert rows_of(dataset) == PLAIN
    assert dataset.notes == (
        "Columns that are not learnt from: 'id', 'filename'.",
        "Rows that repeat an earlier row and were read once: 1.",
    )


HEADER = "The first row must name the columns: path,label or path,label,split."
STARTS = "A path is absolute, or starts in the folder of the table."


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "{table}: the table is empty. Its first row must name the columns: path,label or path,label,split."),
        (b"path,label\n", "{table}: there is no row below the header. Add one row an image."),
        (
            b"name,label,x\n1.jpg,a,b\n",
            f"{{table}}, line 1: there is no column path; the columns are 'name', 'label', 'x'. {HEADER}",
        ),
        (
            b"i/1.jpg,cat\n",
            f"{{table}}, line 1: there is no column path and no column label; the columns are 'i/1.jpg', 'cat'. "
            f"{HEADER}",
        ),
        (
            b"image,filename,label\na,b,c\n",
            "{table}, line 1: which column is the path, 'image', 'filename'? Call one of them 'path'.",
        ),
        (
            b"path,label\ni/1.jpg,cat\ni/a, b.jpg,dog\n",
            "{table}, line 3: cells: 3, columns in the header: 2. Put quotes around a text that holds the delimiter.",
        ),
        (
            b'path,label\n"i/1.jpg","two\nlines"\ni/2.jpg\n',
            "{table}, line 4: cells: 1, columns in the header: 2. Put quotes around a text that holds the delimiter.",
        ),
        (
            b'path,label\ni/1.jpg,cat\n"i/2.jpg,dog\n',
            "{table}, line 3: not a row of a table (unexpected end of data).",
        ),
        (b"path,label\ni/1.jpg,\n", "{table}, line 2, column 'label': the cell is empty."),
        (b"File,label\n ,cat\n", "{table}, line 2, column 'File': the cell is empty."),
        (b"path,label,split\ni/1.jpg,cat,\n", "{table}, line 2, column 'split': the cell is empty."),
        (
            b"path,label,Set\ni/1.jpg,cat,train\ni/2.jpg,dog,dev\n",
            "{table}, line 3, column 'Set': 'dev' is unknown. Write train, val or test.",
        ),
        (
            b"path,label,split\ni/1.jpg,cat,test\ni/2.jpg,dog,val\n",
            "{table}: no row has 'train' in the column 'split', so nothing to learn from.",
        ),
        (
            b"path,label\ni/1.jpg,cat\ni/9.jpg,dog\n",
            f"{{table}}, line 3, column 'path': {{folder}}/i/9.jpg does not exist. {STARTS}",
        ),
        (
            b"path,label\ni,cat\ni/8.jpg,dog\ni/9.jpg,dog\n",
            f"{{table}}, line 2, column 'path': {{folder}}/i is not a file. {STARTS} The same is true of 2 more rows.",
        ),
        (
            b"path,label\ni/1.jpg,cat\ni/2.jpg,dog\ni/1.jpg,dog\n",
            "{table}, line 4: 'i/1.jpg' is listed as 'dog', but on line 2 as 'cat'. "
            "An image has one label and one split: keep one of the rows.",
        ),
        (
            b"path,label,split\ni/1.jpg,cat,train\ni/1.jpg,cat,test\n",
            "{table}, line 3: 'i/1.jpg' is listed as 'cat, test', but on line 2 as 'cat, train'. "
            "An image has one label and one split: keep one of the rows.",
        ),
        (
            b"path,label\ni/1.jpg,cat\ni/2.jpg,p\xeache\n",
            "{table}, line 3: the byte 0xea is not UTF-8. Save it as UTF-8.",
        ),
        ("path,label\n".encode("utf-16"), "{table}: the text is UTF-16. Save it as UTF-8."),
        (b"path,label\ni/1.jpg,c\0t\n", "{table}, line 2: there is a zero byte in it."),
    ],
)
def test_tables_that_cannot_be_used(images: Path, raw: bytes, message: str) -> None:
    table = images / "pets.csv"
    table.write_bytes(raw)
    with pytest.raises(DataError) as caught:
        read(table)
    assert str(caught.value) == message.format(table=table, folder=images)


def several(table: Path) -> list[tuple[str, tuple[str, ...], str | None]]:
    found = []
    for sample in read(table).samples:
        assert isinstance(sample.truth, Labels)
        found.append((sample.key, sample.truth.names, sample.part))
    return found


@pytest.mark.parametrize(
    "raw",
    [
        b"path,labels\ni/1.jpg,dog;cat\ni/2.jpg,\n3.png,cat\n",
        b"path,tags\ni/1.jpg, cat | dog|cat \ni/2.jpg, ; \n3.png,;cat;\n",
        b'Classes;Image\n"cat;dog";i/1.jpg\n;i/2.jpg\ncat;3.png\n',
        b"path\tLABELS\ni/1.jpg\tdog|cat\ni/2.jpg\t\n3.png\tcat\n3.png\tcat|cat\n",
    ],
)
def test_several_classes_an_image(images: Path, raw: bytes) -> None:
    table = images / "pets.csv"
    table.write_bytes(raw)
    dataset = read(table)
    assert (dataset.kind, dataset.task, dataset.class_names) == ("CSV", "tag", ("cat", "dog"))
    assert several(table) == [("i/1.jpg", ("cat", "dog"), None), ("i/2.jpg", (), None), ("3.png", ("cat",), None)]
    assert [sample.class_ids for sample in dataset.samples] == [(0, 1), (), (0,)]
    assert [sample.label for sample in dataset.samples] == [None, None, None]


def test_a_column_label_comes_before_several(images: Path) -> None:
    table = images / "pets.csv"
    table.write_text("path,tags,classes,label\ni/1.jpg,a|b,c,cat;dog\ni/2.jpg,,,dog\n")
    dataset = read(table)
    assert rows_of(dataset) == [("i/1.jpg", "cat;dog", None), ("i/2.jpg", "dog", None)]
    assert dataset.task == "classify"
    assert dataset.notes == ("Columns that are not learnt from: 'tags', 'classes'.",)


def test_the_other_columns_are_kept(images: Path) -> None:
    table = images / "pets.csv"
    table.write_text("Patient,path,label,split,age\n p1 ,i/1.jpg,cat,train,\n,i/2.jpg,dog,train,7\n")
    cells = [sample.cells for sample in read(table).samples]
    assert cells == [{"Patient": "p1", "age": ""}, {"Patient": "", "age": "7"}]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"path,labels\ni/1.jpg,\ni/2.jpg,;\n", "{table}: no row has a class in the column 'labels'."),
        (
            b"path,tags,classes\ni/1.jpg,a,b\n",
            "{table}, line 1: which column is the labels, 'tags', 'classes'? Call one of them 'labels'.",
        ),
        (
            b"path,labels\ni/1.jpg,a;b\ni/1.jpg,b\n",
            "{table}, line 3: 'i/1.jpg' is listed as 'b', but on line 2 as 'a, b'. "
            "An image has one label and one split: keep one of the rows.",
        ),
        (
            b"path,label\n" + b"x" * 300 + b",cat\n",
            f"{{table}}, line 2, column 'path': {{folder}}/{'x' * 300} does not exist. {STARTS}",
        ),
    ],
)
def test_tables_of_several_classes_that_cannot_be_used(images: Path, raw: bytes, message: str) -> None:
    table = images / "pets.csv"
    table.write_bytes(raw)
    with pytest.raises(DataError) as caught:
        read(table)
    assert str(caught.value) == message.format(table=table, folder=images)
