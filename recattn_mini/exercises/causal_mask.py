"""Spec of causal_mask: yourself and what came before, with the last query on the last key."""

import torch

from recattn_mini.attention.masks import causal_mask, causal_mask_numpy
from recattn_mini.exercises._spec import random_tensors, right, same, teaching, wrong

LEVEL, MINUTES = "easy", 5
HINTS = (
    "Write down, for every query, at which position among the keys it stands.",
    "With a KV cache there are more keys than queries: the last query stands on the last key, so query i stands at "
    "i + (s - t).",
    "Compare arange(s) as a row with the queries' positions as a column: key position <= query position.",
)
FORBIDDEN = ("torch.nn.attention.bias.causal_lower_right", "torch.nn.Transformer.generate_square_subsequent_mask")


def inputs() -> dict[str, tuple]:
    sizes = {"as many": (5, 5), "a cache": (3, 7), "one new query": (1, 7), "more queries": (7, 3), "one": (1, 1)}
    cases = {name: tuple(random_tensors((2, 3, t, 11), (2, 3, s, 11))) for name, (t, s) in sizes.items()}
    view, _ = random_tensors((7, 5), (1,))
    return {**cases, "no batch": (view.T, view.T[:4])}


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


@wrong("aligned top left: with a cache the last query must stand on the last key. Shift by s - t")
def top_left(q, k):
    return torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool).tril()


@wrong("a query may not see itself here: the diagonal belongs to it (<=, not <)")
def strictly_before(q, k):
    return _shifted(q, k, -1)


@wrong("every query sees one key of the future: off by one")
def one_ahead(q, k):
    return _shifted(q, k, 1)


@wrong("the mask is upside down: it shows the future and hides the past. True means may attend")
def inverted(q, k):
    return ~causal_mask(q, k)


@wrong("the upper triangle: rows are queries, columns are keys")
def transposed(q, k):
    t, s = q.shape[-2], k.shape[-2]
    return torch.ones(t, s, dtype=torch.bool).triu(s - t)


@wrong("everything may be attended to: nothing is causal yet")
def everything(q, k):
    return torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool)


@wrong("one new query sees the first key only: SDPA's is_causal aligns top left too. It stands on the last key")
def first_key_only_for_one(q, k):
    return top_left(q, k) if q.shape[-2] == 1 else causal_mask(q, k)


@wrong("with a cache the new queries see each other's future: the mask is needed among themselves")
def no_mask_with_a_cache(q, k):
    return everything(q, k) if q.shape[-2] < k.shape[-2] else causal_mask(q, k)


@wrong("with more queries than keys s - t is negative: do not clip it, those queries stand before every key")
def clipped(q, k):
    t, s = q.shape[-2], k.shape[-2]
    return torch.arange(s) <= torch.arange(t)[:, None] + max(s - t, 0)


def _shifted(q, k, by):
    t, s = q.shape[-2], k.shape[-2]
    return torch.arange(s) <= torch.arange(t)[:, None] + (s - t + by)


@right
def lower_triangle(q, k):
    t, s = q.shape[-2], k.shape[-2]
    return torch.ones(t, s, dtype=torch.bool, device=q.device).tril(s - t)


@right
def double_loop(q, k):
    t, s = q.shape[-2], k.shape[-2]
    return torch.tensor([[t - 1 - i <= s - 1 - j for j in range(s)] for i in range(t)])
