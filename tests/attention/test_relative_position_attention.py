import math

import pytest
import torch
import torch.nn.functional as F

from recattn_mini.attention.relative_position_attention import (
    relative_position_attention,
    relative_position_attention_numpy,
)

BOTH = pytest.mark.parametrize("f", [relative_position_attention, relative_position_attention_numpy])


def clipped(distance, m):
    return max(-m, min(m, distance)) + m


def of_one_query(query, stands_at, keys, values, relative_k, relative_v, allowed):
    """The sum over keys of α_j (v_j + r_ij), of Python's own floats, with an r_ij that is a list for each pair."""
    m = len(relative_k) // 2
    r_k = [relative_k[clipped(j - stands_at, m)] for j in range(len(keys))]
    r_v = [relative_v[clipped(j - stands_at, m)] for j in range(len(keys))]
    scores = [
        math.fsum(a * (b + c) for a, b, c in zip(query, key, r, strict=True)) / math.sqrt(len(query))
        for key, r in zip(keys, r_k, strict=True)
    ]
    top = max((x for x, yes in zip(scores, allowed, strict=True) if yes), default=0.0)
    parts = [math.exp(x - top) if yes else 0.0 for x, yes in zip(scores, allowed, strict=True)]
    total = math.fsum(parts) or 1.0
    return [
        math.fsum(part / total * (value[i] + r[i]) for part, value, r in zip(parts, values, r_v, strict=True))
        for i in range(len(values[0]))
    ]


def loop_over_floats(q, k, v, relative_k, relative_v, mask=None):
    (*leading, t, _), s = q.shape, k.shape[-2]
    mask = torch.ones(t, s, dtype=torch.bool) if mask is None else mask
    tables = relative_k.tolist(), relative_v.tolist()
    users = zip(*(x.reshape(-1, *x.shape[-2:]).tolist() for x in (q, k, v, mask.expand(*leading, t, s))), strict=True)
    out = [
        of_one_query(query, i + s - t, keys, values, *tables, allowed)
        for queries, keys, values, rows in users
        for i, (query, allowed) in enumerate(zip(queries, rows, strict=True))
    ]
    return torch.tensor(out, dtype=torch.float64).reshape(*leading, t, v.shape[-1])


@pytest.fixture(params=[0, 1, 2, 9], ids="m={}".format)
def tables(request, normal):
    """2m+1 rows: the query's own place alone, clipped, clipped on one side, never clipped."""
    rows = 2 * request.param + 1
    return normal("a d")[:rows], normal("a e")[:rows]


@BOTH
def test_equals_a_loop_over_floats(f, case, tables, call, close):
    inputs = case.q, case.k, case.v, *tables, case.mask
    close(call(f, *inputs), loop_over_floats(*inputs))


@BOTH
def test_worked_by_hand(f, call, close, tensor):
    """m = 1, one score of log 3 where the key stands one step back, nothing else: odds of 3 to 1 for it."""
    one, keys = tensor([[1]] * 3), tensor([[0]] * 3)
    relative_k, relative_v = tensor([[math.log(3)], [0], [0]]), tensor([[0], [0], [100]])
    values = tensor([[4], [8], [12]])
    # query 0: keys 0, 1, 2 are at 0, +1, +2: even odds, two thirds lie ahead; 24/3 + 200/3
    # query 1: -1, 0, +1: odds 3 1 1; (12 + 8 + 12)/5 + 100/5.  query 2: -2, -1, 0: odds 3 3 1; (12 + 24 + 12)/7
    expected = tensor([[224 / 3], [132 / 5], [48 / 7]])
    close(call(f, one, keys, values, relative_k, relative_v), expected)


@BOTH
def test_tables_of_zeros_leave_plain_attention(f, case, call, close):
    zeros = torch.zeros(5, 11, dtype=torch.float64), torch.zeros(5, 13, dtype=torch.float64)
    expected = F.scaled_dot_product_attention(case.q, case.k, case.v, case.mask)
    close(call(f, case.q, case.k, case.v, *zeros, case.mask), expected)


