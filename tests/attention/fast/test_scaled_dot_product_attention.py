"""The fast attention against the plain one and against torch's."""

import math

import torch
import torch.nn.functional as F

from recattn_mini.attention.fast.scaled_dot_product_attention import scaled_dot_product_attention
from recattn_mini.attention.scaled_dot_product_attention import scaled_dot_product_attention as plain


def test_equals_the_plain_form(case, call, close):
    inputs = case.q, case.k, case.v, case.mask
    if case.logits_beyond_1000:
        assert (case.q @ case.k.mT / math.sqrt(11)).abs().min() > 1000
    close(call(scaled_dot_product_attention, *inputs), plain(*inputs))


def test_gradients_equal_the_plain_form(case, gradients, close):
    inputs = case.q, case.k, case.v, case.mask
    close(gradients(scaled_dot_product_attention, *inputs), gradients(plain, *inputs))


def test_equals_torch(case, call, close):
    inputs = case.q, case.k, case.v, case.mask
    close(call(scaled_dot_product_attention, *inputs), F.scaled_dot_product_attention(*inputs))


def test_an_empty_row_gives_zeros_and_finite_gradients(normal, gradients):
    q, k, v = normal("b h t d"), normal("b h s d"), normal("b h s e")
    mask = torch.tensor([True, False, True, True, False])[:, None].expand(5, 7)
    assert (scaled_dot_product_attention(q, k, v, mask)[:, :, [1, 4]] == 0).all()
    assert all(g.isfinite().all() for g in gradients(scaled_dot_product_attention, q, k, v, mask))


def test_half_precision_is_as_exact_as_the_plain_form(half, normal, empty_rows, gradients, error):
    wide = [normal(axes) for axes in ("b h t d", "b h s d", "b h s e")]
    narrow = [x.to(half) for x in wide]
    exact = gradients(F.scaled_dot_product_attention, *(x.double() for x in narrow), empty_rows)
    ours = gradients(scaled_dot_product_attention, *narrow, empty_rows)
    theirs = gradients(plain, *narrow, empty_rows)
    for a, b, z in zip(ours, theirs, exact, strict=True):
        assert a.dtype == half
        assert error(a, z) <= 3 * error(b, z)
