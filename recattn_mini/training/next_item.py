r"""Next item: train and evaluate a model that reads a history and scores every item as its continuation.

    train  on each user's events but the last two     validate  on the last but one     test  on the last

Axes   u users, s history positions, n items; item ids count from 1, scores (b n+1) have a column for each id.
Rule   Leave one out, in time order, ties in file order; every item is a candidate, but for those that the user has
       already met. At the test the validation item is part of the history. Of a history that is shorter than the
       window the first item is a target as well, after nothing but padding; in the paper it is not.
Asked  "Which negatives? All of them, if the catalogue allows: what does sampling some do to the scores?"
Source Kang, McAuley 2018, sec. IV. https://arxiv.org/abs/1808.09781
       Klenitskiy, Vasilev 2023: full softmax and SASRec. https://arxiv.org/abs/2309.07602
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from recattn_mini.data.movielens import MovieLens, leave_one_out_split
from recattn_mini.data.sequences import NextItems, Sequences
from recattn_mini.metrics.evaluate import Evaluation, evaluate
from recattn_mini.metrics.ground_truth import GroundTruth
from recattn_mini.metrics.protocol import Protocol
from recattn_mini.metrics.top_k import top_k_numpy
from recattn_mini.models.gru4rec import GRU4Rec
from recattn_mini.models.sasrec import SASRec
from recattn_mini.training.binary_cross_entropy import binary_cross_entropy
from recattn_mini.training.recommendations import Recommendations
from recattn_mini.training.sampled_softmax_loss import sampled_softmax_loss
from recattn_mini.training.softmax_loss import softmax_loss

NextItemModel = SASRec | GRU4Rec
PROTOCOL = Protocol(split="leave one out, by time, ties in file order", candidates="full", seen="filtered")


@dataclass(frozen=True, eq=False)
class NextItemData:
    """Everything `fit` asks for: batches of random stretches of the histories, and NDCG@10 on the validation items.

    Asked   "What is trained on, validated on, tested on, and what is known at each?"
    """

    histories: list[np.ndarray]  # what is trained on, by user
    validation: np.ndarray | None  # (u), the item after it; None where nothing is held out for it
    test: np.ndarray  # (u), the item after that
    titles: np.ndarray  # by item id
    length: int = 50
    batch: int = 64
    negatives: int = 0  # shared by a batch, uniform; 0 for a loss over all items
    protocol: Protocol = PROTOCOL

    @classmethod
    def of(cls, films: MovieLens, length: int = 50, batch: int = 64, negatives: int = 0) -> "NextItemData":
        """Each user's last two events held out; a user with fewer than three is a ValueError."""
        split = leave_one_out_split(films)
        if len(split.test) != len(films.histories()) - 1:
            raise ValueError(f"films must have three events of every user, only {len(split.test)} users have")
        held_out = films.items[split.validation], films.items[split.test]
        return cls(films.histories(split.train)[1:], *held_out, films.titles, length, batch, negatives)

    @property
    def n(self) -> int:
        """How many items there are; their ids are 1 to n."""
        return len(self.titles) - 1

    def with_validation(self) -> "NextItemData":
        """The same for the last training, in which the validation items are learned from, not held out."""
        return replace(self, histories=self.known, validation=None)

    @property
    def known(self) -> list[np.ndarray]:
        """By user, everything but the test item."""
        if self.validation is None:
            return self.histories
        return [np.append(history, item) for history, item in zip(self.histories, self.validation, strict=True)]

    def batches(self, generator: torch.Generator) -> Iterator[NextItems]:
        """All users once, in random order; of each a random stretch, so that long histories are not cut for good."""
        sequences = Sequences.of(self.histories)
        for users in torch.randperm(len(self.histories), generator=generator).split(self.batch):
            window = sequences.random_windows(users, self.length + 1, generator)
            negatives = torch.randint(1, self.n + 1, (self.negatives,), generator=generator)
            yield NextItems(window[:, :-1], window[:, 1:], negatives)

    def validate(self, model: NextItemModel) -> float:
        """NDCG@10 of the validation items; NaN where none are held out."""
        if self.validation is None:
            return math.nan
        return self._evaluate(model, self.histories, self.validation, 10).figures["ndcg"].value

    def evaluate(self, model: NextItemModel, k: int = 10) -> Evaluation:
        """All figures of the test items, with their protocol."""
        return self._evaluate(model, self.known, self.test, k)

    def recommend(self, model: NextItemModel, user: int, k: int = 10) -> Recommendations:
        """What the user (1, 2, …) should watch after everything but the test item, and what drew the attention.

        Fewer than k, where the user has met all others.
        """
        if not 1 <= user <= len(self.histories):
            raise ValueError(f"user must be from 1 to {len(self.histories)}, got {user}")
        met = self.known[user - 1]
        recent = torch.from_numpy(met[-self.length :])[None].to(next(model.parameters()).device)
        model.eval()
        with torch.no_grad():
            scores = model.scores(recent)[0].float().cpu().numpy()
            weights = None if isinstance(model, GRU4Rec) else model.weights(recent).float().cpu().numpy()
        scores[met] = -np.inf
        best = top_k_numpy(scores[None], k)[0]
        best = best[best >= 0]  # -1 where fewer than k are left
        weights = None if weights is None else np.tile(weights, (len(best), 1))  # one query for all candidates
        return Recommendations(best, list(self.titles[best]), scores[best], list(self.titles[recent[0].cpu()]), weights)

    def _evaluate(self, model: NextItemModel, histories: list[np.ndarray], targets: np.ndarray, k: int) -> Evaluation:
        device = next(model.parameters()).device
        recent = Sequences.of(histories).last(self.length)
        model.eval()

        def scores(users: np.ndarray) -> np.ndarray:
            with torch.no_grad():
                return model.scores(recent[torch.from_numpy(users)].to(device))[:, 1:].float().cpu().numpy()

        truth = GroundTruth.of([[item - 1] for item in targets], self.n)
        return evaluate(scores, truth, k, self.protocol, seen=[history - 1 for history in histories])


