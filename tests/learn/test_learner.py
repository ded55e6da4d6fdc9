"""Play a learner in a real kernel: answer wrongly, be told which mistake it is, mend it, see it hold, come back."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
import pytest
from jupyter_core.utils import run_sync
from nbclient import NotebookClient
from notebooks import ROOT, said

from recattn_mini.learn import lessons

WRONG = """
def softmax_numpy(x):
    parts = np.exp(x - x.max())
    total = parts.sum(axis=-1, keepdims=True)
    return parts / np.where(total == 0, 1, total)
"""
RIGHT = WRONG.replace("x - x.max()", "x - np.where(np.isneginf(top := x.max(-1, keepdims=True)), 0, top)")
ENDLESS = """
def softmax_numpy(x):
    while True:
        pass
"""
MODULE = """
class AdditiveAttention(nn.Module):
    def __init__(self, d, c, a):
        super().__init__()
        self.q_proj = nn.Linear(d, a, bias=False)
        self.k_proj = nn.Linear(c, a, bias=False)
        self.score = nn.Linear(a, 1, bias=False)

    def forward(self, q, k, v, mask=None):
        hidden = ACTIVATION(self.q_proj(q).unsqueeze(-2) + self.k_proj(k).unsqueeze(-3))
        scores = self.score(hidden).squeeze(-1)
        if mask is not None:
            scores = scores.masked_fill(~mask, -math.inf)
        weights = library.softmax.softmax(scores)
        return weights @ v
"""


class Learner:
    """One who has a lesson open."""

    def __init__(self, client: NotebookClient) -> None:
        self.client, self.nb = client, client.nb

    def cell(self, start: str) -> int:
        """The cell whose source begins so, or that asks for this answer."""
        cell_id = lessons.exercises(self.nb).get(start)
        return next(n for n, c in enumerate(self.nb.cells) if c.get("id") == cell_id or c.source.startswith(start))

    def run(self, start: str, source: str | None = None) -> str:
        """Run a cell, with other text in it if any, and read what it says."""
        n = self.cell(start)
        self.nb.cells[n].source = source or self.nb.cells[n].source
        self.client.execute_cell(self.nb.cells[n], n)
        return said(self.nb.cells[n])

    def html(self, start: str) -> str:
        outputs = self.nb.cells[self.cell(start)].outputs
        return "".join(o.get("data", {}).get("text/html", "") for o in outputs)

    def type(self, source: str) -> str:
        """Run something in a cell of one's own at the end."""
        self.nb.cells.append(nbformat.v4.new_code_cell(source))
        self.client.execute_cell(self.nb.cells[-1], len(self.nb.cells) - 1)
        return said(self.nb.cells[-1])


@contextmanager
def lesson_open(folder: Path, data_folder: Path) -> Iterator[NotebookClient]:
    """A lesson with its first cell run, in a kernel that stands in `folder`."""
    nb = nbformat.reads(lessons.fresh("01_what_is_attention"), as_version=4)
    client = NotebookClient(nb, timeout=120, allow_errors=True)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RECATTN_DATA_DIR": str(data_folder)}
    environment.pop("NO_COLOR", None)
    with client.setup_kernel(cwd=str(folder), env=environment):
        Learner(client).run(next(c.source for c in nb.cells if "imports" in c.metadata.get("tags", [])))
        yield client


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NotebookClient]:
    """One for all who need no kernel or progress of their own: each start imports PyTorch and Matplotlib."""
    with lesson_open(tmp_path_factory.mktemp("kernel"), tmp_path_factory.mktemp("data")) as client:
        yield client


@pytest.fixture
def learner(kernel: NotebookClient) -> Learner:
    """One who has just opened the lesson."""
    kernel.nb = nbformat.reads(lessons.fresh("01_what_is_attention"), as_version=4)
    return Learner(kernel)


@pytest.fixture
def newcomer(tmp_path: Path, data_folder: Path) -> Iterator[Learner]:
    """One who has neither a kernel nor progress yet."""
    with lesson_open(tmp_path, data_folder) as client:
        yield Learner(client)


