"""What a training tells of itself while it goes on: tables for any program, and TensorBoard where it is installed."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from importlib import util
from pathlib import Path
from typing import Any, Final

from mirada.errors import UsageError

__all__ = ["Epoch", "Journal"]


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one pass over the training images gave.

    Attributes:
        number: from 1.
        train_loss: the mean over its steps.
        val_loss: mean cross entropy on the validation images, in a rung of the ladder after temperature scaling; None
            where there are none, or where the epoch was not judged.
        val_accuracy: share of them that is right, or None.
        seconds: since training began.
    """

    number: int
    train_loss: float
    val_loss: float | None
    val_accuracy: float | None
    seconds: float


OWNER: Final = ".training"
"""The file that tells whose tables they are."""
STEPS: Final = ("epoch", "step", "loss", "learning_rate")
EPOCHS: Final = tuple(each.name for each in fields(Epoch))


class Journal:
    """Two tables in a folder, `steps.csv` and `epochs.csv`, and the same for TensorBoard where that is installed.

    Rows are added at the end of the files, so that millions of steps need no memory.

    Args:
        folder: is made where it is not there.
        key: of the training, see `mirada.learn.key`; the tables of another one are not replaced.

    Raises:
        UsageError: it cannot be written to, or holds the tables of another training.
    """

    def __init__(self, folder: Path, key: str = "") -> None:
        self.folder = folder
        self._added: dict[str, list[str]] = {"steps.csv": [], "epochs.csv": []}
        self._board: Any = None
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{folder} is a file: a journal is a folder of tables, give another name with --journal")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._claim(hashlib.sha256(key.encode()).hexdigest())
            if util.find_spec("tensorboard") is not None:
                from torch.utils.tensorboard import SummaryWriter

                self._board = SummaryWriter(str(folder))
        except OSError as error:
            raise self._unwritten(error) from error

    def _claim(self, key: str) -> None:
        """Make the folder that of a training."""
        owner = self.folder / OWNER
        earlier = owner.read_text(encoding="utf-8") if owner.is_file() else None
        if earlier != key and (self.folder / "steps.csv").exists():
            raise UsageError(
                f"{self.folder} holds the journal of another training: give another folder with --journal, or move it "
                "away"
            )
        owner.write_text(key, encoding="utf-8")

    def take_up(self, epoch: int, step: int) -> None:
        """Keep what an earlier run has written up to a step of an epoch: the rest is done again."""
        try:
            _cut(self.folder / "steps.csv", STEPS, lambda row: (int(row["epoch"]), int(row["step"])) <= (epoch, step))
            _cut(self.folder / "epochs.csv", EPOCHS, lambda row: int(row["number"]) < epoch)
        except OSError as error:
            raise self._unwritten(error) from error

    def add_step(self, epoch: int, step: int, total: int, loss: float, rate: float) -> None:
        """A step, from 1, of an epoch, from 1; `total` counts the steps of all epochs."""
        self._added["steps.csv"].append(_line((str(epoch), str(step), repr(loss), repr(rate))))
        if self._board is not None:
            self._board.add_scalar("loss/train", loss, total)
            self._board.add_scalar("learning rate", rate, total)

    def add_epoch(self, epoch: Epoch) -> None:
        """An epoch; both tables are written."""
        values = asdict(epoch)
        self._added["epochs.csv"].append(_line("" if value is None else repr(value) for value in values.values()))
        if self._board is not None:
            for name, tag in (("train_loss", "loss/train of the epoch"), ("val_loss", "loss/validation")):
                if values[name] is not None:
                    self._board.add_scalar(tag, values[name], epoch.number)
            if epoch.val_accuracy is not None:
                self._board.add_scalar("right on validation", epoch.val_accuracy, epoch.number)
        self.write()

    def write(self) -> None:
        """Bring all to the disk."""
        try:
            for name, lines in self._added.items():
                with (self.folder / name).open("a", encoding="utf-8", newline="") as file:
                    file.writelines(lines)
                lines.clear()
            if self._board is not None:
                self._board.flush()
        except OSError as error:
            raise self._unwritten(error) from error

    def _unwritten(self, error: OSError) -> UsageError:
        return UsageError(f"{self.folder}: the journal cannot be written ({error.strerror or error})")


def _cut(path: Path, columns: tuple[str, ...], stays: Callable[[dict[str, str]], bool]) -> None:
    """Leave of a table the rows up to the first that does not stay, or is none: a line without an end is none."""
    head = _line(columns).encode()
    with path.open("a+b") as file:
        file.seek(0)
        end = len(head) if file.readline() == head else 0
        for line in file if end else ():
            values = line.decode("utf-8", "replace").split(",")
            try:
                is_row = line.endswith(b"\n") and len(values) == len(columns)
                if not is_row or not stays(dict(zip(columns, values, strict=True))):
                    break
            except ValueError:
                break
            end += len(line)
        file.truncate(end)
        if not end:
            file.write(head)


def _line(values: Iterable[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()
