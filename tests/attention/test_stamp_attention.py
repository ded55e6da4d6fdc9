import json
import math
from pathlib import Path

import pytest
import torch

from recattn_mini.attention.stamp_attention import (
    STAMPAttention,
    stamp_attention,
    stamp_attention_numpy,
    stamp_scores,
    stamp_scores_numpy,
)

BOTH = pytest.mark.parametrize("f", [stamp_attention, stamp_attention_numpy])
SCORES = pytest.mark.parametrize("f", [stamp_scores, stamp_scores_numpy])
RECORDED = Path(__file__).parent / "data" / "recbole_stamp.json"
WEIGHTS = ("a d", "a d", "a d", "a", "a")


def sigmoid(x):
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def dot(a, b):
    return math.fsum(x * y for x, y in zip(a, b, strict=True))


def session(x, last, w_item, w_last, w_mean, b, w_score, clicked):
    """m_a of one session in Python's own floats."""
    clicks = [vector for vector, yes in zip(x, clicked, strict=True) if yes]
    mean = [sum(column) / len(clicks) for column in zip(*clicks, strict=True)]
    total = [0.0] * len(last)
    for click in clicks:
        weight = sum(
            v * sigmoid(math.fsum([dot(i, click), dot(t, last), dot(m, mean), c]))
            for v, i, t, m, c in zip(w_score, w_item, w_last, w_mean, b, strict=True)
        )
        total = [n + weight * value for n, value in zip(total, click, strict=True)]
    return total


def session_by_session(x, last, w_item, w_last, w_mean, b, w_score, mask=None):
    clicked = torch.ones(x.shape[:-1], dtype=torch.bool) if mask is None else mask.expand(x.shape[:-1])
    weights = [w.tolist() for w in (w_item, w_last, w_mean, b, w_score)]
    rows = [
        session(clicks, click, *weights, yes)
        for clicks, click, yes in zip(
            x.reshape(-1, *x.shape[-2:]).tolist(),
            last.reshape(-1, last.shape[-1]).tolist(),
            clicked.reshape(-1, x.shape[-2]).tolist(),
            strict=True,
        )
    ]
    return torch.tensor(rows, dtype=torch.float64).reshape(last.shape)


CASES = ["no mask", "empty sessions", "saturated", "a view", "no leading axes", "one"]


@pytest.fixture(params=CASES)
def inputs(request, normal):
    x, last, mask, weights = normal("b h s d"), normal("b h d"), normal("b h s") < 0.4, [*map(normal, WEIGHTS)]
    mask[0, 1], mask[1, 0] = False, True
    match request.param:
        case "no mask":
            mask = None
        case "saturated":
            weights[0] = 1000 * weights[0]
        case "a view":
            x, mask = x.permute(3, 2, 0, 1).contiguous().permute(2, 3, 1, 0), mask[:, 2:].expand(-1, 3, -1)
            last = torch.stack([last, last], -1)[..., 0]
            assert not any(tensor.is_contiguous() for tensor in (x, last, mask))
        case "no leading axes":
            x, last, mask = x[0, 0], last[0, 0], mask[0, 0]
        case "one":
            x, last, mask = x[:1, :1, :1], last[:1, :1], None
    return x, last, *weights, mask


@BOTH
def test_equals_a_loop_over_floats(f, inputs, call, close):
    close(call(f, *inputs), session_by_session(*inputs))


@pytest.fixture(scope="module")
def recorded():
    """Float64 inputs, weights and outputs of RecBole 1.2.1."""
    parts = json.loads(RECORDED.read_text("utf-8"))
    arrays = {**parts["inputs"], **parts["weights"], **parts["outputs"]}
    return {name: torch.tensor(x, dtype=torch.bool if name == "mask" else torch.float64) for name, x in arrays.items()}


@BOTH
def test_recbole_adds_the_mean(f, recorded, call, close):
    """RecBole, as the authors' program, goes on with m_a + m_s: its memory is ours and the mean of the clicks."""
    names = ("x", "last", "w_item", "w_last", "w_mean", "b", "w_score", "mask")
    mean = torch.stack([x[real].mean(0) for x, real in zip(recorded["x"], recorded["mask"], strict=True)])
    close(call(f, *(recorded[name] for name in names)) + mean, recorded["memory plus mean"])


