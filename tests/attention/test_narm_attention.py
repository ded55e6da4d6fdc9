import json
import math
from pathlib import Path

import pytest
import torch
from torch import nn

from recattn_mini.attention.narm_attention import NARMAttention, narm_attention, narm_attention_numpy

BOTH = pytest.mark.parametrize("f", [narm_attention, narm_attention_numpy])
RECORDED = Path(__file__).parent / "data" / "recbole_narm.json"


def sigmoid(x):
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def session(states, last, w_last, w_state, w_score, clicked):
    """One session in Python's own floats: [last ; Σ a_j h_j]."""
    total = [0.0] * len(last)
    for state, yes in zip(states, clicked, strict=True):
        weight = sum(
            v * sigmoid(math.fsum(a * n for a, n in zip((*of_last, *of_state), (*last, *state), strict=True)))
            for v, of_last, of_state in zip(w_score, w_last, w_state, strict=True)
        )
        total = [t + weight * n * yes for t, n in zip(total, state, strict=True)]
    return [*last, *total]


def session_by_session(states, last, w_last, w_state, w_score, mask=None):
    clicked = torch.ones(states.shape[:-1], dtype=torch.bool) if mask is None else mask.expand(states.shape[:-1])
    weights = w_last.tolist(), w_state.tolist(), w_score.tolist()
    rows = [
        session(h, h_last, *weights, yes)
        for h, h_last, yes in zip(
            states.reshape(-1, *states.shape[-2:]).tolist(),
            last.reshape(-1, last.shape[-1]).tolist(),
            clicked.reshape(-1, states.shape[-2]).tolist(),
            strict=True,
        )
    ]
    return torch.tensor(rows, dtype=torch.float64).reshape(*last.shape[:-1], -1)


CASES = ["no mask", "empty sessions", "saturated", "a view", "no leading axes", "one"]


@pytest.fixture(params=CASES)
def inputs(request, normal):
    states, last, mask = normal("b h s d"), normal("b h d"), normal("b h s") < 0.4
    w_last, w_state, w_score = normal("a d"), normal("a d"), normal("a")
    mask[0, 1], mask[1, 0] = False, True
    match request.param:
        case "no mask":
            mask = None
        case "saturated":
            w_state = 1000 * w_state
        case "a view":
            states, mask = states.permute(3, 2, 0, 1).contiguous().permute(2, 3, 1, 0), mask[:, :1].expand(-1, 3, -1)
            last = torch.stack([last, last], -1)[..., 0]
            assert not any(tensor.is_contiguous() for tensor in (states, last, mask))
        case "no leading axes":
            states, last, mask = states[0, 0], last[0, 0], mask[0, 0]
        case "one":
            states, last, mask = states[:1, :1, :1], last[:1, :1], None
    return states, last, w_last, w_state, w_score, mask


@BOTH
def test_equals_a_loop_over_floats(f, inputs, call, close):
    close(call(f, *inputs), session_by_session(*inputs))


def test_gradients_equal_autograd(inputs, gradients, close):
    def oracle(states, last, w_last, w_state, w_score, mask=None):
        hidden = torch.einsum("...d,ad->...a", last, w_last).unsqueeze(-2)
        hidden = hidden + torch.einsum("...sd,ad->...sa", states, w_state)
        weights = torch.einsum("...sa,a->...s", 1 / (1 + torch.exp(-hidden)), w_score)
        local = (weights if mask is None else weights * mask).unsqueeze(-1) * states
        return torch.cat([last, local.sum(-2)], -1)

    if inputs[3].abs().max() > 100:
        assert all(g.isfinite().all() for g in gradients(narm_attention, *inputs))  # the oracle's exp overflows there
    else:
        close(gradients(narm_attention, *inputs), gradients(oracle, *inputs))


def test_finite_differences(normal, tensor):
    inputs = [normal(axes).requires_grad_() for axes in ("b h t", "b t", "s t", "s t", "s")]
    mask = tensor([[1, 0, 1], [0, 0, 0]]) > 0
    assert torch.autograd.gradcheck(narm_attention, (*inputs, mask))


@BOTH
def test_recbole_on_its_own_gru(f, call, close):
    """Float64 outputs of RecBole 1.2.1, which puts the local half first and has a_1 for the states."""
    recorded = json.loads(RECORDED.read_text("utf-8"))
    given = {name: torch.tensor(x) for name, x in recorded["inputs"].items() if name == "mask"}
    given |= {
        name: torch.tensor(x, dtype=torch.float64)
        for name, x in {**recorded["inputs"], **recorded["weights"]}.items()
        if name != "mask"
    }
    out = call(f, *(given[name] for name in ("states", "last", "w_last", "w_state", "w_score", "mask")))
    theirs = torch.tensor(recorded["outputs"]["local then global"], dtype=torch.float64)
    close(out, theirs.roll(5, -1))


