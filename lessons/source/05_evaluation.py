# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # 05 · How do you evaluate attention in a recommender?
#
# Write the body of each cell that ends in `raise NotImplementedError("your turn …")`, run it, run the `check` below it. `hint(f)`
# nudges, `solution(f)` shows the key once yours holds. Nothing further down needs your answers.
#
# | exercise | level | minutes |
# |---|---|---|
# | `top_k` | easy | 5 |
# | `recall_numpy` | easy | 3 |
# | `hit_rate_numpy` | easy | 3 |
# | `reciprocal_rank_numpy` | easy | 5 |
# | `average_precision_numpy` | medium | 10 |
# | `ndcg_numpy` | medium | 10 |
# | `auc` | medium | 10 |
# | `gauc_numpy` | medium | 15 |
# | `snips_numpy` | easy | 5 |
# | `catalogue_coverage_numpy` | easy | 5 |
# | `novelty_numpy` | easy | 10 |

# %% [markdown] tags=["question"]
# ## The question
#
# > **How do you evaluate what attention brings to a recommender?**
# >
# > 如何评估注意力机制在推荐系统中的效果？
#
# *Every level is asked this; ten minutes, and it always ends in "write NDCG".* It comes as "offline is up, online is flat: why?", as "your
# NDCG and mine differ on one list: why?", or as "how do you know that it was the attention?".
#
# **What the interviewer is after.** Definitions with their denominators; a protocol before a number; that click-through
# rate is an online metric; that a difference has an error bar; and that "did *attention* help" is an ablation, not a metric.

# %% [markdown] tags=["answer"]
# ## The answer in 60 seconds
#
# I first say what decision the number serves. For *retrieval*: recall@k. For *ranking* a list: NDCG@k, or MRR where there is one right
# item. For a *click model*: AUC and, since a user only compares items shown to them, GAUC; log-loss and calibration if the
# probability goes into an auction. Accuracy says nothing where one impression in a hundred is clicked.
#
# Every figure comes with its **protocol**: split, candidates (full catalogue, not sampled negatives), seen items filtered or not,
# ties, cutoff, and how users without relevant items count. Without it two libraries give two numbers for one list.
#
# Relevance is not all: **coverage** is how much of the catalogue is ever shown, **novelty** how unpopular what is shown is. They are
# two things.
#
# Click-through rate belongs to a *served policy*: it is measured in an A/B test. Offline I predict clicks, or I
# reweigh logged clicks by propensities (IPS, SNIPS), with their variance.
#
# Whether *attention* helped is an ablation: the same model with mean pooling or uniform weights, the same parameters, training and
# tuning budget, several seeds, and a paired bootstrap over users.
#
# <details><summary>要点（中文）</summary>
#
# - 先说指标服务于什么决策：召回看 Recall@k，排序看 NDCG@k（只有一个正样本时看 MRR），点击率预估看 AUC、GAUC、对数损失和校准。
# - 点击率只有百分之一时准确率没有意义：全部预测为“不点击”几乎一样高。
# - 任何数字都要带评估协议：切分方式、候选集（全量而非采样）、是否过滤已看、并列如何处理、截断 k、没有正样本的用户如何计入。
# - 覆盖率（coverage）是目录中有多少物品被推荐过；新颖性（novelty）是推荐的物品有多冷门；两者不是一回事。
# - CTR 是线上策略的指标，靠 A/B 实验测量；离线只能预估点击，或用倾向得分加权（IPS、SNIPS）做反事实评估。
# - “注意力有没有用”要做消融实验：换成均值池化或均匀权重，参数量、训练预算一致，多个随机种子，按用户做配对 bootstrap。
#
# </details>

# %% tags=["imports"]
import math

import matplotlib.pyplot as plt
import numpy as np
import torch

