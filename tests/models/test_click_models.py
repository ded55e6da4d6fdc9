"""DIN, DIEN and mean pooling: what a candidate's score may depend on, and against a loop over single events."""

import pytest
import torch

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


def test_diens_auxiliary_pairs(genres, request_of_two):
    """Two steps of user 0 have a next event, three of user 1, and each time the other user has an event there."""
    model = grown(DIEN(genres, 5, D))
    *_, history, ratings, _ = request_of_two
    right, other = model.auxiliary_logits(history, ratings)
    assert right.shape == other.shape == (5,)
    states, _ = model.extractor(model.features.events(history, ratings))
    follows = film(model, 2) + model.features.ratings.weight[1]
    instead = film(model, 22) + model.features.ratings.weight[4]
    torch.testing.assert_close(right[0], states[0, 2] @ follows, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(other[0], states[0, 2] @ instead, rtol=1e-9, atol=1e-9)