@BOTH
def test_worked_by_hand(f, call, close, tensor):
    states, last = tensor([[8], [4], [2]]), tensor([2])
    one, w_score = tensor([[1]]), tensor([4])
    # W_state = -W_last: σ(2 - 8), σ(2 - 4), σ(0) = ½; the last one alone weighs 4 · ½ = 2
    close(call(f, states[2:], last, one, -one, w_score), tensor([2, 4]))
    weights = [4 / (1 + math.exp(6)), 4 / (1 + math.exp(2)), 2]
    close(call(f, states, last, one, -one, w_score), tensor([2, 8 * weights[0] + 4 * weights[1] + 2 * weights[2]]))


@BOTH
def test_a_click_seen_twice_counts_twice(f, call, close, normal):
    """The sum keeps the intensity; a softmax would divide it away."""
    states, last, *weights = normal("b s d"), normal("b d"), normal("a d"), normal("a d"), normal("a")
    local = call(f, states, last, *weights)[:, 11:]
    close(call(f, torch.cat([states, states], 1), last, *weights)[:, 11:], 2 * local)


@BOTH
def test_last_real_state_of_a_packed_gru(f, call, close, normal):
    """The whole of NARM's encoder on sessions of 7 and 3 clicks equals each session on its own, without padding."""
    torch.manual_seed(0)
    gru, clicks, mask = nn.GRU(11, 11, batch_first=True).double(), normal("b s d"), torch.ones(2, 7).bool()
    weights = normal("a d"), normal("a d"), normal("a")
    mask[1, 3:] = False
    with torch.no_grad():
        states = gru(clicks)[0]
        packed = nn.utils.rnn.pack_padded_sequence(clicks, mask.sum(1), batch_first=True)
        last = gru(packed)[1][0]
        alone = gru(clicks[1:, :3])[0]
    out = call(f, states, last, *weights, mask)
    close(out[1:], session_by_session(alone, alone[:, -1], *weights))
    assert (out - call(f, states, states[:, -1], *weights, mask))[1].abs().max() > 0.01  # states[:, -1] is padding's


@BOTH
def test_padding_on_either_side_changes_nothing(f, call, close, normal):
    states, last, *weights = normal("b s d"), normal("b d"), normal("a d"), normal("a d"), normal("a")
    padding, real, no = 1e3 * normal("b t d"), torch.ones(2, 7).bool(), torch.zeros(2, 5).bool()
    alone = call(f, states, last, *weights)
    close(call(f, torch.cat([padding, states], 1), last, *weights, torch.cat([no, real], 1)), alone)
    close(call(f, torch.cat([states, padding], 1), last, *weights, torch.cat([real, no], 1)), alone)


@pytest.fixture
def module():
    torch.manual_seed(0)
    return NARMAttention(d=11, a=19).double()


def test_module_equals_a_loop_over_floats(module, inputs, close):
    states, last, *_, mask = inputs
    weights = module.last_proj.weight, module.state_proj.weight, module.score.weight[0]
    close(module(states, last, mask), session_by_session(states, last, *weights, mask))


def test_module_has_three_weights_and_no_bias(module):
    shapes = {name: tuple(p.shape) for name, p in module.named_parameters()}
    assert shapes == {"last_proj.weight": (19, 11), "state_proj.weight": (19, 11), "score.weight": (1, 19)}


def test_module_learns(module, normal, upstream_of):
    out = module(normal("b s d"), normal("b d"))
    out.backward(upstream_of(out))
    assert all(p.grad.abs().max() > 1e-6 for p in module.parameters())


def test_compiles(normal, compiled, close):
    inputs = normal("b s d"), normal("b d"), normal("a d"), normal("a d"), normal("a"), normal("b s") > 0
    close(compiled(narm_attention)(*inputs), session_by_session(*inputs))


def test_keeps_dtype_and_device(place, normal):
    inputs = [normal(axes).to(*place) for axes in ("b h s d", "b h d", "a d", "a d", "a")]
    out = narm_attention(*inputs, torch.ones(2, 1, 7, dtype=torch.bool, device=inputs[0].device))
    assert (out.shape, out.dtype, out.device) == ((2, 3, 22), inputs[0].dtype, inputs[0].device)


def test_numpy_keeps_float32(normal):
    inputs = [normal(axes).float().numpy() for axes in ("b s d", "b d", "a d", "a d", "a")]
    assert narm_attention_numpy(*inputs, (normal("b s") > 0).numpy()).dtype == "float32"


@BOTH
def test_last_is_one_state_a_session(f, normal, call):
    states, weights = normal("b s d"), (normal("a d"), normal("a d"), normal("a"))
    with pytest.raises(ValueError, match=r"^last must be \(... d\), ... = 2 as in states, d = 11 as in states"):
        call(f, states, states, *weights)
