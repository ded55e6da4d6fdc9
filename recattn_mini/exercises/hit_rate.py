"""Spec of hit_rate: is anything relevant in the list?"""

from recattn_mini.exercises.spec import but, float64, right, same, teaching, wrong
from recattn_mini.exercises.spec.ranking import (
    hits_in,
    mistakes_of_ranking,
    per_user,
    relevant_of,
    users_of_every_kind,
    where_relevant,
)
from recattn_mini.metrics.hit_rate import hit_rate, hit_rate_numpy

LEVEL, MINUTES = "easy", 3
DIFFERENTIABLE = False
HINTS = (
    "One question a user: is there any relevant item in the first k places? Yes is 1, no is 0.",
    "`any` over (gains[:, :k] > 0). A user for whom nothing is relevant is neither a hit nor a miss.",
    "np.where((judged > 0).any(1), (gains[:, :k] > 0).any(1), np.nan): float64, one value a user.",
)
FORBIDDEN: tuple[str, ...] = ()
inputs = users_of_every_kind


def expected(gains, judged, k):
    """Looked through in plain Python."""
    return per_user(lambda g, j, k: float(any(x > 0 for x in g[:k])), gains, judged, k)


def _agrees(f, *cases):
    for case in cases:
        same(f(*inputs()[case]), expected(*inputs()[case]))


@teaching
def check_worked_example(f):
    "a hit at rank 2 counts; a list without one does not"
    same(f(float64([[0, 1], [0, 0]]), float64([[1, 0], [1, 0]]), 2), float64([1, 0]))


def check_values(f):
    "1 if anything relevant is in the first k places, else 0; also on views, on equal sizes, on one user"
    _agrees(
        f, "lists", "the first place", "one hit each", "the whole list", "no hit", "views", "all sizes equal", "one"
    )


def check_short_list(f):
    "a list may end before k"
    _agrees(f, "a list that ends before k")


def check_grades(f):
    "an item of any grade above 0 is a hit, and a hit is 1"
    _agrees(f, "grades", "whole numbers")


def check_nothing_relevant(f):
    "a user with nothing to find has NaN, not 0: there is nothing to measure"
    _agrees(f, "nothing relevant")


def found(gains, judged, k):
    return hits_in(gains, k) > 0


def answer(gains, judged, k, *, of=found):
    return where_relevant(judged, of(gains, judged, k))


RANKING = mistakes_of_ranking(hit_rate, without=["sorted_first"])  # tells nothing that no_cutoff does not
recall_instead = but(
    answer,
    "that is recall: the share of the relevant items. Hit rate asks whether there is any",
    of=lambda gains, judged, k: hits_in(gains, k) / relevant_of(judged),
)
precision_instead = but(
    answer, "that is precision: hit rate asks whether there is any", of=lambda gains, judged, k: hits_in(gains, k) / k
)
number_of_hits = but(
    answer, "the number of hits: a user counts at most once", of=lambda gains, judged, k: hits_in(gains, k)
)
only_place_k = but(
    answer,
    "only place k is looked at: look at the first k",
    of=lambda gains, judged, k: found(gains[:, k - 1 : k], judged, 1),
)
all_hits = but(
    answer, "all places must be hits: any one is enough", of=lambda gains, judged, k: (gains[:, :k] > 0).all(1)
)
all_found = but(
    answer,
    "all relevant must be found: any is enough",
    of=lambda gains, judged, k: hits_in(gains, k) == relevant_of(judged),
)
best_grade = but(
    answer,
    "the best grade in the list: a hit is 1, whatever its grade",
    of=lambda gains, judged, k: gains[:, :k].amax(1),
)
grades_up_to_one = but(
    answer,
    "gains are added up, up to 1: a hit is 1, of 0.5 too",
    of=lambda gains, judged, k: gains[:, :k].sum(1).clamp_max(1),
)
grades_from_one = but(
    answer,
    "gains are added up, and 1 is asked for: any hit is enough, of 0.5 too",
    of=lambda gains, judged, k: gains[:, :k].sum(1) >= 1,
)
hits_that_are_most = but(
    answer,
    "most places must be hits: any is enough",
    of=lambda gains, judged, k: (gains[:, :k] > 0).double().mean(1) > 0.5,
)
more_than_one = but(
    answer, "a second hit is asked for (> 1): any one is enough", of=lambda gains, judged, k: hits_in(gains, k) > 1
)


@wrong("no hit gets NaN: NaN is for users with nothing to find, a miss is 0")
def nan_where_no_hit(gains, judged, k):
    return where_relevant(gains[:, :k], found(gains, judged, k))


@wrong("a list that holds nothing gets NaN: NaN is for users with nothing to find, so look in judged")
def nan_where_nothing_listed(gains, judged, k):
    return where_relevant(gains, found(gains, judged, k))


@right
def a_loop(gains, judged, k):
    return expected(gains, judged, k)


@right
def by_clipping(gains, judged, k):
    return where_relevant(judged, hits_in(gains, k).clamp(0, 1))
