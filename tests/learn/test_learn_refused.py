"""Requests for a training that are refused before the data is read."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from mirada.errors import MiradaError, UsageError
from mirada.learn import train


@pytest.mark.parametrize(
    ("network", "options", "error", "message"),
    [
        (
            "efficientnet-lite0",
            {"epochs": 3},
            UsageError,
            "--epochs is for training a listing from scratch, such as --from lenet5: efficientnet-lite0 is "
            "pretrained, and climbs the ladder by its own recipe",
        ),
        (
            "timm:resnet18",
            {"learning_rate": 0.1},
            UsageError,
            "--learning-rate is for training a listing from scratch, such as --from lenet5: timm:resnet18 is "
            "pretrained, and climbs the ladder by its own recipe",
        ),
        (
            "lenet5",
            {"weights": "w.safetensors"},
            UsageError,
            "--weights is for a pretrained network, such as --from timm:resnet18; a listing starts from scratch",
        ),
        ("lenet5", {"seed": -1}, UsageError, "the seed must be from 0 to 4,294,967,295, got -1"),
        ("lenet5", {"seed": 2**32}, UsageError, "the seed must be from 0 to 4,294,967,295, got 4294967296"),
        (
            "efficientnet-lite0",
            {"weights": "w.safetensors"},
            UsageError,
            "--weights is for a pretrained network, such as --from timm:resnet18; its own are built in",
        ),
        (
            "lenet5",
            {"retrain": "head"},
            UsageError,
            "--retrain is for a pretrained network: a listing is trained whole, from scratch",
        ),
        (
            "lenet5",
            {"minutes": 3},
            UsageError,
            "--minutes is for a pretrained network: a listing is trained whole, from scratch",
        ),
        (
            "lenet5",
            {"until": 0.9},
            UsageError,
            "--until is for a pretrained network: a listing is trained whole, from scratch",
        ),
        *(
            (
                "efficientnet-lite0",
                {"retrain": retrain},
                UsageError,
                f"--retrain must be auto, head, all or a number of stages from 1, got {retrain}",
            )
            for retrain in ("tail", 0, -1, 1.5, True)
        ),
        *(
            (
                "efficientnet-lite0",
                {"minutes": minutes},
                UsageError,
                f"--minutes must be a number above 0, got {minutes}",
            )
            for minutes in (0, -1.0, math.inf, math.nan)
        ),
        *(
            (
                "efficientnet-lite0",
                {"until": until},
                UsageError,
                f"--until must be an accuracy above 0 and up to 1, such as 0.9 or 90%, got {until}",
            )
            for until in (0, -0.5, 1.01, 90, math.nan)
        ),
        (
            "efficientnet-lite0",
            {"until": 0.9, "retrain": "head"},
            UsageError,
            "--until ends a climb early, and with --retrain head there is none: leave one of them out",
        ),
        ("lenet5", {"epochs": 0}, UsageError, "epochs must be a whole number from 1 to 1,000,000, got 0"),
        ("lenet5", {"batch_size": 0}, UsageError, "batch size must be a whole number from 1 to 1,000,000, got 0"),
        ("lenet", {}, UsageError, "lenet is no network that mirada knows\n  did you mean lenet5?"),
        ("no.net", {}, UsageError, "there is no file no.net"),
        ("lenet5", {"out": "."}, UsageError, ". exists already: nothing is overwritten."),
        ("lenet5", {"out": "no/such/m"}, UsageError, "the folder "),
    ],
)
def test_requests_refused_before_the_data_is_read(
    network: str,
    options: dict[str, Any],
    error: type[MiradaError],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mirada.learn.training.read", lambda data: pytest.fail("the data was read"))
    with pytest.raises(error) as caught:
        train("data", network, **options)
    assert str(caught.value).startswith(message)
    assert list(tmp_path.iterdir()) == []
