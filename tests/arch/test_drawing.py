"""The drawing of a network: well-formed, to scale, nothing left unescaped."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from architectures import architectures, examples
from hypothesis import given

from mirada.arch import Architecture, parse
from mirada.arch.drawing import svg
from mirada.arch.table import table

Zoo = Callable[[str], Architecture]
SVG = "{http://www.w3.org/2000/svg}"
SLANTED = 0.32
"""How far a side that runs away from the eye is drawn, against its length."""


class Box:
    """One drawn box: its title, and the lengths of its front and side faces."""

    def __init__(self, group: ElementTree.Element) -> None:
        self.title = group.findtext(f"{SVG}title")
        faces = [
            [tuple(map(float, point.split(","))) for point in p.get("points").split()]
            for p in group.iter(f"{SVG}polygon")
        ]
        _, side, front = faces
        self.left, self.right = front[0][0], front[1][0]
        self.length = self.right - self.left
        self.height = front[3][1] - front[0][1]
        self.slant = side[1][0] - side[0][0]


def drawn(architecture: Architecture) -> tuple[ElementTree.Element, list[Box], list[str]]:
    """The root, the boxes from left to right and all texts."""
    root = ElementTree.fromstring(svg(table(architecture)))
    return root, [Box(group) for group in root.iter(f"{SVG}g")], [text.text for text in root.iter(f"{SVG}text")]


def test_alexnet(network_of_the_zoo: Zoo):
    root, boxes, texts = drawn(network_of_the_zoo("alexnet"))
    assert root.tag == f"{SVG}svg"
    assert root.findtext(f"{SVG}title") == "AlexNet: the volume after each layer"
    assert texts[:2] == ["AlexNet", "62,378,344 parameters, 1,135,256,096 multiply-adds"]
    assert texts[-2] == "Blue: CONV. Orange: pooling. Green: FC. Violet: blocks and others."
    assert texts[-1] == (
        "Height and slant: height and width of the volume. Length: its depth. Vectors: bars on a scale of their own."
    )
    names = ["INPUT", "CONV1", "MAX POOL1", "CONV2", "MAX POOL2", "CONV3", "CONV4", "CONV5", "MAX POOL3"]
    assert texts[2:-2:2] == [*names, "FC6", "FC7", "FC8"]
    assert texts[3:8:2] == ["227x227x3", "55x55x96", "27x27x96"]
    assert boxes[1].title == "CONV1: 96 11x11 filters at stride 4, pad 0, relu -> 55x55x96, 34,944 parameters"


def test_boxes_are_to_scale(network_of_the_zoo: Zoo):
    """Heights, slants and lengths stand to each other as heights, widths and depths, within what is rounded."""
    architecture = network_of_the_zoo("alexnet")
    _, boxes, _ = drawn(architecture)
    volumes = [row.volume for row in architecture.rows if not row.path.startswith("NORM")]
    solid = [(box, volume) for box, volume in zip(boxes, volumes, strict=True) if not volume.is_vector]
    bars = [(box, volume) for box, volume in zip(boxes, volumes, strict=True) if volume.is_vector]
    by_side = solid[0][0].height / 227
    by_depth = max(box.length for box, _ in solid) / 384
    for box, volume in solid:
        assert box.height == pytest.approx(volume.height * by_side, abs=0.15)
        assert box.slant == pytest.approx(volume.width * by_side * SLANTED, abs=0.15)
        assert box.length == pytest.approx(max(volume.depth * by_depth, 3), abs=0.15)
    (first, _), (second, _), (third, _) = bars
    assert first.height == second.height
    assert third.height / first.height == pytest.approx(1000 / 4096, abs=0.01)


def test_height_and_width_are_not_mistaken_for_each_other():
    _, (given_, after), _ = drawn(parse("[40x20x4] INPUT\nCONV: 8 11x1"))
    assert (given_.height, given_.slant) == (pytest.approx(95, abs=0.1), pytest.approx(190 * SLANTED, abs=0.1))
    assert after.height == pytest.approx(given_.height, abs=0.1)
    assert after.slant / given_.slant == pytest.approx(30 / 40, abs=0.01)
    assert after.length / given_.length == pytest.approx(2, abs=0.01)


def test_blocks_are_one_box_and_layers_that_keep_the_volume_none():
    _, boxes, texts = drawn(
        parse("[8x8x4] INPUT\nRESIDUAL\n  CONV 4 1x1\nNORM\nDROPOUT\nRELU\nPARALLEL\n  BRANCH: RELU\nGAP\nFC 2")
    )
    assert [box.title.split(" ->")[0] for box in boxes] == [
        "INPUT",
        "RESIDUAL1: relu",
        "PARALLEL1",
        "GLOBAL AVG POOL1",
        "FC1: 2 neurons",
    ]
    assert texts[2:-2:2] == ["INPUT", "RESIDUAL1", "PARALLEL1", "GLOBAL AVG POOL1", "FC1"]


def test_kinds_have_their_colours():
    root, _, _ = drawn(parse("[8x8x4] INPUT\nCONV 4 1x1\nMAX POOL 2x2\nRESIDUAL\n  CONV 4 1x1\nGAP\nFC 2"))
    colours = [group.find(f"{SVG}polygon").get("fill") for group in root.iter(f"{SVG}g")]
    grey, blue, orange, violet, pooled, green = colours
    assert pooled == orange
    assert len({grey, blue, orange, violet, green}) == 5


@pytest.mark.parametrize(
    ("listing", "note"),
    [
        ("[9] INPUT\nFC 3", ""),
        ("[4x4x1] INPUT\nMAX POOL: 2x2", "Height and slant: height and width of the volume. Length: its depth."),
    ],
)
def test_the_note_speaks_of_what_is_drawn(listing: str, note: str):
    _, _, texts = drawn(parse(listing))
    assert (texts[-1] or "") == note
    assert texts[0] == "network"


def test_text_is_escaped():
    source = svg(table(parse('name: <script>&"AlexNet"\n[4x4x1] INPUT\nFC 3')))
    assert "<script>" not in source
    root = ElementTree.fromstring(source)
    assert root.findtext(f"{SVG}text") == '<script>&"AlexNet"'
    assert root.findtext(f"{SVG}title") == '<script>&"AlexNet": the volume after each layer'


@given(architectures())
@examples(60)
def test_random_networks_stand_inside_the_picture_without_overlap(architecture: Architecture):
    root, boxes, _ = drawn(architecture)
    _, _, width, height = map(float, root.get("viewBox").split())
    points = [tuple(map(float, p.split(","))) for g in root.iter(f"{SVG}polygon") for p in g.get("points").split()]
    assert all(0 <= x <= width and 0 <= y <= height for x, y in points)
    assert all(left.right < right.left for left, right in pairwise(boxes))
    assert boxes[0].title == f"INPUT -> {architecture.input}"
