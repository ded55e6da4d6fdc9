"""The mistakes of a pre-norm block: its sublayers and residuals, its norms and their scales, its network.

`block` is the answer with its parts as keyword arguments. `first` and `second` say what a sublayer, f, makes of x with
its norm; the second one knows the x that came into the block too. What else is given goes to `multi_head`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F

from recattn_mini.exercises.spec import attention as of_attention
from recattn_mini.exercises.spec import but, mistakes_of, wrong
from recattn_mini.exercises.spec.attention import named
from recattn_mini.exercises.spec.heads import mistakes_of_heads, multi_head


def norm_of(x, scale):
    """Layer norm without a shift."""
    return F.layer_norm(x, x.shape[-1:], scale)


def network_of(x, w_in, w_out):
    """A ReLU between the two."""
    return torch.relu(x @ w_in.mT) @ w_out.mT


def block(
    x,
    w_q,
    w_k,
    w_v,
    w_o,
    w_in,
    w_out,
    scale_1,
    scale_2,
    h,
    mask=None,
    *,
    first=lambda x, f, norm: x + f(norm(x)),
    second=lambda x, f, norm, came_in: x + f(norm(x)),
    scales=lambda scale_1, scale_2: (scale_1, scale_2),
    norm=norm_of,
    network=network_of,
    **parts,
):
    """What is right, with what can go wrong as keyword arguments."""
    scale_1, scale_2 = scales(scale_1, scale_2)

    def attention(q, *keys_and_values):
        return multi_head(q, *(keys_and_values or (q, q)), w_q, w_k, w_v, w_o, h, mask, **parts)

    attended = first(x, attention, lambda y: norm(y, scale_1))
    return second(attended, lambda y: network(y, w_in, w_out), lambda y: norm(y, scale_2), x)


def _norm(x, scale, *, over=-1, centred=True, correction=0, deviation=lambda variance: (variance + 1e-5).sqrt()):
    mean, variance = x.mean(over, keepdim=True), x.var(over, keepdim=True, correction=correction)
    return (x - mean if centred else x) / deviation(variance) * scale


def _rms(x, scale):
    return x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt() * scale


def _detached_statistics(x, scale):
    mean, variance = x.mean(-1, keepdim=True).detach(), x.var(-1, keepdim=True, correction=0).detach()
    return (x - mean) / (variance + 1e-5).sqrt() * scale


def _epsilon(epsilon: float) -> Callable:
    return partial(_norm, deviation=lambda variance: (variance + epsilon).sqrt())


def _attention_twice(x, f, norm):
    x = x + f(norm(x))
    return x + f(norm(x))


FIRST = {
    "attention_without_residual": ("the residual around attention is missing: add x", lambda x, f, norm: f(norm(x))),
    "attention_added_to_the_norm": (
        "attention is added to the normalised x: add it to x itself, or the path without a norm is broken",
        lambda x, f, norm: norm(x) + f(norm(x)),
    ),
    "residual_twice": ("x is added twice in the first sublayer: once is enough", lambda x, f, norm: 2 * x + f(norm(x))),
    "queries_normalised": (
        "only the queries are normalised: keys and values are read from the same normalised x",
        lambda x, f, norm: x + f(norm(x), x, x),
    ),
    "values_not_normalised": (
        "queries and keys are normalised, values are not: all three are read from the same normalised x",
        lambda x, f, norm: x + f(norm(x), norm(x), x),
    ),
    "added_to_the_queries": (
        "as in SASRec.pytorch: only the queries are normalised, and attention is added to them. Read norm(x), add to x",
        lambda x, f, norm: norm(x) + f(norm(x), x, x),
    ),
    "first_norm_missing": ("the first norm is missing: attention reads a normalised x", lambda x, f, norm: x + f(x)),
    "first_norm_twice": ("the first norm is applied twice", lambda x, f, norm: x + f(norm(norm(x)))),
    "attention_missing": ("attention is missing: it is the first sublayer", lambda x, f, norm: x),
    "attention_twice": ("attention is there twice: the second sublayer is the network", _attention_twice),
}

SECOND = {
    "network_without_residual": (
        "the residual around the network is missing: add what it started from",
        lambda x, f, norm, came_in: f(norm(x)),
    ),
    "network_added_to_the_norm": (
        "the network is added to its normalised input: add it to x itself",
        lambda x, f, norm, came_in: norm(x) + f(norm(x)),
    ),
    "second_norm_missing": (
        "the second norm is missing: the network reads a normalised x",
        lambda x, f, norm, came_in: x + f(x),
    ),
    "side_by_side": (
        "both sublayers read the x that came in: the network starts from x with attention added",
        lambda x, f, norm, came_in: x + f(norm(came_in)),
    ),
    "second_residual_of_the_input": (
        "the network is added to the x that came in, and attention is lost: add it to x with attention added",
        lambda x, f, norm, came_in: came_in + f(norm(x)),
    ),
    "reads_attention_alone": (
        "the network reads what attention gave, without x: it reads the sum, normalised",
        lambda x, f, norm, came_in: x + f(norm(x - came_in)),
    ),
    "added_three_times": (
        "x is added once more at the end: each sublayer has one residual",
        lambda x, f, norm, came_in: x + f(norm(x)) + came_in,
    ),
    "normalised_at_the_end": (
        "a third norm at the end: that one belongs behind the last block of a stack",
        lambda x, f, norm, came_in: norm(x + f(norm(x))),
    ),
    "network_missing": ("the network is missing: it is the second sublayer", lambda x, f, norm, came_in: x),
}
BOTH = {
    "post_norm": (
        "post-norm: the norms stand behind the sums. Pre-norm normalises what a sublayer reads, and not the residual",
        lambda x, f, norm: norm(x + f(x)),
        lambda x, f, norm, came_in: norm(x + f(x)),
    ),
    "outputs_normalised": (
        "what a sublayer gives is normalised, x + norm(f(x)): the norm belongs before it, x + f(norm(x))",
        lambda x, f, norm: x + norm(f(x)),
        lambda x, f, norm, came_in: x + norm(f(x)),
    ),
    "both_added_to_the_norm": (
        "each sublayer is added to its normalised input: add both to x itself",
        lambda x, f, norm: norm(x) + f(norm(x)),
        lambda x, f, norm, came_in: norm(x) + f(norm(x)),
    ),
    "sasrec": (
        "as in SASRec's first code: only the queries are normalised, and attention is added to them. Add it to x",
        lambda x, f, norm: norm(x) + f(norm(x), x, x),
        lambda x, f, norm, came_in: norm(x) + f(norm(x)),
    ),
    "no_residuals": (
        "both residuals are missing: add x to what a sublayer gives",
        lambda x, f, norm: f(norm(x)),
        lambda x, f, norm, came_in: f(norm(x)),
    ),
    "no_norms": (
        "both norms are missing: a sublayer reads a normalised x",
        lambda x, f, norm: x + f(x),
        lambda x, f, norm, came_in: x + f(x),
    ),
}
SCALES = {
    "shared_norm": ("both sublayers share scale_1: the second has a scale of its own", lambda one, two: (one, one)),
    "second_scale_for_both": (
        "both sublayers share scale_2: the first has a scale of its own",
        lambda one, two: (two, two),
    ),
    "norms_swapped": ("the scales have changed places: scale_1 is that of attention", lambda one, two: (two, one)),
    "scales_missing": ("the scales of the norms are not used", lambda one, two: (one**0, two**0)),
    "one_plus_scale": (
        "scaled by 1 + scale, as Gemma has it: here a scale of 1 changes nothing. Multiply by scale alone",
        lambda one, two: (1 + one, 1 + two),
    ),
}
NORMS = {
    "norm_over_time": (
        "normalised over the positions: padding and the future leak in. The norm of a position is over its own width",
        partial(_norm, over=1),
    ),
    "batch_norm": (
        "normalised over users and positions, as batch norm does: the norm of a position is over its own width",
        partial(_norm, over=(0, 1)),
    ),
    "norm_over_time_and_width": (
        "normalised over positions and width together: each position has a mean and a variance of its own",
        partial(_norm, over=(1, 2)),
    ),
    "norm_over_everything": (
        "normalised over the whole tensor: the norm is over the width",
        partial(_norm, over=(0, 1, 2)),
    ),
    "rms": ("RMS norm: the mean is not subtracted", _rms),
    "unit_length": (
        "a position is divided by its length: subtract the mean, divide by σ",
        lambda x, s: F.normalize(x, dim=-1) * s,
    ),
    "not_centred": ("divided by σ, but the mean is not subtracted", partial(_norm, centred=False)),
    "not_divided": (
        "the mean is subtracted, but nothing divided: divide by σ",
        lambda x, s: (x - x.mean(-1, True)) * s,
    ),
    "no_root": (
        "divided by the variance: it is σ, its root",
        partial(_norm, deviation=lambda variance: variance + 1e-5),
    ),
    "scale_added": ("the scale is added: multiply by it", lambda x, scale: norm_of(x, scale**0) + scale),
    "scaled_before_the_norm": (
        "scaled before it is normalised: scale belongs behind, scale ⊙ (x - μ) / σ",
        lambda x, scale: norm_of(scale * x, scale**0),
    ),
    "unbiased_variance": (
        "the variance is over d - 1: a norm's is the biased one, over d (unbiased=False, correction=0)",
        partial(_norm, correction=1),
    ),
    "annotated": (
        "the Annotated Transformer's norm: x.std(-1) + 1e-6. The variance is over d, not d - 1, and ε inside the root",
        partial(_norm, correction=1, deviation=lambda variance: variance.sqrt() + 1e-6),
    ),
    "nearly_annotated": (
        "x.std(-1) + 1e-5, nearly the Annotated Transformer's: the variance is over d, not d - 1, ε inside the root",
        partial(_norm, correction=1, deviation=lambda variance: variance.sqrt() + 1e-5),
    ),
    "epsilon_outside": (
        "ε is added outside the root, and the root of 0 has no finite gradient: √(variance + 1e-5)",
        partial(_norm, deviation=lambda variance: variance.sqrt() + 1e-5),
    ),
    "no_epsilon": ("there is no ε: a position of zeros is divided by 0. Add 1e-5 to the variance", _epsilon(0)),
    "keras_epsilon": ("ε is 1e-3, as Keras has it: PyTorch's is 1e-5", _epsilon(1e-3)),
    "jax_epsilon": ("ε is 1e-6, as in JAX and T5: PyTorch's is 1e-5", _epsilon(1e-6)),
    "sasrec_epsilon": ("ε is 1e-8, as in SASRec's code: PyTorch's is 1e-5", _epsilon(1e-8)),
    "bert_epsilon": ("ε is 1e-12, as in BERT: PyTorch's is 1e-5", _epsilon(1e-12)),
    "detached_statistics": (
        "mean and variance are detached: the norm's gradient has to go through them",
        _detached_statistics,
    ),
}
NETWORKS = {
    "relu_missing": (
        "the ReLU is missing: two matrices in a row are one",
        lambda x, w_in, w_out: x @ w_in.mT @ w_out.mT,
    ),
    "gelu": ("a GELU where the ReLU belongs", lambda x, w_in, w_out: F.gelu(x @ w_in.mT) @ w_out.mT),
    "silu": ("a SiLU where the ReLU belongs", lambda x, w_in, w_out: F.silu(x @ w_in.mT) @ w_out.mT),
    "tanh": ("a tanh where the ReLU belongs", lambda x, w_in, w_out: torch.tanh(x @ w_in.mT) @ w_out.mT),
    "leaky_relu": ("a leaky ReLU where the ReLU belongs", lambda x, w_in, w_out: F.leaky_relu(x @ w_in.mT) @ w_out.mT),
    "relu_twice": (
        "a second ReLU, behind w_out: the network could then only add, never take away",
        lambda x, w_in, w_out: network_of(x, w_in, w_out).relu(),
    ),
    "relu_behind": (
        "the ReLU stands behind w_out: it belongs between the two matrices, or they are one",
        lambda x, w_in, w_out: (x @ w_in.mT @ w_out.mT).relu(),
    ),
    "relu_before": (
        "the ReLU stands before w_in: it belongs between the two matrices, or they are one",
        lambda x, w_in, w_out: x.relu() @ w_in.mT @ w_out.mT,
    ),
    "w_in_and_w_out_swapped": (
        "w_in and w_out have changed places, and as nothing is transposed the shapes fit: relu(x @ w_in.T) @ w_out.T",
        lambda x, w_in, w_out: network_of(x, w_out.mT, w_in.mT),
    ),
    "network_not_transposed": (
        "multiplied by w_in and w_out as they are: a weight is (out in), so it is x @ w.T",
        lambda x, w_in, w_out: network_of(x, w_in.mT, w_out.mT),
    ),
}
MASKING = (  # what is often done to weights and masks inside a block; all that is known is asked in attention itself
    of_attention.inverted_mask,
    of_attention.mask_ignored,
    of_attention.masked_after_the_softmax,
    of_attention.masked_and_divided,
    of_attention.masked_with_zero,
    of_attention.mask_added,
    of_attention.minus_one_billion,
    of_attention.lowest_of_the_dtype,
    of_attention.lower_than_the_fill,
    of_attention.told_by_size,
    of_attention.nan_where_nobody,
    of_attention.nan_patched_up,
    of_attention.infinity_added,
    of_attention.softmax_overflows,
    of_attention.softmax_over_queries,
    of_attention.no_softmax,
    of_attention.causal_too,
)


RARE = (  # in a block, where attention is often the library's; they are known in attention itself
    *("users_and_heads_mixed", "joined_by_transpose", "split_interleaved", "keys_reshaped", "scaled_too_late"),
    *("by_the_number_of_heads", "masks_of_other_users", "masks_in_the_order_of_users", "mask_with_two_axes_more"),
    *("values_not_projected", "nothing_projected", "residual_added", "zeros_where_no_head_attends"),
)


@wrong("the network comes first: attention is the first sublayer, the network the second")
def network_first(x, *others):
    return block(block(x, *others, first=lambda x, *_: x), *others, second=lambda x, *_: x)


def mistakes_of_block(answer: Callable[..., Any]) -> list[Callable]:
    """The answer with every known mistake of its sublayers, norms and network, and the common ones of its heads."""
    found = mistakes_of(answer, first=FIRST, second=SECOND, scales=SCALES, norm=NORMS, network=NETWORKS)
    found += named(BOTH, [but(answer, hint, first=first, second=second) for hint, first, second in BOTH.values()])
    as_many_as_keys = "by_number_of_queries"
    return [*found, network_first, *mistakes_of_heads(answer, without=[as_many_as_keys, *RARE], attending=MASKING)]
