"""The exceptions that answers really raise are told in words; each is raised here: the words follow the libraries."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from recattn_mini.learn.judge.errors import MEANINGS, meaning
from recattn_mini.learn.judge.judge import judge

x, t = np.ones((2, 3, 5, 7)), torch.ones(2, 3, 5, 7)
k, mask = np.ones((2, 3, 11, 7)), np.ones((5, 7), bool)
leaf = torch.ones(3, requires_grad=True)

REAL = {
    "if mask, NumPy": (lambda: 1 if mask else 2, "is not None"),
    "if mask, PyTorch": (lambda: 1 if torch.ones(2) else 2, "is not None"),
    "no keepdims, NumPy": (lambda: x / x.sum(-1), "keepdims"),
    "no keepdim, PyTorch": (lambda: t / t.sum(-1), "keepdim"),
    "not transposed, NumPy": (lambda: x @ k, "swapaxes"),
    "not transposed, PyTorch": (lambda: t @ t, ".mT"),
    ".T of a batch": (lambda: x @ k.T, "swapaxes"),
    "not transposed, two axes": (lambda: torch.ones(5, 7) @ torch.ones(11, 7), ".mT"),
    "einsum of three axes, PyTorch": (lambda: torch.einsum("btd,bsd->bts", t, t), "any leading"),
    "einsum of three axes, NumPy": (lambda: np.einsum("btd,bsd->bts", x, k), "any leading"),
    "einsum of five axes, NumPy": (lambda: np.einsum("abtd,bsd->bts", x[0], k[0]), "any leading"),
    "view": (lambda: t.mT.view(2, 3, 35), "reshape"),
    "mask as an index, PyTorch": (lambda: t[torch.ones(5, 7, dtype=torch.bool)], "where"),
    "mask as an index, NumPy": (lambda: x[mask], "where"),
    "half": (lambda: torch.ones(2).half().masked_fill(torch.ones(2) > 0, -1e9), "-inf"),
    "axis from the front, PyTorch": (lambda: torch.ones(3).sum(1), "from the back"),
    "axis from the front, NumPy": (lambda: np.ones(3).sum(1), "from the back"),
    "in place on a leaf": (lambda: leaf.mul_(2), "a copy"),
    "minus a mask, PyTorch": (lambda: -(torch.ones(2) > 0), "invert it with ~"),
    "minus a mask, NumPy": (lambda: -mask, "invert it with ~"),
    "1 - mask": (lambda: 1 - (torch.ones(2) > 0), "invert it with ~"),
    "the other library's method": (lambda: x.masked_fill(mask, 0), "name it differently"),
    "dim for axis": (lambda: x.sum(dim=-1), "axis and keepdims"),
    "bmm of four axes": (lambda: torch.bmm(t, t), "any number of leading"),
    "axes of another number, NumPy": (lambda: x.transpose(0, 2, 1), "swapaxes"),
    "axes of another number, PyTorch": (lambda: t.permute(0, 2, 1), ".mT"),
    "expand": (lambda: torch.ones(5, 7).expand(5, 3), "only an axis of size 1"),
    "an axis of a number": (lambda: torch.tensor(1.0)[:, None], "no axis at all"),
    "k beyond the last": (lambda: torch.ones(3).topk(5), "min(k"),
    "float of an array": (lambda: float(x), "one number"),
    "math of an array": (lambda: math.exp(x), "one number"),
    "math of a tensor": (lambda: math.exp(t), "one number"),
    "item of a tensor": (lambda: t.item(), "one number"),
    "torch.exp of an array": (lambda: torch.exp(x), "np.… or torch.…"),
    "renamed parameters": (lambda: nn.Linear(2, 2).load_state_dict({"w": torch.ones(2, 2)}), "names"),
}


@pytest.mark.parametrize(("act", "words"), REAL.values(), ids=REAL.keys())
def test_a_real_exception_is_told_in_words(act, words):
    with pytest.raises(Exception) as caught:  # noqa: PT011
        act()
    assert words in meaning(str(caught.value)), str(caught.value)


def test_every_meaning_belongs_to_a_real_exception():
    met = set()
    for act, _ in REAL.values():
        try:
            act()
        except Exception as error:
            met.add(meaning(str(error)))
    assert met == set(MEANINGS)


def test_anything_else_is_left_to_speak_for_itself():
    assert meaning("ZeroDivisionError: division by zero") == ""


def test_a_learner_reads_it_below_the_line_that_raised():
    def scaled_dot_product_attention_numpy(q, k, v, mask=None):
        return q @ k.T @ v

    [failed] = [r for r in judge(scaled_dot_product_attention_numpy).results if r.held is False and "line" in r.seen]
    assert failed.seen.splitlines()[-1].startswith("usually: the inner axes of a product differ")
