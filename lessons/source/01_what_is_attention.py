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
# Cells that end in `raise NotImplementedError("your turn …")` are yours: write the body, run the cell (Shift+Enter),
# run the `check` below it. A wrong answer is told where it is wrong and, if others made the mistake before you,
# *which mistake it is*. `hint(f)` nudges, `hint(f, 3)` is a recipe, `solution(f)` shows the key once yours holds.
# Nothing further down needs your answers, so read in any order.
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
# Attention is a weighted mean whose weights are computed from the data. A **query** is compared with **keys**; the
# scores are normalised, usually by a softmax; the output is the weighted sum of the **values**.
#
# In a recommender the query is typically the candidate item, and keys and values are the events of the user's history.
# So the same user looks different to every candidate: a thriller is judged by the thrillers I watched. Mean pooling
# gives all candidates one and the same user.
#
# Say which axis you weigh, because the word is used for three: the **events** of a history (DIN, SASRec), the
# **fields** of one event (AFM, SENet), or **modalities and experts** (gates). And say what belongs to the definition:
# the scale √d, and a mask that hides padding and the future.
#
# It is no cure for noise or imbalance by itself. A softmax always spends its whole weight, on one well-aligned item if
# there is one, and on irrelevant items if there is nothing else.
#
# <details><summary>要点（中文）</summary>
#
# - 注意力 = 权重由数据算出的加权平均：查询（query）与键（key）算相似度，归一化（通常用 softmax），再对值（value）加权求和。
# - 推荐里最常见的是目标注意力：候选物品作查询，用户行为序列作键和值；同一用户面对不同候选得到不同的兴趣表示，均值池化则只有一个。
# - 说清在哪个维度上加权：行为（DIN、SASRec）、特征域（AFM、SENet）、模态或专家（门控）。
# - 缩放 √d 与掩码（填充、因果）是定义的一部分；整行被掩码时输出应为 0，而不是 NaN。
# - 它本身既不去噪，也不解决不平衡：softmax 权重之和恒为 1，一个对得很准的物品会拿走大部分权重；没有相关物品时权重也得花出去。
#
# </details>

# %% tags=["imports"]
import functools
import math

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import recattn_mini.attention.additive_attention
import recattn_mini.attention.concat_attention
import recattn_mini.attention.dot_attention
import recattn_mini.attention.masks
import recattn_mini.attention.multiplicative_attention
import recattn_mini.attention.null_key_attention
import recattn_mini.attention.scaled_dot_product_attention
import recattn_mini.attention.sigmoid_attention
import recattn_mini.attention.softmax
from recattn_mini.check import check, hint, solution
from recattn_mini.data import movielens

library = recattn_mini.attention  # ours; what you write has the same names without the word library
sdpa = library.scaled_dot_product_attention
plt.rcParams.update({"figure.dpi": 110, "axes.spines.top": False, "axes.spines.right": False, "font.size": 9})
torch.set_printoptions(precision=3, sci_mode=False)
np.set_printoptions(precision=3, suppress=True)

# %% [markdown]
# ## 1 · One person, five candidates
#
# Before any formula, look at it. Below is the real history of a MovieLens user, and five films that this user had not
# rated. Every film gets a vector from who watched what, without training: the leading singular vectors of the
# co-watching matrix, scaled so that a coordinate has variance one. The candidate is the query; the history is the keys.


# %%
@functools.cache
def film_vectors(films, d=32):
    """A vector for every film from who watched it: singular vectors 2 to d+1 (the first is popularity)."""
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

watched = [set(films.users[films.items == film]) for film in by_title(films, "Titanic", "Scream")]
titanic, scream = watched
print(
    f"Scream was rated by {len(scream) / 943:.0%} of all users, by {len(titanic & scream) / len(titanic):.0%} of those who rated Titanic"
)

figure, axes = plt.subplots(figsize=(10, 3.2))
image = axes.imshow(weights, cmap="cividis", vmin=0, aspect="auto")
axes.set_yticks(range(len(CANDIDATES)), CANDIDATES)
axes.set_xticks(range(len(history)), [films.titles[i][:24] for i in history], rotation=55, ha="right")
axes.set_xlabel("the user's history, in time order: the keys")
axes.set_ylabel("candidates: the queries")
figure.colorbar(image, label="weight", fraction=0.03, pad=0.01)
plt.show()

