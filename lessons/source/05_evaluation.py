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
# nudges, `hint(f, 3)` is a recipe, `solution(f)` shows the key once yours holds. Nothing further down needs your answers.
#
# Sections 1 to 5 judge a ranked list, 6 and 7 ask whether a figure can be believed, 8 is about clicks, 9 about what offline can say of
# online, 10 about the catalogue, and 11 answers the question itself. With an hour only: 5, 6, 8 and 11.
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
# I first ask what decision the number serves. *Retrieval*: recall@k. *Ranking* a list: NDCG@k, or MRR for one right item. A
# *click model*: AUC and, since users only compare what they are shown, GAUC; log-loss and calibration if an auction takes the
# probability. Not accuracy: with one click in a hundred, "never" is nearly always right.
#
# Every figure comes with its **protocol**: split, candidates (all items, not sampled negatives), seen items filtered or not, ties, cutoff,
# users with nothing to find. Without it two libraries give two numbers for one list.
#
# Beyond relevance, **coverage** is how much of the catalogue is ever shown, **novelty** how unpopular what is shown is.
#
# Click-through rate belongs to a *served policy*: an A/B test measures it. Offline I predict clicks, or reweigh logged ones by
# propensities (IPS, SNIPS).
#
# Whether *attention* helped is an ablation: the same model with mean pooling or uniform weights, an equal tuning budget, several
# seeds, a paired bootstrap over users. If the interval holds zero, it is not shown.
#
# <details><summary>要点（中文）</summary>
#
# - 先说指标服务于什么决策：召回看 Recall@k，排序看 NDCG@k（只有一个正样本时看 MRR），点击率预估看 AUC、GAUC、对数损失和校准。
# - 点击率只有 1% 时准确率没有意义：全部预测为“不点击”，准确率也有 99%。
# - 任何数字都要带评估协议：数据切分方式、候选集（全量而非采样）、是否过滤已交互物品、同分如何处理、截断位置 k、没有正样本的用户如何计入。
# - 目录覆盖率是被推荐过的物品占全部物品的比例；新颖性是推荐的物品有多冷门；两者不是一回事。
# - CTR 是线上策略的指标，靠 A/B 实验测量；离线只能预估点击，或用倾向得分对日志加权（IPS、SNIPS）做反事实评估。
# - “注意力有没有用”要做消融实验：换成均值池化或均匀权重，参数量和调参预算一致，多个随机种子，按用户做配对 bootstrap。
#   差值的置信区间包含 0，只能说“没有证据表明有用”，不能说“没用”。
#
# </details>

# %% tags=["imports"]
import math

import matplotlib.pyplot as plt
import numpy as np
import torch

from recattn_mini import metrics as library  # ours; what you write has the same names without the word library
from recattn_mini.data import movielens, planted, recorded
from recattn_mini.learn import check, hint, solution

plt.style.use("tableau-colorblind10")
plt.rcParams.update({"figure.dpi": 110, "axes.spines.top": False, "axes.spines.right": False, "font.size": 9})
np.set_printoptions(precision=4, suppress=True)

# %% [markdown]
# ## 1 · One list, five libraries
#
# NDCG@k adds up what the first k places of a list are worth, lower places counting less, and divides by what the best possible list
# would have got (section 5 has the formula). One number, one would think. Three relevant films, worth 3, 2 and 1; a list of five, whose
# places 1, 2 and 4 hold a relevant film. What five libraries returned for NDCG@4, and what we compute by the rules of each:

# %% tags=["recorded"]
ranking = {"ann": [("c", 1.0), ("a", 0.9), ("x", 0.8), ("b", 0.7), ("y", 0.6)]}
truth = {"ann": {"a": 3, "b": 2, "c": 1}}
# ranx 0.3.21, torchmetrics 1.9.0, scikit-learn 1.9.1, RecTools 0.19.0, RecBole 1.2.1
returned = recorded.read("libraries")["NDCG@4"]
for name, value in returned.items():
    ours = library.conventions.value(ranking, truth, 4, "ndcg", library.conventions.CONVENTIONS[name])
    print(f"{name:13} returned {value:.4f}, its convention gives {ours:.4f}")

