r"""Clicks: train and evaluate a model that says how likely a user likes a film that is shown, at that moment.

    train  on each user's first events     validate  on the tenth after them     test  on the last fifth

Axes   b impressions, n candidates.
Rule   Log-loss is trained, and GAUC chooses the epoch, because GAUC asks what a ranker is asked: do the films that
       this user likes stand above the ones that this user does not like? AUC also rewards knowing which users like all.
Asked  "AUC is up and the ranking is not: which metric do you stop on, and which do you report?"
Source Zhou et al. 2018, sec. 6.3. https://arxiv.org/abs/1706.06978
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from recattn_mini.data.impressions import Impressions, genre_features, impressions, split_each_user_by_time
from recattn_mini.data.movielens import MovieLens, Split
from recattn_mini.metrics.auc import auc_numpy
from recattn_mini.metrics.fast.gauc import gauc_numpy
from recattn_mini.metrics.log_loss import log_loss_numpy
from recattn_mini.metrics.top_k import top_k_numpy
from recattn_mini.models.dien import DIEN
from recattn_mini.models.din import DIN
from recattn_mini.models.mean_pooling import MeanPooling
from recattn_mini.training.binary_cross_entropy import binary_cross_entropy
from recattn_mini.training.recommendations import Recommendations

ClickModel = DIN | DIEN | MeanPooling


@dataclass(frozen=True, eq=False)
class Predictions:
    """For every impression of a part: the user, the predicted probability of a like, and the label."""

    users: np.ndarray
    probabilities: np.ndarray
    labels: np.ndarray

    @property
    def figures(self) -> dict[str, float]:
        """AUC, GAUC and log-loss."""
        return {
            "auc": auc_numpy(self.probabilities, self.labels),
            "gauc": gauc_numpy(self.probabilities, self.labels, self.users),
            "log_loss": log_loss_numpy(self.probabilities, self.labels),
        }

    def __str__(self) -> str:
        figures = "  ".join(f"{name} {value:.4f}" for name, value in self.figures.items())
        return (
            f"{figures}  over {len(self.labels):,} impressions of {len(np.unique(self.users)):,} users, split by time"
        )

    def auc_by_user(self) -> np.ndarray:
        """The AUC of each user, in order; NaN for one who liked all or nothing. Paired tests ask for it."""
        return np.array([self._auc(self.users == user) for user in np.unique(self.users)])

    def _auc(self, rows: np.ndarray) -> float:
        labels = self.labels[rows]
        return auc_numpy(self.probabilities[rows], labels) if 0 < labels.mean() < 1 else np.nan


@dataclass(frozen=True, eq=False)
class ClickData:
    """Everything `fit` asks for: batches of impressions, and GAUC on the validation part."""

    films: MovieLens
    table: Impressions
    users: np.ndarray
    split: Split
    batch: int = 512

    @classmethod
    def of(cls, films: MovieLens, length: int = 50, batch: int = 512) -> "ClickData":
        """MovieLens, with histories of at most `length` events."""
        return cls(films, impressions(films, length), np.sort(films.users), split_each_user_by_time(films), batch)

    @property
    def genres(self) -> torch.Tensor:
        """What the click models ask for: by item id, the share of each genre."""
        return genre_features(self.films)

    @property
    def occupations(self) -> int:
        """How many occupations there are."""
        return len(set(self.films.occupations[1:]))

    def batches(self, generator: torch.Generator) -> Iterator[Impressions]:
        """All training impressions once, in random order."""
        train = torch.from_numpy(self.split.train)
        for rows in torch.randperm(len(train), generator=generator).split(self.batch):
            yield self.table.at(train[rows])

    def validate(self, model: ClickModel) -> float:
        """GAUC of the validation impressions."""
        predictions = self._predict(model, self.split.validation)
        return gauc_numpy(predictions.probabilities, predictions.labels, predictions.users)

    def evaluate(self, model: ClickModel) -> Predictions:
        """The predictions for the test impressions."""
        return self._predict(model, self.split.test)

    def recommend(self, model: ClickModel, user: int, k: int = 10) -> Recommendations:
        """The films the user has not rated, ranked as at the user's last impression, and what each looks at.

        Fewer than k, where no more are left.
        """
        if not 1 <= user < len(self.films.histories()):
            raise ValueError(f"user must be from 1 to {len(self.films.histories()) - 1}, got {user}")
        device = next(model.parameters()).device
        last = self.table.at(torch.from_numpy(np.flatnonzero(self.users == user)[-1:]))
        profile, context, history, ratings, *_ = (x.to(device) for x in last)
        fresh = np.setdiff1d(np.arange(1, len(self.films.titles)), self.films.histories()[user])
        model.eval()
        with torch.no_grad():
            candidates = torch.from_numpy(fresh)[None].to(device)
            scores = model(profile, context, history, ratings, candidates).sigmoid()[0].float().cpu().numpy()
            order = top_k_numpy(scores[None], min(k, len(fresh)))[0]
            weights = None
            if not isinstance(model, MeanPooling):
                weights = model.weights(history, ratings, candidates[:, order])[0].float().cpu().numpy()
        there = last.history[0] != 0
        weights = None if weights is None else weights[:, there]
        best, titles = fresh[order], self.films.titles
        return Recommendations(best, list(titles[best]), scores[order], list(titles[last.history[0, there]]), weights)

    def _predict(self, model: ClickModel, rows: np.ndarray) -> Predictions:
        device = next(model.parameters()).device
        probabilities = []
        model.eval()
        with torch.no_grad():
            for part in torch.from_numpy(rows).split(4 * self.batch):
                *inputs, _ = (x.to(device) for x in self.table.at(part))
                logits = model(*inputs).squeeze(1).cpu()
                probabilities.append(logits.double().sigmoid())  # in float32 large logits would tie
        labels = self.table.liked[rows].squeeze(1).numpy().astype(np.int64)
        return Predictions(self.users[rows], torch.cat(probabilities).numpy(), labels)


def click_loss(model: ClickModel, batch: Impressions) -> torch.Tensor:
    """Log-loss of the impressions.

    Asked   "Log-loss, AUC or GAUC: what is trained, what stops, what is reported?"
    """
    *inputs, liked = batch
    return binary_cross_entropy(model(*inputs), liked)


def click_loss_with_auxiliary(model: DIEN, batch: Impressions) -> torch.Tensor:
    """DIEN's loss: the log-loss, and an auxiliary one: each state tells the user's next event from another user's.

    The two have the same weight here; the paper weighs the auxiliary loss. Where no two rows have events at the same
    step there is only the log-loss.

    Asked   "What does DIEN's auxiliary loss teach the GRU?"
    Source  Zhou et al. 2019. https://arxiv.org/abs/1809.03672
    """
    right, other = model.auxiliary_logits(batch.history, batch.ratings)
    if not len(right):
        return click_loss(model, batch)
    labels = torch.cat([torch.ones_like(right), torch.zeros_like(other)])
    return click_loss(model, batch) + binary_cross_entropy(torch.cat([right, other]), labels)
