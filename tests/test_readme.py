"""What the READMEs and CONTRIBUTING.md say is so: the example, the tables, the links, the commands, the versions."""

import importlib
import inspect
import json
import math
import re
from pathlib import Path

import pytest

import recattn_mini
from recattn_mini.exercises import exercise_names, exercise_of
from recattn_mini.learn import lessons
from recattn_mini.learn.judge.judge import judge

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PACKAGE = Path(recattn_mini.__file__).parent
PACKAGES = ("attention", "metrics", "models", "training", "data")
PAGES = {path.relative_to(ROOT).as_posix(): path for path in [*ROOT.glob("*.md"), *PACKAGE.glob("*/README.md")]}


def rows(text: str, columns: int) -> list[list[str]]:
    """The rows of all tables with so many columns, without their headers."""
    found = [re.split(r" \| ", line.strip("| ")) for line in re.findall(r"^\|(?!--).+\|$(?!\n\|--)", text, re.M)]
    return [row for row in found if len(row) == columns]


def named(cell: str) -> dict[str, str]:
    """The concepts that the first cell of a row names, and the file that each leads to."""
    return dict(re.findall(r"\[`(\w+)`\]\((\w+)\.py\)", cell))


TABLES = {package: rows((PACKAGE / package / "README.md").read_text(encoding="utf-8"), 5) for package in PACKAGES}
ROWS = [pytest.param(package, row, id="-".join(named(row[0]))) for package, table in TABLES.items() for row in table]
ASKED = {name: list(lessons.exercises(json.loads(lessons.fresh(name)))) for name in lessons.lesson_names()}


def public_names(module: str) -> set[str]:
    """What can be imported from a module and was made there, one name for all forms of a thing."""
    made = {
        name
        for name, value in vars(importlib.import_module(f"recattn_mini.{module}")).items()
        if getattr(value, "__module__", None) == f"recattn_mini.{module}" and not name.startswith("_")
        if callable(value)
    }
    plain = {name.removesuffix("_numpy").removesuffix("_backward") for name in made}
    return {name for name in plain if exercise_of(name) == name or exercise_of(name) not in plain}


def test_the_example_is_what_a_learner_sees():
    def scaled_dot_product_attention(q, k, v, mask=None):
        weights = (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1)
        if mask is not None:
            weights = weights * mask
        return weights @ v

    assert f"```text\n{judge(scaled_dot_product_attention)}\n```" in README


def test_the_way_from_ratings_to_films_runs(capsys):
    text = (PACKAGE / "training" / "README.md").read_text(encoding="utf-8")
    [code] = [block for block in re.findall(r"\n\n((?: {4}.*\n|\n)+)", text) if "fit(" in block]
    exec(inspect.cleandoc(code).replace("epochs=12", "epochs=1"), {})
    said = capsys.readouterr().out
    assert "hit_rate@10" in said
    assert "all of them ←" in said


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_has_one_row(package: str):
    told = [(file, concept) for cell, *_ in TABLES[package] for concept, file in named(cell).items()]
    there = {
        (path.stem, name)
        for path in (PACKAGE / package).glob("[!_]*.py")
        for name in public_names(f"{package}.{path.stem}")
    }
    assert set(told) == there
    assert len(told) == len(there)


@pytest.mark.parametrize(("package", "row"), ROWS)
def test_a_row_is_right(package: str, row: list[str]):
    cell, what, asked, lesson, source = row
    assert named(cell)
    assert what
    assert asked.endswith(("?", ".")), "a question"
    assert re.search(r"\b(1[6-9]|20)\d\d\b", source), "a year"
    if lesson.startswith("✎"):
        written = {
            exercise_of(answer).removesuffix("_backward") for n in ASKED if n[:2] == lesson[2:] for answer in ASKED[n]
        }
        assert written & set(named(cell))
    else:
        assert set(lesson.split(", ")) <= {name[:2] for name in ASKED} | {"–"}


def test_a_row_of_every_exercise_says_where_to_write_it():
    written = {
        (lesson[2:], concept)
        for table in TABLES.values()
        for cell, _, _, lesson, _ in table
        if "✎" in lesson
        for concept in named(cell)
    }
    for name, answers in ASKED.items():
        assert {(name[:2], exercise_of(answer).removesuffix("_backward")) for answer in answers} <= written


def test_every_exercise_is_asked_in_a_lesson():
    asked = {exercise_of(answer) for answers in ASKED.values() for answer in answers}
    assert asked == set(exercise_names()), "an exercise needs a cell in lessons/source; see CONTRIBUTING.md"


def test_every_lesson_is_listed_with_what_is_to_be_written():
    listed = {re.search(r"\(lessons/(\w+)\.ipynb\)", row[0])[1]: row for row in rows(README, 3) if "solved" in row[0]}  # type: ignore[index]
    assert {name: re.findall(r"`(\w+)`", row[2]) for name, row in listed.items()} == ASKED
    for _, question, _ in listed.values():
        assert re.search(r"\? [\u4e00-\u9fff]|\. [\u4e00-\u9fff]", question), "in English and in Chinese"


LINKS = [
    pytest.param(path, link, id=f"{name}-{link}")
    for name, path in PAGES.items()
    for link in dict.fromkeys(re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")))
]


@pytest.mark.parametrize(("page", "link"), LINKS)
def test_a_link_leads_somewhere(page: Path, link: str):
    assert link.startswith("https://") or (page.parent / link).exists()


@pytest.mark.parametrize("page", PAGES.values(), ids=list(PAGES))
def test_a_path_in_code_is_there(page: Path):
    """Of commands and of prose: `tests/attention/test_softmax.py`; x, NN and the like stand for any name."""
    text = page.read_text(encoding="utf-8")
    for path in re.findall(r"(?<![\w/.-])(?:tests|lessons|solutions|recattn_mini)/[\w/.]*\w", text):
        assert (ROOT / path).exists() or re.search(r"alibi|/x\b|test_x|NN", path), path


def test_ci_runs_the_test_command():
    [command] = re.findall(r"<!-- \.ci/run runs this very line -->\n```bash\n(.+)\n```", README)
    assert command.endswith("pytest -n auto")
    assert "runs this very line" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_the_versions_are_those_that_are_required():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    required = [
        re.search(rf'{name}[^"\n]*>=([\d.]+)', project)[1] for name in ('requires-python = "', '"numpy', '"torch')
    ]  # type: ignore[index]
    assert "Python {}, NumPy {} and PyTorch {}, or newer".format(*required) in README
