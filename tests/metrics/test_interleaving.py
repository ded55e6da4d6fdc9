"""Team draft: a fair mixture, and a preference that follows the clicks."""

import numpy as np
import pytest

from recattn_mini.metrics.team_draft_interleaving import credit, team_draft_interleaving


@pytest.mark.parametrize("seed", range(20))
def test_a_list_holds_each_item_once_and_both_teams(seed):
    random = np.random.RandomState(seed)
    a, b = random.permutation(12)[:8].tolist(), random.permutation(12)[:8].tolist()
    items, teams = team_draft_interleaving(a, b, 7, random)
    assert len(items) == len(teams) == len(set(items)) == 7
    assert abs(teams.count("a") - teams.count("b")) <= 1
    for r, (item, team) in enumerate(zip(items, teams, strict=True)):
        own = a if team == "a" else b
        assert item == next(i for i in own if i not in items[:r]), "a team adds its best item that is not there yet"


def test_an_exhausted_ranking_leaves_its_turns_to_the_other():
    items, teams = team_draft_interleaving("x", "xyz", 5, np.random.RandomState(0))
    assert sorted(items) == ["x", "y", "z"]
    assert teams.count("b") >= 2


def test_both_are_on_top_equally_often_and_random_clicks_favour_neither():
    random, top, won = np.random.RandomState(0), 0, 0
    for _ in range(3000):
        items, teams = team_draft_interleaving("abcdef", "fedcba", 4, random)
        top += teams[0] == "a"
        won += credit(items, teams, {i for i in items if random.rand() < 0.3})
    assert top / 3000 == pytest.approx(0.5, abs=0.03)
    assert won / 3000 == pytest.approx(0, abs=0.04)


def test_the_better_ranker_wins():
    random = np.random.RandomState(0)
    good, bad, won = list(range(10)), list(range(10))[::-1], 0
    for _ in range(500):
        items, teams = team_draft_interleaving(good, bad, 6, random)
        won += credit(items, teams, {i for i in items if random.rand() < 0.5 / (1 + i)})
    assert won / 500 > 0.2


def test_credit():
    assert credit("xyz", "aba", {"y"}) == -1
    assert credit("xyz", "aba", {"x", "y"}) == 0
    assert credit("xyz", "aba", set()) == 0


def test_a_ranking_with_an_item_twice_is_an_error():
    with pytest.raises(ValueError, match=r"b must have each item once, got \['x', 'x'\]"):
        team_draft_interleaving("ab", "xx", 2, np.random.RandomState(0))
