"""What is no good input says so by name, whichever function it meets."""

import numpy as np
import pytest
import torch

from recattn_mini.attention import masks
from recattn_mini.attention.concat_attention import concat_attention
from recattn_mini.attention.null_key_attention import null_key_attention
from recattn_mini.attention.scaled_dot_product_attention import (
    scaled_dot_product_attention,
    scaled_dot_product_attention_numpy,
)
from recattn_mini.attention.sigmoid_attention import sigmoid_attention

q, k, v = torch.ones(2, 3, 5, 11), torch.ones(2, 3, 7, 11), torch.ones(2, 3, 7, 13)


@pytest.mark.parametrize("mask", [0.0, 1.0, True, False])
def test_number_is_no_mask(mask):
    with pytest.raises(ValueError, match=r"^mask must be a numpy.ndarray"):
        scaled_dot_product_attention_numpy(q.numpy(), k.numpy(), v.numpy(), mask)
    with pytest.raises(ValueError, match=r"^mask must be a torch.Tensor"):
        scaled_dot_product_attention(q, k, v, mask)


def test_number_is_no_null_key():
    with pytest.raises(ValueError, match=r"^null_k must be a torch.Tensor"):
        null_key_attention(q, k, v, 0.0, v[0, 0, 0])


@pytest.mark.parametrize("null_k", [torch.zeros(1), torch.tensor(0.0), torch.zeros(5, 11)])
def test_null_key_has_the_width_of_k(null_k):
    with pytest.raises(ValueError, match=r"^null_k must have leading axes that broadcast, as \(... d\)"):
        null_key_attention(q, k, v, null_k, v[0, 0, 0])


def test_none_for_what_is_not_optional():
    with pytest.raises(ValueError, match=r"^q must be a torch.Tensor"):
        scaled_dot_product_attention(None, k, v)
    with pytest.raises(ValueError, match=r"^k must be a torch.Tensor"):
        concat_attention(q, None, v, torch.ones(19, 22), torch.ones(19))
    with pytest.raises(ValueError, match=r"^bias must be"):
        sigmoid_attention(q, k, v, None)


def test_mixed_dtypes():
    with pytest.raises(ValueError, match=r"^k must be"):
        scaled_dot_product_attention(q, k.double(), v)
    with pytest.raises(ValueError, match=r"^bias must be"):
        sigmoid_attention(q, k, v, torch.zeros(7, dtype=torch.float64))


@pytest.mark.parametrize("bad", [(), ([True],), ([True], [False]), (q, q), (q,), (torch.ones(2).int(),) * 2])
def test_combined_mask_takes_masks(bad):
    with pytest.raises(ValueError, match="mask"):
        masks.combined_mask(*bad)


def test_combined_mask_of_sizes_that_do_not_broadcast():
    with pytest.raises(ValueError, match="mask"):
        masks.combined_mask(torch.ones(5, 7, dtype=torch.bool), torch.ones(5, 8, dtype=torch.bool))


def test_causal_mask_of_grouped_heads():
    assert masks.causal_mask(q, k[:, :1]).shape == (5, 7)


@pytest.mark.parametrize("items", [np.array([["a", "b"]]), np.array([[None, 1]]), np.array([[0j]])])
def test_items_are_integers(items):
    with pytest.raises(ValueError, match=r"^items must be int"):
        masks.padding_mask_numpy(items)
