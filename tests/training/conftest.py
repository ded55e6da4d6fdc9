"""What the tests of losses and steps share: seeded numbers, and one way to run both forms and to compare."""

import os

import numpy as np
import pytest
import torch

HALVES = [torch.float16, torch.bfloat16]


@pytest.fixture
def normal():
    """normal(3, 5): float64 numbers from N(0, 1), the same ones in every run of a test."""
    random = np.random.RandomState(0)
    return lambda *shape: torch.from_numpy(np.asarray(random.randn(*shape)))


@pytest.fixture(params=HALVES, ids=lambda dtype: str(dtype).removeprefix("torch."))
def half(request):
    return request.param


@pytest.fixture(scope="session")
def call():
    """Call either form with tensors: tensors come back, a float as float64; the arguments must come back unchanged."""

    def tensor(x):
        return torch.tensor(x, dtype=torch.float64) if isinstance(x, float) else torch.from_numpy(x)

    def call(f, *arguments):
        copies = [x.clone() if isinstance(x, torch.Tensor) else x for x in arguments]
        if f.__name__.endswith("_numpy"):
            out = f(*(x.numpy() if isinstance(x, torch.Tensor) else x for x in arguments))
            assert isinstance(out, tuple) or type(out) in (float, np.ndarray)
            out = tuple(map(tensor, out)) if isinstance(out, tuple) else tensor(out)
        else:
            out = f(*arguments)
        for x, copy in zip(arguments, copies, strict=True):
            assert torch.equal(x, copy) if isinstance(x, torch.Tensor) else x is copy
        return out

    return call


@pytest.fixture(scope="session")
def gradients():
    """The gradients of the floating-point arguments; a loss is a number, so its own is 1."""

    def gradients(f, *arguments):
        learn = [isinstance(x, torch.Tensor) and x.is_floating_point() for x in arguments]
        arguments = [x.detach().requires_grad_() if g else x for x, g in zip(arguments, learn, strict=True)]
        return torch.autograd.grad(f(*arguments), [x for x, g in zip(arguments, learn, strict=True) if g])

    return gradients


@pytest.fixture(scope="session")
def close():
    """One shape and dtype; values within 1e-12 of the largest expected one (or of 1, if all are smaller)."""

    def close(actual, expected, tolerance=1e-12):
        if isinstance(expected, (tuple, list)):
            assert len(actual) == len(expected)
            for pair in zip(actual, expected, strict=True):
                close(*pair, tolerance)
        else:
            largest = max(1.0, expected.detach().abs().max().item())
            torch.testing.assert_close(actual, expected, rtol=0, atol=tolerance * largest)

    return close


@pytest.fixture
def compiled():
    """torch.compile of a whole function, without C++."""
    torch.compiler.reset()
    yield lambda f: torch.compile(f, fullgraph=True, backend="aot_eager")
    torch.compiler.reset()


@pytest.fixture(scope="session")
def keras():
    os.environ["KERAS_BACKEND"] = "torch"
    keras = pytest.importorskip("keras")
    assert keras.config.backend() == "torch"
    return keras
