"""GRU4Rec: the recurrence written out, step by step."""

import pytest
import torch
from torch import nn

from recattn_mini.models.gru4rec import GRU4Rec


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = GRU4Rec(n=17, d=5, dropout=0.3).double().eval()
    with torch.no_grad():
        model.items.weight[1:] = torch.randn(17, 5, dtype=torch.float64)
        model.bias.normal_()
    return model


def test_equals_a_cell_in_a_loop(model):
    history = torch.tensor([[0, 3, 9, 17], [5, 6, 2, 8]])
    cell = nn.GRUCell(5, 5, bias=False).double()
    cell.load_state_dict({name: getattr(model.gru, f"{name}_l0") for name in cell.state_dict()})
    state, states = torch.zeros(2, 5, dtype=torch.float64), []
    for items in history.T:
        state = cell(model.items.weight[items], state)
        states.append(state @ model.o_proj.weight.T)
    torch.testing.assert_close(model(history), torch.stack(states, 1), rtol=1e-12, atol=1e-12)
    expected = states[-1] @ model.items.weight[1:].T + model.bias[1:]
    assert (model.scores(history)[:, 0] == -torch.inf).all()
    torch.testing.assert_close(model.scores(history)[:, 1:], expected, rtol=1e-12, atol=1e-12)


def test_the_order_matters(model):
    one, other = model.scores(torch.tensor([[3, 9, 17], [9, 3, 17]]))[:, 1:]
    assert (one - other).abs().max() > 0.01


def test_more_padding_changes_nothing(model):
    scores = model.scores(torch.tensor([[3, 9, 17]]))
    torch.testing.assert_close(model.scores(torch.tensor([[0, 0, 3, 9, 17]])), scores, rtol=1e-12, atol=1e-12)


def test_dropout_on_what_enters_and_on_what_leaves_the_recurrence(model):
    history = torch.tensor([[3, 9, 17], [5, 6, 2]])
    torch.manual_seed(1)
    states, _ = model.gru(nn.functional.dropout(model.items.weight[history], 0.3))
    expected = nn.functional.dropout(states, 0.3) @ model.o_proj.weight.T
    torch.manual_seed(1)
    torch.testing.assert_close(model.train()(history), expected, rtol=1e-12, atol=1e-12)
    torch.manual_seed(1)
    assert torch.equal(model.eval()(history), model(history)), "in training only"
