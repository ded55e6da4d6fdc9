import math

import numpy as np
import pytest
import torch
from torch import nn

from recattn_mini.attention.encoder_block import (
    EncoderBlock,
    encoder_block,
    encoder_block_numpy,
)
from recattn_mini.attention.encoder_block_post_norm import (
    EncoderBlockPostNorm,
    encoder_block_post_norm,
    encoder_block_post_norm_numpy,
)

EVERY = pytest.mark.parametrize(
    ("f", "norm_first"),
    [
        (encoder_block, True),
        (encoder_block_numpy, True),
        (encoder_block_post_norm, False),
        (encoder_block_post_norm_numpy, False),
    ],
)
TORCH = pytest.mark.parametrize(("f", "norm_first"), [(encoder_block, True), (encoder_block_post_norm, False)])
MODULES = pytest.mark.parametrize(
    ("module", "f"), [(EncoderBlock, encoder_block), (EncoderBlockPostNorm, encoder_block_post_norm)]
)
H, D, F = 3, 12, 17
CAUSAL = torch.ones(5, 5, dtype=torch.bool).tril()
PADDING = torch.tensor([[1, 1, 0, 1, 1], [1, 1, 1, 0, 0]]).bool()
MASKS = pytest.mark.parametrize(
    ("mask", "theirs"),
    [
        (None, {}),
        (CAUSAL, {"src_mask": ~CAUSAL}),
        (PADDING[:, None, None], {"src_key_padding_mask": ~PADDING}),
        (CAUSAL & PADDING[:, None, None], {"src_mask": ~CAUSAL, "src_key_padding_mask": ~PADDING}),
    ],
    ids=["no mask", "causal", "padding", "both"],
)


@pytest.fixture
def inputs():
    """x, the eight weights, h."""
    random = np.random.RandomState(2)
    x, *weights = (torch.from_numpy(random.randn(*s)) for s in [(2, 5, D), *[(D, D)] * 4, (F, D), (D, F), (D,), (D,)])
    return x, *(0.3 * w for w in weights), H


def layer(w_q, w_k, w_v, w_o, w_in, w_out, scale_1, scale_2, h, norm_first):
    """nn.TransformerEncoderLayer with our weights, in training, so that it takes no fast path."""
    module = nn.TransformerEncoderLayer(
        D, h, F, dropout=0, bias=False, batch_first=True, norm_first=norm_first, dtype=w_q.dtype
    )
    packed = {"self_attn.in_proj_weight": torch.cat([w_q, w_k, w_v]), "self_attn.out_proj.weight": w_o}
    packed |= {"linear1.weight": w_in, "linear2.weight": w_out, "norm1.weight": scale_1, "norm2.weight": scale_2}
    return lambda x, **masks: torch.func.functional_call(module, packed, (x,), masks, strict=True)


@EVERY
@MASKS
def test_equals_torch(f, norm_first, mask, theirs, inputs, call, close):
    x, *weights = inputs
    close(call(f, *inputs, mask), layer(*weights, norm_first)(x, **theirs))


@EVERY
def test_position_that_may_attend_to_nothing_passes_through(f, norm_first, inputs, call, close):
    """As if its attention had added zeros: torch's layer with an output projection of nothing."""
    x, w_q, w_k, w_v, w_o, *others = inputs
    mask = CAUSAL & torch.tensor([[1, 1, 1, 1, 1], [0, 0, 1, 1, 1]]).bool()[:, None, None]
    nothing = torch.zeros_like(w_o)
    expected = layer(w_q, w_k, w_v, nothing, *others, norm_first)(x)
    out = call(f, *inputs, mask)
    close(out[1, :2], expected[1, :2])
    assert ((out - expected).abs().amax(-1)[1, 2:] > 0.01).all()


