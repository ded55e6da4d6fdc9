import json
import math
from pathlib import Path

import pytest
import torch

from recattn_mini.attention.self_attentive_interests import (
    SelfAttentiveInterests,
    self_attentive_interests,
    self_attentive_interests_numpy,
)

BOTH = pytest.mark.parametrize("f", [self_attentive_interests, self_attentive_interests_numpy])
RECORDED = Path(__file__).parent / "data" / "torch_rechub_interests.json"


def scores_of_one(x, w, w_score):
    """(k s) of Python's own floats: x a list of rows."""
    hidden = [[math.tanh(math.fsum(a * n for a, n in zip(row, item, strict=True))) for row in w] for item in x]
    return [[math.fsum(v * n for v, n in zip(query, unit, strict=True)) for unit in hidden] for query in w_score]


@pytest.fixture
def one_by_one(attend):
    def oracle(x, w, w_score, mask=None):
        scores = [scores_of_one(items, w.tolist(), w_score.tolist()) for items in x.reshape(-1, *x.shape[-2:]).tolist()]
        scores = torch.tensor(scores, dtype=torch.float64).reshape(*x.shape[:-2], len(w_score), x.shape[-2])
        return attend(scores, x, None if mask is None else mask.expand(x.shape[:-1]).unsqueeze(-2))

    return oracle


CASES = ["no mask", "empty histories", "one mask for all", "logits beyond 1000", "a view", "no leading axes", "one"]


@pytest.fixture(params=CASES)
def inputs(request, normal):
    x, w, w_score, mask = normal("b h s d"), normal("a d"), normal("t a"), normal("b h s") < 0.4
    mask[0, 1], mask[1, 0] = False, True
    match request.param:
        case "no mask":
            mask = None
        case "one mask for all":
            mask = mask[0, 0]
        case "logits beyond 1000":
            w_score = 3000 * w_score
        case "a view":
            x, mask = x.permute(3, 2, 0, 1).contiguous().permute(2, 3, 1, 0), mask[:, :1].expand(-1, 3, -1)
            w_score = torch.stack([w_score, w_score], -1)[..., 0]
            assert not any(tensor.is_contiguous() for tensor in (x, w_score, mask))
        case "no leading axes":
            x, mask = x[0, 0], mask[0, 0]
        case "one":
            x, w_score, mask = x[:1, :1, :1], w_score[:1], None
    return x, w, w_score, mask


@BOTH
def test_equals_a_loop_over_floats(f, inputs, one_by_one, call, close):
    close(call(f, *inputs), one_by_one(*inputs))


@BOTH
def test_torch_rechub(f, call, close):
    """Float64 outputs of torch-rechub 0.9.0. It masks with -1e9, the same to 1e-9 where a history has an item."""
    parts = json.loads(RECORDED.read_text("utf-8"))
    x, w, w_score, interests = (
        torch.tensor(values, dtype=torch.float64)
        for values in (parts["inputs"]["x"], *parts["weights"].values(), parts["outputs"]["interests"])
    )
    close(call(f, x, w, w_score, torch.tensor(parts["inputs"]["mask"])), interests)


@BOTH
def test_worked_by_hand(f, call, close, tensor):
    x, w = tensor([[8, 1], [0, 5], [100, 100]]), tensor([[math.atanh(0.5) / 8, 0]])
    w_score, mask = tensor([[2 * math.log(3)], [-2 * math.log(3)], [0]]), torch.tensor([True, True, False])
    # tanh is ½ and 0: odds 3 to 1 for the first interest, 1 to 3 for the second, even for the third
    close(call(f, x, w, w_score, mask), tensor([[6, 2], [2, 4], [4, 3]]))


@BOTH
def test_each_interest_sums_to_one_over_the_history(f, call, close, normal, tensor):
    """Pooled items that are all alike give that item to every interest: weights over k would give each a share."""
    x, w, w_score = normal("b d")[:, None].expand(2, 7, 11), normal("a d"), normal("t a")
    close(call(f, x, w, w_score), x[:, :1].expand(2, 5, 11))


@BOTH
def test_equal_queries_stay_equal(f, call, close, normal):
    x, w, w_score = normal("b s d"), normal("a d"), normal("t a")
    w_score[3] = w_score[1]
    out = call(f, x, w, w_score)
    close(out[:, 3], out[:, 1])


def test_collapsed_interests_get_the_same_gradient(normal, gradients):
    """Equal rows of W_score under equal upstream gradients cannot be told apart: no step of training parts them."""
    w_score = normal("a")[None].expand(2, 19)
    _, _, gradient = gradients(
        lambda *inputs: self_attentive_interests(*inputs).sum(-2), normal("b s d"), normal("a d"), w_score.contiguous()
    )
    torch.testing.assert_close(gradient[0], gradient[1], rtol=0, atol=1e-12)
    assert gradient.abs().max() > 1e-3


@BOTH
def test_padding_on_either_side_changes_nothing(f, call, close, normal):
    x, padding, weights = normal("b s d"), 1e3 * normal("b t d"), (normal("a d"), normal("t a"))
    real, no = torch.ones(2, 7).bool(), torch.zeros(2, 5).bool()
    alone = call(f, x, *weights)
    close(call(f, torch.cat([padding, x], 1), *weights, torch.cat([no, real], 1)), alone)
    close(call(f, torch.cat([x, padding], 1), *weights, torch.cat([real, no], 1)), alone)


@pytest.fixture
def module():
    torch.manual_seed(0)
    return SelfAttentiveInterests(d=11, a=19, k=5).double()


def test_module_equals_a_loop_over_floats(module, inputs, one_by_one, close):
    x, *_, mask = inputs
    close(module(x, mask), one_by_one(x, module.hidden.weight, module.score.weight, mask))


def test_module_has_two_weights_and_no_bias(module):
    assert {name: tuple(p.shape) for name, p in module.named_parameters()} == {
        "hidden.weight": (19, 11),
        "score.weight": (5, 19),
    }
