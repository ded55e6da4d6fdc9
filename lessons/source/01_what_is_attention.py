# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # 01 · What is attention, and what does it do in a recommender?
#
# Cells that end in `raise NotImplementedError("your turn …")` are yours: write the body, run the cell (Shift+Enter), run the
# `check` below it. It tells you where you are wrong and, if it is a known mistake, *which one*. `hint(f)` nudges,
# `hint(f, 3)` is a recipe, `solution(f)` shows the key once yours holds. Nothing further down needs your answers, so read in
# any order.
#
# | exercise | level | minutes |
# |---|---|---|
# | `softmax_numpy` | easy | 5 |
# | `causal_mask` | easy | 5 |
# | `padding_mask` | easy | 3 |
# | `scaled_dot_product_attention` | medium | 10 |
# | `scaled_dot_product_attention_backward_numpy` | hard | 20 |
# | `AdditiveAttention` | medium | 10 |
# | `multiplicative_attention_numpy` | easy | 5 |

# %% [markdown] tags=["question"]
# ## The question
#
# > **What is attention, and what role does it play in a recommender system?**
# >
# > 什么是注意力机制？它在推荐系统中有何作用？
#
# *Every level is asked this, usually first; five minutes.* It comes as "explain attention as if I had to write it", as
# "what exactly does your model attend to?", or as "why √d?".
#
# **What the interviewer is after.** Not the word "important". Whether you can name the parts (query, key, value,
# similarity, normaliser), say *who* is the query and *which axis* is weighed in a recommender, write it with a mask
# without notes, and say where it stops helping.

# %% [markdown] tags=["answer"]
# ## The answer in 60 seconds
#
# Attention is a weighted sum whose weights are computed from the input. A **query** is compared with **keys**; a
# normaliser, usually a softmax, turns the scores into weights; they average the **values**.
#
# In ranking, the query is typically the candidate, and keys and values are the events of the user's history: **target
# attention**, as in DIN. So the user vector depends on the candidate, which is personalisation for each pair; mean
# pooling gives every candidate one and the same user. In SASRec each event attends to itself and the earlier ones: **self-attention**, to
# predict the next item; the order comes from position embeddings and the causal mask. I always say which axis I weigh: events, feature fields, or modalities.
#
# In code I need three things: the scale √d for dot products, masks for padding and the future *before* the softmax, and
# a rule for the empty history.
#
# The price of target attention is a pass over the history for each candidate, so it sits in ranking rather than in two-tower retrieval. By itself
# attention removes neither noise nor imbalance: a softmax has to spend its whole weight, possibly most of it on one
# well-aligned item, and on irrelevant ones if there is nothing else. And a weight is not an explanation.
#
# <details><summary>要点（中文）</summary>
#
# - 注意力：用查询（query）与各个键（key）算相似度，归一化（通常用 softmax）得到权重，再对值（value）加权求和；权重随输入动态变化。
# - 推荐中最典型的是目标注意力：候选物品作查询，行为序列作键和值；同一用户面对不同候选得到不同的兴趣表示，均值池化只有一个固定表示。
# - 说清在哪个维度上加权：行为序列（DIN、SASRec）、特征域（AFM、AutoInt）、模态或专家（门控）。
# - 实现要点：点积要除以 √d；在 softmax 之前加填充掩码与因果掩码；整行都被掩码时输出 0，而不是 NaN。
# - 代价：目标注意力要为每个候选遍历一次行为序列，所以用于精排，而不用于双塔召回。
# - 局限：softmax 权重之和恒为 1，单个与查询高度对齐的物品可能占去大部分权重，没有相关行为时权重也必须分配出去；它本身不去噪、不解决数据不平衡；权重也不等于解释。
#
# </details>
#
# <details><summary>Who is who: the models named on this page</summary>
#
# | | |
# |---|---|
# | DIN | the candidate attends to the history (target attention) |
# | SASRec | each event attends to itself and the earlier ones; predicts the next item |
# | TiSASRec | SASRec that also knows the time between events |
# | HSTU | self-attention over very long histories, with SiLU in place of the softmax and a bias for position and time |
# | AutoInt | the fields of one sample attend to each other |
# | AFM | weighs pairs of fields |
# | SENet (in FiBiNET) | one weight for each field, computed from all of them: in truth a gate |
# | PEPNet | gates embeddings and hidden units by user and domain |
#
# </details>

# %% tags=["imports"]
import functools
import math
import textwrap

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from recattn_mini import attention as library  # ours; what you write has the same names without the word library
from recattn_mini.data import movielens, planted
from recattn_mini.metrics.auc import auc_numpy
from recattn_mini.learn import check, hint, solution

sdpa = library.scaled_dot_product_attention
plt.style.use("tableau-colorblind10")
plt.rcParams.update({"figure.dpi": 110, "axes.spines.top": False, "axes.spines.right": False, "font.size": 9})
torch.set_printoptions(precision=3, sci_mode=False)
np.set_printoptions(precision=3, suppress=True)

# %% [markdown]
# ## 1 · One person, five candidates
#
# Before any formula, look at it. Below is the real history of a MovieLens user, and five films that this user had not
# rated, chosen to be readable. Every film gets a vector from who watched what, without training: the singular vectors 2 to 33
# of the matrix of users and films (the first is popularity), each film scaled to length √32. The candidate is the query;
# the history is the keys.


