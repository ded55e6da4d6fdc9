import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from recattn_mini.attention.agru_cell import agru_cell, agru_cell_numpy, aigru_input, aigru_input_numpy
from recattn_mini.attention.augru_cell import (
    AUGRU,
    augru_cell,
    augru_cell_numpy,
    augru_cell_released,
    augru_cell_released_numpy,
)

AUGRU_CELL = pytest.mark.parametrize("f", [augru_cell, augru_cell_numpy])
RELEASED = pytest.mark.parametrize("f", [augru_cell_released, augru_cell_released_numpy])
AGRU = pytest.mark.parametrize("f", [agru_cell, agru_cell_numpy])
TORCH = pytest.mark.parametrize("f", [augru_cell, augru_cell_released, agru_cell])
EACH = pytest.mark.parametrize(
    ("f", "mix"),
    [
        (augru_cell, lambda a, z: 1 - a * (1 - z)),  # what is kept of the state
        (augru_cell_numpy, lambda a, z: 1 - a * (1 - z)),
        (augru_cell_released, lambda a, z: (1 - a) * z),
        (augru_cell_released_numpy, lambda a, z: (1 - a) * z),
        (agru_cell, lambda a, z: 1 - a),
        (agru_cell_numpy, lambda a, z: 1 - a),
    ],
    ids=lambda x: getattr(x, "__name__", "").replace("<lambda>", "keep"),
)


@pytest.fixture
def weights(normal):
    """nn.GRUCell's four, small enough that the gates do not all saturate."""
    return [torch.cat([normal(axes) for _ in range(3)]) / 4 for axes in ("d c", "d d", "d", "d")]


@pytest.fixture
def inputs(normal, tensor, weights):
    return normal("b c"), normal("b d"), tensor([0.3, 0.9]), *weights


def loop_over_floats(x, state, attention, w_input, w_state, b_input, b_state, mix):
    """One user, one unit at a time, of Python's own floats; mix(a, z) is what is kept of the state."""

    def dot(row, values):
        return math.fsum(w * v for w, v in zip(row, values, strict=True))

    def sigmoid(value):
        return 1 / (1 + math.exp(-value))

    w_input, w_state, b_input, b_state = (w.tolist() for w in (w_input, w_state, b_input, b_state))
    d = state.shape[-1]
    out = []
    for event, h, a in zip(x.tolist(), state.tolist(), attention.tolist(), strict=True):
        of_x = [dot(row, event) + b for row, b in zip(w_input, b_input, strict=True)]
        of_h = [dot(row, h) + b for row, b in zip(w_state, b_state, strict=True)]
        for i in range(d):
            r, z = sigmoid(of_x[i] + of_h[i]), sigmoid(of_x[d + i] + of_h[d + i])
            n = math.tanh(of_x[2 * d + i] + r * of_h[2 * d + i])
            keep = mix(a, z)
            out.append(keep * h[i] + (1 - keep) * n)
    return torch.tensor(out, dtype=torch.float64).reshape(state.shape)


def torch_cell(x, state, w_input, w_state, b_input, b_state):
    cell = nn.GRUCell(x.shape[-1], state.shape[-1])
    weights = {"weight_ih": w_input, "weight_hh": w_state, "bias_ih": b_input, "bias_hh": b_state}
    return torch.func.functional_call(cell, weights, (x, state))


def candidate(x, state, w_input, w_state, b_input, b_state):
    """What a GRU writes where it keeps nothing: its keep gate is shut by the bias."""
    shut = torch.zeros_like(b_input)
    shut.chunk(3)[1].fill_(-1e4)
    return torch_cell(x, state, w_input, w_state, b_input + shut, b_state)


@EACH
def test_equals_a_loop_over_floats(f, mix, inputs, call, close):
    close(call(f, *inputs), loop_over_floats(*inputs, mix))


@EACH
def test_equals_a_loop_for_one_user_and_for_views(f, mix, inputs, call, close):
    x, state, attention, w_input, *rest = inputs
    one = x[:1], state[:1], attention[:1], w_input, *rest
    close(call(f, *one), loop_over_floats(*one, mix))
    views = x.mT.contiguous().mT, state, attention.repeat_interleave(2)[::2], w_input.mT.contiguous().mT
    close(call(f, *views, *rest), loop_over_floats(*inputs, mix))


@AUGRU_CELL
def test_attention_0_keeps_the_state(f, inputs, call):
    x, state, _, *weights = inputs
    assert torch.equal(call(f, 1000 * x, state, torch.zeros(2, dtype=torch.float64), *weights), state)


@AUGRU_CELL
def test_attention_1_is_torchs_gru(f, inputs, call, close):
    x, state, _, *weights = inputs
    close(call(f, x, state, torch.ones(2, dtype=torch.float64), *weights), torch_cell(x, state, *weights))


@RELEASED
def test_released_is_a_gru_and_then_its_candidate(f, inputs, call, close):
    x, state, attention, *weights = inputs
    a = attention[:, None]
    expected = (1 - a) * torch_cell(x, state, *weights) + a * candidate(x, state, *weights)
    close(call(f, *inputs), expected)


@RELEASED
def test_released_attention_0_is_torchs_gru(f, inputs, call, close):
    x, state, _, *weights = inputs
    close(call(f, x, state, torch.zeros(2, dtype=torch.float64), *weights), torch_cell(x, state, *weights))


@RELEASED
def test_released_attention_1_overwrites_the_state(f, inputs, call, close):
    x, state, _, *weights = inputs
    close(call(f, x, state, torch.ones(2, dtype=torch.float64), *weights), candidate(x, state, *weights))