import recattn_mini.metrics.accuracy
import recattn_mini.metrics.auc
import recattn_mini.metrics.average_precision
import recattn_mini.metrics.catalogue_coverage
import recattn_mini.metrics.click_through_rate
import recattn_mini.metrics.conventions
import recattn_mini.metrics.dcg
import recattn_mini.metrics.evaluate
import recattn_mini.metrics.expected_calibration_error
import recattn_mini.metrics.gains
import recattn_mini.metrics.gauc
import recattn_mini.metrics.gini_of_exposure
import recattn_mini.metrics.hit_rate
import recattn_mini.metrics.ips
import recattn_mini.metrics.log_loss
import recattn_mini.metrics.mean_over_users
import recattn_mini.metrics.ndcg
import recattn_mini.metrics.normalised_entropy
import recattn_mini.metrics.novelty
import recattn_mini.metrics.paired_bootstrap
import recattn_mini.metrics.protocol
import recattn_mini.metrics.rank_of_target
import recattn_mini.metrics.recalibrate
import recattn_mini.metrics.recall
import recattn_mini.metrics.reciprocal_rank
import recattn_mini.metrics.relevant
import recattn_mini.metrics.team_draft_interleaving
import recattn_mini.metrics.top_k
from recattn_mini.check import check, hint, solution
from recattn_mini.data import movielens

library = recattn_mini.metrics  # ours; what you write has the same names without the word library
plt.style.use("tableau-colorblind10")
plt.rcParams.update({"figure.dpi": 110, "axes.spines.top": False, "axes.spines.right": False, "font.size": 9})
np.set_printoptions(precision=4, suppress=True)

# %% [markdown]
# ## 1 · One list, five libraries
#
# Three relevant films, worth 3, 2 and 1; a list of five, of which places 1, 2 and 4 are relevant. NDCG@4 by five libraries, as
# their functions returned it, and the rules by which each gets there:

# %%
ranking = {"ann": [("c", 1.0), ("a", 0.9), ("x", 0.8), ("b", 0.7), ("y", 0.6)]}
truth = {"ann": {"a": 3, "b": 2, "c": 1}}
returned = {  # measured: ranx 0.3.21, torchmetrics 1.9.0, scikit-learn 1.9.1, RecTools 0.19.0, RecBole 1.2.1
    "ranx": 0.7883773914853737,
    "torchmetrics": 0.7883774638175964,
    "sklearn": 0.7883773914853736,
    "RecTools": 0.8048099750039492,
    "RecBole": 0.9674679834891695,
}
for name, value in returned.items():
    ours = library.conventions.value(ranking, truth, 4, "ndcg", library.conventions.CONVENTIONS[name])
    print(f"{name:13} returned {value:.4f}, its convention gives {ours:.4f}")

# %% [markdown]
# Nobody is wrong; they answer different questions. Which rule makes the difference can be computed: take one library's rules, turn
# them one by one into the other's, and see which change moves the value.

# %%
print(library.conventions.explain_difference(ranking, truth, "ranx", "RecTools", k=4))

# %% [markdown]
# And a convention can choose the winner. User 1 has one relevant item, user 2 has six; system A finds user 1's at rank 1 and nothing
# for user 2, system B finds user 1's at rank 2 and two of user 2's, at ranks 1 and 2. MAP@3:

# %%
truth = {1: {"a": 1}, 2: dict.fromkeys("bcdefg", 1)}
systems = {"A": {1: "axy", 2: "xyz"}, "B": {1: "xay", 2: "bcx"}}
for name in ("ranx", "RecBole"):
    convention = library.conventions.CONVENTIONS[name]
    scored = {
        system: {user: [(item, 1 - r / 10) for r, item in enumerate(items)] for user, items in lists.items()}
        for system, lists in systems.items()
    }
    by = {s: library.conventions.value(lists, truth, 3, "average_precision", convention) for s, lists in scored.items()}
    print(f"{name:8} A {by['A']:.4f}   B {by['B']:.4f}   the winner is {max(by, key=by.get)}")

# %% [markdown]
# ranx divides by all relevant items, RecBole by min(R, k). Report the denominator.
#
# ## 2 · From scores to a list: top-k, and ties
#
# Every ranking metric here reads two arrays: `gains (u r)`, what each place of the list is worth, and `judged (u m)`, all that the user
# could have got. The step before it is a sort, and the sort decides what happens to ties. Forty equal scores:

# %%
tied = np.ones(40)
print("stable:         ", np.argsort(-tied, kind="stable")[:6])
print("argsort()[::-1]:", np.argsort(tied, kind="stable")[::-1][:6])

# %% [markdown]
# `np.argsort` without `kind="stable"`, `np.argpartition` and `torch.topk` promise no order for ties, and it changes with the version and the
# processor. A model that gives all items one score then has a metric that depends on luck; a cold start user gets exactly that.
#
# ### Your turn: the k best, ties by item order
#
# `-inf` marks what is not a candidate (a seen item): it is never ranked, and `-1` fills the list.

