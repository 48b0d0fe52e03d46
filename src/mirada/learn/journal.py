"""What a training tells of itself while it goes on: tables for any program, and TensorBoard where it is installed."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass, fields
from importlib import util
from pathlib import Path
from typing import Any, Final

from mirada.errors import UsageError
from mirada.files import write_whole

__all__ = ["Epoch", "Journal"]


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one pass over the training images gave.

    Attributes:
        number: from 1.
        train_loss: the mean over its steps.
        val_loss: mean cross entropy on the validation images, in a rung of the ladder after temperature scaling; None
            where there are none.
        val_accuracy: share of them that is right, or None.
        seconds: since training began.
    """

    number: int
    train_loss: float
    val_loss: float | None
    val_accuracy: float | None
    seconds: float


STEPS: Final = ("epoch", "step", "loss", "learning_rate")
EPOCHS: Final = tuple(each.name for each in fields(Epoch))


class Journal:
    """Two tables in a folder, `steps.csv` and `epochs.csv`, and the same for TensorBoard where that is installed.

    Args:
        folder: is made where it is not there.

    Raises:
        UsageError: it cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._kept: dict[str, list[dict[str, str]]] = {"steps.csv": [], "epochs.csv": []}
        self._board: Any = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if util.find_spec("tensorboard") is not None:
                from torch.utils.tensorboard import SummaryWriter

                self._board = SummaryWriter(str(folder))
        except OSError as error:
            raise self._unwritten(error) from error

    def take_up(self, epoch: int, step: int) -> None:
        """Keep what an earlier run has written up to a step of an epoch: the rest is done again."""
        for name, rows in self._kept.items():
            try:
                text = (self.folder / name).read_text(encoding="utf-8")
            except FileNotFoundError:
                continue
            except OSError as error:
                raise self._unwritten(error) from error
            for row in csv.DictReader(io.StringIO(text)):
                at = (row.get("epoch") or row.get("number"), row.get("step") or "0")
                if None not in at and (int(at[0] or 0), int(at[1])) < (epoch, step + 1 if name == "steps.csv" else 0):
                    rows.append(row)

    def add_step(self, epoch: int, step: int, total: int, loss: float, rate: float) -> None:
        """A step, from 1, of an epoch, from 1; `total` counts the steps of all epochs."""
        values = (str(epoch), str(step), repr(loss), repr(rate))
        self._kept["steps.csv"].append(dict(zip(STEPS, values, strict=True)))
        if self._board is not None:
            self._board.add_scalar("loss/train", loss, total)
            self._board.add_scalar("learning rate", rate, total)

    def add_epoch(self, epoch: Epoch) -> None:
        """An epoch; both tables are written."""
        values = asdict(epoch)
        self._kept["epochs.csv"].append({name: "" if v is None else repr(v) for name, v in values.items()})
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
            for name, columns in (("steps.csv", STEPS), ("epochs.csv", EPOCHS)):
                write_whole(_table(columns, self._kept[name]), self.folder / name)
            if self._board is not None:
                self._board.flush()
        except OSError as error:
            raise self._unwritten(error) from error

    def _unwritten(self, error: OSError) -> UsageError:
        return UsageError(f"{self.folder}: the journal cannot be written ({error.strerror or error})")


def _table(columns: tuple[str, ...], rows: list[dict[str, str]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
