"""The next-item task: what a model is shown in training, in validation and at the test, and what it is told."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from recattn_mini.data import movielens
from recattn_mini.data.sequences import NextItems
from recattn_mini.training.next_item import (
    PROTOCOL,
    NextItemData,
    loss_over_all_items,
    loss_over_sampled_items,
    loss_with_one_negative,
)

HISTORIES = [[1, 2, 3, 4, 5], [6, 1], [9, 8, 7, 6, 5, 4, 3]]
VALIDATION, TEST = [6, 9, 2], [7, 3, 1]


@pytest.fixture
def data():
    titles = np.array(["", *"ABCDEFGHIJ"], dtype=object)
    histories = [np.array(history) for history in HISTORIES]
    return NextItemData(histories, np.array(VALIDATION), np.array(TEST), titles, length=4, batch=2)


class Asked(nn.Module):
    """Notes the histories that it is asked about; its favourites are given, in order."""

    def __init__(self, *favourites):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(1))
        self.favourites, self.histories = favourites, []

    def scores(self, history):
        self.histories += history.tolist()
        scores = torch.zeros(len(history), 11)
        for place, item in enumerate(self.favourites):
            scores[:, item] = 100.0 - place
        scores[:, 0] = -torch.inf
        return scores

    def weights(self, history):
        return (history != 0).double() / (history != 0).sum(1, keepdim=True)


def test_validation_and_test_see_what_came_before(data):
    asked = Asked()
    data.validate(asked)
    assert asked.histories == [[2, 3, 4, 5], [0, 0, 6, 1], [6, 5, 4, 3]]
    asked.histories.clear()
    data.evaluate(asked)
    assert asked.histories == [[3, 4, 5, 6], [0, 6, 1, 9], [5, 4, 3, 2]]


def test_the_last_training_learns_from_validation_and_not_from_the_test(data):
    last, asked = data.with_validation(), Asked()
    assert [history.tolist() for history in last.histories] == [
        [*history, item] for history, item in zip(HISTORIES, VALIDATION, strict=True)
    ]
    assert math.isnan(last.validate(asked))
    last.evaluate(asked)
    assert asked.histories == [[3, 4, 5, 6], [0, 6, 1, 9], [5, 4, 3, 2]]
    assert last.recommend(asked, user=2, k=1).history == list("FAI")


def test_figures_by_hand(data):
    """Favourites 9, 6, 7, 3: user 0 has met 6, so 9 then the target 7; user 1 has met 9 and 6, so 7 then 3.

    User 2 has met all of the favourites; 1 comes first of what is left, in item order. Ranks 2, 2, 1.
    """
    evaluation = data.evaluate(Asked(9, 6, 7, 3), k=3)
    assert math.isclose(evaluation.figures["ndcg"].value, (2 / math.log2(3) + 1) / 3, rel_tol=1e-12)
    assert evaluation.figures["hit_rate"].value == 1
    assert "filtered" in str(evaluation)
    # user 0's validation item is 6: behind 9; user 1's is 9: first; user 2's is 2: behind 1
    expected = (1 / math.log2(3) + 1 + 1 / math.log2(3)) / 3
    assert math.isclose(data.validate(Asked(9, 6, 7, 3)), expected, rel_tol=1e-12)


def test_an_epoch_is_every_user_once_and_nothing_held_out(data):
    generator = torch.Generator().manual_seed(0)
    seen = set()
    for _ in range(50):
        users = []
        for batch in data.batches(generator):
            assert batch.history.shape[1] == 4
            for history, target in zip(batch.history.tolist(), batch.target.tolist(), strict=True):
                assert history[1:] == target[:-1]
                window = [item for item in [history[0], *target] if item]
                (user,) = (
                    u
                    for u, items in enumerate(HISTORIES)
                    if set(window) <= set(items)
                    and items[0] != 0
                    and any(items[i : i + len(window)] == window for i in range(len(items)))
                )
                users.append(user)
                seen.add((user, *window))
        assert sorted(users) == [0, 1, 2]
    assert {window[1:] for window in seen if window[0] == 2} == {(9, 8, 7, 6, 5), (8, 7, 6, 5, 4), (7, 6, 5, 4, 3)}


class Model(nn.Module):
    """States at random, whatever the history."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.items = nn.Embedding(11, 3)
        self.bias = nn.Parameter(torch.randn(11))
        self.states = torch.randn(2, 4, 3)

    def forward(self, history):
        return self.states

    def logits(self, states, items):
        return states @ self.items(items).mT + self.bias[items]


