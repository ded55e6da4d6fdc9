"""Spec of padding_mask: which keys of a batch of histories are real."""

import torch

from recattn_mini.attention.masks import padding_mask, padding_mask_numpy
from recattn_mini.exercises.spec import drawn_once, right, same, teaching, wrong

LEVEL, MINUTES = "easy", 3
HINTS = (
    "Padding has item id 0, and nobody should attend to it. Which axis of (b h t s) does that concern?",
    "A mask over the last axis, the keys, the same for every head and every query: shape (b 1 1 s).",
    "Compare items with 0, then insert two axes of size 1 after the batch axis.",
)
FORBIDDEN = ()


@drawn_once
def inputs() -> dict[str, tuple]:
    return {
        "left": (torch.tensor([[0, 0, 50, 181, 7], [0, 3, 1, 256, 1682]]),),
        "one": (torch.tensor([[7]]),),
        "right": (torch.tensor([[50, 181, 0, 0, 0, 0, 0], [3, 1, 12, 1682, 7, 9, 0], [8, 1, 2, 3, 4, 5, 6]]),),
        "only padding": (torch.tensor([[0, 0, 0], [0, 0, 4]]),),
        "below 0": (torch.tensor([[0, -1, 5, -7], [0, 0, 0, 3]]),),
        "all sizes equal": (torch.tensor([[0, 0, 1, 2], [0, 3, 4, 5], [0, 0, 0, 6], [0, 7, 8, 9]]),),
        "a view": (torch.tensor([[0, 5, 1], [9, 0, 2], [3, 1, 1], [1, 1, 1]]).T,),
    }


@teaching
def check_left(f):
    "padded on the left: real items are True, in shape (b 1 1 s)"
    same(f(*inputs()["left"]), torch.tensor([[0, 0, 1, 1, 1], [0, 1, 1, 1, 1]]).bool().reshape(2, 1, 1, 5))


def check_right(f):
    "padded on the right, or not at all"
    want = torch.tensor([[1, 1, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1, 0], [1] * 7]).bool()
    same(f(*inputs()["right"]), want.reshape(3, 1, 1, 7))


def check_one(f):
    "one user with one event keeps all four axes"
    same(f(*inputs()["one"]), torch.ones(1, 1, 1, 1, dtype=torch.bool))


def check_only_padding(f):
    "a user without history gets a row of False: zeros are the attention's business"
    same(f(*inputs()["only padding"]), torch.tensor([[0, 0, 0], [0, 0, 1]]).bool().reshape(2, 1, 1, 3))


def check_a_view(f):
    "a transposed batch, with a gap in the middle of a history"
    want = torch.tensor([[0, 1, 1, 1], [1, 0, 1, 1], [1, 1, 1, 1]]).bool()
    same(f(*inputs()["a view"]), want.reshape(3, 1, 1, 4))


def check_below_0(f):
    "only 0 is padding: an id below 0 is an item like others"
    want = torch.tensor([[0, 1, 1, 1], [0, 0, 0, 1]]).bool()
    same(f(*inputs()["below 0"]), want.reshape(2, 1, 1, 4))


@teaching
def check_equal_sizes(f):
    "the same for as many users as events"
    want = torch.tensor([[0, 0, 1, 1], [0, 1, 1, 1], [0, 0, 0, 1], [0, 1, 1, 1]]).bool()
    same(f(*inputs()["all sizes equal"]), want.reshape(4, 1, 1, 4))


@wrong("ids below 0 count as padding: only 0 is, so compare with != 0")
def greater_than_zero(items):
    return (items > 0)[:, None, None, :]


@wrong("ones and zeros: a boolean mask is asked")
def of_numbers(items):
    return (items != 0)[:, None, None, :].long()


@wrong("a float mask of 0 and -inf: a boolean one is asked, True = may be attended to")
def additive(items):
    return torch.zeros(items.shape).masked_fill(items == 0, -torch.inf)[:, None, None, :]


