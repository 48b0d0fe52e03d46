"""Sentences that are refused: the error's class, its line, and every word of its message."""

from __future__ import annotations

import pytest
from architectures import architectures, examples
from hypothesis import given
from hypothesis import strategies as st

from mirada.arch import Architecture, format_listing, parse
from mirada.errors import ArchitectureError, NotationError

KINDS = (
    "INPUT, CONV, MAX POOL, AVG POOL, GLOBAL AVG POOL, NORM, BATCH NORM, FC, DROPOUT, ACTIVATION, RELU, TANH, SIGMOID, "
    "SQUEEZE EXCITE, RESIDUAL, SHORTCUT, PARALLEL, BRANCH, REPEAT"
)
FUNCTIONS = "relu, relu6, leaky-relu, elu, gelu, silu, hard-swish, sigmoid, tanh, none"
OF_CONV = f"filters, stride, pad, groups, dilation, bias, no bias, batch norm, rounding, {FUNCTIONS}"
AS_IN_CONV = "write it as in CONV1: 96 11x11 filters at stride 4, pad 0"
STANDS_ALONE = "a BRANCH stands inside PARALLEL, a SHORTCUT ends a RESIDUAL"
HOLD_LAYERS = "only RESIDUAL, PARALLEL, REPEAT, BRANCH, SHORTCUT do"
A_VOLUME = "write [width x height x depth] or [neurons], such as [55x55x96]"
NOT_INDENTED = "this line is not indented like its neighbours"


def number(what: str, said: str, least: int = 1) -> str:
    return f"{what} {said} is not a whole number from {least} to 1,000,000"


