"""What hatchling runs when it builds a wheel: put in the lessons as the sources say, whatever lies in lessons/.

A lesson that somebody wrote in must not reach the wheel. Solutions are taken as they were committed, for running them
takes what a build has not: they must be those of the sources.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Lessons(BuildHookInterface):
    """recattn_mini/_lessons and recattn_mini/_solutions in the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Render the lessons, and check the solutions; an editable install reads both where they are."""
        if version == "editable":
            return
        root = Path(self.root)
        sys.path.insert(0, str(root))
        from recattn_mini.learn.lessons import builder

        build = builder()
        if stale := [found for found in build.problems(root) if found.startswith("solutions")]:
            raise RuntimeError("\n".join([*stale, "run: python lessons/build.py"]))
        self.folder = tempfile.TemporaryDirectory()
        for source in build.sources(root):
            name = f"{source.stem}.ipynb"
            fresh = Path(self.folder.name) / name
            fresh.write_text(build.lesson(source), encoding="utf-8", newline="\n")
            build_data["force_include"][str(fresh)] = f"recattn_mini/_lessons/{name}"
            build_data["force_include"][str(root / "solutions" / name)] = f"recattn_mini/_solutions/{name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """The rendered lessons are in the wheel."""
        if version != "editable":
            self.folder.cleanup()
