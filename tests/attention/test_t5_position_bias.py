import json
import math
from pathlib import Path

import pytest
import torch

from recattn_mini.attention.t5_position_bias import (
    relative_position_bucket,
    relative_position_bucket_causal,
    relative_position_bucket_causal_numpy,
    relative_position_bucket_numpy,
    t5_attention,
    t5_attention_numpy,
    t5_position_bias,
    t5_position_bias_causal,
    t5_position_bias_causal_numpy,
    t5_position_bias_numpy,
)

BUCKET = pytest.mark.parametrize("f", [relative_position_bucket, relative_position_bucket_numpy])
CAUSAL_BUCKET = pytest.mark.parametrize("f", [relative_position_bucket_causal, relative_position_bucket_causal_numpy])
BIAS = pytest.mark.parametrize("f", [t5_position_bias, t5_position_bias_numpy])
CAUSAL_BIAS = pytest.mark.parametrize("f", [t5_position_bias_causal, t5_position_bias_causal_numpy])
ATTENTION = pytest.mark.parametrize("f", [t5_attention, t5_attention_numpy])

RECORDED = json.loads((Path(__file__).parent / "data" / "transformers_t5_attention.json").read_text("utf-8"))
GIVEN, THEIRS = (
    {name: torch.tensor(x, dtype=torch.float64) for name, x in RECORDED[part].items()} for part in ("inputs", "outputs")
)


@pytest.fixture
def q_k_v():
    """Three heads of width 5 for each of q, k, v, by the recorded weights: (b h t d)."""
    return [(GIVEN["x"] @ GIVEN[f"w_{name}"].T).unflatten(-1, (3, 5)).transpose(1, 2) for name in "qkv"]


def heads_side_by_side(x):
    return x.transpose(1, 2).flatten(-2)


@BUCKET
def test_buckets_are_those_of_transformers(f, call):
    assert torch.equal(call(f, torch.arange(-200, 201), 32), THEIRS["buckets"].long())


@CAUSAL_BUCKET
def test_causal_buckets_are_those_of_transformers(f, call):
    assert torch.equal(call(f, torch.arange(-200, 201), 32), THEIRS["causal buckets"].long())


def bucket_of_distance(distance, own):
    """The first of the shared buckets' lower ends, powers of a ratio, that the distance does not reach."""
    if distance < own:
        return distance
    return own + max(j for j in range(own) if distance**own >= own**own * (128 / own) ** j * (1 - 1e-12))


@pytest.mark.parametrize("own", [1, 2, 3, 8, 16])
def test_buckets_equal_powers_of_a_ratio(own, call):
    """Without a logarithm: `own` distances have a bucket each, then each bucket begins (128/own)^(1/own) later."""
    relative = torch.arange(-300, 301)
    past = torch.tensor([bucket_of_distance(max(-r, 0), own) for r in relative.tolist()])
    for f in (relative_position_bucket_causal, relative_position_bucket_causal_numpy):
        assert torch.equal(call(f, relative, 2 * own), past)
    both = torch.tensor([bucket_of_distance(abs(r), own) + 2 * own * (r > 0) for r in relative.tolist()])
    for f in (relative_position_bucket, relative_position_bucket_numpy):
        assert torch.equal(call(f, relative, 4 * own), both)


@BUCKET
@pytest.mark.parametrize("buckets", [2, 6, 33, 512])
def test_an_encoder_halves_its_buckets_twice(f, buckets, call):
    with pytest.raises(ValueError, match=f"^buckets must be a multiple of 4 and less than 512, got {buckets}$"):
        call(f, torch.arange(3), buckets)


@CAUSAL_BUCKET
@pytest.mark.parametrize("buckets", [1, 33, 256])
def test_a_decoder_halves_its_buckets_once(f, buckets, call):
    with pytest.raises(ValueError, match=f"^buckets must be a multiple of 2 and less than 256, got {buckets}$"):
        call(f, torch.arange(3), buckets)


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int32])
def test_small_integers_do_not_wrap(dtype, call):
    relative = torch.tensor([3, 127]).to(dtype)
    for f in (relative_position_bucket, relative_position_bucket_numpy):
        assert call(f, relative, 32).tolist() == [19, 31]
    for f in (relative_position_bucket_causal, relative_position_bucket_causal_numpy):
        assert call(f, relative, 32).tolist() == [0, 0]
        assert call(f, relative, 32).dtype == torch.int64


@BIAS
def test_bias_is_that_of_transformers(f, q_k_v, call, close):
    q, k, _ = q_k_v
    close(call(f, q, k, GIVEN["table"]), THEIRS["encoder bias"])


@CAUSAL_BIAS
def test_causal_bias_is_that_of_transformers(f, q_k_v, call, close):
    q, k, _ = q_k_v
    close(call(f, q, k, GIVEN["table"]), THEIRS["decoder bias"])