# %% tags=["exercise"]
from recattn_mini.metrics.top_k import top_k

# %%
check(top_k)

# %%
scores = np.array([[0.9, 0.1, 0.8, 0.7, 0.6], [0.5, 0.5, -np.inf, 0.2, 0.1], [0.3, 0.2, 0.1, 0.0, -0.1]])
relevance = np.array([[1, 1, 1, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 0, 0]])
items = library.top_k.top_k_numpy(scores, 3)
gains = library.gains.gains_of_items_numpy(items, relevance)
print("items:", *items.tolist(), "  gains:", *gains.tolist())

# %% [markdown]
# User 2's item 2 is masked and relevant: it is not in the list and it still is in `judged`. User 3 has nothing relevant.
#
# ## 3 · Recall, hit rate, precision
#
# $$\mathrm{recall} = \frac{\text{hits}}{R} \qquad \mathrm{precision} = \frac{\text{hits}}{k} \qquad
# \mathrm{hit\ rate} = [\text{hits} > 0]$$
#
# With one relevant item a user (leave one out) recall *is* the hit rate, which is how papers came to use one name for both. With several
# they part:

# %%
for name in ("recall", "hit_rate"):
    print(f"{name:9}", getattr(getattr(library, name), f"{name}_numpy")(gains, relevance, 3))

# %% [markdown]
# NaN means that there was nothing to find. It is not a 0, and it does not reach the mean unseen:

# %%
print(library.mean_over_users.mean_over_users_numpy(library.recall.recall_numpy(gains, relevance, 3)))

# %% [markdown]
# ### Your turn: recall and hit rate

# %% tags=["exercise"]
from recattn_mini.metrics.recall import recall_numpy

# %%
check(recall_numpy)

# %% tags=["exercise"]
from recattn_mini.metrics.hit_rate import hit_rate_numpy

# %%
check(hit_rate_numpy)

# %% [markdown]
# ## 4 · Reciprocal rank and average precision
#
# $$\mathrm{RR} = \frac{1}{\text{rank of the first hit}} \qquad
# \mathrm{AP@}k = \frac{1}{R} \sum_{r \le k} [r \text{ is a hit}] \cdot \mathrm{precision@}r$$
#
# Their means over users are MRR and MAP. With one relevant item AP equals RR. The denominator of AP has at least four
# meanings in the libraries: $R$, $\min(R, k)$, $k$, and the number of hits. The last one rewards a system for finding *less*: of
# five relevant items A finds one, at rank 1, B finds three, at ranks 1, 2 and 4.

# %%
judged = np.ones((2, 5))
found = np.array([[1, 0, 0, 0, 0], [1, 1, 0, 1, 0]])
by_r = library.average_precision.average_precision_numpy(found, judged, 5)
by_hits = by_r * 5 / found.sum(1)
print(f"divided by R:    A {by_r[0]:.4f}   B {by_r[1]:.4f}")
print(f"divided by hits: A {by_hits[0]:.4f}   B {by_hits[1]:.4f}")

# %% [markdown]
# ### Your turn

# %% tags=["exercise"]
from recattn_mini.metrics.reciprocal_rank import reciprocal_rank_numpy

# %%
check(reciprocal_rank_numpy)

# %% tags=["exercise"]
from recattn_mini.metrics.average_precision import average_precision_numpy

# %%
check(average_precision_numpy)

# %% [markdown]
# ## 5 · NDCG
#
# $$\mathrm{DCG@}k = \sum_{r=1}^{k} \frac{g_r}{\log_2 (r + 1)} \qquad \mathrm{NDCG@}k = \frac{\mathrm{DCG@}k}{\mathrm{DCG@}k \text{ of the best list}}$$
#
# It measures relevance *discounted by rank*. The base of the logarithm cancels. The gain does not: gains 3, 1, 1, 1 and three places; A
# has only the 3, at rank 2; B has the three ones.

# %%
a_b, judged = np.array([[0.0, 3, 0], [1, 1, 1]]), np.array([[3.0, 1, 1, 1]] * 2)
for name, metric in (("linear", library.ndcg.ndcg_numpy), ("2^g - 1", library.ndcg.ndcg_exponential_numpy)):
    a, b = metric(a_b, judged, 3)
    print(f"{name:8} A {a:.4f}   B {b:.4f}")
a, b = library.ndcg.ndcg_numpy(a_b > 0, judged > 0, 3)
print(f"binary   A {a:.4f}   B {b:.4f}")

