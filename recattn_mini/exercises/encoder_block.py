"""Spec of encoder_block: where the norms stand, what the residuals add, and what the feed-forward network is."""

import inspect
import math
from contextlib import suppress

import torch
import torch.nn.functional as F

from recattn_mini.attention.encoder_block import (
    EncoderBlock,
    encoder_block,
    encoder_block_numpy,
)
from recattn_mini.attention.encoder_block_post_norm import encoder_block_post_norm
from recattn_mini.attention.layer_norm import layer_norm
from recattn_mini.attention.masks import masked_scores
from recattn_mini.attention.multi_head_attention import join_heads, multi_head_attention, split_heads
from recattn_mini.attention.rms_norm import rms_norm
from recattn_mini.attention.scaled_dot_product_attention import scaled_dot_product_attention
from recattn_mini.attention.softmax import softmax
from recattn_mini.exercises.spec import (
    Mistake,
    Named,
    finite,
    float64,
    gradients,
    random_tensors,
    right,
    same,
    same_parameters,
    teaching,
    torch_only,
    wrong,
)

NAMES = ("x", "w_q", "w_k", "w_v", "w_o", "w_in", "w_out", "scale_1", "scale_2")
LEVEL, MINUTES = "medium", 15
HINTS = (
    "Two sublayers. Each reads a normalised x and adds to x itself: which x does the second one start from?",
    "x = x + attention(norm(x)), then x = x + network(norm(x)), with a norm for each; the network is a ReLU between "
    "W_in (f d) and W_out (d f). The norm: mean 0, variance 1 (over d, not d - 1), ε = 1e-5 inside the root.",
    "y = layer_norm(x, scale_1); x = x + multi_head_attention(y, y, y, w_q, w_k, w_v, w_o, h, mask); "
    "return x + relu(layer_norm(x, scale_2) @ w_in.T) @ w_out.T, with your own layer_norm and multi_head_attention, "
    "or the library's.",
)
FORBIDDEN = ("torch.nn.TransformerEncoderLayer", "torch._transformer_encoder_layer_fwd")


