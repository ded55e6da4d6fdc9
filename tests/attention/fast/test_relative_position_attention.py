"""The fast form of Shaw's relative positions against the plain one, and what it does not build."""

import pytest
import torch
import torch.nn.functional as F

from recattn_mini.attention.fast.relative_position_attention import relative_position_attention
from recattn_mini.attention.relative_position_attention import relative_position_attention as plain


@pytest.fixture(params=[0, 1, 2, 9], ids="m={}".format)
def tables(request, normal):
    """2m+1 rows: the query's own place alone, clipped, clipped on one side, never clipped."""
    rows = 2 * request.param + 1
    return normal("a d")[:rows], normal("a e")[:rows]


def test_equals_the_plain_form(case, tables, call, close):
    inputs = case.q, case.k, case.v, *tables, case.mask
    close(call(relative_position_attention, *inputs), plain(*inputs))


def test_gradients_equal_the_plain_form(case, tables, gradients, close):
    inputs = case.q, case.k, case.v, *tables, case.mask
    close(gradients(relative_position_attention, *inputs), gradients(plain, *inputs))


def test_tables_of_zeros_leave_torchs_attention(case, call, close):
    zeros = torch.zeros(5, 11, dtype=torch.float64), torch.zeros(5, 13, dtype=torch.float64)
    expected = F.scaled_dot_product_attention(case.q, case.k, case.v, case.mask)
    close(call(relative_position_attention, case.q, case.k, case.v, *zeros, case.mask), expected)


def test_nothing_to_attend_to_gives_zeros_and_finite_gradients(normal, tables, gradients):
    inputs = normal("b t d"), normal("b s d"), normal("b s e"), *tables
    mask = torch.tensor([True, False, True, True, False])[:, None].expand(5, 7)
    assert (relative_position_attention(*inputs, mask)[:, [1, 4]] == 0).all()
    assert all(g.isfinite().all() for g in gradients(relative_position_attention, *inputs, mask))


def test_a_long_history_in_half_precision(half):
    """4,000 equal weights, all but one clipped to one row: one after the other, half precision would lose most."""
    s = 4000
    q, k, zero = (torch.zeros(n, 1, dtype=half) for n in (1, s, 3))
    out = relative_position_attention(q, k, k, zero, torch.tensor([[1], [0], [0]], dtype=half))
    assert abs(out.item() - (s - 1) / s) < 2e-2


def largest_kept(f, *arguments):
    """How many numbers the largest tensor has that is kept for the backward pass."""
    sizes = []

    def note(x):
        sizes.append(x.numel())
        return x

    with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
        f(*(x.requires_grad_() for x in arguments))
    return max(sizes)


def test_no_vector_for_each_pair_is_built(normal):
    inputs = [normal(axes) for axes in ("b t d", "b s d", "b s e", "h d", "h e")]
    assert largest_kept(plain, *inputs) >= 2 * 5 * 7 * 11
    assert largest_kept(relative_position_attention, *inputs) < 2 * 5 * 7 * 11


def test_tables_have_a_middle(normal):
    with pytest.raises(ValueError, match=r"^relative_k must have 2m\+1 rows, for distances from -m to m, got 2$"):
        relative_position_attention(*(normal(axes) for axes in ("b t d", "b s d", "b s e", "b d", "b e")))