# %%
@functools.cache
def film_vectors(films, d=32):
    """A vector of length √d for every film, from who watched it."""
    watched = np.zeros((len(films.ages), len(films.titles)))
    watched[films.users, films.items] = 1
    watched /= np.sqrt(np.maximum(watched.sum(0), 1))
    _, of_users = np.linalg.eigh(watched @ watched.T)  # ascending, so the largest come last
    vectors = watched.T @ of_users[:, -d - 1 : -1]
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return math.sqrt(d) * vectors / np.where(length == 0, 1, length)


def by_title(films, *titles):
    """Item ids of films."""
    return np.array([list(films.titles).index(title) for title in titles])


CANDIDATES = ("Psycho", "Aladdin", "Sense and Sensibility", "Titanic", "Return of the Jedi")

# %% tags=["raises-exception"]
films = movielens.load()
history, candidates = films.histories()[849], by_title(films, *CANDIDATES)
vectors = film_vectors(films)

assert not set(history) & set(candidates)
weights = sdpa.attention_weights_numpy(vectors[candidates], vectors[history])  # (5 candidates, 23 events)

for title, row in zip(CANDIDATES, weights, strict=True):
    top = row.argsort()[::-1][:3]
    print(f"{title:22} looks at", ", ".join(f"{films.titles[history[i]]} {row[i]:.2f}" for i in top))

nearest = (vectors @ vectors[candidates[3]]).argsort()[::-1][1:21]
years = films.years[nearest]
print(f"the 20 films nearest to Titanic are of {years.min()} to {years.max()}")

figure, axes = plt.subplots(figsize=(10, 3.2))
image = axes.imshow(weights, cmap="cividis", vmin=0, aspect="auto")
axes.set_yticks(range(len(CANDIDATES)), CANDIDATES)
axes.set_xticks(
    range(len(history)),
    [textwrap.shorten(films.titles[i], 26, placeholder="…") for i in history],
    rotation=55,
    ha="right",
)
axes.set_xlabel("the user's history, in time order: the keys")
axes.set_ylabel("candidates: the queries")
figure.colorbar(image, label="weight", fraction=0.03, pad=0.01)
plt.show()

# %% [markdown]
# Every row is a softmax and sums to one; every row is another reading of the same person. *Psycho* looks at *Jaws*,
# *Aladdin* at *Beauty and the Beast*. *Titanic* looks at *Scream*, and that is no likeness of content: its 20 nearest films
# are all of 1996 to 1998, new or recent when the data was collected. Attention finds whatever the vectors know, exposure included.
#
# Mean pooling has one row for everybody:

# %% tags=["raises-exception"]
films = movielens.load()
history, candidates = films.histories()[849], by_title(films, *CANDIDATES)
vectors = film_vectors(films)

attended = sdpa.scaled_dot_product_attention_numpy(vectors[candidates], vectors[history], vectors[history])
mean = vectors[history].mean(0)


