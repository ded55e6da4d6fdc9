"""Spec of causal_mask: yourself and what came before, with the last query on the last key."""

import torch

from recattn_mini.attention.masks import causal_mask, causal_mask_numpy
from recattn_mini.exercises.spec import drawn_once, random_tensors, right, same, teaching, wrong

LEVEL, MINUTES = "easy", 5
HINTS = (
    "Write down, for every query, at which position among the keys it stands.",
    "With a KV cache there are more keys than queries: the last query stands on the last key, so query i stands at "
    "i + (s - t).",
    "Compare arange(s) as a row with the queries' positions as a column: key position <= query position. Or take the "
    "lower triangle of ones (t s), with its diagonal shifted by s - t.",
)
FORBIDDEN = ("torch.nn.attention.bias.causal_lower_right", "torch.nn.Transformer.generate_square_subsequent_mask")


@drawn_once
def inputs() -> dict[str, tuple]:
    sizes = {"as many": (5, 5), "a cache": (3, 7), "one new query": (1, 7), "more queries": (7, 3), "one": (1, 1)}
    cases = {name: tuple(random_tensors((2, 3, t, 11), (2, 3, s, 13))) for name, (t, s) in sizes.items()}
    view, square = random_tensors((7, 5), (4, 4, 4, 4))
    return {**cases, "no batch": (view.T, view.T), "all sizes equal": (square, square)}


def _rows(*rows: str) -> torch.Tensor:
    return torch.tensor([[mark == "1" for mark in row] for row in rows])


@teaching
def check_square(f):
    "as many queries as keys: the lower triangle, with the diagonal"
    same(f(*inputs()["as many"]), _rows("10000", "11000", "11100", "11110", "11111"))


def check_cache(f):
    "3 new queries, 7 keys in the cache: the last query sees all of them"
    same(f(*inputs()["a cache"]), _rows("1111100", "1111110", "1111111"))


def check_one_new_query(f):
    "one new query sees every key: decoding hides nothing"
    same(f(*inputs()["one new query"]), _rows("1111111"))


def check_more_queries(f):
    "more queries than keys: the first ones stand before every key and see nothing"
    same(f(*inputs()["more queries"]), _rows("000", "000", "000", "000", "100", "110", "111"))


def check_axes(f):
    "the positions are the last axis but one, whatever stands before it; the mask has two axes"
    same(f(*inputs()["no batch"]), _rows("10000", "11000", "11100", "11110", "11111"))
    same(f(*inputs()["all sizes equal"]), _rows("1000", "1100", "1110", "1111"))


@wrong("aligned top left: with a cache the last query must stand on the last key. Shift by s - t")
def top_left(q, k):
    return everything(q, k).tril()


@wrong("a query may not see itself here: the diagonal belongs to it (<=, not <)")
def strictly_before(q, k):
    return _shifted(q, k, k.shape[-2] - q.shape[-2] - 1)


@wrong("every query sees one key of the future: off by one")
def one_ahead(q, k):
    return _shifted(q, k, k.shape[-2] - q.shape[-2] + 1)


@wrong("the mask is upside down: it shows the future and hides the past. True means may attend")
def inverted(q, k):
    return ~causal_mask(q, k)


@wrong("the upper triangle: rows are queries, columns are keys")
def transposed(q, k):
    return everything(q, k).triu(k.shape[-2] - q.shape[-2])


@wrong("everything may be attended to: nothing is causal yet")
def everything(q, k):
    return torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool, device=q.device)


@wrong("nn.Transformer's mask: there True means blocked, and it is aligned top left. Here True means may attend")
def blocked_top_left(q, k):
    return ~top_left(q, k)


@wrong("the shift has the wrong sign: query i stands at i + (s - t)")
def shifted_the_wrong_way(q, k):
    return _shifted(q, k, q.shape[-2] - k.shape[-2])


@wrong("one new query and no cache are right, several queries on a cache are aligned top left: shift by s - t always")
def prefill_or_decode(q, k):
    return everything(q, k) if q.shape[-2] == 1 else top_left(q, k)


@wrong("one new query sees the first key only: SDPA's is_causal aligns top left too. It stands on the last key")
def first_key_only_for_one(q, k):
    return top_left(q, k) if q.shape[-2] == 1 else causal_mask(q, k)


@wrong("with a cache the new queries see each other's future: the mask is needed among themselves")
def no_mask_with_a_cache(q, k):
    return everything(q, k) if q.shape[-2] < k.shape[-2] else causal_mask(q, k)


@wrong("with more queries than keys s - t is negative: do not clip it, those queries stand before every key")
def clipped(q, k):
    return _shifted(q, k, max(k.shape[-2] - q.shape[-2], 0))


@wrong("the axes are counted from the front, shape[2]: count from the back, shape[-2], there may be any number")
def counted_from_the_front(q, k):
    return causal_mask(q[..., :1].flatten(2, -1)[0, 0][:, None], k[..., :1].flatten(2, -1)[0, 0][:, None])


@wrong("sizes are those of the first axis, shape[0]: positions are the last axis but one, shape[-2]")
def sizes_of_the_first_axis(q, k):
    return causal_mask(q.flatten(1)[:, None].transpose(0, 1), k.flatten(1)[:, None].transpose(0, 1))


@wrong("sizes are those of the second axis, shape[1]: positions are the last axis but one, shape[-2]")
def sizes_of_the_second_axis(q, k):
    return sizes_of_the_first_axis(q.transpose(0, 1), k.transpose(0, 1))


@wrong("sizes are the widths, shape[-1]: positions are the last axis but one, shape[-2]")
def sizes_of_the_width(q, k):
    return causal_mask(q.mT, k.mT)


@wrong("the mask is square, (t t): with a cache there are more keys than queries")
def square_of_queries(q, k):
    return causal_mask(q, q)


@wrong("the mask is square, (s s): one row for each query is asked, (t s)")
def square_of_keys(q, k):
    return causal_mask(k, k)


@wrong("the mask has the leading axes of q: two axes (t s) are enough, and broadcast")
def batched(q, k):
    return causal_mask(q, k).expand(*q.shape[:-2], -1, -1)


@wrong("a float mask of 0 and -inf, as nn.Transformer has it: a boolean one is asked, True = may attend")
def additive(q, k):
    return torch.zeros(q.shape[-2], k.shape[-2], dtype=q.dtype, device=q.device).masked_fill(
        ~causal_mask(q, k), -torch.inf
    )


@wrong("ones and zeros in the dtype of q: a boolean mask is asked")
def of_numbers(q, k):
    return causal_mask(q, k).to(q.dtype)


def _shifted(q, k, by):
    return everything(q, k).tril(by)


@right
def compared_positions(q, k):
    keys, queries = (torch.arange(x.shape[-2], device=q.device) for x in (k, q))
    return keys <= queries[:, None] + (len(keys) - len(queries))


@right
def double_loop(q, k):
    t, s = q.shape[-2], k.shape[-2]
    return torch.tensor([[t - 1 - i <= s - 1 - j for j in range(s)] for i in range(t)], device=q.device)
