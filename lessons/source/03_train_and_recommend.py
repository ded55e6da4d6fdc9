# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # 03 · How do you use attention to make recommendations better: train it, serve it
#
# Write the body of each cell that ends in `raise NotImplementedError("your turn …")`, run it, run the `check` below it. `hint(f)`
# nudges, `solution(f)` shows the key once yours holds. Nothing further down needs your answers. An hour to read, the exercises besides.
#
# | exercise | level | minutes |
# |---|---|---|
# | `leave_one_out_numpy` | medium | 10 |
# | `sample_negatives_numpy` | hard | 20 |
# | `binary_cross_entropy_numpy` | easy | 10 |
# | `sampled_softmax_loss` | medium | 15 |
# | `adam_step_numpy` | medium | 10 |
# | `candidate_mask` | medium | 10 |

# %% [markdown] tags=["question"]
# ## The question
#
# > **You have an attention model. How do you use it to make recommendations better?**
# >
# > 如何在推荐系统中利用注意力机制优化推荐效果？
#
# *Mid-level and up; ten minutes, or the whole of a take-home.* It comes as "walk me from the click log to the served list", as "which negatives,
# which loss?", as "offline it was fine, online it is not: where do you look?", or as two lines of code and "what is missing?".
#
# **What the interviewer is after.** That nothing after the model is taken for granted: what is split off for test and by what clock, what the loss makes of the
# scores, when training stops, what has to be beaten, and whether the features at serving are those of training.

# %% [markdown] tags=["answer"]
# ## The answer in 60 seconds
#
# **Where it stands.** Millions of items are *retrieved* to hundreds, ranked, re-ranked: different models, losses and metrics.
#
# **Data.** Sorted by *time*, the future held out, features as of the impression. A random split leaks, and can reverse the order of two models.
#
# **Loss.** Retrieval: the next item at every position, a softmax over all items, or over sampled ones with the logQ correction; one negative with binary cross-entropy makes scores overconfident. Ranking:
# impressions and clicks, binary cross-entropy.
#
# **Training.** Adam, clipped gradients, validation after each epoch, the best one kept; a checkpoint has the optimiser and the generators too.
#
# **Evidence.** Popularity, ItemKNN and a Markov table have to be beaten, ranking all items, with several seeds; and for "did *attention* help", mean pooling in its place, paired by user.
#
# **Serving.** A retriever computes the user's vector *from the history* and searches an index. A ranker gets history, context and $n$ candidates, which share one pass under a mask that hides them from each other.
# One function builds features for training and serving, and a test says so: a wrong padding side or a stale history raises no error.
#
# <details><summary>要点（中文）</summary>
#
# - 位置：召回 →（粗排）→ 精排 → 重排；各阶段的模型、损失和指标都不同。
# - 数据：按时间排序，用未来做测试（每个用户最后一次行为作测试、倒数第二次作验证，或全局时间切分）；特征必须是曝光当时的取值，随机切分会造成特征穿越，甚至颠倒模型的优劣。
# - 样本与损失：召回用因果模型在每个位置预测下一个物品，能做全量 softmax 就做全量，否则用负采样加 logQ 修正；“1 个负样本 + BCE”会使分数过度自信。精排用曝光与点击，二元交叉熵。
# - 训练：Adam、梯度裁剪、每轮验证、早停并恢复最佳轮次；检查点要存优化器状态和随机数状态，而不只是权重。
# - 证据：先打败热门、ItemKNN、马尔可夫基线；全量排序、多个随机种子；“注意力是否有用”要与均值池化做按用户配对的检验。
# - 线上：召回由行为序列算出用户向量，再查近邻索引；精排的输入是行为序列、上下文和 N 个候选，用候选掩码一次前向打分，候选之间互不可见。
# - 训练与服务不一致（填充方向、过期行为、特征口径）不会报错，只会悄悄掉效果，所以要写测试。
#
# </details>
#
# <details><summary>Words and models of this page</summary>
#
# | | |
# |---|---|
# | impression | an item that was shown to a user, with or without a click |
# | logit | a score before the sigmoid or the softmax |
# | HR@10 | the share of users whose held-out item is among the first ten |
# | NDCG@10 | the same, but place $r$ counts $1 / \log_2(r + 1)$; lesson 05 |
# | full ranking | all items are ranked, not the target among a hundred drawn ones |
# | AUC, GAUC | how often a liked item stands above one that is not: over all pairs; within each user, averaged |
# | planted | data that was made by a rule that we know, so that the best possible score is known too |
# | popularity | the same list for everybody |
# | ItemKNN | items that the same people met as those of the history |
# | Markov | what most often came right after the last item |
# | SASRec | causal self-attention over the history; the last state is searched for among the items |
# | GRU4Rec | the same with a recurrent network in place of attention |
# | DIN | the candidate attends to the history, unnormalised; the output is a click's logit |
# | DIEN | DIN with a recurrent network over the history, steered by the candidate |
# | mean pooling | DIN's network with the mean of the history in place of attention |
# | BST, HSTU | rankers that read history and candidate as one sequence |
#
# </details>

# %% jupyter={"source_hidden": true} tags=["imports"]
import dataclasses
import itertools
import math
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

import recattn_mini as library  # ours, by package and file; what you write has the same names without the word library
from recattn_mini.data import movielens, planted, recorded
from recattn_mini.learn import check, hint, solution

plt.style.use("tableau-colorblind10")
plt.rcParams.update({"figure.dpi": 110, "axes.spines.top": False, "axes.spines.right": False, "font.size": 9})
np.set_printoptions(precision=3, suppress=True)

# %% [markdown] tags=["copied"]
# ## 1 · An answer of two lines
#
# "Preprocess, train, then compute the attention weights and adjust the recommendations." And this code:
#
# ```python
# model.fit(train_data, epochs=10, batch_size=32)
# predictions = model.predict(user_embedding)
# ```
#
# Before you read on: what is missing, and what is wrong? Seven things.
#
# 1. `batch_size` means nothing if `train_data` comes in batches already. Keras accepts both without a word: three batches of 100 stay three steps an epoch, where `batch_size=32` would make ten.
# 2. **No validation**, so ten epochs are a guess: too few for one model, too many for another (section 6).
# 3. **No split by time.** What `train_data` leaks decides the result more than the model does (section 2).
# 4. **No negatives and no loss in sight**; they decide what a score *means* (section 4).
# 5. `predict(user_embedding)`: the model was trained on sequences of item ids. An embedding is a *parameter* inside it, not an input:

# %% tags=["recorded"]
said = recorded.read("keras")["three batches of 100 and batch_size=32: steps an epoch"]  # keras 3.15.1, torch backend
print("three batches of 100 and batch_size=32:", said, "steps an epoch")

# %%
model = library.models.sasrec.SASRec(n=100, d=8, h=2, length=10, blocks=1, dropout=0.0)
try:
    model(torch.randn(1, 8))
except ValueError as error:
    print(error)
print(
    "what it takes, ids of events:",
    tuple(model.scores(torch.tensor([[0, 0, 12, 7, 31]])).shape),
    "- a score for each id",
)

# %% [markdown]
# 6. **No candidates.** Serving is (history, context, $n$ candidates) → $n$ scores (section 10), or history → a user vector → a search in an index (follow-ups).
# 7. **Nothing to "adjust" afterwards.** Attention is *inside* the scorer; weights that are computed after the prediction change nothing.
#
# The rest of this page is those two lines, done.
#
# ## 2 · Split by time, or the future leaks
#
# MovieLens-100K: 943 people, 1,682 films, 100,000 ratings and the second of each. The question at serving is "what next?", so each user's last event is for test and the
# one before for validation.
#
# ### Your turn: leave one out
#
# Three arrays of indices. Ties in time keep the order of the file, so that two people get one split.

# %% tags=["exercise"]
from recattn_mini.data.leave_one_out import leave_one_out_numpy

# %%
check(leave_one_out_numpy)

# %% [markdown]
# **What a random split does.** Three models that need no training, ranked on all films but those the user has met. Only the held-out event is chosen differently: the last one in time; a random one;
# the last one *in the file*, which in MovieLens is not sorted:


# %% tags=["raises-exception"]
BASELINES = {
    "popularity": library.models.popularity.popularity,
    "ItemKNN": library.models.item_knn.item_knn,
    "Markov": library.models.markov.markov,
}