def cosine(a, b):
    return (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


print("cosine of the candidate to the user vector")
for title, candidate, user in zip(CANDIDATES, vectors[candidates], attended, strict=True):
    print(f"{title:22} mean pooling {cosine(candidate, mean):.2f}   attention {cosine(candidate, user):.2f}")

# %% [markdown]
# Attention's cosines are higher for *every* candidate, whichever it is, since each finds its own relatives. A higher
# score is no better ranking: what attention buys is that the user vector *depends on the candidate*. Whether that helps
# is an experiment, and section 7 shows one where it does and one where it hurts.
#
# ## 2 · Which axis is weighed?
#
# Axes have one letter each, all through the course: `t` queries, `s` keys, `d` the width of q and k, `e` the width of v; later
# `b` batch, `h` heads, `c` the width of k where it differs from q's, `a` the hidden width of a score.
#
# The same function, several answers to "what do you attend to?". Ask which axis plays the part of `s`:

# %%
draw = np.random.RandomState(0)
events, fields, modalities = draw.randn(23, 16), draw.randn(4, 16), draw.randn(3, 16)
candidate, user = draw.randn(1, 16), draw.randn(1, 16)

for what, q, k in [
    ("events of a history, asked by the candidate (DIN)", candidate, events),
    ("events, each asked by each (SASRec)", events, events),
    ("fields of one event, each asked by each (AutoInt)", fields, fields),
    ("modalities of one item, asked by the user", user, modalities),
]:
    print(f"{what:52} weights {sdpa.attention_weights_numpy(q, k).shape}")

# %% [markdown]
# "Attention adjusts the weights of features" is true of the third line only. If your model is DIN, say *events*.
#
# ## 3 · Softmax: from scores to weights
#
# $$\mathrm{softmax}(x)_s = \frac{e^{x_s}}{\sum_{s'} e^{x_{s'}}} = \frac{e^{x_s - \max x}}{\sum_{s'} e^{x_{s'} - \max x}}$$
#
# The two forms are equal on paper. On a machine the first one breaks at a score of 710; in float32 at 89, in float16 at 12:

# %%
with np.errstate(over="ignore", invalid="ignore"):
    scores = np.array([710.0, 709.0])
    print("textbook:", np.exp(scores) / np.exp(scores).sum())
    print(
        "largest exp:",
        *(f"{np.dtype(t).name} {np.log(np.finfo(t).max):.1f}" for t in (np.float64, np.float32, np.float16)),
    )
print("shifted: ", library.softmax.softmax_numpy(scores))

# %% [markdown]
# And a row of nothing but $-\infty$, a user whose whole history is padding, has $-\infty$ as its maximum:
# $-\infty - (-\infty)$ is NaN, and one NaN poisons every parameter it reaches. Our rule, all through the course: **a row with nothing to attend
# to gives zeros.**
#
# ### Your turn: a stable softmax, in NumPy

# %% tags=["exercise"]
from recattn_mini.attention.softmax import softmax_numpy

# %%
check(softmax_numpy)

# %% [markdown]
# ### When does its gradient vanish?
#
# With $p = \mathrm{softmax}(x)$ the Jacobian is $\mathrm{diag}(p) - p p^\top$, so a gradient $g$ of the weights becomes
# $p \odot (g - \langle p, g \rangle)$. If $p$ is one-hot this is zero: the layer has made up its mind and cannot learn
# that it was wrong. For given scores, their scale alone sets the sharpness; the gradient is largest where the softmax is
# undecided between a few:

# %%
x, g = np.random.RandomState(0).randn(2, 50)
print("scores ×   largest weight   entropy (max 3.91)   size of the gradient")
for scale in (0.1, 1, 10, 100, 1000):
    p = library.softmax.softmax_numpy(scale * x)
    entropy = -(p * np.log(np.maximum(p, 1e-300))).sum()
    size = np.linalg.norm(library.softmax.softmax_backward_numpy(g, p))
    print(f"{scale:8}   {p.max():14.2f}   {entropy:18.2f}   {size:.1e}")

# %% [markdown]
# ## 4 · Why √d?
#
# Let the coordinates of $q$ and $k$ be independent with mean 0 and variance 1. Then $q \cdot k$ is a sum of $d$ products, each
# with variance 1: its variance is $d$, its standard deviation $\sqrt d$. Without the scale a wider model has a sharper
# softmax, by accident:

# %%
draw = np.random.RandomState(0)
widths, entropies = (4, 16, 64, 256), {"raw": [], "/ √d": []}
for d in widths:
    q, k = draw.randn(1000, 1, d), draw.randn(1000, 50, d)
    scores = (q @ np.swapaxes(k, -1, -2))[:, 0]  # (1000 queries, 50 keys)
    for name, logits in (("raw", scores), ("/ √d", scores / math.sqrt(d))):
        p = library.softmax.softmax_numpy(logits)
        entropies[name].append(-(p * np.log(np.maximum(p, 1e-300))).sum(-1).mean())
        jacobian = np.linalg.norm(p[:, :, None] * (np.eye(50) - p[:, None, :]), axis=(1, 2))
        print(
            f"d = {d:<4} q·k {name:5} variance {logits.var():6.2f}   entropy {entropies[name][-1]:.2f} of 3.91   "
            f"saturated {(jacobian < 0.05).mean():4.0%}"
        )

figure, axes = plt.subplots(figsize=(5, 2.8))
for (name, values), marker in zip(entropies.items(), "os", strict=True):
    axes.plot(widths, values, marker=marker, label=f"q·k {name}")
axes.axhline(math.log(50), color="grey", linestyle=":")
axes.text(widths[0], math.log(50) - 0.07, "uniform over 50 keys", color="grey", va="top")
axes.set_xscale("log", base=2)
axes.set_xticks(widths, widths)
axes.set_xlabel("width d of q and k")
axes.set_ylabel("entropy of the weights (nats)")
axes.legend(frameon=False)
plt.show()

# %% [markdown]
# Unscaled, more and more queries are saturated: the Jacobian of their softmax is next to nothing (a norm below 0.05), and hardly any
# gradient comes through. Scaled, next to nothing depends on the width.
#
# The argument assumes variance one. If your embeddings are tiny (Keras starts them in ±0.05) the weights are nearly uniform even
# without the scale, which is mean pooling; if they grow in training, the weights become one-hot despite the scale. Since
# $q \cdot k = \|q\| \|k\| \cos$, *the two lengths act as the inverse temperature of a softmax over
# cosines*, exactly so if all keys have one length. And the $d$ in $\sqrt d$ is the width
# of `q` and `k`: not that of `v`, not the number of keys.

# %%
q, k = 0.05 * (2 * np.random.RandomState(0).rand(2, 50, 64) - 1)  # Keras's default: uniform in ±0.05
weights = library.softmax.softmax_numpy(q @ k.T)  # and no scale, as in its Attention layer
print(f"largest of 2,500 weights {weights.max():.4f}, 1/50 is {1 / 50:.4f}")

# %% [markdown]
# ## 5 · Masks
#
# Padding must not be attended to; a model trained to predict the next item must not see it. Both are said with a boolean
# mask, and `True` means *may attend* here, as in `F.scaled_dot_product_attention`. In `nn.MultiheadAttention` it
# means the opposite. Fill the **scores** with $-\infty$ *before* the softmax, so that the other weights still sum to one.

# %%
torch.manual_seed(0)
layer, x = nn.MultiheadAttention(8, num_heads=1, batch_first=True), torch.randn(1, 3, 8)
mask = torch.tensor([[True, False, False]]).expand(3, 3)
print("nn.MultiheadAttention, True False False:", layer(x, x, x, attn_mask=mask)[1][0, 0].detach().round(decimals=2))
print("ours,                  True False False:", sdpa.attention_weights(x, x, mask)[0, 0])

# %% [markdown]
# ### Your turn: a causal mask
#
# In decoding, one new query meets many cached keys. The last query stands on the last key: the mask is aligned *bottom
# right*. `is_causal=True` of PyTorch aligns top left, and gives a lone new query the oldest key only:

# %%
one, cached, values = torch.zeros(1, 2), torch.zeros(4, 2), torch.arange(4.0)[:, None]
print(
    "is_causal=True, one query, the values 0 1 2 3:",
    F.scaled_dot_product_attention(one[None], cached[None], values[None], is_causal=True).item(),
)
print(
    "no mask:                                      ",
    F.scaled_dot_product_attention(one[None], cached[None], values[None]).item(),
)

# %% tags=["exercise"]
from recattn_mini.attention.masks import causal_mask

# %%
check(causal_mask)

# %% [markdown]
# ### Your turn: a padding mask
#
# Histories differ in length; a batch is padded with item id 0, on the left or on the right.

# %% tags=["exercise"]
from recattn_mini.attention.masks import padding_mask

# %%
check(padding_mask)

# %% [markdown]
# Three histories in one batch, padded on the left as SASRec does:

# %%
items = torch.tensor([[11, 4, 25, 7, 9, 2], [0, 0, 0, 31, 5, 8], [0, 0, 0, 0, 0, 0]])
embedded = torch.zeros(3, 1, 6, 8)  # (b h t d): only its sizes matter to a mask
both = library.masks.combined_mask(
    library.masks.causal_mask(embedded, embedded), library.masks.padding_mask(items)
)  # (3 1 6 6)
print("may attend to, a row each:", both[:, 0].sum(-1).tolist())

figure, panels = plt.subplots(1, 3, figsize=(7.5, 2.6))
for panel, mask, title in zip(panels, both[:, 0], ("full", "half padding", "nothing but padding"), strict=True):
    panel.imshow(mask, cmap="gray", vmin=0, vmax=1)
    panel.set_title(title)
    panel.set_xlabel("key")
    panel.set_xticks(range(6))
    panel.set_yticks(range(6))
    panel.spines[:].set_visible(True)
panels[0].set_ylabel("query")
figure.suptitle("white: may attend", y=1.04)
plt.show()

# %% [markdown]
# The first three rows of the second user and all rows of the third have *nothing* to attend to. Three ways to treat them:

# %%
q, k, v = torch.randn(3, 1, 1, 4, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
nothing = torch.zeros(4, 4, dtype=torch.bool)
scores = q @ k.mT / math.sqrt(8)
uniform = torch.allclose(scores.masked_fill(~nothing, -1e9).softmax(-1) @ v, v.mean(-2, keepdim=True).expand_as(v))
print("-inf and softmax: ", scores.masked_fill(~nothing, -math.inf).softmax(-1)[0, 0, 0])
print(
    "-1e9 and softmax: ", scores.masked_fill(~nothing, -1e9).softmax(-1)[0, 0, 0], "- the mean of the padding:", uniform
)
print("PyTorch's SDPA:   ", F.scaled_dot_product_attention(q, k, v, nothing)[0, 0, 0, :4])
print("ours:             ", sdpa.scaled_dot_product_attention(q, k, v, nothing)[0, 0, 0, :4])

# %% [markdown]
# **In half precision** the habit of writing `-1e9` fails in another way: float16 ends at 65,504. And a score can overflow
# before it is scaled, so scale `q` first:

# %%
half = torch.zeros(2, dtype=torch.float16)
try:
    half.masked_fill(torch.tensor([True, False]), -1e9)
except RuntimeError as error:
    print("float16, -1e9: refused with a", type(error).__name__)
print("float16, -inf:", half.masked_fill(torch.tensor([True, False]), -math.inf))

q = k = torch.full((1, 256), 17.0, dtype=torch.float16)
print("q·k, then / √d:", (q @ k.mT / 16).item(), "  q/√d, then ·k:", (q / 16 @ k.mT).item())

# %% [markdown]
# ## 6 · Scaled dot-product attention
#
# $$\mathrm{out}_t = \sum_s \mathrm{softmax}_s\!\Big(\frac{q_t \cdot k_s}{\sqrt d}\Big)\, v_s \qquad
# \text{time } O(t\,s\,(d+e)),\ \text{memory } O(t\,s)$$
#
# ### Your turn: the function everybody is asked to write
#
# With a mask. `library.masks.masked_scores(scores, mask)` and `library.softmax.softmax` are there if you want them; a row with nothing
# to attend to gives zeros.

# %% tags=["exercise"]
from recattn_mini.attention.scaled_dot_product_attention import scaled_dot_product_attention

# %%
check(scaled_dot_product_attention)

# %% [markdown]
# NumPy, PyTorch by hand, and PyTorch's own, on sizes that are all different and a mask with empty rows:

# %%
draw = np.random.RandomState(0)
q, k, v = draw.randn(2, 3, 5, 7), draw.randn(2, 3, 11, 7), draw.randn(2, 3, 11, 13)
mask = draw.rand(5, 11) < 0.6
mask[2] = False
ours = sdpa.scaled_dot_product_attention_numpy(q, k, v, mask)
tensors = [torch.from_numpy(x) for x in (q, k, v, mask)]
by_hand, theirs = sdpa.scaled_dot_product_attention(*tensors), F.scaled_dot_product_attention(*tensors)
print("NumPy = PyTorch by hand:", np.allclose(ours, by_hand, atol=1e-12))
print("PyTorch by hand = F.scaled_dot_product_attention:", torch.allclose(by_hand, theirs, atol=1e-12))
print("an empty row:", ours[0, 0, 2, :3])

# %% [markdown]
# ### Your turn: its backward pass, by hand
#
# This one separates candidates. Write $P$ for the weights, $G$ for the gradient of the output. Go back step by step: through
# $P v$, through the softmax (section 3; `library.softmax.softmax_backward_numpy` is there), through $q k^\top / \sqrt d$.
# Three gradients, no loops, no autograd.

# %% tags=["exercise"]
from recattn_mini.attention.scaled_dot_product_attention import scaled_dot_product_attention_backward_numpy

# %%
check(scaled_dot_product_attention_backward_numpy)

# %% [markdown]
# ### Other scores
#
# **Additive** (Bahdanau): $w^\top \tanh(W_q q_t + W_k k_s)$. A small network for each pair: $O(t\,s\,a)$ memory where the
# dot product needs $O(t\,s)$ if the weights are stored; and `q` and `k` may differ in width. No √d: tanh bounds each of the `a`
# hidden units, so the scores cannot grow with `d`, though the tanh can saturate; the size of $w$ still sets the sharpness.
#
# Why the tanh? Without it $w^\top W_q q_t$ is one number for all keys, and a softmax forgets what is added to a whole
# row:

# %%
draw = np.random.RandomState(0)
two_queries, k, v = draw.randn(2, 4), draw.randn(5, 4), draw.randn(5, 1)
w_q, w_k, w = draw.randn(3, 4), draw.randn(3, 4), draw.randn(3)
hidden = (two_queries @ w_q.T)[:, None] + (k @ w_k.T)[None]
print("without tanh:", (library.softmax.softmax_numpy(hidden @ w) @ v).ravel(), "- both queries get the same")
print("with tanh:   ", library.additive_attention.additive_attention_numpy(two_queries, k, v, w_q, w_k, w).ravel())

side_by_side = np.concatenate([w_q, w_k], axis=1)
concat = library.concat_attention.concat_attention_numpy(two_queries, k, v, side_by_side, w).ravel()
print("concat:      ", concat, "- Luong's concat is additive attention with both matrices in one")

# %% [markdown]
# ### Your turn: additive attention as a module that learns its weights
#
# `__init__` is given and fixes the names of the parameters; write `forward`.

# %% tags=["exercise"]
from recattn_mini.attention.additive_attention import AdditiveAttention

# %%
check(AdditiveAttention)

# %% [markdown]
# **Multiplicative** (Luong's *general*): $q_t^\top W k_s$. One matrix, no scale. With $W = W_q^\top W_k / \sqrt d$ it *is* the
# scaled dot product with projections; splitting $W$ in two limits its rank to the width of a head.

# %% tags=["exercise"]
from recattn_mini.attention.multiplicative_attention import multiplicative_attention_numpy

# %%
check(multiplicative_attention_numpy)

# %%
draw = np.random.RandomState(0)
q, k, v = draw.randn(5, 16), draw.randn(11, 16), draw.randn(11, 3)
to_q, to_k = draw.randn(16, 4), draw.randn(16, 4)  # a head of width 4
w = to_q @ to_k.T / math.sqrt(4)
projected = sdpa.scaled_dot_product_attention_numpy(q @ to_q, k @ to_k, v)
print("equal:", np.allclose(library.multiplicative_attention.multiplicative_attention_numpy(q, k, v, w), projected))
print("W is", w.shape, "but its rank is", np.linalg.matrix_rank(w))
with_identity = library.multiplicative_attention.multiplicative_attention_numpy(q, k, v, np.eye(16))
print("W = identity is dot attention:", np.allclose(library.dot_attention.dot_attention_numpy(q, k, v), with_identity))

# %% [markdown]
# ## 7 · What it does not do
#
# A common answer says that attention reduces the influence of noise and of data imbalance. Ask what is meant, and measure.
#
# **One well-aligned item can take most of the weight.** Put one item among 50 that points in the query's direction, with
# the length of an ordinary vector, half of it, or three times as much. 2,000 draws, so that no lucky one is quoted:

# %%
draw = np.random.RandomState(0)
q, k = draw.randn(2000, 1, 32), draw.randn(2000, 50, 32)


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


print("its length    weight: median (5 % to 95 %)    cosine scores, temperature 0.1    mean pooling")
for length in (0.5, 1, 3):
    k[:, 0] = length * q[:, 0]
    low, median, high = np.quantile(sdpa.attention_weights_numpy(q, k)[:, 0, 0], (0.05, 0.5, 0.95))
    of_cosines = library.softmax.softmax_numpy(unit(q) @ np.swapaxes(unit(k), -1, -2) / 0.1)[:, 0, 0]
    print(f"× {length:<10}  {median:.2f} ({low:.2f} to {high:.2f}){np.median(of_cosines):28.2f}{1 / 50:30.2f}")

# %% [markdown]
# That is the point of attention, and it is also its attack surface: a mis-tap or a bought click that happens to match the
# candidate speaks for the whole history. Cosine scores take the length out of it, not the alignment.
#
# **Whether it withstands noise depends on what the label depends on.** Two planted worlds, nothing trained, five seeds. In the
# first, a user clicks if *any* of ten events matches the candidate; in the second, if *at least five* do. Then random events
# are inserted. AUC of the score `output · candidate`:

# %%
POOLINGS = {
    "mean": lambda q, k: k.mean(1, keepdims=True),
    "softmax": lambda q, k: sdpa.scaled_dot_product_attention_numpy(q, k, k),
    "softmax, T = 10": lambda q, k: sdpa.scaled_dot_product_attention_numpy(q / 10, k, k),
    "sigmoid, bias -4": lambda q, k: library.sigmoid_attention.sigmoid_attention_numpy(q, k, k, bias=-4.0),
}
INSERTED = (0, 10, 40)

q, k, clicked = planted.clicks_on_matches(seed=0, at_least=1, inserted=0)  # the first event matches, or none does
first = (q @ np.swapaxes(k, -1, -2) / math.sqrt(32))[:, 0, 0]
print(f"the score of a match is {first[clicked].mean() - first[~clicked].mean():.1f} above that of another event")

figure, panels = plt.subplots(1, 2, figsize=(8.5, 3), sharey=True)
for at_least, panel in zip((1, 5), panels, strict=True):
    print(f"clicks if at least {at_least} of ten match; random events inserted: {INSERTED}")
    for (name, pool), marker in zip(POOLINGS.items(), "os^v", strict=True):
        found = np.empty((len(INSERTED), 5))
        for i, seed in np.ndindex(found.shape):
            q, k, clicked = planted.clicks_on_matches(seed, at_least, INSERTED[i])
            found[i, seed] = auc_numpy((pool(q, k) * q).sum((1, 2)), clicked)
        print(
            f"   {name:17}", *(f"{mean:.2f} ± {sd:.2f}  " for mean, sd in zip(found.mean(1), found.std(1), strict=True))
        )
        panel.errorbar(INSERTED, found.mean(1), found.std(1), marker=marker, capsize=3, label=name)
    panel.set_title(f"clicks if at least {at_least} of ten match")
    panel.set_xlabel("random events inserted")
    panel.axhline(0.5, color="grey", linestyle=":")
    panel.text(0, 0.505, "coin toss", color="grey")
panels[0].set_ylabel("AUC, mean ± sd of 5 seeds")
panels[1].legend(frameon=False, loc="center right", fontsize=8)
plt.show()

# %% [markdown]
# In the first world softmax attention is far better than the mean and loses less to the noise. In the second, plain **mean
# pooling wins**, and softmax attention is not far from a coin toss: a match scores about $32 / \sqrt{32}$ above the rest,
# the softmax saturates, and one match looks like eight. A higher temperature buys the count back and pays for it in the first
# world. A sigmoid for each event, its bias set by hand, is good in both and best in neither; DIN and HSTU drop the softmax to
# keep such an intensity. So "attention is robust to noise" is neither right nor wrong: say for which label, and at which
# temperature.
#
# **Imbalance.** The weights redistribute *within one sample*. That one impression in a hundred is clicked is a property of the
# *set of samples*, which they do not see. The first world again, once balanced and once with 1 % positives, a logistic
# regression on the score:


# %%
def fit(score, label):
    """Logistic regression on one feature by Newton's method: probabilities of the label."""
    x = np.stack([np.ones_like(score), (score - score.mean()) / score.std()], axis=1)
    beta = np.zeros(2)
    for _ in range(30):
        p = 1 / (1 + np.exp(-x @ beta))
        beta += np.linalg.solve((x * (p * (1 - p))[:, None]).T @ x + 1e-6 * np.eye(2), x.T @ (label - p))
    return 1 / (1 + np.exp(-x @ beta))


worlds = [planted.clicks_on_matches(seed, at_least=1, inserted=40) for seed in range(20)]
for share in (0.5, 0.01):
    for name in ("mean", "softmax"):
        score, label = [], []
        for q, k, clicked in worlds:
            keep = clicked.nonzero()[0][: int(share / (1 - share) * (~clicked).sum())]
            rows = np.concatenate([keep, (~clicked).nonzero()[0]])
            score.append((POOLINGS[name](q, k) * q).sum((1, 2))[rows])
            label.append(clicked[rows])
        score, label = np.concatenate(score), np.concatenate(label)
        p = fit(score, label)
        print(
            f"{label.mean():4.0%} positive, {name:7}: AUC {auc_numpy(score, label):.2f}, mean prediction {p.mean():.2f}, "
            f"recall at 0.5: {(p[label] > 0.5).mean():.2f}, at the base rate: {(p[label] > label.mean()).mean():.2f}"
        )

# %% [markdown]
# With 1 % positives both fits predict 1 % on average, and recall at 0.5 falls from 0.60 to 0.00 and from 0.78 to 0.32: the
# threshold was chosen for another base rate, and a threshold at the base rate cures it, for either pooling. (AUC moves a little because
# 1 % leaves 200 positives.) Imbalance is treated by sampling, by weights in the loss, by calibration and by the threshold. If
# *popularity* imbalance is meant, measure exposure; nothing above says that attention helps or hurts there.
#
# ## 8 · If nothing is relevant
#
# Softmax weights sum to one, so an irrelevant history is still a full vector of *something*. A **null key** lets the query
# decline; a **sigmoid** weighs each event alone. The weight that ten events get in sum, where none, one or all of them match:

# %%
match, other, ones = np.full((1, 16), 2.0), np.zeros((1, 16)), np.ones((10, 1))  # a match scores 16, the others 0
print("             softmax   null key at a score of 12   null key at a match's 16   sigmoid, bias -8")
for name, events in (("no match", [other] * 10), ("1 of 10", [match] + [other] * 9), ("10 of 10", [match] * 10)):
    k, null = np.concatenate(events), library.null_key_attention.null_key_attention_numpy
    print(
        f"{name:10}"
        f"{sdpa.scaled_dot_product_attention_numpy(match, k, ones).item():10.2f}"
        f"{null(match, k, ones, 0.75 * match[0], np.zeros(1)).item():28.2f}"
        f"{null(match, k, ones, match[0], np.zeros(1)).item():27.2f}"
        f"{library.sigmoid_attention.sigmoid_attention_numpy(match, k, ones, bias=-8.0).item():19.2f}"
    )

# %% [markdown]
# The plain softmax spends everything whatever comes. A null key lets it decline, and even count if its own score is near a
# match's; the sigmoid counts without saturating.
#
# ## 9 · Where can context enter?
#
# "Attention takes the context (time, place, device) into account" is not an answer until you say where. Four common
# places (the value is another; TiSASRec adds its gaps there too):
#
# | place | formula | example |
# |---|---|---|
# | query | $(q + c) \cdot k_s$ | the session's vector added to the candidate |
# | key | $q \cdot (k_s + r_s)$ | an embedding of the time gap added to every event (TiSASRec) |
# | bias | $q \cdot k_s + b_s$ | a number for each bucket of the gap (HSTU) |
# | gate | $\gamma(c) \odot \mathrm{out}$ | the device scales the output, the weights stay (in the spirit of PEPNet) |
#
# Another user's history and one candidate. The context is how long ago each event was (key, bias), the films of the last day
# (query), and a made-up device (gate). How old is what is attended to, on average?

# %% tags=["raises-exception"]
films = movielens.load()
mine = np.flatnonzero(films.users == 810)
mine = mine[np.argsort(films.timestamps[mine], kind="stable")]
age = (films.timestamps[mine].max() - films.timestamps[mine]) / 86400  # days before the last event
vectors = film_vectors(films)
candidate = by_title(films, "Contact")
assert candidate not in films.items[mine]
q, k = vectors[candidate], vectors[films.items[mine]]

print(f"{len(mine)} events over {age.max():.0f} days")
scores = q @ k.T / math.sqrt(32)
session = k[age < 1].mean(0)
recency = -np.log1p(age)
direction = np.sqrt(32) * q / (q @ q.T)  # a key moved by r along it has a score higher by r
gate = 1 / (1 + np.exp(-np.random.RandomState(0).randn(32)))  # what a layer would make of the device
for place, logits in (
    ("none", scores),
    ("query", (q + session) @ k.T / math.sqrt(32)),
    ("key", q @ (k + recency[:, None] * direction).T / math.sqrt(32)),
    ("bias", scores + recency),
    ("gate", scores),
):
    weights = library.softmax.softmax_numpy(logits)[0]
    out = weights @ k * (gate if place == "gate" else 1)
    print(f"{place:6} average age {weights @ age:5.1f} days, cosine of output and candidate {cosine(out, q[0]):.2f}")

# %% [markdown]
# The query moves attention towards whatever resembles the films of the last day, of
# whatever age: time enters only through likeness. `key` and `bias` agree because the
# keys were moved along *this* query; another query would meet another bias, and that is what a learned key embedding has over
# a learned bias, which in turn is cheaper and easier to read. The gate changes the output and not the weights, so no plot of
# the weights will show it.

# %% [markdown] tags=["follow-up"]
# ## Follow-ups
#
# <details><summary><b>What does target attention cost at serving, and why is it not in two-tower retrieval? 目标注意力的线上开销有多大？为什么不能用于双塔召回？</b></summary>
#
# $N$ candidates meet $s$ events: $O(N s d)$ for each request, against $O(N d)$ with one user vector. A two-tower retriever
# looks up neighbours of a user vector that was computed *before* any candidate is known, so that vector cannot depend on one.
# Hence retrieval does without it (or keeps several interest vectors) and ranking uses it: there one projects the
# history once, scores all candidates
# in one pass, and truncates or searches long histories.
# </details>
#
# <details><summary><b>Is attention an explanation? 注意力权重是解释吗？</b></summary>
#
# Not by itself. A large weight on a value that the next layer ignores explains nothing, and the weights of several heads
# and layers do not add up. Test it: leave the event out and see whether the prediction moves; compare with gradient × input.
# </details>
#
# <details><summary><b>Attention, gating, convolution: what is the difference? 注意力、门控、卷积有何区别？</b></summary>
#
# All weigh inputs. A convolution's weights are fixed after training and depend on the position. A gate's weights are computed
# from the input (a sigmoid for each channel, or a softmax over experts, as in MMoE). Attention's are computed by comparing a
# query with *each* key, so it takes any number of them, in any order.
# </details>
#
# <details><summary><b>A user with an empty history: what happens, and what should? 没有历史行为的用户怎么办？</b></summary>
#
# With $-\infty$ and a plain softmax NaN; with $-10^9$ the mean of the padding embeddings, which looks healthy and is not; with
# our rule zeros, which the next layer can usually tell from a real history. A learned null value is the same with a prior. Train
# with such rows, or serving will be the first to see one.
# </details>
#
# <details><summary><b>Why not always DIN's unnormalised weights? 为什么不一律采用 DIN 那样未归一化的权重？</b></summary>
#
# They keep the intensity, but the output grows with the length of the history, so its scale depends on the user's activity;
# a softmax's output stays among its values. HSTU divides by the (padded) length. Section 7 is the argument in small. And mind
# the source: DIN's paper has no softmax, the code its authors released has one.
# </details>
#
# <details><summary><b>How does kernel regression see it? 如何从核回归的角度理解注意力？</b></summary>
#
# Nadaraya–Watson regression predicts $\sum_s K(x, x_s)\, y_s / \sum_s K(x, x_s)$. With $K(q, k) = e^{q \cdot k / \sqrt d}$ this *is*
# softmax attention: keys are the training points, values their labels, √d the squared bandwidth. If all keys have one
# length, it is the Gaussian kernel exactly:
# </details>

# %%
draw = np.random.RandomState(0)
x, points, labels = unit(draw.randn(1, 8)), unit(draw.randn(20, 8)), draw.randn(20, 1)  # one length for all keys
gaussian = np.exp(-((x - points) ** 2).sum(-1) / (2 * math.sqrt(8)))  # the squared bandwidth is √d
print(f"Nadaraya-Watson: {(gaussian @ labels / gaussian.sum()).item():.6f}")
print(f"attention:       {sdpa.scaled_dot_product_attention_numpy(x, points, labels).item():.6f}")

# %% [markdown] tags=["trap"]
# ## Traps
#
# - A boolean mask means *may attend* in SDPA and *blocked* in `nn.MultiheadAttention`.
# - `scores.masked_fill(mask, -inf)` without the `~`; or `mask.masked_fill(~mask, -inf)`, the mask in place of the scores: it is `True` everywhere.
# - Masking the queries' axis instead of the keys': padding is still attended to. In the scores the keys' axis is the last.
# - Equal sizes hide bugs. With t = s = d = e a scale by the wrong width passes every test; the checks here use
#   2, 3, 5, 7, 11, 13.
# - `softmax(x).sum().backward()` as a gradient test: the exact gradient is 0, so an answer that returns zeros passes. `out.sum()` is
#   weak as well: every column of v gets the same upstream gradient. Use a random one.
# - Attention weights are activations, computed for each input; what is learned is the projections and the embeddings.

# %%
mask = torch.tensor([True, False])
print("mask.masked_fill(~mask, -inf):", mask.masked_fill(~mask, -math.inf))
x = torch.randn(4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
(grad,) = torch.autograd.grad(library.softmax.softmax(x).sum(), x)
print("gradient of softmax(x).sum():", "below 1e-15 everywhere" if grad.abs().max() < 1e-15 else grad)

# %% [markdown]
# ## Sources
#
# - Bahdanau, Cho, Bengio: *Neural Machine Translation by Jointly Learning to Align and Translate*, ICLR 2015, [1409.0473](https://arxiv.org/abs/1409.0473)
# - Luong, Pham, Manning: *Effective Approaches to Attention-based Neural Machine Translation*, EMNLP 2015, [1508.04025](https://arxiv.org/abs/1508.04025)
# - Vaswani et al.: *Attention Is All You Need*, NeurIPS 2017, [1706.03762](https://arxiv.org/abs/1706.03762)
# - Zhou et al.: *Deep Interest Network for Click-Through Rate Prediction*, KDD 2018, [1706.06978](https://arxiv.org/abs/1706.06978)
# - Kang, McAuley: *Self-Attentive Sequential Recommendation*, ICDM 2018, [1808.09781](https://arxiv.org/abs/1808.09781)
# - Li, Wang, McAuley: *Time Interval Aware Self-Attention for Sequential Recommendation*, WSDM 2020
# - Zhai et al.: *Actions Speak Louder than Words* (HSTU), ICML 2024, [2402.17152](https://arxiv.org/abs/2402.17152)
# - Xiao et al.: *Attentional Factorization Machines*, IJCAI 2017, [1708.04617](https://arxiv.org/abs/1708.04617);
#   Song et al.: *AutoInt*, CIKM 2019, [1810.11921](https://arxiv.org/abs/1810.11921);
#   Huang et al.: *FiBiNET*, RecSys 2019, [1905.09433](https://arxiv.org/abs/1905.09433);
#   Chang et al.: *PEPNet*, KDD 2023, [2302.01115](https://arxiv.org/abs/2302.01115)
# - Ramapuram et al.: *Theory, Analysis, and Best Practices for Sigmoid Self-Attention*, 2024, [2409.04431](https://arxiv.org/abs/2409.04431)
# - Xiao et al.: *Efficient Streaming Language Models with Attention Sinks*, ICLR 2024, [2309.17453](https://arxiv.org/abs/2309.17453)
# - Jain, Wallace: *Attention is not Explanation*, NAACL 2019, [1902.10186](https://arxiv.org/abs/1902.10186);
#   Wiegreffe, Pinter: *Attention is not not Explanation*, EMNLP 2019, [1908.04626](https://arxiv.org/abs/1908.04626)
# - Harper, Konstan: *The MovieLens Datasets: History and Context*, ACM TiiS 5(4):19, 2015. The data belongs to GroupLens
#   and is fetched to your own cache; it may be used for research and not be redistributed.
#
# `recattn` in a terminal says which exercises hold and which is next.
