"""Build the API reference from the docstrings: `python docs/generate_api.py [FOLDER]`, by default docs/site."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import pdoc
import pdoc.render

MODULES = (
    "mirada",
    "mirada.annotations",
    "mirada.arch",
    "mirada.arch.zoo",
    "mirada.backbone",
    "mirada.data",
    "mirada.engine",
    "mirada.errors",
    "mirada.image",
    "mirada.learn",
    "mirada.learn.recipes",
    "mirada.model",
    "mirada.progress",
    "mirada.search",
    "mirada.tasks",
)


def generate(folder: Path) -> None:
    """One page a module, with an index and a search."""
    for name in MODULES:
        module = import_module(name)
        for public in getattr(module, "__all__", ()):
            getattr(module, public)  # pdoc sees only what is loaded, and some are loaded when they are first used
    pdoc.render.configure(docformat="google", footer_text="mirada", show_source=True)
    pdoc.pdoc(*MODULES, output_directory=folder)


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "site")
