import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from recattn_mini.training.softmax_loss import softmax_loss, softmax_loss_backward_numpy, softmax_loss_numpy

BOTH = pytest.mark.parametrize("f", [softmax_loss, softmax_loss_numpy])


def cross_entropy(scores, target):
    return F.cross_entropy(scores.reshape(-1, scores.shape[-1]), target.reshape(-1).long())


@pytest.fixture(params=["2 axes", "3 axes", "one target", "items out", "beyond 1000", "10000", "a view", "one item"])
def case(request, normal):
    scores, target = 3 * normal(3, 5, 11), torch.arange(15).reshape(3, 5) * 7 % 11
    match request.param:
        case "2 axes":
            return scores[0], target[0]
        case "one target":
            return scores[0, 0], target[0, 0]
        case "items out":
            scores = scores.masked_fill((normal(3, 5, 11) > 0.5) & (torch.arange(11) != target[..., None]), -math.inf)
        case "beyond 1000":
            scores = scores + 2000 * (-1.0) ** torch.arange(5)[:, None]
        case "10000":
            scores = 1e4 * scores
        case "a view":
            return scores.mT.contiguous().mT[:, ::2], target.mT.contiguous().mT[:, ::2]
        case "one item":
            return scores[..., :1], 0 * target
    return scores, target


@BOTH
def test_equals_torch(f, case, call, close):
    close(call(f, *case), cross_entropy(*case))


def test_gradient_equals_autograd(case, gradients, close):
    close(gradients(softmax_loss, *case), gradients(cross_entropy, *case))


def test_written_gradient_equals_autograd(case, gradients, call, close):
    close(call(softmax_loss_backward_numpy, *case), *gradients(cross_entropy, *case))


def test_finite_differences(normal):
    target = torch.tensor([1, 0, 4])
    assert torch.autograd.gradcheck(lambda x: softmax_loss(x, target), normal(3, 5).requires_grad_())


@BOTH
@pytest.mark.parametrize(
    ("scores", "target", "loss"),
    [
        ([[math.log(1), math.log(2), math.log(5)]], [1], math.log(4)),
        ([[0, 0, 0, 0], [math.log(3), 0, -math.inf, 0]], [2, 0], (math.log(4) + math.log(5 / 3)) / 2),
        ([[1000, 0]], [1], 1000),  # softmax is 0, its log -inf
        ([[-1e4, -1e4]], [0], math.log(2)),  # exp(-1e4) is 0
        ([[0, -math.inf]], [1], math.inf),  # an item that was taken out cannot come next
    ],
)
def test_worked_by_hand(f, scores, target, loss, call):
    inputs = torch.tensor(scores, dtype=torch.float64), torch.tensor(target)
    assert call(f, *inputs).item() == pytest.approx(loss, rel=1e-12)


def test_keras_sparse_categorical_crossentropy(keras, normal):
    scores, target = 3 * normal(5, 11), torch.tensor([3, 10, 0, 7, 7])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    theirs = float(loss(target.numpy(), scores.float().numpy()))
    assert softmax_loss(scores, target).item() == pytest.approx(theirs, rel=1e-6)  # they are in float32


@BOTH
@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8])
def test_target_may_be_any_int(f, dtype, normal, call, close):
    scores, target = normal(3, 5), torch.tensor([4, 0, 2])
    close(call(f, scores, target.to(dtype)), cross_entropy(scores, target))


def test_half_precision(half, normal):
    scores, target = (8 * normal(101, 211)).to(half), torch.arange(101)
    out = softmax_loss(scores, target)
    assert out.dtype == half
    assert out.item() == pytest.approx(cross_entropy(scores.double(), target).item(), rel=2 * torch.finfo(half).eps)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numpy_keeps_dtype(dtype):
    assert softmax_loss_backward_numpy(np.zeros((2, 3), dtype), np.array([0, 2])).dtype == dtype


def test_compiles_into_one_graph(compiled, normal, gradients, close):
    inputs = normal(3, 5), torch.tensor([4, 0, 2])
    close(compiled(softmax_loss)(*inputs), cross_entropy(*inputs))
    close(gradients(compiled(softmax_loss), *inputs), gradients(cross_entropy, *inputs))


@pytest.mark.parametrize("target", [[0, -1], [5, 0], [-100, 1]])  # -1 is NumPy's last column, -100 torch's padding
def test_a_target_outside_is_named(target):
    scores, target = torch.zeros(2, 5), torch.tensor(target)
    said = "^target must be columns from 0 to n-1 = 4, got "
    with pytest.raises(ValueError, match=said):
        softmax_loss(scores, target)
    with pytest.raises(ValueError, match=said):
        softmax_loss_numpy(scores.numpy(), target.numpy())
    with pytest.raises(ValueError, match=said):
        softmax_loss_backward_numpy(scores.numpy(), target.numpy())


def test_other_bad_input_is_named():
    with pytest.raises(ValueError, match=r"^target must be int, got torch\.float32"):
        softmax_loss(torch.zeros(2, 5), torch.zeros(2))
    with pytest.raises(ValueError, match=r"^target must be \(\.\.\.\), .* got \(3,\)"):
        softmax_loss(torch.zeros(2, 5), torch.zeros(3, dtype=torch.int64))
