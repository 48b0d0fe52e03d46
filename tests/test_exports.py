"""The public names: what they are, that nothing else is, and that each says what it does."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

import mirada
from mirada import errors
from mirada.cli.commands import app

PACKAGES = ["machine", "arch", "image", "data", "backbone", "engine", "tasks", "model", "learn", "search", "inspection"]

LAZINESS = {"TYPE_CHECKING", "loaded_when_used"}
"""What a package has for loading names when they are used."""


def public_modules():
    """Every module of the package whose name has no underscore in front."""
    root = Path(mirada.__file__).parent
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root.parent).with_suffix("").parts
        if not any(part.startswith("_") for part in parts):
            yield ".".join(parts)


def imported_when_used(package):
    """The imports of a package's __init__ that a type checker alone follows."""
    tree = ast.parse(Path(package.__file__).read_text(encoding="utf-8"))
    blocks = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    return [node for block in blocks for node in block.body]


def imported_names(package):
    """The public names that the source of a package's __init__ imports or defines."""
    tree = ast.parse(Path(package.__file__).read_text(encoding="utf-8"))
    names = set()
    for node in [*tree.body, *imported_when_used(package)]:
        if isinstance(node, ast.ImportFrom) and node.module != "__future__":
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.Import):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    return {name for name in names if not name.startswith("_")} - LAZINESS


def test_the_names_of_mirada_are_those_it_lists():
    assert dir(mirada) == sorted(set(mirada.__all__))
    assert sorted(set(mirada.__all__)) == sorted(mirada.__all__)
    assert set(mirada._HOMES) | {"__version__"} == set(mirada.__all__)


@pytest.mark.parametrize("name", mirada.__all__)
def test_a_name_of_mirada_is_what_its_home_defines(name):
    value = getattr(mirada, name)
    if name != "__version__":
        assert value is getattr(importlib.import_module(mirada._HOMES[name]), name)
        assert not isinstance(value, types.ModuleType)
        assert inspect.getdoc(value)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'mirada' has no attribute 'trian'"):
        _ = mirada.trian


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_exports_what_it_imports_and_nothing_else(name):
    package = importlib.import_module(f"mirada.{name}")
    assert set(package.__all__) == imported_names(package)
    assert len(set(package.__all__)) == len(package.__all__)
    for key in package.__all__:
        getattr(package, key)  # some are loaded when they are first used
    present = {key for key, value in vars(package).items() if not isinstance(value, types.ModuleType)}
    assert {key for key in present if not key.startswith("_")} - {"annotations"} - LAZINESS == set(package.__all__)


@pytest.mark.parametrize("package", [mirada, *(importlib.import_module(f"mirada.{name}") for name in PACKAGES)])
def test_what_is_loaded_when_used_is_what_a_type_checker_is_told(package):
    folder = Path(package.__file__).parent
    modules = {path.stem for path in folder.iterdir()}
    for node in imported_when_used(package):
        for alias in node.names:
            assert alias.name not in modules  # which would take its place
            assert getattr(package, alias.name) is getattr(importlib.import_module(node.module), alias.name)


def test_an_unknown_name_of_a_package_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"module 'mirada.arch' has no attribute 'prase'"):
        _ = mirada.arch.prase


def test_every_package_is_listed_here():
    root = Path(mirada.__file__).parent
    assert {path.parent.name for path in root.glob("*/__init__.py")} == {*PACKAGES, "cli"}


@pytest.mark.parametrize("name", list(public_modules()))
def test_every_public_thing_has_a_docstring(name):
    module = importlib.import_module(name)
    assert module.__doc__
    for key in getattr(module, "__all__", ()):
        value = getattr(module, key)
        if not inspect.isclass(value) and not inspect.isfunction(value):
            continue
        assert inspect.getdoc(value), f"{name}.{key}"
        if inspect.isclass(value) and value.__module__ == name:
            for member in public_members(value):
                assert documented(value, member), f"{name}.{key}.{member}"


def public_members(class_):
    """The methods and properties that a class itself defines and that have no underscore in front."""
    for member, what in vars(class_).items():
        inner = getattr(what, "fget", None) or getattr(what, "func", None) or getattr(what, "__func__", what)
        if not member.startswith("_") and inspect.isfunction(inner):
            yield member


def documented(class_, member):
    """Whether the member has a docstring, or takes the place of one that has."""
    return any(member in vars(base) and inspect.getdoc(vars(base)[member]) for base in class_.__mro__)


def test_the_tree_of_errors_in_the_docstring_is_the_real_one():
    drawn, above = {}, {-1: None}
    for line in errors.__doc__.split("```")[1].strip().splitlines():
        match = re.match(r"([│├└─ ]*)(\w+) {2,}\S", line)
        assert match, line
        depth = sum(mark in "├└│" for mark in match[1]) or (1 if match[1].strip() else 0)
        above[depth] = match[2]
        drawn[match[2]] = above[depth - 1]
    real = {
        name: value.__base__.__name__ if value is not errors.MiradaError else None
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, Exception)
    }
    assert drawn == real
    assert sorted(drawn) == errors.__all__
    assert errors.MiradaError.__base__ is Exception


def test_importing_mirada_imports_nothing_heavy():
    program = (
        "import sys, mirada\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}"
        " & {'torch', 'numpy', 'PIL', 'cv2', 'sklearn', 'scipy', 'timm', 'click', 'rich'}))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_saved_backbone_needs_no_reader_and_no_notation(transfer_model, tmp_path):
    program = (
        "import sys, mirada, numpy\n"
        "model = mirada.load(sys.argv[1])\n"
        "assert len(model.predict(numpy.zeros((9, 9), numpy.uint8))) == 1\n"
        "heavy = {'torch', 'yaml'} | {'mirada.data.sources', 'mirada.data.conversion'}\n"
        "heavy |= {'mirada.arch.layers', 'mirada.arch.notation', 'mirada.arch.listing'}\n"
        "print(sorted(heavy & sys.modules.keys()), 'manifest' in vars(model))\n"
    )
    command = [sys.executable, "-c", program, str(transfer_model.save(tmp_path / "model").path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "[] False\n"


@pytest.mark.parametrize("command", sorted(app.commands))
def test_a_command_and_its_function_share_their_first_sentence(command):
    of_command = app.commands[command].help
    function = getattr(mirada.Index, command, None) or getattr(mirada, command)  # mirada.search is the room
    of_function = inspect.getdoc(function)
    assert first_sentence(of_command) == first_sentence(of_function)


def first_sentence(text):
    """Up to the first full stop, or to a semicolon, behind which a docstring points elsewhere."""
    return re.split(r"\.(?:\s|$)|;\s", " ".join(text.split()))[0]
