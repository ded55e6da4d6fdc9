"""DIN, DIEN and mean pooling: what a candidate's score may depend on, and against a loop over single events."""

import pytest
import torch
from torch import nn

from recattn_mini.models.dien import DIEN
from recattn_mini.models.din import DIN
from recattn_mini.models.mean_pooling import MeanPooling

ITEMS, D, A = 23, 4, 3
MODELS = {
    "din": lambda genres: DIN(genres, 5, D, A),
    "dien": lambda genres: DIEN(genres, 5, D),
    "mean pooling": lambda genres: MeanPooling(genres, 5, D),
}


def grown(model):
    """With weights of a size at which every part of the model shows."""
    with torch.no_grad():
        for p in model.parameters():
            p.normal_()
        model.features.items.weight[0] = model.features.ratings.weight[0] = 0
    return model.double().eval()


@pytest.fixture
def genres():
    torch.manual_seed(0)
    table = torch.rand(ITEMS, 6, dtype=torch.float64)
    table[0] = 0
    return table


@pytest.fixture(params=MODELS)
def model(request, genres):
    return grown(MODELS[request.param](genres))


@pytest.fixture
def request_of_two():
    user, context = torch.tensor([[3, 1, 5], [0, 0, 0]]), torch.tensor([[23, 0], [4, 15]])
    history = torch.tensor([[0, 0, 7, 2, 11], [0, 5, 9, 22, 1]])
    ratings = torch.tensor([[0, 0, 5, 1, 3], [0, 2, 4, 4, 5]])
    candidates = torch.tensor([[4, 7, 13], [22, 1, 6]])
    return user, context, history, ratings, candidates


def test_all_candidates_at_once_are_each_candidate_alone(model, request_of_two):
    *rest, candidates = request_of_two
    together = model(*rest, candidates)
    alone = torch.cat([model(*rest, one) for one in candidates.split(1, dim=1)], dim=1)
    torch.testing.assert_close(together, alone, rtol=1e-12, atol=1e-12)
    assert together.std() > 0.1


def test_users_do_not_see_each_other(model, request_of_two):
    alone = torch.cat([model(*(x[user : user + 1] for x in request_of_two)) for user in range(2)])
    torch.testing.assert_close(model(*request_of_two), alone, rtol=1e-12, atol=1e-12)


def test_more_padding_changes_nothing(model, request_of_two):
    user, context, history, ratings, candidates = request_of_two
    longer = [torch.cat([torch.zeros(2, 3, dtype=torch.long), x], dim=1) for x in (history, ratings)]
    expected = model(*request_of_two)
    torch.testing.assert_close(model(user, context, *longer, candidates), expected, rtol=1e-12, atol=1e-12)


def test_the_order_of_the_history_matters_to_dien_alone(model, request_of_two):
    user, context, history, ratings, candidates = request_of_two
    swapped = model(user, context, history[:, [0, 1, 4, 2, 3]], ratings[:, [0, 1, 4, 2, 3]], candidates)
    assert torch.allclose(model(*request_of_two), swapped, atol=1e-9) is not isinstance(model, DIEN)


@pytest.mark.parametrize("what", range(5), ids=["user", "context", "history", "ratings", "candidates"])
def test_every_input_counts(model, request_of_two, what):
    other = list(request_of_two)
    other[what] = other[what].clone()
    other[what][0, -1] = {0: 2, 1: 9, 2: 12, 3: 4, 4: 15}[what]
    moved = (model(*other) - model(*request_of_two)).abs()
    assert moved[0].max() > 1e-3
    assert moved[1].max() == 0


def test_an_empty_history_is_finite_and_so_are_gradients(model, request_of_two):
    user, context, history, ratings, candidates = request_of_two
    out = model(user, context, 0 * history, 0 * ratings, candidates)
    out.sum().backward()
    assert out.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def film(model, item):
    features = model.features
    return features.items.weight[item] + features.genre_proj.weight @ features.genres[item]


def events_of(model, history, ratings):
    """The events that are there, without the padding."""
    pairs = zip(history, ratings, strict=True)
    return [film(model, item) + model.features.ratings.weight[rating] for item, rating in pairs if item != 0]


@pytest.mark.parametrize("name", MODELS)
def test_padding_adds_nothing_in_a_new_model_and_is_not_trained(name, genres):
    features = MODELS[name](genres.float()).features
    history, ratings = torch.tensor([[0, 0, 7]]), torch.tensor([[0, 0, 5]])
    events = features.events(history, ratings)
    assert (events[0, :2] == 0).all()
    assert (events[0, 2] != 0).all()
    events.sum().backward()
    for table, there in (features.items, 7), (features.ratings, 5):
        assert (table.weight.grad[there] == 1).all()
        assert (table.weight.grad[0] == 0).all()


