import pytest
import torch
import torch.nn.functional as F
from torch import nn

from recattn_mini.attention.layer_norm import layer_norm, layer_norm_backward_numpy, layer_norm_numpy

BOTH = pytest.mark.parametrize("f", [layer_norm, layer_norm_numpy])
CASES = ["plain", "no leading axes", "width 1", "non-contiguous", "tiny", "huge offset", "huge", "a constant vector"]


def oracle(x, scale, shift=None):
    return F.layer_norm(x, x.shape[-1:], scale, shift)


@pytest.fixture(params=CASES)
def inputs(request, normal):
    """x (... d), scale (d), shift (d)."""
    x, scale, shift = normal("b t d"), normal("s d")[0], normal("s d")[1]
    match request.param:
        case "no leading axes":
            x = x[0, 0]
        case "width 1":
            x, scale, shift = x[..., :1], scale[:1], shift[:1]
        case "non-contiguous":
            x = x.mT.contiguous().mT
            assert not x.is_contiguous()
        case "tiny":  # variances around ε: it must stand inside the root
            x = x * 3e-3
        case "huge offset":  # the mean of the squares less the square of the mean would lose all digits
            x = x + 1e6
        case "huge":
            x = x * 1e100
        case "a constant vector":
            x[1, 2] = 7
    return x, scale, shift


# float64 keeps 10 digits of 1e6 + N(0, 1)
tolerance = {"huge offset": 1e-8}


@pytest.fixture
def near(request, close):
    case = request.node.callspec.params["inputs"]
    return lambda actual, expected: close(actual, expected, tolerance.get(case, 1e-9))


@BOTH
def test_equals_torch(f, inputs, call, near):
    x, scale, shift = inputs
    near(call(f, x, scale, shift), oracle(x, scale, shift))
    near(call(f, x, scale), oracle(x, scale))


def test_gradients_equal_autograd(inputs, gradients, near):
    near(gradients(layer_norm, *inputs), gradients(oracle, *inputs))


def test_written_gradients_equal_autograd(inputs, gradients, call, near, upstream_of):
    x, scale, _ = inputs
    upstream = upstream_of(oracle(*inputs))
    near(call(layer_norm_backward_numpy, upstream, x, scale), gradients(oracle, *inputs))


def test_written_gradients_equal_those_of_the_module(normal, call, close, upstream_of):
    module, x = nn.LayerNorm(11, dtype=torch.float64), normal("b t d").requires_grad_()
    nn.init.normal_(module.weight)
    out = module(x)
    out.backward(upstream_of(out))
    expected = x.grad, module.weight.grad, module.bias.grad
    close(call(layer_norm_backward_numpy, upstream_of(out), x.detach(), module.weight.detach()), expected)


@BOTH
def test_worked_by_hand(f, call, close, tensor):
    # mean 3, deviations -2, 0, 2: variance 8/3, over 3 and not over 2
    root = (8 / 3 + 1e-5) ** 0.5
    close(call(f, tensor([1, 3, 5]), tensor([1, 2, 3]), tensor([0, 4, 0])), tensor([-2 / root, 4, 6 / root]))


@BOTH
def test_constant_vector_gives_the_shift(f, call, tensor):
    assert call(f, tensor([[7, 7, 7]]), tensor([1, 2, 3]), tensor([4, 5, 6])).tolist() == [[4, 5, 6]]


def test_gradient_is_orthogonal_to_what_the_norm_forgets(normal, call, upstream_of, close, tensor):
    """A constant added to x changes nothing, so the gradient sums to 0; nor, but for ε, does a factor."""
    x, scale = 1000 * normal("b t d"), normal("s d")[0]
    grad_x, _, _ = call(layer_norm_backward_numpy, upstream_of(x), x, scale)
    assert grad_x.abs().min() > 1e-9
    close(grad_x.sum(-1), torch.zeros(2, 5, dtype=torch.float64), 1e-15)
    close((grad_x * x).sum(-1), torch.zeros(2, 5, dtype=torch.float64))


def test_half_precision_is_nearly_as_exact_as_torch(half, device, normal, gradients, error):
    inputs = [x.to(half) for x in (5 + normal("b t d"), normal("s d")[0], normal("s d")[1])]
    exact_inputs = [x.double() for x in inputs]
    here = [x.to(device) for x in inputs]
    ours = layer_norm(*here), *gradients(layer_norm, *here)
    theirs = oracle(*here), *gradients(oracle, *here)
    exact = oracle(*exact_inputs), *gradients(oracle, *exact_inputs)
    for a, b, z in zip(ours, theirs, exact, strict=True):
        assert a.dtype == half
        assert 0 < error(a, z) <= 3 * error(b, z)


def test_half_precision_squares_beyond_its_range(device, gradients):
    x = torch.tensor([[-600.0, 600.0]], dtype=torch.float16, device=device)
    one = torch.ones(2, dtype=torch.float16, device=device)
    assert layer_norm(x, one).tolist() == [[-1, 1]]  # 600² = 360,000, float16 ends at 65,504
    assert all(g.isfinite().all() for g in gradients(layer_norm, x, one, one))


def test_scale_of_another_width(normal):
    with pytest.raises(ValueError, match=r"^scale must be \(d\), d = 11 as in x, got \(5,\)"):
        layer_norm(normal("b t d"), normal("t"))
