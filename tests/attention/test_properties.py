"""What holds for any input: softmax, masks and scaled dot-product attention under hypothesis, both forms."""

import math

import pytest
import torch
import torch.nn.functional as F

from recattn_mini.attention import masks
from recattn_mini.attention.scaled_dot_product_attention import (
    scaled_dot_product_attention,
    scaled_dot_product_attention_numpy,
)
from recattn_mini.attention.softmax import softmax, softmax_numpy

hypothesis = pytest.importorskip("hypothesis")
arrays = pytest.importorskip("hypothesis.extra.numpy").arrays
st = hypothesis.strategies

SOFTMAX = pytest.mark.parametrize("f", [softmax, softmax_numpy])
ATTENTION = pytest.mark.parametrize("f", [scaled_dot_product_attention, scaled_dot_product_attention_numpy])
CAUSAL = pytest.mark.parametrize("f", [masks.causal_mask, masks.causal_mask_numpy])
PADDING = pytest.mark.parametrize("f", [masks.padding_mask, masks.padding_mask_numpy])
COMBINED = pytest.mark.parametrize("f", [masks.combined_mask, masks.combined_mask_numpy])

stable = hypothesis.settings(derandomize=True, deadline=None, max_examples=60)
sizes = st.integers(1, 7)


def numbers(*shape, largest=50.0):
    return arrays("float64", shape, elements=st.floats(-largest, largest, allow_subnormal=False)).map(torch.from_numpy)


def booleans(*shape):
    return arrays("bool", shape).map(torch.from_numpy)


@st.composite
def scores(draw):
    """(b s), up to ±2,000, some of them -inf, a whole row now and then."""
    shape = draw(sizes), draw(sizes)
    return torch.where(draw(booleans(*shape)), draw(numbers(*shape, largest=2000.0)), -math.inf)


@st.composite
def attention_inputs(draw, allow_empty_rows=True):
    """q (t d), k (s d), v (s e), mask (t s): scores up to ±6,600."""
    t, s, d, e = (draw(sizes) for _ in range(4))
    mask = draw(booleans(t, s))
    if not allow_empty_rows:
        mask[:, draw(st.integers(0, s - 1))] = True
    return draw(numbers(t, d)), draw(numbers(s, d)), draw(numbers(s, e)), mask


@st.composite
def with_permutation(draw, of):
    """Attention's inputs, and a shuffle of its queries (0) or keys (1)."""
    q, k, v, mask = draw(attention_inputs())
    return q, k, v, mask, torch.tensor(draw(st.permutations(range(mask.shape[of]))))


@SOFTMAX
@stable
@hypothesis.given(x=scores())
def test_softmax_rows_sum_to_one_or_to_nothing(f, call, x):
    weights = call(f, x)
    assert ((weights >= 0) & (weights <= 1)).all()
    assert (weights[x == -math.inf] == 0).all()
    torch.testing.assert_close(weights.sum(-1), (x > -math.inf).any(-1).double(), rtol=0, atol=1e-12)


@SOFTMAX
@stable
@hypothesis.given(x=scores(), shift=st.floats(-1000, 1000))
def test_softmax_forgets_what_is_added_to_a_whole_row(f, call, close, x, shift):
    close(call(f, x + shift), call(f, x))


@SOFTMAX
@stable
@hypothesis.given(x=scores(), data=st.data())
def test_softmax_treats_keys_alike(f, call, close, x, data):
    order = torch.tensor(data.draw(st.permutations(range(x.shape[-1]))))
    close(call(f, x[:, order]), call(f, x)[:, order])


@SOFTMAX
@stable
@hypothesis.given(x=scores())
def test_softmax_keeps_the_order_of_scores(f, call, x):
    sorted_weights = call(f, x.sort(-1).values)
    assert (sorted_weights.diff(dim=-1) >= -1e-15).all()


@ATTENTION
@stable
@hypothesis.given(inputs=with_permutation(of=1))
def test_permuting_keys_changes_nothing(f, call, close, inputs):
    q, k, v, mask, order = inputs
    close(call(f, q, k[order], v[order], mask[:, order]), call(f, q, k, v, mask))


@ATTENTION
@stable
@hypothesis.given(inputs=with_permutation(of=0))
def test_permuting_queries_permutes_the_output(f, call, close, inputs):
    q, k, v, mask, order = inputs
    close(call(f, q[order], k, v, mask[order]), call(f, q, k, v, mask)[order])