def test_din_one_event_at_a_time(genres, request_of_two):
    model = grown(DIN(genres, 5, D, A))
    user, context, history, ratings, candidates = request_of_two
    unit, features = model.attention, model.features
    columns = torch.cat([user, context], 1).tolist()
    for u in range(2):
        profile = sum(table.weight[i] for table, i in zip(features.profiles, columns[u], strict=True))
        for n, item in enumerate(candidates[u]):
            q, interest = film(model, item), torch.zeros(D, dtype=torch.float64)
            for s, (event, rating) in enumerate(zip(history[u], ratings[u], strict=True)):
                if event == 0:
                    continue
                k = film(model, event) + features.ratings.weight[rating]
                hidden = torch.sigmoid(unit.hidden.weight @ torch.cat([q, k, q - k, q * k]) + unit.hidden.bias)
                weight = unit.score.weight[0] @ hidden
                interest += weight * k
                got = model.weights(history, ratings, candidates)[u, n, s]
                torch.testing.assert_close(got, weight, rtol=1e-9, atol=1e-9)
            expected = model.head.network(torch.cat([q, interest, q * interest, profile]))
            torch.testing.assert_close(model(*request_of_two)[u, n : n + 1], expected, rtol=1e-9, atol=1e-9)


def test_mean_pooling_is_one_interest_for_all_candidates(genres, request_of_two):
    model = grown(MeanPooling(genres, 5, D))
    events = [film(model, i) + model.features.ratings.weight[r] for i, r in [(7, 5), (2, 1), (11, 3)]]
    interests = []
    model.head.register_forward_pre_hook(lambda _, inputs: interests.append(inputs[1]))
    model(*request_of_two)
    expected = (sum(events) / 3).expand(3, D)
    torch.testing.assert_close(interests[0][0], expected, rtol=1e-9, atol=1e-9)


def test_dien_attends_to_events_and_not_to_padding(genres, request_of_two):
    model = grown(DIEN(genres, 5, D))
    *_, history, ratings, candidates = request_of_two
    weights = model.weights(history, ratings, candidates)
    assert (weights[0, :, :2] == 0).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3, dtype=torch.float64))


def states_of(model, events):
    """The same weights in nn.GRUCell, step by step."""
    cell = nn.GRUCell(D, D, bias=False).double()
    cell.load_state_dict({name: getattr(model.extractor, f"{name}_l0") for name in cell.state_dict()})
    states = [torch.zeros(D, dtype=torch.float64)]
    for event in events:
        states.append(cell(event, states[-1]))
    return states[1:]


def augru_step(cell, event, state, attention):
    """The update gate u times the attention, as the paper has it; the middle third of torch's weights is 1 - u."""
    reset_x, keep_x, new_x = (cell.weight_ih @ event + cell.bias_ih).chunk(3)
    reset_h, keep_h, new_h = (cell.weight_hh @ state + cell.bias_hh).chunk(3)
    new = torch.tanh(new_x + torch.sigmoid(reset_x + reset_h) * new_h)
    update = attention * (1 - torch.sigmoid(keep_x + keep_h))
    return (1 - update) * state + update * new


def test_dien_one_event_at_a_time(genres, request_of_two):
    model = grown(DIEN(genres, 5, D))
    user, context, history, ratings, candidates = request_of_two
    columns = torch.cat([user, context], 1).tolist()
    logits, told = model(*request_of_two), model.weights(history, ratings, candidates)
    for u in range(2):
        profile = sum(table.weight[i] for table, i in zip(model.features.profiles, columns[u], strict=True))
        states = states_of(model, events_of(model, history[u], ratings[u]))
        for n, item in enumerate(candidates[u]):
            q, interest = film(model, item), torch.zeros(D, dtype=torch.float64)
            weights = torch.stack([state @ model.w.weight.T @ q for state in states]).softmax(0)
            for state, weight in zip(states, weights, strict=True):
                interest = augru_step(model.evolution.cell, state, interest, weight)
            expected = model.head.network(torch.cat([q, interest, q * interest, profile]))
            torch.testing.assert_close(told[u, n, -len(states) :], weights, rtol=1e-9, atol=1e-9)
            torch.testing.assert_close(logits[u, n : n + 1], expected, rtol=1e-9, atol=1e-9)


def test_diens_auxiliary_pairs_one_at_a_time(genres):
    """Users have 4, 2 and 5 events, so 3, 1 and 4 next ones; of the last four, user 1 has an event at two."""
    model = grown(DIEN(genres, 5, D))
    history = torch.tensor([[0, 3, 7, 2, 11], [0, 0, 0, 9, 22], [5, 8, 1, 6, 4]])
    ratings = torch.tensor([[0, 4, 5, 1, 3], [0, 0, 0, 2, 4], [4, 3, 5, 2, 1]])
    events = [events_of(model, *of_user) for of_user in zip(history, ratings, strict=True)]
    right, other = [], []
    for u in range(3):
        states, mine, another = states_of(model, events[u]), events[u], events[u - 1]
        for back in range(len(mine) - 1, 0, -1):  # from the end, where histories meet
            if back <= len(another):
                right.append(states[-back - 1] @ mine[-back])
                other.append(states[-back - 1] @ another[-back])
    assert len(right) == 3 + 1 + 2
    expected = torch.stack(right), torch.stack(other)
    torch.testing.assert_close(model.auxiliary_logits(history, ratings), expected, rtol=1e-9, atol=1e-9)
