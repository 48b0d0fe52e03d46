"""Names -> networks: what may stand behind `--from`, and in front of `mirada layers`.

| written | is |
|---|---|
| `efficientnet-lite0` | the built-in network with ImageNet weights; the default |
| `lenet5`, `vgg16`, ... | a listing of the zoo, trained from scratch |
| `FILE.net` | a listing of the person's own, trained from scratch |
| `-` | a listing on standard input |
| `timm:NAME` | a network of timm; its weights are downloaded, or given as a file |

Does not import torch: `mirada layers vgg16` must answer at once.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mirada import arch
from mirada.arch import zoo
from mirada.errors import ArchitectureError, UsageError
from mirada.words import known_words

if TYPE_CHECKING:
    from mirada.arch import Architecture, Volume

__all__ = ["BUILTIN", "Backbone", "find", "read_architecture"]

BUILTIN = "efficientnet-lite0"
"""The network that is there without any download."""

BUILTIN_TIMM_NAME = "tf_efficientnet_lite0"
"""What timm calls it."""

MAX_LISTING_BYTES = 1_000_000


@dataclass(frozen=True)
class Backbone:
    """A network of timm, without its classifier.

    Args:
        name: as the person wrote it: `efficientnet-lite0` or `timm:NAME`.
        timm_name: what timm calls it.
    """

    name: str
    timm_name: str

    @property
    def is_builtin(self) -> bool:
        """Whether its ImageNet weights are installed with mirada."""
        return self.name == BUILTIN


def find(source: str | Path) -> Architecture | Backbone:
    """What a name stands for; see the table of this module.

    Raises:
        UsageError: nothing is called so; with the nearest name.
        ArchitectureError: it is a listing that cannot be read.
    """
    name = str(source)
    if (backbone := backbone_named(name)) is not None:
        return backbone
    if name.startswith("torchvision:"):
        raise UsageError(
            f"{name} can be shown by mirada layers, but not trained from\n  give timm:NAME, which has most networks of "
            "torchvision and more, or a listing"
        )
    return read_architecture(name)


def backbone_named(name: str) -> Backbone | None:
    """The backbone of a name; None where it is the name of something else. Looks at no file."""
    if name == BUILTIN:
        return Backbone(BUILTIN, BUILTIN_TIMM_NAME)
    return Backbone(name, name.removeprefix("timm:")) if name.startswith("timm:") else None


def read_architecture(source: str | Path, *, input: Volume | None = None) -> Architecture:
    """The architecture of a listing: a network of the zoo, a file, or `-` for standard input.

    Args:
        source: the name or path.
        input: takes the place of the listing's own input; its claims are then dropped.

    Raises:
        UsageError: there is no such network or file; with the nearest name.
        ArchitectureError: it cannot be read, or does not fit.
    """
    name = str(source)
    if name == "-":
        return arch.parse(_read_standard_input(), "standard input", input=input)
    if name.lower() in zoo.names():
        return arch.parse(zoo.text(name.lower()), f"{name.lower()}.net", input=input)
    return arch.parse(_read_file(name), Path(name).name, input=input)


def _read_standard_input() -> str:
    name = "standard input"
    try:
        text = sys.stdin.read(MAX_LISTING_BYTES + 1)
    except UnicodeDecodeError as error:
        raise ArchitectureError(f"{name} is not text: a listing is plain text in UTF-8", source=name) from error
    if len(text) > MAX_LISTING_BYTES:
        raise ArchitectureError(f"{name} is larger than {MAX_LISTING_BYTES:,} bytes: not a listing", source=name)
    return text


def _read_file(name: str) -> str:
    path = Path(name)
    try:
        is_file, is_folder = path.is_file(), path.is_dir()
    except OSError:  # a name too long for any file
        is_file = is_folder = False
    if is_folder:
        raise UsageError(f"{name} is a folder: a network is a listing FILE.net, a network of the zoo, or timm:NAME")
    if not is_file:
        raise UsageError(_nothing_called(name))
    if path.stat().st_size > MAX_LISTING_BYTES:
        raise ArchitectureError(f"{name} is larger than {MAX_LISTING_BYTES:,} bytes: not a listing", source=name)
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ArchitectureError(f"{name} is not text: a listing is plain text in UTF-8", source=name) from error
    except OSError as error:
        raise ArchitectureError(f"{name} cannot be read ({error.strerror})", source=name) from error


def _nothing_called(name: str) -> str:
    if name.endswith(".net") or "/" in name:
        return f"there is no file {name}"
    known = (BUILTIN, *zoo.names())
    hint = known_words(name, known)
    return f"{name} is no network that mirada knows\n  {hint}\n  or give a listing FILE.net, or timm:NAME"
