"""Where an environment installed from the first edition starts `recattn`; `recattn_mini.learn.cli` is its place."""

from recattn_mini.learn.cli import main

__all__ = ["main"]
