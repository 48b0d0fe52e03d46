"""The version, in a module of its own: what saves a model writes it down without loading all of mirada."""

__version__ = "0.1.0"
