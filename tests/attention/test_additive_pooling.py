import math

import pytest
import torch

from recattn_mini.attention.additive_pooling import AdditivePooling, additive_pooling, additive_pooling_numpy

BOTH = pytest.mark.parametrize("f", [additive_pooling, additive_pooling_numpy])


def pooled_floats(x, w, b, w_score, allowed):
    """One pooled vector of Python's own floats: x a list of rows, `allowed` a list of booleans."""
    scores = [
        math.fsum(
            v * math.tanh(math.fsum([c, *(a * n for a, n in zip(row, vector, strict=True))]))
            for v, row, c in zip(w_score, w, b, strict=True)
        )
        for vector in x
    ]
    top = max([s for s, yes in zip(scores, allowed, strict=True) if yes], default=0.0)
    parts = [math.exp(s - top) if yes else 0.0 for s, yes in zip(scores, allowed, strict=True)]
    total = math.fsum(parts) or 1.0
    return [math.fsum(p * n for p, n in zip(parts, column, strict=True)) / total for column in zip(*x, strict=True)]


def pooled_one_by_one(x, w, b, w_score, mask=None):
    allowed = torch.ones(x.shape[:-1], dtype=torch.bool) if mask is None else mask.expand(x.shape[:-1])
    rows = [
        pooled_floats(vectors, w.tolist(), b.tolist(), w_score.tolist(), yes)
        for vectors, yes in zip(
            x.reshape(-1, *x.shape[-2:]).tolist(), allowed.reshape(-1, x.shape[-2]).tolist(), strict=True
        )
    ]
    return torch.tensor(rows, dtype=torch.float64).reshape(*x.shape[:-2], -1)


CASES = ["no mask", "empty histories", "one mask for all", "logits beyond 1000", "a view", "no leading axes", "one"]


@pytest.fixture(params=CASES)
def inputs(request, normal):
    x, w, b, w_score = normal("b h s d"), normal("a d"), normal("a"), normal("a")
    mask = normal("b h s") < 0.4
    mask[0, 1], mask[1, 0], mask[1, 2] = False, True, torch.arange(7) == 3
    match request.param:
        case "no mask":
            mask = None
        case "one mask for all":
            mask = mask[0, 0]
        case "logits beyond 1000":
            w_score = 3000 * w_score
        case "a view":
            x, mask = x.permute(3, 2, 0, 1).contiguous().permute(2, 3, 1, 0), mask[:, :1].expand(-1, 3, -1)
            w = torch.stack([w, w], -1)[..., 0]
            assert not any(tensor.is_contiguous() for tensor in (x, w, mask))
        case "no leading axes":
            x, mask = x[0, 0], mask[0, 0]
        case "one":
            x, mask = x[:1, :1, :1], None
    return x, w, b, w_score, mask


@BOTH
def test_equals_a_loop_over_floats(f, inputs, call, close):
    close(call(f, *inputs), pooled_one_by_one(*inputs))


def test_keras_additive_attention_whose_one_query_is_the_bias(run_keras, keras, normal, error):
    """Keras scores Σ scale ⊙ tanh(q + k): with the query b, the same for all, and the keys W x it is ours."""
    x, w, b, w_score, padding = normal("b s d"), normal("a d"), normal("a"), normal("a"), normal("b s") > -1
    query = b.expand(2, 1, -1)
    theirs = run_keras(keras.layers.AdditiveAttention(), query, x @ w.T, x, padding, weights=[w_score])[:, 0]
    assert error(additive_pooling(x, w, b, w_score, padding), theirs) < 1e-6  # Keras computes in float32
    assert error(additive_pooling(x, w, 0 * b, w_score, padding), theirs) > 1e-3


@BOTH
def test_worked_by_hand(f, call, close, tensor):
    x = tensor([[[8, 1], [4, 5], [100, -100]]])
    w, b = tensor([[math.atanh(0.5) / 4, 0]]), tensor([-math.atanh(0.5)])
    mask = torch.tensor([[True, True, False]])
    # tanh(W x + b) is ½ and 0, the scores are log 3 and 0: odds 3 to 1
    close(call(f, x, w, b, tensor([2 * math.log(3)]), mask), tensor([[7, 2]]))


@BOTH
def test_padding_on_either_side_changes_nothing(f, call, close, normal):
    x, weights, padding = normal("b s d"), (normal("a d"), normal("a"), normal("a")), 1e3 * normal("b t d")
    real, no = torch.ones(2, 7, dtype=torch.bool), torch.zeros(2, 5, dtype=torch.bool)
    alone = call(f, x, *weights)
    close(call(f, torch.cat([padding, x], 1), *weights, torch.cat([no, real], 1)), alone)
    close(call(f, torch.cat([x, padding], 1), *weights, torch.cat([real, no], 1)), alone)


@BOTH
def test_order_does_not_matter(f, call, close, normal):
    x, weights, order = normal("b s d"), (normal("a d"), normal("a"), normal("a")), [4, 0, 6, 2, 5, 1, 3]
    close(call(f, x[:, order], *weights), call(f, x, *weights))


@BOTH
def test_zero_query_is_the_mean_and_a_large_one_picks(f, call, close, normal):
    x, w, b, w_score = normal("b s d"), normal("a d"), normal("a"), normal("a")
    close(call(f, x, w, b, 0 * w_score), x.mean(1))
    best = (torch.tanh(x @ w.T + b) @ w_score).argmax(1)
    close(call(f, x, w, b, 1e6 * w_score), x[torch.arange(2), best])


@pytest.fixture
def module():
    torch.manual_seed(0)
    return AdditivePooling(d=11, a=19).double()


def test_module_equals_a_loop_over_floats(module, inputs, close):
    x, *_, mask = inputs
    expected = pooled_one_by_one(x, module.hidden.weight, module.hidden.bias, module.score.weight[0], mask)
    close(module(x, mask), expected)


def test_module_has_a_bias_inside_the_tanh_only(module):
    shapes = {name: tuple(p.shape) for name, p in module.named_parameters()}
    assert shapes == {"hidden.weight": (19, 11), "hidden.bias": (19,), "score.weight": (1, 19)}


@pytest.mark.parametrize(
    ("at", "bad", "told"),
    [
        (1, torch.ones(11, 19), r"^w_hidden must be \(a d\), d = 11 as in x, got \(11, 19\)"),
        (2, torch.ones(11), r"^b_hidden must be \(a\), a = 19 as in w_hidden, got \(11,\)"),
        (3, torch.ones(1, 19), r"^w_score must be \(a\), a = 19 as in w_hidden, got \(1, 19\)"),
        (4, torch.ones(2, 5, dtype=torch.bool), r"^mask must broadcast to \(... s\)"),
        (4, torch.ones(2, 7), r"^mask must be bool"),
    ],
)
def test_bad_input_is_named(at, bad, told):
    inputs = [torch.ones(2, 7, 11), torch.ones(19, 11), torch.ones(19), torch.ones(19), None]
    inputs[at] = bad
    with pytest.raises(ValueError, match=told):
        additive_pooling(*inputs)