@wrong("the mask has the shape of the scores, (b s s) or more: (b 1 1 s) broadcasts")
def expanded(items):
    return (items != 0)[:, None, None, :].expand(-1, 1, items.shape[1], -1)


@wrong("upside down: True means may attend (nn.MultiheadAttention's key_padding_mask means the opposite)")
def inverted(items):
    return (items == 0)[:, None, None, :]


@wrong("the padding axis must be the keys' axis: (b s) would broadcast as (t s) or not at all. Make it (b 1 1 s)")
def two_axes(items):
    return items != 0


@wrong("this masks queries, not keys: padding is still attended to. The keys' axis is the last, (b 1 1 s)")
def over_queries(items):
    return (items != 0)[:, None, :, None]


@wrong("only one axis was inserted: heads and queries need one each, (b 1 1 s)")
def three_axes(items):
    return (items != 0)[:, None, :]


@wrong("padding is taken to stand on the left: compare each item with 0 instead of counting")
def counted_from_the_right(items):
    return (torch.arange(items.shape[1]) >= (items == 0).sum(1, keepdim=True))[:, None, None, :]


@wrong("padding is taken to stand on the right: compare each item with 0 instead of counting")
def counted_from_the_left(items):
    return (torch.arange(items.shape[1]) < (items != 0).sum(1, keepdim=True))[:, None, None, :]


@wrong("everything after the first real item counts as real: a gap in the middle is padding too")
def after_the_first(items):
    first = (items != 0).int().cumsum(1) > 0
    from_the_end = (items != 0).int().flip(1).cumsum(1).flip(1) > 0
    return (first & from_the_end)[:, None, None, :]


@wrong("a user without history was opened to all padding to avoid NaN: leave False, the attention gives zeros there")
def opened_where_empty(items):
    return ((items != 0) | (items != 0).any(1, keepdim=True).logical_not())[:, None, None, :]


@wrong("everything after the first real item counts as real: histories padded on the right end in padding")
def from_the_first_on(items):
    return ((items != 0).int().cumsum(1) > 0)[:, None, None, :]


@wrong("the first position of a history of nothing but padding was opened to avoid NaN: leave False, zeros come later")
def first_opened_where_empty(items):
    first = (torch.arange(items.shape[1]) == 0) & (items == 0).all(1, keepdim=True)
    return ((items != 0) | first)[:, None, None, :]


@wrong("the last position of a history of nothing but padding was opened to avoid NaN: leave False, zeros come later")
def last_opened_where_empty(items):
    last = (torch.arange(items.shape[1]) == items.shape[1] - 1) & (items == 0).all(1, keepdim=True)
    return ((items != 0) | last)[:, None, None, :]


@wrong("queries are masked as well as keys: (b 1 s s). Keys are enough, and rows of padding are nobody's business")
def outer_product(items):
    return (items != 0)[:, None, None, :] & (items != 0)[:, None, :, None]


@wrong("all axes of size 1 are squeezed away before two are inserted: a batch of one loses its axis")
def squeezed_before(items):
    real = (items != 0).squeeze()
    return real.reshape(*real.shape[:-1], 1, 1, real.shape[-1]) if real.dim() else real


@wrong("the ids pass through 8 bits: every multiple of 256 becomes padding")
def through_a_byte(items):
    return items.to(torch.uint8).ne(0)[:, None, None, :]


@wrong("item 1 counts as padding: only 0 is (> 0, not > 1)")
def item_one_too(items):
    return (items > 1)[:, None, None, :]


@wrong("the last position is always kept: right-padded histories end in padding")
def last_is_kept(items):
    return ((items != 0) | ((torch.arange(items.shape[1]) == items.shape[1] - 1) & (items != 0).any(1, keepdim=True)))[
        :, None, None, :
    ]


@right
def reshaped(items):
    b, s = items.shape
    return items.ne(0).reshape(b, 1, 1, s)


@right
def as_a_truth_value(items):
    return items.bool().unsqueeze(1).unsqueeze(1)
