"""The click task: which impressions are trained on and reported, against scikit-learn's figures."""

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, roc_auc_score
from torch import nn

from recattn_mini.data import movielens
from recattn_mini.models.dien import DIEN
from recattn_mini.models.din import DIN
from recattn_mini.training.clicks import ClickData, click_loss, click_loss_with_auxiliary


@pytest.fixture(scope="module")
def data():
    return ClickData.of(movielens.load(), length=6, batch=1000)


class Popular(nn.Module):
    """Likes films by their id."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(1))

    def forward(self, user, context, history, ratings, candidates):
        return torch.sin(candidates.double()) + self.w


def test_an_epoch_is_every_training_impression_once(data):
    batches = list(data.batches(torch.Generator().manual_seed(0)))
    got = torch.cat([torch.cat([*batch], dim=1) for batch in batches])
    expected = torch.cat([*data.table.at(torch.from_numpy(data.split.train))], dim=1)
    assert not torch.equal(got, expected)
    order = [torch.from_numpy(np.lexsort(x.numpy().T)) for x in (got, expected)]
    assert torch.equal(got[order[0]], expected[order[1]])


@pytest.mark.parametrize("part", ["validation", "test"])
def test_figures(data, part):
    rows = getattr(data.split, part)
    liked, users = data.table.liked[rows, 0].numpy(), data.users[rows]
    probabilities = 1 / (1 + np.exp(-np.sin(data.table.candidates[rows, 0].double().numpy())))
    by_user, weights = [], []
    for user in np.unique(users):
        mine = users == user
        if 0 < liked[mine].mean() < 1:
            by_user.append(roc_auc_score(liked[mine], probabilities[mine]))
            weights.append(mine.sum())
    gauc = np.average(by_user, weights=weights)
    if part == "validation":
        assert abs(data.validate(Popular()) - gauc) < 1e-12
        return
    predictions = data.evaluate(Popular())
    figures = predictions.figures
    assert str(predictions).startswith(f"auc {figures['auc']:.4f}  gauc")
    assert abs(figures["gauc"] - gauc) < 1e-12
    assert abs(figures["auc"] - roc_auc_score(liked, probabilities)) < 1e-12
    assert abs(figures["log_loss"] - log_loss(liked, probabilities)) < 1e-12
    auc_by_user = predictions.auc_by_user()
    assert len(auc_by_user) == 943
    np.testing.assert_allclose(auc_by_user[~np.isnan(auc_by_user)], by_user, rtol=1e-12)


def test_losses(data):
    torch.manual_seed(0)
    model = DIEN(data.genres, data.occupations, 4).eval()
    batch = data.table.at(torch.tensor([500, 40_000, 70_000]))
    *inputs, liked = batch
    expected = nn.functional.binary_cross_entropy_with_logits(model(*inputs), liked)
    torch.testing.assert_close(click_loss(model, batch), expected)
    right, other = model.auxiliary_logits(batch.history, batch.ratings)
    pairs = torch.cat([-nn.functional.logsigmoid(right), -nn.functional.logsigmoid(-other)])
    assert len(pairs) > 20
    torch.testing.assert_close(click_loss_with_auxiliary(model, batch), expected + pairs.mean())


def test_without_a_pair_of_users_there_is_no_auxiliary_loss(data):
    torch.manual_seed(0)
    model = DIEN(data.genres, data.occupations, 4).eval()
    first_events = torch.from_numpy(np.flatnonzero(np.diff(data.users, prepend=0))[:3])
    for rows in (torch.tensor([500]), first_events):  # one user alone; nobody with a history
        batch = data.table.at(rows)
        torch.testing.assert_close(click_loss_with_auxiliary(model, batch), click_loss(model, batch), rtol=0, atol=0)


def test_a_model_in_training_mode_is_asked_without_its_dropout(data):
    class Dropping(Popular):
        def forward(self, *inputs):
            return nn.functional.dropout(super().forward(*inputs), 0.5, self.training)

    assert data.evaluate(Dropping().train()).figures == data.evaluate(Popular()).figures


def test_large_logits_do_not_tie(data):
    """In float32 σ has some ten values between 14 and 15."""

    class Sure(Popular):
        def forward(self, *inputs):
            return (10 + 5 * super().forward(*inputs)).float()

    test = data.table.at(torch.from_numpy(data.split.test))
    expected = roc_auc_score(test.liked[:, 0].numpy(), Sure()(*test[:-1])[:, 0].detach().numpy())
    assert data.evaluate(Sure()).figures["auc"] == pytest.approx(expected, abs=1e-12)


def test_what_recommend_does_not_take_and_what_is_left(data):
    model = DIN(data.genres, data.occupations, 4, 3)
    for user in (0, -1, 944):
        with pytest.raises(ValueError, match=f"user must be from 1 to 943, got {user}"):
            data.recommend(model, user)
    told = data.recommend(model, user=7, k=5000)
    assert len(told.items) == len(set(told.items)) == 1682 - len(set(data.films.histories()[7]))


def test_recommend_ranks_what_was_not_rated(data):
    torch.manual_seed(0)
    films, model = data.films, DIN(data.genres, data.occupations, 4, 3).eval()
    told = data.recommend(model, user=7, k=5)
    assert not set(told.items) & set(films.histories()[7])
    assert told.titles == [films.titles[item] for item in told.items]
    assert list(told.scores) == sorted(told.scores, reverse=True)
    assert len(told.history) == 6
    assert told.weights.shape == (5, 6)
    row = torch.tensor([np.flatnonzero(data.users == 7)[-1]])
    user, context, history, ratings, *_ = data.table.at(row)
    with torch.no_grad():
        alone = [model(user, context, history, ratings, torch.tensor([[item]])).sigmoid().item() for item in told.items]
    np.testing.assert_allclose(told.scores, alone, rtol=1e-5)