# %% [markdown]
# Every row is a softmax and sums to one; every row is another reading of the same person. *Psycho* looks at *Jaws*,
# *Aladdin* at *Beauty and the Beast*. *Titanic* looks at *Scream*, which is no likeness of content: the same people rated
# both. Attention finds whatever the vectors know, exposure included.
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
# The same function, three answers to "what do you attend to?". Ask which axis plays the part of `s`:

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
# The two forms are equal on paper. On a machine the first one breaks at a score of 710:

# %%
with np.errstate(over="ignore", invalid="ignore"):
    scores = np.array([710.0, 709.0])
    print("textbook:", np.exp(scores) / np.exp(scores).sum())
print("shifted: ", library.softmax.softmax_numpy(scores))

# %% [markdown]
# And a row of nothing but $-\infty$, a user whose whole history is padding, has $-\infty$ as its maximum:
# $-\infty - (-\infty)$ is NaN, and one NaN poisons every parameter at the next step. Our rule, all through the course: **a row with nothing to attend
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
# that it was wrong. Sharpness is a matter of scale alone:

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
widths, rows = (4, 16, 64, 256), []
for d in widths:
    q, k = draw.randn(1000, 1, d), draw.randn(1000, 50, d)
    scores = (q @ np.swapaxes(k, -1, -2))[:, 0]
    for name, logits in (("raw", scores), ("/√d", scores / math.sqrt(d))):
        p = library.softmax.softmax_numpy(logits)
        entropy = -(p * np.log(np.maximum(p, 1e-300))).sum(-1).mean()
        gradient = np.linalg.norm(p[:, :, None] * (np.eye(50) - p[:, None, :]), axis=(1, 2)).mean()
        rows.append((d, name, logits.var(), entropy, gradient))
        print(f"d={d:<4} {name}  variance {logits.var():6.2f}  entropy {entropy:.2f} of 3.91  Jacobian {gradient:.3f}")

figure, axes = plt.subplots(figsize=(5, 2.8))
for name, marker in (("raw", "o"), ("/√d", "s")):
    axes.plot(widths, [r[3] for r in rows if r[1] == name], marker=marker, label=f"q·k {name}")
axes.axhline(math.log(50), color="grey", linestyle=":")
axes.text(widths[0], math.log(50) - 0.07, "uniform over 50 keys", color="grey", va="top")
axes.set_xscale("log", base=2)
axes.set_xticks(widths, widths)
axes.set_xlabel("width d of q and k")
axes.set_ylabel("entropy of the weights (nats)")
axes.legend(frameon=False)
plt.show()

# %% [markdown]
# The last column is the size of the softmax's Jacobian, which every gradient has to pass: raw, it sinks to 0.116 as the model
# grows wider; scaled, it stays where it was.
#
# The argument assumes variance one. If your embeddings are tiny (Keras starts them in ±0.05) the same formula gives uniform
# weights, mean pooling; if they grow in training it gives one-hot ones. *The temperature of a dot product is the
# product of two norms.* It is `d`, the width of `q` and `k`: not the width of `v`, not the number of keys.

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
# right*. `is_causal=True` of PyTorch aligns top left, and gives a lone new query the oldest key only.

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
# Three histories in one batch, padded on the left as SASRec does. White may be attended to:

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
    panel.spines[:].set_visible(True)
panels[0].set_ylabel("query")
plt.show()

# %% [markdown]
# The first three rows of the second user and all rows of the third have *nothing* to attend to. Four ways to treat them:

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
# The question that separates. Write $W$ for the weights, $G$ for the gradient of the output. Go back step by step:
# through $W v$, through the softmax (section 3), through $q k^\top / \sqrt d$. Three gradients, no loops, no autograd.

# %% tags=["exercise"]
from recattn_mini.attention.scaled_dot_product_attention import scaled_dot_product_attention_backward_numpy

# %%
check(scaled_dot_product_attention_backward_numpy)