def evaluated(model, histories, targets, n, split):
    """A baseline that is fitted on the histories and asked for one item of each user."""
    protocol = dataclasses.replace(library.training.next_item.PROTOCOL, split=split)
    truth = library.metrics.ground_truth.GroundTruth.of([[item - 1] for item in targets], n)
    seen = [history - 1 for history in histories]
    return library.metrics.evaluate.evaluate(model(histories, n)[:, 1:], truth, 10, protocol, seen=seen)


films = movielens.load()
everything = films.histories()[1:]
draw = np.random.RandomState(0)
places = [draw.randint(len(history)) for history in everything]
in_file = [films.items[films.users == user] for user in range(1, len(everything) + 1)]

SPLITS = {
    "last in time": ([h[:-1] for h in everything], [h[-1] for h in everything]),
    "a random event": (
        [np.delete(h, i) for h, i in zip(everything, places, strict=True)],
        [h[i] for h, i in zip(everything, places, strict=True)],
    ),
    "last in the file": ([h[:-1] for h in in_file], [h[-1] for h in in_file]),
}
hit_rates = {
    split: [evaluated(model, *both, films.items.max(), split).figures["hit_rate"].value for model in BASELINES.values()]
    for split, both in SPLITS.items()
}
print(f"{'HR@10, held out:':18}", *(f"{name:>10}" for name in BASELINES), "  the best")
for split, row in hit_rates.items():
    print(f"{split:18}", *(f"{value:10.3f}" for value in row), "  ", list(BASELINES)[int(np.argmax(row))])

figure, axes = plt.subplots(figsize=(7, 2.6), layout="constrained")
for i, (split, row) in enumerate(hit_rates.items()):
    axes.bar(np.arange(len(BASELINES)) + 0.27 * (i - 1), row, width=0.25, label=split)
axes.set_xticks(range(len(BASELINES)), BASELINES)
axes.set_ylabel("HR@10")
axes.legend(frameon=False, title="held out", loc="upper left", bbox_to_anchor=(1, 1))
plt.show()

# %% [markdown]
# The random split doubles ItemKNN, which then knows what the user watched *afterwards*, and takes a quarter and more from Markov, whose "last item" is no longer the one before the question. **The order of the two is reversed**: whoever splits
# at random ships the wrong model. File order is a random split that looks like a temporal one; it happens whenever a table comes without `ORDER BY`.
#
# Leave one out still leaks *across* users: what others did after a user's test event is in training, popularity included. A global cut in time does not, and then most of the users it tests have no training event:

# %% tags=["raises-exception"]
films = movielens.load()
split = movielens.leave_one_out_split(films)
later = [(films.timestamps[split.train] > time).mean() for time in films.timestamps[split.test]]
print(f"training events that are later than a user's test event: {np.mean(later):.0%} for the mean user")

cut = movielens.global_time_split(films)
tested, known = np.unique(films.users[cut.test]), np.unique(films.users[cut.train])
print(f"global cut: {len(tested)} users in test, {len(np.setdiff1d(tested, known))} of them have no event in training")

# %% [markdown]
# **The same second.** People rated a page of films at a time, and every film of a page has about one time. Where the last event shares its second with others, "the next item" is "the rest of the page":

# %% tags=["raises-exception"]
films = movielens.load()
order = np.lexsort((films.timestamps, films.users))
same = (np.diff(films.users[order]) == 0) & (np.diff(films.timestamps[order]) == 0)
print(f"events in the same second as the user's next one: {same.mean():.0%}")

seconds = [films.timestamps[films.users == user] for user in range(1, len(everything) + 1)]
tied = np.array([(times == times.max()).sum() > 1 for times in seconds])
print(f"HR@10 of the {tied.sum()} users with a tie at the end, and of the others")
for name, model in BASELINES.items():
    hits = evaluated(model, *SPLITS["last in time"], films.items.max(), "last in time").per_user["hit_rate"]
    print(f"   {name:10} {hits[tied].mean():.3f}   {hits[~tied].mean():.3f}")

# %% [markdown]
# ItemKNN is nearly three times as good on the page as off it, and loses to popularity on the others. Part of every MovieLens figure is knowing how the site laid out its pages. (These are other people too, so not all of the gap is the page.) State this caveat yourself.
#
# **Features as of the impression.** "How many of the film's ratings were likes" is an honest feature if it counts what came before. Three ways to count, and how well each *alone* predicts a like (AUC over all ratings):


# %% tags=["raises-exception"]
def like_rates(key, times, liked):
    """Of each event, the smoothed like rate of its key: over everything, everything else, and all earlier seconds."""
    base, total, likes = liked.mean(), np.bincount(key), np.bincount(key, liked)
    order, rows = np.lexsort((times, key)), np.arange(len(key))
    new_key = np.diff(key[order], prepend=-1) != 0
    new_second = new_key | (np.diff(times[order], prepend=-1) != 0)
    first, now = (np.maximum.accumulate(np.where(new, rows, 0)) for new in (new_key, new_second))
    so_far, before = np.append(0, liked[order].cumsum()), np.empty(len(key))
    before[order] = (so_far[now] - so_far[first] + base) / (now - first + 1)
    return {
        "all": (likes[key] + base) / (total[key] + 1),
        "all but this one": (likes[key] - liked + base) / total[key],
        "as of the moment": before,
    }


films = movielens.load()
liked = (films.ratings >= 4).astype(int)
for name, key in (("film", films.items), ("user", films.users)):
    for how, feature in like_rates(key, films.timestamps, liked).items():
        print(f"like rate of the {name}, {how:17} AUC {library.metrics.auc.auc_numpy(feature, liked):.3f}")

# %% [markdown]
# The first contains the label itself, the second the future. At serving only the third exists: a model trained on the first was promised what it will not get.
#
# ## 3 · Samples and negatives
#
# A causal model predicts the next item at *every* position: history and target are one window, shifted by one. 0 is padding, on the left, so that the last column is the user's last event:

# %%
sequences = library.data.sequences.Sequences.of([np.array([12, 7, 31, 9]), np.array([5, 3])])
window = sequences.last(5)
print("history", window[:, :-1].tolist())
print("target ", window[:, 1:].tolist(), "- loss where both are real")

# %% tags=["raises-exception"]
films = movielens.load()
data = library.training.next_item.NextItemData.of(films, length=25)
events = sum(map(len, data.histories))
print(f"all positions at once: {len(data.histories):,} windows an epoch, up to {data.length} targets each")
print(f"a sample for each prefix: {events - len(data.histories):,} windows, one target each")
print(f"longest history {max(map(len, data.histories))}: of it a random stretch is drawn anew each epoch")

# %% [markdown]
# Both teach a causal model to predict after every prefix; the second pays a pass for each of them.
#
# **Negatives** are items that the user has not met. The usual loop draws until it finds one. This shortcut does not: "if the item was seen, take the next one". Items 1 to 6, of which 2 and 3 were seen:

# %%
seen, n = np.array([[2, 3]]), 6
even = (np.arange(12_000)[None] + 0.5) / 12_000  # every random number once, so the shares are exact
ours = library.data.sample_negatives.sample_negatives_numpy(seen, n, even)
shortcut = 1 + (even * n).astype(int)
while np.isin(shortcut, seen).any():
    shortcut = np.where(np.isin(shortcut, seen), shortcut % n + 1, shortcut)
for name, items in (("rank among the unseen", ours), ("take the next one", shortcut)):
    print(f"{name:22} shares of items 1 to 6:", np.bincount(items[0], minlength=n + 1)[1:] / items.size)

# %% [markdown]
# Item 4 is drawn three times as often as the others: it is penalised only because its id follows what people like.
#
# ### Your turn: uniform negatives without a second try

# %% tags=["exercise"]
from recattn_mini.data.sample_negatives import sample_negatives_numpy

# %%
check(sample_negatives_numpy)

# %% [markdown]
# ## 4 · What each loss makes of a score
#
# **Binary cross-entropy**, one logit a pair: $-y \log \sigma(x) - (1 - y) \log \sigma(-x)$, from the *logit*:

