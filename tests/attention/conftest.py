"""What the attention tests share: cases in which no two axes have one size, and one way to run and to compare.

An oracle is somebody else's code (torch, Keras, finite differences) or a loop over Python's own floats, never ours.
"""

import os
from typing import NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F

SIZES = {"b": 2, "h": 3, "t": 5, "s": 7, "d": 11, "e": 13, "c": 17, "a": 19}

DEVICES = [
    "cpu",
    *(["cuda"] if torch.cuda.is_available() else []),
    *(["mps"] if torch.backends.mps.is_available() else []),
]
HALVES = [torch.float16, torch.bfloat16]

CASES = [
    "no mask",
    "empty rows",
    "a padded user",
    "whole queries masked",
    "logits beyond 1000",
    "non-contiguous",
    "no leading axes",
    "one query",
    "one key",
]


def name(x):
    return str(x).removeprefix("torch.").replace(" ", "-")


class Case(NamedTuple):
    q: torch.Tensor  # (... t d)
    k: torch.Tensor  # (... s d)
    k_c: torch.Tensor  # (... s c): keys of another width than q's
    v: torch.Tensor  # (... s e)
    mask: torch.Tensor | None
    logits_beyond_1000: bool


@pytest.fixture
def normal():
    """normal("b t d"): float64 numbers from N(0, 1), the same ones in every run of a test."""
    random = np.random.RandomState(0)
    return lambda axes: torch.from_numpy(random.randn(*(SIZES[axis] for axis in axes.split())))


@pytest.fixture(scope="session")
def tensor():
    """The float64 tensor of numbers written out."""
    return lambda numbers: torch.tensor(numbers, dtype=torch.float64)


@pytest.fixture
def empty_rows(normal):
    """A mask (b 1 t s) in which one query of each user may attend to nothing, and one to everything."""
    mask = (normal("b t s") < 0.3)[:, None]
    mask[:, :, 0], mask[0, :, 3], mask[1, :, 1] = True, False, False
    return mask


@pytest.fixture(params=CASES, ids=name)
def case(request, normal, empty_rows):
    lead = "" if request.param == "no leading axes" else "b h "
    q, k, k_c, v = (normal(lead + axes) for axes in ("t d", "s d", "s c", "s e"))
    mask = None
    match request.param:
        case "empty rows":
            mask = empty_rows
        case "a padded user":
            mask = torch.tensor([[False, True, True, False, True, True, True], [False] * 7])[:, None, None]
        case "whole queries masked":
            mask = torch.tensor([True, False, True, True, False])[:, None]
        case "logits beyond 1000":  # ± in turns: without the row's maximum exp overflows in one row, dies in the next
            mask = empty_rows
            q[..., 0] = 100 * (-1.0) ** torch.arange(5)
            k[..., 0] = k_c[..., 0] = 100
        case "non-contiguous":
            q, v = q.mT.contiguous().mT, v.repeat_interleave(2, -1)[..., ::2]
            k, k_c = (x.transpose(0, 1).contiguous().transpose(0, 1) for x in (k, k_c))
            mask = empty_rows.mT.contiguous().mT.expand(-1, 3, -1, -1)
            assert not any(x.is_contiguous() for x in (q, k, k_c, v, mask))
        case "no leading axes":
            mask = empty_rows[0, 0]
        case "one query":
            q, mask = q[..., :1, :], empty_rows[:, :, 2:3]
        case "one key":
            k, k_c, v, mask = k[..., :1, :], k_c[..., :1, :], v[..., :1, :], empty_rows[..., :1]
    return Case(q, k, k_c, v, mask, request.param == "logits beyond 1000")


PLACES = [("cpu", dtype) for dtype in (torch.float64, torch.float32, *HALVES)]
PLACES += [(device, torch.float32) for device in (*DEVICES[1:], "meta")]  # meta: no values, but a device all have


@pytest.fixture(params=PLACES, ids=lambda place: "-".join(map(name, place)))
def place(request):
    """A device and a dtype, as the arguments of `.to`: what goes in there must come out there."""
    return request.param


@pytest.fixture(params=DEVICES)
def device(request):
    return request.param


@pytest.fixture(params=HALVES, ids=name)
def half(request):
    return request.param