def test_the_loss_is_the_mean_over_positions_with_a_target(data):
    model = Model()
    batch = next(
        b for b in data.batches(torch.Generator().manual_seed(3)) if len(b.target) == 2 and (b.target == 0).any()
    )
    terms = [
        F.cross_entropy(model.items.weight[1:] @ model.states[user, step] + model.bias[1:], torch.tensor(item - 1))
        for user, items in enumerate(batch.target.tolist())
        for step, item in enumerate(items)
        if item
    ]
    assert len(terms) < 8
    torch.testing.assert_close(loss_over_all_items(model, batch), sum(terms) / len(terms))


POSITIONS = [(0, 0, 4), (0, 2, 9), (1, 3, 5)]  # user, step, target
BATCH = NextItems(
    torch.zeros(2, 4, dtype=torch.long),
    torch.tensor([[4, 0, 9, 0], [0, 0, 0, 5]]),
    torch.tensor([9, 1, 7, 7]),
)


def test_sampled_softmax_leaves_out_the_target_among_the_negatives():
    model, terms = Model(), []
    for user, step, target in POSITIONS:
        others = [item for item in BATCH.negatives.tolist() if item != target]
        items = [target, *others]
        logits = model.items.weight[items] @ model.states[user, step] + model.bias[items]
        terms.append(F.cross_entropy(logits, torch.tensor(0)))
    torch.testing.assert_close(loss_over_sampled_items(model, BATCH), sum(terms) / 3)


def test_one_negative_each_in_turn():
    model, terms = Model(), []
    for (user, step, target), negative in zip(POSITIONS, [9, 1, 7], strict=True):
        items = [target, negative]
        right, other = model.items.weight[items] @ model.states[user, step] + model.bias[items]
        terms.append(-F.logsigmoid(right) - F.logsigmoid(-other))
    torch.testing.assert_close(loss_with_one_negative(model, BATCH), sum(terms) / 3)


def test_recommend_leaves_out_what_was_met(data):
    told = data.recommend(Asked(9, 6, 7, 3), user=1, k=3)
    assert told.titles == ["I", "G", "H"]
    assert told.items.tolist() == [9, 7, 8]
    assert told.scores.tolist() == [100, 98, 0]
    assert told.history == list("CDEF")
    assert told.weights.tolist() == [[0.25] * 4] * 3
    assert str(told).splitlines() == [
        " 1  100.000  I",
        " 2   98.000  G",
        " 3    0.000  H",
        "all of them ← C 0.25, D 0.25, E 0.25",
    ]


def test_what_recommend_does_not_take_and_what_is_left(data):
    for user in (0, -1, 4):
        with pytest.raises(ValueError, match=f"user must be from 1 to 3, got {user}"):
            data.recommend(Asked(), user)
    told = data.recommend(Asked(9, 6, 7, 3), user=1, k=50)
    assert told.items.tolist() == [9, 7, 8, 10]
    assert told.weights.shape == (4, 4)


def test_a_model_in_training_mode_is_asked_without_its_dropout(data):
    class Dropping(Asked):
        def scores(self, history):
            return super().scores(history) * (1 if not self.training else float("nan"))

    assert data.evaluate(Dropping(9).train()).figures == data.evaluate(Asked(9)).figures
    assert data.recommend(Dropping(9).train(), user=1, k=1).items.tolist() == [9]


def test_negatives_are_all_items_evenly(data):
    many = replace(data, negatives=4000)
    drawn = torch.cat([batch.negatives for batch in many.batches(torch.Generator().manual_seed(0))])
    counts = drawn.bincount(minlength=11)
    assert len(counts) == 11
    assert counts[0] == 0
    assert (counts[1:] - 800).abs().max() < 140  # five standard deviations


@pytest.mark.parametrize("loss", [loss_with_one_negative, loss_over_sampled_items])
def test_a_loss_without_its_negatives_says_so(data, loss):
    batch = next(iter(data.batches(torch.Generator().manual_seed(0))))
    with pytest.raises(ValueError, match="no negatives"):
        loss(Model(), batch)


def test_figures_bear_the_protocol_of_the_data(data):
    assert "leave one out" in str(data.evaluate(Asked()))
    other = replace(data, protocol=replace(PROTOCOL, split="one cut in time for all"))
    assert "one cut in time for all" in str(other.evaluate(Asked()))


def test_recommend_to_a_short_history(data):
    assert data.recommend(Asked(), user=2, k=1).history == list("FAI")


def test_movielens():
    films = movielens.load()
    data = NextItemData.of(films, length=20)
    everything = films.histories()[1:]
    assert data.n == 1682
    assert data.length == 20
    for history, validation, test, whole in zip(data.histories, data.validation, data.test, everything, strict=True):
        assert [*history, validation, test] == whole.tolist()
