"""Import a package's modules when they are first named, so that `from recattn_mini import attention` is enough.

Modules only: `attention.softmax.softmax_numpy` says where it comes from, and a function has one place.
"""

import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Callable
from types import ModuleType


def submodules(package: str) -> tuple[Callable[[str], ModuleType], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package (PEP 562), to be assigned in its `__init__.py`."""
    this = sys.modules[package]

    def find(name: str) -> ModuleType:
        if name.startswith("__") or importlib.util.find_spec(f"{package}.{name}") is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return importlib.import_module(f"{package}.{name}")

    def names() -> list[str]:
        return sorted({*vars(this), *(module.name for module in pkgutil.iter_modules(this.__path__))})

    return find, names