def test_a_learner_is_told_the_mistake_mends_it_and_comes_back(newcomer: Learner):
    newcomer.run("softmax_numpy")
    assert "not attempted" in newcomer.run("check(softmax_numpy)")
    assert "nudge" not in newcomer.type("hint(softmax_numpy)")
    assert newcomer.type("hint(softmax_numpy)").startswith("hint 1 of 3: exp overflows at 710")
    assert "does not hold yet" in newcomer.type("solution(softmax_numpy)")

    newcomer.run("softmax_numpy", WRONG)
    verdict = newcomer.run("check(softmax_numpy)")
    assert "✗ scores beyond 1,000" in verdict
    assert "looks like: one maximum for the whole array" in verdict
    assert "color:" in newcomer.html("check(softmax_numpy)"), "a notebook shows colour"
    assert "<table" in newcomer.html("check(softmax_numpy)") or "<pre" in newcomer.html("check(softmax_numpy)")

    newcomer.run("softmax_numpy", RIGHT)
    assert "✓ softmax_numpy holds: all 6 checks" in newcomer.run("check(softmax_numpy)")
    assert "keepdims=True" in newcomer.type("solution(softmax_numpy)")

    run_sync(newcomer.client.km.restart_kernel)(now=True)
    run_sync(newcomer.client.kc.wait_for_ready)(timeout=60)
    recattn = "from recattn_mini.learn.cli import main; main()"
    status = subprocess.run([sys.executable, "-c", recattn], cwd=ROOT, capture_output=True, text=True)
    assert "1 of" in status.stdout.splitlines()[0], status
    assert "✓ softmax_numpy" in status.stdout
    assert "next: causal_mask" in status.stdout


def test_an_endless_loop_is_stopped_and_the_kernel_lives(learner: Learner):
    learner.type("from recattn_mini.learn.judge import judge; judge.SECONDS = 0.5")
    learner.run("softmax_numpy", ENDLESS)
    verdict = learner.run("check(softmax_numpy)")
    assert "too slow" in verdict
    assert "while True" in verdict
    learner.type("judge.SECONDS = 5.0")
    assert learner.type("print(6 * 7)").strip() == "42"


def test_what_raises_is_shown_in_the_learners_own_line(learner: Learner):
    learner.run("softmax_numpy", "def softmax_numpy(x):\n    parts = np.exp(x)\n    return parts / totl\n")
    verdict = learner.run("check(softmax_numpy)")
    assert "name 'totl' is not defined" in verdict
    assert "line 3: return parts / totl" in verdict
    assert "recattn_mini" not in verdict, "no frame of ours"


def test_a_module_is_judged_too(learner: Learner):
    learner.run("AdditiveAttention", MODULE.replace("ACTIVATION", "torch.relu"))
    assert "looks like: a ReLU where the tanh belongs" in learner.run("check(AdditiveAttention)")
    learner.run("AdditiveAttention", MODULE.replace("ACTIVATION", "torch.tanh"))
    assert "✓ AdditiveAttention holds" in learner.run("check(AdditiveAttention)")


def test_a_call_that_gives_it_away_is_found_in_a_kernel(learner: Learner):
    learner.run(
        "scaled_dot_product_attention",
        "attend = F.scaled_dot_product_attention\n"
        "def scaled_dot_product_attention(q, k, v, mask=None):\n    return attend(q, k, v, mask)\n",
    )
    assert "uses torch.nn.functional.scaled_dot_product_attention" in learner.run("check(scaled_dot_product_attention)")


def test_a_stub_that_is_left_in_the_kernel_is_named(learner: Learner):
    learner.run("softmax_numpy")
    learner.run(
        "multiplicative_attention_numpy",
        "def multiplicative_attention_numpy(q, k, v, w, mask=None):\n"
        "    return softmax_numpy(q @ w @ np.swapaxes(k, -1, -2)) @ v\n",
    )
    verdict = learner.run("check(multiplicative_attention_numpy)")
    assert "softmax_numpy is still a stub in this kernel" in verdict
