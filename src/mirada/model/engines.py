"""`mirada engines`: how networks are run on this machine, and why so."""

from __future__ import annotations

import os
from pathlib import Path

from mirada.backbone import Backbone, find
from mirada.backbone.body import Body
from mirada.engine import Choice, kept_choices, open_engine
from mirada.engine.program import body_program
from mirada.errors import UsageError

__all__ = ["engines"]


def engines(network: str | os.PathLike[str] | None = None) -> list[Choice]:
    """How networks are run on this machine: what was tried, what passed its self-test, what was chosen.

    Args:
        network: a pretrained network or the directory of a model, which is tried now in every way that it was not yet;
            None lists what is kept in the cache.

    Raises:
        UsageError: it is a listing, which torch runs, or is small enough to be left to torch.
        ModelError: the directory holds no whole model.
    """
    if network is None:
        return kept_choices()
    if Path(network).is_dir():
        from mirada.model.store import load

        program = load(network).program
    else:
        source = find(os.fspath(network))
        if not isinstance(source, Backbone):
            raise UsageError(f"{network} is a listing: give a pretrained network, or the directory of a trained model")
        program = body_program(Body(source))
    engine = open_engine(program, tries_all=True)
    found = [choice for choice in kept_choices() if choice.holds_for(program)]
    if not found:
        reason = "nothing was tried: torch runs it, on a GPU, or because its work is little"
        raise UsageError(f"{network}: {engine.note or reason}")
    return found
