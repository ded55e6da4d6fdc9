"""Under which conditions a figure was obtained: what has to be told with it, or it means nothing.

Asked   "Which candidates, which split, which ties: what has to stand beside every figure?"
Source  Cañamares, Castells, Moffat 2020.
"""

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Protocol:
    """What a figure has to be told with; every part is a short text."""

    split: str  # "leave one out, by time, ties in file order"
    candidates: str  # "full", or "sampled: 100 uniform"
    seen: str  # "filtered" or "not filtered"

    def __post_init__(self) -> None:
        for part in fields(self):
            text = getattr(self, part.name)
            if not isinstance(text, str) or not text.strip():
                raise ValueError(f"protocol must say its {part.name}, got {text!r}")
        if self.seen not in ("filtered", "not filtered"):
            raise ValueError(f"protocol must say that seen items are 'filtered' or 'not filtered', got {self.seen!r}")