@BIAS
def test_worked_by_hand(f, call, close, tensor):
    """8 buckets: 0, 1 and two shared ones (2 to 15, from 16) behind, as many ahead, where 4 and 5 are 0 and 1."""
    q, k, table = torch.zeros(2, 1), torch.zeros(4, 1), torch.arange(16.0).reshape(8, 2)
    # the queries stand on keys 2 and 3: distances -2 -1 0 1 and -3 -2 -1 0
    buckets = tensor([[2, 1, 0, 5], [2, 2, 1, 0]]).float()
    close(call(f, q, k, table), torch.stack([2 * buckets, 2 * buckets + 1]))


@BIAS
def test_later_queries_alone_stand_on_the_last_keys(f, q_k_v, call, close):
    q, k, _ = q_k_v
    close(call(f, q[:, :, -3:], k, GIVEN["table"]), THEIRS["encoder bias"][:, -3:])


@CAUSAL_BIAS
def test_one_new_query_of_a_decoder_has_the_last_row(f, q_k_v, call, close):
    q, k, _ = q_k_v
    close(call(f, q[:, :, -1:], k, GIVEN["table"]), THEIRS["decoder bias"][:, -1:])


@ATTENTION
def test_encoder_equals_transformers(f, q_k_v, call, close):
    """To 1e-6: T5Attention takes its softmax in float32, whatever the dtype is."""
    close(heads_side_by_side(call(f, *q_k_v, GIVEN["table"])), THEIRS["encoder"], tolerance=1e-6)


@ATTENTION
def test_padded_encoder_equals_transformers(f, q_k_v, call, close):
    mask = torch.ones(2, 1, 1, 13, dtype=torch.bool)
    mask[0, ..., :4] = False
    out = heads_side_by_side(call(f, *q_k_v, GIVEN["table"], mask))
    close(out, THEIRS["encoder, first user padded"], tolerance=1e-6)


@CAUSAL_BIAS
def test_decoder_equals_transformers(f, q_k_v, call, attend, close):
    q, k, v = q_k_v
    causal = torch.ones(13, 13, dtype=torch.bool).tril()
    out = attend(q @ k.mT + call(f, q, k, GIVEN["table"]), v, causal)
    close(heads_side_by_side(out), THEIRS["decoder"], tolerance=1e-6)


def explicit_scores(q, k, table):
    """q·k of Python's own floats, not scaled, and the bias looked up pair by pair; (b h t s)."""
    t, s, own = q.shape[-2], k.shape[-2], len(table) // 4
    bias, scores = table.tolist(), []
    for queries, keys, head in zip(
        q.flatten(0, 1).tolist(), k.flatten(0, 1).tolist(), list(range(q.shape[1])) * q.shape[0], strict=True
    ):
        for i, query in enumerate(queries):
            for j, key in enumerate(keys):
                r = j - (i + s - t)
                bucket = bucket_of_distance(abs(r), own) + 2 * own * (r > 0)
                scores.append(math.fsum(a * b for a, b in zip(query, key, strict=True)) + bias[bucket][head])
    return torch.tensor(scores, dtype=torch.float64).reshape(*q.shape[:-1], s)


@pytest.fixture
def table(normal):
    return normal("s h")[:4].repeat(2, 1) * torch.arange(1, 9)[:, None]  # 8 buckets, 3 heads


@ATTENTION
def test_equals_a_loop_over_floats(f, case, table, call, attend, close):
    if case.q.dim() == 2:  # no leading axes: a head at least there must be
        case, table = case._replace(q=case.q[None, None], k=case.k[None, None], v=case.v[None, None]), table[:, :1]
    expected = attend(explicit_scores(case.q, case.k, table), case.v, case.mask)
    close(call(f, case.q, case.k, case.v, table, case.mask), expected)


@ATTENTION
def test_order_counts_with_a_bias_and_not_without(f, normal, table, call, close):
    x, order = normal("b h t d"), torch.tensor([3, 0, 4, 1, 2])
    x_permuted = x[:, :, order]
    close(call(f, x_permuted, x_permuted, x_permuted, 0 * table), call(f, x, x, x, 0 * table)[:, :, order])
    difference = call(f, x_permuted, x_permuted, x_permuted, table) - call(f, x, x, x, table)[:, :, order]
    assert difference.abs().amax((0, 1, 3)).min() > 0.01


@ATTENTION
def test_one_number_for_all_buckets_is_forgotten(f, normal, table, call, close):
    q, k, v = normal("b h t d"), normal("b h s d"), normal("b h s e")
    close(call(f, q, k, v, table + normal("h")), call(f, q, k, v, table))


@ATTENTION
def test_a_head_of_the_table_for_each_head(f, normal, table, call):
    with pytest.raises(ValueError, match=r"^table must be \(buckets h\), h = 3 as in q, got \(8, 2\)$"):
        call(f, normal("b h t d"), normal("b h s d"), normal("b h s e"), table[:, :2])