def call_module(module, x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    """A learner's module, built by its own `__init__`, as a function of its weights.

    It is asked as in use, not as in training, so that dropout drops nothing. Its heads share the width of x: narrower
    ones are filled up with zeros, and the queries made longer by what the scale then shrinks them.
    """
    d = x.shape[-1]
    built = module(d, h, len(w_in), *[0.5] * ("dropout" in inspect.signature(module).parameters)).eval()
    longer, wider = math.sqrt(d / len(w_q)), (0, 0, 0, (d - len(w_q)) // h)
    w_q, w_k, w_v, w_out_of_heads = (
        F.pad(w.unflatten(0, (h, -1)), wider).flatten(0, 1) for w in (longer * w_q, w_k, w_v, w_o.mT)
    )
    weights = {
        "norm_1.weight": scale_1,
        "attention.q_proj.weight": w_q,
        "attention.k_proj.weight": w_k,
        "attention.v_proj.weight": w_v,
        "attention.o_proj.weight": w_out_of_heads.mT,
        "norm_2.weight": scale_2,
        "w_in.weight": w_in,
        "w_out.weight": w_out,
    }
    same_parameters(built, weights)
    with torch.no_grad(), suppress(Exception):  # what a module remembers of another call must not show in this one
        other = torch.ones(2 * x.shape[1:2], dtype=torch.bool).tril() if mask is None else ~mask
        torch.func.functional_call(built, weights, (-x, other), strict=True)
    out, again = (torch.func.functional_call(built, weights, (x, mask), strict=True) for _ in range(2))
    if isinstance(out, torch.Tensor) and not torch.equal(out.nan_to_num(), again.nan_to_num()):
        raise Named(
            "two calls in eval mode differ: dropout is for training. Use self.dropout, or F.dropout(…, self.training)"
        )
    return out


def inputs() -> dict[str, tuple]:
    x, view, one = random_tensors((2, 5, 12), (12, 5, 3), (1, 1, 12))
    w_q, w_k, *others = [0.4 * w for w in random_tensors(*[(12, 12)] * 4, seed=1)]
    others += [0.3 * w for w in random_tensors((17, 12), (12, 17), seed=2)]
    others += random_tensors((12,), (12,), seed=3)
    weights = w_q, w_k, *others, 3
    narrow = w_q[:6], w_k[:6], others[0][:6], others[1][:, :6], *others[2:], 3
    causal = torch.ones(5, 5, dtype=torch.bool).tril()
    padding = torch.tensor([[0, 0, 1, 1, 1], [0, 1, 1, 1, 1]]).bool()[:, None, None]
    of_heads = torch.rand(2, 3, 5, 5, generator=torch.Generator().manual_seed(1)) < 0.6
    of_heads[..., 2] = True
    nobody = torch.tensor([1, 0, 1, 1, 0]).bool()[:, None].repeat(2, 1, 1, 5)
    some_zero = x.clone()
    some_zero[0, :2] = 0
    return {
        "no mask": (x, *weights, None),
        "causal": (x, *weights, causal),
        "padding": (x, *weights, padding),
        "a mask for each head": (x, *weights, of_heads),
        "nobody to attend to": (x, *weights, nobody),
        "large": (x, 60 * w_q, 60 * w_k, *others, 3, None),
        "large, causal": (x, 600 * w_q, 600 * w_k, *others, 3, causal),
        "zeros": (some_zero, *weights, None),
        "views": (view.movedim(2, 0).mT, *weights, None),
        "one": (one, *weights, None),
        "narrower inside": (x, *narrow, None),
    }


def expected(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    """PyTorch's own norm, attention and layers."""
    y = F.layer_norm(x, x.shape[-1:], scale_1)
    q, k, v = (F.linear(y, w).unflatten(-1, (h, -1)).movedim(2, 1) for w in (w_q, w_k, w_v))
    x = x + F.linear(F.scaled_dot_product_attention(q, k, v, mask).movedim(1, 2).flatten(2), w_o)
    return x + F.linear(F.relu(F.linear(F.layer_norm(x, x.shape[-1:], scale_2), w_in)), w_out)


@teaching
def check_worked_example(f):
    "7 and 1 have the norm ±1; attention to itself adds it, 8 and 0; the network adds 2 · relu(±1): 10 and 0"
    one, zero, scale = float64([[1, 0], [0, 1]]), float64([[0, 0], [0, 0]]), float64([1, 1])
    out = f(float64([[[7, 1]]]), zero, zero, one, one, one, 2 * one, scale, scale, 1)
    same((out - float64([[[10, 0]]])).abs() < 1e-4, torch.ones(1, 1, 2, dtype=torch.bool))


def check_values(f):
    "agrees with PyTorch's norm, attention and layers, on views, on a single position, with heads narrower than x"
    for case in ("no mask", "views", "one", "narrower inside"):
        same(f(*inputs()[case]), expected(*inputs()[case]))


def check_mask(f):
    "a causal mask (t t), a padding mask (b 1 1 t) and one (b h t t) for each head reach the attention"
    for case in ("causal", "padding", "a mask for each head"):
        same(f(*inputs()[case]), expected(*inputs()[case]))


def check_nobody_to_attend_to(f):
    "a position that may attend to nothing is passed on by the residual, and goes through the network"
    same(f(*inputs()["nobody to attend to"]), expected(*inputs()["nobody to attend to"]))


def check_large_scores(f):
    "scores beyond 1,000 do not overflow, and masked ones that are far above the others leave those their weight"
    for case in ("large", "large, causal"):
        same(f(*inputs()[case]), expected(*inputs()[case]))


@teaching
def check_zeros(f):
    "a position of nothing but zeros, as padding often is, has the variance 0: ε keeps it from NaN"
    same(f(*inputs()["zeros"]), expected(*inputs()["zeros"]))


@teaching  # though it rejects by itself: at such a distance a gradient is noise, and no mistake is known again by noise
def check_far_from_zero(f):
    "a position far from 0 keeps its variance: the mean of (x - μ)², where E[x²] - E[x]² has no digits left"
    x, *rest = inputs()["no mask"]
    same(f(x, *rest), expected(x, *rest))
    try:
        same(f(x + 1e9, *rest), expected(x + 1e9, *rest))
    except Mistake:
        raise Named("right near 0 and wrong at 1e9, as E[x²] - E[x]² is: centre x before you square") from None


@torch_only
def check_gradient(f):
    "the gradients of x and of all eight weights agree, and are finite"
    case = inputs()["no mask"]
    same(gradients(f, *case), gradients(encoder_block, *case), NAMES)
    for name in ("nobody to attend to", "zeros"):
        finite(gradients(f, *inputs()[name]), NAMES)


@teaching
def check_order(f):
    "shuffled positions come out shuffled: nothing in the block knows of order"
    x, *rest = inputs()["no mask"]
    order = [3, 0, 4, 2, 1]
    same(f(x[:, order], *rest), expected(x, *rest)[:, order])


def _network(x, w_in, w_out):
    return torch.relu(x @ w_in.mT) @ w_out.mT


def _block(x, attention, scale_1, scale_2, w_in, w_out, norm=layer_norm):
    """The right block around an attention and a norm that may be wrong."""
    x = x + attention(norm(x, scale_1))
    return x + _network(norm(x, scale_2), w_in, w_out)


def _of_itself(w_q, w_k, w_v, w_o, h, mask):
    return lambda y: multi_head_attention(y, y, y, w_q, w_k, w_v, w_o, h, mask)


def _by_weights(weigh, w_q, w_k, w_v, w_o, h):
    """An attention whose weights are `weigh(scores)`."""

    def attention(y):
        q, k, v = (split_heads(y @ w.mT, h) for w in (w_q, w_k, w_v))
        return join_heads(weigh(q @ k.mT / math.sqrt(q.shape[-1])) @ v) @ w_o.mT

    return attention


@wrong("post-norm: the norms stand behind the sums. Pre-norm normalises what a sublayer reads, and not the residual")
def post_norm(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    return encoder_block_post_norm(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask)


@wrong("what a sublayer gives is normalised, x + norm(f(x)): the norm belongs before it, x + f(norm(x))")
def outputs_normalised(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    x = x + layer_norm(_of_itself(w_q, w_k, w_v, w_o, h, mask)(x), scale_1)
    return x + layer_norm(_network(x, w_in, w_out), scale_2)


@wrong("the residual around attention is missing: add x")
def attention_without_residual(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    x = _of_itself(w_q, w_k, w_v, w_o, h, mask)(layer_norm(x, scale_1))
    return x + _network(layer_norm(x, scale_2), w_in, w_out)


@wrong("the residual around the network is missing: add what it started from")
def network_without_residual(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    x = x + _of_itself(w_q, w_k, w_v, w_o, h, mask)(layer_norm(x, scale_1))
    return _network(layer_norm(x, scale_2), w_in, w_out)


@wrong("attention is added to the normalised x: add it to x itself, or the path without a norm is broken")
def attention_added_to_the_norm(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    y = layer_norm(x, scale_1)
    x = y + _of_itself(w_q, w_k, w_v, w_o, h, mask)(y)
    return x + _network(layer_norm(x, scale_2), w_in, w_out)


@wrong("the network is added to its normalised input: add it to x itself")
def network_added_to_the_norm(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    x = x + _of_itself(w_q, w_k, w_v, w_o, h, mask)(layer_norm(x, scale_1))
    y = layer_norm(x, scale_2)
    return y + _network(y, w_in, w_out)


@wrong("each sublayer is added to its normalised input: add both to x itself")
def both_added_to_the_norm(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    y = layer_norm(x, scale_1)
    y = layer_norm(y + _of_itself(w_q, w_k, w_v, w_o, h, mask)(y), scale_2)
    return y + _network(y, w_in, w_out)


@wrong("only the queries are normalised: keys and values are read from the same normalised x")
def queries_normalised(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    x = x + multi_head_attention(layer_norm(x, scale_1), x, x, w_q, w_k, w_v, w_o, h, mask)
    return x + _network(layer_norm(x, scale_2), w_in, w_out)


@wrong("queries and keys are normalised, values are not: all three are read from the same normalised x")
def values_not_normalised(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    y = layer_norm(x, scale_1)
    x = x + multi_head_attention(y, y, x, w_q, w_k, w_v, w_o, h, mask)
    return x + _network(layer_norm(x, scale_2), w_in, w_out)


@wrong("as in SASRec.pytorch: only the queries are normalised, and attention is added to them. Read norm(x), add to x")
def added_to_the_queries(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    y = layer_norm(x, scale_1)
    x = y + multi_head_attention(y, x, x, w_q, w_k, w_v, w_o, h, mask)
    return x + _network(layer_norm(x, scale_2), w_in, w_out)


@wrong("as in SASRec's first code: only the queries are normalised, and attention is added to them. Add it to x")
def sasrec(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    y = layer_norm(x, scale_1)
    y = layer_norm(y + multi_head_attention(y, x, x, w_q, w_k, w_v, w_o, h, mask), scale_2)
    return y + _network(y, w_in, w_out)


@wrong("both sublayers read the x that came in: the network starts from x with attention added")
def side_by_side(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    attended = _of_itself(w_q, w_k, w_v, w_o, h, mask)(layer_norm(x, scale_1))
    return x + attended + _network(layer_norm(x, scale_2), w_in, w_out)


@wrong("the network is added to the x that came in, and attention is lost: add it to x with attention added")
def second_residual_of_the_input(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    attended = x + _of_itself(w_q, w_k, w_v, w_o, h, mask)(layer_norm(x, scale_1))
    return x + _network(layer_norm(attended, scale_2), w_in, w_out)


@wrong("the first norm is missing: attention reads a normalised x")
def first_norm_missing(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    x = x + _of_itself(w_q, w_k, w_v, w_o, h, mask)(x)
    return x + _network(layer_norm(x, scale_2), w_in, w_out)


@wrong("the second norm is missing: the network reads a normalised x")
def second_norm_missing(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    x = x + _of_itself(w_q, w_k, w_v, w_o, h, mask)(layer_norm(x, scale_1))
    return x + _network(x, w_in, w_out)


@wrong("a third norm at the end: that one belongs behind the last block of a stack")
def normalised_at_the_end(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    return layer_norm(encoder_block(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask), scale_2)


@wrong("both sublayers share one norm, scale_1: the second has a scale of its own")
def shared_norm(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    return encoder_block(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_1, h, mask)


@wrong("the norms have changed places: scale_1 is that of attention, scale_2 that of the network")
def norms_swapped(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    return encoder_block(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_2, scale_1, h, mask)


@wrong("the scales of the norms are not used")
def scales_missing(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    return _block(x, _of_itself(w_q, w_k, w_v, w_o, h, mask), 1, 1, w_in, w_out, _norm_over(-1))


@wrong("scaled by 1 + scale, as Gemma has it: here a scale of 1 changes nothing. Multiply by scale alone")
def one_plus_scale(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    return encoder_block(x, w_q, w_k, w_v, w_o, w_in, w_out, 1 + scale_1, 1 + scale_2, h, mask)


@wrong("scaled before it is normalised: scale belongs behind, scale ⊙ (x - μ) / σ")
def scaled_before_the_norm(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    def norm(y, scale):
        return layer_norm(scale * y, torch.ones_like(scale))

    return _block(x, _of_itself(w_q, w_k, w_v, w_o, h, mask), scale_1, scale_2, w_in, w_out, norm)


def _norm_over(*axes, epsilon=1e-5):
    def norm(x, scale):
        centred = x - x.mean(axes, keepdim=True)
        return centred / (centred.square().mean(axes, keepdim=True) + epsilon).sqrt() * scale

    return norm


@wrong("normalised over the positions: padding and the future leak in. The norm of a position is over its own width")
def norm_over_time(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    return _block(x, _of_itself(w_q, w_k, w_v, w_o, h, mask), scale_1, scale_2, w_in, w_out, _norm_over(1))


@wrong("normalised over users and positions, as batch norm does: the norm of a position is over its own width")
def batch_norm(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    return _block(x, _of_itself(w_q, w_k, w_v, w_o, h, mask), scale_1, scale_2, w_in, w_out, _norm_over(0, 1))


@wrong("normalised over positions and width together: each position has a mean and a variance of its own")
def norm_over_time_and_width(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    return _block(x, _of_itself(w_q, w_k, w_v, w_o, h, mask), scale_1, scale_2, w_in, w_out, _norm_over(1, 2))


@wrong("RMS norm: the mean is not subtracted")
def rms(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    return _block(x, _of_itself(w_q, w_k, w_v, w_o, h, mask), scale_1, scale_2, w_in, w_out, rms_norm)


@wrong("the variance is over d - 1: a norm's is the biased one, over d (unbiased=False, correction=0)")
def unbiased_variance(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    def norm(y, scale):
        return (y - y.mean(-1, keepdim=True)) / (y.var(-1, keepdim=True) + 1e-5).sqrt() * scale

    return _block(x, _of_itself(w_q, w_k, w_v, w_o, h, mask), scale_1, scale_2, w_in, w_out, norm)


@wrong("the Annotated Transformer's norm: x.std(-1) + 1e-6. The variance is over d, not d - 1, and ε inside the root")
def annotated(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    def norm(y, scale):
        return (y - y.mean(-1, keepdim=True)) / (y.std(-1, keepdim=True) + 1e-6) * scale

    return _block(x, _of_itself(w_q, w_k, w_v, w_o, h, mask), scale_1, scale_2, w_in, w_out, norm)


@wrong("x.std(-1) + 1e-5, nearly the Annotated Transformer's: the variance is over d, not d - 1, and ε inside the root")
def nearly_annotated(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    def norm(y, scale):
        return (y - y.mean(-1, keepdim=True)) / (y.std(-1, keepdim=True) + 1e-5) * scale

    return _block(x, _of_itself(w_q, w_k, w_v, w_o, h, mask), scale_1, scale_2, w_in, w_out, norm)


@wrong("ε is 1e-3, as Keras has it: PyTorch's is 1e-5")
def keras_epsilon(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    norm = _norm_over(-1, epsilon=1e-3)
    return _block(x, _of_itself(w_q, w_k, w_v, w_o, h, mask), scale_1, scale_2, w_in, w_out, norm)


@wrong("ε is 1e-6, as in JAX and T5: PyTorch's is 1e-5")
def jax_epsilon(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    norm = _norm_over(-1, epsilon=1e-6)
    return _block(x, _of_itself(w_q, w_k, w_v, w_o, h, mask), scale_1, scale_2, w_in, w_out, norm)


@wrong("ε is 1e-8, as in SASRec's code: PyTorch's is 1e-5")
def sasrec_epsilon(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    norm = _norm_over(-1, epsilon=1e-8)
    return _block(x, _of_itself(w_q, w_k, w_v, w_o, h, mask), scale_1, scale_2, w_in, w_out, norm)


@wrong("ε is 1e-12, as in BERT: PyTorch's is 1e-5")
def bert_epsilon(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    norm = _norm_over(-1, epsilon=1e-12)
    return _block(x, _of_itself(w_q, w_k, w_v, w_o, h, mask), scale_1, scale_2, w_in, w_out, norm)


@wrong("there is no ε: a position of zeros is divided by 0. Add 1e-5 to the variance")
def no_epsilon(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    def norm(y, scale):
        return (y - y.mean(-1, keepdim=True)) / y.var(-1, keepdim=True, correction=0).sqrt() * scale

    return _block(x, _of_itself(w_q, w_k, w_v, w_o, h, mask), scale_1, scale_2, w_in, w_out, norm)


@wrong("ε is added outside the root, and the root of 0 has no finite gradient: √(variance + 1e-5)")
def epsilon_outside(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    def norm(y, scale):
        return (y - y.mean(-1, keepdim=True)) / (y.var(-1, keepdim=True, correction=0).sqrt() + 1e-5) * scale

    return _block(x, _of_itself(w_q, w_k, w_v, w_o, h, mask), scale_1, scale_2, w_in, w_out, norm)


@wrong("the ReLU is missing: two matrices in a row are one")
def relu_missing(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    x = x + _of_itself(w_q, w_k, w_v, w_o, h, mask)(layer_norm(x, scale_1))
    return x + layer_norm(x, scale_2) @ w_in.mT @ w_out.mT


@wrong("a GELU where the ReLU belongs")
def gelu(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    x = x + _of_itself(w_q, w_k, w_v, w_o, h, mask)(layer_norm(x, scale_1))
    return x + F.gelu(layer_norm(x, scale_2) @ w_in.mT) @ w_out.mT


@wrong("a second ReLU, behind w_out: the network could then only add, never take away")
def relu_twice(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    x = x + _of_itself(w_q, w_k, w_v, w_o, h, mask)(layer_norm(x, scale_1))
    return x + _network(layer_norm(x, scale_2), w_in, w_out).relu()


@wrong("h is not used: this is one head of the whole width")
def one_head(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    return encoder_block(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, 1, mask)


@wrong("w_o is missing")
def w_o_missing(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    one = torch.eye(len(w_o), dtype=x.dtype)
    return encoder_block(x, w_q, w_k, w_v, one, w_in, w_out, scale_1, scale_2, h, mask)


@wrong("the width of a head is taken from x before the projection: it is a/h, with a the rows of w_q")
def width_of_x(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    def attention(y):
        q, k, v = ((y @ w.mT).unflatten(-1, (h, len(scale_1) // h)).transpose(1, 2) for w in (w_q, w_k, w_v))
        return join_heads(scaled_dot_product_attention(q, k, v, mask)) @ w_o.mT

    return _block(x, attention, scale_1, scale_2, w_in, w_out)


@wrong("the scale of attention is missing: divide the scores by √(a/h)")
def not_scaled(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    longer = math.sqrt(len(w_q) / h)  # which the scale takes back
    return encoder_block(x, longer * w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask)


@wrong("scaled by the root of the whole width: a head's products are sums of a/h terms, so divide by √(a/h)")
def scaled_by_the_whole_width(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    return encoder_block(x, w_q / math.sqrt(h), w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask)


@wrong("positions of padding are set to 0, as in SASRec: here a mask only hides keys, and what a position gives stays")
def padding_zeroed(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    out = encoder_block(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask)
    is_padding_mask = mask is not None and mask.dim() == 4 and mask.shape[1:3] == (1, 1)
    return out * mask[:, 0, 0, :, None] if is_padding_mask else out


@wrong("the mask is not handed on to the attention")
def mask_ignored(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    return encoder_block(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h)


@wrong("the mask is upside down: True means may attend; nn.TransformerEncoderLayer means the opposite")
def inverted_mask(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    inverted = None if mask is None else ~mask
    return encoder_block(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, inverted)


@wrong("the first head's mask serves all heads: a mask (b h t t) has one for each")
def mask_of_the_first_head(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    if mask is not None and mask.dim() == 4:
        mask = mask[:, :1]
    return encoder_block(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask)


@wrong("masked after the softmax, then divided by what is left: a masked score far above the others leaves only zeros")
def masked_and_divided(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    def weigh(scores):
        weights = softmax(scores) if mask is None else softmax(scores) * mask
        total = weights.sum(-1, keepdim=True)
        return weights / torch.where(total == 0, 1, total)

    return _block(x, _by_weights(weigh, w_q, w_k, w_v, w_o, h), scale_1, scale_2, w_in, w_out)


@wrong("masked after the softmax: the weights left over no longer sum to 1. Mask the scores, with -inf")
def masked_after_the_softmax(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    def weigh(scores):
        return softmax(scores) if mask is None else softmax(scores) * mask

    return _block(x, _by_weights(weigh, w_q, w_k, w_v, w_o, h), scale_1, scale_2, w_in, w_out)


@wrong("masked with a large negative number: a position that may attend to nothing gets the mean. Use -inf, then zeros")
def minus_one_billion(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    def weigh(scores):
        return softmax(scores if mask is None else scores.masked_fill(~mask, -1e9))

    return _block(x, _by_weights(weigh, w_q, w_k, w_v, w_o, h), scale_1, scale_2, w_in, w_out)


@wrong("masked with -1e4: visible scores may be lower still, and then masked positions get all the weight. Use -inf")
def minus_ten_thousand(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    def weigh(scores):
        if mask is None:
            return softmax(scores)
        return softmax(scores.masked_fill(~mask, -1e4)) * mask.any(-1, keepdim=True)

    return _block(x, _by_weights(weigh, w_q, w_k, w_v, w_o, h), scale_1, scale_2, w_in, w_out)


@wrong("a position that may attend to nothing becomes NaN: softmax of a row of -inf. Give it zeros")
def nan_where_nobody(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    def weigh(scores):
        return torch.softmax(masked_scores(scores, mask), -1)

    return _block(x, _by_weights(weigh, w_q, w_k, w_v, w_o, h), scale_1, scale_2, w_in, w_out)


@wrong("-inf is added: where nobody may be seen the gradient of x is NaN, though weights are patched. Use masked_fill")
def infinity_added(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    def weigh(scores):
        scores = scores if mask is None else scores + torch.where(mask, 0.0, -torch.inf).to(scores)
        return torch.softmax(scores, -1).nan_to_num(0)

    return _block(x, _by_weights(weigh, w_q, w_k, w_v, w_o, h), scale_1, scale_2, w_in, w_out)


@wrong("exp without the row's maximum subtracted overflows beyond 710")
def softmax_overflows(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    def weigh(scores):
        parts = masked_scores(scores, mask).exp()
        total = parts.sum(-1, keepdim=True)
        return parts / torch.where(total == 0, 1, total)

    return _block(x, _by_weights(weigh, w_q, w_k, w_v, w_o, h), scale_1, scale_2, w_in, w_out)


@wrong("axes of size 1 are squeezed away: keep the shape, also of a single position")
def squeezed(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    return encoder_block(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask).squeeze()


@wrong("mean and variance are detached: the norm's gradient has to go through them")
def detached_statistics(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    def norm(y, scale):
        mean, variance = y.mean(-1, keepdim=True).detach(), y.var(-1, keepdim=True, correction=0).detach()
        return (y - mean) / (variance + 1e-5).sqrt() * scale

    return _block(x, _of_itself(w_q, w_k, w_v, w_o, h, mask), scale_1, scale_2, w_in, w_out, norm)


@right
def with_torch(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    y = F.layer_norm(x, x.shape[-1:], scale_1)
    q, k, v = (split_heads(z, h) for z in F.linear(y, torch.cat([w_q, w_k, w_v])).chunk(3, -1))
    x = x + F.linear(join_heads(F.scaled_dot_product_attention(q, k, v, mask)), w_o)
    return x + F.linear(F.relu(F.linear(F.layer_norm(x, x.shape[-1:], scale_2), w_in)), w_out)


@right
def by_the_mean_and_the_variance_at_once(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    def norm(y, scale):
        variance, mean = torch.var_mean(y, -1, correction=0, keepdim=True)
        return (y - mean) * torch.rsqrt(variance + 1e-5) * scale

    return _block(x, _of_itself(w_q, w_k, w_v, w_o, h, mask), scale_1, scale_2, w_in, w_out, norm)


@right
def position_by_position(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    x = _of_itself(w_q, w_k, w_v, w_o, h, mask)(layer_norm(x, scale_1)) + x
    rows = [(w_out @ (w_in @ layer_norm(one, scale_2)).clamp_min(0)) + one for one in x.flatten(0, 1)]
    return torch.stack(rows).unflatten(0, x.shape[:2])
