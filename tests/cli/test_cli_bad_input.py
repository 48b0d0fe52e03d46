"""What cannot be done is refused: exit status 2, one message that says why, and nothing written anywhere."""

from __future__ import annotations

import json

import pytest
from bad_world import make_data, make_idx, make_listings, make_models

LAYOUTS = """\
  one folder a class         or, already divided
    data/                      data/
      cat/                       train/
        1.jpg                      cat/  1.jpg ...
        2.jpg                      dog/  2.jpg ...
      dog/                       val/    (may be missing)
        3.jpg                    test/   (may be missing)"""
NOTHING = (
    "{}: there is no such file or folder. Give a folder of images, a CSV file, or the word digits for a built-in set."
)
COLUMNS = "The first row must name the columns: path,label or path,label,split."
ALTERED = "the model {} was altered: "

DATA = [
    # data, what is said
    ("nope", NOTHING.format("nope")),
    ("tow", "tow: there is no such file or folder. Did you mean two?"),
    ("empty", f"empty: the folder is empty. Expected:\n{LAYOUTS}"),
    (
        "one",
        "one: there is one class only, 'cat'. A classifier needs at least two: add the images of another class.",
    ),
    (
        "empty-class",
        "empty-class: a class needs images, and there is none in 'cow'. Add images, or remove the folder.",
    ),
    (
        "flat",
        f"flat: the folder holds images (5) but no class folders, so nothing says what they show. Expected:\n{LAYOUTS}",
    ),
    (
        "strange",
        "strange: test has classes that train lacks: 'dig'. A model cannot know them: add them to train, or take them "
        "out of test.",
    ),
    (
        "columns.csv",
        "columns.csv, line 1: there is no column path and no column label; the columns are 'name', 'kind'. " + COLUMNS,
    ),
    (
        "missing.csv",
        "missing.csv, line 3, column 'path': nope.png does not exist. A path is absolute, or starts in the folder of "
        "the table.",
    ),
    (
        "empty.csv",
        "empty.csv: the table is empty. Its first row must name the columns: path,label or path,label,split.",
    ),
    (
        "idx-magic",
        "idx-magic/train-images-idx3-ubyte: not an IDX file of unsigned bytes in 3 dimensions: it begins with "
        "00 00 0d 03, expected 00 00 08 03.",
    ),
    (
        "idx-cut",
        "idx-cut/train-images-idx3-ubyte: the header announces 4 x 2 x 2 = 16 bytes of values, found 13. Get it again.",
    ),
    ("idx-half", "idx-half: the file train-labels-idx1-ubyte (or with .gz) is missing."),
    (
        "two/cat/0.png",
        f"two/cat/0.png: this is one image. To learn, give the folder that holds the images:\n{LAYOUTS}",
    ),
    ("archive.zip", "archive.zip: this is an archive. Unpack it, and give the folder that comes out."),
]

# Enough for an evaluation, too little to learn from.
SINGLE = (
    "single: the class 'dog' has only one image to learn from, 'dog/0.png'. At least two different ones are needed: "
    "add images, or remove the class."
)

MODELS = [
    ("nope", "there is no model at nope: a model is a directory with a file model.json"),
    ("two", "two is not a model: it has no file model.json"),
    ("no-json", "no-json is not a model: it has no file model.json"),
    ("no-weights", "the model no-weights is not whole: weights.safetensors is missing. Copy the whole directory"),
    ("no-split", "the model no-split is not whole: split.json is missing. Copy the whole directory"),
    (
        "other-weights",
        ALTERED.format("other-weights")
        + "weights.safetensors has not the SHA-256 that model.json gives ({weights_sha256:.12}...)",
    ),
    ("edited-json", ALTERED.format("edited-json") + "model.json has not the digest that it gives for itself"),
    ("cut-json", "cut-json/model.json cannot be read as JSON: Expecting value: line 1 column 12 (char 11)"),
    ("other-json", "other-json/model.json is not the description of a mirada model"),
    (
        "newer",
        "newer/model.json has the format version 3, this mirada reads 2: it was written by mirada 9.0; install that "
        "version, or train anew",
    ),
]

