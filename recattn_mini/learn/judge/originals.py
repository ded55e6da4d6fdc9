"""Put back what an answer sets in modules that judging relies on: `torch.isclose = …` shall judge nobody.

In a module public names only, since a library binds private ones anew for itself; new ones stay, since modules are
imported when they are first asked for. In a class every name, and new ones go: they hide those that it inherits.
"""

import builtins
import math
import operator
import sys
import time
from collections.abc import Iterable
from types import ModuleType
from typing import Any

import numpy as np
import torch

LIBRARIES = (
    *(builtins, math, operator, time),
    *(np, np.linalg),
    *(torch, torch.autograd, torch.linalg, torch.special, torch.nn, torch.nn.functional),
    *(torch.Tensor, torch.nn.Module, torch.nn.Linear, torch.nn.LayerNorm),
)
_GONE = object()


def own_modules() -> list[ModuleType]:
    """The keys, the specs and what they use."""
    package = __name__.split(".")[0]
    return [m for name, m in sys.modules.items() if name.startswith(f"{package}.") and ".learn" not in name]


class Originals:
    """What the modules and classes held when this was made."""

    def __init__(self, owners: Iterable[Any] = LIBRARIES) -> None:
        self._kept = [(owner, dict(vars(owner)), list(vars(owner).values())) for owner in owners]

    def put_back(self) -> None:
        """As it was. Where nothing changed, which is almost always, a tenth of a millisecond."""
        for n, (owner, kept, values) in enumerate(self._kept):
            if not _equal(list(vars(owner).values()), values):
                _restore(owner, kept)
                self._kept[n] = owner, {**vars(owner), **kept}, list(vars(owner).values())


def _equal(now: list, values: list) -> bool:
    """Compared by identity first; what cannot be compared is something else."""
    try:
        return now == values
    except Exception:
        return False


def _restore(owner: Any, kept: dict[str, Any]) -> None:
    now = dict(vars(owner))
    is_class = isinstance(owner, type)
    if is_class:
        for name in now.keys() - kept.keys():
            delattr(owner, name)
    for name, value in kept.items():
        if now.get(name, _GONE) is not value and (is_class or not name.startswith("_")):
            setattr(owner, name, value)
