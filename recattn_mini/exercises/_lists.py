"""Lists and truth that the specs of ranking metrics share."""

from collections.abc import Callable

import numpy as np
import torch


def lists(users: int, places: int, judged: int, grades: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random gains (users places) and all that was to be gained (users judged); some of it was never ranked."""
    rng = np.random.RandomState(seed)
    gains = rng.randint(1, grades + 1, (users, places)) * (rng.rand(users, places) < 0.4)
    missed = rng.randint(1, grades + 1, (users, judged - places)) * (rng.rand(users, judged - places) < 0.5)
    missed[:, 0] = 1  # nobody has nothing to find, but where a case says so
    truth = np.take_along_axis(every := np.hstack([gains, missed]), rng.rand(*every.shape).argsort(axis=1), axis=1)
    return torch.from_numpy(gains).double(), torch.from_numpy(truth).double()


def cases() -> dict[str, tuple]:
    """Gains, judged, k. Axes differ; users, lists and cutoffs that metrics stumble over have a case of their own."""
    gains, judged = lists(5, 7, 11, grades=1, seed=0)
    graded = lists(5, 9, 11, grades=3, seed=1)
    nothing, of_nobody = lists(3, 5, 6, grades=1, seed=2)
    nothing[1], of_nobody[1] = 0, 0
    missed, all_missed = lists(3, 5, 8, grades=1, seed=3)
    missed[0], all_missed[0] = 0, torch.tensor([0, 0, 1, 1, 0, 0, 0, 0])
    view, of_view = lists(4, 6, 9, grades=1, seed=4)
    many = lists(2, 3, 17, grades=1, seed=5)
    return {
        "lists": (gains, judged, 3),
        "the whole list": (gains, judged, 11),
        "a list that ends before k": (*many, 17),
        "grades": (graded[0] / 2, graded[1] / 2, 11),  # 0.5 is above 0 too
        "nothing relevant": (nothing, of_nobody, 5),
        "no hit": (missed, all_missed, 8),
        "views": (view.mT.contiguous().mT, of_view.mT.contiguous().mT, 4),
        "one hit each": (torch.eye(6, 8).double(), torch.eye(6, 10).double(), 3),
        "whole numbers": (graded[0].long(), graded[1].long(), 11),
        "one": (torch.tensor([[0.0, 1.0]]).double(), torch.tensor([[1.0, 0.0, 1.0]]).double(), 2),
    }


def per_user(of_one: Callable, gains: torch.Tensor, judged: torch.Tensor, k: int) -> torch.Tensor:
    """`of_one(gains, judged, k)` on plain lists of numbers, user by user; NaN where nothing is relevant."""
    values = [
        of_one(g, j, k) if any(x > 0 for x in j) else np.nan
        for g, j in zip(gains.tolist(), judged.tolist(), strict=True)
    ]
    return torch.tensor(values, dtype=torch.float64)


def relevant(judged: torch.Tensor) -> torch.Tensor:
    """R, the number of each user's relevant items, and NaN where there is none."""
    found = (judged > 0).sum(1).double()
    return torch.where(found == 0, torch.nan, found)