def loss_over_all_items(model: NextItemModel, batch: NextItems) -> torch.Tensor:
    """Full softmax at every position that has a target."""
    at = batch.target != 0
    every = torch.arange(1, len(model.bias), device=batch.target.device)
    return softmax_loss(model.logits(model(batch.history)[at], every), batch.target[at] - 1)


def loss_over_sampled_items(model: NextItemModel, batch: NextItems) -> torch.Tensor:
    """The same over the target and the batch's negatives; they are uniform, so one log Q for all, which cancels.

    Asked   "What do 256 shared negatives cost in HR?"
    """
    _check_negatives(batch)
    at = batch.target != 0
    states, target = model(batch.history)[at], batch.target[at]
    hits = target[:, None] == batch.negatives
    return sampled_softmax_loss(_logit(model, states, target), model.logits(states, batch.negatives), 0.0, 0.0, hits)


def loss_with_one_negative(model: NextItemModel, batch: NextItems) -> torch.Tensor:
    """SASRec's: every position tells its target from one negative; they take the batch's in turn.

    As published, a negative is an item that the user has not met; here it is any item.

    Asked   "SASRec as published has one negative. What does it lose?"
    """
    _check_negatives(batch)
    at = batch.target != 0
    states, target = model(batch.history)[at], batch.target[at]
    negative = batch.negatives[torch.arange(len(target), device=target.device) % len(batch.negatives)]
    logits = torch.stack([_logit(model, states, item) for item in (target, negative)])
    return 2 * binary_cross_entropy(logits, logits.new_tensor([[1.0], [0.0]]).expand_as(logits))


def _check_negatives(batch: NextItems) -> None:
    if not len(batch.negatives):
        raise ValueError("the batch has no negatives: NextItemData.of(films, negatives=…)")


def _logit(model: NextItemModel, states: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
    """Each state (p d) with the one item (p) that belongs to it -> (p)."""
    return (states * model.items(items)).sum(-1) + model.bias[items]