@EVERY
def test_worked_by_hand(f, norm_first, call, close, tensor):
    """One position attends to itself: with W_v, W_o identities attention is what it is given."""
    x, one, zero, scale = tensor([[[7, 1]]]), torch.eye(2).double(), torch.zeros(2, 2).double(), tensor([1, 1])
    if norm_first:  # x is 4 ± 3; its norm ±1, up to ε; added: 8 and 0. Its norm ±1 again, relu (1, 0), doubled: 10, 0
        root, second = 3 / math.sqrt(9 + 1e-5), 0
        high, low = 7 + root, 1 - root
        second = (high - low) / 2 / math.sqrt((high - low) ** 2 / 4 + 1e-5)
        expected = tensor([[[high + 2 * second, low]]])
    else:  # x + x is 8 ± 6; its norm ±1; relu (1, 0), doubled and added: 3 and -1; their norm ±1
        root = 6 / math.sqrt(36 + 1e-5)
        high, low = 3 * root, -root
        second = (high - low) / 2 / math.sqrt((high - low) ** 2 / 4 + 1e-5)
        expected = tensor([[[second, -second]]])
    close(call(f, x, zero, zero, one, one, one, 2 * one, scale, scale, 1), expected)


@EVERY
def test_shuffled_items_come_out_shuffled(f, norm_first, inputs, call, close):
    x, *rest = inputs
    order = [3, 0, 4, 2, 1]
    close(call(f, x[:, order], *rest), call(f, x, *rest)[:, order])


def test_pre_norm_leaves_a_path_without_a_norm(inputs, gradients):
    """A large x goes through unchanged but for what is added, and its gradient is that of the output."""
    x, *rest = inputs
    out = encoder_block(1e6 * x, *rest)
    assert 1e-9 < ((out - 1e6 * x) / 1e6).abs().max() < 1e-4
    normed = encoder_block_post_norm(1e6 * x, *rest[:6], *[torch.ones(D).double()] * 2, H)
    torch.testing.assert_close(normed.square().mean(-1), torch.ones(2, 5).double(), rtol=0, atol=1e-4)


@pytest.mark.parametrize("h", [5, 7])
@TORCH
def test_heads_must_divide_the_width(f, norm_first, h, inputs):
    told = f"h must divide the width that the heads share, a = 12, got {h}"
    with pytest.raises(ValueError, match=told):
        f(*inputs[:-1], h)
    with pytest.raises(ValueError, match=told):
        EncoderBlock(D, h, F)


def test_arguments_are_named(inputs):
    with pytest.raises(ValueError, match=r"^w_out must be \(d f\), d = 12 as in x, f = 17 as in w_in, got \(17, 12\)"):
        encoder_block(*inputs[:6], inputs[6].T, *inputs[7:])


def weights_of(block):
    attention = [getattr(block.attention, f"{name}_proj").weight for name in "qkvo"]
    return *attention, block.w_in.weight, block.w_out.weight, block.norm_1.weight, block.norm_2.weight


@pytest.fixture
def build():
    def build(module, **options):
        torch.manual_seed(0)
        block = module(D, H, F, **options).double()
        nn.init.normal_(block.norm_1.weight)
        nn.init.normal_(block.norm_2.weight)
        return block

    return build


@MODULES
@MASKS
def test_module_equals_torch(module, f, mask, theirs, build, inputs, close):
    block = build(module)
    expected = layer(*weights_of(block), H, module is EncoderBlock)(inputs[0], **theirs)
    close(block(inputs[0], mask), expected)


@MODULES
def test_module_drops_out_what_is_added_and_only_in_training(module, f, build, inputs, close):
    block, x = build(module, dropout=1.0), inputs[0]  # everything that can be dropped is
    bare = x if module is EncoderBlock else block.norm_2(block.norm_1(x))
    close(block(x), bare)
    close(block.eval()(x), f(x, *weights_of(block), H).detach())
    half = build(module, dropout=0.5)
    assert not torch.equal(half(x), half(x))


@MODULES
def test_module_has_as_many_parameters_as_torch(module, f, build):
    names = [name for name, _ in build(module).named_parameters()]
    attention = [f"attention.{name}_proj.weight" for name in "qkvo"]
    assert names == ["norm_1.weight", *attention, "norm_2.weight", "w_in.weight", "w_out.weight"]
    theirs = nn.TransformerEncoderLayer(D, H, F, bias=False, batch_first=True)
    count = sum(p.numel() for p in theirs.parameters())
    assert sum(p.numel() for p in build(module).parameters()) == count == 4 * D * D + 2 * D * F + 2 * D
