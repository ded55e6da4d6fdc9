"""What specs of multi-head attention share: the mistakes of projecting, splitting, masking and joining heads.

`multi_head` is the answer with its parts as keyword arguments. A spec takes all mistakes of these,
`mistakes_of_heads(answer)`, where `answer` hands the keyword arguments on to `multi_head`.
"""

import math
from collections.abc import Callable, Iterable

import torch

from recattn_mini.attention.masks import masked_scores
from recattn_mini.attention.multi_head_attention import join_heads, split_heads
from recattn_mini.attention.softmax import softmax
from recattn_mini.exercises.spec import but, mistakes_of
from recattn_mini.exercises.spec.attention import (
    ATTENDING,
    attend,
    lowest_of_the_dtype,
    mistakes_of_attending,
    mistakes_of_scaling,
    named,
    root_of_width,
)


def projected(q, k, v, w_q, w_k, w_v):
    """Each by its own weight, which is (out in)."""
    return q @ w_q.mT, k @ w_k.mT, v @ w_v.mT


def multi_head(
    q,
    k,
    v,
    w_q,
    w_k,
    w_v,
    w_o,
    h,
    mask=None,
    *,
    project=projected,
    split=split_heads,
    swap=lambda k: k.mT,
    scale=root_of_width,
    attend=attend,
    join=join_heads,
    out=lambda w_o: w_o.mT,
    finish=lambda out, q: out,
):
    """What is right, with what can go wrong as keyword arguments."""
    of_q, of_k, of_v = (split(x, h) for x in project(q, k, v, w_q, w_k, w_v))
    heads = attend(of_q @ swap(of_k) / scale(of_q, of_k, of_v), of_v, mask)
    return finish(join(heads) @ out(w_o), q)