# %% [markdown]
# Nobody is wrong; they answer different questions. Which rule makes the difference can be computed: take one library's rules, turn
# them one by one into the other's, and see which change moves the value. R is the number of relevant items, here 3; k is 4:

# %%
print(library.conventions.explain_difference(ranking, truth, "ranx", "RecTools", k=4))
recbole = library.conventions.explain_difference(ranking, truth, "ranx", "RecBole", k=4)
print("\nRecBole:", recbole.differences["ndcg"].sentence)

# %% [markdown]
# RecTools compares with a list of k relevant films even where only R exist, so with R below k the best possible list stays below 1. A
# figure without its rules cannot be compared with another team's; and a rule can even choose the winner (section 4).
#
# ## 2 · From scores to a list: top-k, and ties
#
# First the sort: a model scores all items, and the k best are the list. The sort decides what happens to ties. Forty equal scores:

# %%
tied = np.ones(40)
print("stable:         ", np.argsort(-tied, kind="stable")[:6])
print("argsort()[::-1]:", np.argsort(tied, kind="stable")[::-1][:6])

# %% [markdown]
# `np.argsort` without `kind="stable"`, `np.argpartition` and `torch.topk` promise no order for ties, and it changes with the version and the
# processor. Where many items share a score, as for a user without a history, the metric then depends on luck.
#
# ### Your turn: the k best, ties by item order
#
# One row of scores a user, one column an item. `-inf` marks what is not a candidate (a seen item, say): it is never ranked. The answer has k
# columns even where there are fewer candidates; `-1` fills them. Four lines and a stable sort will do. (The library's own answer is
# longer because it sorts only what reaches the k-th best score.)

# %% tags=["exercise"]
from recattn_mini.metrics.top_k import top_k

# %%
check(top_k)

# %% [markdown]
# Then the list is compared with the truth. Every ranking metric here reads two arrays and a cutoff k:
#
# | | |
# |---|---|
# | `gains (u r)` | for u users, what each of r places is worth, best place first; above 0 means relevant, a *hit* |
# | `judged (u m)` | all gains that the user could have got, in any order, padded with 0; R counts those above 0 |
#
# Three users, five items; user 2 has seen item 2, so it is no candidate:

# %%
scores = np.array([[0.9, 0.1, 0.8, 0.7, 0.6], [0.5, 0.5, -np.inf, 0.2, 0.1], [0.3, 0.2, 0.1, 0.0, -0.1]])
relevance = np.array([[1, 1, 1, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 0, 0]])  # our `judged`: every item is judged
items = library.top_k.top_k_numpy(scores, 3)
gains = library.gains_and_judged.gains_of_items_numpy(items, relevance)
for user in range(3):
    print(f"user {user + 1}: items {items[user]}  gains {gains[user]}  judged {relevance[user]}")

# %% [markdown]
# User 2's item 2 was relevant and could not be listed: it is missing in `gains` and still counts in `judged`. User 3 has nothing relevant.
#
# ## 3 · Recall, hit rate, precision
#
# $$\mathrm{recall} = \frac{\text{hits}}{R} \qquad \mathrm{precision} = \frac{\text{hits}}{k} \qquad
# \mathrm{hit\ rate} = [\text{hits} > 0]$$
#
# With one relevant item a user, recall *is* the hit rate, which is how papers came to use one name for both. With several
# they part. Mind the ceilings: with R above k recall cannot reach 1, with R below k precision cannot.

# %%
for name in ("recall", "hit_rate", "precision"):
    metric = getattr(getattr(library, name), f"{name}_numpy")
    print(f"{name:9}", metric(gains, relevance, 3))

# %% [markdown]
# NaN means that there was nothing to find. It is not a 0, and it does not reach the mean unseen: such users are left out, and counted.

# %%
each = library.recall.recall_numpy(gains, relevance, 3)
print(library.mean_over_users.mean_over_users_numpy(each))