LISTINGS = [
    (
        "word.net",
        "'strid' is not understood here (word.net, line 2)\n"
        "  CONV1: 3 3x3 strid 2\n               ^^^^^\n  did you mean stride?",
    ),
    ("layer.net", "'COMV' is not a layer (layer.net, line 2)\n  COMV1: 3 3x3\n  ^^^^\n  did you mean CONV?"),
    (
        "misfit.net",
        "CONV1 does not fit its input (misfit.net, line 2)\n"
        "  (W - F + 2P)/S + 1 = (9 - 3 + 2*0)/4 + 1 = 2.5 is not whole: "
        "the last 2 columns and rows would never be read\n"
        "  fits: input 7 or 11 · filter 1 or 5 · stride 2 or 3 · pad 1 · rounding: floor (gives 2, drops 2)",
    ),
    (
        "larger.net",
        "CONV1 has a filter larger than its input (larger.net, line 2)\n"
        "  side: the filter covers 11, the input has 9\n"
        "  fits: input 11 or 12 · filter 9 or 8 · pad 1 or 2",
    ),
    (
        "claim.net",
        "CONV1 does not give what the listing claims (claim.net, line 2)\n"
        "  claimed [8x8x3], computed [7x7x3] from its input [9x9x3]: (9 - 3 + 2*0)/1 + 1 = 7",
    ),
    (
        "join.net",
        "PARALLEL1 cannot join its branches (join.net, line 2)\n  BRANCH1 gives 7x7x4; BRANCH2 gives 9x9x4\n"
        "  branches are joined along the depth: width and height must be equal",
    ),
    (
        "add.net",
        "RESIDUAL1 cannot add its two ways (add.net, line 2)\n"
        "  its layers give 9x9x4, its input 9x9x3: a sum needs two equal volumes\n"
        "  fits: SHORTCUT: CONV 4 1x1 filters",
    ),
    (
        "no-input.net",
        "the first layer must be the input (no-input.net, line 1)\n  CONV1: 3 3x3\n"
        "  write [WxHxD] INPUT, such as [227x227x3] INPUT",
    ),
    (
        "indented.net",
        "this line is indented, but the line above holds no layers (indented.net, line 3)\n  FC: 2\n"
        "  only RESIDUAL, PARALLEL, REPEAT, BRANCH, SHORTCUT do",
    ),
    (
        "empty.net",
        "the listing empty.net has no layers\n"
        "  write [WxHxD] INPUT, such as [227x227x3] INPUT, and a layer a line below it",
    ),
    ("binary.net", "binary.net is not text: a listing is plain text in UTF-8"),
    ("nope.net", "there is no file nope.net"),
    (
        "alexnt",
        "alexnt is no network that mirada knows\n  did you mean alexnet?\n  or give a listing FILE.net, or timm:NAME",
    ),
]

