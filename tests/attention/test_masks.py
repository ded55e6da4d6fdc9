import math

import pytest
import torch
import torch.nn.functional as F
from torch.nn.attention.bias import causal_lower_right

from recattn_mini.attention import masks

CAUSAL = pytest.mark.parametrize("f", [masks.causal_mask, masks.causal_mask_numpy])
PADDING = pytest.mark.parametrize("f", [masks.padding_mask, masks.padding_mask_numpy])
COMBINED = pytest.mark.parametrize("f", [masks.combined_mask, masks.combined_mask_numpy])
MASKED = pytest.mark.parametrize("f", [masks.masked_scores, masks.masked_scores_numpy])


@CAUSAL
@pytest.mark.parametrize(
    ("queries", "keys", "rows"),
    [
        (3, 3, ["100", "110", "111"]),
        (2, 5, ["11110", "11111"]),
        (1, 4, ["1111"]),  # decoding: the new query has the whole cache before it
        (4, 2, ["00", "00", "10", "11"]),  # the last query stands on the last key, so the first have none
        (1, 1, ["1"]),
    ],
)
def test_causal_mask_by_hand(f, queries, keys, rows, call):
    mask = call(f, torch.zeros(queries, 3), torch.zeros(keys, 2))
    assert ["".join("01"[allowed] for allowed in row) for row in mask.tolist()] == rows


@CAUSAL
@pytest.mark.parametrize("queries", [1, 2, 5, 7, 11])
@pytest.mark.parametrize("keys", [1, 3, 5, 11, 13])
def test_causal_mask_counts_positions_from_the_end(f, queries, keys, call):
    mask = call(f, torch.zeros(2, 3, queries, 7), torch.zeros(2, 3, keys, 17))
    not_later = [[keys - key >= queries - query for key in range(keys)] for query in range(queries)]
    assert mask.tolist() == not_later


@pytest.mark.parametrize("queries", [1, 3, 7])
def test_causal_mask_equals_causal_lower_right(queries, normal, close):
    q, k, v = normal("b h s d")[..., :queries, :], normal("b h s d"), normal("b h s e")
    expected = F.scaled_dot_product_attention(q, k, v, causal_lower_right(queries, 7))
    close(F.scaled_dot_product_attention(q, k, v, masks.causal_mask(q, k)), expected)


@PADDING
@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8])
def test_padding_mask_by_hand(f, dtype, call):
    items = torch.tensor([[0, 0, 50, 181], [1, 0, 1, 0], [0, 0, 0, 0]], dtype=dtype)
    expected = [[[[False, False, True, True]]], [[[True, False, True, False]]], [[[False] * 4]]]
    assert call(f, items).tolist() == expected  # (b 1 1 s)


@pytest.mark.parametrize("kept", [slice(3, None), slice(None, 4)], ids=["padding first", "padding last"])
def test_padding_equals_a_shorter_history(kept, normal, close):
    q, k, v = normal("b h t d"), normal("b h s d"), normal("b h s e")
    items = torch.zeros(2, 7, dtype=torch.int64)
    items[:, kept] = 50
    padded = F.scaled_dot_product_attention(q, k, v, masks.padding_mask(items))
    close(padded, F.scaled_dot_product_attention(q, k[:, :, kept], v[:, :, kept]))


@COMBINED
def test_combined_mask_by_hand(f, call):
    all_pairs = torch.tensor([[True, True], [True, False], [False, True], [False, False]])
    assert call(f, *all_pairs.T).tolist() == [True, False, False, False]
    row, column = torch.tensor([True, False, True]), torch.tensor([[True], [False]])
    assert call(f, row, column).tolist() == [[True, False, True], [False, False, False]]
    assert call(f, row).tolist() == row.tolist()


@COMBINED
def test_combined_mask_of_three_equals_torch(f, normal, call):
    causal = torch.ones(5, 7, dtype=torch.bool).tril(2)
    padding, window = normal("b s")[:, None, None] < 1, normal("h t s") < 1
    expected = torch.logical_and(torch.logical_and(causal, padding), window)
    assert expected.shape == (2, 3, 5, 7)
    assert torch.equal(call(f, causal, padding, window), expected)
    assert torch.equal(call(f, window, causal, padding), expected)


@MASKED
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_masked_scores_by_hand(f, dtype, call):
    scores = torch.tensor([[1.0, -2.0, 3.0], [4.0, 5.0, -6.0]], dtype=dtype)
    mask = torch.tensor([[True, False, True], [False, False, False]])
    out = call(f, scores, mask)
    assert out.tolist() == [[1, -math.inf, 3], [-math.inf] * 3]  # -inf and not a large number: float16 has none
    assert out.dtype == dtype
    assert call(f, scores, mask[0]).tolist() == [[1, -math.inf, 3], [4, -math.inf, -6]]  # one row for all


@MASKED
def test_no_mask_allows_everything(f, normal, call):
    scores = normal("b t s")
    assert torch.equal(call(f, scores, None), scores)


@MASKED
def test_masked_scores_are_what_sdpa_adds(f, normal, empty_rows, call, close):
    q, k, v = normal("b h t d"), normal("b h s d"), normal("b h s e")
    added = call(f, torch.zeros(2, 3, 5, 7, dtype=torch.float64), empty_rows)
    expected = F.scaled_dot_product_attention(q, k, v, empty_rows)
    close(F.scaled_dot_product_attention(q, k, v, added), expected)


def test_masked_scores_pass_gradients_where_allowed(normal, empty_rows, upstream_of, gradients, close):
    scores = normal("b h t s")
    close(gradients(masks.masked_scores, scores, empty_rows), (upstream_of(scores) * empty_rows,))