# %% [markdown]
# ### Your turn: recall and hit rate
#
# All five list metrics have these arguments and give one float64 a user. Gains may be graded (a 3 is still one item), and a list may be
# shorter than k: it has ended.

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
# Without a hit both are 0. Their means over users are MRR and MAP. With one relevant item AP equals RR. RR knows the first hit only; AP
# rewards every hit, early ones most.
#
# **The denominator of AP** has at least four meanings in the libraries: $R$, $\min(R, k)$, $k$, and the number of hits. It can
# choose the winner. User 1 has one relevant item, user 2 has six. System A finds user 1's at rank 1 and nothing
# for user 2; system B finds user 1's at rank 2 and two of user 2's, at ranks 1 and 2:

# %%
ap = library.average_precision
judged = np.array([[1, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1]])
a, b = np.array([[1, 0, 0], [0, 0, 0]]), np.array([[0, 1, 0], [1, 1, 0]])
for name, metric in (
    ("R (ranx)", ap.average_precision_numpy),
    ("min(R, k) (RecBole)", ap.average_precision_capped_numpy),
):
    print(f"MAP@3 over {name:19}  A {metric(a, judged, 3).mean():.4f}   B {metric(b, judged, 3).mean():.4f}")

found, judged = np.array([[1, 0, 0, 0, 0], [1, 1, 0, 1, 0]]), np.ones((2, 5))  # one list of A, one of B; R = 5
by_r = ap.average_precision_numpy(found, judged, 5)
by_hits = by_r * 5 / found.sum(1)
print(f"\nAP@5 over R                    A {by_r[0]:.4f}   B {by_r[1]:.4f}")
print(f"AP@5 over hits (torchmetrics)  A {by_hits[0]:.4f}   B {by_hits[1]:.4f}")

# %% [markdown]
# Over R, A has the better MAP@3; over min(R, k), B has. Dividing by the hits is worse than a matter of taste: in the second example A finds one
# item of five and B finds three, and A wins *because it found less*. Report the denominator; ours is R.
#
# ### Your turn: reciprocal rank and average precision

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
# It measures relevance *discounted by rank*. Why a logarithm? By convention: it is gentle, so that places 5 and 10 still differ. Its base
# cancels. How a grade becomes a gain does not: grades 3, 1, 1, 1 and three places; A has only the 3, at rank 2; B has the three ones.

# %%
a_b, judged = np.array([[0.0, 3, 0], [1, 1, 1]]), np.array([[3.0, 1, 1, 1]] * 2)
for name, metric in (("linear", library.ndcg.ndcg_numpy), ("2^g - 1", library.ndcg.ndcg_exponential_numpy)):
    a, b = metric(a_b, judged, 3)
    print(f"{name:8} A {a:.4f}   B {b:.4f}")
a, b = library.ndcg.ndcg_numpy(a_b > 0, judged > 0, 3)
print(f"binary   A {a:.4f}   B {b:.4f}")

# %% [markdown]
# With $2^g - 1$ the 3 outweighs everything and A wins. Now one relevant item: how fast each metric falls with its rank, and that none
# sees beyond the cutoff.

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
# MovieLens-100K. **Leave one out** by time: each user's last film is the test, the one before it validation, the rest training.
# Popularity is the model. `evaluate` gives no figure without a protocol:


# %%
def popularity(log, split):
    """Scores (u n): how often rated in training. What each user has seen. What each should find."""
    counts = np.bincount(log.items[split.train], minlength=log.items.max() + 1).astype(float)
    counts[0] = -np.inf  # row 0 is padding, no film
    known = np.concatenate([split.train, split.validation])
    seen = log.histories(known)[1:]
    held_out = [np.array([item]) for item in log.items[split.test]]
    return np.tile(counts, (len(held_out), 1)), seen, held_out


