import numpy as np
import pytest
import torch
from torch import nn

from recattn_mini.attention.self_attention import self_attention, self_attention_numpy

BOTH = pytest.mark.parametrize("f", [self_attention, self_attention_numpy])
H, D = 3, 12
CAUSAL = torch.ones(5, 5, dtype=torch.bool).tril()
LATEST = CAUSAL & torch.tensor([[1, 1, 1, 1, 1], [1, 0, 0, 1, 0]]).bool()[:, None, None]  # every row sees something


@pytest.fixture
def inputs():
    random = np.random.RandomState(2)
    x, *weights = (torch.from_numpy(random.randn(*shape)) for shape in [(2, 5, D), *[(D, D)] * 4])
    return x, *(0.3 * w for w in weights), H


def oracle(x, w_q, w_k, w_v, w_o, h, mask=None):
    """nn.MultiheadAttention, whose mask says who is kept out."""
    module = nn.MultiheadAttention(D, h, bias=False, batch_first=True, dtype=x.dtype)
    packed = {"in_proj_weight": torch.cat([w_q, w_k, w_v]), "out_proj.weight": w_o}
    kept_out = None if mask is None else ~mask.expand(2, h, 5, 5).flatten(0, 1)
    return torch.func.functional_call(module, packed, (x, x, x), {"attn_mask": kept_out, "need_weights": False})[0]


@BOTH
@pytest.mark.parametrize("mask", [None, CAUSAL, LATEST], ids=["no mask", "causal", "causal and padding"])
def test_equals_torch(f, mask, inputs, call, close):
    close(call(f, *inputs, mask), oracle(*inputs, mask))


@BOTH
def test_projected_to_another_width(f, inputs, call, close):
    """Rows of nothing in W_q, W_k, W_v add nothing to a head; the scale alone is that of the wider one."""
    x, w_q, w_k, w_v, w_o, _ = inputs
    wider = [torch.cat([w, torch.zeros(8, D)]) for w in (w_q, w_k, w_v)]
    wider[0] = wider[0] * (20 / 12) ** 0.5
    out = call(f, x, *wider, torch.cat([w_o, torch.ones(D, 8)], -1), 1)
    close(out, oracle(x, w_q, w_k, w_v, w_o, 1))


@BOTH
def test_shuffled_items_come_out_shuffled(f, inputs, call, close):
    x, *rest = inputs
    order = [3, 0, 4, 2, 1]
    close(call(f, x[:, order], *rest), call(f, x, *rest)[:, order])


@BOTH
def test_causal_mask_keeps_the_future_out(f, inputs, call):
    x, *rest = inputs
    later = x.clone()
    later[:, 3:] = -later[:, 3:]
    before, after = call(f, x, *rest, CAUSAL), call(f, later, *rest, CAUSAL)
    assert torch.equal(before[:, :3], after[:, :3])
    assert ((before - after)[:, 3:].abs().amax(-1) > 0.01).all()


@BOTH
def test_padded_user_gets_zeros(f, inputs, call):
    mask = torch.tensor([[True] * 5, [False] * 5])[:, None, None]
    out = call(f, *inputs, mask)
    assert (out[1] == 0).all()
    assert (out[0] != 0).all()


@BOTH
def test_worked_by_hand(f, call, close, tensor):
    # scores of both items are x_t·x_s: 1·1 and 1·0, then 0 and 0. The first one's weight is e/(1 + e), then 1/2
    one = tensor([[1]])
    first = 1 / (1 + np.exp(-1))
    close(call(f, tensor([[[1], [0]]]), one, one, one, 4 * one, 1), tensor([[[4 * first], [2]]]))


def test_input_is_called_x(inputs):
    x, *rest = inputs
    with pytest.raises(ValueError, match=r"^x must be \(b t d\), got \(5, 12\)"):
        self_attention(x[0], *rest)
    with pytest.raises(ValueError, match=r"^w_k must be \(a d\), a = 12 as in w_q, d = 12 as in x, got \(12, 11\)"):
        self_attention(x, rest[0], rest[1][:, 1:], *rest[2:])
