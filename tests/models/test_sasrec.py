"""SASRec: the same as torch's own encoder layers on the same weights; causal, blind to padding, one item table."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from recattn_mini.models.sasrec import SASRec

N, D, H, LENGTH, DROPOUT = 17, 6, 2, 7, 0.3


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = SASRec(N, D, H, LENGTH, blocks=2, dropout=DROPOUT).double().eval()
    with torch.no_grad():
        for p in model.parameters():  # small numbers at the start would hide a softmax over the wrong axis
            p.copy_(torch.randn_like(p))
        model.items.weight[0] = 0
    return model


@pytest.fixture
def history():
    return torch.tensor([[0, 0, 3, 9, 1, 17, 4], [5, 6, 2, 8, 8, 1, 16], [0, 0, 0, 0, 0, 0, 11]])


def torch_layers(model):
    """The same weights in nn.TransformerEncoderLayer."""
    layers = []
    for block in model.blocks:
        layer = nn.TransformerEncoderLayer(D, H, D, DROPOUT, batch_first=True, norm_first=True, bias=False)
        layer = layer.double().train(model.training)
        layer.self_attn.dropout = 0.0  # of the weights: ours has none there
        attention = block.attention
        with torch.no_grad():
            layer.self_attn.in_proj_weight.copy_(
                torch.cat([attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight])
            )
            layer.self_attn.out_proj.weight.copy_(attention.o_proj.weight)
            layer.linear1.weight.copy_(block.w_in.weight)
            layer.linear2.weight.copy_(block.w_out.weight)
            layer.norm1.weight.copy_(block.norm_1.weight)
            layer.norm2.weight.copy_(block.norm_2.weight)
        layers.append(layer)
    return layers


def of_one_user(model, items):
    """What torch's layers make of a history without padding: states (s d), weights of the last step (s)."""
    s = len(items)
    x = model.items.weight[items][None] + model.positions[:s].flip(0)
    causal = torch.ones(s, s, dtype=torch.bool).triu(1)  # True = blocked, with torch's layers
    for layer in torch_layers(model):
        y = layer.norm1(x)
        _, weights = layer.self_attn(y, y, y, attn_mask=causal, need_weights=True)
        x = layer(x, src_mask=causal)
    return nn.functional.layer_norm(x, (D,), model.norm.weight)[0], weights[0, -1]


def test_equals_torchs_layers_without_the_padding(model, history):
    states, weights = model(history), model.weights(history)
    for user, row in enumerate(history):
        items = row[row != 0]
        expected, looks_at = of_one_user(model, items)
        torch.testing.assert_close(states[user, -len(items) :], expected, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(weights[user, -len(items) :], looks_at, rtol=1e-9, atol=1e-9)
        assert (weights[user, : -len(items)] == 0).all()


def test_the_future_changes_nothing(model, history):
    other = history.clone()
    other[:, 5:] = torch.tensor([2, 13])
    assert torch.equal(model(history)[:, :5], model(other)[:, :5])
    assert not torch.allclose(model(history)[:, 5:], model(other)[:, 5:])


def test_more_padding_changes_nothing(model, history):
    short = history[:, 2:][[0, 2]]
    torch.testing.assert_close(model(history[[0, 2]])[:, 2:], model(short), rtol=1e-12, atol=1e-12)


def test_scores_are_by_item_id(model, history):
    last = model(history)[:, -1]
    scores = model.scores(history)
    assert scores.shape == (3, N + 1)
    assert (scores[:, 0] == -math.inf).all()
    expected = last[1] @ model.items.weight[16] + model.bias[16]
    assert math.isclose(scores[1, 16].item(), expected.item(), rel_tol=1e-12)


def test_nothing_but_padding_is_finite_and_so_are_gradients(model):
    out = model(torch.tensor([[0, 0, 0], [0, 0, 5]]))
    out.backward(torch.randn_like(out))
    assert out.isfinite().all()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p is not model.bias)
    assert (model.items.weight.grad[0] == 0).all(), "padding is not trained"


def test_dropout_only_in_training(model, history):
    assert torch.equal(model(history), model(history))
    model.train()
    assert not torch.equal(model(history), model(history))


def test_dropout_on_the_positions_and_where_torchs_layers_have_it(model, history):
    layers, items = torch_layers(model.train()), history[1:2]  # one user without padding
    causal = torch.ones(LENGTH, LENGTH, dtype=torch.bool).triu(1)
    torch.manual_seed(1)
    x = nn.functional.dropout(model.items.weight[items] + model.positions.flip(0), DROPOUT)
    for layer in layers:
        x = layer(x, src_mask=causal)
    expected = nn.functional.layer_norm(x, (D,), model.norm.weight)
    torch.manual_seed(1)
    torch.testing.assert_close(model(items), expected, rtol=1e-9, atol=1e-9)


def test_a_longer_history_than_was_trained_is_an_error(model):
    with pytest.raises(ValueError, match="8 steps"):
        model(torch.from_numpy(np.arange(1, 9))[None])
