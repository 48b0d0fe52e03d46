"""The rules of this house that a program can check: rooms, names, forbidden words, licences, version ranges."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import mirada

SOURCE = Path(mirada.__file__).parent
ROOT = Path(__file__).parent.parent
MODULES = sorted(SOURCE.rglob("*.py"))
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "core"}
MOST_LINES = 450


def relative(path):
    return path.relative_to(SOURCE).as_posix()


def test_there_is_something_to_check():
    assert len(MODULES) > 40


def test_nothing_imports_a_room_further_right():
    script = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([script, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    kept = re.search(r"Contracts: (\d+) kept, 0 broken", done.stdout)
    assert kept
    assert int(kept[1]) >= 2


def test_no_room_has_a_name_that_says_nothing():
    names = {part for path in MODULES for part in path.relative_to(SOURCE).with_suffix("").parts}
    assert names & VAGUE == set()


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_a_module_is_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


# Decoders raise nearly anything on hostile bytes: each of these becomes an ImageError that names the picture.
# An engine may refuse to convert a network in any way: each of these becomes a refusal that is kept with the choice.
ALLOWED = {"image/decode.py": ["except"], "engine/choice.py": ["except"]}


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_a_module_keeps_the_rules(path):
    found = offences(path.read_text(encoding="utf-8"))
    assert [rule for _, rule in found] == ALLOWED.get(relative(path), []), found


def offences(text):
    """What a source must not hold: the line, and the rule."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        found += [(number, word) for word in ("TODO", "FIXME", "XXX", "NotImplementedError") if word in line]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None) or ""
            names = {module.split(".")[0], *(alias.name.split(".")[0] for alias in node.names)}
            found += [(node.lineno, name) for name in names & {"pickle", "dill", "joblib", "shelve", "marshal"}]
        elif isinstance(node, ast.ExceptHandler):
            caught = [] if node.type is None else ast.walk(node.type)
            broad = [each.id for each in caught if isinstance(each, ast.Name)]
            if node.type is None or {"Exception", "BaseException"} & set(broad):
                found.append((node.lineno, "except"))
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            options = {keyword.arg: keyword.value for keyword in node.keywords}
            if called in ("eval", "exec", "os.system"):
                found.append((node.lineno, called))
            if called == "torch.load" and ast.unparse(options.get("weights_only", ast.Constant(None))) != "True":
                found.append((node.lineno, "torch.load"))
            allow_pickle = ast.unparse(options.get("allow_pickle", ast.Constant(False)))
            if called in ("np.load", "numpy.load") and allow_pickle != "False":
                found.append((node.lineno, "allow_pickle"))
    return found


BAD = [
    ("import pickle", "pickle"),
    ("from pickle import loads", "pickle"),
    ("try:\n    pass\nexcept:\n    pass", "except"),
    ("try:\n    pass\nexcept Exception:\n    pass", "except"),
    ("try:\n    pass\nexcept (ValueError, BaseException) as error:\n    pass", "except"),
    ("import torch\ntorch.load('x')", "torch.load"),
    ("import torch\ntorch.load('x', weights_only=False)", "torch.load"),
    ("import numpy as np\nnp.load('x', allow_pickle=True)", "allow_pickle"),
    ("import numpy\nnumpy.load('x', allow_pickle=trusted)", "allow_pickle"),
    ("raise NotImplementedError", "NotImplementedError"),
    ("x = 1  # TODO: more", "TODO"),
    ("exec('x = 1')", "exec"),
]


@pytest.mark.parametrize(("text", "rule"), BAD)
def test_the_rules_are_really_checked(text, rule):
    assert [name for _, name in offences(text)] == [rule]


def test_what_the_rules_allow():
    assert offences("import torch\ntry:\n    torch.load('x', weights_only=True)\nexcept OSError:\n    pass\n") == []
    assert offences("import numpy as np\nnp.load('x', allow_pickle=False)\nnp.load('y')\n") == []


def installed_tree(name, extras):
    """The distributions that a distribution needs on this machine, itself among them, by name."""
    found, ahead = {}, [(name, frozenset(extras))]
    while ahead:
        name, extras = ahead.pop()
        key = re.sub(r"[-_.]+", "-", name).lower()
        if key in found and extras <= found[key]:
            continue
        found[key] = found.get(key, frozenset()) | extras
        for written in importlib.metadata.distribution(name).requires or ():
            requirement = Requirement(written)
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                ahead.append((requirement.name, frozenset(requirement.extras)))
    return sorted(found)


def licence(name):
    """Everything that a distribution says of its licence in its metadata."""
    metadata = importlib.metadata.metadata(name)
    said = [metadata.get("License-Expression"), metadata.get("License")]
    said += [each for each in metadata.get_all("Classifier") or () if each.startswith("License ::")]
    return " / ".join(each for each in said if each)


def test_no_dependency_is_under_the_agpl():
    names = installed_tree("mirada", ["heif"])
    assert {"torch", "timm", "numpy", "pillow-heif"} <= set(names)
    said = {name: licence(name) for name in names}
    assert {name: text for name, text in said.items() if is_agpl(text)} == {}


def is_agpl(text):
    """By its short name, or by the title of its text. The text of the GPL mentions it too, but not in capitals."""
    return any(
        re.search(r"\bAGPL|AFFERO GENERAL PUBLIC LICENSE", line) or ("affero" in line.lower() and "::" in line)
        for line in text.splitlines()
    )


def test_an_agpl_licence_is_recognised():
    assert is_agpl("AGPL-3.0-or-later")
    assert is_agpl("License :: OSI Approved :: GNU Affero General Public License v3")
    assert is_agpl("GNU AFFERO GENERAL PUBLIC LICENSE\nVersion 3, 19 November 2007")
    assert not is_agpl("Apache-2.0 / BSD-3-Clause / LGPL-3.0")
    assert not is_agpl("13. Use with the GNU Affero General Public License.")  # a section of the GPL


def requirements():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    written = [*project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        written += extra
    return [requirement for requirement in map(Requirement, written) if requirement.name != "mirada"]


@pytest.mark.parametrize("requirement", requirements(), ids=str)
def test_a_dependency_has_a_lowest_and_a_highest_version(requirement):
    operators = {specifier.operator for specifier in requirement.specifier}
    assert operators & {">=", ">", "~=", "=="}
    assert operators & {"<", "<=", "~=", "=="}


def test_the_map_names_every_module() -> None:
    """CONTRIBUTING.md says what each file is for."""
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    source = page[page.index("## The source in walking order") :]
    missing = [
        str(path.relative_to(SOURCE))
        for path in sorted(SOURCE.rglob("*.py"))
        if not path.name.startswith("__") and path.name not in source
    ]
    assert missing == []
