"""Where an environment installed from the first edition finds the pytest plugin: `recattn_mini.learn.plugin`."""

import pytest

from recattn_mini.learn import plugin


def pytest_configure(config: pytest.Config) -> None:
    """Hand over to it, unless it was loaded under its own name: with both, every notebook would be judged twice."""
    if not config.pluginmanager.is_registered(plugin):
        config.pluginmanager.register(plugin)
