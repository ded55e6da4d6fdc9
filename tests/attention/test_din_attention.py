import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from recattn_mini.attention.din_attention import (
    DINAttention,
    din_attention,
    din_attention_numpy,
    din_attention_softmax,
    din_attention_softmax_numpy,
    din_scores,
    din_scores_numpy,
)

SUM = pytest.mark.parametrize("f", [din_attention, din_attention_numpy])
SOFTMAX = pytest.mark.parametrize("f", [din_attention_softmax, din_attention_softmax_numpy])
ALL = pytest.mark.parametrize(
    "f", [din_attention, din_attention_numpy, din_attention_softmax, din_attention_softmax_numpy]
)


def sigmoid(x):
    return 1 / (1 + math.exp(-x)) if x > 0 else math.exp(x) / (1 + math.exp(x))


def score_of_a_pair(q, k, w_hidden, b_hidden, w_score):
    """w_score · σ(W [q, k, q - k, q ⊙ k] + b) of Python's own floats, unit by unit."""
    pair = [*q, *k, *(x - y for x, y in zip(q, k, strict=True)), *(x * y for x, y in zip(q, k, strict=True))]
    return math.fsum(
        w * sigmoid(math.fsum([b, *(a * x for a, x in zip(row, pair, strict=True))]))
        for w, row, b in zip(w_score, w_hidden, b_hidden, strict=True)
    )


def scores_of_all_pairs(q, k, *weights):
    weights = [w.tolist() for w in weights]
    scores = [
        score_of_a_pair(query, key, *weights)
        for queries, keys in zip(q.flatten(0, -3).tolist(), k.flatten(0, -3).tolist(), strict=True)
        for query in queries
        for key in keys
    ]
    return torch.tensor(scores, dtype=torch.float64).reshape(*q.shape[:-1], k.shape[-2])


def sum_over_allowed(scores, k, mask):
    """Σ_s score_ts k_s of Python's own floats, over the events that are allowed and no others."""
    mask = torch.ones_like(scores, dtype=torch.bool) if mask is None else mask.expand(scores.shape)
    out = [
        math.fsum(w * key[i] for w, key, allowed in zip(row, keys, row_mask, strict=True) if allowed)
        for rows, keys, rows_mask in zip(*(x.flatten(0, -3).tolist() for x in (scores, k, mask)), strict=True)
        for row, row_mask in zip(rows, rows_mask, strict=True)
        for i in range(k.shape[-1])
    ]
    return torch.tensor(out, dtype=torch.float64).reshape(*scores.shape[:-1], k.shape[-1])


def recorded(library, what):
    """What another library was given and what it returned: inputs, weights, outputs; see tests/parity."""
    path = Path(__file__).parent / "data" / f"{library}_target_attention.json"
    case = json.loads(path.read_text("utf-8"))[what]
    return ({name: torch.from_numpy(np.array(x)) for name, x in tensors.items()} for tensors in case.values())


def as_batch(case):
    """The case with a leading axis, which the loops above go through."""
    return case if case.q.dim() > 2 else case._replace(q=case.q[None], k=case.k[None], mask=case.mask[None])


@pytest.fixture
def weights(case, normal):
    w_hidden = torch.cat([normal("a d") for _ in range(4)], -1) / 6  # not so large that every unit saturates
    return w_hidden, normal("a"), normal("a") * (3000 if case.logits_beyond_1000 else 1)


@SUM
def test_sum_equals_a_loop_over_floats(f, case, weights, call, close):
    case = as_batch(case)
    scores = scores_of_all_pairs(case.q, case.k, *weights)
    assert not case.logits_beyond_1000 or scores.abs().max() > 1000
    close(call(f, case.q, case.k, *weights, case.mask), sum_over_allowed(scores, case.k, case.mask))


@SOFTMAX
def test_softmax_equals_a_loop_over_floats(f, case, weights, attend, call, close):
    case = as_batch(case)
    scores = scores_of_all_pairs(case.q, case.k, *weights) / math.sqrt(11)
    close(call(f, case.q, case.k, *weights, case.mask), attend(scores, case.k, case.mask))


