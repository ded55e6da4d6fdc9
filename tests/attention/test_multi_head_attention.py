import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from recattn_mini.attention.multi_head_attention import (
    MultiHeadAttention,
    join_heads,
    join_heads_numpy,
    multi_head_attention,
    multi_head_attention_numpy,
    split_heads,
    split_heads_numpy,
)

BOTH = pytest.mark.parametrize("f", [multi_head_attention, multi_head_attention_numpy])
SPLIT = pytest.mark.parametrize("f", [split_heads, split_heads_numpy])
JOIN = pytest.mark.parametrize("f", [join_heads, join_heads_numpy])
H, A = 3, 12  # heads of width 4


def one_head_at_a_time(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    """Torch's own attention over slices of the weights, the heads' outputs added up: no axis of heads anywhere."""
    out = 0
    for i, rows in enumerate(torch.arange(len(w_q)).chunk(h)):
        of_head = mask if mask is None or mask.dim() < 4 else mask[:, i % mask.shape[1]]
        head = F.scaled_dot_product_attention(q @ w_q[rows].T, k @ w_k[rows].T, v @ w_v[rows].T, of_head)
        out = out + head @ w_o[:, rows].T
    return out


def randn(*shapes, scale=1.0):
    random = np.random.RandomState(2)
    return [scale * torch.from_numpy(random.randn(*shape)) for shape in shapes]


def of_weights(*shapes):
    """About what keeps the size of a vector, so that the softmax is neither flat nor one-hot."""
    return randn(*shapes, scale=0.3)


@pytest.fixture
def weights():
    return of_weights((A, 11), (A, 17), (A, 13), (11, A))


@pytest.fixture
def inputs(case, weights):
    """The shared cases without their axis of heads: (b t d), (b s c), (b s e), and a mask for (b h t s)."""
    q, k, v = (x[:, 0] if x.dim() == 4 else x[None] for x in (case.q, case.k_c, case.v))
    if case.logits_beyond_1000:
        weights[0][:, 0] = weights[1][:, 0] = 1
        for rows in torch.arange(A).chunk(H):
            scores = q @ weights[0][rows].T @ (k @ weights[1][rows].T).mT
            assert (scores / math.sqrt(A / H)).abs().min() > 1000
    return q, k, v, *weights, H, case.mask


@BOTH
def test_equals_a_loop_over_heads(f, inputs, call, close):
    close(call(f, *inputs), one_head_at_a_time(*inputs))


@BOTH
def test_each_head_may_have_a_mask_of_its_own(f, normal, weights, call, close):
    mask = normal("b h t s") > 0.7
    assert not mask.any(-1).all()
    inputs = normal("b t d"), normal("b s c"), normal("b s e"), *weights, H, mask
    close(call(f, *inputs), one_head_at_a_time(*inputs))


def torch_module(w_q, w_k, w_v, w_o, h, bias=False, dtype=torch.float64):
    """nn.MultiheadAttention with our weights; its width is that of q, so a = d."""
    module = nn.MultiheadAttention(
        len(w_o), h, bias=bias, kdim=w_k.shape[1], vdim=w_v.shape[1], batch_first=True, dtype=dtype
    )
    with torch.no_grad():
        for parameter, w in zip(
            (module.q_proj_weight, module.k_proj_weight, module.v_proj_weight, module.out_proj.weight),
            (w_q, w_k, w_v, w_o),
            strict=True,
        ):
            parameter.copy_(w)
    return module


@pytest.fixture
def square():
    """q (b t d) of d = a = 12, as torch's module wants it; keys of width 17, values of width 13."""
    return randn((2, 5, A), (2, 7, 17), (2, 7, 13)), of_weights((A, A), (A, 17), (A, 13), (A, A))


CAUSAL = torch.ones(5, 7, dtype=torch.bool).tril(2)
PADDING = torch.tensor([[0, 0, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0, 1]]).bool()
OF_HEADS = torch.from_numpy(np.random.RandomState(3).rand(2, H, 5, 7) < 0.5) | (torch.arange(7) == 3)


@BOTH
@pytest.mark.parametrize(
    ("mask", "theirs"),
    [
        (None, {}),
        (CAUSAL, {"attn_mask": ~CAUSAL}),
        (PADDING[:, None, None], {"key_padding_mask": ~PADDING}),
        (CAUSAL & PADDING[:, None, None] | (torch.arange(7) == 6), {}),
        (OF_HEADS, {"attn_mask": ~OF_HEADS.flatten(0, 1)}),
    ],
    ids=["no mask", "causal", "padding", "both", "of heads"],
)
def test_torch_module_takes_the_opposite_mask(f, mask, theirs, square, call, close):
    inputs, weights = square
    if mask is not None and not theirs:
        theirs = {"attn_mask": ~mask.expand(2, H, 5, 7).flatten(0, 1)}
    expected, _ = torch_module(*weights, H)(*inputs, **theirs)
    close(call(f, *inputs, *weights, H, mask), expected.detach())


@BOTH
def test_empty_row_gives_zeros_where_torch_module_gives_nan(f, square, call, close):
    inputs, weights = square
    mask = CAUSAL & PADDING[:, None, None]
    empty = ~mask.any(-1)[:, 0]
    theirs, _ = torch_module(*weights, H)(*inputs, attn_mask=~mask.expand(2, H, 5, 7).flatten(0, 1))
    ours = call(f, *inputs, *weights, H, mask)
    assert empty.sum() == 4
    assert theirs[empty].isnan().all()
    assert (ours[empty] == 0).all()
    close(ours[~empty], theirs[~empty].detach())


@pytest.mark.parametrize("part", ["query", "key"])
def test_bias_of_the_keys_changes_nothing(part, square, close):
    """q·(k + b) = q·k + q·b, and q·b is the same for all keys; a bias of the queries adds k·b, which is not."""
    inputs, weights = square
    biased = torch_module(*weights, H, bias=True)
    with torch.no_grad():
        biased.in_proj_bias[slice(A, 2 * A) if part == "key" else slice(A)] = torch.arange(1.0, A + 1)
    theirs, ours = biased(*inputs)[0].detach(), multi_head_attention(*inputs, *weights, H)
    if part == "key":
        close(ours, theirs)
    else:
        assert (ours - theirs).abs().max() > 0.01


def test_keras(keras, normal, weights, error):
    q, k, v, padding = normal("b t d"), normal("b s c"), normal("b s e"), normal("b s") > -1
    layer = keras.layers.MultiHeadAttention(H, key_dim=4, value_dim=4, use_bias=False)
    layer.build(tuple(q.shape), tuple(v.shape), tuple(k.shape))
    w_q, w_k, w_v, w_o = weights
    layer.set_weights([*(w.T.reshape(-1, H, 4).numpy() for w in (w_q, w_k, w_v)), w_o.T.reshape(H, 4, 11).numpy()])
    arrays = [keras.ops.convert_to_tensor(x.float().numpy()) for x in (q, v, k)]
    theirs = layer(*arrays, attention_mask=keras.ops.convert_to_tensor(padding[:, None].expand(2, 5, 7).numpy()))
    inputs, mask = (q, k, v, *weights), padding[:, None, None]
    exact = one_head_at_a_time(*inputs, H, mask)
    assert 0 < error(theirs, exact) < 1e-6  # their float32 error, by torch's float64
    assert error(multi_head_attention(*(x.float() for x in inputs), H, mask), exact) <= 3 * error(theirs, exact)


@BOTH
def test_worked_by_hand(f, call, close, tensor):
    # two heads of width 1. Head 0 reads column 0: scores 1·log 3 and 0, odds 3 to 1, of 8 and 4: 7
    # head 1 reads column 1: a query of 0, even odds, of 16 and 6: 11. w_o puts 7 + 11 and 7 - 11
    one = tensor([[1, 0], [0, 1]])
    q, k, v = tensor([[[1, 0]]]), tensor([[[math.log(3), 5], [0, 9]]]), tensor([[[8, 16], [4, 6]]])
    close(call(f, q, k, v, one, one, one, tensor([[1, 1], [1, -1]]), 2), tensor([[[18, -4]]]))


@SPLIT
def test_a_head_gets_a_slice_of_each_position(f, call):
    x = torch.arange(24.0).reshape(1, 4, 6)
    heads = call(f, x, 2)
    assert heads.shape == (1, 2, 4, 3)
    assert heads[0, 1].tolist() == [[3, 4, 5], [9, 10, 11], [15, 16, 17], [21, 22, 23]]


@JOIN
def test_joining_puts_the_heads_of_a_position_side_by_side(f, call):
    heads = torch.tensor([[[[0.0, 1], [4, 5]], [[2, 3], [6, 7]]]])  # (b=1 h=2 t=2 d=2)
    assert call(f, heads).tolist() == [[[0, 1, 2, 3], [4, 5, 6, 7]]]


@pytest.mark.parametrize("h", [5, 13, 24])
def test_heads_must_divide_the_width(h, square):
    inputs, weights = square
    told = rf"h must divide the width that the heads share, a = 12, got {h}"
    with pytest.raises(ValueError, match=told):
        multi_head_attention(*inputs, *weights, h)
    with pytest.raises(ValueError, match=told):
        multi_head_attention_numpy(*(x.numpy() for x in (*inputs, *weights)), h)
    with pytest.raises(ValueError, match=told):
        MultiHeadAttention(A, h)


@pytest.mark.parametrize("h", [0, -3, 1.0, True])
def test_heads_are_counted(h, square):
    inputs, weights = square
    with pytest.raises(ValueError, match=r"^h must be a whole number from 1"):
        multi_head_attention(*inputs, *weights, h)


def test_mask_must_fit(square):
    inputs, weights = square
    with pytest.raises(ValueError, match=r"^mask must broadcast to"):
        multi_head_attention(*inputs, *weights, H, torch.ones(2, 5, 7, dtype=torch.bool))  # (b t s) has no heads' axis
    with pytest.raises(ValueError, match=r"^mask must be bool"):
        multi_head_attention(*inputs, *weights, H, torch.ones(5, 7))


@pytest.fixture
def module():
    torch.manual_seed(0)
    return MultiHeadAttention(d=A, h=H).double()


def projections(module):
    return [getattr(module, f"{x}_proj").weight for x in "qkvo"]


@pytest.mark.parametrize("mask", [None, CAUSAL, PADDING[:, None, None]], ids=["no mask", "causal", "padding"])
def test_module_equals_a_loop_over_heads(module, mask, close):
    q, k, v = randn((2, 5, A), (2, 7, A), (2, 7, A))
    close(module(q, k, v, mask), one_head_at_a_time(q, k, v, *projections(module), H, mask))


def test_number_of_heads_changes_no_parameter_count_but_the_output():
    inputs = [x.float() for x in randn((2, 5, 64), (2, 7, 64), (2, 7, 64), scale=3)]
    outs = []
    for h in (1, 4, 8):
        torch.manual_seed(0)
        module = MultiHeadAttention(64, h)
        theirs = nn.MultiheadAttention(64, h, bias=False)
        assert {name: tuple(p.shape) for name, p in module.named_parameters()} == {
            f"{x}_proj.weight": (64, 64) for x in "qkvo"
        }
        assert sum(p.numel() for p in module.parameters()) == sum(p.numel() for p in theirs.parameters()) == 16384
        outs.append(module(*inputs))
    assert (outs[0] - outs[1]).abs().max() > 0.01 < (outs[1] - outs[2]).abs().max()