# %% tags=["raises-exception"]
films = movielens.load()
split = movielens.leave_one_out_split(films)
scores, seen, held_out = popularity(films, split)
truth = library.ground_truth.GroundTruth.of(held_out, scores.shape[1])
protocol = library.protocol.Protocol(
    split="leave one out, by time, file order",
    candidates="full",
    seen="filtered",
)
result = library.evaluate.evaluate(scores, truth, 10, protocol, seen=seen)
print(result)

# %% [markdown]
# With one held-out film a user, recall is the hit rate, AP is RR, and precision is a tenth of recall: six lines, three facts. In fact all six
# are functions of one rank: count the items that score above the held-out one, and nothing need be sorted.
#
# Filtering what was seen is part of the protocol and not a detail. And the split has ties of its own: 415 of the 943 users gave their
# last rating in the same second as others. Which of those is "the last" is a convention:

# %% tags=["raises-exception"]
films = movielens.load()


def hit_rate_at_10(log, seen_filtered=True):
    scores, seen, held_out = popularity(log, movielens.leave_one_out_split(log))
    if seen_filtered:
        for user, items in enumerate(seen):
            scores[user, items] = -np.inf
    target = np.concatenate(held_out)
    return (library.rank_of_target.rank_of_target_numpy(scores, target) <= 10).mean()


def reordered(films, order):
    columns = (films.users, films.items, films.ratings, films.timestamps)
    return movielens.Interactions(*(column[order] for column in columns))


last = {}
for user, time in zip(films.users, films.timestamps, strict=True):
    last.setdefault(user, []).append(time)
print("users whose last timestamp is tied:", sum(times.count(max(times)) > 1 for times in last.values()))
everyone = hit_rate_at_10(films)
print(f"HR@10 of popularity:         {everyone:.4f}")
print(f"  seen films not filtered:   {hit_rate_at_10(films, seen_filtered=False):.4f}")
for seed in range(3):
    order = np.random.RandomState(seed).permutation(len(films.users))
    print(f"  ties in random order {seed}:    {hit_rate_at_10(reordered(films, order)):.4f}")
by_item = reordered(films, np.argsort(films.items, kind="stable"))
print(f"  ties by item id:           {hit_rate_at_10(by_item):.4f}")
n = len(np.unique(films.users))
error = math.sqrt(everyone * (1 - everyone) / n)
print(f"standard error with {n} users {error:.4f}, 95 % interval ± {1.96 * error:.3f}")

# %% [markdown]
# Ties by item id are no random choice: the highest id comes last, and in this file high ids are rarely popular films. (That it comes to 0.0498
# like the unfiltered figure is chance: 47 of 943 users both times.)
#
# So a difference of one or two points of HR@10 on ML-100K says nothing by itself. But both systems are judged by the same users, most of
# whom find both alike: look at each user's *difference* and resample users, a **paired bootstrap**. Popularity against the same popularity
# with a little noise, which is to say against nothing:

# %% tags=["raises-exception"]
films = movielens.load()
scores, seen, held_out = popularity(films, movielens.leave_one_out_split(films))
truth = library.ground_truth.GroundTruth.of(held_out, scores.shape[1])
protocol = library.protocol.Protocol("leave one out, by time, file order", "full", "filtered")
noisy = scores * (1 + 0.1 * np.random.RandomState(0).randn(*scores.shape))
figures = [library.evaluate.evaluate(x, truth, 10, protocol, seen=seen) for x in (scores, noisy)]
one, other = (figure.per_user["ndcg"] for figure in figures)
found = library.paired_bootstrap.paired_bootstrap_numpy(one, other, resamples=2000, seed=0)
print(f"NDCG@10 differs by {found.value:+.4f}, p = {found.p:.2f}")
print(f"95 % interval, paired:         {found.low:+.4f} to {found.high:+.4f}")
wide = 1.96 * math.sqrt((one.var() + other.var()) / len(one))
print(f"as if of two groups of users:  {found.value - wide:+.4f} to {found.value + wide:+.4f}")

