import pytest
import torch
import torch.nn.functional as F
from torch import nn

from recattn_mini.attention.null_key_attention import null_key_attention, null_key_attention_numpy

BOTH = pytest.mark.parametrize("f", [null_key_attention, null_key_attention_numpy])


def oracle(q, k, v, null_k, null_v, mask=None):
    """SDPA over one more key, put last here; order among keys means nothing."""
    k = torch.cat([k, torch.zeros_like(k[..., :1, :]) + null_k.unsqueeze(-2)], -2)
    v = torch.cat([v, torch.zeros_like(v[..., :1, :]) + null_v.unsqueeze(-2)], -2)
    if mask is not None:
        mask = mask.expand(*mask.shape[:-1], k.shape[-2] - 1)
        mask = torch.cat([mask, torch.ones_like(mask[..., :1])], -1)
    return F.scaled_dot_product_attention(q, k, v, mask)


@pytest.fixture(params=["one for all", "one for each head"])
def null(request, case, normal):
    lead = "h " if request.param == "one for each head" and case.q.dim() == 4 else ""
    return normal(lead + "d"), normal(lead + "e")


@BOTH
def test_equals_torch_with_one_more_key(f, case, null, call, close):
    close(call(f, case.q, case.k, case.v, *null, case.mask), oracle(case.q, case.k, case.v, *null, case.mask))


def test_multi_head_attention_of_torch_calls_it_bias_kv(normal, empty_rows, close):
    """With identities for projections, its bias_k and bias_v are one null key and value a head."""
    heads, width = 3, 11
    q, k, v, null_k, null_v = (normal(axes) for axes in ("b h t d", "b h s d", "b h s d", "h d", "h d"))
    torch_module = nn.MultiheadAttention(heads * width, heads, False, False, add_bias_kv=True, batch_first=True)
    torch_module = torch_module.double()
    with torch.no_grad():
        torch_module.in_proj_weight.copy_(torch.eye(heads * width).repeat(3, 1))
        torch_module.out_proj.weight.copy_(torch.eye(heads * width))
        torch_module.bias_k.copy_(null_k.reshape(1, 1, -1))
        torch_module.bias_v.copy_(null_v.reshape(1, 1, -1))
        joined = (x.transpose(1, 2).flatten(2) for x in (q, k, v))  # (b t h·d)
        expected, _ = torch_module(*joined, attn_mask=~empty_rows.expand(2, 3, 5, 7).flatten(0, 1))  # True = blocked
    out = null_key_attention(q, k, v, null_k, null_v, empty_rows)
    close(out.transpose(1, 2).flatten(2), expected)


@BOTH
def test_worked_by_hand(f, call, close, tensor):
    q, k, v, null_k, null_v = (
        tensor([[1], [0]]),
        tensor([[2], [5]]).log(),
        tensor([[8], [4]]),
        tensor([0]),
        tensor([16]),
    )
    mask = torch.tensor([[True, True], [True, False]])
    # odds 2 : 5 : 1 for the first query, 1 : 0 : 1 for the second: (16 + 20 + 16)/8, (8 + 16)/2
    close(call(f, q, k, v, null_k, null_v, mask), tensor([[6.5], [12]]))


@BOTH
def test_query_with_nothing_to_attend_to_gets_the_null_value(f, normal, empty_rows, call):
    q, k, v, null_k, null_v = (normal(axes) for axes in ("b h t d", "b h s d", "b h s e", "d", "e"))
    out = call(f, 3000 * q, k, v, null_k, null_v, empty_rows)
    empty = ~empty_rows.any(-1).expand(2, 3, 5)
    assert (out[empty] == null_v).all()


@BOTH
def test_null_of_zeros_is_softmax_plus_one(f, normal, call, close):
    q, k = normal("b h t d"), normal("b h s d")
    one_hot, zero = torch.eye(7, dtype=torch.float64).expand(2, 3, 7, 7), torch.zeros(7, dtype=torch.float64)
    weights = call(f, q, k, one_hot, torch.zeros(11, dtype=torch.float64), zero)
    parts = torch.exp(q @ k.mT / 11**0.5)
    close(weights, parts / (1 + parts.sum(-1, keepdim=True)))
