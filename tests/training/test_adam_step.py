import math

import numpy as np
import pytest
import torch

from recattn_mini.training.adam_step import adam_step, adam_step_numpy, adamw_step, adamw_step_numpy

ADAM = pytest.mark.parametrize("f", [adam_step, adam_step_numpy])
ADAMW = pytest.mark.parametrize("f", [adamw_step, adamw_step_numpy])
SETTINGS = pytest.mark.parametrize(
    ("rate", "beta_1", "beta_2", "eps"), [(1e-3, 0.9, 0.999, 1e-8), (0.1, 0.5, 0.7, 1e-2), (0.01, 0.0, 0.99, 1.0)]
)


def fifty_steps(f, optimiser_of, rate, *others, normal, call, close):
    """Beside torch's: a gradient that depends on the parameter, so that an error would grow, and noise of any size."""
    parameter = normal(3, 5)
    theirs = torch.nn.Parameter(parameter.clone())
    optimiser = optimiser_of([theirs])
    m = v = torch.zeros(3, 5, dtype=torch.float64)
    scale = torch.logspace(-6, 6, 5, dtype=torch.float64)
    for step in range(1, 51):
        noise = normal(3, 5)
        theirs.grad = scale * (theirs.detach().sin() + noise)
        optimiser.step()
        gradient = scale * (parameter.sin() + noise)
        parameter, m, v = call(f, parameter, gradient, m, v, step, rate, *others)
        close(parameter, theirs.detach())
        state = optimiser.state[theirs]
        close((m, v), (state["exp_avg"], state["exp_avg_sq"]))


@ADAM
@SETTINGS
def test_fifty_steps_equal_torch(f, rate, beta_1, beta_2, eps, normal, call, close):
    def optimiser_of(parameters):
        return torch.optim.Adam(parameters, lr=rate, betas=(beta_1, beta_2), eps=eps)

    fifty_steps(f, optimiser_of, rate, beta_1, beta_2, eps, normal=normal, call=call, close=close)


@ADAMW
@SETTINGS
def test_fifty_steps_of_adamw_equal_torch(f, rate, beta_1, beta_2, eps, normal, call, close):
    def optimiser_of(parameters):
        return torch.optim.AdamW(parameters, lr=rate, betas=(beta_1, beta_2), eps=eps, weight_decay=0.3)

    fifty_steps(f, optimiser_of, rate, beta_1, beta_2, eps, 0.3, normal=normal, call=call, close=close)


@pytest.mark.parametrize(
    ("f", "theirs"),
    [
        (adam_step, torch.optim.Adam),
        (adam_step_numpy, torch.optim.Adam),
        (adamw_step, torch.optim.AdamW),
        (adamw_step_numpy, torch.optim.AdamW),
    ],
)
def test_defaults_are_torch_s(f, theirs, normal, call, close):
    fifty_steps(f, theirs, 1e-3, normal=normal, call=call, close=close)


@ADAM
def test_equals_a_loop_over_floats(f, call):
    """Algorithm 1, line by line, for one number."""
    p, m, v = 0.5, 0.0, 0.0
    parameter, first, second = (torch.tensor([x], dtype=torch.float64) for x in (p, m, v))
    for t, g in enumerate([0.3, -2.0, 1e-4, 0.0, 5.0], start=1):
        m = 0.8 * m + 0.2 * g
        v = 0.9 * v + (1 - 0.9) * g * g
        p -= 0.1 * (m / (1 - 0.8**t)) / (math.sqrt(v / (1 - 0.9**t)) + 1e-3)
        gradient = torch.tensor([g], dtype=torch.float64)
        parameter, first, second = call(f, parameter, gradient, first, second, t, 0.1, 0.8, 0.9, 1e-3)
        assert (parameter.item(), first.item(), second.item()) == pytest.approx((p, m, v), rel=1e-12)


@ADAM
def test_the_first_step_is_as_long_as_the_rate_whatever_the_gradient(f, call, close):
    zero = torch.zeros(4, dtype=torch.float64)
    gradient = torch.tensor([1e-3, -7.0, 1e6, -1e-3], dtype=torch.float64)
    close(call(f, zero, gradient, zero, zero, 1, 0.5, 0.9, 0.999, 0.0)[0], -0.5 * gradient.sign())


@ADAM
def test_an_item_that_was_never_in_a_batch_stays_and_one_that_was_moves_on(f, call):
    parameter, zero = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    assert torch.equal(call(f, parameter, zero, zero, zero, 1)[0], parameter)
    _, m, v = call(f, parameter, parameter, zero, zero, 1)
    assert call(f, parameter, zero, m, v, 2)[0] < parameter  # without a gradient: momentum


@ADAMW
def test_decay_does_not_pass_through_the_moments(f, call, close):
    """L2 in the gradient does: torch's Adam with weight_decay moves by about the rate, whatever the decay is."""
    parameter, zero = torch.full((1,), 2.0, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    decayed, m, v = call(f, parameter, zero, zero, zero, 1, 0.1, 0.9, 0.999, 1e-8, 0.01)
    close(decayed, torch.full((1,), 2 * (1 - 0.1 * 0.01), dtype=torch.float64))
    assert torch.equal(m, zero)
    assert torch.equal(v, zero)
    theirs = torch.nn.Parameter(parameter.clone())
    theirs.grad = zero.clone()
    torch.optim.Adam([theirs], lr=0.1, weight_decay=0.01).step()
    assert theirs.item() == pytest.approx(2 - 0.1, rel=1e-6)


@pytest.mark.parametrize("f", [adam_step, adamw_step])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_keeps_dtype(f, dtype):
    x = torch.ones(2, 3, dtype=dtype)
    assert [out.dtype for out in f(x, x, x, x, 3)] == [dtype] * 3


@pytest.mark.parametrize("f", [adam_step_numpy, adamw_step_numpy])
def test_numpy_keeps_float32(f):
    x = np.ones((2, 3), np.float32)
    assert [out.dtype for out in f(x, x, x, x, 3)] == [np.float32] * 3


@pytest.mark.parametrize("f", [adam_step, adamw_step])
def test_compiles_into_one_graph(f, compiled, normal, close):
    inputs = normal(3, 5), normal(3, 5), normal(3, 5), normal(3, 5).square(), 7
    close(compiled(f)(*inputs), f(*inputs))


@pytest.mark.parametrize("f", [adam_step, adamw_step])
def test_bad_input_is_named(f):
    x = torch.zeros(3)
    with pytest.raises(ValueError, match=r"^step must be a whole number from 1, got 0"):  # it would divide by 0
        f(x, x, x, x, 0)
    with pytest.raises(ValueError, match=r"^gradient must be \(\.\.\.\), \.\.\. = 3 as in parameter, got \(3, 1\)"):
        f(x, x[:, None], x, x, 1)
    with pytest.raises(ValueError, match=r"^v must be torch\.float32 as parameter is, got torch\.float64"):
        f(x, x, x, x.double(), 1)
