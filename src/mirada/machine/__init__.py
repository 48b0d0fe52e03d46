"""The computer that mirada runs on: how many processors it may use, what they can do, where things are kept."""

from mirada.machine.cache import cache_folder, machine, written_aside
from mirada.machine.cpus import available_cpus
from mirada.machine.cycles import without_cycles

__all__ = ["available_cpus", "cache_folder", "machine", "without_cycles", "written_aside"]