@ALL
def test_leading_axes_may_be_missing(f, normal, empty_rows, call, close):
    q, k, weights = normal("t d"), normal("s d"), (torch.cat([normal("a d")] * 4, -1), normal("a"), normal("a"))
    alone = call(f, q, k, *weights, empty_rows[0, 0])
    close(alone, call(f, q[None, None], k[None, None], *weights, empty_rows[:1])[0, 0])


@pytest.fixture
def two_users(normal):
    """Candidates (b t d), histories (b s d), a mask (b 1 s) for each: the second user has nothing but padding."""
    mask = torch.tensor([[False, False, True, True, False, True, True], [False] * 7])[:, None]
    w_hidden = torch.cat([normal("a d") for _ in range(4)], -1) / 6
    return normal("b t d"), normal("b s d"), w_hidden, normal("a"), normal("a"), mask


@ALL
def test_padding_adds_exactly_nothing(f, two_users, call):
    q, k, *weights, mask = two_users
    other = torch.where(mask.mT, k, 1e6 * torch.ones_like(k))
    assert torch.equal(call(f, q, other, *weights, mask), call(f, q, k, *weights, mask))


@ALL
def test_an_empty_history_gives_zeros(f, two_users, call):
    out = call(f, *two_users)
    assert (out[1] == 0).all()
    assert (out[0] != 0).all()


@pytest.mark.parametrize("f", [din_attention, din_attention_softmax])
def test_padding_gets_no_gradient(f, two_users, gradients):
    grad_q, grad_k, *_ = found = gradients(f, *two_users)
    assert all(torch.isfinite(g).all() for g in found)
    assert (grad_k[~two_users[-1][:, 0]] == 0).all()
    assert (grad_q[1] == 0).all()


@ALL
def test_the_same_history_twice(f, two_users, call, close):
    """The sum counts it twice, the softmax once: intensity."""
    q, k, *weights, mask = two_users
    once, twice = call(f, q, k, *weights, mask), call(f, q, k.repeat(1, 2, 1), *weights, mask.repeat(1, 1, 2))
    close(twice, once if "softmax" in f.__name__ else 2 * once)


@SUM
def test_a_unit_without_weights_is_a_bias_of_the_score(f, two_users, call, close):
    """So the score has no bias of its own: σ(0) · 6 adds 3 to every score."""
    q, k, w_hidden, b_hidden, w_score, mask = two_users
    w_hidden, b_hidden = F.pad(w_hidden, (0, 0, 0, 1)), F.pad(b_hidden, (0, 1))
    plain = call(f, q, k, w_hidden, b_hidden, F.pad(w_score, (0, 1)), mask)
    close(call(f, q, k, w_hidden, b_hidden, F.pad(w_score, (0, 1), value=6.0), mask), plain + 3 * (mask.double() @ k))


@ALL
def test_the_difference_is_in_the_first_two_blocks_already(f, two_users, call, close):
    q, k, w_hidden, b_hidden, w_score, mask = two_users
    w_q, w_k, w_minus, w_times = w_hidden.chunk(4, -1)
    folded = torch.cat([w_q + w_minus, w_k - w_minus, 0 * w_minus, w_times], -1)
    close(call(f, q, k, folded, b_hidden, w_score, mask), call(f, *two_users))


@SUM
def test_sum_worked_by_hand(f, call, close, tensor):
    q, k = tensor([[2], [-2]]), tensor([[0], [math.log(3) / 2], [-math.log(3) / 2]])
    w_hidden, b_hidden, w_score = tensor([[0, 0, 0, 1]]), tensor([0]), tensor([4])
    # the first candidate's products are 0, log 3, -log 3, and 4 σ of them 2, 3, 1; the second's 2, 1, 3
    half = math.log(3) / 2
    close(call(f, q, k, w_hidden, b_hidden, w_score), tensor([[3 * half - half], [half - 3 * half]]))
    close(call(f, q, k, w_hidden, b_hidden, w_score, torch.tensor([True, True, False])), tensor([[3 * half], [half]]))