@ATTENTION
@stable
@hypothesis.given(inputs=attention_inputs(), extreme=st.sampled_from([-1e150, 1e150, 0.0]), data=st.data())
def test_a_masked_key_does_not_matter(f, call, inputs, extreme, data):
    q, k, v, mask = inputs
    hidden = data.draw(st.integers(0, k.shape[0] - 1))
    mask[:, hidden] = False
    other_k, other_v = k.clone(), v.clone()
    other_k[hidden], other_v[hidden] = extreme, -extreme
    assert torch.equal(call(f, q, other_k, other_v, mask), call(f, q, k, v, mask))


@ATTENTION
@stable
@hypothesis.given(inputs=attention_inputs(allow_empty_rows=False))
def test_output_lies_among_the_values(f, call, inputs):
    q, k, v, mask = inputs
    out = call(f, q, k, v, mask)
    for row, allowed in zip(out, mask, strict=True):
        assert (row >= v[allowed].amin(0) - 1e-12 * 50).all()
        assert (row <= v[allowed].amax(0) + 1e-12 * 50).all()


@ATTENTION
@stable
@hypothesis.given(inputs=attention_inputs(), data=st.data())
def test_a_key_given_twice_counts_as_log_2_more_score(f, call, close, inputs, data):
    q, k, v, mask = inputs
    twice = data.draw(st.integers(0, k.shape[0] - 1))
    again = torch.tensor([*range(k.shape[0]), twice])
    bias = torch.zeros(mask.shape, dtype=torch.float64).masked_fill(~mask, -math.inf)
    bias[:, twice] += math.log(2)
    close(call(f, q, k[again], v[again], mask[:, again]), F.scaled_dot_product_attention(q, k, v, bias))


@ATTENTION
@stable
@hypothesis.given(inputs=attention_inputs(), data=st.data())
def test_output_is_linear_in_the_values(f, call, close, inputs, data):
    q, k, v, mask = inputs
    w = data.draw(numbers(*v.shape))
    close(call(f, q, k, 3 * v - w, mask), 3 * call(f, q, k, v, mask) - call(f, q, k, w, mask))


@ATTENTION
@stable
@hypothesis.given(inputs=attention_inputs())
def test_a_masked_key_might_as_well_be_gone(f, call, close, inputs):
    q, k, v, mask = inputs
    for t, allowed in enumerate(mask):
        if allowed.any():
            alone = call(f, q[t : t + 1], k[allowed], v[allowed])
            close(call(f, q, k, v, mask)[t : t + 1], alone)


@ATTENTION
@stable
@hypothesis.given(inputs=attention_inputs())
def test_output_equals_torch(f, call, close, inputs):
    close(call(f, *inputs), F.scaled_dot_product_attention(*inputs))


@stable
@hypothesis.given(inputs=attention_inputs())
def test_gradients_equal_torch(gradients, close, inputs):
    close(gradients(scaled_dot_product_attention, *inputs), gradients(F.scaled_dot_product_attention, *inputs))


@CAUSAL
@stable
@hypothesis.given(t=sizes, s=sizes)
def test_each_causal_row_allows_one_key_more_up_to_all(f, call, t, s):
    allowed = call(f, torch.zeros(t, 1), torch.zeros(s, 1))
    counts = allowed.sum(-1)
    assert counts[-1] == s
    assert (counts.diff() == (counts[1:] > 0)).all()
    assert (allowed.int().diff(dim=-1) <= 0).all()  # no key before an allowed one is forbidden


@PADDING
@stable
@hypothesis.given(items=arrays("int64", st.tuples(sizes, sizes), elements=st.integers(0, 3)).map(torch.from_numpy))
def test_padding_mask_allows_as_many_keys_as_there_are_items(f, call, items):
    mask = call(f, items)
    assert mask.shape == (items.shape[0], 1, 1, items.shape[1])
    assert torch.equal(mask.sum((1, 2, 3)), torch.count_nonzero(items, -1))


@COMBINED
@stable
@hypothesis.given(data=st.data(), n=st.integers(1, 4), t=sizes, s=sizes)
def test_combined_mask_allows_what_no_mask_forbids(f, call, data, n, t, s):
    each = [data.draw(booleans(*data.draw(st.sampled_from([(t, s), (1, s), (t, 1), (s,)])))) for _ in range(n)]
    combined = call(f, *each)
    assert torch.equal(~combined, sum((~mask).int() for mask in each) > 0)