# %%
logits, labels = np.array([-1000.0, 2.0]), np.array([1.0, 1.0])  # one that is as wrong as can be, one that is right
bce = library.training.binary_cross_entropy
with np.errstate(over="ignore", divide="ignore"):
    print("from probabilities:", -np.log(1 / (1 + np.exp(-logits))).mean())
print(f"from logits:        {bce.binary_cross_entropy_numpy(logits, labels):.3f}")
print("   its gradient, (σ(x) - y) / 2:", bce.binary_cross_entropy_backward_numpy(logits, labels))

x = torch.from_numpy(logits).requires_grad_()
clipped = -x.sigmoid().clamp(1e-7, 1 - 1e-7).log().mean()
clipped.backward()
print(f"clipped to 1e-7:    {clipped.item():.3f}")
print("   its gradient:                ", x.grad.numpy(), "- none where it is most wrong")

# %% [markdown]
# ### Your turn

# %% tags=["exercise"]
from recattn_mini.training.binary_cross_entropy import binary_cross_entropy_numpy

# %%
check(binary_cross_entropy_numpy)

# %% [markdown]
# **Softmax** over the catalogue makes every other item a negative, and costs a score for each of them. So one samples. Whoever draws negatives from *the batch* draws popular items more often, and each time they are a negative they are pushed
# down. The **logQ correction** subtracts from each score the logarithm of how often its item is drawn:
#
# $$\ell = -\log \frac{e^{s_+ - \log Q_+}}{e^{s_+ - \log Q_+} + \sum_{j} e^{s_j - \log Q_j}}$$
#
# A drawn negative may happen to be the target itself, an *accidental hit*: where it is marked as one, it leaves the sum.
#
# ### Your turn

# %% tags=["exercise"]
from recattn_mini.training.sampled_softmax_loss import sampled_softmax_loss

# %%
check(sampled_softmax_loss)

# %% [markdown]
# Two more that take one negative or a few: **BPR**, $-\log \sigma(s_+ - s_-)$, wants the pair in the right order. **gBCE** is binary cross-entropy with $\sigma(s_+)^\beta$ in place of $\sigma(s_+)$, where $\beta$ makes up for the negatives that were
# not drawn: entirely at $t = 1$, not at all at $t = 0$.
#
# **What do the losses learn?** A log of 20 events with five items: A 8 times, B 6, C 3, D 2, E once, always for the same user. Every event meets every negative that can be drawn for it, so the expectation is exact; five free scores are fitted until the gradient is zero.
# Then: what probability does each loss give each item?


