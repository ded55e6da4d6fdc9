"""How a recorded figure gets into the package: through `write`, called by run_*.py, and in no other way."""

import datetime
import json
import os
import platform
import re
from importlib import metadata
from pathlib import Path
from typing import Any

import recattn_mini
from recattn_mini.learn import files

FOLDER = Path(recattn_mini.__file__).parent / "data" / "recorded"


def write(name: str, figures: dict[str, Any], *, protocol: str, seeds: list[int], packages: list[str]) -> Path:
    """Write NAME.json all at once, figures with their provenance; what was there is there until then."""
    machine = f"{os.cpu_count()} cores, {platform.machine()}"
    provenance = {
        "command": f"PYTHONPATH=.:tests python tests/experiments/run_{name}.py",
        "protocol": protocol,
        "seeds": seeds,
        "versions": {**{package: metadata.version(package) for package in packages}, "machine": machine},
        "date": datetime.date.today().isoformat(),
    }
    path = FOLDER / f"{name}.json"
    files.write(path, as_text({"provenance": provenance, **figures}))
    print(f"wrote {path.name}")
    return path


def as_text(recorded: dict[str, Any]) -> str:
    """JSON that a person can read: a list of numbers stands on one line."""
    spread = json.dumps(recorded, ensure_ascii=False, allow_nan=False, indent=1)
    flat = r"\[\n\s+[^\[\]{}]*?\n\s*\]"
    return (
        re.sub(flat, lambda found: re.sub(r"\s*\n\s*", " ", found[0]).replace("[ ", "[").replace(" ]", "]"), spread)
        + "\n"
    )
