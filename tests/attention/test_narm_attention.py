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


@BOTH
def test_last_is_one_state_a_session(f, normal, call):
    states, weights = normal("b s d"), (normal("a d"), normal("a d"), normal("a"))
    with pytest.raises(ValueError, match=r"^last must be \(... d\), ... = 2 as in states, d = 11 as in states"):
        call(f, states, states, *weights)