LINES = [
    # a line below `[9x9x3] INPUT`, the word that is marked, what is wrong, what to do
    ("COMV1: 3 3x3", "COMV", "'COMV' is not a layer", "did you mean CONV?"),
    ("FCC 3", "FCC", "'FCC' is not a layer", "did you mean FC?"),
    ("MAXPOOLING 2x2", "MAXPOOLING", "'MAXPOOLING' is not a layer", "did you mean MAX POOL?"),
    ("12", "12", "'12' is not a layer", f"known: {KINDS}"),
    ("[9x9x3]", None, "a layer is missing here", "write one, such as CONV: 96 11x11 filters"),
    ("CONV 1 1x1 ->", None, "a layer is missing here", "write one, such as CONV: 96 11x11 filters"),
    ("[3x3] CONV 1 1x1", "[3x3]", "[3x3] is not a volume", A_VOLUME),
    ("[] CONV 1 1x1", "[]", "[] is not a volume", A_VOLUME),
    ("CONV: 3 3x3 strid 2", "strid", "'strid' is not understood here", "did you mean stride?"),
    ("CONV: 3 3x3 banana", "banana", "'banana' is not understood here", f"known: {OF_CONV}"),
    ("CONV: 3 3x3 stride", "stride", "stride has no value", "write one, such as stride 2"),
    ("CONV: 3 3x3 rounding", "rounding", "rounding has no value", "write one, such as rounding floor"),
    ("CONV: 3 3x3 no", "no", "no has no value", "write one, such as no bias"),
    ("CONV: 3 3x3 no idea", "idea", "'idea' is not understood here", "known: bias, activation, batch norm, pad"),
    ("CONV: 3 3x3 rounding up", "up", "'up' is not a rounding", "known: exact, floor, ceil"),
    ("CONV: 3 3x3 pad x", " x", number("pad", "x", 0), "write pad as a number"),
    ("CONV: 3 3x3 pad -1", "-1", number("pad", "-1", 0), "write pad as a number"),
    ("CONV: 3 3x3 stride 0", "0", number("stride", "0"), "write stride as a number"),
    ("CONV: 3 3x3 groups 1.5", "1.5", number("groups", "1.5"), "write groups as a number"),
    ("CONV10: 0 3x3", " 0", number("filters", "0"), "write filters as a number"),
    ("CONV: 1000001 3x3", "1000001", number("filters", "1000001"), "write filters as a number"),
    ("CONV: 3 0x3", "0", number("filter size", "0"), "write filter size as a number"),
    ("CONV: 3 3x3 5x5", "5x5", "two filter sizes, 3x3 and 5x5", "leave one of the two out"),
    ("CONV: 3 4 3x3", "4", "two numbers of filters, 3 and 4", "leave one of the two out"),
    ("CONV: 3x3", None, "CONV1 does not say how many filters", AS_IN_CONV),
    ("CONV: 8", None, "CONV1 does not say how large the filters are", AS_IN_CONV),
    ("CONV: 3 2x2 pad same", "same", "pad same needs stride 1 and an odd filter", "write the padding as a number"),
    (
        "CONV: 3 3x3 stride 2 pad same",
        "same",
        "pad same needs stride 1 and an odd filter",
        "write the padding as a number",
    ),
    (
        "POOL4: stride 2",
        None,
        "MAX POOL4 does not say how large its window is",
        "write it as in MAX POOL4: 3x3 filters at stride 2",
    ),
    ("POOL: 2x2 3x3", "3x3", "two filter sizes, 2x2 and 3x3", "leave one of the two out"),
    ("POOL: 2x2, no pad", "no", "'no' is not understood here", "known: filters, stride, pad, rounding"),
    ("GAP: 3x3", "3x3", "'3x3' is not understood here", "known: global, average, pooling"),
    (
        "NORM: gamma 1",
        "gamma",
        "'gamma' is not understood here",
        "known: n, k, alpha, beta, normalization, normalisation, local, response, contrast",
    ),
    ("NORM: n", " n", "n has no value", "write one, such as n 2"),
    ("NORM: n 0", "0", number("n", "0"), "write n as a number"),
    ("NORM: alpha x", "x", "alpha x is not a number", "write alpha as a number"),
    ("NORM: k nan", "nan", "k nan is not a number", "write k as a number"),
    ("NORM: beta inf", "inf", "beta inf is not a number", "write beta as a number"),
    ("BN: rely", "rely", "'rely' is not understood here", "did you mean relu?"),
    ("BN: no idea", "no", "'no' is not understood here", "did you mean none?"),
    ("FC: neurons", None, "FC1 does not say how many neurons it has", "write it as in FC1: 4096 neurons"),
    ("FC: 10 20", "20", "two numbers of neurons, 10 and 20", "leave one of the two out"),
    ("FC: 10 no pad", "pad", "'pad' is not understood here", "known: bias, activation"),
    ("FC: 10 neurns", "neurns", "'neurns' is not understood here", "did you mean neurons?"),
    (
        "DROPOUT: 50",
        "50",
        "a dropout rate of 50 is not from 0 to below 1",
        "write the share dropped, such as 0.5",
    ),
    ("DROPOUT: half", "half", "the rate half is not a number", "write the rate as a number"),
    ("ACTIVATION: swish", "swish", "'swish' is not understood here", "did you mean hard-swish?"),
    ("SE: ratio 4", "ratio", "'ratio' is not understood here", "known: reduction"),
    ("SE: reduction 0", "0", number("reduction", "0"), "write reduction as a number"),
    ("INPUT: 3x3x3", "INPUT", "a network has one input", "leave the second INPUT out"),
    ("BRANCH: CONV 1 1x1", None, "BRANCH stands alone", STANDS_ALONE),
    ("SHORTCUT: CONV 1 1x1", None, "SHORTCUT stands alone", STANDS_ALONE),
    ("RESIDUAL", None, "RESIDUAL1 holds no layers", "indent its layers below it"),
    ("REPEAT: 2 times", None, "REPEAT1 holds no layers", "indent its layers below it"),
    (
        "rounding: floor",
        "rounding",
        "rounding is a setting of the whole network",
        "settings stand above the INPUT line",
    ),
]


def marked(text: str, word: str | None) -> str:
    """The line as a message shows it, with a mark under the word; a blank before the word is not marked."""
    if word is None:
        return f"  {text}"
    start = text.index(word) + len(word) - len(word.strip())
    return f"  {text}\n  {' ' * start}{'^' * len(word.strip())}"


@pytest.mark.parametrize(("line", "word", "what", "hint"), LINES)
def test_lines_that_are_not_understood(line: str, word: str | None, what: str, hint: str):
    with pytest.raises(NotationError) as caught:
        parse(f"# a comment\n[9x9x3] INPUT\n{line} # here\nFC 3")
    assert str(caught.value) == f"{what} (line 3)\n{marked(line, word)}\n  {hint}"
    assert (caught.value.line, caught.value.source) == (3, None)