# %% [markdown]
# Where places count, where cutoffs do:

# %%
ranks = np.arange(1, 21)
one_hit = np.eye(20)
curves = {
    "NDCG@10": library.ndcg.ndcg_numpy(one_hit, one_hit, 10),
    "reciprocal rank@10": library.reciprocal_rank.reciprocal_rank_numpy(one_hit, one_hit, 10),
    "hit rate@10": library.hit_rate.hit_rate_numpy(one_hit, one_hit, 10),
}
for name, curve in curves.items():
    print(f"{name:19} at rank 1, 2, 5, 10, 11:", curve[[0, 1, 4, 9, 10]].round(3))

figure, axes = plt.subplots(figsize=(6, 2.8))
for (name, curve), marker in zip(curves.items(), "o^s", strict=True):
    axes.plot(ranks, curve, marker=marker, markersize=4, label=name)
axes.set_xlabel("rank of the one relevant item")
axes.set_ylabel("value")
axes.set_xticks(ranks)
axes.legend(frameon=False)
plt.show()

# %% [markdown]
# ### Your turn: NDCG
#
# The ideal list holds the best $\min(R, k)$ of *all* judged items, also of those that were never ranked.

# %% tags=["exercise"]
from recattn_mini.metrics.ndcg import ndcg_numpy

# %%
check(ndcg_numpy)

# %% [markdown]
# ## 6 · Real people: a protocol, a baseline, and the noise floor
#
# MovieLens-100K, leave one out by time, popularity as the model. `evaluate` gives no figure without a protocol:


# %%
def popularity(log, split):
    """Scores (u n) by how often an item was rated in training; what each user has seen; what each user is asked."""
    counts = np.bincount(log.items[split.train], minlength=log.items.max() + 1).astype(float)
    counts[0] = -np.inf  # row 0 is padding, no film
    known = np.concatenate([split.train, split.validation])
    seen = log.histories(known)[1:]
    held_out = [np.array([item]) for item in log.items[split.test]]
    return np.tile(counts, (len(held_out), 1)), seen, held_out


# %% tags=["raises-exception"]
films = movielens.load()
split = movielens.leave_one_out(films)
scores, seen, held_out = popularity(films, split)
protocol = library.protocol.Protocol(split="leave one out, by time, file order", candidates="full", seen="filtered")
truth = library.relevant.Relevant.of(held_out, scores.shape[1])
result = library.evaluate.evaluate(scores, truth, 10, protocol, seen=seen)
print(result)

# %% [markdown]
# Filtering what was seen is part of the protocol and not a detail. And the split has ties of its own: 415 of the 943 users rated
# several films in the second of their last rating. Which of those is "the last" is a convention:

# %% tags=["raises-exception"]
films = movielens.load()


def hit_rate_at_10(log, seen_filtered=True):
    scores, seen, held_out = popularity(log, movielens.leave_one_out(log))
    if seen_filtered:
        for user, items in enumerate(seen):
            scores[user, items] = -np.inf
    target = np.concatenate(held_out)
    return (library.rank_of_target.rank_of_target_numpy(scores, target) <= 10).mean()


def reordered(films, order):
    return movielens.Interactions(films.users[order], films.items[order], films.ratings[order], films.timestamps[order])


last = {}
for user, time in zip(films.users, films.timestamps, strict=True):
    last.setdefault(user, []).append(time)
print("users whose last timestamp is tied:", sum(times.count(max(times)) > 1 for times in last.values()))
everyone = hit_rate_at_10(films)
print(f"HR@10 of popularity, file order {everyone:.3f}, seen not filtered {hit_rate_at_10(films, False):.3f}")
for seed in range(3):
    order = np.random.RandomState(seed).permutation(len(films.users))
    print(f"  ties in random order {seed}: {hit_rate_at_10(reordered(films, order)):.3f}")
by_item = reordered(films, np.argsort(films.items, kind="stable"))
print(f"  ties by item id:        {hit_rate_at_10(by_item):.3f}")
n = len(np.unique(films.users))
error = math.sqrt(everyone * (1 - everyone) / n)
print(f"binomial standard error with {n} users: {error:.4f}, 95 % interval ± {1.96 * error:.3f}")

# %% [markdown]
# So a difference of one or two points of HR@10 on ML-100K says nothing by itself. Most users are the same under both systems,
# though, so compare *pairs*: a bootstrap over users of the differences. Popularity against the same popularity with a little noise, which is
# to say against nothing:

