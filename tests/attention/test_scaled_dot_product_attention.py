import math
import os
import shutil

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from recattn_mini.attention import masks
from recattn_mini.attention.scaled_dot_product_attention import (
    attention_weights,
    attention_weights_numpy,
    scaled_dot_product_attention,
    scaled_dot_product_attention_backward_numpy,
    scaled_dot_product_attention_numpy,
)

BOTH = pytest.mark.parametrize("f", [scaled_dot_product_attention, scaled_dot_product_attention_numpy])
oracle = F.scaled_dot_product_attention


@BOTH
def test_equals_torch(f, case, call, close):
    if case.logits_beyond_1000:
        assert (case.q @ case.k.mT / math.sqrt(11)).abs().min() > 1000
    close(call(f, case.q, case.k, case.v, case.mask), oracle(case.q, case.k, case.v, case.mask))


def test_gradients_equal_autograd(case, gradients, close):
    inputs = case.q, case.k, case.v, case.mask
    close(gradients(scaled_dot_product_attention, *inputs), gradients(oracle, *inputs))


def test_written_gradients_equal_autograd(case, gradients, call, close, upstream_of):
    inputs = case.q, case.k, case.v, case.mask
    upstream = upstream_of(oracle(*inputs))
    close(call(scaled_dot_product_attention_backward_numpy, upstream, *inputs), gradients(oracle, *inputs))


@pytest.mark.parametrize("f", [attention_weights, attention_weights_numpy])
def test_weights_are_what_torch_gives_to_one_hot_values(f, case, call, close):
    keys = case.k.shape[-2]
    one_hot = torch.eye(keys, dtype=torch.float64).expand(*case.k.shape[:-1], keys)
    close(call(f, case.q, case.k, case.mask), oracle(case.q, case.k, one_hot, case.mask))


