"""Data: what the lessons train and measure on. Ids start at 1 everywhere, so that 0 is free for padding."""

from recattn_mini._submodules import submodules

__getattr__, __dir__ = submodules(__name__)