FROM_LENET5 = ("--from", "lenet5")
OTHERS = [
    (("train", "single", *FROM_LENET5), SINGLE),
    (("train", "single"), SINGLE),
    (
        ("train", "two", "--from", "depth-2.net"),
        "the network takes 2 channels: images have 1 (grey) or 3 (RGB)",
    ),
    (
        ("train", "two", "--from", "no-scores.net"),
        "the network ends in the volume [3x3x3], not in 2 class scores: end it with a line such as 'FC: 2 neurons'",
    ),
    (
        ("train", "two", *FROM_LENET5, "-o", "model"),
        "model exists already: nothing is overwritten. Give another name with -o, or move it away",
    ),
    (
        ("train", "two", "-o", "weights.pt"),
        "weights.pt exists already: nothing is overwritten. Give another name with -o, or move it away",
    ),
    (
        ("train", "two", *FROM_LENET5, "-o", "no/such/model"),
        "the folder {here}/no/such does not exist: make it first, or give another name with -o",
    ),
    (
        ("train", "two", "--epochs", "3"),
        "--epochs is for training a listing from scratch, such as --from lenet5: efficientnet-lite0 is pretrained, "
        "and climbs the ladder by its own recipe",
    ),
    (
        ("train", "two", "--batch-size", "8"),
        "--batch-size is for training a listing from scratch, such as --from lenet5: efficientnet-lite0 is "
        "pretrained, and climbs the ladder by its own recipe",
    ),
    (
        ("train", "two", *FROM_LENET5, "--minutes", "2"),
        "--minutes is for a pretrained network: a listing is trained whole, from scratch",
    ),
    (
        ("train", "two", "--retrain", "deep"),
        "--retrain must be auto, head, all or a number of stages from 1, got deep",
    ),
    (
        ("train", "two", "--retrain", "0"),
        "--retrain must be auto, head, all or a number of stages from 1, got 0",
    ),
    (("train", "two", "--minutes", "-1"), "--minutes must be a number above 0, got -1.0"),
    (
        ("train", "two", "--until", "90"),
        "--until must be an accuracy above 0 and up to 1, such as 0.9 or 90%, got 90.0",
    ),
    (
        ("train", "two", *FROM_LENET5, "--weights", "weights.pt"),
        "--weights is for a pretrained network, such as --from timm:resnet18; a listing starts from scratch",
    ),
    (
        ("train", "two", *FROM_LENET5, "--learning-rate", "0"),
        "learning rate must be a number above 0 and up to 1e+06, got 0.0",
    ),
    (
        ("train", "two", *FROM_LENET5, "--learning-rate", "inf"),
        "learning rate must be a number above 0 and up to 1e+06, got inf",
    ),
    (
        ("train", "two", *FROM_LENET5, "--learning-rate", "fast"),
        "--learning-rate must be a number, or find, got fast",
    ),
    (
        ("train", "two", *FROM_LENET5, "--recipe", "alexnett"),
        "there is no recipe 'alexnett': there are modern, lenet5, lenet5-1998, alexnet, vgg, or a file NAME.yaml. "
        "Did you mean 'alexnet'?",
    ),
    (("train", "two", *FROM_LENET5, "--set", "clip"), "--set takes NAME=VALUE, such as clip=1, got clip"),
    (("train", "two", *FROM_LENET5, "--set", "clip=[1"), "--set clip=[1: the value cannot be understood"),
    (("train", "two", *FROM_LENET5, "--set", "clipp=1"), "a recipe has no 'clipp'. Did you mean 'clip'?"),
    (
        ("train", "two", "--recipe", "vgg", "--from", "efficientnet-lite0"),
        "--recipe is for training a listing from scratch"
        ", such as --from lenet5: efficientnet-lite0 is pretrained, and climbs the ladder by its own recipe",
    ),
    (
        ("train", "two", "--set", "clip=1"),
        "--set is for training a listing from scratch"
        ", such as --from lenet5: efficientnet-lite0 is pretrained, and climbs the ladder by its own recipe",
    ),
    (
        ("train", "two", "--journal", "tables"),
        "--journal is for training a listing from scratch"
        ", such as --from lenet5: efficientnet-lite0 is pretrained, and climbs the ladder by its own recipe",
    ),
    (
        ("train", "two", *FROM_LENET5, "--resume", "-o", "new"),
        "there is no interrupted training of new to take up: leave --resume out to begin one",
    ),
    (
        ("train", "two", "--from", "timm:resnet18", "--weights", "weights.pt"),
        "weights.pt is not a whole safetensors file (",
    ),
    (
        ("train", "two", "--from", "timm:resnet18", "--weights", "nope.safetensors"),
        "the weights cannot be read: nope.safetensors (No such file or directory)",
    ),
    (
        ("train", "two", "--from", "timm:resnt18"),
        "timm has no network called 'resnt18'\n  did you mean timm:resnet18?",
    ),
    (
        ("evaluate", "model", "digits", "--part", "nonsense"),
        "nonsense is no part of a data set: the parts are train, val, test",
    ),
    (
        ("evaluate", "model", "two"),
        "two has classes that the model does not know: 'cat', 'dog'. It knows '0', '1', '2', '3', '4' and 5 more",
    ),
    (("predict", "model", "two", "--json", "--csv"), "--json and --csv exclude each other"),
    (("predict", "model", "nope"), "nothing exists at nope"),
    (("predict", "model", "nope", "neither.png"), "nothing exists at nope, neither.png"),
    (
        ("predict", "model", "empty"),
        "there is no image in what was given",
    ),
    (
        ("train", "two", *FROM_LENET5, "-o", "two/model"),
        "two/model lies inside the data two, where nothing is written: give a place outside it with -o",
    ),
    (
        ("train", "two", *FROM_LENET5, "-o", "n" * 300),
        f"the name {'n' * 20}... is longer than a folder's can be: give another with -o",
    ),
    (("layers", "n" * 300 + ".net"), f"there is no file {'n' * 300}.net"),
    (("predict", "model", "n" * 300), f"nothing exists at {'n' * 300}"),
    (
        ("engines", "lenet5"),
        "lenet5 is a listing: give a pretrained network, or the directory of a trained model",
    ),
    (
        ("engines", "model"),
        "model: nothing was tried: torch runs it, on a GPU, or because its work is little",
    ),
    (("engines", "two"), "two is not a model: it has no file model.json"),
    (
        ("engines", "timm:resnt18"),
        "timm has no network called 'resnt18'\n  did you mean timm:resnet18?",
    ),
    (("layers", "lenet5", "--json", "--sums"), "--sums, --json, --markdown and --svg exclude each other"),
]

