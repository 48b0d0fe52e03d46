"""The published networks: one page each, with claims; and reading one imports no framework."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mirada.arch import Architecture, Volume, parse, zoo
from mirada.errors import ArchitectureError

NAMES = (
    "alexnet",
    "googlenet",
    "lenet5",
    "lenet5-1998",
    "resnet18",
    "resnet34",
    "resnet50",
    "senet",
    "vgg11",
    "vgg13",
    "vgg16",
    "vgg19",
    "zfnet",
)
A_PAGE = 66
"""Lines of a printed page."""


def test_names_are_sorted_and_have_a_file_each():
    assert zoo.names() == NAMES
    assert sorted(path.stem for path in Path(zoo.__file__).parent.glob("*.net")) == list(NAMES)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("alexnt", "did you mean alexnet?"),
        ("resnet", "did you mean resnet50?"),
        ("VGG16", "did you mean vgg16?"),
        ("../alexnet", "did you mean alexnet?"),
        ("", f"known: {', '.join(NAMES)}"),
        ("banana", f"known: {', '.join(NAMES)}"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(name: str, hint: str):
    with pytest.raises(ArchitectureError) as caught:
        zoo.text(name)
    assert str(caught.value) == f"{name} is not a network of the zoo\n  {hint}"


@pytest.mark.parametrize("name", NAMES)
def test_a_file_fits_on_a_page_and_names_its_paper(name: str):
    lines = zoo.text(name).splitlines()
    assert len(lines) <= A_PAGE
    assert max(map(len, lines)) <= 130
    assert lines[0].startswith("name: ")
    notes = [line for line in lines if line.startswith("# ")]
    assert lines[-len(notes) :] == notes  # the network first, what is to be said of it below
    assert any(f" {year}, " in notes[0] for year in range(1998, 2018))


@pytest.mark.parametrize("name", NAMES)
def test_outer_lines_that_change_the_volume_claim_it(name: str, network_of_the_zoo: Callable[[str], Architecture]):
    architecture = network_of_the_zoo(name)
    outer = [row for row in architecture.rows[1:] if row.depth == 0]
    assert outer
    for row in outer:
        if row.volume != row.given:
            assert row.layer.claim == row.volume, row.path


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("lenet5", ["28x28x6", "14x14x6", "10x10x16", "5x5x16", "120", "84", "10"]),  # LeCun et al. 1998, figure 2
        ("zfnet", ["110x110x96", "55x55x96", "26x26x256", "13x13x256", "6x6x256"]),  # Zeiler and Fergus 2013, figure 3
        ("googlenet", ["28x28x256", "28x28x480", "14x14x512", "14x14x832", "7x7x1024"]),  # Szegedy et al. 2014, table 1
        ("resnet50", ["112x112x64", "56x56x256", "28x28x512", "14x14x1024", "7x7x2048"]),  # He et al. 2015, table 1
    ],
)
def test_published_volumes(name: str, published: list[str], network_of_the_zoo: Callable[[str], Architecture]):
    volumes = [str(row.volume) for row in network_of_the_zoo(name).rows[1:] if row.depth == 0]
    at = [volumes.index(volume) for volume in published]
    assert at == sorted(at)


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("alexnet", 1.135),  # without groups
        ("vgg16", 15.5),
        ("resnet18", 1.8),  # He et al. 2015, table 1
        ("resnet34", 3.6),
        ("googlenet", 1.6),
    ],
)
def test_published_multiply_adds(name: str, billions: float, network_of_the_zoo: Callable[[str], Architecture]):
    assert network_of_the_zoo(name).multiply_adds / 1e9 == pytest.approx(billions, rel=0.03)


def test_what_the_listing_claims_is_checked():
    wrong = zoo.text("lenet5").replace("[10x10x16]", "[10x10x15]")
    with pytest.raises(ArchitectureError, match=r"claimed \[10x10x15\], computed \[10x10x16\]"):
        parse(wrong)
    assert parse(wrong, input=Volume(36, 36, 1)).rows[3].volume == Volume(12, 12, 16)


def test_reading_and_printing_import_no_framework():
    code = (
        "import sys; from mirada.arch import format_listing, parse, zoo; from mirada.arch import drawing, table; "
        "t = table.table(parse(zoo.text('resnet50'))); t.text(); drawing.svg(t); "
        "print(sorted({'torch', 'numpy', 'timm', 'PIL'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
