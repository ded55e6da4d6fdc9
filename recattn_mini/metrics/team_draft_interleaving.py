r"""Team-draft interleaving: two rankers fill one list in turns, and clicks say whose items people prefer.

    round by round a coin says who picks first; each adds its best item that is not in the list yet

Axes    a, b two rankings of items; k places -> the list, and for each place the team, "a" or "b", that owns it.
Rule    No item twice. Both teams are equally large, ±1, and equally often on top, so a user who clicks at random
        favours neither. This ends where a ranking is exhausted: the other one then gets its turns too.
Asked   "An A/B test needs weeks. What is faster?"  Every user compares both: differences between users cancel. It says
        which is better, not by how much the click rate moves.
Source  Radlinski, Kurup, Joachims 2008, algorithm 2.
"""

from collections.abc import Collection, Hashable, Sequence

import numpy as np


def team_draft_interleaving(
    a: Sequence[Hashable], b: Sequence[Hashable], k: int, random: np.random.RandomState
) -> tuple[list[Hashable], list[str]]:
    """Rankings a and b -> up to k items, and the team that owns each.

    >>> team_draft_interleaving("xyz", "yxw", 4, np.random.RandomState(0))  # a begins the first round, b the second
    (['x', 'y', 'w', 'z'], ['a', 'b', 'b', 'a'])
    """
    if k < 1:
        raise ValueError(f"k must be a whole number from 1, got {k}")
    for name, ranking in (("a", a), ("b", b)):
        if len(set(ranking)) < len(ranking):
            raise ValueError(f"{name} must have each item once, got {list(ranking)}")
    items: list[Hashable] = []
    teams: list[str] = []
    while len(items) < k and set(a) | set(b) > set(items):
        order = [("a", a), ("b", b)]
        for team, ranking in order if random.randint(2) == 0 else order[::-1]:
            left = [item for item in ranking if item not in items]
            if left and len(items) < k:
                items.append(left[0])
                teams.append(team)
    return items, teams


def credit(items: Sequence[Hashable], teams: Sequence[str], clicked: Collection[Hashable]) -> int:
    """Which team won this list? 1 for a, -1 for b, 0 for as many clicks on each.

    >>> credit(["x", "y", "z"], ["a", "b", "a"], {"x", "z"})
    1

    Asked   "Who won this list?"
    """
    owners = [team for item, team in zip(items, teams, strict=True) if item in clicked]
    of_a, of_b = owners.count("a"), owners.count("b")
    if of_a == of_b:
        return 0
    return 1 if of_a > of_b else -1
