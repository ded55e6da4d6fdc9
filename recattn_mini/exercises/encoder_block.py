"""Spec of encoder_block: where the norms stand, what the residuals add, and what the feed-forward network is."""

import inspect
import math

import torch
import torch.nn.functional as F

from recattn_mini.attention.encoder_block import EncoderBlock, encoder_block, encoder_block_numpy
from recattn_mini.attention.multi_head_attention import join_heads, split_heads
from recattn_mini.exercises.spec import (
    Mistake,
    Named,
    drawn_once,
    finite,
    float64,
    gradients,
    random_tensors,
    right,
    same,
    teaching,
    torch_only,
    wrong,
)
from recattn_mini.exercises.spec.attention import masks, nobody, random_views
from recattn_mini.exercises.spec.blocks import block, mistakes_of_block
from recattn_mini.exercises.spec.heads import first_head_alone
from recattn_mini.exercises.spec.modules import call

NAMES = ("x", "w_q", "w_k", "w_v", "w_o", "w_in", "w_out", "scale_1", "scale_2")
FUNCTIONS_ONLY = ("narrower inside",)
IN_DEPTH = ("no mask", "nobody to attend to")
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
    """As in use, so that dropout drops nothing; narrower heads are filled up, their queries longer for the scale."""
    d = len(scale_1)
    built = module(d, h, len(w_in), *[0.5] * ("dropout" in inspect.signature(module).parameters)).eval()
    longer, wider = math.sqrt(d / len(w_q)), (0, 0, 0, (d - len(w_q)) // h)
    filled = [F.pad(w.unflatten(0, (h, -1)), wider).flatten(0, 1) for w in (longer * w_q, w_k, w_v, w_o.mT)]
    of_heads = zip("qkvo", [*filled[:3], filled[3].mT], strict=True)
    weights = {"norm_1.weight": scale_1, **{f"attention.{name}_proj.weight": w for name, w in of_heads}}
    weights |= {"norm_2.weight": scale_2, "w_in.weight": w_in, "w_out.weight": w_out}
    return call(built, weights, x, mask)


def _weights(d: int, f: int, seed: int) -> list[torch.Tensor]:
    matrices = [0.4 * w for w in random_tensors(*[(d, d)] * 4, (f, d), (d, f), seed=seed)]
    return [*matrices, *random_tensors((d,), (d,), seed=seed + 2)]


@drawn_once
def inputs() -> dict[str, tuple]:
    (x,), (one, equal) = random_views((2, 5, 12), seed=0), random_tensors((1, 1, 12), (4, 4, 4))
    w_q, w_k, w_v, w_o, *scales = _weights(12, 17, seed=1)
    weights, others = [w_q, w_k, w_v, w_o, *scales, 3], [*scales, 3]
    of = masks(2, 3, t=5, s=5)
    return {
        "no mask": (x, *weights, None),
        **{name: (x, *weights, mask) for name, mask in of.items()},
        "nobody to attend to": (x, *weights, nobody(2, 1, t=5, s=5)),
        "nobody for some heads": (x, *weights, first_head_alone(3, t=5, s=5)),
        "large": (x, 1e6 * w_q, 1e6 * w_k, w_v, w_o, *others, of["padding"]),
        "zeros": (torch.cat([0 * x[:, :2], x[:, 2:]], 1), *weights, None),
        "one": (one, *weights, None),
        "narrower inside": (x, w_q[:6], w_k[:6], w_v[:6], w_o[:, :6], *others, None),
        "all sizes equal": (equal, *_weights(4, 4, seed=5), 4, masks(4, 4, t=4, s=4)["a mask"]),
    }


def refused() -> dict[str, tuple]:
    """Inputs that the docstring calls a ValueError."""
    return {"h = 5 does not divide a = 12": (*inputs()["no mask"][:9], 5, None)}


def expected(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    """PyTorch's own norm, attention and layers."""
    y = F.layer_norm(x, x.shape[-1:], scale_1)
    q, k, v = (F.linear(y, w).unflatten(-1, (h, -1)).movedim(2, 1) for w in (w_q, w_k, w_v))
    x = x + F.linear(F.scaled_dot_product_attention(q, k, v, mask).movedim(1, 2).flatten(2), w_o)
    return x + F.linear(F.relu(F.linear(F.layer_norm(x, x.shape[-1:], scale_2), w_in)), w_out)


def _agrees(f, *cases):
    for case in cases:
        same(f(*inputs()[case]), expected(*inputs()[case]))


@teaching
def check_worked_example(f):
    "7 and 1 have the norm ±1; attention to itself adds it, 8 and 0; the network adds 2 · relu(±1): 10 and 0"
    one, zero, scale = float64([[1, 0], [0, 1]]), float64([[0, 0], [0, 0]]), float64([1, 1])
    out = f(float64([[[7, 1]]]), zero, zero, one, one, one, 2 * one, scale, scale, 1)
    same((out - float64([[[10, 0]]])).abs() < 1e-4, torch.ones(1, 1, 2, dtype=torch.bool))


def check_values(f):
    "agrees with PyTorch's norm, attention and layers, on views, on a single position, with heads narrower than x"
    _agrees(f, "no mask", "one", "narrower inside")


def check_mask(f):
    "a mask broadcasts to (b h t t), and reaches the attention: for all, for each user, for each head"
    _agrees(f, "a mask", "padding", "a mask of its own for each", "a mask of three axes")


def check_equal_sizes(f):
    "the same where all sizes are equal: nothing is told by its size"
    _agrees(f, "all sizes equal")


def check_nobody_to_attend_to(f):
    "a position that may attend to nothing is passed on by the residual, and goes through the network"
    _agrees(f, "nobody to attend to", "nobody for some heads")


def check_large_scores(f):
    "large scores do not overflow, and masked ones that are far above the others leave those their weight"
    _agrees(f, "large")


@teaching
def check_zeros(f):
    "a position of nothing but zeros, as padding often is, has the variance 0: ε keeps it from NaN"
    _agrees(f, "zeros")


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
    finite(gradients(f, *inputs()["nobody to attend to"]), NAMES)
    finite(gradients(f, *inputs()["zeros"]), NAMES)


@teaching
def check_order(f):
    "shuffled positions come out shuffled: nothing in the block knows of order"
    (x, *rest), order = inputs()["no mask"], [3, 0, 4, 2, 1]
    same(f(x[:, order], *rest), expected(x, *rest)[:, order])


MISTAKES = mistakes_of_block(block)


@wrong("the width of a head is taken from x before the projection: it is a/h, with a the rows of w_q")
def width_of_x(x, *others):
    return block(x, *others, split=lambda y, h: y.unflatten(-1, (h, x.shape[-1] // h)).transpose(1, 2))


@wrong("positions of padding are set to 0, as in SASRec: here a mask only hides keys, and what a position gives stays")
def padding_zeroed(x, *others):
    is_padding_mask = isinstance(others[-1], torch.Tensor) and others[-1].shape[1:3] == (1, 1)
    return block(x, *others) * (others[-1][:, 0, 0, :, None] if is_padding_mask else 1)


@right
def with_torch(x, w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, mask=None):
    y = F.layer_norm(x, x.shape[-1:], scale_1)
    q, k, v = (split_heads(z, h) for z in F.linear(y, torch.cat([w_q, w_k, w_v])).chunk(3, -1))
    x = x + F.linear(join_heads(F.scaled_dot_product_attention(q, k, v, mask)), w_o)
    return x + F.linear(F.relu(F.linear(F.layer_norm(x, x.shape[-1:], scale_2), w_in)), w_out)


@right
def times_the_inverse_root(x, *others):
    def norm(y, scale):
        return (y - y.mean(-1, keepdim=True)) * torch.rsqrt(y.var(-1, keepdim=True, correction=0) + 1e-5) * scale

    return block(x, *others, norm=norm)


@right
def position_by_position(x, *others):
    def network(y, w_in, w_out):
        return torch.stack([w_out @ (w_in @ one).clamp_min(0) for one in y.flatten(0, 1)]).view_as(y)

    return block(x, *others, network=network)
