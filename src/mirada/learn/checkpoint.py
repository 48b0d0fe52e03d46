"""Where a training stands, in a file that is always whole: tensors as safetensors, the rest as JSON in its header."""

from __future__ import annotations

import json
import os
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mirada.errors import UsageError
from mirada.files import umask
from mirada.learn.key import check_same

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Checkpoint"]

SECONDS: Final = 20.0
"""Between two checkpoints, at least."""
SHARE: Final = 50
"""And so many times as long as the last took to write: at most two hundredths of the time."""


@dataclass
class Checkpoint:
    """A file that a training is kept in while it goes on.

    Args:
        path: of the file; its folder is made when it is needed.
        key: what makes two trainings the same, see `mirada.learn.key`; what another has written is not taken up.
        is_writer: whether this process writes; the others only read.
    """

    path: Path
    key: str
    is_writer: bool = True
    _due: float = field(default_factory=lambda: time.monotonic() + SECONDS, repr=False)

    def is_due(self) -> bool:
        """Whether it is time to write."""
        return self.is_writer and time.monotonic() >= self._due

    def write(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Replace what was kept.

        Raises:
            UsageError: it cannot be written; what was kept before is whole.
        """
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        begin = time.monotonic()
        header = {"values": json.dumps(values), "key": self.key}
        aside = self.path.with_name(f".{uuid.uuid4().hex}.part")
        try:
            self.path.parent.mkdir(exist_ok=True)
            save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, aside, header)
            aside.chmod(0o666 & ~umask())
            with aside.open("rb") as written:
                os.fsync(written.fileno())
            aside.replace(self.path)
        except (OSError, SafetensorError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UsageError(
                f"{self.path}: the checkpoint cannot be written ({reason}); what was kept before is whole. Make "
                "room, or move the output with -o, and start the same command again"
            ) from error
        finally:
            aside.unlink(missing_ok=True)
        self._due = time.monotonic() + max(SECONDS, SHARE * (time.monotonic() - begin))

    def read(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """What was kept; None where nothing was.

        Raises:
            UsageError: it is of another training, or cannot be read.
        """
        from safetensors import SafetensorError, safe_open

        if not self.path.is_file():
            return None
        try:
            with safe_open(self.path, framework="pt") as file:
                header = file.metadata() or {}
                tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            values = json.loads(header["values"])
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise UsageError(
                f"{self.path}: the checkpoint cannot be read ({error}). Move it away to train anew"
            ) from error
        check_same(self.path, header.get("key", ""), self.key)
        return tensors, values

    def remove(self) -> None:
        """What was kept is needed no longer."""
        if self.is_writer:
            self.path.unlink(missing_ok=True)
