"""Where an environment installed from the first edition finds the pytest plugin: `recattn_mini.learn.plugin`."""

from recattn_mini.learn.plugin import pytest_collect_file, pytest_configure

__all__ = ["pytest_collect_file", "pytest_configure"]
