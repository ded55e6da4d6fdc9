import math

import pytest
import torch
import torch.nn.functional as F

from recattn_mini.attention.label_aware_attention import (
    label_aware_attention,
    label_aware_attention_numpy,
    multi_interest_scores,
    multi_interest_scores_numpy,
)

BOTH = pytest.mark.parametrize("f", [label_aware_attention, label_aware_attention_numpy])
SERVING = pytest.mark.parametrize("f", [multi_interest_scores, multi_interest_scores_numpy])


def user(interests, item, p, used):
    """One user in Python's own floats."""
    scores = [
        math.fsum(a * b for a, b in zip(v, item, strict=True)) ** p if yes else None
        for v, yes in zip(interests, used, strict=True)
    ]
    top = max([s for s in scores if s is not None], default=0.0)
    parts = [0.0 if s is None else math.exp(s - top) for s in scores]
    total = math.fsum(parts) or 1.0
    return [
        math.fsum(q * n for q, n in zip(parts, column, strict=True)) / total for column in zip(*interests, strict=True)
    ]


def user_by_user(interests, item, p, mask=None):
    used = torch.ones(interests.shape[:-1], dtype=torch.bool) if mask is None else mask.expand(interests.shape[:-1])
    rows = [
        user(v, e, p, yes)
        for v, e, yes in zip(
            interests.reshape(-1, *interests.shape[-2:]).tolist(),
            item.reshape(-1, item.shape[-1]).tolist(),
            used.reshape(-1, used.shape[-1]).tolist(),
            strict=True,
        )
    ]
    return torch.tensor(rows, dtype=torch.float64).reshape(item.shape)


CASES = ["no mask", "no interest in use", "one mask for all", "scores beyond 1000", "a view", "no leading axes", "one"]


@pytest.fixture(params=CASES)
def inputs(request, normal):
    interests, item, mask = normal("b h t d"), normal("b h d"), normal("b h t") < 0.4
    mask[0, 1], mask[1, 0] = False, True
    match request.param:
        case "no mask":
            mask = None
        case "one mask for all":
            mask = mask[0, 0]
        case "scores beyond 1000":
            item = 1000 * item
        case "a view":
            interests, mask = (
                interests.permute(3, 2, 0, 1).contiguous().permute(2, 3, 1, 0),
                mask[:, :1].expand(2, 3, 5),
            )
            item = torch.stack([item, item], -1)[..., 0]
            assert not any(tensor.is_contiguous() for tensor in (interests, item, mask))
        case "no leading axes":
            interests, item, mask = interests[0, 0], item[0, 0], mask[0, 0]
        case "one":
            interests, item, mask = interests[:1, :1, :1], item[:1, :1], None
    return interests, item, mask


@pytest.mark.parametrize("p", [0, 1, 2, 3])
@BOTH
def test_equals_a_loop_over_floats(f, p, inputs, call, close):
    interests, item, mask = inputs
    close(call(f, interests, item, p, mask), user_by_user(interests, item, p, mask))


@BOTH
def test_power_1_is_torchs_attention_without_a_scale(f, inputs, call, close):
    interests, item, mask = inputs
    mask = None if mask is None else mask.expand(interests.shape[:-1]).unsqueeze(-2)
    expected = F.scaled_dot_product_attention(item.unsqueeze(-2), interests, interests, mask, scale=1.0).squeeze(-2)
    close(call(f, inputs[0], item, 1, inputs[2]), expected)


@BOTH
def test_power_0_is_the_mean_of_the_interests_in_use(f, call, close, normal, tensor):
    interests, item, mask = normal("b t d"), normal("b d"), tensor([[1, 1, 0, 0, 1], [1, 1, 1, 1, 1]]) > 0
    close(call(f, interests, item, 0, mask), torch.stack([interests[0, [0, 1, 4]].mean(0), interests[1].mean(0)]))