KNOWN = "It knows '0', '1', '2', '3', '4' and 5 more"
ONLY_NOT_LEARNT = {"one": "'cat'", "empty-class": "'cat', 'dog'", "strange": "'cat', 'dig', 'dog'"}
"""What cannot be learnt from, but could be judged by a model that knows its classes."""

CASES = [
    *((("train", data, *FROM_LENET5), message) for data, message in DATA),
    *((("train", data), message) for data, message in DATA),
    *((("evaluate", "model", data), message) for data, message in DATA if data not in ONLY_NOT_LEARNT),
    *(
        (("evaluate", "model", data), f"{data} has classes that the model does not know: {names}. {KNOWN}")
        for data, names in ONLY_NOT_LEARNT.items()
    ),
    *((("evaluate", model, "digits"), message) for model, message in MODELS),
    *((("predict", model, "two"), message) for model, message in MODELS),
    *((("layers", listing), message) for listing, message in LISTINGS),
    *((("train", "two", "--from", listing), message) for listing, message in LISTINGS),
    *OTHERS,
]


@pytest.fixture(scope="session")
def bad_world(tmp_path_factory, digits_model, pictures):
    """The folder of `bad_world`. Each test leaves it as it was: that is what it checks."""
    root = tmp_path_factory.mktemp("bad")
    make_data(root, pictures)
    make_idx(root)
    make_listings(root)
    make_models(root, digits_model.path)
    return root


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(("arguments", "message"), CASES, ids=[" ".join(arguments) for arguments, _ in CASES])
def test_refused(mirada, bad_world, snapshot, monkeypatch, arguments, message):
    monkeypatch.chdir(bad_world)
    before = snapshot(bad_world)
    said = mirada(*arguments)
    files = json.loads((bad_world / "model" / "model.json").read_text())["files"]
    expected = message.replace("{here}", str(bad_world)).replace(
        "{weights_sha256:.12}", files["weights.safetensors"][:12]
    )
    assert (said.status, said.out) == (2, "")
    assert said.err.startswith(f"mirada: {expected}")
    assert message.endswith("(") or said.err == f"mirada: {expected}\n"
    assert snapshot(bad_world) == before


USAGE = [
    (("frobnicate",), "No such command 'frobnicate'"),
    (("train",), "Missing argument 'DATA'"),
    (("predict", "model"), "Missing argument 'PATH...'"),
    (("train", "two", "--epoch", "2"), "No such option '--epoch'. Did you mean '--epochs'?"),
    (("train", "two", "--epochs", "0"), "Invalid value for '--epochs'"),
    (("train", "two", "--epochs", "two"), "Invalid value for '--epochs'"),
    (("train", "two", "--minutes", "some"), "'some' is no number of minutes: give one such as 1.5"),
    (("train", "two", "--until", "ninety"), "'ninety' is no share: give one such as 0.9 or 90%"),
    (("train", "two", "--seed", "-1"), "Invalid value for '--seed'"),
    (("predict", "model", "two", "--top", "0"), "Invalid value for '--top'"),
]


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(("arguments", "message"), USAGE, ids=[" ".join(arguments) for arguments, _ in USAGE])
def test_a_line_that_is_no_command(mirada, bad_world, snapshot, monkeypatch, arguments, message):
    monkeypatch.chdir(bad_world)
    before = snapshot(bad_world)
    said = mirada(*arguments)
    assert (said.status, said.out) == (2, "")
    assert said.err.startswith("Usage: mirada ")
    assert message in said.err
    assert snapshot(bad_world) == before


def test_an_odd_name_in_a_refusal_is_spelled_out(mirada, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    said = mirada("train", "no\x1b[31mway")
    assert said.status == 2
    assert said.err.startswith("mirada: no\\x1b[31mway: there is no such file or folder.")
    assert "\x1b" not in said.err