# %% [markdown]
# The interval holds 0: nothing is shown. p says how often chance alone makes a difference this large. Pairing costs nothing and made the
# interval a third as wide. Choose the model on validation, though: the best of twenty on the test users looks significant by luck.
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
# catalogue. And the two cannot be compared. Published for one model: HR@10 of .28 in full and .80 with 100 negatives (BERT4Rec on ML-1M). Rank all items.
#
# ## 8 · Click models: accuracy, AUC, GAUC, calibration
#
# A click model gives a probability for each impression. **Accuracy** is the share of right yes-or-no predictions, yes above one half. About one
# impression in a hundred is clicked below. The model is the true probability itself, so no model can do better:

# %%
draw = np.random.RandomState(0)
logits = draw.normal(-5.25, 1.3, 200_000)
chance = 1 / (1 + np.exp(-logits))
clicked = (draw.rand(len(chance)) < chance).astype(int)
never = np.zeros_like(chance)
print(f"click rate            {clicked.mean():.4f}")
print(f"accuracy, this model  {library.accuracy.accuracy_numpy(chance, clicked):.4f}")
print(f"accuracy, never click {library.accuracy.accuracy_numpy(never, clicked):.4f}")
print(f"predicted above 0.5   {(chance > 0.5).sum()} of {len(chance)}")
print(f"AUC, this model       {library.auc.auc_numpy(chance, clicked):.4f}")
print(f"AUC, never click      {library.auc.auc_numpy(never, clicked):.4f}")

# %% [markdown]
# The best possible model says no to everybody, as "never" does. Accuracy cannot tell them apart, AUC can.
#
# **AUC** is the share of pairs (clicked, not clicked) that are in the right order; a tie is half a pair. So a constant has one half,
# and no threshold is chosen. Ranks from `argsort` of `argsort` break ties by luck and are the usual bug.
#
# ### Your turn: AUC, exact with ties, without a loop over pairs
#
# Labels are 1 and 0. Count in float64 or whole numbers: the checks compare to nine digits. In the interview say what it costs: all pairs
# are $P \cdot N$, a sort is $n \log n$.

# %% tags=["exercise"]
from recattn_mini.metrics.auc import auc

# %%
check(auc)

# %% [markdown]
# **GAUC.** Pooled over users, AUC also rewards knowing *which user* clicks much; but a ranking orders one user's items, and cannot use that. So
# take the AUC within each user and average, weighted by the user's impressions. Who clicked everything or nothing has no AUC and
# is left out. Three models of users with different habits:

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
# Knowing the habit gives a better AUC than knowing the taste, and a GAUC of one half: it orders nobody's list. To know both improves AUC and
# leaves GAUC where it was.
#
# ### Your turn: GAUC
#
# A loop over users is what an interviewer expects. (The library's own answer is longer: it sorts all rows once, for logs of millions of users.)

# %% tags=["exercise"]
from recattn_mini.metrics.gauc import gauc_numpy

# %%
check(gauc_numpy)

# %% [markdown]
# **Calibration.** An auction multiplies the probability by a bid, so its size matters and not only its order. Click models are trained with
# most negatives thrown away: keep a share $w$ of them, and the odds come out $1/w$ times too high. Put $p$ right by
#
# $$q = \frac{p}{p + (1 - p) / w}$$
#
# Measured by four figures: *predicted / clicked*, the sum of probabilities over the number of clicks, should be 1. *ECE*, the expected calibration
# error, sorts the probabilities into bins and averages |mean probability − click rate|. *Log-loss* is the mean of
# $-\log$ of the probability given to what happened. *Normalised entropy* is log-loss divided by that of always predicting the click
# rate: above 1, the model is worse than a constant.