LISTINGS = [
    # a listing, the line of the error, what is wrong, the line, what to do
    (
        "CONV 1 1x1",
        1,
        "the first layer must be the input",
        "CONV 1 1x1",
        "write [WxHxD] INPUT, such as [227x227x3] INPUT",
    ),
    ("INPUT\nFC 1", 1, "the input has no size", "INPUT", "write [WxHxD] INPUT, such as [227x227x3] INPUT"),
    ("[3x3x3] INPUT", 1, "no layer follows the input", "[3x3x3] INPUT", "add one, such as FC: 10 neurons"),
    (
        "[3x3x3] INPUT: 4x4x4\nFC 1",
        1,
        "the input is both 3x3x3 and 4x4x4",
        marked("[3x3x3] INPUT: 4x4x4", "4x4x4"),
        "leave one of the two out",
    ),
    (
        "INPUT big\nFC 1",
        1,
        "'big' is not a volume",
        marked("INPUT big", "big"),
        "write width x height x depth, such as 227x227x3",
    ),
    (
        "nme: X\n[3x3x3] INPUT\nFC 1",
        1,
        "'nme' is neither a layer nor a setting",
        marked("nme: X", "nme"),
        "did you mean name?",
    ),
    (
        "colour: red\n[3x3x3] INPUT\nFC 1",
        1,
        "'colour' is neither a layer nor a setting",
        marked("colour: red", "colour"),
        f"known: name, source, activation, rounding, batch norm, {KINDS}",
    ),
    ("name: X\nname: Y\nFC 1", 2, "name is set twice", marked("name: Y", "name"), "leave one of the two out"),
    (
        "rounding: up\n[3x3x3] INPUT\nFC 1",
        1,
        "'up' is not a value of rounding",
        marked("rounding: up", "up"),
        "known: exact, floor, ceil",
    ),
    (
        "activation: rulu\n[3x3x3] INPUT\nFC 1",
        1,
        "'rulu' is not a value of activation",
        marked("activation: rulu", "rulu"),
        "did you mean relu?",
    ),
    (
        "[3x3x3] INPUT\nCONV 1 1x1\n  CONV 1 1x1",
        3,
        "this line is indented, but the line above holds no layers",
        "CONV 1 1x1",
        HOLD_LAYERS,
    ),
    ("[3x3x3] INPUT\nRESIDUAL\n    CONV 3 1x1\n  RELU", 4, NOT_INDENTED, "RELU", "begin it below them"),
    ("[3x3x3] INPUT\nPARALLEL\n  BRANCH: identity\n    RELU", 4, NOT_INDENTED, "RELU", "begin it below them"),
    (
        "[3x3x3] INPUT\nCONV2: 1 1x1\nconv2: 1 1x1",
        3,
        "two neighbours are called CONV2",
        marked("conv2: 1 1x1", "conv2"),
        "give each a name of its own",
    ),
    (
        "[3x3x3] INPUT\nPARALLEL\n  BRANCH1: RELU\n  BRANCH1: RELU",
        4,
        "two neighbours are called BRANCH1",
        marked("BRANCH1: RELU", "BRANCH1"),
        "give each a name of its own",
    ),
    (
        "[3x3x3] INPUT\nPARALLEL: foo\n  BRANCH: identity",
        2,
        "'foo' is not understood here",
        marked("PARALLEL: foo", "foo"),
        "known: branches, joined, along, depth",
    ),
    (
        "[3x3x3] INPUT\nPARALLEL\n  CONV 1 1x1",
        3,
        "CONV stands directly in PARALLEL",
        marked("CONV 1 1x1", "CONV"),
        "put each way into a line such as BRANCH: CONV 64 1x1 -> CONV 96 3x3, pad 1",
    ),
    (
        "[3x3x3] INPUT\nPARALLEL\n  BRANCH:\n  BRANCH: RELU",
        3,
        "BRANCH1 holds no layers",
        marked("BRANCH:", "BRANCH"),
        "write BRANCH: CONV 64 1x1, or BRANCH: identity",
    ),
    (
        "[3x3x3] INPUT\nRESIDUAL\n  SHORTCUT: CONV 3 1x1",
        2,
        "RESIDUAL1 holds no layers beside its shortcut",
        "RESIDUAL",
        "indent its layers above the shortcut",
    ),
    (
        "[3x3x3] INPUT\nRESIDUAL\n  CONV 3 1x1\n  SHORTCUT2: CONV 3 1x1",
        4,
        "a shortcut has no number",
        marked("SHORTCUT2: CONV 3 1x1", "SHORTCUT2"),
        "write SHORTCUT:",
    ),
    ("[3x3x3] INPUT\nRESIDUAL\n  SHORTCUT: RELU\n  RELU", 3, "SHORTCUT stands alone", "SHORTCUT: RELU", STANDS_ALONE),
    ("[3x3x3] INPUT\nREPEAT\n  RELU", 2, "how often is it repeated?", "REPEAT", "write REPEAT: 3 times"),
    (
        "[3x3x3] INPUT\nREPEAT: many\n  RELU",
        2,
        "the number of times many is not a whole number from 1 to 1,000",
        marked("REPEAT: many", "many"),
        "write the number of times as a number",
    ),
    (
        "[3x3x3] INPUT\nREPEAT: 1001 times\n  RELU",
        2,
        "the number of times 1001 is not a whole number from 1 to 1,000",
        marked("REPEAT: 1001 times", "1001"),
        "write the number of times as a number",
    ),
    (
        "[3x3x3] INPUT\nREPEAT2: 1000 times\n  RESIDUAL\n    RELU\n    PARALLEL\n      BRANCH: RELU -> RELU\n"
        "    SHORTCUT\n      REPEAT: 18 times\n        RELU",
        1,
        "the listing comes to 45,001 layers when every REPEAT is written out",
        "[3x3x3] INPUT",
        "more than 20,000 are not read: repeat less often",
    ),
    (
        "[3x3x3] INPUT\n" + "\n".join("  " * depth + "RESIDUAL" for depth in range(17)),
        18,
        "blocks stand more than 16 deep",
        "RESIDUAL",
        "flatten the listing",
    ),
]


