"""What the README says is so: its example, its counts, its table of concepts, its links, its commands."""

import ast
import json
import math
import re
from pathlib import Path

import pytest

import recattn_mini
from recattn_mini.exercises import exercise_names, spec_of
from recattn_mini.learn import lessons
from recattn_mini.learn.judge.diagnosis import wrong_answers
from recattn_mini.learn.judge.judge import judge
from recattn_mini.metrics.conventions import CONVENTIONS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PACKAGE = Path(recattn_mini.__file__).parent


def rows(header: str) -> list[list[str]]:
    """The rows of the table whose header begins so."""
    table = README[README.index(header) :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in table]


CONCEPTS = rows("| concept | file |") + rows("| metric | file |") + rows("| building block | file |")


def public_names(path: Path) -> set[str]:
    """What a file is about: its public functions, whatever their form; models, data and what is made of it as well."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    found = [n.name for n in body if isinstance(n, ast.FunctionDef)]
    classes = [n.name for n in body if isinstance(n, ast.ClassDef)]
    found += (
        classes if path.parent.name in ("data", "models") else [name for name in classes if re.search(".Data$", name)]
    )
    return {re.sub(r"(_backward)?(_numpy)?$", "", name) for name in found if not name.startswith("_")}


def test_the_example_is_what_a_learner_sees():
    def scaled_dot_product_attention(q, k, v, mask=None):
        weights = (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1)
        if mask is not None:
            weights = weights * mask
        return weights @ v

    assert f"```text\n{judge(scaled_dot_product_attention)}\n```" in README


def test_the_number_of_known_wrong_answers():
    asked = {name: set(map(recattn_mini.exercises.exercise_of, _exercises(name))) for name in lessons.lesson_names()}
    for name, exercises in asked.items():
        assert f"{sum(len(wrong_answers(spec_of(ex))) for ex in exercises)} in lesson {name[:2]}" in README
    assert set().union(*asked.values()) == set(exercise_names())


def test_the_way_from_ratings_to_films_runs(capsys):
    [code] = [block for block in re.findall(r"```python\n(.+?)\n```", README, re.DOTALL) if "fit(" in block]
    exec(code.replace("epochs=12", "epochs=1"), {})
    said = capsys.readouterr().out
    assert "hit_rate@10" in said
    assert "all of them ←" in said


def test_the_number_of_libraries():
    libraries = {name.split(" (")[0] for name in CONVENTIONS} - {"recattn_mini"}
    assert f"The rules of {len(libraries)} libraries" in README


def _exercises(name: str) -> list[str]:
    return list(lessons.exercises(json.loads(lessons.fresh(name))))


def test_the_table_has_every_concept():
    folders = "attention", "metrics", "models", "training"
    files = [path for folder in folders for path in sorted((PACKAGE / folder).glob("[!_]*.py"))]
    of_data = {concept.strip("`") for concept, file, *_ in CONCEPTS if "/data/" in file}
    assert {concept.strip("`") for concept, *_ in CONCEPTS} == set().union(*map(public_names, files)) | of_data
    assert of_data >= {"leave_one_out", "global_time_split", "impressions", "Sequences", "sample_negatives"}


@pytest.mark.parametrize("row", CONCEPTS, ids=lambda row: row[0].strip("`"))
def test_a_row_is_right(row: list[str]):
    concept, file, lesson, asked, source = row
    name, path = re.fullmatch(r"\[(\w+)\]\((.+)\)", file).groups()  # type: ignore[union-attr]
    assert Path(path).stem == name
    assert concept.strip("`") in public_names(ROOT / path)
    assert lesson in {n[:2] for n in lessons.lesson_names()} | {"–"}
    assert asked.endswith(("?", ".")), "a question"
    assert re.search(r"\b(19|20)\d\d\b", source), "a year"


def test_every_lesson_is_listed_with_its_exercises():
    listed = {re.search(r"lessons/(\w+)\.ipynb", row[0])[1]: int(row[2]) for row in rows("| lesson | the question |")}  # type: ignore[index]
    assert listed == {name: len(_exercises(name)) for name in lessons.lesson_names()}


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#]+)\)", README))
def test_a_link_leads_somewhere(link: str):
    assert link.startswith("https://") or (ROOT / link).exists()


def test_ci_runs_the_test_command():
    [command] = re.findall(r"<!-- \.ci/run runs this very line -->\n```bash\n(.+)\n```", README)
    assert command.endswith("pytest -n auto")
    assert "runs this very line" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
