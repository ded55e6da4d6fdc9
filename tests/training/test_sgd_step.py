import numpy as np
import pytest
import torch

from recattn_mini.training.sgd_step import sgd_step, sgd_step_numpy

BOTH = pytest.mark.parametrize("f", [sgd_step, sgd_step_numpy])


@BOTH
@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_fifty_steps_equal_torch(f, momentum, weight_decay, normal, call, close):
    """A gradient that depends on the parameter, so that an error would grow, and noise, so that it does not vanish."""
    parameter = normal(3, 5)
    theirs = torch.nn.Parameter(parameter.clone())
    optimiser = torch.optim.SGD([theirs], lr=0.05, momentum=momentum, weight_decay=weight_decay)
    velocity = torch.zeros(3, 5, dtype=torch.float64)
    for _ in range(50):
        noise = normal(3, 5)
        theirs.grad = theirs.detach().sin() + noise
        optimiser.step()
        gradient = parameter.sin() + noise
        parameter, velocity = call(f, parameter, gradient, velocity, 0.05, momentum, weight_decay)
        close(parameter, theirs.detach())
        if momentum:
            close(velocity, optimiser.state[theirs]["momentum_buffer"])


@BOTH
def test_worked_by_hand(f, call, close):
    ten, two, four, expected, velocity = torch.tensor([[10], [2], [4], [9.1], [9]], dtype=torch.float64)
    # g = 2 + 0.5 · 10 = 7; velocity 0.5 · 4 + 7 = 9; 10 - 0.1 · 9
    close(call(f, ten, two, four, 0.1, 0.5, 0.5), (expected, velocity))


@BOTH
def test_momentum_makes_steps_ten_times_as_long_in_the_end(f, call):
    parameter = velocity = torch.zeros(1, dtype=torch.float64)
    for _ in range(300):
        before = parameter
        parameter, velocity = call(f, parameter, torch.ones(1).double(), velocity, 0.01, 0.9, 0.0)
    assert (before - parameter).item() == pytest.approx(0.1, rel=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_keeps_dtype(dtype):
    x = torch.ones(2, 3, dtype=dtype)
    assert [out.dtype for out in sgd_step(x, x, x, 0.1, 0.9, 0.1)] == [dtype] * 2


def test_numpy_keeps_float32():
    x = np.ones((2, 3), np.float32)
    assert [out.dtype for out in sgd_step_numpy(x, x, x, 0.1, 0.9, 0.1)] == [np.float32] * 2


def test_bad_input_is_named():
    x = torch.zeros(3)
    with pytest.raises(ValueError, match=r"^gradient must be \(\.\.\.\), \.\.\. = 3 as in parameter, got \(3, 1\)"):
        sgd_step(x, x[:, None], x, 0.1)  # it would broadcast to 3 x 3
    with pytest.raises(ValueError, match=r"^velocity must be torch\.float32 as parameter is, got torch\.float64"):
        sgd_step(x, x, x.double(), 0.1)
    with pytest.raises(ValueError, match=r"^parameter must be a numpy\.ndarray"):
        sgd_step_numpy(x, x, x, 0.1)
