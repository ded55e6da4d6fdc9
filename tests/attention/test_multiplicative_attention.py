import math

import pytest
import torch.nn.functional as F

from recattn_mini.attention.multiplicative_attention import multiplicative_attention, multiplicative_attention_numpy

BOTH = pytest.mark.parametrize("f", [multiplicative_attention, multiplicative_attention_numpy])


@pytest.fixture
def oracle(attend):
    """torch's own bilinear form of every pair of query and key."""

    def oracle(q, k, v, w, mask=None):
        pairs = *k.shape[:-2], q.shape[-2], k.shape[-2], -1
        scores = F.bilinear(q.unsqueeze(-2).expand(pairs), k.unsqueeze(-3).expand(pairs), w[None])[..., 0]
        return attend(scores, v, mask)

    return oracle


@pytest.fixture
def w(case, normal):
    w = normal("d c")
    if case.logits_beyond_1000:  # the first coordinate is ±100 in q and 100 in k: let it meet itself alone
        w[0], w[:, 0], w[0, 0] = 0, 0, 1
        assert (case.q @ w @ case.k_c.mT).abs().min() > 1000
    return w


@BOTH
def test_equals_torch(f, case, w, oracle, call, close):
    close(call(f, case.q, case.k_c, case.v, w, case.mask), oracle(case.q, case.k_c, case.v, w, case.mask))


@BOTH
def test_query_and_key_projections_are_its_low_rank_form(f, normal, call, close):
    q, k, v, w_q, w_k = (normal(axes) for axes in ("b h t d", "b h s c", "b h s e", "t d", "t c"))  # rank 5
    expected = F.scaled_dot_product_attention(q @ w_q.mT, k @ w_k.mT, v)
    close(call(f, q, k, v, w_q.mT @ w_k / math.sqrt(5)), expected)


@BOTH
def test_worked_by_hand(f, call, close, tensor):
    q, k, v = tensor([[1, 2]]), tensor([[2], [6], [1]]).log(), tensor([[9], [18], [27]])
    # W turns (1, 2) into 3 - 2 = 1: scores log 2, log 6 and 0, so (2·9 + 6·18 + 27)/9
    close(call(f, q, k, v, tensor([[3], [-1]])), tensor([[17]]))
