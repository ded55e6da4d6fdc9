import pytest
import torch
from torch import nn

from recattn_mini.attention.rms_norm import rms_norm, rms_norm_numpy

BOTH = pytest.mark.parametrize("f", [rms_norm, rms_norm_numpy])


def oracle(x, scale):
    """nn.RMSNorm with our ε; its own default is that of the dtype, 2.2e-16 in float64."""
    module = nn.RMSNorm(x.shape[-1], eps=1e-5, dtype=x.dtype, device=x.device)
    return torch.func.functional_call(module, {"weight": scale}, (x,))


@pytest.fixture(params=["plain", "no leading axes", "width 1", "non-contiguous", "tiny", "huge", "zeros"])
def inputs(request, normal):
    x, scale = normal("b t d"), normal("s d")[0]
    match request.param:
        case "no leading axes":
            x = x[0, 0]
        case "width 1":
            x, scale = x[..., :1], scale[:1]
        case "non-contiguous":
            x = x.mT.contiguous().mT
            assert not x.is_contiguous()
        case "tiny":
            x = x * 3e-3
        case "huge":
            x = x * 1e100
        case "zeros":
            x[1, 2] = 0
    return x, scale


@BOTH
def test_equals_torch(f, inputs, call, close):
    close(call(f, *inputs), oracle(*inputs))


@BOTH
def test_worked_by_hand(f, call, close, tensor):
    # mean square (1 + 49)/2 = 25
    root = (25 + 1e-5) ** 0.5
    close(call(f, tensor([1, -7]), tensor([2, 3])), tensor([2 / root, -21 / root]))


@BOTH
def test_is_layer_norm_where_the_mean_is_zero_and_not_elsewhere(f, normal, call, close):
    x = normal("b t d")
    x, scale, norm = x - x.mean(-1, keepdim=True), normal("d"), nn.LayerNorm(11, bias=False, dtype=torch.float64)
    nn.init.ones_(norm.weight)
    close(call(f, x, scale), norm(x).detach() * scale)
    assert (call(f, x + 1, scale) - norm(x + 1).detach() * scale).abs().max() > 0.1


def test_half_precision_is_nearly_as_exact_as_torch(half, device, normal, gradients, error):
    inputs = [x.to(half) for x in (5 + normal("b t d"), normal("s d")[0])]
    exact_inputs = [x.double() for x in inputs]
    here = [x.to(device) for x in inputs]
    ours = rms_norm(*here), *gradients(rms_norm, *here)
    theirs = oracle(*here), *gradients(oracle, *here)
    exact = oracle(*exact_inputs), *gradients(oracle, *exact_inputs)
    for a, b, z in zip(ours, theirs, exact, strict=True):
        assert a.dtype == half
        assert 0 < error(a, z) <= 3 * error(b, z)


def test_half_precision_squares_beyond_its_range(device, gradients):
    x = torch.tensor([[-600.0, 600.0]], dtype=torch.float16, device=device)
    one = torch.ones(2, dtype=torch.float16, device=device)
    assert rms_norm(x, one).tolist() == [[-1, 1]]  # 600² = 360,000, float16 ends at 65,504
    assert all(g.isfinite().all() for g in gradients(rms_norm, x, one))
