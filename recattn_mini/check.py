"""Where notebooks of the first edition find these; `recattn_mini.learn` is their place."""

from recattn_mini.learn import check, hint, solution

__all__ = ["check", "hint", "solution"]
