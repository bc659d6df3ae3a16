"""The command line: thin verbs over the public functions."""

from .application import main

__all__ = ["main"]
