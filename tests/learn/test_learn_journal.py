"""The tables of a training: rows are added, and what is to be done again is cut off."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirada.errors import UsageError
from mirada.learn.journal import Epoch, Journal


def _written(folder: Path) -> Journal:
    """Two epochs of two steps, and a step of a third."""
    journal = Journal(folder)
    journal.take_up(1, 0)
    for epoch in (1, 2):
        for step in (1, 2):
            journal.add_step(epoch, step, 2 * epoch + step - 2, 0.5, 0.125)
        journal.add_epoch(Epoch(epoch, 0.5, None, 0.75, 1.5))
    journal.add_step(3, 1, 5, 0.25, 0.125)
    journal.write()
    return journal


def test_rows_are_added(tmp_path: Path) -> None:
    _written(tmp_path)
    assert (tmp_path / "epochs.csv").read_text() == (
        "number,train_loss,val_loss,val_accuracy,seconds\n1,0.5,,0.75,1.5\n2,0.5,,0.75,1.5\n"
    )
    steps = (tmp_path / "steps.csv").read_text().splitlines()
    assert steps[0] == "epoch,step,loss,learning_rate"
    assert steps[1:] == ["1,1,0.5,0.125", "1,2,0.5,0.125", "2,1,0.5,0.125", "2,2,0.5,0.125", "3,1,0.25,0.125"]


@pytest.mark.parametrize(
    ("epoch", "step", "steps", "epochs"), [(1, 0, 0, 0), (1, 1, 1, 0), (2, 0, 2, 1), (2, 2, 4, 1), (3, 1, 5, 2)]
)
def test_what_is_done_again_is_cut_off(tmp_path: Path, epoch: int, step: int, steps: int, epochs: int) -> None:
    _written(tmp_path)
    Journal(tmp_path).take_up(epoch, step)
    assert len((tmp_path / "steps.csv").read_text().splitlines()) == 1 + steps
    assert len((tmp_path / "epochs.csv").read_text().splitlines()) == 1 + epochs


@pytest.mark.parametrize("odd", [b"3,2,0.2", b"3,2,0.25,0.12", b"\xff\xfe\n", b"one,two,3,4\n", b"3,2\n"])
def test_a_line_that_was_cut_short_is_left_out(tmp_path: Path, odd: bytes) -> None:
    _written(tmp_path)
    whole = (tmp_path / "steps.csv").read_bytes()
    (tmp_path / "steps.csv").write_bytes(whole + odd)
    Journal(tmp_path).take_up(3, 2)
    assert (tmp_path / "steps.csv").read_bytes() == whole


def test_the_journal_of_another_training_stays(tmp_path: Path) -> None:
    first = Journal(tmp_path / "tables", "one")
    first.take_up(1, 0)
    Journal(tmp_path / "tables", "one").take_up(1, 0)
    with pytest.raises(UsageError, match="tables holds the journal of another training: give another folder"):
        Journal(tmp_path / "tables", "two")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="file is a file: a journal is a folder of tables"):
        Journal(tmp_path / "file", "one")


def test_a_journal_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    journal = _written(tmp_path / "tables")
    (tmp_path / "tables" / "steps.csv").unlink()
    (tmp_path / "tables" / "steps.csv").mkdir()
    journal.add_step(3, 2, 6, 0.25, 0.125)
    with pytest.raises(UsageError, match="tables: the journal cannot be written"):
        journal.write()
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="file/inside: the journal cannot be written"):
        Journal(tmp_path / "file" / "inside")