@AGRU
def test_agru_goes_from_the_state_to_the_candidate(f, inputs, call, close):
    x, state, _, *weights = inputs
    attention = torch.tensor([0, 1], dtype=torch.float64)
    expected = torch.stack([state[0], candidate(x, state, *weights)[1]])
    close(call(f, x, state, attention, *weights), expected)


@pytest.mark.parametrize("f", [aigru_input, aigru_input_numpy])
def test_aigru_scales_the_input(f, call, close, tensor):
    close(call(f, tensor([[1, 2, 4], [8, 16, 32]]), tensor([0.5, 0.25])), tensor([[0.5, 1, 2], [2, 4, 8]]))


def test_aigru_moves_the_state_without_attention(inputs, close):
    x, state, _, *weights = inputs
    unseen = torch_cell(aigru_input(x, torch.zeros(2, dtype=torch.float64)), state, *weights)
    assert (unseen - state).abs().max() > 0.1


@AUGRU_CELL
def test_worked_by_hand(f, call, close, tensor):
    # z = σ(log 3) = 3/4, n = tanh(atanh(½)) = ½: of u = 1/4, attention leaves 1/8 for ½, and 7/8 for 8
    zero, b_input = tensor([[0], [0], [0]]), tensor([0, math.log(3), math.atanh(0.5)])
    out = call(f, tensor([[9]]), tensor([[8]]), tensor([0.5]), zero, zero, b_input, zero[:, 0])
    close(out, tensor([[7 / 8 * 8 + 1 / 8 * 0.5]]))


@pytest.mark.parametrize(("f", "agru"), [(augru_cell, agru_cell), (augru_cell_numpy, agru_cell_numpy)])
def test_what_deepctr_torch_returns(f, agru, call, close):
    """Its update gate is u, PyTorch's is 1 - u: the second block changes its sign."""
    path = Path(__file__).parent / "data" / "deepctr_torch_target_attention.json"
    case = json.loads(path.read_text("utf-8"))["AUGRUCell, AGRUCell"]
    inputs, weights, outputs = (
        {name: torch.from_numpy(np.array(x)) for name, x in case[kind].items()}
        for kind in ("inputs", "weights", "outputs")
    )
    for w in weights.values():
        w.chunk(3)[1].neg_()
    x, state, attention = inputs["x"], inputs["state"], inputs["attention"]
    assert list(weights) == ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
    close(call(f, x, state, attention, *weights.values()), outputs["augru"])
    close(call(agru, x, state, attention, *weights.values()), outputs["agru"])


@TORCH
def test_bad_input(f, inputs):
    x, state, attention, *weights = inputs
    with pytest.raises(ValueError, match=r"^attention must be \(b\), b = 2 as in x, got \(2, 1\)"):
        f(x, state, attention[:, None], *weights)
    with pytest.raises(ValueError, match=r"^w_input must be \(d\+d\+d c\)"):
        f(x, state, attention, weights[0][:22], *weights[1:])


@pytest.fixture
def module():
    torch.manual_seed(0)
    return AUGRU(c=17, d=11).double()


@pytest.fixture
def history(normal, tensor):
    """Events (b s c), attention (b s); the first user has padding before, within and after."""
    mask = torch.tensor([[False, True, True, False, True, True, False], [True] * 7])
    return normal("b s c"), normal("b s").sigmoid(), mask


def test_module_of_attention_1_is_torchs_gru(module, history, close):
    gru = nn.GRU(17, 11, batch_first=True).double()
    gru.load_state_dict({f"{name.removeprefix('cell.')}_l0": w for name, w in module.state_dict().items()})
    x, attention, _ = history
    close(module(x, torch.ones_like(attention)), gru(x)[0])


def test_module_equals_a_loop_over_floats(module, history, close):
    x, attention, mask = history
    state, weights = torch.zeros(2, 11, dtype=torch.float64), list(module.cell.parameters())
    states = module(x, attention, mask)
    for i in range(7):
        stepped = loop_over_floats(x[:, i], state, attention[:, i], *weights, mix=lambda a, z: 1 - a * (1 - z))
        state = torch.where(mask[:, i, None], stepped, state)
        close(states[:, i], state)


def test_padding_keeps_the_state_wherever_it_stands(module, history, close):
    x, attention, mask = history
    states = module(x, attention, mask)[0]
    assert (states[0] == 0).all()
    assert torch.equal(states[3], states[2])
    assert torch.equal(states[6], states[5])
    close(states[mask[0]], module(x[:1, mask[0]], attention[:1, mask[0]])[0])  # as if there were none


def test_padding_gets_no_gradient(module, history):
    x, attention, mask = history
    x, attention = x.requires_grad_(), attention.requires_grad_()
    module(x, attention, mask).square().sum().backward()
    assert (x.grad[~mask] == 0).all()
    assert (attention.grad[~mask] == 0).all()
    assert (x.grad[mask] != 0).all()
    assert (attention.grad[mask] != 0).all()
    assert all(p.grad.abs().max() > 1e-6 for p in module.parameters())


def test_an_empty_history_stays_at_zero(module, history):
    x, attention, mask = history
    assert (module(x, attention, mask & torch.tensor([[True], [False]]))[1] == 0).all()


def test_module_has_torchs_parameters(module):
    shapes = {name: tuple(x.shape) for name, x in module.named_parameters()}
    biases = {"cell.bias_ih": (33,), "cell.bias_hh": (33,)}
    assert shapes == {"cell.weight_ih": (33, 17), "cell.weight_hh": (33, 11), **biases}


def test_module_names_bad_input(module, history):
    x, attention, mask = history
    with pytest.raises(ValueError, match=r"^mask must be bool"):
        module(x, attention, mask.double())
    with pytest.raises(ValueError, match=r"^attention must be \(b s\), .* got \(2, 6\)"):
        module(x, attention[:, 1:], mask)