# %%
kept = 0.1
# what a model learns from all clicks and a tenth of the rest; logits as in the first example
biased = 1 / (1 + np.exp(-(logits - math.log(kept))))
labels = (np.random.RandomState(1).rand(len(chance)) < chance).astype(int)
recalibrated = library.recalibrate.recalibrate_numpy(biased, kept)
print("              predicted / clicked     ECE   log-loss   normalised entropy     AUC")
for name, p in (("as trained", biased), ("recalibrated", recalibrated)):
    ece = library.expected_calibration_error.expected_calibration_error_numpy(p, labels, 20)
    loss = library.log_loss.log_loss_numpy(p, labels)
    entropy = library.normalised_entropy.normalised_entropy_numpy(p, labels)
    print(
        f"{name:12}  {p.sum() / labels.sum():19.2f}  {ece:.4f}  {loss:9.4f}  {entropy:19.3f}"
        f"  {library.auc.auc_numpy(p, labels):6.3f}"
    )

# %% [markdown]
# AUC does not notice: the order is the same. And ECE alone does not suffice: always predicting the click rate has an ECE of 0 and orders nothing.
#
# ## 9 · Click-through rate: online, and what offline can say of it
#
# Click-through rate is clicks by impressions *of the policy that chose what to show*. A new model has none until it is served. It has an
# interval, and with few clicks a wide one:

# %%
for impressions in (1_000, 100_000):
    clicks = np.zeros(impressions, int)
    clicks[: impressions // 100] = 1
    rate = library.click_through_rate.click_through_rate_numpy(clicks)
    print(f"{impressions:7} impressions: {rate.value:.4f}, 95 % interval {rate.low:.4f} to {rate.high:.4f}")

# %% [markdown]
# What would a *new* policy have got? Reweigh the old one's log. Each event counts $w = \pi_{\text{new}} / \pi_{\text{log}}$: how likely
# each policy is to show that item (the *propensity*). $r$ is the reward, 1 for a click.
#
# | | | |
# |---|---|---|
# | **IPS** | mean of $w r$ | unbiased, if the log gave every item of the new policy a chance and recorded it; large weights make it unsteady |
# | **SNIPS** | $\sum w r / \sum w$ | slightly biased, steadier, never above the largest reward |
# | **clipped** | mean of $\min(w, c)\, r$ | steadiest, and biased downwards |
#
# Four items; the log mostly shows the worst one, the new policy the best. 500 logs of 2,000 events each:

# %%
draw = np.random.RandomState(0)
rewards_of = np.array([0.02, 0.05, 0.10, 0.30])
log_policy, new_policy = np.array([0.70, 0.20, 0.08, 0.02]), np.array([0.05, 0.15, 0.30, 0.50])
estimates = {"logged CTR": [], "IPS": [], "SNIPS": [], "clipped at 5": []}
for _ in range(500):
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
print(f"last log: largest weight {weight.max():.0f}")
print(f"last log: 2000 events count as {weight.sum() ** 2 / (weight**2).sum():.0f}")

# %% [markdown]
# The logged CTR is that of the old policy and says nothing of the new one. IPS and SNIPS hit the truth on average, but from log
# to log they vary by a fifth of it and more: weights this uneven leave few events that count, $(\sum w)^2 / \sum w^2$ in the last log. Clipping
# at 5 is steady and wrong. So an estimate needs its interval, and a policy that strays far from the log needs an A/B test.
#
# ### Your turn: SNIPS

# %% tags=["exercise"]
from recattn_mini.metrics.ips import snips_numpy

# %%
check(snips_numpy)

# %% [markdown]
# **Position bias.** Logged clicks depend on where an item stood. If the old ranker put good items first, position explains the click
# as well as quality does, and attention trained on such clicks learns to agree with the old ranker. Weighing each click by the
# inverse of the chance that its place was looked at takes it out. Two items of equal quality, one always shown on top:

# %%
draw = np.random.RandomState(0)
looked_at = np.array([1.0, 0.25])
clicks = draw.rand(50_000, 2) < 0.2 * looked_at  # item 0 at place 1, item 1 at place 2, both of quality 0.2
for item in range(2):
    rate = clicks[:, item].mean()
    print(f"item {item}: click rate {rate:.3f}, by the chance to be looked at {rate / looked_at[item]:.3f}")

# %% [markdown]
# The chances have to come from somewhere: randomised swaps of places, or a model of examination trained with the ranker and dropped at
# serving (PAL).
#
# ## 10 · Coverage is not novelty
#
# *Coverage* is the share of the catalogue that anyone is shown. *Novelty* is how surprising the shown items are, in bits: the mean over a list of
# $-\log_2 p_i$, where $p_i$ is the share of users who know item $i$. Known to one user in eight: 3 bits. (An item that nobody knows would be
# infinitely novel: count it as known to one user.)
#
# Two policies over 1,000 items whose popularity falls as 1/rank: ten random ones of the head of 200 for each user, and ten obscure ones, the same for all.

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
# The wider policy is the less novel one. "Coverage measures novelty" is a common answer and a wrong one. Neither asks whether anybody likes what is
# shown. What else is asked for here:
#
# | | | |
# |---|---|---|
# | Gini of exposure | how unequally places are shared out among items | 0: all alike; near 1: a few have them all |
# | intra-list diversity | mean distance between the items of *one* list | by which features? It depends on them more than on the model |
# | serendipity | relevant *and* not what popularity would have shown | a random obscure item is novel, not serendipitous |
# | popularity bias | mean popularity of the list over that of the user's own history | "does it push hits on people of the long tail?" |
#
# ### Your turn: coverage and novelty
#
# `-1` fills a list that has ended. The catalogue is everything that could be shown, not what occurs in some list.

# %% tags=["exercise"]
from recattn_mini.metrics.catalogue_coverage import catalogue_coverage_numpy

# %%
check(catalogue_coverage_numpy)

# %% tags=["exercise"]
from recattn_mini.metrics.novelty import novelty_numpy

# %%
check(novelty_numpy)

# %% [markdown]
# ## 11 · And the attention? An ablation
#
# Whether attention helped is no metric but a comparison, and it has a protocol:
#
# - **One change.** Mean pooling or uniform weights in place of attention; the same data, split, loss and number of parameters.
# - **Equal effort.** The same tuning budget for the baseline, the epoch chosen on validation.
# - **Several seeds**, each reported, and within each the **paired interval** of the difference over users.
# - **Trained anew.** To swap the weights of a finished network shows that *it* relies on them, not that the task needs them.
#
# *Uniform* weights ask whether the task needs attention at all, *shuffled* weights whether it matters which event gets them. An example in which
# nothing is trained, so that effort is equal: planted users of 50 events whose vectors are given. The score is the dot product of the candidate with
# the pooled events. In one world a user clicks if *one* event matches the candidate, in the other if *at least five* do.


# %%
def scores_of(world, draw):
    """The scores (u) of three poolings that differ in their weights (u 1 s) only."""
    logits = world.candidates @ np.swapaxes(world.events, 1, 2) / math.sqrt(world.events.shape[2])
    attention = np.exp(logits - logits.max(-1, keepdims=True))
    attention /= attention.sum(-1, keepdims=True)
    uniform = np.full_like(attention, 1 / attention.shape[2])
    shuffled = np.take_along_axis(attention, draw.rand(*attention.shape).argsort(-1), -1)
    return [(w @ world.events * world.candidates).sum((1, 2)) for w in (attention, uniform, shuffled)]


def resampled_gain(one, other, clicked, draw, resamples=300):
    """The 95 % interval of AUC(one) - AUC(other): users are drawn with replacement, the same for both."""
    gains = []
    for _ in range(resamples):
        users = draw.randint(0, len(clicked), len(clicked))
        a, b = (library.auc.auc_numpy(x[users], clicked[users]) for x in (one, other))
        gains.append(a - b)
    return np.quantile(gains, [0.025, 0.975])


figure, axes = plt.subplots(figsize=(6, 2.2))
print("clicks if    seed   attention   uniform   shuffled   attention - uniform, 95 % interval")
for row, (at_least, seed) in enumerate((n, seed) for n in (1, 5) for seed in range(3)):
    world, draw = planted.clicks_on_matches(seed, at_least, inserted=40), np.random.RandomState(seed)
    scores = scores_of(world, draw)
    attention, uniform, shuffled = (library.auc.auc_numpy(x, world.clicked) for x in scores)
    low, high = resampled_gain(scores[0], scores[1], world.clicked, draw)
    print(
        f"{at_least} or more  {seed:6}   {attention:9.3f}   {uniform:7.3f}   {shuffled:8.3f}"
        f"   {attention - uniform:+.3f}, {low:+.3f} to {high:+.3f}"
    )
    axes.plot([low, high], [row, row], color=f"C{at_least // 5}", linewidth=3)
    axes.plot(attention - uniform, row, "o", color="black", markersize=4)
axes.axvline(0, color="grey", linestyle=":")
axes.set_yticks([1, 4], ["one matches", "five match"])
axes.invert_yaxis()
axes.set_xlabel("AUC of attention minus AUC of uniform weights; 3 seeds each")
plt.show()

# %% [markdown]
# Six intervals, none holds 0, and the sign depends on the world: attention finds one event in fifty, but its softmax is so sharp that one
# match looks like eight, where the plain mean counts. Shuffled weights are worse than uniform ones in both: a sharp weight on the wrong event. So never say "attention
# helps" without saying on what the label depends.
#
# **Against which baseline?** Trained click models, compared in section 10 of lesson 02, test AUC in five worlds:

# %% tags=["recorded"]
in_worlds = recorded.read("planted_designs")["test AUC, 16,000 users"]
attention = np.array(in_worlds["target attention, dot"])
baselines = {
    "mean": np.array(in_worlds["mean"]),
    "mean, and its product with the candidate": np.array(in_worlds["mean, user ⊙ candidate"]),
}
for name, baseline in baselines.items():
    gain = attention - baseline
    print(f"{name:41} attention gains {gain.mean():.3f} ({gain.min():.3f} to {gain.max():.3f})")
print(f"five seeds of one sign: p = 2 / 2^5 = {2 / 2**5:.4f}")

# %% [markdown]
# More than half of the gain comes from multiplying the mean with the candidate, which needs no attention. The gain over the *better*
# baseline is the one to report. And five seeds that agree do not reach p below .05 by their signs: users make the interval, seeds show
# that it was no lucky start.

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
# <details><summary><b>MRR, MAP or NDCG? MRR、MAP、NDCG 怎么选？</b></summary>
#
# By what the user does. One right item and the user stops there (search box, next song): MRR. Several equally good ones, all wanted: MAP. Grades,
# or a page that is scanned: NDCG. With one relevant item a user MAP is MRR, and NDCG only falls more slowly with the rank.
# </details>
#
# <details><summary><b>GAUC or AUC? GAUC 和 AUC 怎么选？</b></summary>
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
# <details><summary><b>How many users for a relative change of one per cent? 要检测出 1% 的相对变化，需要多少用户？</b></summary>
#
# For two groups and a rate $p$: about $16\,(1 - p) / (p\,\delta^2)$ a group, with $\delta$ the relative change. 16 is
# $2\,(z_{.975} + z_{.8})^2$: four in five true effects are found, one in twenty null effects too. At a click rate of one in a hundred that is some 16 million
# impressions (below); they are not independent within a user, so it takes more. Variance reduction by pre-period
# data (CUPED) or interleaving needs far fewer.
# </details>
#
# <details><summary><b>Your A/B test is up by one per cent. What may be wrong with it? A/B 实验涨了 1%，哪些地方可能有问题？</b></summary>
#
# It was stopped when it looked good (peeking); impressions were counted as independent where users were randomised; the groups are not
# as large as they should be (sample ratio mismatch: look for the bug first); users click on what is merely new; one of twenty metrics was chosen
# afterwards; both groups feed one training log. Fix metric, size and duration beforehand, and guard retention, latency and revenue.
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
print(f"click rate {p:.0%}, relative change {change:.0%}: {16 * (1 - p) / (p * change**2):,.0f} impressions a group")

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
    library.gains_and_judged.gains_of_lists_numpy({"ann": ["x", "x"]}, {"ann": {"x"}})
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