@BOTH
def test_large_power_is_the_best_interest(f, call, close, tensor):
    interests, item = tensor([[1.5, 7], [2, 8], [-1.9, 9]]), tensor([1, 0])  # scores 1.5, 2, -1.9
    close(call(f, interests, item, 15), tensor([2, 8]))


@BOTH
def test_large_power_of_cosines_is_the_mean(f, call, close, normal):
    """The trap: between -1 and 1 a power shrinks scores, and a sharper p is a flatter softmax."""
    interests, item = F.normalize(normal("b t d"), dim=-1), F.normalize(normal("b d"), dim=-1)
    assert (interests @ item[..., None]).abs().max() < 0.9
    close(call(f, interests, item, 400), interests.mean(1))


@BOTH
def test_even_power_prefers_the_opposite(f, call, close, tensor):
    """The trap: (-5)² = 25 beats 4² = 16, though the third power or the first would not let it."""
    interests, item = tensor([[-5, 7], [4, 8]]), tensor([1, 0])
    odds = math.exp(25 - 16)
    close(call(f, interests, item, 2), (odds * interests[0] + interests[1]) / (odds + 1))
    close(call(f, interests, item, 3), interests[1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_power_that_overflows_is_not_hidden(dtype, tensor):
    """6^50 is 8e38: inf in float32, whose softmax is NaN; float64 holds it, and picks the best interest."""
    out = label_aware_attention(tensor([[6, 7], [5, 8]]).to(dtype), tensor([1, 0]).to(dtype), 50)
    assert out.isnan().all() if dtype == torch.float32 else out.tolist() == [6, 7]


@pytest.mark.parametrize("p", [0.5, 2.0, -1, None, True, "2"])
@BOTH
def test_power_is_a_whole_number(f, p, normal, call):
    with pytest.raises(ValueError, match=r"^p must be a whole number from 0, got "):
        call(f, normal("b t d"), normal("b d"), p)


@BOTH
def test_one_interest_is_handed_through(f, call, close, normal):
    interests = normal("b t d")[:, :1]
    close(call(f, interests, normal("b d"), 3), interests[:, 0])


@SERVING
def test_serving_takes_the_best_interest_of_each_item(f, inputs, normal, call, close):
    interests, _, mask = inputs
    items = normal("b h s d")[: interests.shape[0]] if interests.dim() == 4 else normal("s d")
    items = items[:, : interests.shape[1]] if items.dim() == 4 else items
    used = torch.ones(interests.shape[:-1], dtype=torch.bool) if mask is None else mask.expand(interests.shape[:-1])
    k, n = interests.shape[-2], items.shape[-2]
    best = [
        max(
            [math.fsum(a * b for a, b in zip(v, e, strict=True)) for v, y in zip(vs, yes, strict=True) if y],
            default=0.0,
        )
        for vs, es, yes in zip(
            interests.reshape(-1, k, 11).tolist(),
            items.reshape(-1, n, 11).tolist(),
            used.reshape(-1, k).tolist(),
            strict=True,
        )
        for e in es
    ]
    close(call(f, interests, items, mask), torch.tensor(best, dtype=torch.float64).reshape(*items.shape[:-1]))


@SERVING
def test_an_interest_left_in_as_zeros_beats_negative_scores(f, call, close, tensor):
    interests, items, used = tensor([[1, 1], [0, 0]]), tensor([[-3, -5], [2, 1]]), torch.tensor([True, False])
    close(call(f, interests, items, used), tensor([-8, 3]))
    close(call(f, interests, items), tensor([0, 3]))


@SERVING
def test_serving_is_the_limit_of_training(f, call, close, tensor):
    """What the loss sees for a large p, dotted with the item, is the score that serving gives to it."""
    interests, item = tensor([[[1.5, 7], [2, 8], [-1.9, 9]]]), tensor([[1, 0]])
    trained = label_aware_attention(interests, item, 15)
    close(call(f, interests, item[:, None]), (trained * item).sum(-1, keepdim=True))