@pytest.fixture(scope="session")
def call():
    """Call either form with tensors: the answer comes back as a tensor, the arguments must come back unchanged."""

    def call(f, *arguments):
        copies = [x.clone() if isinstance(x, torch.Tensor) else x for x in arguments]
        if f.__name__.endswith("_numpy"):
            out = f(*(x.numpy() if isinstance(x, torch.Tensor) else x for x in arguments))
            assert isinstance(out, tuple) or type(out) is np.ndarray
            out = tuple(map(torch.from_numpy, out)) if isinstance(out, tuple) else torch.from_numpy(out)
        else:
            out = f(*arguments)
        for x, copy in zip(arguments, copies, strict=True):
            assert torch.equal(x, copy) if isinstance(x, torch.Tensor) else x is copy
        return out

    return call


@pytest.fixture(scope="session")
def attend():
    """The rest of attention once the scores (... t s) are there: torch's SDPA of nothing, which adds them to zero."""

    def attend(scores, v, mask):
        if mask is not None:
            scores = torch.where(mask, scores, -torch.inf)
        q, k = torch.zeros_like(scores[..., :1]), torch.zeros_like(v[..., :1])
        return F.scaled_dot_product_attention(q, k, v, scores)

    return attend


def upstream(out):
    """A random gradient of the output: that of .sum() is the one that softmax's rows turn into zero."""
    return torch.from_numpy(np.random.RandomState(1).randn(*out.shape)).to(out)


@pytest.fixture(scope="session")
def upstream_of():
    return upstream


@pytest.fixture(scope="session")
def gradients():
    """The output's gradients of every floating-point argument, under a random upstream gradient."""

    def gradients(f, *arguments):
        learn = [isinstance(x, torch.Tensor) and x.is_floating_point() for x in arguments]
        arguments = [x.detach().requires_grad_() if g else x for x, g in zip(arguments, learn, strict=True)]
        out = f(*arguments)
        return torch.autograd.grad(out, [x for x, g in zip(arguments, learn, strict=True) if g], upstream(out))

    return gradients


@pytest.fixture(scope="session")
def close():
    """One shape, dtype and device; values within 1e-9 of the largest finite one (or of 1, if all are smaller)."""

    def close(actual, expected, tolerance=1e-9):
        if isinstance(expected, tuple):
            assert len(actual) == len(expected)
            for pair in zip(actual, expected, strict=True):
                close(*pair, tolerance)
        else:
            finite = expected.detach().masked_fill(~expected.isfinite(), 0)
            largest = max(1.0, finite.abs().max().item()) if expected.is_floating_point() else 0.0
            torch.testing.assert_close(actual, expected, rtol=0, atol=tolerance * largest)

    return close


@pytest.fixture(scope="session")
def error():
    """The root mean square difference, in float64."""
    return lambda x, exact: (x.detach().cpu().double() - exact.detach()).square().mean().sqrt().item()


@pytest.fixture
def compiled():
    """torch.compile of a whole function. "aot_eager" traces forward and backward as inductor does, but has no C++."""
    torch.compiler.reset()
    yield lambda f, backend="aot_eager", **options: torch.compile(f, fullgraph=True, backend=backend, **options)
    torch.compiler.reset()


@pytest.fixture(scope="session")
def keras():
    os.environ["KERAS_BACKEND"] = "torch"
    keras = pytest.importorskip("keras")
    assert keras.config.backend() == "torch"
    return keras


@pytest.fixture(scope="session")
def run_keras(keras):
    """Run a Keras attention layer on (b t d), (b s d), (b s e); `set_weights` as it orders them -> float64 tensor."""

    def run(layer, q, k, v, padding=None, weights=()):
        q, k, v = (x.numpy() for x in (q, k, v))  # float64 comes in, float32 goes out
        layer.build([q.shape, v.shape, k.shape])
        if weights:
            layer.set_weights([np.asarray(w) for w in weights])
        mask = None if padding is None else [None, keras.ops.convert_to_tensor(padding.numpy())]
        out = layer([q, v, k], mask=mask)  # query, value, key: in this order
        assert out.dtype == torch.float32
        return out.detach().cpu().double()

    return run
