"""How a network is run: prepared pixels in, numbers out."""

from mirada.engine.choice import Choice, Trial, kept_choices, open_engine
from mirada.engine.engine import Engine
from mirada.engine.program import Program

__all__ = ["Choice", "Engine", "Program", "Trial", "kept_choices", "open_engine"]