@SCORES
def test_recbole_scores(f, recorded, call, close):
    names = ("memory plus mean", "last", "items", "w_s", "b_s", "w_t", "b_t")
    close(call(f, *(recorded[name] for name in names)), recorded["scores"])


@SCORES
def test_scores_equal_a_loop_over_floats(f, normal, call, close):
    inputs = [normal(axes) for axes in ("b h d", "b h d", "t d", "d d", "d", "d d", "d")]
    memory, last, items, w_s, b_s, w_t, b_t = (x.tolist() for x in inputs)

    def score(m, x_t, item):
        return math.fsum(
            math.tanh(dot(row_s, m) + c_s) * math.tanh(dot(row_t, x_t) + c_t) * x
            for row_s, c_s, row_t, c_t, x in zip(w_s, b_s, w_t, b_t, item, strict=True)
        )

    scores = [
        [[score(m, x_t, item) for item in items] for m, x_t in zip(ms, xs, strict=True)]
        for ms, xs in zip(memory, last, strict=True)
    ]
    close(call(f, *inputs), torch.tensor(scores, dtype=torch.float64))


@SCORES
def test_a_last_click_that_says_nothing_scores_all_items_0(f, normal, call, close):
    """The product is a gate: what one of the two cells does not see, the other cannot bring in."""
    memory, last, items, *weights = (normal(axes) for axes in ("b d", "b d", "t d", "d d", "d", "d d"))
    close(call(f, memory, 0 * last, items, *weights, 0 * normal("d")), torch.zeros(2, 5, dtype=torch.float64))


@BOTH
def test_worked_by_hand(f, call, close, tensor):
    x, one, zero = tensor([[8], [4], [1000]]), tensor([[1]]), tensor([[0]])
    mask = torch.tensor([True, True, False])
    # the mean of the clicks is 6, the last is 4: σ(x - 6 - 4 + 2) is ½ for 8; with 1000 in the mean all would be σ(-…)
    out = call(f, x, x[1], one, -one, -one, tensor([2]), tensor([2]), mask)
    close(out, tensor([8 + 4 * 2 / (1 + math.exp(4))]))
    close(call(f, x, x[1], zero, zero, zero, tensor([0]), tensor([2]), mask), tensor([12]))  # 2 · ½ each: their sum


@BOTH
def test_padding_on_either_side_changes_nothing(f, call, close, normal):
    x, last, padding, weights = normal("b s d"), normal("b d"), 1e3 * normal("b t d"), [*map(normal, WEIGHTS)]
    real, no = torch.ones(2, 7).bool(), torch.zeros(2, 5).bool()
    alone = call(f, x, last, *weights)
    close(call(f, torch.cat([padding, x], 1), last, *weights, torch.cat([no, real], 1)), alone)
    close(call(f, torch.cat([x, padding], 1), last, *weights, torch.cat([real, no], 1)), alone)


@BOTH
def test_order_does_not_matter_but_for_the_last(f, call, close, normal):
    x, weights, order = normal("b s d"), [*map(normal, WEIGHTS)], [4, 0, 6, 2, 5, 1, 3]
    same_last = call(f, x, x[:, -1], *weights)
    close(call(f, x[:, order], x[:, -1], *weights), same_last)
    assert (call(f, x[:, order], x[:, order[-1]], *weights) - same_last).abs().max() > 0.01


@pytest.fixture
def module():
    torch.manual_seed(0)
    return STAMPAttention(d=11, a=19).double()


def test_module_equals_a_loop_over_floats(module, inputs, close):
    x, last, *_, mask = inputs
    weights = module.item_proj.weight, module.last_proj.weight, module.mean_proj.weight, module.item_proj.bias
    close(module(x, last, mask), session_by_session(x, last, *weights, module.score.weight[0], mask))


def test_module_has_one_bias(module):
    shapes = {name: tuple(p.shape) for name, p in module.named_parameters() if "bias" in name or "score" in name}
    assert shapes == {"item_proj.bias": (19,), "score.weight": (1, 19)}