@BOTH
def test_a_distance_that_nobody_has_changes_nothing(f, normal, call, close):
    """7 keys, 5 queries, the last on the last: from -6 to +4. Tables up to 9 or up to 6 then say the same."""
    q, k, v, relative_k, relative_v = (normal(axes) for axes in ("b t d", "b s d", "b s e", "a d", "a e"))
    close(call(f, q, k, v, relative_k, relative_v), call(f, q, k, v, relative_k[3:-3], relative_v[3:-3]))


@BOTH
def test_the_same_for_all_distances(f, case, tables, call, close, normal):
    """More q·c for every key of a row is forgotten by the softmax; more c for every value comes out as c."""
    inputs, (relative_k, relative_v) = (case.q, case.k, case.v), tables
    plain = call(f, *inputs, relative_k, relative_v, case.mask)
    close(call(f, *inputs, relative_k + normal("d"), relative_v, case.mask), plain)
    c, nobody = normal("e"), torch.zeros(1, dtype=torch.float64)
    if case.mask is not None:
        nobody = (~case.mask.expand(*case.q.shape[:-1], -1).any(-1, keepdim=True)).double()
    close(call(f, *inputs, relative_k, relative_v + c, case.mask), plain + c * (1 - nobody))


@BOTH
def test_later_queries_alone_stand_on_the_last_keys(f, normal, tables, call, close):
    x, v = normal("b s d"), normal("b s e")
    close(call(f, x[:, -2:], x, v, *tables), call(f, x, x, v, *tables)[:, -2:])


@BOTH
def test_order_counts_with_tables_and_not_without(f, normal, call, close):
    x, v, order = normal("b t d"), normal("b t e"), torch.tensor([3, 0, 4, 1, 2])
    relative_k, relative_v = normal("h d"), normal("h e")

    def permuted_and_not(*tables):
        return call(f, x[:, order], x[:, order], v[:, order], *tables), call(f, x, x, v, *tables)[:, order]

    close(*permuted_and_not(0 * relative_k, 0 * relative_v))
    for tables in [(relative_k, 0 * relative_v), (0 * relative_k, relative_v)]:  # each of them alone does it
        one, other = permuted_and_not(*tables)
        assert (one - other).abs().amax(-1).min() > 0.01


@BOTH
def test_far_away_is_far_away(f, normal, call, close):
    """Beyond m, the order of keys is not seen."""
    q, k, v, tables = normal("b h d")[:, -1:], normal("b s d"), normal("b s e"), (normal("h d"), normal("h e"))
    order = torch.tensor([2, 0, 5, 1, 4, 3, 6])  # the last key has distance 0, all before it are clipped to -1
    close(call(f, q, k[:, order], v[:, order], *tables), call(f, q, k, v, *tables))


def test_a_long_history_in_half_precision(half, device):
    """4,000 equal weights, all but one clipped to one row: one after the other, half precision would lose most."""
    s = 4000
    q, k, zero = (torch.zeros(n, 1, dtype=half, device=device) for n in (1, s, 3))
    out = relative_position_attention(q, k, k, zero, torch.tensor([[1], [0], [0]], dtype=half, device=device))
    assert abs(out.item() - (s - 1) / s) < 2e-2


@BOTH
def test_tables_have_a_middle(f, normal, call):
    with pytest.raises(ValueError, match=r"^relative_k must have 2m\+1 rows, for distances from -m to m, got 2$"):
        call(f, *(normal(axes) for axes in ("b t d", "b s d", "b s e", "b d", "b e")))


@BOTH
def test_tables_have_the_same_distances(f, normal, call):
    with pytest.raises(ValueError, match=r"^relative_v must be \(distances e\), distances = 3 as in relative_k"):
        call(f, *(normal(axes) for axes in ("b t d", "b s d", "b s e", "h d", "t e")))