@pytest.mark.parametrize(("listing", "line", "what", "shown", "hint"), LISTINGS)
def test_listings_that_are_not_understood(listing: str, line: int, what: str, shown: str, hint: str):
    with pytest.raises(NotationError) as caught:
        parse(listing, "made.net")
    shown = shown if shown.startswith("  ") else f"  {shown}"
    assert str(caught.value) == f"{what} (made.net, line {line})\n{shown}\n  {hint}"
    assert (caught.value.line, caught.value.source) == (line, "made.net")


@pytest.mark.parametrize("listing", ["", "\n\n", "# only a comment", "name: X\nsource: Y"])
@pytest.mark.parametrize(("file", "called"), [(None, "the listing"), ("empty.net", "the listing empty.net")])
def test_listings_without_layers(listing: str, file: str | None, called: str):
    with pytest.raises(NotationError) as caught:
        parse(listing, file)
    hint = "write [WxHxD] INPUT, such as [227x227x3] INPUT, and a layer a line below it"
    assert str(caught.value) == f"{called} has no layers\n  {hint}"
    assert (caught.value.line, caught.value.source) == (None, file)


WORDS = (
    "",
    "7",
    "0x3",
    "5x5",
    "->",
    "stride",
    "pad 9",
    "CONV",
    "FC 3",
    "[2x2x2]",
    "relu",
    "nonsense",
    "\n",
    "\n  ",
    "²",
)


@given(architectures(), st.data(), st.sampled_from(WORDS))
@examples(200)
def test_a_listing_with_one_word_changed_reads_back_or_is_refused_with_its_line(
    architecture: Architecture, data: st.DataObject, word: str
):
    words = format_listing(architecture).split(" ")
    words[data.draw(st.integers(0, len(words) - 1))] = word
    changed = " ".join(words)
    outcome = read_or_refused(changed)
    if isinstance(outcome, Architecture):
        assert parse(format_listing(outcome)) == outcome
    else:
        assert 1 <= outcome.line <= changed.count("\n") + 1
        assert f"(made.net, line {outcome.line})" in str(outcome).splitlines()[0]


def read_or_refused(text: str) -> Architecture | ArchitectureError:
    try:
        return parse(text, "made.net")
    except ArchitectureError as error:
        return error


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("SOFTMAX", "leave it out: the loss and predict make probabilities of the class scores"),
        ("Flatten", "leave it out: FC sees the whole volume"),
        ("Linear: 10", "write FC: 10 neurons"),
        ("GLOBAL MAX POOL", "write GLOBAL AVG POOL"),
        ("[3x3x3 CONV 4 3x3", "a volume stands in brackets at the beginning of a line, such as [55x55x96] CONV1: ..."),
    ],
)
def test_what_other_notations_call_it(line: str, hint: str):
    with pytest.raises(NotationError) as caught:
        parse(f"[3x3x3] INPUT\n{line}")
    assert str(caught.value).splitlines()[-1] == f"  {hint}"


def test_blocks_without_layers_are_counted_too():
    nested = "[3x3x3] INPUT\nREPEAT: 1000 times\n REPEAT: 1000 times\n  PARALLEL\n   BRANCH: identity"
    with pytest.raises(NotationError, match=r"^the listing comes to 3,002,001 layers when every REPEAT is written out"):
        parse(nested)


def test_endless_listings_are_refused_before_they_are_read():
    with pytest.raises(NotationError, match=r"^the listing has 2,001 lines: more than 2,000 are not read"):
        parse("[3x3x3] INPUT\n" + "RELU\n" * 2_000)