@SOFTMAX
def test_softmax_worked_by_hand(f, call, close, tensor):
    q, k = tensor([[1, 0, 0, 0]]), tensor([[8, 0, 0, 0], [4, 0, 0, 0]])
    only_k = F.pad(tensor([[100]]), (4, 11))  # σ(100·k_0 - 600) is σ(200) = 1 and σ(-200) = 0
    # scores 2·log 3 and 0, by √4 log 3 and 0: odds 3 to 1
    close(call(f, q, k, only_k, tensor([-600]), tensor([2 * math.log(3)])), tensor([[7, 0, 0, 0]]))


@pytest.mark.parametrize("f", [din_scores, din_scores_numpy])
def test_scores_worked_by_hand(f, call, close, tensor):
    """Each block is seen alone by one unit: q = 1, k = 3 are 1, 3, -2 and 3."""
    units, third = torch.eye(4, dtype=torch.float64), math.log(3)
    for w_score, block in zip(units, [1, 3, -2, 3], strict=True):
        found = call(f, tensor([[1]]), tensor([[3]]), third * units, tensor([0, 0, 0, 0]), w_score)
        close(found, tensor([[3**block / (1 + 3**block)]]))  # σ(n · log 3)


@pytest.mark.parametrize(
    ("library", "what"), [("deepctr_torch", "AttentionSequencePoolingLayer"), ("fuxictr", "DIN_Attention")]
)
@pytest.mark.parametrize("numpy", [False, True])
def test_what_libraries_return(library, what, numpy, call, close):
    inputs, weights, outputs = recorded(library, what)
    sum_form = din_attention_numpy if numpy else din_attention
    softmax_form = din_attention_softmax_numpy if numpy else din_attention_softmax
    q, k, mask, (w_hidden, b_hidden, w_score) = inputs["q"], inputs["k"], inputs["mask"], weights.values()
    close(call(sum_form, q[:, None], k, w_hidden, b_hidden, w_score, mask[:, None])[:, 0], outputs["sum"])
    unscaled = w_score * math.sqrt(q.shape[-1])  # theirs do not divide by √d
    close(call(softmax_form, q[:, None], k, w_hidden, b_hidden, unscaled, mask[:, None])[:, 0], outputs["softmax"])


@pytest.fixture
def module():
    torch.manual_seed(0)
    return DINAttention(d=11, a=19).double()


def test_module_equals_a_loop_over_floats(module, case, close):
    case = as_batch(case)
    scores = scores_of_all_pairs(case.q, case.k, module.hidden.weight, module.hidden.bias, module.score.weight[0])
    close(module(case.q, case.k, case.mask), sum_over_allowed(scores, case.k, case.mask))


def test_module_has_two_layers_and_no_bias_of_the_score(module):
    shapes = {name: tuple(x.shape) for name, x in module.named_parameters()}
    assert shapes == {"hidden.weight": (19, 44), "hidden.bias": (19,), "score.weight": (1, 19)}


@pytest.mark.parametrize("f", [din_attention, din_attention_softmax])
def test_half_precision_is_finite_where_scores_are_huge(f, half, device, two_users, gradients):
    inputs = [(x if x.dtype == torch.bool else x.to(half)).to(device) for x in two_users]
    huge = [300 * inputs[0], *inputs[1:]]
    assert torch.isfinite(f(*huge)).all()
    assert all(torch.isfinite(g).all() for g in gradients(f, *huge))


def test_four_blocks_are_expected(two_users):
    q, k, w_hidden, *rest = two_users
    with pytest.raises(ValueError, match=r"^w_hidden must be \(a d\+d\+d\+d\), d = 11 as in q.* got \(19, 33\)"):
        din_attention(q, k, w_hidden[:, :33], *rest)
