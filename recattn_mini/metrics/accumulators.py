r"""Metrics batch by batch, and across processes, with the same figure to the last bit as from all data at once.

    update(batch) …;  merge(other);  gather() across torch.distributed;  compute()

Rule    What is kept is what makes the figure exact: each user's value, each example, each list. A mean of
        batch means is wrong as soon as batches differ in size, and an AUC has no mean over batches at all.
Cost    8 bytes a user, a few an example, 8 a place of a list. `gather` sends that to every process once.
Asked   "You evaluate on eight GPUs. How do you merge the AUC?"  Not by averaging: gather the scores and labels.
Source  The interface is that of torchmetrics (Detlefsen et al. 2022) and torcheval.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist

from recattn_mini.metrics.mean_over_users import Mean, mean_over_users


class _Kept:
    """Batches, each a tuple of tensors, concatenated by `_all` when a figure is computed."""

    def __init__(self, *measures: Any) -> None:
        self._measures = measures
        self._batches: list[tuple[torch.Tensor, ...]] = []
        self._gathered = False

    def merge(self, other: Any) -> None:
        """Add all batches of another accumulator of the same metric."""
        if other is self or type(other) is not type(self) or other._measures != self._measures:
            raise ValueError(f"other must be another {type(self).__name__} of {self._measures}, got {other!r}")
        self._batches += other._batches
        self._gathered |= other._gathered

    def gather(self) -> None:
        """Add the batches of all other processes, in the order of their ranks; every process must call `gather`."""
        if self._gathered:
            raise ValueError("gather was called before: each process has all batches, and would count them again")
        self._gathered = True
        everyone: list[Any] = [None] * dist.get_world_size()
        dist.all_gather_object(everyone, [tuple(x.cpu() for x in batch) for batch in self._batches])
        self._batches = [batch for batches in everyone for batch in batches]

    def _all(self) -> tuple[torch.Tensor, ...]:
        if not self._batches:
            raise ValueError("nothing to compute from: update was never called")
        return tuple(torch.cat(columns) for columns in zip(*self._batches, strict=True))


class MeanOverUsers(_Kept):
    """The mean of a metric of lists: `metric(gains, judged, k)`, one value a user.

    >>> from recattn_mini.metrics.recall import recall
    >>> mean = MeanOverUsers(recall, k=1)
    >>> mean.update(torch.tensor([[1, 0]]), torch.tensor([[1, 0]]))  # all of one found
    >>> mean.update(torch.tensor([[1, 1], [0, 0]]), torch.tensor([[1, 1], [0, 0]]))  # one of two; nothing to find
    >>> mean.compute()
    Mean(value=0.75, users=2, excluded=1)
    """

    def __init__(self, metric: Callable[[torch.Tensor, torch.Tensor, int], torch.Tensor], k: int) -> None:
        super().__init__(metric, k)
        self.metric, self.k = metric, k

    def update(self, gains: torch.Tensor, judged: torch.Tensor) -> None:
        """Some users' gains (u r) and judged (u m); every user once."""
        self._batches.append((self.metric(gains, judged, self.k),))

    def compute(self) -> Mean:
        """The mean over all users so far; the sum is exact, so their order does not matter."""
        return mean_over_users(*self._all())


class OverExamples(_Kept):
    """A metric that needs all examples at once, as `auc(scores, labels)` and `gauc(scores, labels, users)` do.

    >>> from recattn_mini.metrics.auc import auc
    >>> whole = OverExamples(auc)
    >>> whole.update(torch.tensor([0.9, 0.2]), torch.tensor([1, 1]))  # one class: no AUC of its own
    >>> whole.update(torch.tensor([0.5]), torch.tensor([0]))
    >>> whole.compute()
    0.5
    """

    def __init__(self, metric: Callable[..., Any]) -> None:
        super().__init__(metric)
        self.metric = metric

    def update(self, *examples: torch.Tensor) -> None:
        """Some examples, in the arguments that the metric takes."""
        self._batches.append(tuple(x.detach().clone() for x in examples))

    def compute(self) -> Any:
        """The metric of all examples so far."""
        return self.metric(*self._all())


class OverLists(_Kept):
    """A metric of all lists together, as `catalogue_coverage(items, n)` and `gini_of_exposure(items, n)` are.

    >>> from recattn_mini.metrics.catalogue_coverage import catalogue_coverage
    >>> covered = OverLists(catalogue_coverage, n=4)
    >>> covered.update(torch.tensor([[0, 1]]))
    >>> covered.update(torch.tensor([[1, 2], [2, -1]]))
    >>> covered.compute()
    0.75
    """

    def __init__(self, metric: Callable[[torch.Tensor, int], Any], n: int) -> None:
        super().__init__(metric, n)
        self.metric, self.n = metric, n

    def update(self, items: torch.Tensor) -> None:
        """Some users' lists (u k)."""
        self._batches.append((items.clone(),))

    def compute(self) -> Any:
        """The metric of all lists so far."""
        width = max((items.shape[1] for (items,) in self._batches), default=0)
        self._batches = [(_padded(items, width),) for (items,) in self._batches]
        (items,) = self._all()
        return self.metric(items, self.n)


def _padded(items: torch.Tensor, width: int) -> torch.Tensor:
    return torch.nn.functional.pad(items, (0, width - items.shape[1]), value=-1)