def viewed(x, h):
    return x.reshape(x.shape[0], h, x.shape[1], x.shape[2] // h)


def interleaved_columns(x, h):
    return x.unflatten(-1, (-1, h)).movedim(-1, 1)


def _flat(heads):
    return heads.reshape(len(heads), heads.shape[2], -1)


def _weights_averaged(scores, v, mask):
    return softmax(masked_scores(scores, mask)).mean(1, keepdim=True) @ v


def _softmax_over_heads(scores, v, mask):
    return softmax(masked_scores(scores, mask).movedim(1, -1)).movedim(-1, 1) @ v


def _masked_by(change):
    return lambda scores, v, mask: attend(scores, v, mask if mask is None else change(mask, scores))


def _as_they_are(q, k, v, w_q, w_k, w_v):
    return q @ w_q, k @ w_k, v @ w_v


def first_head_alone(*lead: int, t: int, s: int) -> torch.Tensor:
    """A mask (*lead t s) with which the first head may attend to everything, the others to nothing."""
    return (torch.arange(lead[1]) == 0)[:, None, None].repeat(lead[0], 1, t, s)


def _zeros_where_no_head_attends(scores, v, mask):
    out = lowest_of_the_dtype(scores, v, mask)
    return out if mask is None else out * mask.expand(scores.shape).any(-1, keepdim=True).any(1, keepdim=True)


MISTAKES: dict[str, tuple[str, dict[str, Callable]]] = {
    "split_without_swap": (
        "the heads are split by view(b, h, t, a/h): a head gets whole positions. View (b, t, h, a/h), swap 1 and 2",
        {"split": viewed},
    ),
    "joined_without_swap": (
        "the heads are joined without swapping back: (b h t a/h) must become (b t h a/h) before it is flattened",
        {"join": _flat},
    ),
    "neither_swapped": (
        "the heads are split and joined by view alone, which mixes positions and heads: swap axes 1 and 2 both times",
        {"split": viewed, "join": _flat},
    ),
    "joined_by_transpose": (
        "joined as (a/h h), each column of all heads side by side: a head is one slice of columns, so flatten (h a/h)",
        {"join": lambda heads: heads.permute(0, 2, 3, 1).flatten(2)},
    ),
    "heads_attend_to_heads": (
        "the heads stay behind the positions, (b t h a/h): heads attend to heads. Swap axes 1 and 2 before attending",
        {"split": lambda x, h: x.unflatten(-1, (h, -1)), "join": lambda heads: heads.flatten(2)},
    ),
    "interleaved": (
        "the heads are interleaved, columns i, i + h, …: view (b, t, h, a/h), not (b, t, a/h, h). A head is one slice",
        {"split": interleaved_columns, "join": lambda heads: heads.movedim(1, -1).flatten(2)},
    ),
    "split_interleaved": (
        "split into columns i, i + h, …, yet joined as slices: view(b, t, h, a/h), not (b, t, a/h, h)",
        {"split": interleaved_columns},
    ),
    "users_and_heads_mixed": (
        "heads stacked in front of the batch, (h·b t a/h), are read back as (b·h t a/h): users and heads change places",
        {"join": lambda heads: join_heads(heads.transpose(0, 1).reshape(heads.shape))},
    ),
    "keys_reshaped": (
        "the keys of a head are reshaped to (a/h s), which mixes up their numbers: swap the last two axes",
        {"swap": lambda k: k.reshape(*k.shape[:2], k.shape[3], k.shape[2])},
    ),
    "h_is_the_width": (
        "h is taken for the width of a head: there are h heads of width a/h",
        {"split": lambda x, h: split_heads(x, x.shape[-1] // h)},
    ),
    "one_head": ("h is not used: this is one head of the whole width", {"split": lambda x, h: split_heads(x, 1)}),
    "by_the_whole_width": (
        "scaled by the root of the whole width: a head's products are sums of a/h terms, so divide by √(a/h)",
        {"scale": lambda q, k, v: math.sqrt(q.shape[1] * q.shape[-1])},
    ),
    "by_the_number_of_heads": (
        "scaled by the root of the number of heads: it is the width of a head, a/h, that a product sums over",
        {"scale": lambda q, k, v: math.sqrt(q.shape[1])},
    ),
    "scaled_too_late": (
        "scaled after the softmax: the weights no longer sum to 1. Divide the scores",
        {"scale": lambda q, k, v: 1.0, "attend": lambda scores, v, mask: attend(scores, v / v.shape[-1] ** 0.5, mask)},
    ),
    "by_the_width_of_q": (
        "scaled by √(d/h), with the width that q came in with: the products are of projected q and k, so it is √(a/h)",
        {"project": lambda q, k, v, *w: projected(q * math.sqrt(len(w[0]) / q.shape[-1]), k, v, *w)},
    ),
    "not_transposed": (
        "multiplied by w_q, w_k, w_v as they are: a weight is (out in), so it is x @ w.T",
        {"project": _as_they_are},
    ),
    "values_by_w_k": (
        "the values are projected by w_k: they have a projection of their own, w_v",
        {"project": lambda q, k, v, w_q, w_k, w_v: projected(q, k, v, w_q, w_k, w_k)},
    ),
    "keys_by_w_q": (
        "the keys are projected by w_q: they have a projection of their own, w_k",
        {"project": lambda q, k, v, w_q, w_k, w_v: projected(q, k, v, w_q, w_q, w_v)},
    ),
    "one_projection": (
        "keys and values are projected by w_q too: each has a projection of its own, w_k and w_v",
        {"project": lambda q, k, v, w_q, w_k, w_v: projected(q, k, v, w_q, w_q, w_q)},
    ),
    "keys_and_values_swapped": (
        "w_k and w_v have changed places: w_k projects the keys, w_v the values",
        {"project": lambda q, k, v, w_q, w_k, w_v: projected(q, k, v, w_q, w_v, w_k)},
    ),
    "values_not_projected": (
        "the values are split as they came: they have a projection of their own, w_v",
        {"project": lambda q, k, v, w_q, w_k, w_v: (q @ w_q.mT, k @ w_k.mT, v)},
    ),
    "nothing_projected": (
        "q, k and v are split as they came: project them first, each by its own weight",
        {"project": lambda q, k, v, w_q, w_k, w_v: (q, k, v)},
    ),
    "w_o_not_transposed": (
        "multiplied by w_o as it is: a weight is (out in), so it is heads @ w_o.T",
        {"out": lambda w_o: w_o},
    ),
    "nothing_transposed": (
        "no weight is transposed, and as all are square nobody complains: a weight is (out in), so it is x @ w.T",
        {"project": _as_they_are, "out": lambda w_o: w_o},
    ),
    "w_o_missing": (
        "w_o is missing: without it no output mixes what different heads found",
        {"out": lambda w_o: torch.eye(w_o.shape[1], dtype=w_o.dtype, device=w_o.device)},
    ),
    "residual_added": (
        "q is added at the end: the residual belongs to the block around attention",
        {"finish": lambda out, q: out + q},
    ),
    "mean_of_the_heads": (
        "the mean of the heads: each has columns of its own, side by side, and w_o mixes them",
        {"join": lambda heads: join_heads(heads.mean(1, keepdim=True).expand_as(heads))},
    ),
    "weights_averaged": (
        "the weights are averaged over the heads: every head weighs its own values by its own weights",
        {"attend": _weights_averaged},
    ),
    "softmax_over_heads": (
        "the softmax runs over the heads: the weights of one query, over the keys, must sum to 1 in each head",
        {"attend": _softmax_over_heads},
    ),
    "first_head_masked": (
        "the mask reaches the first head only: it has to broadcast over all heads",
        {
            "attend": _masked_by(
                lambda mask, scores: mask | (torch.arange(scores.shape[1], device=mask.device) > 0)[:, None, None]
            )
        },
    ),
    "mask_of_the_first_head": (
        "the first head's mask serves all heads: a mask (b h t s) has one for each",
        {"attend": _masked_by(lambda mask, scores: mask[:, :1] if mask.dim() == 4 else mask)},
    ),
    "mask_with_one_axis_more": (
        "mask[:, None] makes room for the heads in a mask (b t s): this one broadcasts to (b h t s) as it is",
        {"attend": _masked_by(lambda mask, scores: mask[:, None])},
    ),
    "mask_with_two_axes_more": (
        "mask[:, None, None] is for a mask (b s): this one broadcasts to (b h t s) as it is",
        {"attend": _masked_by(lambda mask, scores: mask[:, None, None])},
    ),
    "zeros_where_no_head_attends": (
        "zeros only where no head may attend, else an empty head gets a plain mean: each head gives zeros by itself",
        {"attend": _zeros_where_no_head_attends},
    ),
    "causal_instead": (
        "a causal mask, as in nanoGPT, in place of the mask that is given",
        {
            "attend": _masked_by(
                lambda mask, scores: torch.ones(scores.shape[-2:], dtype=torch.bool, device=mask.device).tril()
            )
        },
    ),
    "masks_of_other_users": (
        "heads folded into the batch, (b·h t s), need each user's mask h times in a row: repeat_interleave, not repeat",
        {
            "attend": _masked_by(
                lambda mask, scores: mask.expand(scores.shape)[:, 0].repeat(scores.shape[1], 1, 1).view_as(scores)
            )
        },
    ),
    "masks_in_the_order_of_users": (
        "heads stacked in front of the batch, (h·b t s), need the masks of all users h times over: repeat, not expand",
        {
            "attend": _masked_by(
                lambda mask, scores: mask.expand(scores.shape).reshape(scores.transpose(0, 1).shape).transpose(0, 1)
            )
        },
    ),
}


def mistakes_of_heads(
    answer: Callable, without: Iterable[str] = (), attending: Iterable[Callable] = ATTENDING
) -> list[Callable]:
    """The answer with every known mistake of its heads, scale, weights and masks, but those that are none there."""
    found = named(MISTAKES, [but(answer, hint, **parts) for hint, parts in MISTAKES.values()])
    found += mistakes_of_scaling(answer, "a/h, the width of a head", "√(a/h)", without=["by_width_of_v"])
    found += mistakes_of(answer, attend={bad.__name__: (bad.hint, bad) for bad in attending})  # type: ignore[attr-defined]
    return [bad for bad in found if bad.__name__ not in without]
