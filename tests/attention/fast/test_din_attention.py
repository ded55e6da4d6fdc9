"""The fast DIN unit against the plain one, and against a loop over pairs in torch."""

import pytest
import torch
import torch.nn.functional as F

from recattn_mini.attention import din_attention as plain
from recattn_mini.attention.fast.din_attention import DINAttention, din_attention, din_scores


def pair_by_pair(q, k, w_hidden, b_hidden, w_score, mask=None):
    """The scores one candidate and one event at a time, the four blocks side by side; then the sum over events."""

    def score(query, key):
        return F.linear(torch.cat([query, key, query - key, query * key], -1), w_hidden, b_hidden).sigmoid() @ w_score

    scores = torch.stack([torch.stack([score(one, event) for event in k.unbind(-2)], -1) for one in q.unbind(-2)], -2)
    return (scores if mask is None else torch.where(mask, scores, 0)) @ k


@pytest.fixture(params=["ordinary", "beyond 1000"])
def weights(request):
    random = torch.Generator().manual_seed(0)
    w_hidden, b_hidden, w_score = (torch.randn(*shape, generator=random).double() for shape in ((19, 44), (19,), (19,)))
    return (1000 * w_hidden if request.param == "beyond 1000" else w_hidden), b_hidden, w_score


def test_equals_the_plain_form(case, weights, call, close):
    inputs = case.q, case.k, *weights
    close(call(din_attention, *inputs, case.mask), plain.din_attention(*inputs, case.mask))
    close(call(din_scores, *inputs), plain.din_scores(*inputs))


def test_gradients_equal_the_plain_form(case, weights, gradients, close):
    inputs = case.q, case.k, *weights, case.mask
    close(gradients(din_attention, *inputs), gradients(plain.din_attention, *inputs))


def test_equals_a_loop_over_pairs(case, weights, call, close, gradients):
    inputs = case.q, case.k, *weights, case.mask
    close(call(din_attention, *inputs), pair_by_pair(*inputs))
    close(gradients(din_attention, *inputs), gradients(pair_by_pair, *inputs))


def test_nothing_to_attend_to_gives_zeros_and_finite_gradients(normal, weights, gradients):
    q, k = normal("b t d"), normal("b s d")
    mask = torch.tensor([True, False, True, True, False])[:, None].expand(5, 7)
    assert (din_attention(q, k, *weights, mask)[:, [1, 4]] == 0).all()
    assert all(g.isfinite().all() for g in gradients(din_attention, q, k, *weights, mask))


def test_half_precision_is_as_exact_as_the_plain_form(half, normal, error):
    random = torch.Generator().manual_seed(0)
    of_layer = (torch.randn(*shape, generator=random).double() for shape in ((19, 44), (19,), (19,)))
    narrow = [x.to(half) for x in (normal("b t d"), normal("b s d"), *of_layer)]
    exact = pair_by_pair(*(x.double() for x in narrow))
    ours = din_attention(*narrow)
    assert ours.dtype == half
    assert error(ours, exact) <= 3 * error(plain.din_attention(*narrow), exact)


def test_the_module_has_the_parameters_of_the_plain_one(normal, close):
    key = plain.DINAttention(11, 19).double()
    unit = DINAttention(11, 19).double()
    unit.load_state_dict(key.state_dict(), strict=True)
    q, k, mask = normal("b t d"), normal("b s d"), normal("b t s") < 0.5
    close(unit(q, k, mask), key(q, k, mask))
    assert [name for name, _ in unit.named_parameters()] == ["hidden.weight", "hidden.bias", "score.weight"]
