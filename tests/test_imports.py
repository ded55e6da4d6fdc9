"""Imports point one way, as `recattn_mini/__init__.py` says; nothing imports what stands to its right."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import recattn_mini

TESTS = Path(__file__).parent
ROOT = Path(recattn_mini.__file__).parent
LIBRARY = {"shapes", "_submodules"}
PARTS = {  # of which variants are made; any other variant reads on its own
    "softmax",
    "masks",
    "scaled_dot_product_attention",
    "multi_head_attention",
    "layer_norm",
    "rms_norm",
    "additive_pooling",
    "gru_cell",
}
MAY_IMPORT = {
    "__init__": {"_submodules"},
    "_submodules": set(),
    "shapes": set(),
    "attention": {*LIBRARY, *(f"attention.{part}" for part in PARTS)},
    "data": {*LIBRARY, "data"},
    "metrics": {*LIBRARY, "metrics"},
    "models": {*LIBRARY, "attention", "metrics", "data", "models"},
    "training": {*LIBRARY, "attention", "metrics", "data", "models", "training"},
    "exercises": {"exercises", "attention", "metrics", "data", "models", "training"},
    "learn": {"__version__", "exercises", "data", "learn"},
    **{old: {"learn"} for old in ("check", "cli", "answers")},  # where the first edition had them
}
FAST = sorted(ROOT.glob("*/fast/[!_]*.py"))  # fast/x.py is another form of x.py, beside the folder
MAY_USE_FAST = {"metrics/evaluate.py", "metrics/_ranked.py"}  # tools, of which no exercise asks


def imported(path: Path):
    """The modules of ours that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "recattn_mini":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("recattn_mini."):
            within = node.module.removeprefix("recattn_mini.")
            is_package = (ROOT / within.replace(".", "/")).is_dir()
            yield from (f"{within}.{alias.name}" if is_package else within for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (a.name.removeprefix("recattn_mini.") for a in node.names if a.name.startswith("recattn_mini."))


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_to_the_left(path):
    layer = path.relative_to(ROOT).with_suffix("").parts[0]
    allowed = MAY_IMPORT.get(layer, set())
    if path.parent.name == "fast":
        allowed = allowed | {f"{layer}.fast", f"{layer}.{path.stem}"}
    for used in imported(path):
        assert any(used == ok or used.startswith(f"{ok}.") for ok in allowed), f"{layer} imports {used}"


SUBJECT = [
    path
    for package in ("attention", "data", "metrics", "models", "training")
    for path in sorted(ROOT.glob(f"{package}/[!_]*.py"))
    if path.stem != "click_features"  # tested as what DIN and DIEN are made of
]


@pytest.mark.parametrize("path", SUBJECT, ids=lambda path: f"{path.parent.stem}/{path.stem}")
def test_a_module_has_a_test(path):
    """One that imports it by name; a test over all modules alone knows nothing of what this one should give."""
    module = f"{path.parent.stem}.{path.stem}"
    used = {name for test in (TESTS / path.parent.stem).rglob("*.py") for name in imported(test)}
    assert any(f"{name}.".startswith(f"{module}.") for name in used), f"no test in tests/{path.parent.stem} imports it"


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_private_modules_stay_in_their_package(path):
    package = path.relative_to(ROOT).parts[0].removesuffix(".py")
    for used in imported(path):
        private = [part for part in used.split(".") if part.startswith("_") and not part.startswith("__")]
        assert not private or used.split(".")[0] in (package, "_submodules"), f"{package} imports {used}"


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_plain_form_knows_nothing_of_its_fast_one(path):
    layer, name = path.relative_to(ROOT).parts[0], path.relative_to(ROOT).as_posix()
    if path.parent.name == "fast" or name in MAY_USE_FAST:
        return
    assert not [used for used in imported(path) if f"{used}.".startswith(f"{layer}.fast.")]


def public_functions(path: Path) -> set[str]:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return {
        node.name
        for node in body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_")
    }


@pytest.mark.parametrize("path", FAST, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_fast_form_bears_the_names_of_its_plain_one(path):
    plain = path.parents[1] / path.name
    assert plain.exists()
    assert set() < public_functions(path) <= public_functions(plain)
    assert (Path(__file__).parent / path.relative_to(ROOT).parent / f"test_{path.stem}.py").exists()


@pytest.mark.parametrize(
    "path",
    sorted([*ROOT.glob("attention/**/*.py"), *ROOT.glob("metrics/**/*.py")]),
    ids=lambda path: path.relative_to(ROOT).with_suffix("").as_posix(),
)
def test_a_concept_fits_on_two_screens(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 150


def test_the_plugin_costs_other_projects_nothing():
    """Every pytest run of an environment imports it."""
    heavy = "{'torch', 'numpy', 'IPython', 'rich'}"
    program = f"import sys, recattn_mini.learn.plugin; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout.strip() == "[]"