# %% [markdown]
# ### Other scores
#
# **Additive** (Bahdanau): $w^\top \tanh(W_q q_t + W_k k_s)$. A small network for each pair: $O(t\,s\,a)$ memory where the
# dot product needs $O(t\,s)$, but no √d, since tanh bounds the score; and `q` and `k` may differ in width.
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
# "Attention reduces the influence of noise and of data imbalance", says a widely copied answer to this question; the
# same text lists over-sensitivity to noise among its weaknesses. Ask what is meant, and measure.
#
# **One well-aligned item takes most of the weight.** Put one item among 50 that points in the query's direction, with
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
# first, a user clicks if *any* event of ten matches the candidate; in the second, if *more than four* do. Then random
# events are inserted. AUC of the score `output · candidate`:


# %%
def planted(seed, inserted, clicks_if):
    """2,000 users with ten events of 20 categories, and random events besides."""
    draw = np.random.RandomState(seed)
    centre, target = draw.randn(20, 32), draw.randint(20, size=2000)
    matches = draw.randint(0, 2, size=2000) if clicks_if == "any matches" else draw.randint(1, 9, size=2000)
    category = (target[:, None] + draw.randint(1, 20, size=(2000, 10))) % 20  # all of them other categories, so far
    category = np.where(np.arange(10) < matches[:, None], target[:, None], category)
    events = np.concatenate([centre[category] + draw.randn(2000, 10, 32), 1.4 * draw.randn(2000, inserted, 32)], axis=1)
    return centre[target][:, None], events, matches > (0 if clicks_if == "any matches" else 4)


def auc(score, label):
    """The share of pairs in the right order."""
    rank = score.argsort().argsort() + 1
    positive = label.sum()
    return (rank[label].sum() - positive * (positive + 1) / 2) / (positive * (len(label) - positive))


POOLINGS = {
    "mean": lambda q, k: k.mean(1, keepdims=True),
    "softmax": lambda q, k: sdpa.scaled_dot_product_attention_numpy(q, k, k),
    "sigmoid": lambda q, k: library.sigmoid_attention.sigmoid_attention_numpy(q, k, k, bias=-4.0),
}
WORLDS, INSERTED = ("any matches", "more than four match"), (0, 10, 40)

figure, panels = plt.subplots(1, 2, figsize=(8, 2.8), sharey=True)
for clicks_if, panel in zip(WORLDS, panels, strict=True):
    print(f"clicks if {clicks_if}, with {INSERTED} random events inserted")
    for (name, pool), marker in zip(POOLINGS.items(), "os^", strict=True):
        found = np.array(
            [
                [auc((pool(q, k) * q).sum((1, 2)), label) for q, k, label in [planted(seed, inserted, clicks_if)]]
                for inserted in INSERTED
                for seed in range(5)
            ]
        ).reshape(len(INSERTED), 5)
        print(
            f"   {name:8}", "   ".join(f"{m:.2f} ± {d:.2f}" for m, d in zip(found.mean(1), found.std(1), strict=True))
        )
        panel.errorbar(INSERTED, found.mean(1), found.std(1), marker=marker, capsize=3, label=name)
    panel.set_title(f"clicks if {clicks_if}")
    panel.set_xlabel("random events inserted")
    panel.axhline(0.5, color="grey", linestyle=":")
panels[0].set_ylabel("AUC")
panels[1].legend(frameon=False)
plt.show()

# %% [markdown]
# In the first world softmax attention is far better than the mean and loses less to the noise. In the second it is not far
# from a coin toss, with or without noise: dividing by the sum divides the *count* away, and the count was the label. A sigmoid
# for each event keeps most of it, which is the argument of DIN and HSTU against the softmax. So "attention is robust to
# noise" is neither right nor wrong: say for which label, and against what.
#
# **Imbalance.** The weights redistribute *within one sample*. That one click in a hundred is positive is a property of the
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


worlds = [planted(seed, 40, "any matches") for seed in range(20)]
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
            f"{label.mean():4.0%} positive, {name:7}: AUC {auc(score, label):.2f}, mean prediction {p.mean():.2f}, "
            f"recall at 0.5: {(p[label] > 0.5).mean():.2f}"
        )