# %% tags=["raises-exception"]
films = movielens.load()
scores, seen, held_out = popularity(films, movielens.leave_one_out(films))
truth = library.relevant.Relevant.of(held_out, scores.shape[1])
protocol = library.protocol.Protocol(split="leave one out, by time, file order", candidates="full", seen="filtered")
noisy = scores * (1 + 0.1 * np.random.RandomState(0).randn(*scores.shape))
one, other = (library.evaluate.evaluate(x, truth, 10, protocol, seen=seen).per_user["ndcg"] for x in (scores, noisy))
difference = library.paired_bootstrap.paired_bootstrap_numpy(one, other, resamples=2000, seed=0)
print(
    f"NDCG@10 differs by {difference.value:+.4f}, 95 % interval {difference.low:+.4f} to {difference.high:+.4f}, p = {difference.p:.2f}"
)

# %% [markdown]
# **The protocol of an ablation.** For "did attention help": the same model, data, split and loss; mean pooling, uniform weights, or attention with
# shuffled weights in its place; the same number of parameters and the same tuning budget; the epoch chosen on validation; at least three seeds,
# each reported; figures by user, so that differences are paired; the bootstrap interval of the difference. If the interval holds 0,
# the answer is "not shown", not "no".
#
# ## 7 · Sampled metrics are other metrics
#
# To save time, many papers rank the held-out item among 100 sampled negatives. That is no estimate of the full ranking, and it can turn
# an order round. Among 10,000 items, model A always puts the held-out item at rank 100; model B puts it at rank 3 for one user in five, else
# at rank 2,000. Of 100 negatives drawn from the other items, the number ahead of the held-out one is hypergeometric:


# %%
def sampled_hit_rate(rank, n=10_000, negatives=100, k=10):
    """The chance that fewer than k of the sampled negatives come from the rank - 1 items that are ahead."""
    ways = [math.comb(rank - 1, j) * math.comb(n - rank, negatives - j) for j in range(k)]
    return sum(ways) / math.comb(n - 1, negatives)


models = {"A": {100: 1.0}, "B": {3: 0.2, 2000: 0.8}}
print("HR@10      full   100 sampled negatives")
for name, ranks in models.items():
    full = sum(share * (rank <= 10) for rank, share in ranks.items())
    sampled = sum(share * sampled_hit_rate(rank) for rank, share in ranks.items())
    print(f"model {name}    {full:.2f}   {sampled:.2f}")

# %% [markdown]
# Full ranking says B, sampling says A. What sampling measures is closer to AUC: whether the item is in the upper tenth of the
# catalogue. Published for one model: HR@10 of .28 in full and .80 with 100 negatives (BERT4Rec on ML-1M). Rank all items.
#
# ## 8 · Click models: accuracy, AUC, GAUC, calibration
#
# Accuracy where about one impression in a hundred is clicked. The model below is *calibrated*: it is the true probability, so no model can do better.

# %%
draw = np.random.RandomState(0)
logits = draw.normal(-5.25, 1.3, 200_000)
chance = 1 / (1 + np.exp(-logits))
clicked = (draw.rand(len(chance)) < chance).astype(int)
never = np.zeros_like(chance)
print(f"click rate            {clicked.mean():.4f}")
print(f"accuracy, this model  {library.accuracy.accuracy_numpy(chance, clicked):.4f}")
print(f"accuracy, never click {library.accuracy.accuracy_numpy(never, clicked):.4f}")
print(f"AUC, this model       {library.auc.auc_numpy(chance, clicked):.4f}")
print(f"AUC, never click      {library.auc.auc_numpy(never, clicked):.4f}")

# %% [markdown]
# **AUC** is the share of pairs (clicked, not clicked) that are in the right order; a tie is half a pair. `argsort` of `argsort` breaks ties
# by luck and is the usual bug.
#
# ### Your turn: AUC, exact with ties, without a loop over pairs

# %% tags=["exercise"]
from recattn_mini.metrics.auc import auc

# %%
check(auc)

# %% [markdown]
# **GAUC.** Pooled over users, AUC also rewards knowing *which user* clicks much, and no ranking can use that. So take the AUC of each user and weigh
# it by impressions; users with one class have none and are left out. A model that knows nothing but the user:

