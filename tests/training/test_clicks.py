"""The click task: which impressions are trained on and reported, against scikit-learn's figures."""

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, roc_auc_score
from torch import nn

from recattn_mini.data import movielens
from recattn_mini.data.impressions import genre_features
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
    figures = predictions.figures()
    assert abs(figures["gauc"] - gauc) < 1e-12
    assert abs(figures["auc"] - roc_auc_score(liked, probabilities)) < 1e-12
    assert abs(figures["log_loss"] - log_loss(liked, probabilities)) < 1e-12
    auc_by_user = predictions.auc_by_user()
    assert len(auc_by_user) == 943
    np.testing.assert_allclose(auc_by_user[~np.isnan(auc_by_user)], by_user, rtol=1e-12)


def test_losses(data):
    torch.manual_seed(0)
    model = DIEN(genre_features(data.films), 21, 4).eval()
    batch = data.table.at(torch.tensor([500, 40_000, 70_000]))
    *inputs, liked = batch
    expected = nn.functional.binary_cross_entropy_with_logits(model(*inputs), liked)
    torch.testing.assert_close(click_loss(model, batch), expected)
    right, other = model.auxiliary_logits(batch.history, batch.ratings)
    pairs = torch.cat([-nn.functional.logsigmoid(right), -nn.functional.logsigmoid(-other)])
    assert len(pairs) > 20
    torch.testing.assert_close(click_loss_with_auxiliary(model, batch), expected + pairs.mean())


def test_recommend_ranks_what_was_not_rated(data):
    torch.manual_seed(0)
    films, model = data.films, DIN(genre_features(data.films), 21, 4, 3).eval()
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