def test_multi_head_attention_of_torch_takes_the_opposite_mask(normal, empty_rows, close):
    q, k, v = normal("b t d"), normal("b s d"), normal("b s d")
    mask = empty_rows[1, 0] | (torch.arange(7) == 6)  # it gives NaN for an empty row, so none is empty here
    torch_module = nn.MultiheadAttention(11, 1, bias=False, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        torch_module.in_proj_weight.copy_(torch.eye(11).repeat(3, 1))
        torch_module.out_proj.weight.copy_(torch.eye(11))
        expected, weights = torch_module(q, k, v, attn_mask=~mask)
    close(scaled_dot_product_attention(q, k, v, mask), expected)
    close(attention_weights(q, k, mask), weights)


def test_keras_with_its_scale_set(run_keras, keras, normal, error):
    q, k, v, padding = normal("b t d"), normal("b s d"), normal("b s e"), normal("b s") > -1
    theirs = run_keras(keras.layers.Attention(use_scale=True), q, k, v, padding, weights=[1 / math.sqrt(11)])
    exact = oracle(q, k, v, padding[:, None])
    assert error(theirs, exact) < 1e-6  # their float32 error, by torch's float64
    ours = scaled_dot_product_attention(q, k, v, padding[:, None])
    ours_in_float32 = scaled_dot_product_attention(q.float(), k.float(), v.float(), padding[:, None])
    assert error(theirs, ours) <= 1.01 * error(theirs, exact)
    assert error(ours_in_float32, theirs) <= 3 * error(theirs, exact)


@BOTH
def test_worked_by_hand(f, call, close, tensor):
    q = tensor([[4, 0], [0, 0], [1, 1]])
    k = math.sqrt(2) / 4 * tensor([[1, 1], [3, 1], [4, 1]]).log()
    v = tensor([[8], [16], [24]])
    mask = torch.tensor([[True, True, True], [True, False, True], [False, False, False]])
    # scores log 1, log 3, log 4: (8 + 3·16 + 4·24)/8; equal scores, the second key masked: (8 + 24)/2; nothing: 0
    close(call(f, q, k, v, mask), tensor([[19], [16], [0]]))


@BOTH
@pytest.mark.parametrize("scale", [1, 3000], ids=["unit logits", "logits beyond 1000"])
def test_empty_row_gives_zeros(f, scale, normal, empty_rows, call):
    out = call(f, scale * normal("b h t d"), normal("b h s d"), normal("b h s e"), empty_rows)
    empty = ~empty_rows.any(-1).expand(2, 3, 5)
    assert (out[empty] == 0).all()  # zeros, not nearly: -1e9 instead of -inf gives the plain mean
    assert (out[~empty] != 0).all()


@pytest.mark.parametrize("scale", [1, 3000], ids=["unit logits", "logits beyond 1000"])
def test_empty_row_has_finite_gradients(scale, normal, empty_rows, gradients):
    q, k, v = scale * normal("b h t d"), normal("b h s d"), normal("b h s e")
    grad_q, grad_k, grad_v = gradients(scaled_dot_product_attention, q, k, v, empty_rows)
    assert all(torch.isfinite(g).all() for g in (grad_q, grad_k, grad_v))
    assert (grad_q[~empty_rows.any(-1).expand(2, 3, 5)] == 0).all()
    nothing = torch.zeros_like(empty_rows)
    assert all((g == 0).all() for g in gradients(scaled_dot_product_attention, q, k, v, nothing))


def test_decoding_the_last_query_equals_the_whole(normal, close):
    q, k, v = normal("b h s d"), normal("b h s d"), normal("b h s e")
    whole = oracle(q, k, v, is_causal=True)  # t = s here: the one case in which is_causal means what it says
    for queries in (1, 3, 7):
        last = q[:, :, -queries:]
        close(scaled_dot_product_attention(last, k, v, masks.causal_mask(last, k)), whole[:, :, -queries:])


def rounded_at_every_step(q, k, v, mask):
    """Attention of three torch operations in the dtype of its inputs; SDPA's own keeps float32 in between."""
    scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(~mask, -math.inf)
    return F.softmax(scores, -1).nan_to_num(0) @ v


@pytest.mark.parametrize(("reference", "size"), [(oracle, 1), (rounded_at_every_step, 2)], ids=["SDPA", "its steps"])
def test_half_precision_is_nearly_as_exact_as_torch(
    reference, size, half, device, normal, empty_rows, gradients, error
):
    # SDPA rounds once, at the end; we round the scores, whose error grows with their size: hold that to its like
    inputs = [(x * size).to(half) for x in (normal("b h t d"), normal("b h s d"), normal("b h s e") / size)]
    exact_inputs = *(x.double() for x in inputs), empty_rows
    exact = [oracle(*exact_inputs), *gradients(oracle, *exact_inputs)]
    here = *(x.to(device) for x in inputs), empty_rows.to(device)
    ours = [scaled_dot_product_attention(*here), *gradients(scaled_dot_product_attention, *here)]
    theirs = [reference(*here), *gradients(reference, *here)]
    for a, b, z in zip(ours, theirs, exact, strict=True):
        assert a.dtype == half
        assert 0 < error(a, z) <= 3 * error(b, z)


def test_half_precision_survives_a_product_beyond_its_range(device, gradients, close):
    q = torch.full((2, 11), 110.0, dtype=torch.float16, device=device)
    k, v = q * torch.tensor([[1.0], [-1.0]], device=device).half(), torch.eye(2, device=device).half()
    assert torch.isinf(q @ k.mT).all()  # 11·110² = 133,100, float16 ends at 65,504; over √11 it is 40,131
    assert torch.equal(scaled_dot_product_attention(q, k, v), torch.tensor([[1, 0], [1, 0]]).to(v))
    assert all(torch.isfinite(g).all() for g in gradients(scaled_dot_product_attention, q, k, v))


def test_empty_row_in_half_precision(half, device, normal, empty_rows, gradients):
    inputs = *(normal(axes).to(device, half) for axes in ("b h t d", "b h s d", "b h s e")), empty_rows.to(device)
    out = scaled_dot_product_attention(*inputs)
    assert (out[~inputs[-1].any(-1).expand(2, 3, 5)] == 0).all()
    assert torch.isfinite(out).all()
    assert all(torch.isfinite(g).all() for g in gradients(scaled_dot_product_attention, *inputs))


has_compiler = "CXX" in os.environ or any(map(shutil.which, ("c++", "g++", "clang++")))


@pytest.mark.skipif(not has_compiler, reason="the default backend of torch.compile writes C++")
# importing inductor defines a ScriptModule of torch's own, by a decorator that torch itself calls deprecated
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
def test_core_three_compile_to_machine_code(compiled, normal, close):
    def causal_attention(q, k, v, items):
        mask = masks.combined_mask(masks.causal_mask(q, k), masks.padding_mask(items))
        return scaled_dot_product_attention(q, k, v, mask)

    items = torch.tensor([[0, 0, 0, 1, 2, 3, 4], [0] * 7])
    q, k, v = normal("b h t d"), normal("b h s d"), normal("b h s e")
    mask = torch.ones(5, 7, dtype=torch.bool).tril(2) & (items != 0)[:, None, None]
    # the vector width is looked for by compiling eleven small programs, 9 s in all: go without
    f = compiled(causal_attention, "inductor", options={"cpp.vec_isa_ok": False})
    close(f(q, k, v, items), oracle(q, k, v, mask))
