import math

import numpy as np
import pytest
import torch

from recattn_mini.training.clip_gradient_norm import (
    clip_gradient_norm,
    clip_gradient_norm_numpy,
    gradient_norm,
    gradient_norm_numpy,
)

CLIP = pytest.mark.parametrize("f", [clip_gradient_norm, clip_gradient_norm_numpy])
NORM = pytest.mark.parametrize("f", [gradient_norm, gradient_norm_numpy])


def run(f, gradients, *largest):
    if not f.__name__.endswith("_numpy"):
        return f(gradients, *largest)
    out = f([g.numpy() for g in gradients], *largest)
    return out if isinstance(out, float) else list(map(torch.from_numpy, out))


@pytest.fixture
def three(normal):
    return [normal(3, 5), normal(7), normal(2, 3, 11).mT]


def clipped_by_torch(gradients, largest):
    """torch's, in place, and its norm; it divides by the norm plus 1e-6, which is taken back here."""
    parameters = [torch.nn.Parameter(torch.zeros_like(g)) for g in gradients]
    for p, g in zip(parameters, gradients, strict=True):
        p.grad = g.clone()
    norm = torch.nn.utils.clip_grad_norm_(parameters, largest, error_if_nonfinite=False)
    factor = (norm + 1e-6) / norm if norm > largest else 1
    return [p.grad * factor for p in parameters], norm


@CLIP
@pytest.mark.parametrize("largest", [1e-3, 1.0, 9.6, 9.7, 1e6, math.inf])
def test_equals_torch(f, largest, three, close):
    assert 9.6 < clipped_by_torch(three, 1.0)[1] < 9.7  # some of these clip, some do not
    close(run(f, three, largest), clipped_by_torch(three, largest)[0])


@NORM
def test_norm_equals_torch(f, three):
    assert float(run(f, three)) == pytest.approx(clipped_by_torch(three, 1.0)[1].item(), rel=1e-14)


@CLIP
def test_what_is_clipped_has_the_norm_asked_for_and_the_direction_it_had(f, three):
    before, after = (torch.cat([g.reshape(-1) for g in gs]) for gs in (three, run(f, three, 2.0)))
    assert after.norm().item() == pytest.approx(2, rel=1e-14)
    assert torch.cosine_similarity(before, after, dim=0).item() == pytest.approx(1, abs=1e-14)


@CLIP
def test_what_is_short_enough_stays_as_it_is(f, three):
    """To the last bit: a vanished gradient is not mended, and one of exactly the largest norm is not touched."""
    tiny, exact = [1e-12 * g for g in three], [torch.tensor([3.0]), torch.tensor([[4.0]])]
    for gradients, largest in [(tiny, 1.0), (exact, 5.0), ([0 * g for g in three], 1.0)]:
        assert all(map(torch.equal, run(f, gradients, largest), gradients))


@CLIP
def test_the_gradients_given_stay_as_they_are(f, three):
    copies = [g.clone() for g in three]
    run(f, three, 0.1)
    assert all(map(torch.equal, three, copies))


@CLIP
def test_nan_stays(f, three):
    three[1][2] = math.nan
    assert all(g.isnan().all() for g in run(f, three, 1.0))


def test_half_precision_is_summed_in_float32(half):
    gradients = [torch.full((1024,), 300.0, dtype=half)]  # 300² is more than a float16 holds
    assert gradient_norm(gradients).item() == 9600
    [clipped] = clip_gradient_norm(gradients, 32.0)
    assert clipped.dtype == half
    assert torch.equal(clipped, torch.ones(1024, dtype=half))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_numpy_keeps_dtype(dtype):
    gradients = [np.full(1024, 300, dtype)]
    assert gradient_norm_numpy(gradients) == 9600
    assert clip_gradient_norm_numpy(gradients, 32.0)[0].dtype == dtype


def test_a_list_of_two_dtypes():
    half, single = clip_gradient_norm([torch.tensor([3.0]).half(), torch.tensor([4.0])], 2.5)
    assert (half.dtype, single.dtype) == (torch.float16, torch.float32)
    assert (half.item(), single.item()) == (1.5, 2.0)


def test_compiles_into_one_graph(compiled, three, close):
    close(compiled(clip_gradient_norm)(three, 1.0), clipped_by_torch(three, 1.0)[0])


@pytest.mark.parametrize(
    ("gradients", "largest", "said"),
    [
        ([], 1.0, "^gradients must be a list of at least one, got list"),
        (torch.ones(3), 1.0, "^gradients must be a list of at least one, got Tensor"),
        ([torch.ones(3), None], 1.0, r"^gradients\[1\] must be a torch\.Tensor, got NoneType: leave out parameters"),
        ([np.ones(3)], 1.0, r"^gradients\[0\] must be a torch\.Tensor, got ndarray$"),
        ([torch.ones(3)], 0.0, "^largest must be more than 0, got 0"),
        ([torch.ones(3)], math.nan, "^largest must be more than 0, got nan"),
    ],
)
def test_bad_input_is_named(gradients, largest, said):
    with pytest.raises(ValueError, match=said):
        clip_gradient_norm(gradients, largest)


def test_bad_input_is_named_in_numpy_too():
    with pytest.raises(ValueError, match=r"^gradients\[0\] must be a numpy\.ndarray, got Tensor$"):
        clip_gradient_norm_numpy([torch.ones(3)], 1.0)
    with pytest.raises(ValueError, match=r"^largest must be more than 0, got -1"):
        clip_gradient_norm_numpy([np.ones(3)], -1.0)
