r"""Evaluation metrics under one contract, so that two figures of one name mean one thing.

**What a metric reads.** A ranking metric takes two arrays and a cutoff:

    gains   (u r)  what each place of a user's list is worth, best place first; 0 = not relevant, or the list has ended
    judged  (u m)  every gain that the user could have got, in any order, padded with 0: the truth
    k              the cutoff

and gives one figure a user, `(u)`, float64. `gains_and_judged` has the ways to both arrays: `gains_of_items` from
scores ranked by `top_k`, and `gains_of_lists_numpy` from ranked lists and ground truth. A relevant item that was never
ranked is in `judged` and not in `gains`. Metrics of predictions take `probabilities` or `scores` and `labels` `(n)`;
metrics of a catalogue take `items (u k)`. No metric changes its inputs.

**Plain and fast.** `x.py` is the form to read and to write in an interview. Where that is slow on many users or items,
`fast/x.py` has the same functions, which `evaluate` and training use.

**Edge cases**, the same everywhere:

    ties             broken by item order: the lower column first (`top_k`). Where a metric has a form that averages
                     over the orders of tied items, it is a function of its own: `ndcg_tie_averaged`, `auc`.
    short lists      what is missing earns nothing; precision is still divided by k
    k > catalogue    the same: the list has ended
    duplicates       an item twice in one list: a `ValueError` that names the user and the item
    nothing relevant NaN for that user: there is nothing to measure. `mean_over_users` leaves those users out *and
                     counts them*; neither a 0 nor a NaN gets into a mean unseen.
    no list          a user with relevant items and no list has missed them all: 0
    one class        AUC is undefined without a positive or without a negative; such users are left out of GAUC
    -inf score       not a candidate: a seen item, say. It is never ranked
    NaN score        a `ValueError`
    empty input      a `ValueError`

Where libraries disagree, the name says which form it is: `average_precision` divides by R, `average_precision_capped`
by min(k, R); `ndcg` takes gains as they are, `ndcg_exponential` 2^g - 1; both compare with the best min(R, k) of *all*
judged items. `conventions` computes what other libraries return, and says which rule makes the difference.

In the order to read them:

    from scores to lists      top_k, gains_and_judged, ground_truth, rank_of_target
    lists                     recall, hit_rate, precision, f1, r_precision, reciprocal_rank, average_precision, dcg,
                              ndcg, ndcg_tie_averaged
    the mean of many users    mean_over_users, evaluate, protocol, accumulators
    clicks                    accuracy, auc, gauc, log_loss, normalised_entropy, expected_calibration_error,
                              recalibrate
    what was served           click_through_rate, ips, team_draft_interleaving
    the catalogue             catalogue_coverage, novelty, intra_list_diversity, gini_of_exposure, personalisation,
                              serendipity, popularity_bias
    is the difference real?   paired_bootstrap, permutation_test, sign_test
"""

from recattn_mini._submodules import submodules

__getattr__, __dir__ = submodules(__name__)
