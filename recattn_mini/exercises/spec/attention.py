"""What specs of attention share: inputs of every kind, and the mistakes of scaling, masking and weighing.

A spec writes its answer once, with what can go wrong as keyword arguments,

    def answer(q, k, v, mask=None, *, scale=root_of_width, attend=attend):
        return attend(q @ k.mT / scale(q, k, v), v, mask)

and takes every mistake of these parts, `mistakes_of_scaling(answer)` and `mistakes_of_attending(answer)`.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

import numpy as np
import torch
import torch.nn.functional as F

from recattn_mini.attention.masks import masked_scores
from recattn_mini.attention.softmax import softmax
from recattn_mini.exercises.spec import but, random_tensors, wrong

Tensor = torch.Tensor


def random_views(*shapes: tuple[int, ...], seed: int) -> list[Tensor]:
    """Random tensors that are not contiguous: their axes lie in memory the other way round."""
    return [x.permute(*reversed(range(x.dim()))) for x in random_tensors(*(shape[::-1] for shape in shapes), seed=seed)]


def masks(*lead: int, t: int, s: int) -> dict[str, Tensor]:
    """Masks of every number of axes that broadcasts to (*lead t s); in each of them a query may attend to something."""
    rng = np.random.RandomState(0)

    def some(*shape: int) -> Tensor:
        mask = torch.from_numpy(rng.rand(*shape, t, s) < 0.6)
        mask[..., s // 3] = True
        return mask

    padding = torch.ones(lead[0], *[1] * (len(lead) - 1), 1, s, dtype=torch.bool)
    for user in range(lead[0]):
        padding[user, ..., : s - 2 - user] = False  # padding on the left, of another length for each user
    found = {"a mask": some(), "padding": padding, "a mask of its own for each": some(*lead)}
    return {**found, "a mask of three axes": some(lead[1])} if len(lead) > 1 else found


def nobody(*lead: int, t: int, s: int) -> Tensor:
    """A mask (*lead t s) with which every second query may attend to nothing, and the others to everything."""
    return (torch.arange(t) % 2 == 0)[:, None].repeat(*lead, 1, s)


def lowest_masked(scores: Tensor) -> Tensor:
    """A mask that leaves each query the three keys of its lowest scores, however low these are."""
    return scores <= scores.kthvalue(3, -1, keepdim=True).values


def attend(scores: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """What is right: softmax over the keys, -inf where the mask says no, zeros where there is nothing to attend to."""
    return softmax(masked_scores(scores, mask)) @ v


def root_of_width(q: Tensor, k: Tensor, v: Tensor) -> float:
    """What scores are divided by."""
    return math.sqrt(q.shape[-1])


def mistakes_of_scaling(
    answer: Callable, width: str = "d, the width of q and k", root: str = "√d", without: Iterable[str] = ()
) -> list[Callable]:
    """The answer, its scores divided by something else, but what is the same there.

    `width` and `root` are what the hints call the right one.
    """
    scales = {
        "not_scaled": (f"the scale is missing: divide the scores by {root}", lambda q, k, v: 1.0),
        "by_the_width": (f"divided by the width itself: it is {root}, its root", lambda q, k, v: q.shape[-1]),
        "multiplied": (f"multiplied by {root}: divide by it", lambda q, k, v: q.shape[-1] ** -0.5),
        "by_width_of_v": (f"scaled by the width of v: it is {width}", lambda q, k, v: math.sqrt(v.shape[-1])),
        "by_number_of_keys": (f"scaled by the number of keys: it is {width}", lambda q, k, v: math.sqrt(k.shape[-2])),
        "by_number_of_queries": (
            f"scaled by the number of queries: it is {width}",
            lambda q, k, v: math.sqrt(q.shape[-2]),
        ),
    }
    some = {name: mistake for name, mistake in scales.items() if name not in without}
    return named(some, [but(answer, hint, scale=scale) for hint, scale in some.values()])


def mistakes_of_attending(
    answer: Callable, without: Iterable[str] = (), hints: Mapping[str, str] = MappingProxyType({})
) -> list[Callable]:
    """The answer with every known mistake between its scores and its output, but those that cannot be told there.

    `hints` are by name, for a spec that has no queries and keys to speak of.
    """
    names = [bad.__name__ for bad in ATTENDING if bad.__name__ not in without]
    some = [bad for bad in ATTENDING if bad.__name__ in names]
    return named(names, [but(answer, hints.get(bad.__name__, bad.hint), attend=bad) for bad in some])


def named(names: Iterable[str], functions: list[Callable]) -> list[Callable]:
    """The functions, each with its name."""
    for name, function in zip(names, functions, strict=True):
        function.__name__ = name
    return functions


@wrong("the mask is upside down: True means may attend")
def inverted_mask(scores, v, mask):
    return attend(scores, v, None if mask is None else ~mask)


@wrong("the mask is not used")
def mask_ignored(scores, v, mask):
    return attend(scores, v, None)


@wrong("the mask is applied to the queries: it says which keys, on the last axis, may be attended to")
def queries_masked(scores, v, mask):
    return attend(scores, v, None if mask is None else mask.mT)


@wrong("masked after the softmax: the weights left over no longer sum to 1. Mask the scores, with -inf")
def masked_after_the_softmax(scores, v, mask):
    return (softmax(scores) if mask is None else softmax(scores) * mask) @ v


@wrong(
    "masked after exp, then divided by what is left: a masked score far above the rest leaves only zeros. Mask first"
)
def masked_and_divided(scores, v, mask):
    weights = softmax(scores) if mask is None else softmax(scores) * mask
    total = weights.sum(-1, keepdim=True)
    return weights / torch.where(total == 0, 1, total) @ v


@wrong("masked scores are set to 0, and exp(0) is 1: use -inf")
def masked_with_zero(scores, v, mask):
    return softmax(scores if mask is None else scores * mask) @ v


@wrong(
    "masked keys and values are set to 0: a key of zeros has the score 0, and exp(0) is 1. Mask the scores, with -inf"
)
def keys_zeroed(scores, v, mask):
    return softmax(scores) @ v if mask is None else softmax(scores * mask) * mask @ v


@wrong("the boolean mask is added to the scores as 0 and 1: it has to become 0 and -inf")
def mask_added(scores, v, mask):
    return softmax(scores if mask is None else scores + mask) @ v


@wrong("the scores are indexed with the mask: a mask broadcasts to the scores, it need not have their shape. Use where")
def mask_as_index(scores, v, mask):
    if mask is not None:
        scores = scores.clone()
        scores[~mask] = -torch.inf
    return softmax(scores) @ v


@wrong("masked with a large negative number: a row that may attend to nothing becomes uniform. Use -inf, then zeros")
def minus_one_billion(scores, v, mask):
    return softmax(scores if mask is None else scores.masked_fill(~mask, -1e9)) @ v


@wrong("-1e9 is added to masked scores: a row that may attend to nothing is as if nothing were masked. Fill with -inf")
def minus_one_billion_added(scores, v, mask):
    return softmax(scores if mask is None else scores + (~mask) * -1e9) @ v


def _any(mask: Tensor) -> Tensor:
    return mask.any(-1, keepdim=True)


@wrong("masked with -1e9 or another number: scores may be lower still, and masked keys get all the weight. Use -inf")
def lower_than_the_fill(scores, v, mask):
    if mask is None:
        return attend(scores, v, None)
    return softmax(scores.masked_fill(~mask, -1e9)) * _any(mask) @ v


@wrong("masked with the lowest number of the dtype: a row that may attend to nothing becomes uniform. Give it zeros")
def lowest_of_the_dtype(scores, v, mask):
    return softmax(scores if mask is None else scores.masked_fill(~mask, torch.finfo(scores.dtype).min)) @ v


@wrong("masked with -1e300, which float32 does not hold: use -inf, which every dtype has")
def minus_1e300(scores, v, mask):
    if mask is None:
        return attend(scores, v, None)
    return softmax(scores.masked_fill(~mask, -1e300)) * _any(mask) @ v


@wrong("a mask (t s) is read as padding (b s) where t = b: what a mask means is told by its axes, not by their sizes")
def told_by_size(scores, v, mask):
    if mask is not None and mask.dim() == 2 < scores.dim() and len(mask) == len(scores):
        mask = mask.reshape(len(mask), *[1] * (scores.dim() - 2), -1)
    return attend(scores, v, mask)


@wrong("the mask is squeezed: axes of size 1 are there to broadcast, as in (b 1 1 s)")
def mask_squeezed(scores, v, mask):
    return attend(scores, v, None if mask is None else mask.squeeze())


@wrong("a query with any masked key gets zeros: it gets them only where all keys are masked (any, not all)")
def partly_masked_is_zero(scores, v, mask):
    return attend(scores, v, mask) if mask is None else attend(scores, v, mask) * mask.all(-1, keepdim=True)


@wrong("a query that may attend to nothing gets NaN: softmax of a row of -inf. Give it zeros")
def nan_where_nobody(scores, v, mask):
    return torch.softmax(masked_scores(scores, mask), -1) @ v


@wrong("the NaN of a query with nothing to attend to is patched up in the result: its gradient is still NaN")
def nan_patched_up(scores, v, mask):
    return nan_where_nobody(scores, v, mask).nan_to_num(0)


def _infinity_added(scores, mask):
    return scores if mask is None else scores + torch.where(mask, 0.0, -torch.inf).to(scores)


@wrong("-inf is added to the scores, and the NaN weights are patched up: their gradient is still NaN. Fill, don't add")
def infinity_added(scores, v, mask):
    return torch.softmax(_infinity_added(scores, mask), -1).nan_to_num(0) @ v


@wrong("-inf is added, and the NaN patched up in the result: the gradients are still NaN. Fill, don't add")
def infinity_added_result_patched(scores, v, mask):
    return (torch.softmax(_infinity_added(scores, mask), -1) @ v).nan_to_num(0)


def _divided(parts):
    total = parts.sum(-1, keepdim=True)
    return parts / torch.where(total == 0, 1, total)


@wrong("exp without the row's maximum subtracted overflows beyond 710")
def softmax_overflows(scores, v, mask):
    return _divided(masked_scores(scores, mask).exp()) @ v


@wrong("scores are clipped at 700, where exp still fits: all larger ones become ties. Subtract the row's maximum")
def clipped(scores, v, mask):
    return attend(scores.clamp_max(700), v, mask)


@wrong("one maximum for the whole tensor: rows far below it underflow to zeros. Subtract each row's own, amax(-1)")
def one_maximum_for_all(scores, v, mask):
    scores = masked_scores(scores, mask)
    return _divided((scores - scores.max()).exp()) @ v


@wrong("a small constant in the divisor: the weights no longer sum to 1. Only a row of nothing needs care")
def epsilon_in_the_divisor(scores, v, mask):
    scores = masked_scores(scores, mask)
    parts = (scores - scores.detach().amax(-1, keepdim=True).clamp_min(torch.finfo(scores.dtype).min)).exp()
    return parts / (parts.sum(-1, keepdim=True) + 1e-6) @ v


@wrong("the softmax runs over the queries: the weights of one query, over the keys, must sum to 1")
def softmax_over_queries(scores, v, mask):
    return softmax(masked_scores(scores, mask).mT.contiguous()).mT @ v


@wrong("the softmax runs over the queries, with NaN for a key that no query may attend to: it runs over the keys")
def softmax_over_queries_nan(scores, v, mask):
    return torch.softmax(masked_scores(scores, mask), -2) @ v


@wrong("the softmax runs over everything at once: the weights of each query must sum to 1")
def softmax_over_everything(scores, v, mask):
    scores = masked_scores(scores, mask)
    return softmax(scores.flatten(-2)).view_as(scores) @ v


@wrong("softmax twice: the second one flattens the weights of the first")
def softmax_twice(scores, v, mask):
    return softmax(masked_scores(softmax(masked_scores(scores, mask)), mask)) @ v


@wrong("the softmax has base 2, as exp2 or 2 ** x gives it: it is exp")
def base_two(scores, v, mask):
    return attend(scores * math.log(2), v, mask)


@wrong("no softmax: scores are no weights")
def no_softmax(scores, v, mask):
    return (scores if mask is None else scores.masked_fill(~mask, 0)) @ v


@wrong("a sigmoid for each key instead of a softmax over all of them")
def sigmoid(scores, v, mask):
    return masked_scores(scores, mask).sigmoid() @ v


@wrong("the logarithm of the weights: log_softmax for softmax")
def log_softmax(scores, v, mask):
    logs = F.log_softmax(masked_scores(scores, mask), -1)
    return (logs if mask is None else logs.masked_fill(~mask, 0)) @ v


@wrong("the plain mean of the values: the weights are not used")
def plain_mean(scores, v, mask):
    return attend(0 * scores, v, mask)


@wrong("the values are summed, not weighed: multiply by the weights")
def plain_sum(scores, v, mask):
    return torch.ones_like(scores) @ v if mask is None else mask.to(v).expand(scores.shape) @ v


@wrong("the best key takes all: argmax for softmax")
def hard(scores, v, mask):
    best = F.one_hot(masked_scores(scores, mask).argmax(-1), scores.shape[-1]).to(v)
    return (best if mask is None else best * mask) @ v


@wrong("the softmax runs in float32 whatever came: float64 loses half its digits. Widen half precision only")
def float32_weights(scores, v, mask):
    return softmax(masked_scores(scores, mask).float()).to(v.dtype) @ v


@wrong("the weights are detached: what they are computed from gets no gradient")
def detached_weights(scores, v, mask):
    return softmax(masked_scores(scores, mask)).detach() @ v + 0 * scores.sum()


@wrong("a causal mask of your own: who may attend to whom is for the mask alone to say")
def causal_too(scores, v, mask):
    causal = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
    return attend(scores, v, causal if mask is None else causal & mask)


@wrong("one score is added for nothing, exp(0): softmax₁, as with a null key. The weights of the keys sum to 1")
def softmax_one(scores, v, mask):
    scores = masked_scores(scores, mask)
    top = scores.detach().amax(-1, keepdim=True).clamp_min(0)
    parts = (scores - top).exp()
    return parts / (parts.sum(-1, keepdim=True) + (-top).exp()) @ v


ATTENDING = [f for f in list(vars().values()) if hasattr(f, "hint")]
