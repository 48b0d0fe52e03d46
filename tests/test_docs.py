"""The documentation is true: its Python runs, its commands say what is shown, its reference is up to date."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import mirada
from pages import PageError, blocks_of, line_matches, run_page

ROOT = Path(__file__).parent.parent
PAGES = sorted(path for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")))


def module_names():
    yield "mirada"
    for module in pkgutil.walk_packages(mirada.__path__, "mirada."):
        if module.name != "mirada.__main__":
            yield module.name


@pytest.mark.parametrize("name", list(module_names()))
def test_the_examples_in_docstrings(name):
    module = importlib.import_module(name)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    said = []
    for example in doctest.DocTestFinder(exclude_empty=True).find(module):
        runner.run(example, out=said.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(said)


def test_there_are_examples_in_docstrings():
    finder = doctest.DocTestFinder()
    found = [test for name in module_names() for test in finder.find(importlib.import_module(name)) if test.examples]
    assert len(found) >= 15


@pytest.mark.parametrize("page", [path for path in PAGES if path.is_file()], ids=lambda path: path.name)
def test_a_page_is_true(page, tmp_path, capsys, monkeypatch):
    run_page(page.read_text(encoding="utf-8"), tmp_path, capsys, monkeypatch)


def test_the_reference_of_the_command_line_is_up_to_date():
    specification = importlib.util.spec_from_file_location("generate_cli", ROOT / "docs" / "generate_cli.py")
    generate_cli = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(generate_cli)
    page = generate_cli.reference()
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == page, "run python docs/generate_cli.py"
    for command in ("layers", "train", "evaluate", "predict", "engines", "index", "search", "similar", "atlas"):
        assert f"\n## mirada {command}\n" in page


# The runner itself: what is wrong on a page must fail.

GOOD = """\
# A page
<!-- setup
listing = "[28x28x1] INPUT\\nFC 10\\n"
from pathlib import Path
Path("mine.net").write_text(listing)
-->

```python
import mirada
table = mirada.layers("mine.net")
```

Later blocks see the names of earlier ones, and the same folder:

```python
assert table.parameters == 7850
```

```console
$ mirada layers mine.net
FC1 ... 7,850 ...
7,850 parameters ...
$ mirada layers mine.net --json > table.json
$ mirada layers alexnt
mirada: alexnt is no network that mirada knows
  did you mean alexnet?
$ ls
```

<!-- exit status 2 -->
```console
$ mirada layers nope.net
```

<!-- not run: it needs the network -->
```python
raise RuntimeError
```

```
raise RuntimeError("a block without a language is not run")
```
"""

WRONG = {
    "an assertion": ("```python\nassert 1 == 2\n```", "line 2.*assert 1 == 2"),
    "an exception": ("text\n\n```python\nx = 1\nint('x')\n```", "line 5.*invalid literal"),
    "a mistake in the setup": ("<!-- setup\nint('x')\n-->", "line 2.*invalid literal"),
    "a wrong line": ("```console\n$ mirada --version\nmirada 99\n```", "line 3.*mirada 99"),
    "half a line": ("```console\n$ mirada --version\nmirada\n```", "line 3"),
    "lines in another order": (
        "```console\n$ mirada layers lenet5\nFC5 ...\nCONV1 ...\n```",
        "line 4.*CONV1",
    ),
    "a refusal that is not shown": ("```console\n$ mirada layers alexnt\n```", "line 2.*exit status 2, expected 0"),
    "a refusal that does not come": (
        "```console\n$ mirada layers lenet5\nmirada: lenet5 is wrong\n```",
        "line 2.*exit status 0, expected 2",
    ),
    "another exit status": (
        "<!-- exit status 1 -->\n```console\n$ mirada layers alexnt\n```",
        "line 3.*exit status 2, expected 1",
    ),
    "a block without an end": ("```python\nx = 1\n", "line 1.*no end"),
    "a block that is not run without a reason": ("<!-- not run: -->\n```python\nx = 1\n```", "line 1.*reason"),
}


def test_a_good_page_passes(tmp_path, capsys, monkeypatch):
    not_run = run_page(GOOD, tmp_path, capsys, monkeypatch)
    assert not_run == ["it needs the network"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.net", "table.json"]
    assert (tmp_path / "table.json").read_text().startswith('{\n  "name"')


@pytest.mark.parametrize(("page", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_page_fails(page, message, tmp_path, capsys, monkeypatch):
    with pytest.raises(PageError, match=message):
        run_page(page, tmp_path, capsys, monkeypatch)


@pytest.mark.parametrize(
    ("shown", "line", "matches"),
    [
        ("abc", "abc", True),
        ("abc", "abcd", False),
        ("a...c", "abbbc", True),
        ("a...c", "ac", True),
        ("a ... c", "a   b   c", True),
        ("a.c", "abc", False),
        ("...", "anything", True),
        ("(x) [y]*", "(x) [y]*", True),
    ],
)
def test_three_dots_stand_for_anything(shown, line, matches):
    assert line_matches(shown, line) is matches


def test_blocks_are_found_with_their_lines():
    found = [(block.kind, block.line) for block in blocks_of(GOOD)]
    assert found == [("setup", 2), ("python", 8), ("python", 15), ("console", 19), ("console", 31), ("python", 36)]


def test_the_reference_shows_no_insides() -> None:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert "Sentinel" not in page
    assert "UNSET" not in page


def test_every_public_name_is_in_the_api_reference(tmp_path: Path) -> None:
    """The reference is built from the docstrings, as `make docs` does it."""
    command = [sys.executable, str(ROOT / "docs" / "generate_api.py"), str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True)
    page = (tmp_path / "mirada.html").read_text(encoding="utf-8")
    names = [name for name in mirada.__all__ if not name.startswith("__")]
    assert [name for name in names if f'id="{name}"' not in page] == []
    rooms = [("mirada", "train"), ("mirada/arch", "parse"), ("mirada/backbone", "layers"), ("mirada/data", "convert")]
    for room, function in rooms:  # loaded when they are first used
        page = (tmp_path / f"{room}.html").read_text(encoding="utf-8")
        assert re.search(rf'class="def">def</span>\s*<span class="name">{function}</span>', page), function