# %% [markdown]
# With 1 % positives both fits predict 1 % on average, and recall at 0.5 falls from 0.60 to 0.00 and from 0.79 to 0.32. The
# better score keeps more of it, as any better score would; the imbalance is still there, for both. It is treated by
# sampling, by weights in the loss, by calibration and by the choice of the threshold. If *popularity*
# imbalance is meant, measure exposure (lesson 05); nothing above says that attention helps or hurts there.
#
# ## 8 · If nothing is relevant
#
# Softmax weights sum to one, so an irrelevant history is still a full vector of *something*. A **null key** lets the
# query decline, and a **sigmoid** weighs each event alone. One matching event against ten:

# %%
match = np.full((1, 16), 2.0)
other = np.zeros((1, 16))
for name, events in (("no match", [other] * 10), ("1 of 10", [match] + [other] * 9), ("10 of 10", [match] * 10)):
    k = np.concatenate(events)
    v = (k[:, :1] > 0).astype(float)  # 1 for a match: the output is "how much of it"
    plain = sdpa.scaled_dot_product_attention_numpy(match, k, v).item()
    null = library.null_key_attention.null_key_attention_numpy(match, k, v, np.full(16, 1.5), np.zeros(1)).item()
    kept = library.null_key_attention.null_key_attention_numpy(
        match, k, np.ones((10, 1)), np.full(16, 1.5), np.zeros(1)
    ).item()
    gate = library.sigmoid_attention.sigmoid_attention_numpy(match, k, v, bias=-8.0).item()
    print(f"{name:9} softmax {plain:.2f}   null key {null:.2f} (declines {1 - kept:.2f})   sigmoid {gate:.2f}")

# %% [markdown]
# The softmax cannot tell one match from ten; the sigmoid can; with a null key the softmax can at least decline.
#
# ## 9 · Where can context enter?
#
# "Attention takes the context (time, place, device) into account" is not an answer until you say where. There are four
# places:
#
# | place | formula | example |
# |---|---|---|
# | query | $(q + c) \cdot k_s$ | the session's vector added to the candidate |
# | key | $q \cdot (k_s + r_s)$ | an embedding of the time gap added to every event (TiSASRec) |
# | bias | $q \cdot k_s + b_s$ | a number for each bucket of the gap (HSTU) |
# | gate | $\gamma(c) \odot \mathrm{out}$ | the device scales the output, the weights stay (PEPNet) |
#
# Another user's history, one candidate, and recency as the context. How old is what is attended to, on average?

# %% tags=["raises-exception"]
films = movielens.load()
mine = np.flatnonzero(films.users == 810)
mine = mine[np.argsort(films.timestamps[mine], kind="stable")]
age = (films.timestamps[mine].max() - films.timestamps[mine]) / 86400  # days before the last event
vectors = film_vectors(films)
q, k = vectors[by_title(films, "Titanic")], vectors[films.items[mine]]

print(f"{len(mine)} events over {age.max():.0f} days")
scores = q @ k.T / math.sqrt(32)
session = k[age < 1].mean(0)
recency = -np.log1p(age)
direction = np.sqrt(32) * q / (q @ q.T)  # a key moved by r along it has a score higher by r
gate = 1 / (1 + np.exp(-np.random.RandomState(0).randn(32)))
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
# `key` and `bias` agree, by construction: a bias that depends on the event alone is a key moved along
# the query. A learned key embedding can do more (it interacts with *every* query), a bias is cheaper and easier to read.
# The gate changes the output and not the weights, so no plot of the weights will show it.

# %% [markdown] tags=["follow-up"]
# ## Follow-ups
#
# <details><summary><b>Is attention an explanation? 注意力权重是解释吗？</b></summary>
#
# No more than a coefficient without its feature. A large weight on a value that the next layer ignores explains nothing,
# and the weights of several heads and layers do not add up. Test it: leave the event out and see whether the prediction
# moves; compare with gradient × input. Lesson 08 measures how far they agree.
# </details>
#
# <details><summary><b>Attention, gating, convolution: what is the difference? 注意力、门控、卷积有何区别？</b></summary>
#
# All weigh inputs. A convolution's weights are fixed after training and depend on the position; a gate's weights are computed, each
# on its own (sigmoid), usually one for each channel; attention's are computed by comparing *pairs*, and a softmax makes
# them compete.
# </details>
#
# <details><summary><b>What is the kernel-regression view? 核回归视角？</b></summary>
#
# Nadaraya–Watson regression predicts $\sum_s K(x, x_s)\, y_s / \sum_s K(x, x_s)$. With $K(q, k) = e^{q \cdot k / \sqrt d}$ this
# *is* softmax attention: keys are the training points, values their labels, √d the squared bandwidth. If all keys have
# one length, it is the Gaussian kernel exactly.
# </details>
#
# <details><summary><b>A user with an empty history: what happens, and what should? 空历史的用户怎么办？</b></summary>
#
# With $-\infty$ and a plain softmax NaN; with $-10^9$ the mean of the padding embeddings, which looks healthy and is not;
# with our rule zeros, which the next layer can tell from any real history. A learned null value is the same with a prior.
# Train with such rows, or serving will be the first to see one.
# </details>
#
# <details><summary><b>Why not always DIN's unnormalised weights? 为什么不总用未归一化的权重？</b></summary>
#
# They keep the intensity, but the output then grows with the length of the history, so scale depends on the user's
# activity; a softmax's output stays among its values. HSTU divides by the (padded) length. Section 7 is the argument in small.
# </details>

