"""`mirada layers`: every form of the table, every source of a network, and what it refuses."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest

from lecture import ALEXNET

# Name, volume, parameters: (F F D1) K + K for CONV, inputs x neurons + neurons for FC, by hand.
ALEXNET_LAYERS = [
    ("INPUT", [227, 227, 3], 0),
    ("CONV1", [55, 55, 96], 11 * 11 * 3 * 96 + 96),
    ("MAX POOL1", [27, 27, 96], 0),
    ("NORM1", [27, 27, 96], 0),
    ("CONV2", [27, 27, 256], 5 * 5 * 96 * 256 + 256),
    ("MAX POOL2", [13, 13, 256], 0),
    ("NORM2", [13, 13, 256], 0),
    ("CONV3", [13, 13, 384], 3 * 3 * 256 * 384 + 384),
    ("CONV4", [13, 13, 384], 3 * 3 * 384 * 384 + 384),
    ("CONV5", [13, 13, 256], 3 * 3 * 384 * 256 + 256),
    ("MAX POOL3", [6, 6, 256], 0),
    ("FC6", [1, 1, 4096], 6 * 6 * 256 * 4096 + 4096),
    ("FC7", [1, 1, 4096], 4096 * 4096 + 4096),
    ("FC8", [1, 1, 1000], 4096 * 1000 + 1000),
]

# Parameters as torchvision counts them, where it has the network; the others by the sum over their papers' tables.
ZOO = {
    "alexnet": 62_378_344,
    "googlenet": 6_998_552,
    "lenet5": 61_706,
    "lenet5-1998": 61_706,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "senet": 28_088_024,
    "vgg11": 132_863_336,
    "vgg13": 133_047_848,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "zfnet": 62_357_608,
}


def facts(answer):
    return [(layer["name"], layer["volume"], layer["parameters"]) for layer in answer["layers"]]


def test_the_table_on_a_terminal(mirada):
    said = mirada("layers", "alexnet")
    assert (said.status, said.err) == (0, "")
    title, head, rule, *rows, rule_below, total, empty, summary = said.out.splitlines()
    assert title == "AlexNet"
    columns = ("layer", "what it is", "volume", "parameters", "multiply-adds", "memory", "sees", "stride")
    assert " ".join(head.split()) == " ".join((*columns, "if fully connected"))
    assert set(rule) == set(rule_below) == {"-"}
    assert [row.split("  ")[0] for row in rows] == [name for name, _, _ in ALEXNET_LAYERS]
    assert rows[1].split()[-6:] == ["105,415,200", "1.1", "MiB", "11", "4", "44,892,064,800"]
    assert total.split()[:3] == ["total", "62,378,344", "1,135,256,096"]
    assert empty == ""
    assert summary.startswith("62,378,344 parameters (238.0 MiB in float32), 1,135,256,096 multiply-adds")


def test_json_has_every_number(mirada):
    answer = mirada("layers", "alexnet", "--json").json
    assert facts(answer) == ALEXNET_LAYERS
    assert answer["parameters"] == sum(parameters for _, _, parameters in ALEXNET_LAYERS) == 62_378_344
    conv1 = answer["layers"][1]
    assert conv1["input"] == [227, 227, 3]
    assert conv1["multiply_adds"] == 11 * 11 * 3 * 55 * 55 * 96
    assert conv1["activation_bytes"] == 4 * 55 * 55 * 96
    assert (conv1["receptive_field"], conv1["stride"]) == ([11, 11], [4, 4])
    assert conv1["fully_connected_weights"] == 227 * 227 * 3 * 55 * 55 * 96
    assert conv1["size_sum"] == "(227 - 11 + 2*0)/4 + 1 = 55"


def test_the_listing_of_a_lecture_on_standard_input_is_alexnet(mirada):
    pasted = mirada("layers", "-", "--json", stdin=ALEXNET)
    assert (pasted.status, pasted.err) == (0, "")
    assert facts(pasted.json) == ALEXNET_LAYERS == facts(mirada("layers", "alexnet", "--json").json)


def test_a_file_is_read_like_standard_input(mirada, tmp_path):
    (tmp_path / "mine.net").write_text(ALEXNET)
    assert mirada("layers", tmp_path / "mine.net").out == mirada("layers", "-", stdin=ALEXNET).out


def test_markdown_is_a_table_with_one_width(mirada):
    said = mirada("layers", "lenet5", "--markdown")
    assert (said.status, said.err) == (0, "")
    lines = said.out.splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert {len(row) for row in cells} == {9}
    assert set(cells[1]) == {"---", "---:"}
    assert [cells[3][column] for column in (0, 2, 3, 4)] == ["CONV1", "28x28x6", "156", "117,600"]
    assert len(cells) == 2 + 8 + 1  # the head and its rule, the input and seven layers, the totals


def test_svg_is_a_drawing_of_every_volume_that_differs_from_the_one_before(mirada):
    said = mirada("layers", "alexnet", "--svg")
    assert (said.status, said.err) == (0, "")
    root = ElementTree.fromstring(said.out)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    words = " ".join(root.itertext())
    for name, (width, height, depth), _ in ALEXNET_LAYERS:
        if name.startswith("NORM"):  # changes no size
            continue
        assert name in words
        assert (f"{width}x{height}x{depth}" if width > 1 else f"{depth}") in words.replace("×", "x")


def test_sums_show_the_arithmetic(mirada):
    said = mirada("layers", "alexnet", "--sums")
    assert (said.status, said.err) == (0, "")
    conv1, *rest = said.out.split("\nMAX POOL1\n")
    assert rest
    assert conv1.splitlines()[:2] == [
        "Width and height of a volume: (W - F + 2P)/S + 1, with an input of W, a filter of F, padding P and stride S.",
        "Parameters: (F*F*D)*K weights for K filters over a depth of D, and K biases; n*K for K neurons that see n "
        "numbers.",
    ]
    assert conv1.splitlines()[3:] == [
        "CONV1",
        "  volume           (227 - 11 + 2*0)/4 + 1 = 55 -> 55x55x96",
        "  parameters       (11*11*3)*96 + 96 = 34,944",
        "  fully connected  154,587 x 290,400 = 44,892,064,800 weights for the same two volumes, "
        "1,284,686 times as many",
    ]


def test_another_input_changes_the_volumes(mirada):
    answer = mirada("layers", "resnet18", "--input", "64x32x3", "--json").json
    assert answer["layers"][0]["volume"] == [64, 32, 3]
    assert answer["layers"][1]["volume"][:2] == [32, 16]
    assert answer["parameters"] == ZOO["resnet18"]  # the global pooling takes any size
    assert answer["multiply_adds"] < mirada("layers", "resnet18", "--json").json["multiply_adds"]


def test_another_input_changes_the_first_fc(mirada):
    answer = mirada("layers", "vgg16", "--input", "32x32x3", "--json").json
    # five poolings leave 1 x 1 x 512 in place of 7 x 7 x 512
    assert answer["parameters"] == ZOO["vgg16"] - (7 * 7 - 1) * 512 * 4096


def test_an_input_that_does_not_fit_is_refused_with_the_sum(mirada):
    said = mirada("layers", "alexnet", "--input", "224x224x3")
    assert (said.status, said.out) == (2, "")
    first, *rest = said.err.splitlines()
    assert first.startswith("mirada: CONV1 does not fit its input (alexnet.net, line ")
    assert rest == [
        "  (W - F + 2P)/S + 1 = (224 - 11 + 2*0)/4 + 1 = 54.25 is not whole: "
        "the last column and row would never be read",
        "  fits: input 223 or 227 · filter 12 or 8 · stride 1 or 3 · rounding: floor (gives 54, drops 1)",
    ]


@pytest.mark.parametrize("written", ["banana", "224x224", "0x224x3", "224x224x3x1", "-1x2x3", ""])
def test_an_input_that_is_no_volume(mirada, written):
    said = mirada("layers", "alexnet", "--input", written)
    assert (said.status, said.out) == (2, "")
    assert said.err == (
        f"mirada: the input {written} is not a volume: write width x height x depth, such as 224x224x3\n"
    )


@pytest.mark.parametrize(("name", "parameters"), ZOO.items())
def test_the_parameters_of_the_zoo(mirada, name, parameters):
    answer = mirada("layers", name, "--json").json
    assert answer["parameters"] == parameters == sum(layer["parameters"] for layer in answer["layers"])


def test_the_zoo_is_what_this_file_lists():
    from mirada.arch import zoo

    assert set(zoo.names()) == set(ZOO)


UNKNOWN = [
    ("alexnt", "alexnt is no network that mirada knows\n  did you mean alexnet?\n  or give a listing FILE.net, "),
    ("resnet19", "resnet19 is no network that mirada knows\n  did you mean resnet1"),
    ("zzz", f"zzz is no network that mirada knows\n  known: efficientnet-lite0, {', '.join(sorted(ZOO))}\n  or give"),
    ("nope.net", "there is no file nope.net\n"),
    ("timm:resnt18", "timm has no network called 'resnt18'\n  did you mean timm:resnet18?\n"),
    ("torchvision:vgg17", "torchvision has no network called 'vgg17'\n  did you mean torchvision:vgg1"),
]


@pytest.mark.parametrize(("name", "message"), UNKNOWN)
def test_unknown_names(mirada, name, message):
    said = mirada("layers", name)
    assert (said.status, said.out) == (2, "")
    assert said.err.startswith(f"mirada: {message}")


@pytest.mark.parametrize("pair", [("--json", "--svg"), ("--sums", "--markdown"), ("--svg", "--sums", "--json")])
def test_forms_that_exclude_each_other(mirada, pair):
    said = mirada("layers", "alexnet", *pair)
    assert (said.status, said.out) == (2, "")
    assert said.err == "mirada: --sums, --json, --markdown and --svg exclude each other\n"


def test_a_network_of_timm_is_traced(mirada):
    answer = mirada("layers", "timm:resnet18", "--json").json
    assert answer["parameters"] == ZOO["resnet18"]
    assert answer["layers"][0]["volume"] == [224, 224, 3]
    assert answer["multiply_adds"] == mirada("layers", "resnet18", "--json").json["multiply_adds"]


def test_a_listing_needs_neither_torch_nor_numpy():
    program = (
        "import sys\n"
        "from mirada.cli import main\n"
        "status = main(['layers', 'vgg16'])\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "heavy = loaded & {'torch', 'numpy', 'PIL', 'cv2', 'sklearn', 'timm'}\n"
        "sys.exit(f'{status} {sorted(heavy)}' if status or heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "138,357,544 parameters" in done.stdout


def test_the_package_runs_as_a_module():
    done = subprocess.run([sys.executable, "-m", "mirada", "layers", "lenet5"], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"61,706 parameters" in done.stdout
