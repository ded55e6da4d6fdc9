import math

import pytest
import torch
from torch import nn

from recattn_mini.attention.gru_cell import gru_cell, gru_cell_numpy, gru_gates, gru_gates_numpy

BOTH = pytest.mark.parametrize("f", [gru_cell, gru_cell_numpy])


@pytest.fixture
def inputs(normal):
    """x (b c), state (b d), and nn.GRUCell's four weights, small enough that the gates do not all saturate."""
    weights = [torch.cat([normal(axes) for _ in range(3)]) / 4 for axes in ("d c", "d d", "d", "d")]
    return normal("b c"), normal("b d"), *weights


def torch_cell(x, state, w_input, w_state, b_input, b_state):
    cell = nn.GRUCell(x.shape[-1], state.shape[-1])
    weights = {"weight_ih": w_input, "weight_hh": w_state, "bias_ih": b_input, "bias_hh": b_state}
    return torch.func.functional_call(cell, weights, (x, state))


@BOTH
def test_equals_torch(f, inputs, call, close):
    close(call(f, *inputs), torch_cell(*inputs))


@BOTH
def test_equals_torch_where_everything_saturates(f, inputs, call, close):
    x, *rest = inputs
    close(call(f, 1000 * x, *rest), torch_cell(1000 * x, *rest))


@BOTH
def test_equals_torch_for_one_user_and_for_views(f, inputs, call, close):
    x, state, w_input, w_state, *biases = inputs
    close(call(f, x[:1], state[:1], w_input, w_state, *biases), torch_cell(x[:1], state[:1], w_input, w_state, *biases))
    views = x.mT.contiguous().mT, state.repeat_interleave(2, -1)[:, ::2], w_input.mT.contiguous().mT, w_state
    assert not any(view.is_contiguous() for view in views[:3])
    close(call(f, *views, *biases), torch_cell(*inputs))


def test_keras_has_another_order(keras, inputs, error):
    """Keras's blocks are z, r, n, its kernels are transposed, and its `reset_after` is PyTorch's way."""
    x, state, *weights = inputs
    layer = keras.layers.GRUCell(11, reset_after=True)
    layer.build((None, 17))
    w_input, w_state, b_input, b_state = (torch.cat([w.chunk(3)[i] for i in (1, 0, 2)]) for w in weights)
    layer.set_weights([w_input.mT.numpy(), w_state.mT.numpy(), torch.stack([b_input, b_state]).numpy()])
    theirs, _ = layer(x.float(), state.float())
    exact = torch_cell(x, state, *weights)
    assert error(theirs, exact) < 1e-6  # their float32 error
    assert error(gru_cell(x, state, *weights), theirs.cpu().double()) < 1e-6


@BOTH
def test_worked_by_hand(f, call, close, tensor):
    # r = σ(log 3) = 3/4, z = σ(-log 3) = 1/4, n = tanh(x + r · 4 · h) = tanh(atanh(½) - 3 + ¾ · 4) = ½
    x, state, log_3 = tensor([[math.atanh(0.5) - 3]]), tensor([[1]]), math.log(3)
    w_input, w_state, b_input = tensor([[0], [0], [1]]), tensor([[0], [0], [4]]), tensor([log_3, -log_3, 0])
    close(call(f, x, state, w_input, w_state, b_input, tensor([0, 0, 0])), tensor([[0.25 * 1 + 0.75 * 0.5]]))


@pytest.mark.parametrize("f", [gru_gates, gru_gates_numpy])
def test_gates_worked_by_hand(f, call, close, tensor):
    weights = tensor([[0], [0], [0]]), tensor([[0], [0], [0]]), tensor([0, math.log(3), math.atanh(0.5)])
    keep, candidate = call(f, tensor([[9]]), tensor([[8]]), *weights, tensor([0, 0, 0]))
    close((keep, candidate), (tensor([[0.75]]), tensor([[0.5]])))


@BOTH
def test_the_biases_add_up_but_those_of_the_candidate(f, inputs, call, close):
    """Of r and z only the sum matters; of n, b_hn is what r scales."""
    *rest, b_input, b_state = inputs
    out = call(f, *rest, b_input, b_state)
    for block, merges in enumerate([True, True, False]):
        moved = torch.zeros_like(b_state)
        moved.chunk(3)[block].copy_(b_state.chunk(3)[block])
        merged = call(f, *rest, b_input + moved, b_state - moved)
        if merges:
            close(merged, out)
        else:
            assert (merged - out).abs().min() > 1e-5


def test_three_gates_are_expected(inputs):
    x, state, w_input, w_state, *biases = inputs
    with pytest.raises(ValueError, match=r"^w_state must be \(d\+d\+d d\), .* got \(22, 11\)"):
        gru_cell(x, state, w_input, w_state[:22], *biases)