# %%
draw = np.random.RandomState(0)
users = np.repeat(np.arange(2000), 20)
habit = draw.normal(-2, 1.5, 2000)[users]  # how much each user clicks
taste = draw.normal(0, 1, len(users))  # what the user likes, of what is shown
clicked = (draw.rand(len(users)) < 1 / (1 + np.exp(-habit - taste))).astype(int)
for name, model in (("knows the habit", habit), ("knows the taste", taste), ("knows both", habit + taste)):
    pooled, grouped = library.auc.auc_numpy(model, clicked), library.gauc.gauc_numpy(model, clicked, users)
    print(f"{name:16} AUC {pooled:.3f}   GAUC {grouped:.3f}")

# %% [markdown]
# The habit has the better AUC and a GAUC of one half.
#
# ### Your turn: GAUC

# %% tags=["exercise"]
from recattn_mini.metrics.gauc import gauc_numpy

# %%
check(gauc_numpy)

# %% [markdown]
# **Calibration.** An auction multiplies the probability by a bid, so its size matters and not only its order. Click models are trained with
# negatives thrown away: keep a share $w$ of them, and the odds come out $1/w$ times too high. Put it right by
#
# $$q = \frac{p}{p + (1 - p) / w}$$

# %%
kept = 0.1
biased = 1 / (1 + np.exp(-(logits - math.log(kept))))  # what a model learns from all clicks and a tenth of the rest
labels = (np.random.RandomState(1).rand(len(chance)) < chance).astype(int)
for name, p in (("as trained", biased), ("recalibrated", library.recalibrate.recalibrate_numpy(biased, kept))):
    print(
        f"{name:12} predicted / clicked {p.sum() / labels.sum():5.2f}   "
        f"ECE {library.expected_calibration_error.expected_calibration_error_numpy(p, labels, 20):.4f}   "
        f"log-loss {library.log_loss.log_loss_numpy(p, labels):.4f}   "
        f"normalised entropy {library.normalised_entropy.normalised_entropy_numpy(p, labels):.3f}   "
        f"AUC {library.auc.auc_numpy(p, labels):.3f}"
    )

# %% [markdown]
# AUC does not notice: the order is the same. Normalised entropy is the log-loss divided by that of always predicting the base rate: above 1, the
# model is worse than a constant.
#
# ## 9 · Click-through rate: online, and what offline can say of it
#
# Click-through rate is measured where a policy is served. It has an interval, and with few clicks a wide one:

# %%
for impressions in (1_000, 100_000):
    clicks = np.zeros(impressions, int)
    clicks[: impressions // 100] = 1
    rate = library.click_through_rate.click_through_rate_numpy(clicks)
    print(f"{impressions:7} impressions: {rate.value:.4f}, 95 % interval {rate.low:.4f} to {rate.high:.4f}")

# %% [markdown]
# For a *new* policy the log can be reweighed: each logged event counts $w = \pi_{\text{new}} / \pi_{\text{log}}$. **IPS** averages
# $w r$: unbiased, and at the mercy of large weights. **SNIPS** divides by $\sum w$ instead of $n$: slightly biased, far steadier,
# and never above the largest reward. **Clipping** the weights trades variance for bias. Twenty logs of 2,000 events each:

# %%
draw = np.random.RandomState(0)
rewards_of = np.array([0.02, 0.05, 0.10, 0.30])
log_policy, new_policy = np.array([0.70, 0.20, 0.08, 0.02]), np.array([0.05, 0.15, 0.30, 0.50])
estimates = {"logged CTR": [], "IPS": [], "SNIPS": [], "clipped at 5": []}
for _ in range(20):
    shown = draw.choice(4, 2000, p=log_policy)
    reward = (draw.rand(2000) < rewards_of[shown]).astype(float)
    weight = (new_policy / log_policy)[shown]
    estimates["logged CTR"].append(reward.mean())
    estimates["IPS"].append(library.ips.ips_numpy(reward, weight))
    estimates["SNIPS"].append(library.ips.snips_numpy(reward, weight))
    estimates["clipped at 5"].append(library.ips.clipped_ips_numpy(reward, weight, 5.0))
print(f"the new policy's true CTR is {new_policy @ rewards_of:.4f}")
for name, values in estimates.items():
    print(f"{name:13} mean {np.mean(values):.4f}   standard deviation {np.std(values):.4f}")

# %% [markdown]
# ### Your turn: SNIPS

# %% tags=["exercise"]
from recattn_mini.metrics.ips import snips_numpy

# %%
check(snips_numpy)

# %% [markdown]
# **Position bias.** Logged clicks depend on where an item stood. If the old ranker put good items first, position explains the click
# as well as quality does, and attention trained on such clicks learns to agree with the old ranker. Weighing each click by the
# inverse of the chance that its place was looked at takes it out. Two items of one quality, one always shown on top:

# %%
draw = np.random.RandomState(0)
looked_at = np.array([1.0, 0.25])
clicks = draw.rand(50_000, 2) < 0.2 * looked_at  # item 0 at place 1, item 1 at place 2, both of quality 0.2
print("click rate:                 ", clicks.mean(0).round(3))
print("divided by the examination: ", (clicks.mean(0) / looked_at).round(3))

# %% [markdown]
# The chances have to come from somewhere: randomised swaps of places, or a model of examination trained with the ranker and dropped at
# serving (PAL).
#
# ## 10 · Coverage is not novelty
#
# *Coverage* is the share of the catalogue that anyone is shown. *Novelty* is how improbable the shown items are, in bits. Two policies
# over 1,000 items whose popularity falls as 1/rank: ten random ones of the head of 200 for each user, and ten obscure ones, the same for all.

# %%
draw = np.random.RandomState(0)
shares = 1 / np.arange(1, 1001)
shares /= shares.sum()
head = np.stack([draw.choice(200, 10, replace=False) for _ in range(500)])
obscure = np.tile(np.arange(990, 1000), (500, 1))
for name, lists in (("random of the head", head), ("ten obscure items", obscure)):
    covered = library.catalogue_coverage.catalogue_coverage_numpy(lists, 1000)
    bits = library.novelty.novelty_numpy(lists, shares).mean()
    gini = library.gini_of_exposure.gini_of_exposure_numpy(lists, 1000)
    print(f"{name:18} coverage {covered:.2f}   novelty {bits:.1f} bits   Gini of exposure {gini:.2f}")

# %% [markdown]
# The wider policy is the less novel one. "Coverage measures novelty" is a common answer and a wrong one.
#
# ### Your turn: coverage and novelty

# %% tags=["exercise"]
from recattn_mini.metrics.catalogue_coverage import catalogue_coverage_numpy

# %%
check(catalogue_coverage_numpy)

# %% tags=["exercise"]
from recattn_mini.metrics.novelty import novelty_numpy

# %%
check(novelty_numpy)

# %% [markdown] tags=["follow-up"]
# ## Follow-ups
#
# <details><summary><b>Offline NDCG is up, online CTR is flat: why? 离线 NDCG 涨了，线上 CTR 没动，为什么？</b></summary>
#
# The log was written by the old policy: its exposure and position bias reward agreeing with it. The offline metric may be another one (sampled,
# pooled over users, other candidates). The gain may lie within the noise, or in places nobody looks at. Features may differ between
# training and serving. And CTR moves with what is *shown beside* an item.
# </details>
#
# <details><summary><b>GAUC or AUC? GAUC 与 AUC 如何选择？</b></summary>
#
# GAUC if the model orders items within one user's list; AUC if its scores are compared across users (whom to send a message). Report how many
# users have one class only: they are out of GAUC, and they may be most of them.
# </details>
#
# <details><summary><b>Leave one out or a global time split? 留一法还是全局时间切分？</b></summary>
#
# Leave one out uses every user and leaks: training events of others are later than a user's test event, popularity of the future included. A global
# cut does not, and is cold for users who come after it. Papers mostly use the first; production is like the second.
# </details>
#
# <details><summary><b>How many users for a relative change of one per cent? 要检测百分之一的相对变化需要多少用户？</b></summary>
#
# For two groups and a rate $p$: about $16\,(1 - p) / (p\,\delta^2)$ a group for power 80 at level 5, with $\delta$ the relative change.
# At a click rate of one in a hundred that is some 16 million impressions (below), and more if users count instead of impressions. Variance reduction by pre-period
# data (CUPED) or interleaving needs far fewer.
# </details>
#
# <details><summary><b>What is interleaving, and why is it so sensitive? 什么是交错实验？为什么更灵敏？</b></summary>
#
# Both rankers fill *one* list in turns (team draft), and a click counts for the ranker that placed the item. Each user is their own control, so
# differences between users cancel. It says which is better and not by how much CTR.
# </details>
#
# <details><summary><b>Why is SNIPS steadier than IPS? 为什么 SNIPS 比 IPS 更稳定？</b></summary>
#
# A large weight is in the numerator and in the denominator, so it moves the estimate towards one reward and not beyond. Adding a constant to all rewards
# adds that constant to SNIPS; to IPS it adds the constant times the mean weight, which is noise.
# </details>

# %%
p, change = 0.01, 0.01
print(
    f"impressions a group for a relative change of {change:.0%} at a click rate of {p:.0%}: {16 * (1 - p) / (p * change**2):,.0f}"
)

draw = np.random.RandomState(0)
reward, weight = draw.rand(1000), draw.exponential(size=1000)
for name, estimate in (("IPS", library.ips.ips_numpy), ("SNIPS", library.ips.snips_numpy)):
    print(f"all rewards plus 1: {name:5} moves by {estimate(reward + 1, weight) - estimate(reward, weight):.4f}")

better, worse = list(range(10)), list(range(10))[::-1]  # both rank ten items; item 0 is the best
won = [
    library.team_draft_interleaving.credit(
        *(shown := library.team_draft_interleaving.team_draft_interleaving(better, worse, 6, draw)),
        {item for item in shown[0] if draw.rand() < 0.5 / (1 + item)},
    )
    for _ in range(200)
]
print(f"interleaving, 200 users: the better ranker wins {won.count(1)}, loses {won.count(-1)}")

# %% [markdown] tags=["trap"]
# ## Traps
#
# - NDCG's ideal taken over the retrieved list only: a list that finds little but orders it well scores 1.
# - `1 / np.log2(rank)` with ranks from 1 divides by zero; ranks from 0 need `log2(r + 2)`.
# - No hit: `argmax` of all False is 0, which reads as rank 1.
# - A metric that is computed in float32 makes ties of scores that differ by less.
# - scikit-learn's `roc_auc_score` and `ndcg_score` average over ties; most ranking libraries break them, each by its own rule.
# - Duplicates in a list lift recall above 1 in several libraries. Here they are an error.

# %%
try:
    library.gains.gains_of_lists_numpy({"ann": ["x", "x"]}, {"ann": {"x"}})
except ValueError as error:
    print(error)
print("argmax of no hit:", np.array([False, False, False]).argmax())
with np.errstate(divide="ignore"):
    print("1 / log2 of rank 1:", 1 / np.log2(1.0))
print("1 + 1e-9 above 1, in float32:", bool(np.float32(1 + 1e-9) > np.float32(1)))

# %% [markdown]
# ## Sources
#
# - Järvelin, Kekäläinen: *Cumulated gain-based evaluation of IR techniques*, ACM TOIS 2002
# - McSherry, Najork: *Computing Information Retrieval Performance Measures Efficiently in the Presence of Tied Scores*, ECIR 2008
# - Krichene, Rendle: *On Sampled Metrics for Item Recommendation*, KDD 2020
# - Petrov, Macdonald: *A Systematic Review and Replicability Study of BERT4Rec for Sequential Recommendation* (.28 and .80), RecSys 2022
# - Zhou et al.: *Deep Interest Network for Click-Through Rate Prediction* (GAUC), KDD 2018, [1706.06978](https://arxiv.org/abs/1706.06978)
# - He et al.: *Practical Lessons from Predicting Clicks on Ads at Facebook* (normalised entropy, recalibration), ADKDD 2014
# - Swaminathan, Joachims: *The Self-Normalized Estimator for Counterfactual Learning*, NeurIPS 2015
# - Joachims, Swaminathan, Schnabel: *Unbiased Learning-to-Rank with Biased Feedback*, WSDM 2017
# - Guo et al.: *PAL: a position-bias aware learning framework for CTR prediction*, RecSys 2019
# - Ge, Delgado-Battenfeld, Jannach: *Beyond Accuracy: Evaluating Recommender Systems by Coverage and Serendipity*, RecSys 2010
# - Radlinski, Kurup, Joachims: *How Does Clickthrough Data Reflect Retrieval Quality?* (team draft), CIKM 2008
# - Smucker, Allan, Carterette: *A Comparison of Statistical Significance Tests for Information Retrieval Evaluation*, CIKM 2007
# - Harper, Konstan: *The MovieLens Datasets: History and Context*, ACM TiiS 5(4):19, 2015. The data belongs to GroupLens
#   and is fetched to your own cache; it may be used for research and not be redistributed.