# %%
draw = np.random.RandomState(0)
x, points, labels = draw.randn(1, 8), draw.randn(20, 8), draw.randn(20, 1)
points, x = unit(points), unit(x)  # one length for all keys
gaussian = np.exp(-((x - points) ** 2).sum(-1) / (2 * math.sqrt(8)))  # the squared bandwidth is √d
print("Nadaraya-Watson:", (gaussian @ labels / gaussian.sum()).item().__round__(6))
print("attention:      ", sdpa.scaled_dot_product_attention_numpy(x, points, labels).item().__round__(6))

# %% [markdown] tags=["trap"]
# ## Traps
#
# - A boolean mask means *may attend* in SDPA and *blocked* in `nn.MultiheadAttention`.
# - `scores.masked_fill(mask, -inf)` without the `~`; or filling the boolean mask itself, which masks nothing.
# - Padding a history and masking the *queries*: nothing is hidden. The keys' axis is the last.
# - Equal sizes hide bugs. With t = s = d = e a scale by the wrong width passes every test; the checks here use
#   2, 3, 5, 7, 11, 13.
# - `out.sum().backward()` as a gradient test: the gradient of a sum of softmax weights is zero, whatever the code.
# - A learned weight is not a learned *attention* weight: one learns projections and embeddings, the weights are activations.

# %%
weights = torch.randn(4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
(grad,) = torch.autograd.grad(library.softmax.softmax(weights).sum(), weights)
print("gradient of softmax(x).sum():", "below 1e-15 everywhere" if grad.abs().max() < 1e-15 else grad)

# %% [markdown]
# ## Sources
#
# - Bahdanau, Cho, Bengio: *Neural Machine Translation by Jointly Learning to Align and Translate*, ICLR 2015, [1409.0473](https://arxiv.org/abs/1409.0473)
# - Luong, Pham, Manning: *Effective Approaches to Attention-based Neural Machine Translation*, EMNLP 2015, [1508.04025](https://arxiv.org/abs/1508.04025)
# - Vaswani et al.: *Attention Is All You Need*, NeurIPS 2017, [1706.03762](https://arxiv.org/abs/1706.03762)
# - Zhou et al.: *Deep Interest Network for Click-Through Rate Prediction*, KDD 2018, [1706.06978](https://arxiv.org/abs/1706.06978)
# - Li, Wang, McAuley: *Time Interval Aware Self-Attention for Sequential Recommendation*, WSDM 2020
# - Ramapuram et al.: *Theory, Analysis, and Best Practices for Sigmoid Self-Attention*, 2024, [2409.04431](https://arxiv.org/abs/2409.04431)
# - Xiao et al.: *Efficient Streaming Language Models with Attention Sinks*, ICLR 2024, [2309.17453](https://arxiv.org/abs/2309.17453)
# - Jain, Wallace: *Attention is not Explanation*, NAACL 2019; Wiegreffe, Pinter: *Attention is not not Explanation*, EMNLP 2019
# - Harper, Konstan: *The MovieLens Datasets: History and Context*, ACM TiiS 5(4):19, 2015. The data belongs to GroupLens
#   and is fetched to your own cache; it may be used for research and not be redistributed.
#
# Next: **02 · Design an attention model.** `recattn` in a terminal says which exercises hold and which is next.
