import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from recattn_mini.training.binary_cross_entropy import (
    binary_cross_entropy,
    binary_cross_entropy_backward_numpy,
    binary_cross_entropy_numpy,
)

BOTH = pytest.mark.parametrize("f", [binary_cross_entropy, binary_cross_entropy_numpy])


@pytest.fixture(params=["3 axes", "shares of clicks", "logits of 0", "beyond 1000", "10000", "a view", "one logit"])
def case(request, normal):
    """Logits and labels of one shape; where they are extreme, some are right and some are wrong."""
    logits, labels = 3 * normal(3, 5, 7), (normal(3, 5, 7) > 0).double()
    match request.param:
        case "shares of clicks":
            labels = normal(3, 5, 7).sigmoid()
        case "logits of 0":
            logits[:, 2] = 0
        case "beyond 1000":
            logits = logits + 1000 * logits.sign()
        case "10000":
            logits = 1e4 * normal(3, 5, 7).sign()
        case "a view":
            logits, labels = logits.mT, labels.mT
        case "one logit":
            logits, labels = logits[0, 0, :1], labels[0, 0, :1]
    return logits, labels


@BOTH
def test_equals_torch(f, case, call, close):
    close(call(f, *case), F.binary_cross_entropy_with_logits(*case))


def test_gradient_equals_autograd_also_where_maximum_and_modulus_have_none(case, gradients, close):
    logits, labels = case
    ours = gradients(lambda x: binary_cross_entropy(x, labels), logits)
    close(ours, gradients(lambda x: F.binary_cross_entropy_with_logits(x, labels), logits))


def test_written_gradient_equals_autograd(case, gradients, call, close):
    logits, labels = case
    theirs = gradients(lambda x: F.binary_cross_entropy_with_logits(x, labels), logits)
    close(call(binary_cross_entropy_backward_numpy, *case), *theirs)


def test_gradient_of_soft_labels_is_minus_the_logit(normal, gradients, close):
    logits, labels = normal(11), normal(11).sigmoid()
    close(gradients(binary_cross_entropy, logits, labels)[1], -logits / 11)


def test_finite_differences(normal):
    logits, labels = normal(5).requires_grad_(), torch.tensor([1, 0, 0, 1, 1])
    assert torch.autograd.gradcheck(lambda x: binary_cross_entropy(x, labels), logits)
    assert torch.autograd.gradgradcheck(lambda x: binary_cross_entropy(x, labels), logits)


@BOTH
@pytest.mark.parametrize(
    ("logits", "labels", "loss"),
    [
        ([0], [1], math.log(2)),
        ([math.log(3), math.log(3)], [1, 0], (math.log(4 / 3) + math.log(4)) / 2),  # σ is ¾
        ([-1000, 1000], [1, 0], 1000),  # σ(-1000) is 0, and exp(1000) is inf
        ([-1e4, 1e4], [0, 1], 0),
        ([50], [1], math.exp(-50)),  # to the first digit: log(1 + exp(50)) - 50 is 0 in float64
        ([math.log(3)], [0.75], 0.75 * math.log(4 / 3) + 0.25 * math.log(4)),  # an entropy, not 0
    ],
)
def test_worked_by_hand(f, logits, labels, loss, call):
    inputs = torch.tensor(logits, dtype=torch.float64), torch.tensor(labels)
    assert call(f, *inputs).item() == pytest.approx(loss, rel=1e-12)


def test_a_certain_mistake_still_has_a_gradient(gradients):
    """Probabilities clipped to 1e-7 have none: this is what logits are for."""
    logits, labels = torch.tensor([-1000.0, -40.0, 40.0, 1000.0]), torch.tensor([1.0, 1.0, 0.0, 0.0])
    clipped = gradients(lambda x: F.binary_cross_entropy(x.sigmoid().clamp(1e-7, 1 - 1e-7), labels), logits)[0]
    assert torch.equal(clipped, torch.zeros(4))
    torch.testing.assert_close(
        gradients(lambda x: binary_cross_entropy(x, labels), logits)[0], torch.tensor([-1, -1, 1, 1]) / 4
    )


def test_keras_binary_crossentropy(keras, normal):
    logits, labels = 3 * normal(13), (normal(13) > 0).double()
    theirs = keras.losses.BinaryCrossentropy(from_logits=True)(labels.float().numpy(), logits.float().numpy())
    assert binary_cross_entropy(logits, labels).item() == pytest.approx(float(theirs), rel=1e-6)  # they are in float32


@BOTH
@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.uint8, torch.float32])
def test_labels_may_have_any_dtype(f, dtype, normal, call, close):
    logits, labels = normal(3, 5), normal(3, 5) > 0
    close(call(f, logits, labels.to(dtype)), F.binary_cross_entropy_with_logits(logits, labels.double()))


def test_half_precision(half, normal):
    logits, labels = (8 * normal(1009)).to(half), normal(1009) > 0
    exact = F.binary_cross_entropy_with_logits(logits.double(), labels.double())
    out = binary_cross_entropy(logits, labels)
    assert out.dtype == half
    assert out.item() == pytest.approx(exact.item(), rel=2 * torch.finfo(half).eps)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numpy_keeps_dtype(dtype):
    assert binary_cross_entropy_backward_numpy(np.zeros(3, dtype), np.ones(3, np.int64)).dtype == dtype


def test_compiles_into_one_graph(compiled, normal, gradients, close):
    inputs = normal(3, 5), normal(3, 5).sigmoid()
    close(compiled(binary_cross_entropy)(*inputs), F.binary_cross_entropy_with_logits(*inputs))
    close(gradients(compiled(binary_cross_entropy), *inputs), gradients(F.binary_cross_entropy_with_logits, *inputs))


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (torch.tensor([1.0, -1.0, 1.0]), r"^labels must be probabilities from 0 to 1, got -1\.0 at \(1,\)$"),
        (torch.tensor([1, 5, 0]), r"^labels must be probabilities from 0 to 1, got 5 at \(1,\)$"),
        (torch.tensor([0.0, math.nan, 1.0]), "^labels must be probabilities from 0 to 1, got nan"),
        (torch.ones(3, 1), r"^labels must be .* \(3, 1\)$"),  # it would broadcast to 3 x 3, and nothing would be said
    ],
)
def test_bad_labels_are_named(labels, said):
    with pytest.raises(ValueError, match=said):
        binary_cross_entropy(torch.zeros(3), labels)
    with pytest.raises(ValueError, match=said):
        binary_cross_entropy_numpy(np.zeros(3), labels.numpy())
    with pytest.raises(ValueError, match=said):
        binary_cross_entropy_backward_numpy(np.zeros(3), labels.numpy())


def test_bad_logits_are_named():
    with pytest.raises(ValueError, match=r"^logits must be float, got torch\.int64"):
        binary_cross_entropy(torch.zeros(3, dtype=torch.int64), torch.zeros(3))
    with pytest.raises(ValueError, match=r"^logits has an empty axis"):
        binary_cross_entropy(torch.zeros(0), torch.zeros(0))
