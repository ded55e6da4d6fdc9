import numpy as np
import pytest
import torch
from torch import nn

from recattn_mini.attention.cross_attention import CrossAttention, cross_attention, cross_attention_numpy

BOTH = pytest.mark.parametrize("f", [cross_attention, cross_attention_numpy])
H, D, C = 3, 12, 17
PADDING = torch.tensor([[0, 0, 1, 1, 0, 1, 1], [1, 0, 0, 0, 0, 0, 1]]).bool()


@pytest.fixture
def inputs():
    random = np.random.RandomState(2)
    shapes = (2, 5, D), (2, 7, C), (D, D), (D, C), (D, C), (D, D)
    x, context, *weights = (torch.from_numpy(random.randn(*shape)) for shape in shapes)
    return x, context, *(0.3 * w for w in weights), H


def oracle(x, context, w_q, w_k, w_v, w_o, h, padding=None):
    """nn.MultiheadAttention, whose mask says which keys are kept out."""
    module = nn.MultiheadAttention(D, h, bias=False, kdim=C, vdim=C, batch_first=True, dtype=x.dtype)
    weights = dict(
        zip(("q_proj_weight", "k_proj_weight", "v_proj_weight", "out_proj.weight"), (w_q, w_k, w_v, w_o), strict=True)
    )
    options = {"key_padding_mask": None if padding is None else ~padding, "need_weights": False}
    return torch.func.functional_call(module, weights, (x, context, context), options)[0]


@BOTH
@pytest.mark.parametrize("padding", [None, PADDING], ids=["no mask", "padding"])
def test_equals_torch(f, padding, inputs, call, close):
    mask = None if padding is None else padding[:, None, None]
    close(call(f, *inputs, mask), oracle(*inputs, padding))


def test_keras(keras, inputs, error):
    x, context, w_q, w_k, w_v, w_o, _ = inputs
    layer = keras.layers.MultiHeadAttention(H, key_dim=4, value_dim=4, use_bias=False)
    layer.build(tuple(x.shape), tuple(context.shape), tuple(context.shape))
    layer.set_weights([*(w.T.reshape(-1, H, 4).numpy() for w in (w_q, w_k, w_v)), w_o.T.reshape(H, 4, D).numpy()])
    q, v = (keras.ops.convert_to_tensor(y.float().numpy()) for y in (x, context))
    theirs = layer(q, v, attention_mask=keras.ops.convert_to_tensor(PADDING[:, None].expand(2, 5, 7).numpy()))
    exact = oracle(*inputs, PADDING)
    assert 0 < error(theirs, exact) < 1e-6  # their float32 error, by torch's float64
    in_float32 = cross_attention(*(y.float() for y in inputs[:-1]), H, PADDING[:, None, None])
    assert error(in_float32, exact) <= 3 * error(theirs, exact)


@BOTH
def test_each_candidate_is_scored_on_its_own(f, inputs, call, close):
    x, *rest = inputs
    together = call(f, x, *rest)
    for t in range(5):
        close(call(f, x[:, t : t + 1], *rest), together[:, t : t + 1])


@BOTH
def test_order_of_the_context_does_not_matter(f, inputs, call, close):
    x, context, *rest = inputs
    order = [3, 0, 6, 4, 2, 1, 5]
    close(call(f, x, context[:, order], *rest), call(f, x, context, *rest))


@BOTH
def test_empty_context_gives_zeros(f, inputs, call):
    mask = torch.tensor([[False] * 7, [True] * 7])[:, None, None]
    out = call(f, *inputs, mask)
    assert (out[0] == 0).all()
    assert (out[1] != 0).all()


@BOTH
def test_worked_by_hand(f, call, close, tensor):
    # the query 2 against keys log 3 / 2 and 0: odds 3 to 1. Values are three times the context's first number
    x, context = tensor([[[2]]]), tensor([[[8, np.log(3) / 2], [4, 0]]])
    close(call(f, x, context, tensor([[1]]), tensor([[0, 1]]), tensor([[3, 0]]), tensor([[1]]), 1), tensor([[[21]]]))


def test_arguments_are_called_x_and_context(inputs):
    x, context, *rest = inputs
    with pytest.raises(ValueError, match=r"^x must be \(b t d\), got \(5, 12\)"):
        cross_attention(x[0], context, *rest)
    with pytest.raises(ValueError, match=r"^context must be \(b s c\), b = 2 as in x, got \(1, 7, 17\)"):
        cross_attention(x, context[:1], *rest)
    with pytest.raises(ValueError, match="h must divide the width that the heads share, a = 12, got 5"):
        cross_attention(x, context, *rest[:-1], 5)
    with pytest.raises(ValueError, match="h must divide the width that the heads share, a = 12, got 5"):
        CrossAttention(D, C, 5)


@pytest.fixture
def module():
    torch.manual_seed(0)
    return CrossAttention(d=D, c=C, h=H).double()


def test_module_equals_torch(module, inputs, close):
    x, context, *_ = inputs
    weights = [getattr(module, f"{name}_proj").weight for name in "qkvo"]
    close(module(x, context, PADDING[:, None, None]), oracle(x, context, *weights, H, PADDING))


def test_module_has_four_weights_and_no_bias(module):
    shapes = {name: tuple(w.shape) for name, w in module.named_parameters()}
    assert shapes == {
        "q_proj.weight": (D, D),
        "k_proj.weight": (D, C),
        "v_proj.weight": (D, C),
        "o_proj.weight": (D, D),
    }
