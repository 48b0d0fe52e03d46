"""How a training went, drawn: every network, the epoch that was kept, and how the learning rate was found."""

from __future__ import annotations

import re
from typing import Any

from mirada.learn.charts import rate_chart
from mirada.learn.curves import epoch_curves, learnt_from_scratch


def _history(losses: list[float | None]) -> list[dict[str, Any]]:
    return [
        {"number": n, "train_loss": 1 / n, "val_loss": loss, "val_accuracy": None if loss is None else 1 - loss}
        for n, loss in enumerate(losses, 1)
    ]


def _titles(pieces: list[Any]) -> list[str]:
    return re.findall(r'aria-label="([^"]*)"', "".join(pieces))


def test_one_network() -> None:
    told = learnt_from_scratch({"history": _history([0.5, 0.2, 0.3])})
    assert _titles(told) == ["loss on validation; thin: on training", "right on validation"]
    assert "<title>epoch 2: 0.2</title>" in "".join(told)


def test_without_validation_there_is_the_loss_on_training() -> None:
    assert _titles(epoch_curves("step 1: ", _history([None, None]))) == ["step 1: loss on training"]
    assert epoch_curves("", []) == []


def test_epochs_that_were_not_judged_leave_a_gap() -> None:
    loss, accuracy = epoch_curves("", _history([None, None, 0.4, 0.2, 0.3]))
    assert _titles([loss, accuracy]) == ["loss on validation", "right on validation"]
    points = re.findall(r'points="([^"]*)" class="curve"', loss)[0].split()
    assert [float(point.split(",")[0]) for point in points] == [48 + (288 - 48) * n / 4 for n in (2, 3, 4)]
    assert "epoch 4: 0.2" in loss
    assert "epoch 4: 80%" in accuracy


def test_every_network_of_an_ensemble() -> None:
    histories = [_history([0.5, 0.2]), _history([0.4, 0.1]), _history([0.6])]
    told = learnt_from_scratch({"history": histories[0], "histories": histories})
    assert _titles(told)[2:] == ["all networks: loss on validation", "all networks: right on validation"]
    text = "".join(told)
    assert "These are 3 networks" in text
    assert all(text.count(f"<title>network {number}</title>") == 2 for number in (1, 2, 3))


def test_how_the_learning_rate_was_found() -> None:
    test = {"rates": [1e-5, 1e-3, 1e-1], "losses": [2.0, 1.0, 3.0], "rate": 1e-4}
    told = learnt_from_scratch({"history": _history([0.5]), "rate_test": test})
    assert _titles(told)[-1] == "loss by learning rate"
    assert "0.0001 was taken" in "".join(told)


def test_rates_are_drawn_by_their_logarithm() -> None:
    chart = rate_chart([1e-4, 1e-2], [1.0, 2.0], 1e-3)
    (x,) = {float(x) for x in re.findall(r'x1="([\d.]+)" y1="[\d.]+" x2="[\d.]+" y2="[\d.]+" class="ideal"', chart)}
    assert x == (48 + 288) / 2
    assert [text for text in re.findall(r">([^<]*)</text>", chart) if "0.0" in text] == ["0.0001", "0.001", "0.01"]


def test_what_was_not_trained_from_scratch() -> None:
    assert learnt_from_scratch({"rungs": []}) == []