# %%
def fitted_scores(loss, n=5):
    """The five scores that minimise the loss."""
    scores = torch.zeros(n, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([scores], max_iter=500, tolerance_grad=1e-8, line_search_fn="strong_wolfe")

    def closure():
        optimiser.zero_grad()
        value = loss(scores)
        value.backward()
        return value

    optimiser.step(closure)
    return scores.detach()


log = torch.tensor([0] * 8 + [1] * 6 + [2] * 3 + [3] * 2 + [4])
share = torch.bincount(log) / len(log)
log_q = share.double().log()

taken, drawn = torch.cartesian_prod(log, log).T  # negatives from the batch: as popular as the log
taken_1, uniform = torch.tensor([(i, j) for i, j in itertools.product(log.tolist(), range(5)) if i != j]).T
labels = torch.cat([torch.ones(len(taken_1)), torch.zeros(len(uniform))])
sampled = library.training.sampled_softmax_loss.sampled_softmax_loss
binary = library.training.binary_cross_entropy.binary_cross_entropy
gbce, bpr = library.training.gbce_loss.gbce_loss, library.training.bpr_loss.bpr_loss

LOSSES = {  # the loss of five scores, and how they are read as probabilities
    "full softmax": (lambda s: library.training.softmax_loss.softmax_loss(s.expand(len(log), 5), log), "softmax"),
    "popular negatives, logQ": (
        lambda s: sampled(s[taken], s[drawn][:, None], log_q[taken], log_q[drawn][:, None]),
        "softmax",
    ),
    "popular negatives, no logQ": (lambda s: sampled(s[taken], s[drawn][:, None], 0.0, 0.0), "softmax"),
    "BPR, uniform negatives": (lambda s: bpr(s[taken_1], s[uniform][:, None]), "softmax"),
    "BPR, popular negatives": (lambda s: bpr(s[taken], s[drawn][:, None]), "softmax"),
    "BCE, 1 uniform negative": (lambda s: binary(torch.cat([s[taken_1], s[uniform]]), labels), "sigmoid"),
    "gBCE, 1 uniform, t = 0.5": (lambda s: gbce(s[taken_1], s[uniform][:, None], 5, 0.5), "sigmoid"),
    "gBCE, 1 uniform, t = 1": (lambda s: gbce(s[taken_1], s[uniform][:, None], 5, 1.0), "sigmoid"),
}
learnt = {}
print(f"{'share in the log':34}", *(f"{x:6.2f}" for x in share.tolist()))
for name, (loss, link) in LOSSES.items():
    found = fitted_scores(loss)
    learnt[name] = (torch.softmax(found, 0) if link == "softmax" else found.sigmoid()).tolist()
    print(f"{name:26} {link:7}", *(f"{x:6.2f}" for x in learnt[name]))

figure, panels = plt.subplots(1, 2, figsize=(8.5, 2.8), sharey=True)
for panel, names, link in (
    (panels[0], list(LOSSES)[1:3], "softmax of the scores"),
    (panels[1], list(LOSSES)[5:], "σ of the score"),
):
    panel.bar(range(5), share.tolist(), color="lightgrey", label="share in the log")
    for name, marker in zip(names, "os^", strict=False):
        panel.plot(range(5), learnt[name], marker=marker, linestyle="", label=name)
    panel.set_xticks(range(5), "ABCDE")
    panel.set_title(link)
    panel.legend(frameon=False, fontsize=8)
panels[0].set_ylabel("probability")
plt.show()

# %% [markdown]
# - **Full softmax** learns the shares, and so does one sampled negative *with* logQ. **Without logQ the popular are pushed down until all are tied**: the score has become $\log P - \log Q$, and here $Q = P$.
#   That can be wanted (novelty); then it is a decision and not an accident.
# - **BPR** learns the same log-ratios from uniform negatives; from popular ones it too learns a tie. Its scores are no probabilities: only differences count.
# - **BCE with one negative is overconfident**: it sees every positive and a quarter of the negatives, so 0.40 becomes 0.73. The order is right and the top is squeezed together: in a catalogue of thousands
#   everything likely has a σ close to 1, where the gradient is nearly nothing. **gBCE** takes that back: $t = 0$ is BCE, $t = 1$ is calibrated.
#
# **Accidental hits.** A negative drawn from the batch can be the target itself. Striking it out, as most code does, stops a target from being pushed down as its own rival, and costs a little exactness: the argument for logQ counts hits in. With two negatives:

# %%
three = torch.cartesian_prod(log, log, log)
rivals, hits = three[:, 1:], three[:, 1:] == three[:, :1]
for name, struck in (("kept", None), ("struck out", hits)):
    found = fitted_scores(
        lambda s, struck=struck: sampled(s[three[:, 0]], s[rivals], log_q[three[:, 0]], log_q[rivals], struck)
    )
    print(f"hits {name:10}", *(f"{x:6.3f}" for x in torch.softmax(found, 0).tolist()))

# %% [markdown]
# Five items are the worst case; among thousands hits are rare and the difference is small.
#
# ## 5 · Adam, by hand
#
# One model without autograd: the candidate attends to the history (dot products, one table of item vectors), the logit weighs the product of candidate and interest. The gradient is put together from three pieces of lesson 01 and section 4; the steps are Adam's:
#
# $$m \leftarrow \beta_1 m + (1 - \beta_1) g \qquad v \leftarrow \beta_2 v + (1 - \beta_2) g^2 \qquad
# \theta \leftarrow \theta - \eta\, \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}$$
#
# ### Your turn: one step

# %% tags=["exercise"]
from recattn_mini.training.adam_step import adam_step_numpy

# %%
check(adam_step_numpy)

# %% [markdown]
# The world is planted: ten events, of which those of the candidate's category decide the click; no model can have an AUC above that of the true chance. The same steps by `torch.optim.Adam` run beside ours:

# %%
sdpa, crossentropy = library.attention.scaled_dot_product_attention, library.training.binary_cross_entropy


def forward(p, history, candidate):
    """Logits (b), and what the way back needs."""
    q, k = p["items"][candidate][:, None], p["items"][history]  # (b 1 d), (b s d)
    interest = sdpa.scaled_dot_product_attention_numpy(q, k, k)
    return (q * interest @ p["weight"])[:, 0] + p["bias"], q, k, interest


def gradients(p, history, candidate, clicked):
    """The gradient of the log-loss with respect to each parameter."""
    logits, q, k, interest = forward(p, history, candidate)
    g = crossentropy.binary_cross_entropy_backward_numpy(logits, clicked)[:, None, None]  # (b 1 1)
    g_q, g_k, g_v = sdpa.scaled_dot_product_attention_backward_numpy(g * p["weight"] * q, q, k, k)
    g_items = np.zeros_like(p["items"])
    np.add.at(
        g_items, candidate, (g_q + g * p["weight"] * interest)[:, 0]
    )  # g_items[ids] += … would count a repeated id once
    np.add.at(g_items, history, g_k + g_v)
    return {"items": g_items, "weight": (g * q * interest).sum((0, 1)), "bias": g.sum((0, 1))}


def forward_torch(p, history, candidate):
    q, k = p["items"][candidate][:, None], p["items"][history]
    return (q * sdpa.scaled_dot_product_attention(q, k, k) @ p["weight"])[:, 0] + p["bias"]


world = planted.clicks_on_target_category(seed=0, users=12_000)
table = 0.3 * np.random.RandomState(0).randn(planted.ITEMS + 1, 16)
parameters = {"items": table, "weight": np.full(16, 0.5), "bias": np.zeros(1)}
moments = {name: (np.zeros_like(x), np.zeros_like(x)) for name, x in parameters.items()}
theirs = {name: torch.tensor(x, requires_grad=True) for name, x in parameters.items()}
adam = torch.optim.Adam(theirs.values(), lr=0.02)

steps, test = itertools.count(1), slice(10_000, None)
for epoch in range(5):
    losses = []
    for users in np.random.RandomState(epoch).permutation(10_000).reshape(-1, 500):
        batch = world.histories[users], world.candidates[users]
        clicked, step = world.clicked[users].astype(float), next(steps)
        for name, g in gradients(parameters, *batch, clicked).items():
            parameters[name], *moments[name] = library.training.adam_step.adam_step_numpy(
                parameters[name], g, *moments[name], step, learning_rate=0.02
            )
        loss = nn.functional.binary_cross_entropy_with_logits(
            forward_torch(theirs, *map(torch.from_numpy, batch)), torch.from_numpy(clicked)
        )
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    found = library.metrics.auc.auc_numpy(
        forward(parameters, world.histories[test], world.candidates[test])[0], world.clicked[test]
    )
    print(f"epoch {epoch}: loss {np.mean(losses):.3f}, AUC of users never seen {found:.3f}")
print(f"AUC of the true chance, over all possible users: {planted.bayes_auc():.3f}")
apart = max(np.abs(theirs[name].detach().numpy() - x).max() for name, x in parameters.items())
print(f"after {step} steps ours and PyTorch's parameters are within 1e-12 of each other:", bool(apart < 1e-12))

# %% [markdown]
# Two things that are asked about it. **Without the correction** by $1 - \beta^t$ the first step is too long, since $m$ and $v$ both start at zero and $\sqrt v$ more so. And a step is about as long as the rate **whatever the gradient's unit**, so a rare item that is in
# one batch of a hundred gets a full step from one event:

# %%
zero = np.zeros(1)
for gradient in (1e-4, 1.0, 1e4):
    g = np.array([gradient])
    moved, m, v = library.training.adam_step.adam_step_numpy(zero, g, zero, zero, step=1, learning_rate=0.001, eps=0.0)
    print(
        f"gradient {gradient:8g}: first step {-moved[0]:.4f}, without the correction {0.001 * m[0] / math.sqrt(v[0]):.4f}"
    )

# %% [markdown]
# ## 6 · `fit`: when it stops, what it survives, what it says of NaN
#
# The loop is the same for every model here: order, negatives and dropout from one seed; gradients clipped; a rate that falls along half a cosine; after each epoch a look at the validation part; the best weights are put back at the end. DIN as a ranker, to begin with: every rating is an
# impression, a like is four stars or more; each user's first events train, the next tenth validates, the last fifth tests. Validation is by GAUC, with a patience of two epochs. A cell that trains prints what *your* machine found; the cell after it has what was recorded, for three seeds, and the text speaks of that:


# %% tags=["raises-exception", "live"]
films = movielens.load()
clicks = library.training.clicks.ClickData.of(films, length=15, batch=1024)
genres, occupations = clicks.genres, clicks.occupations


def fitted_ranker(kind, *widths, seed=0):
    """A click model that was trained until GAUC had not risen for two epochs, and how that went."""
    torch.manual_seed(seed)
    model = kind(genres, occupations, *widths)
    loss = library.training.clicks.click_loss
    return model, library.training.fit.fit(model, clicks, loss, epochs=6, patience=2, learning_rate=0.005, seed=seed)


din, fitted = fitted_ranker(library.models.din.DIN, 16, 16)
print("training loss:  ", *(f"{value:.3f}" for value in fitted.losses))
print("validation GAUC:", *(f"{value:.3f}" for value in fitted.validation), "- the best is epoch", fitted.best)

# %% tags=["recorded"]
SHORT = recorded.read("movielens_short")  # three seeds of all that trains live on this page
curves = SHORT["clicks"]["DIN"]
for seed, (losses, validation) in enumerate(zip(curves["training loss"], curves["validation GAUC"], strict=True)):
    print(f"seed {seed}, training loss:  ", *(f"{value:.3f}" for value in losses))
    best = int(np.argmax(validation))
    print("        validation GAUC:", *(f"{value:.3f}" for value in validation), "- the best is epoch", best)

figure, panels = plt.subplots(1, 2, figsize=(7, 2.4), layout="constrained")
for panel, name in zip(panels, ("training loss", "validation GAUC"), strict=True):
    for (seed, values), marker in zip(enumerate(curves[name]), "os^", strict=True):
        panel.plot(values, marker=marker, label=f"seed {seed}")
    panel.set_xlabel("epoch")
    panel.set_xticks(range(6))
    panel.set_ylabel(name)
panels[1].legend(frameon=False)
plt.show()

# %% [markdown]
# The loss goes on falling after the ranking has had its best epoch. Click models are known for that (one epoch is often best in industry): sparse ids see their few events again and learn them by heart. How early depends on the seed; what does not is that a number of epochs by decree is a guess: the retrieval model of the next section wants many more.
#
# **Killed.** Start it again with the same checkpoint, and it ends with the *same bits* as a run that nobody killed. (Here SASRec on 150 users, for four epochs.)


# %% tags=["raises-exception"]
films = movielens.load()
data = library.training.next_item.NextItemData.of(films, length=25)
small = dataclasses.replace(
    data, histories=data.histories[:150], validation=data.validation[:150], test=data.test[:150]
)
full = library.training.next_item.loss_over_all_items


def sasrec(seed=0):
    torch.manual_seed(seed)
    return library.models.sasrec.SASRec(data.n, d=32, h=2, length=data.length, blocks=1, dropout=0.2)


calls = itertools.count()


def dies(model, batch):
    if next(calls) == 7:  # in the third epoch
        raise KeyboardInterrupt
    return full(model, batch)


model, again, whole = sasrec(), sasrec(), sasrec()
with tempfile.TemporaryDirectory() as folder:
    try:
        library.training.fit.fit(model, small, dies, epochs=4, checkpoint=Path(folder) / "sasrec.pt")
    except KeyboardInterrupt:
        print("killed in the third epoch")
    library.training.fit.fit(again, small, full, epochs=4, checkpoint=Path(folder) / "sasrec.pt")
library.training.fit.fit(whole, small, full, epochs=4)
print("same bits:", all(torch.equal(a, b) for a, b in zip(again.parameters(), whole.parameters(), strict=True)))

# %% [markdown]
# For that the file holds Adam's moments, the state of the generators, the best weights so far and how validation went; the weights alone would not do.
#
# **NaN.** `fit` stops at once and says what was not finite *first*. A logarithm of a probability, and a learning rate that is much too large:


# %% tags=["raises-exception"]
films = movielens.load()


def log_of_probability(model, batch):
    return -torch.log(1 - (1000 * full(model, batch)).sigmoid())


for loss, rate in ((log_of_probability, 0.01), (full, 1e10)):
    try:
        library.training.fit.fit(sasrec(), small, loss, epochs=1, learning_rate=rate)
    except library.training.not_finite.NotFinite as error:
        print(error, end="\n\n")

# %% [markdown]
# ## 7 · What has to be beaten
#
# Now all users. Protocol: leave one out by time, ties in file order; all 1,682 films are ranked but those already met; at the test the validation item is known. Markov is a table of counts:

# %% tags=["raises-exception"]
films = movielens.load()
results = {name: evaluated(model, *SPLITS["last in time"], data.n, "by time") for name, model in BASELINES.items()}
print(f"{'':12} HR@10   NDCG@10")
for name, result in results.items():
    print(f"{name:12} {result.figures['hit_rate'].value:.3f}   {result.figures['ndcg'].value:.4f}")
rate, users = results["Markov"].figures["hit_rate"].value, len(data.histories)
print(f"standard error of a hit rate of {rate:.3f} with {users} users: {math.sqrt(rate * (1 - rate) / users):.4f}")

# %% tags=["raises-exception", "live"]
films = movielens.load()


def gru4rec(seed=0):
    torch.manual_seed(seed)
    return library.models.gru4rec.GRU4Rec(data.n, d=32, dropout=0.2)


trained, found = {"SASRec": sasrec(), "GRU4Rec": gru4rec()}, {**results}
for name, model in trained.items():
    fitted = library.training.fit.fit(model, data, full, epochs=12, patience=3, learning_rate=0.01)
    found[name] = data.evaluate(model)
    rate, gain = (found[name].figures[key].value for key in ("hit_rate", "ndcg"))
    print(f"{name:12} {rate:.3f}   {gain:.4f}   best epoch {fitted.best} of {len(fitted.losses)}")

print(found["SASRec"], end="\n\n")
for other in ("popularity", "Markov", "GRU4Rec"):
    apart = library.metrics.paired_bootstrap.paired_bootstrap_numpy(
        found["SASRec"].per_user["ndcg"], found[other].per_user["ndcg"], resamples=2000
    )
    print(f"NDCG@10, SASRec - {other}: {apart.value:+.3f}, 95 % interval {apart.low:+.3f} to {apart.high:+.3f}")


# %% tags=["recorded"]
def mean_and_range(values, digits=3):
    """A mean, and its spread in brackets."""
    return f"{np.mean(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


print(f"{'three seeds, recorded':24} {'HR@10':24} NDCG@10")
for name, row in SHORT["next item"].items():
    print(f"{name:24} {mean_and_range(row['hit_rate']):24} {mean_and_range(row['ndcg'])}")
for other, intervals in SHORT["NDCG@10, SASRec less another, 95 % interval"].items():
    print(f"NDCG@10, SASRec - {other:11}", *(f"  {low:+.3f} to {high:+.3f}" for low, high in intervals))

# %% [markdown]
# A few seconds of training, one block of width 32: popularity is beaten beyond doubt. Markov is not: it is a table that anybody writes in five lines, it needs no training, and the interval of the difference holds 0 with every seed. The same is true of SASRec against GRU4Rec at equal loss and negatives.
#
# Here is what was recorded with more patience: width 64, two blocks, three seeds, half a minute to a minute of training each, fitted on everything but the test items as the tables of counts are. SASRec and GRU4Rec had the same time; their settings were chosen on validation, of a dozen for the one and twenty for the other. The third row is the GRU as it was first set up. Below, SASRec with other losses and
# negatives, its settings as they were for the full softmax:

# %% tags=["recorded"]
LONG = recorded.read("movielens")
for part in ("next item", "loss and negatives"):
    print(f"{part:32} {'HR@10':24} {'NDCG@10':24} epochs")
    for name, row in LONG[part].items():
        print(f"   {name:29} {mean_and_range(row['hit_rate']):24} {mean_and_range(row['ndcg']):24} {row['epochs'][0]}")

# %% [markdown]
# Read the ranges before the means: a hit rate has a standard error of more than a point on this data whatever the seed does, so a difference of a point or two is not one.
#
# - **SASRec and GRU4Rec are level**, and both are above the Markov table with every seed. At equal loss and time, each with settings of its own, attention brings nothing over a recurrence *here*.
# - **The care moved more than the architecture did.** Between the two rows of the GRU lie settings of its training, not a parameter more. Whoever had stopped at the third row would have published that attention wins.
# - **So did the loss and its negatives**: with one negative or with 256, the same SASRec is far behind itself. The table changes loss *and* negatives at once, as most published comparisons do.
#
# Whoever says "SASRec beats GRU4Rec", or the reverse, has to say which row of which table both were in.
#
# ## 8 · Recommend
#
# What the short SASRec of section 7 recommends to one user, and which events its last state looked at. Blockbusters, mostly: what else it knows, it adds to popularity. Its weights are one and the same for all recommended films: the query is the last event and not the candidate.

# %% tags=["raises-exception", "live"]
films = movielens.load()
told = data.recommend(trained["SASRec"], user=849, k=8)
print(told)
told.draw()

# %% tags=["recorded"]
print("with seed 0, recorded", *SHORT["recommended to user 849"]["SASRec"], sep="\n")

# %% [markdown]
# The shades of your run, and the numbers behind ←, are attention weights. They say what was averaged, not what caused the recommendation; to know that, leave the event out and look again:

# %% tags=["raises-exception", "live"]
films = movielens.load()


def left_out(model, met):
    """What is recommended first; which event has the most attention, and which is missed most; how alike the two are."""
    recent = torch.from_numpy(met[-data.length :])[None]
    with torch.no_grad():
        weights = model.weights(recent)[0].numpy()
        best = int(model.scores(recent)[0].index_fill(0, torch.from_numpy(met), -math.inf).argmax())
        score = model.scores(recent)[0, best].item()
        without = [torch.cat([recent[:, :s], recent[:, s + 1 :]], dim=1) for s in range(recent.shape[1])]
        moved = np.array([score - model.scores(each)[0, best].item() for each in without])
    ranks = weights.argsort().argsort(), np.abs(moved).argsort().argsort()
    return {
        "recommended first": films.titles[best],
        "most attention": films.titles[recent[0, weights.argmax()]],
        "missed most": films.titles[recent[0, moved.argmax()]],
        "rank correlation of weight and effect": round(float(np.corrcoef(*ranks)[0, 1]), 2),
    }


met_by_849 = np.append(data.histories[848], data.validation[848])
for what, value in left_out(trained["SASRec"], met_by_849).items():
    print(f"{what + ':':38} {value}")

# %% tags=["recorded"]
for what, values in SHORT["an event of user 849 left out"].items():
    print(f"{what + ', by seed:':48}", *values, sep="   ")

# %% [markdown]
# In one block, for one user, the two mostly agree, and with one seed of three they name two films. That is no law: with more blocks, heads or larger values they part.
#
# ## 9 · Ranking: does target attention beat the mean?
#
# Mean pooling shares every feature and the network on top with the DIN of section 6, and gets the same epochs. The test is paired: the AUC of each user under both.

# %% tags=["raises-exception", "live"]
films = movielens.load()
pooling, fitted = fitted_ranker(library.models.mean_pooling.MeanPooling, 16)
by_user = {}
for name, model in (("DIN", din), ("mean pooling", pooling)):
    predictions = clicks.evaluate(model)
    by_user[name] = predictions.auc_by_user()
    print(f"{name:13}", *(f"{key} {value:.3f}   " for key, value in predictions.figures.items()))
found = library.metrics.paired_bootstrap.paired_bootstrap_numpy(by_user["DIN"], by_user["mean pooling"], resamples=2000)
print(f"AUC of a user, DIN - mean pooling: {found.value:+.3f}, 95 % interval {found.low:+.3f} to {found.high:+.3f}")

# %% tags=["recorded"]
for how, runs in (("the training of this page", SHORT), ("wider layers, more events, a lower rate", LONG)):
    print(f"recorded, {how}:")
    for name, row in runs["clicks"].items():
        said = (f"{key} {mean_and_range(row[key])}   " for key in ("auc", "gauc", "log_loss"))
        print(f"   {name:13}", *said)
paired = LONG["AUC of a user, DIN less mean pooling"]
for seed, (value, low, high) in enumerate(zip(*paired.values(), strict=True)):
    print(f"   seed {seed}, AUC of a user, DIN - mean pooling: {value:+.4f}, 95 % interval {low:+.4f} to {high:+.4f}")

# %% [markdown]
# **Target attention does not help here**: mean pooling is level with it or better, whichever figure one takes, and the paired interval is below zero with every recorded seed. DIEN gains in AUC and not in GAUC: it knows better *who* likes much, not what. DIN's weights may differ from film to film, may be negative, and need not sum to one:

# %% tags=["raises-exception", "live"]
films = movielens.load()
told = clicks.recommend(din, user=849, k=8)
print(told)
told.draw()

# %% tags=["recorded"]
print("with seed 0, recorded", *SHORT["recommended to user 849"]["DIN"], sep="\n")

# %% [markdown]
# The rows are much alike. Is the candidate used at all? Ask a trained model: put *another impression's* film in the place of the query, and then leave the interest out altogether.


# %% tags=["raises-exception", "live"]
class Asked(nn.Module):
    """A trained DIN whose attention is asked otherwise."""

    def __init__(self, din, interest_in):
        super().__init__()
        self.din, self.interest_in = din, interest_in

    def forward(self, user, context, history, ratings, candidates):
        features = self.din.features
        films, events = features.films(candidates), features.events(history, ratings)
        interest = self.interest_in(self.din.attention, films, events, (history != 0)[:, None])
        return self.din.head(films, interest, features.profile(user, context))


def another_film(attention, films, events, mask):
    order = torch.randperm(len(films), generator=torch.Generator().manual_seed(0))
    return attention(films[order], events, mask)


ASKED = {
    "as trained": lambda attention, films, events, mask: attention(films, events, mask),
    "about another film": another_film,
    "not at all": lambda attention, films, events, mask: torch.zeros_like(films),
}
films = movielens.load()
for name, how in ASKED.items():
    predictions = clicks.evaluate(Asked(din, how))
    print(f"asked {name:19}", *(f"{key} {value:.3f}   " for key, value in predictions.figures.items()))

# %% tags=["recorded"]
print("three seeds, recorded")
for name, row in SHORT["DIN asked"].items():
    print(f"asked {name:19}", *(f"{key} {mean_and_range(values)}   " for key, values in row.items()))

# %% [markdown]
# Asked about another film, it answers as well: **the weights depend on the candidate, but the prediction does not**. What the interest does say is how generous this user is: without it AUC and log-loss are much worse. And GAUC is *better*: how generous a user is does not help to order that user's films, and the noise of it is
# gone.
#
# A likely reason: DIN was made for a shop's log, where a history mixes bags, toys and phones and a candidate concerns few of them; here a label is a rating, which the film and the user's habit explain for the most part. Where the label is *planted* on the candidate's kind, target attention wins (lesson 02).
# So: ask what the label depends on before you add attention, keep the ablation, and ask the trained model.
#
# ## 10 · Serving: a thousand candidates in one pass
#
# A ranker that reads [history, candidate] as one sequence (BST, HSTU) needs a pass for each candidate, or one pass with all of them behind the history and a mask:
# the history is causal and sees no candidate; a candidate sees the history and itself, and **no rival**.
#
# ### Your turn

# %% tags=["exercise"]
from recattn_mini.attention.candidate_mask import candidate_mask

# %%
check(candidate_mask)

# %% [markdown]
# Two blocks in float64, two users, thirty candidates. With the mask, and all candidates *at one place*, one pass gives what thirty passes give:

# %%
torch.manual_seed(0)
s, n, d = 12, 30, 16
table, places, readout = torch.randn(101, d).double(), torch.randn(s + n, d).double(), torch.randn(d).double()
blocks = [library.attention.encoder_block.EncoderBlock(d, 2, 4 * d).double() for _ in range(2)]
history = torch.randint(1, 101, (2, s))
history[1, :5] = 0  # a shorter history, padded on the left
candidates = torch.stack([torch.randperm(100)[:n] + 1 for _ in range(2)])
masks = library.attention.masks


def stack(ids, place, mask):
    """Two encoder blocks over item ids; a score for each position."""
    x = table[ids] + places[place]
    for block in blocks:
        x = block(x, mask)
    return x @ readout


def ordinary_mask(ids):
    x = table[ids]
    return masks.combined_mask(masks.causal_mask(x, x), masks.padding_mask(ids))


def alone(candidate):
    """The score of one candidate that follows the history: an ordinary causal pass of s + 1 steps."""
    ids = torch.cat([history, candidate[:, None]], dim=1)
    return stack(ids, torch.arange(s + 1), ordinary_mask(ids))[:, -1]


def together(chunk, place=s, rivals_hidden=True):
    """The scores of all candidates of a chunk (b n) in one pass, every one at the same place."""
    ids = torch.cat([history, chunk], dim=1)
    mask = library.attention.candidate_mask.candidate_mask(history, chunk) if rivals_hidden else ordinary_mask(ids)
    return stack(ids, torch.cat([torch.arange(s), torch.as_tensor(place).expand(chunk.shape[1])]), mask)[:, s:]


with torch.no_grad():
    one_by_one = torch.stack([alone(candidate) for candidate in candidates.T], dim=1)
    for name, scores in (
        ("candidate mask, one place for all", together(candidates)),
        ("the same in three chunks", torch.cat([together(chunk) for chunk in candidates.chunk(3, dim=1)], dim=1)),
        ("candidate mask, places counted on", together(candidates, place=torch.arange(s, s + n))),
        ("causal mask, one place for all", together(candidates, rivals_hidden=False)),
    ):
        apart = (scores - one_by_one).abs().max().item()
        print(
            f"{name:35} equals {n} passes: {apart < 1e-12!s:5}", "" if apart < 1e-12 else f" largest error {apart:.2f}"
        )

figure, axes = plt.subplots(figsize=(3.4, 3.2))
small_mask = library.attention.candidate_mask.candidate_mask_numpy(np.ones((1, 6), int), np.ones((1, 5), int))[0, 0]
print(f"6 events and 5 candidates: {small_mask.sum()} of {small_mask.size} pairs may attend")
axes.imshow(small_mask, cmap="cividis", vmin=0, vmax=1)
axes.set_xticks(range(11), [*(f"h{i}" for i in range(1, 7)), *(f"c{i}" for i in range(1, 6))])
axes.set_yticks(range(11), [*(f"h{i}" for i in range(1, 7)), *(f"c{i}" for i in range(1, 6))])
axes.set_xlabel("may be attended to (yellow)")
axes.set_ylabel("who attends")
plt.show()

# %% [markdown]
# With a plain causal mask a candidate's score depends on which rivals happen to stand before it. (SASRec does not need any of this: its user vector knows no candidate.)
#
# **What it saves.** Multiply-adds of one block, counted and not timed: a position costs $4 d^2$ for the projections and $8 d^2$ for a feed-forward network of $4 d$; a pair that may attend costs $2 d$. A kernel that computes the whole matrix and then masks it pays for
# all pairs; one that keeps the history's keys and values and lets each candidate meet only those pays for what the mask allows:


# %% tags=["counting"]
def multiply_adds(positions, pairs, d=64):
    """Of one encoder block."""
    return 12 * positions * d * d + 2 * pairs * d


n, ratios = 1000, {}
print(f"{n:,} candidates, d = 64, one block, in million multiply-adds")
print("history   a pass each   one pass, whole matrix    ratio   one pass, allowed pairs    ratio")
for s in (50, 100, 200):
    each = n * multiply_adds(s + 1, (s + 1) * (s + 2) // 2)  # causal: half of the pairs
    ids = torch.ones(1, s, dtype=torch.long), torch.ones(1, n, dtype=torch.long)
    allowed = int(library.attention.candidate_mask.candidate_mask(*ids).sum())
    whole, kept = multiply_adds(s + n, (s + n) ** 2), multiply_adds(s + n, allowed)
    ratios[s] = each / kept
    print(f"{s:7} {each / 1e6:13,.0f} {whole / 1e6:24,.0f} {each / whole:8.0f} {kept / 1e6:25,.0f} {ratios[s]:8.0f}")
    cached = multiply_adds(s, s * (s + 1) // 2) + n * multiply_adds(1, s + 1)
    print(
        " " * 7, "history cached, then a pass each:", f"{cached / 1e6:,.0f},", "as one pass" if cached == kept else "?"
    )

# %% [markdown]
# The longer the history, the more is saved, *if* nobody computes the pairs of two candidates: with the whole matrix $n^2$ eats most of it. So candidates come in chunks behind a cached history (what HSTU's authors call M-FALCON).
#
# "And if I cache the history's keys and values, and still make a pass for each candidate?" That is the same arithmetic, to the last multiplication. What one pass saves over it is a thousand launches, and reading the cache a thousand times.
#
# ## 11 · Training is not serving
#
# **What a model can notice.** If serving sends the history in another order, does the output change? Last event in its place, the earlier ones shuffled; causal blocks without positions:

# %%
torch.manual_seed(0)
blocks = [library.attention.encoder_block.EncoderBlock(d, 2, 4 * d).double() for _ in range(2)]
x = torch.randn(1, 12, d, dtype=torch.float64)
order = torch.cat([torch.randperm(11), torch.tensor([11])])
with torch.no_grad():
    for depth in (1, 2):
        last = []
        for y in (x, x[:, order]):
            for block in blocks[:depth]:
                y = block(y, masks.causal_mask(y, y))
            last.append(y[0, -1])
        moved = (last[0] - last[1]).abs().max().item()
        print(
            f"{depth} block{'s'[: depth - 1]:1}: the last output",
            "is the same" if moved < 1e-12 else f"moves by {moved:.2f}",
        )

# %% [markdown]
# One layer is blind to such a bug, two layers are not: a test on a one-layer model proves nothing for the deep one.
#
# **What it costs.** The SASRec of section 7, asked as it was trained and then with requests that are built a little differently. Nothing raises an error:


# %% tags=["raises-exception", "live"]
def served(model, rows, known, targets):
    """HR@10 of a model that is sent these rows; what was met is not recommended."""
    with torch.no_grad():
        scores = model.scores(rows).numpy()
    for user, met in enumerate(known):
        scores[user, met] = -np.inf
    ranks = library.metrics.rank_of_target.rank_of_target_numpy(scores, targets)
    return (ranks <= 10).mean()


films = movielens.load()
known = [np.append(history, item) for history, item in zip(data.histories, data.validation, strict=True)]
requests = library.data.sequences.Sequences.of(known)
recent, short = requests.last(data.length), requests.last(10)
generator = torch.Generator().manual_seed(0)
pad, rank = torch.zeros(len(known), data.length - 10, dtype=torch.long), torch.rand(recent.shape, generator=generator)
earlier = (rank + 2 * (recent == 0) * -1).argsort(1)  # padding stays in front
REQUESTS = {
    "as trained": recent,
    "only ten events, padded on the left": torch.cat([pad, short], dim=1),
    "only ten events, padded on the right": torch.cat([short, pad], dim=1),
    "shuffled": recent.gather(1, earlier),
    "newest first": recent.flip(1),
    "five events late": library.data.sequences.Sequences.of([h[:-5] for h in known]).last(data.length),
    "ids counted from 0": (recent - 1).clamp(min=0),
}
for name, rows in REQUESTS.items():
    print(f"{name:46} HR@10 {served(trained['SASRec'], rows, known, data.test):.3f}")

# %% tags=["recorded"]
print("three seeds, recorded")
for name, values in SHORT["HR@10 of SASRec, served"].items():
    print(f"{name:46} HR@10 {mean_and_range(values)}")
popularity = SHORT["HR@10 of popularity"]
print(f"{'popularity':46} HR@10 {popularity:.3f}")

figure, axes = plt.subplots(figsize=(6, 2.6))
for row, values in enumerate(SHORT["HR@10 of SASRec, served"].values()):
    axes.barh(row, np.mean(values), color="C0")
    axes.plot(values, [row] * len(values), ".", color="black")
axes.axvline(popularity, color="grey", linestyle=":", label="popularity")
axes.set_yticks(range(len(SHORT["HR@10 of SASRec, served"])), SHORT["HR@10 of SASRec, served"])
axes.invert_yaxis()
axes.set_xlabel("HR@10; each dot a seed")
axes.legend(frameon=False)
plt.show()

# %% [markdown]
# Ten events are as good as 25, if they stand where they stood in training: what this model lives on is the *recent* and its order. Newest first, it is worth what popularity is worth.
#
# And features with another definition: the DIN of section 6, whose training knew the ratings and how many *seconds* ago the last event was.

# %% tags=["raises-exception", "live"]
films = movielens.load()
minutes = clicks.table.context.clone()
minutes[:, 1] = torch.where(
    minutes[:, 1] > 0, (minutes[:, 1] - 3).clamp(min=1), 0
)  # buckets are powers of 4, 60 is near 4 ** 3
TABLES = {
    "as trained": clicks.table,
    "time in minutes instead of seconds": clicks.table._replace(context=minutes),
    "history without its ratings": clicks.table._replace(ratings=torch.zeros_like(clicks.table.ratings)),
    "every event said to be five stars": clicks.table._replace(ratings=5 * (clicks.table.history != 0)),
}
for name, rows in TABLES.items():
    figures = dataclasses.replace(clicks, table=rows).evaluate(din).figures
    print(f"{name:46} GAUC {figures['gauc']:.3f}   log-loss {figures['log_loss']:.3f}")

# %% tags=["recorded"]
print("three seeds, recorded")
for name, row in SHORT["DIN served"].items():
    print(f"{name:37} GAUC {mean_and_range(row['gauc'])}   log-loss {mean_and_range(row['log_loss'])}")

# %% [markdown]
# GAUC moves by little more than a hundredth, up or down as the seed has it, since such a shift moves all of a user's probabilities together; the log-loss rises with every seed, and an auction would pay for it. A monitor of the ranking alone would have missed it.
#
# The cure is one function that builds the input for both, a log of the features *as served* to train on, and a test that replays a logged request offline and compares scores.

# %% [markdown] tags=["follow-up"]
# ## Follow-ups
#
# <details><summary><b>Training samples for SASRec: all positions, or one prefix a sample? SASRec 的训练样本：每个位置都算损失，还是一个前缀一条样本？</b></summary>
#
# A causal model's state at position $t$ depends on the first $t$ events only, so one pass over the window gives the predictions of all prefixes; a sample for each prefix (RecBole's augmentation) costs a pass for each and weighs long histories more. A bidirectional model
# must have the prefixes, or masked items. With windows: draw a random stretch, or the early events of active users are never trained on.
# </details>
#
# <details><summary><b>Which negatives, and what does sampling do to the scores? 用哪些负样本？采样对分数有什么影响？</b></summary>
#
# Uniform: cheap, easy, most are won at once and then teach nothing. From the batch: free, popular, and with false negatives; needs logQ. Hard (from the last model's top): informative, and many are unseen positives. Impressions without a click: the real ones for *ranking*, and wrong for retrieval, which at
# serving meets the whole catalogue. The more and the harder, the better the top of the list; the probabilities move (section 4), so recalibrate if they are used as such.
# </details>
#
# <details><summary><b>Derive logQ. What happens without it? 推导 logQ 修正；不加会怎样？</b></summary>
#
# Put the true next item and $m$ drawn ones into a bag. Which is the true one? By Bayes, item $j$ with odds $P_j / Q_j$: it was either taken (with $P_j$) or drawn ($Q_j$), and the other draws cancel. The softmax over the bag learns those odds, so if it is given $s_j - \log Q_j$, then $s_j = \log P_j$ up to a constant,
# which is what a full softmax would learn. Without it $s_j = \log P_j - \log Q_j$: with in-batch negatives popular items lose exactly their popularity. At serving $\log Q$ is *not* subtracted. In a stream $Q$ is estimated from the gaps between an item's occurrences (Yi et al. 2019).
# </details>
#
# <details><summary><b>A thousand candidates in ten milliseconds: how? 一千个候选如何低成本打分？</b></summary>
#
# Everything that does not know the candidate once for each request: the history's embeddings, keys, values, the first part of DIN's hidden layer. Candidates in one batch against it, masked from each other; a pre-ranker before it so that a thousand become two hundred; a shorter or searched history; half precision. Cache the user's side between requests
# and invalidate it with each event.
# </details>
#
# <details><summary><b>What retrieves in front of a ranker, and what does attention have to give up there? 召回阶段用什么？注意力要放弃什么？</b></summary>
#
# Two towers: a vector of the user, from the history, and one of each item, with a dot product between them, since only that can be searched in an index of approximate nearest neighbours. The item is known only after the search, so there is no target attention: self-attention in the user's tower, as in SASRec, or several
# interests, each searched for (MIND, ComiRec). A new item has no trained vector yet: its tower must read content. A pre-ranker between the two may be a small ranker that learns from the large one.
# </details>
#
# <details><summary><b>Offline it was better, online it is not. Where do you look? 离线有提升，线上没有，怎么排查？</b></summary>
#
# First whether the inputs are the same (the next question). Then whether the question was: a log holds what the *old* system showed, at the places where it showed it; a model that agrees with it looks good, and what it never showed cannot be judged. So position as a feature in training and fixed at serving, a share of traffic
# explored at random, inverse propensities for the estimate (lesson 05). Then the metric: clicks offline, watch time online. Then the loop: tomorrow's training data is what the new model shows. And the test: novelty wears off, and the two arms share one stock of items and one training log.
# </details>
#
# <details><summary><b>What differs between training and serving inputs? 训练与线上的输入有哪些不一致？</b></summary>
#
# The history's length, order and padding side; how late events arrive; features recomputed with later data; another definition, unit or default; ids remapped by a new vocabulary; candidates (impressions in training, everything at serving); dropout left on. Find them by replaying logged requests offline: equal inputs, equal scores.
# </details>
#
# <details><summary><b>When do you retrain, and what goes stale first? 何时重新训练？什么最先过期？</b></summary>
#
# Freshest first: the user's history and counters (they are *inputs*: minutes), then item vectors of new items (hours to a day; until then content), then popularity and calibration, and last the network's weights. Retrain by measured decay: score yesterday's model and last week's on today's log, and let the cost of the loss decide. Incremental
# training needs the old optimiser state, and a from-scratch run now and then against drift.
# </details>
#
# <details><summary><b>Why may GRU4Rec win on small data? 为什么小数据上 GRU4Rec 可能更好？</b></summary>
#
# A recurrence has order built in and prefers the recent; attention has to learn both from positions, which takes data. And most published gaps between the two were gaps between *losses*: one negative for one, a softmax for the other. At equal loss and negatives the two were level in section 7, and in the HSTU authors' own table
# for ML-1M GRU4Rec has the higher NDCG@10 and the lower HR@10 (below).
# </details>
#
# <details><summary><b>The loss is NaN at step 12,000. What do you do? 第 12000 步损失变成 NaN，怎么排查？</b></summary>
#
# Find what is not finite *first*: the batch, a parameter (the step before was too large), a layer's output (a fully masked row, an overflow in half precision), the loss (a logarithm of 0), or only the gradient (a root at 0, an infinity behind a `where`). Replay that step from the checkpoint. Clipping does not help: NaN clipped is NaN.
# </details>

# %%
PUBLISHED = {"SASRec": (0.2853, 0.1603), "GRU4Rec": (0.2811, 0.1648)}  # ML-1M, full ranking, README of the HSTU code
for name, (hits, gain) in PUBLISHED.items():
    print(f"{name:8} HR@10 {hits:.4f}   NDCG@10 {gain:.4f}")
print("NaN clipped:", torch.tensor(math.nan).clamp(-1, 1).item())

# %% [markdown] tags=["trap"]
# ## Traps
#
# - `batch_size=` beside a data set that comes in batches; `shuffle=True` beside a loader that does not shuffle.
# - `predict` on an embedding: parameters are not inputs.
# - A random split; file order taken for time order; a sort that is not stable.
# - The validation item left out of the history at test time: the model answers yesterday's question. Or the test item left *in*.
# - Evaluating on sampled negatives (lesson 05), or choosing the epoch on test.
# - A softmax over scores in which padding's column 0 takes part: it gets probability, and gradient. And a loss averaged over padded positions.
# - `g[ids] += …` in NumPy counts a repeated id once.
# - `model.eval()` forgotten: dropout at serving, and two calls give two results.
# - Adam over an item table: an item that is in no batch still moves, by its momentum. (`SparseAdam` leaves it where it is.)

# %%
ids, counted = np.array([3, 3]), np.zeros(5)
counted[ids] += 1
added = np.zeros(5)
np.add.at(added, ids, 1)
print("id 3 twice:  += gives", counted[3], "  np.add.at gives", added[3])

scores = torch.tensor([0.0, 2.0, 1.0])  # column 0 is padding
print(
    "padding's share of the softmax:",
    f"{torch.softmax(scores, 0)[0]:.2f}",
    "- without its column:",
    f"{torch.softmax(scores[1:], 0)[0]:.2f}",
    "for item 1",
)

losses = torch.tensor([1.0, 1.0, 0.0, 0.0])  # two real positions, two of padding
print("mean over all positions:", losses.mean().item(), "  over real ones:", losses[:2].mean().item())

row = nn.Parameter(torch.ones(1))
optimiser = torch.optim.Adam([row], lr=0.1)
for gradient in (1.0, 0.0, 0.0):  # in one batch, then in none
    row.grad = torch.tensor([gradient])
    optimiser.step()
    print("Adam, gradient", gradient, "->", round(row.item(), 3))

# %% [markdown]
# ## Sources
#
# - Kang, McAuley: *Self-Attentive Sequential Recommendation*, ICDM 2018, [1808.09781](https://arxiv.org/abs/1808.09781)
# - Hidasi et al.: *Session-based Recommendations with Recurrent Neural Networks* (GRU4Rec), ICLR 2016, [1511.06939](https://arxiv.org/abs/1511.06939)
# - Zhou et al.: *Deep Interest Network for Click-Through Rate Prediction*, KDD 2018, [1706.06978](https://arxiv.org/abs/1706.06978)
# - Klenitskiy, Vasilev: *Turning Dross Into Gold Loss: is BERT4Rec really better than SASRec?*, RecSys 2023, [2309.07602](https://arxiv.org/abs/2309.07602)
# - Petrov, Macdonald: *gSASRec: Reducing Overconfidence in Sequential Recommendation Trained with Negative Sampling*, RecSys 2023, [2308.07192](https://arxiv.org/abs/2308.07192)
# - Yi et al.: *Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations* (logQ), RecSys 2019
# - Bengio, Senécal: *Adaptive Importance Sampling to Accelerate Training of a Neural Probabilistic Language Model*, IEEE TNN 2008
# - Rendle et al.: *BPR: Bayesian Personalized Ranking from Implicit Feedback*, UAI 2009, [1205.2618](https://arxiv.org/abs/1205.2618)
# - Kingma, Ba: *Adam: A Method for Stochastic Optimization*, ICLR 2015, [1412.6980](https://arxiv.org/abs/1412.6980);
#   Loshchilov, Hutter: *Decoupled Weight Decay Regularization*, ICLR 2019, [1711.05101](https://arxiv.org/abs/1711.05101)
# - Zhai et al.: *Actions Speak Louder than Words* (HSTU, M-FALCON), ICML 2024, [2402.17152](https://arxiv.org/abs/2402.17152);
#   SASRec and GRU4Rec on ML-1M: README of `meta-recsys/generative-recommenders`
# - Krichene, Rendle: *On Sampled Metrics for Item Recommendation*, KDD 2020
# - Ji, Sun, Zhang, Li: *A Critical Study on Data Leakage in Recommender System Offline Evaluation*, ACM TOIS 2023, [2010.11060](https://arxiv.org/abs/2010.11060)
# - Zhang et al.: *Towards Understanding the Overfitting Phenomenon of Deep Click-Through Rate Prediction Models*, CIKM 2022, [2209.06053](https://arxiv.org/abs/2209.06053)
# - Prechelt: *Early Stopping – But When?*, 1998
# - Harper, Konstan: *The MovieLens Datasets: History and Context*, ACM TiiS 5(4):19, 2015. The data belongs to GroupLens
#   and is fetched to your own cache; it may be used for research and not be redistributed.
