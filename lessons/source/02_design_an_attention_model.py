# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # 02 · How would you design an attention model for a recommender?
#
# Write the body of each cell that ends in `raise NotImplementedError("your turn …")`, run it, run the `check` below it. `hint(f)`
# nudges, `hint(f, 3)` is a recipe, `solution(f)` shows the key once yours holds. Nothing further down needs your answers.
#
# Shapes have the letters of lesson 01: `b` batch, `h` heads, `t` queries, `s` keys (the events of a history), `d` the width of q and k, `c` and `e` those of
# k and v where they differ, `a` the width between projections, or of a score's hidden layer, `n` candidates. `(a d)` is a matrix of $a$ rows, as in `nn.Linear`.
#
# | exercise | level | minutes |
# |---|---|---|
# | `multi_head_attention` | medium | 15 |
# | `cross_attention` | easy | 5 |
# | `encoder_block` | medium | 15 |
# | `sinusoidal_positions_numpy` | easy | 8 |
# | `augru_cell_numpy` | medium | 15 |
# | `additive_pooling` | medium | 10 |
# | `din_attention` | medium | 10 |
# | `MultiHeadAttention` | medium | 15 |

# %% [markdown] tags=["question"]
# ## The question
#
# > **How would you design an attention model for a recommender?**
# >
# > 在推荐系统中，如何设计注意力机制模型？
#
# *Mid-level and up; fifteen minutes at a whiteboard.* It comes as "here is a click log, draw me the model", as "RNN, CNN or
# Transformer: why?", or as seven lines of Keras and "what is wrong with this?".
#
# **What the interviewer is after.** Whether you ask for the stage and the latency before you draw; whether you can say who is the
# query; whether mask, position, normaliser and loss come without being asked for; and whether you know what your design would have to beat.

# %% [markdown] tags=["answer"]
# ## The answer in 60 seconds
#
# First I ask **where**: retrieval or ranking, how long a history, how many candidates and milliseconds. The base model follows.
#
# *Retrieval* needs a user vector that does not know the candidate, so an index can be searched: causal self-attention over the history (SASRec),
# a GRU, or several interest vectors, trained with a softmax over items. *Ranking* may see the candidate: **target
# attention**, the candidate as query, the history as keys and values (DIN), trained on clicks with binary cross-entropy. If interests *evolve*, an RNN
# whose update gate that attention scales (DIEN), at the price of sequential steps. If items are *texts*, attention pools words (NAML).
#
# Then six choices: **query**; **mask**, for padding always, for the future where the next item is predicted; **position** or
# time, as attention alone reads a set; **normaliser**, as a softmax averages and raw weights count; **where it is added**, residual and
# pre-norm; **loss and negatives**. One tunes heads; weights are *learned*.
#
# And I compare with mean pooling under the same network, tuned as well: self-attention followed by a mean can lose to it.
#
# <details><summary>要点（中文）</summary>
#
# - 先问场景：召回还是精排、行为序列多长、候选多少、时延预算多少；基础模型由此决定，而不是一上来就选 RNN、CNN 或 Transformer。
# - 召回：用户向量不能依赖候选，才能用索引做近似最近邻检索；可用带因果掩码的自注意力（SASRec）、GRU 或多兴趣向量，损失是物品全集（或采样）上的 softmax。
# - 精排：目标注意力，候选作查询，行为序列作键和值（DIN 的局部激活单元），用点击标签和二元交叉熵训练。兴趣随时间演化时用 DIEN 的 AUGRU，由注意力权重缩放更新门，代价是只能逐步串行计算；物品是文本时，用加性注意力把词聚合成物品向量（NAML）。
# - 六个设计点：查询是谁；掩码（填充掩码必加，预测下一个物品时再加因果掩码）；位置编码或时间信息；归一化方式（softmax 得到加权平均，不归一化则保留兴趣强度）；残差连接与前置归一化；损失与负采样。
# - 注意力权重是学出来的，不是调出来的；要调的是头数、维度、dropout、学习率。
# - 基线：顶层网络相同、同样调过参的均值池化。自注意力之后再取平均不一定比它好；目标注意力才直接建模“候选—行为”的交互。
#
# </details>
#
# <details><summary>Who is who: the models named on this page</summary>
#
# | | |
# |---|---|
# | DIN | the candidate attends to the history; a small network scores each pair |
# | DIEN | a GRU over the history whose update gate is scaled by such attention (AUGRU) |
# | SASRec | causal self-attention; predicts the next item |
# | NARM | a GRU whose last state attends to all its states |
# | STAMP | the last click and the mean of the session ask; no RNN |
# | NAML | a CNN reads words, additive attention pools them into news, and news into a user |
# | NRMS | the same with self-attention in place of the CNN |
# | ComiRec-SA | several learned queries pool one history into several interests |
# | MIND | several interests by capsule routing; in training the label chooses among them |
# | BST | a Transformer layer over the history with the candidate as its last element |
# | BERT4Rec | self-attention in both directions; predicts items that were masked |
# | SIM, TWIN | search a history of thousands of events for this candidate's, then attend to those |
# | HSTU, TiSASRec | self-attention that knows the time between events |
#
# </details>

# %% tags=["imports"]
import math

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from recattn_mini import attention as library  # ours; what you write has the same names without the word library
from recattn_mini.data import movielens, planted, recorded
from recattn_mini.metrics.accuracy import accuracy_numpy
from recattn_mini.metrics.auc import auc_numpy
from recattn_mini.learn import check, hint, solution

sdpa = library.scaled_dot_product_attention
plt.style.use("tableau-colorblind10")
plt.rcParams.update({"figure.dpi": 110, "axes.spines.top": False, "axes.spines.right": False, "font.size": 9})
torch.set_printoptions(precision=3, sci_mode=False)
np.set_printoptions(precision=3, suppress=True)

# %% [markdown] tags=["copied"]
# ## 1 · An answer that goes around
#
# "Choose RNN, LSTM or Transformer, add an attention module, tune the attention weights." And this code:
#
# ```python
# import tensorflow as tf
#
# inputs = tf.keras.layers.Input(shape=(input_shape))
# attention = tf.keras.layers.Attention()([inputs, inputs])
# outputs = tf.keras.layers.Dense(units=1, activation='sigmoid')(attention)
# model = tf.keras.Model(inputs=inputs, outputs=outputs)
# model.compile(optimizer='adam', loss='binary_crossentropy', metrics=['accuracy'])
# ```
#
# Before you read on, find the faults. There are eight.
#
# Here is what Keras says when it is run. Keras is not needed for this page; these values were recorded, and the cells below compute the
# same with a small port.

# %% tags=["recorded"]
# keras 3.15.1 with the torch backend, float32; inputs and weights as in the port below
KERAS = recorded.read("keras")
for what in ("Input(shape=(16))", "parameters of the attention", "parameters of the model", "output", "labels (8,)"):
    print(f"{what:28}", str(KERAS[what]).replace(". Received", ".\n" + 29 * " " + "Received"))

# %% [markdown]
# **1. Parentheses make no tuple.** `(input_shape)` is `input_shape`, which nobody has defined. If it is 16, a number is no shape; if it is a tuple, (10, 16) say, it builds,
# and seven faults are left.
#
# **2. Nothing is learned in the attention.** No $W_Q$, no $W_K$, no $W_V$: the 17 parameters are the Dense layer's 16 weights and its bias. There is
# nothing in it that training could "optimise".
#
# **3. No pooling.** The output is one number for each *step*, so one label for each user cannot be fitted. The port, with an input of $(b\,s\,d)$:


# %% tags=["port"]
def attend_to_itself(x):
    """Keras's Attention()([x, x]): unscaled dot products of x with itself, a softmax, the mean of x so weighed."""
    return library.dot_attention.dot_attention_numpy(x, x, x)


def port(x, kernel):
    """The whole copied model: attention, then a Dense layer of one unit with a sigmoid."""
    return 1 / (1 + np.exp(-attend_to_itself(x) @ kernel))


def users_and_kernel(seed):
    """Eight users of 16 features from 0 to 1, and a Dense layer's weights as Keras starts them (Glorot's bounds)."""
    draw = np.random.RandomState(seed)
    return draw.rand(8, 16), draw.uniform(-1, 1, (16, 1)) * math.sqrt(6 / (16 + 1))


# %%
draw = np.random.RandomState(0)
histories, kernel = draw.randn(8, 10, 16), draw.randn(16, 1)
print("8 users, 10 events of width 16:", port(histories, kernel).shape, "where (8,) or (8, 1) is wanted")

# %% [markdown]
# **4. The batch is taken for the sequence.** Mend the shape in the obvious way, `input_shape = (16,)`, and the model builds and trains:
# one vector a user. But `Attention` weighs the axis before the last, and that is now the *batch*. User 0's score depends on who else is being
# scored:

# %%
users, kernel = users_and_kernel(seed=0)
together, alone = port(users, kernel)[0, 0], port(users[:1], kernel)[0, 0]
theirs = KERAS["user 0 in a batch of 8, and alone"]
print(f"user 0 in a batch of 8: {together:.4f}, alone: {alone:.4f}       Keras: {theirs[0]:.4f}, {theirs[1]:.4f}")

gaps = []
for seed in range(20):
    users, kernel = users_and_kernel(seed)
    gaps.append(abs(port(users, kernel)[0, 0] - port(users[:1], kernel)[0, 0]))
mean_gap, largest = KERAS["gap over 20 seeds: mean, largest"]
print(f"gap over 20 seeds: mean {np.mean(gaps):.4f}, largest {max(gaps):.4f}   Keras: {mean_gap:.4f}, {largest:.4f}")

# %% [markdown]
# A probability that moves by 0.05 on average, and by up to 0.15, with the neighbours in the request: users leak into each other, and no offline
# figure can be reproduced online. In training nothing warns of it; only a user who is scored alone makes Keras grumble about a softmax over an axis of size 1. Test it: *score a user alone and in company*.
#
# **5. No scale, no projections: the temperature is an accident.** Each event's score with itself is its squared length, so the lengths of the inputs set
# the softmax's temperature:


# %%
def cosine(a, b):
    return (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


def itself_and_mean(x):
    """Weight of an event on itself; cosine of the output to the history's mean, and to the event."""
    weights = library.softmax.softmax_numpy(x @ np.swapaxes(x, -1, -2))
    out = weights @ x
    return (
        np.diagonal(weights, axis1=1, axis2=2).mean(),
        cosine(out, x.mean(1, keepdims=True)).mean(),
        cosine(out, x).mean(),
    )


print("64 histories of 20 events       weight on itself   (Keras)   cosine to the mean   to the input")
for width, theirs in KERAS["weight on itself, N(0, 1)"].items():
    own, to_mean, to_input = itself_and_mean(np.random.RandomState(0).randn(64, 20, int(width)))
    print(f"N(0, 1), width {width:<4} {own:28.2f} {theirs:12.2f} {to_mean:16.2f} {to_input:17.2f}")
own, to_mean, to_input = itself_and_mean(np.random.RandomState(0).uniform(-0.05, 0.05, (64, 20, 64)))
theirs = KERAS["±0.05: weight on itself, cosine to the mean, to the input"]
print(f"U(-0.05, 0.05), width 64 {own:23.2f} {theirs[0]:12.2f} {to_mean:16.2f} {to_input:17.2f}")

# %% [markdown]
# Standardised features of width 64: every event attends to itself alone, and the layer is the **identity**. Embeddings as Keras starts them (uniform in
# ±0.05): every weight is about 1/20, and the layer is **mean pooling**. Between the two it drifts as the embeddings grow in training.
# Projections let the model choose its temperature; √d makes it start from a sensible one whatever the width.
#
# **6. No candidate.** `model(history)`: no argument is an item, so every item gets the same score. It cannot rank. (No item ids either, no embedding, no mask.)
#
# **7. No order.** Shuffle the history and the outputs are shuffled with it; any pooling that ignores order gives the same number:

# %%
histories, kernel = np.random.RandomState(0).randn(8, 10, 16), np.ones((16, 1))
order = np.random.RandomState(1).permutation(10)
print("shuffled in, shuffled out:", np.allclose(port(histories[:, order], kernel), port(histories, kernel)[:, order]))

# %% [markdown]
# **8. `metrics=['accuracy']`.** Where one impression in a hundred is clicked, "never" is right 99 times in a hundred. Even the *true* probability, which no model can beat,
# hardly gets past it:

# %%
draw = np.random.RandomState(0)
chance = 1 / (1 + np.exp(-draw.normal(-5.85, 1.6, 200_000)))
clicked = draw.rand(len(chance)) < chance
for name, p in (("the true probability", chance), ("never click", np.zeros_like(chance))):
    print(f"{name:21} accuracy {accuracy_numpy(p, clicked):.4f}   AUC {auc_numpy(p, clicked):.3f}")

# %% [markdown]
# Lesson 05 is about what to measure instead. And "tune the attention weights" is the ninth: weights are *activations*, computed for each input from
# parameters that are learned. One tunes heads, widths, dropout and the learning rate. The corrected model is in section 10, beside its rivals.
#
# ## 2 · First the stage, then the drawing
#
# What a design costs for one request: $n$ candidates meet a history of $s$ events of width $d$. Operations counted from the formulas (a multiply–add is two; what does not depend on the candidate is counted once), how many steps have to wait for each other, and the parameters besides the embeddings:


# %%
def costs(s, n, d=64, a=32):
    """Multiply-adds of a request, sequential steps, parameters; a is the width of DIN's hidden layer."""
    gru = 6 * d * d  # three gates, two matrices each
    block = 4 * d * d + 2 * d * 4 * d  # four projections, a feed-forward network of 4 d
    return {
        "mean pooling, then a dot product": (s * d + n * d, 1, 0),
        "GRU, then a dot product": (s * gru + n * d, s, gru),
        "one encoder block, then a dot (SASRec)": (s * block + 2 * s * s * d + n * d, 1, block),
        "target attention, dot": (2 * n * s * d, 1, 0),
        "target attention, network (DIN)": ((n + s) * d * a + n * s * (d * a + 2 * d + a), 1, 4 * d * a + 2 * a),
        # a second GRU: its half that reads events is run once, its half that reads the state for each candidate
        "GRU, then AUGRU per candidate (DIEN)": (
            s * (gru + gru // 2) + n * d * d + n * s * (d + gru // 2),
            2 * s,
            2 * gru + d * d,
        ),
    }


print(f"{'n = 500 candidates, d = 64':40} s = 50: MFLOP, steps   s = 5000: MFLOP, steps   parameters")
short, long = costs(50, 500), costs(5000, 500)
for design, (adds, steps, parameters) in short.items():
    print(f"{design:40}{2e-6 * adds:15,.1f}{steps:7}{2e-6 * long[design][0]:17,.0f}{long[design][1]:7}{parameters:13,}")

# %% [markdown]
# | stage | candidates | what it allows | a usual choice |
# |---|---|---|---|
# | retrieval 召回 | the catalogue, through an index | a user vector that knows no candidate | SASRec, GRU, multi-interest |
# | pre-ranking 粗排 | thousands | little for each candidate | two towers, distilled |
# | ranking 精排 | hundreds | target attention on each | DIN, DIEN, multi-head target attention |
# | re-ranking 重排 | tens | candidates that see each other | self-attention over the *list* |
#
# At a history of 50, one encoder block costs less than DIN on 500 candidates; at 5,000 its $s^2$ dominates, DIN's $n s$ is dear too, and the history is cut or searched
# first (lesson 11). DIEN is the dearest: its second recurrence depends on the candidate and has to be run for each. (SASRec's own feed-forward network is $d$ wide, not $4d$; it has mostly two blocks.)
#
# ## 3 · Multi-head attention
#
# $$\mathrm{head}_i = \mathrm{attention}(q W_{Q,i}^\top,\ k W_{K,i}^\top,\ v W_{V,i}^\top) \qquad \mathrm{out} = [\mathrm{head}_1 \dots \mathrm{head}_h]\, W_O^\top$$
#
# $W_Q$, $W_K$ and $W_V$ project to the width $a$, mostly $a = d$, of which each head gets $a / h$ columns. So a head is narrow, and asks its own question: one may look for the same category, another for the same price. The scale is that of a *head*, $\sqrt{a / h}$.
#
# ### Your turn

# %% tags=["exercise"]
from recattn_mini.attention.multi_head_attention import multi_head_attention

# %%
check(multi_head_attention)

# %% [markdown]
# **Do more heads cost more?** Not in parameters; nearly nothing in multiply–adds; $h$ times the memory for the weights $(b\,h\,t\,s)$.

# %%
for h in (1, 2, 8):
    layer = library.multi_head_attention.MultiHeadAttention(64, h)
    parameters = sum(p.numel() for p in layer.parameters())
    print(f"h = {h}: {parameters:,} parameters, heads of width {64 // h}, 50 × 50 events: {h * 50 * 50:,} weights")

# %% [markdown]
# **Why separate $W_Q$ and $W_K$?** With one matrix the scores are a Gram matrix. They are symmetric: what a camera owes to a lens, the lens owes to the camera, so "bought after" cannot be
# said. And an event scores its own squared length with itself, so it looks at itself first:

# %%
draw = np.random.RandomState(0)
x = draw.randn(200, 20, 64)
w_q, w_k = draw.randn(2, 64, 64) / 8
for name, (left, right) in {"separate": (w_q, w_k), "tied": (w_q, w_q)}.items():
    scores = (x @ left) @ np.swapaxes(x @ right, -1, -2) / math.sqrt(64)
    own = np.diagonal(library.softmax.softmax_numpy(scores), axis1=1, axis2=2).mean()
    uneven = np.abs(scores - np.swapaxes(scores, -1, -2)).mean()
    print(f"{name:9} weight on itself {own:.2f} (1/20 is {1 / 20:.2f}), |score_ts - score_st| {uneven:.2f} on average")

# %% [markdown]
# Reformer ties them all the same, to hash queries and keys together, and therefore forbids an event to attend to itself.
#
# **What a narrow head cannot say.** A head's scores are $Q K^\top$ with $Q$ and $K$ of width $a / h$: a matrix of that rank at most, whatever is learned. Take a wish of 64 events
# for each other at random; the best matrix of each rank meets this share of its squared entries:

# %%
wish = np.random.RandomState(0).randn(64, 64)
singular = np.linalg.svd(wish, compute_uv=False)
for r in (4, 8, 16, 32, 64):
    print(f"head of width {r:2}: {(singular[:r] ** 2).sum() / (singular**2).sum():4.0%}")

# %% [markdown]
# A random wish is about the worst case; patterns in data are mostly nearer to low rank, which is why narrow heads work at all. But more heads are not better by
# law: at $d = 64$ tune $h$, and keep a head's width away from a handful.
#
# ## 4 · Cross-attention: one side asks, the other answers
#
# Queries from one sequence, keys and values from another. With the candidates as queries and the history as context it *is* target attention with projections.
#
# ### Your turn

# %% tags=["exercise"]
from recattn_mini.attention.cross_attention import cross_attention

# %%
check(cross_attention)

# %% [markdown]
# Candidates do not see each other, so a list of 500 is scored in one call with the same result as one by one, and the history is projected once:

# %%
torch.manual_seed(0)
candidates, history = torch.randn(1, 500, 16), torch.randn(1, 50, 16)
weights = [torch.randn(16, 16) / 4 for _ in range(4)]
target = library.multi_head_target_attention.multi_head_target_attention
at_once = target(candidates, history, *weights, 2)
one_by_one = torch.cat([target(c[:, None], history, *weights, 2) for c in candidates.unbind(1)], dim=1)
print("at once", tuple(at_once.shape), "= one by one:", torch.allclose(at_once, one_by_one, atol=1e-5))

projecting, attending = 2 * 50 * 16 * 16, 2 * 500 * 50 * 16
print(f"projecting the history: {projecting:,} multiply-adds once, {500 * projecting:,} if done for each candidate")
print(f"scores and weighted sums: {attending:,}")

# %% [markdown]
# ## 5 · The encoder block: residual, norm, feed-forward
#
# $$\text{pre-norm:}\quad x \leftarrow x + \mathrm{attention}(\mathrm{norm}_1\,x), \qquad x \leftarrow x + W_{out}\,\mathrm{relu}(W_{in}\,\mathrm{norm}_2\,x)$$
#
# $$\text{post-norm:}\quad x \leftarrow \mathrm{norm}_1(x + \mathrm{attention}(x)), \qquad x \leftarrow \mathrm{norm}_2(x + W_{out}\,\mathrm{relu}(W_{in}\,x))$$
#
# $$\text{layer norm of one event:}\quad \mathrm{norm}\,x = \mathrm{scale} \odot (x - \mu)\, / \sqrt{\sigma^2 + 10^{-5}}$$
#
# with the mean $\mu$ and the variance $\sigma^2$ (over $d$, not $d - 1$) of its $d$ coordinates.
#
# Attention averages: it moves information *between* events. The feed-forward network works on each event alone and is where it becomes something new.
# The residual keeps what came in, so a block can begin by doing nothing.
#
# ### Your turn: a pre-norm block

# %% tags=["exercise"]
from recattn_mini.attention.encoder_block import encoder_block

# %%
check(encoder_block)

# %% [markdown]
# **Layer norm, backwards.** With $\hat x = (x - \mu) / \sigma$ and $g$ the gradient of $\hat x$:
# $\partial x = (g - \overline{g} - \hat x\, \overline{g \odot \hat x}) / \sigma$. Two directions are taken out of the gradient: shifting all coordinates, and stretching the vector. The norm undoes
# both, so neither can change the loss. And the rest is divided by $\sigma$: where $x$ is large, its gradient is small.

# %%
draw = np.random.RandomState(0)
x, g = draw.randn(5, 16), draw.randn(5, 16)
for stretch in (1, 10):
    by_hand, _, _ = library.layer_norm.layer_norm_backward_numpy(g, stretch * x, np.ones(16))
    tensor = torch.from_numpy(stretch * x).requires_grad_()
    (auto,) = torch.autograd.grad(F.layer_norm(tensor, (16,)), tensor, torch.from_numpy(g))
    print(
        f"x × {stretch:<3} by hand = autograd: {np.allclose(by_hand, auto)}   size {np.linalg.norm(by_hand):.2f}   "
        f"along a shift below 1e-12: {bool(np.abs(by_hand.sum(-1)).max() < 1e-12)}   "
        f"along x below 1e-3: {bool(np.abs((by_hand * x).sum(-1)).max() < 1e-3)}"
    )

# %% [markdown]
# Why not batch norm? In training its mean runs over users and positions, padding included: a user's output depends on the batch, the fault of section 1 again, and on how much of it is padding. In serving
# it takes stored averages, which are other numbers.
#
# **Pre- or post-norm (前置/后置归一化)?** Post-norm, the original, has a norm *on* the residual path: what comes in is rescaled in every block. Pre-norm leaves the path free: $x$ grows
# with each block, and what one block adds is a smaller and smaller share of it. The gradient of the *last* block's $W_{out}$ at initialisation (Glorot's), in stacks of 3 to 24 blocks:


# %%
def gradient_of_the_last(block, depth, seed):
    """The size of the gradient of the last block's W_out."""
    torch.manual_seed(seed)
    stack = nn.ModuleList([block(32, 4, 128) for _ in range(depth)])
    for matrix in (p for p in stack.parameters() if p.ndim == 2):
        nn.init.xavier_uniform_(matrix)
    x, label = torch.randn(8, 20, 32), torch.randint(32, (160,))
    for each in stack:
        x = each(x)
    x = F.layer_norm(x, (32,))  # a pre-norm stack needs this; after a post-norm block it changes next to nothing
    F.cross_entropy(x.flatten(0, 1), label).backward()
    return stack[-1].w_out.weight.grad.norm().item()


depths = (3, 6, 12, 24)
kinds = {
    "pre-norm": library.encoder_block.EncoderBlock,
    "post-norm": library.encoder_block_post_norm.EncoderBlockPostNorm,
}
figure, axes = plt.subplots(figsize=(5, 2.6))
for (name, block), marker in zip(kinds.items(), "os", strict=True):
    sizes = [np.mean([gradient_of_the_last(block, depth, seed) for seed in range(3)]) for depth in depths]
    print(f"{name:10}", *(f"{depth} blocks: {size:.2f}  " for depth, size in zip(depths, sizes, strict=True)))
    axes.plot(depths, sizes, marker=marker, label=name)
axes.set_xscale("log")
axes.set_xticks(depths, depths)
axes.set_xticks([], minor=True)
axes.set_ylim(0)
axes.set_xlabel("blocks in the stack")
axes.set_ylabel("gradient of the last block")
axes.legend(frameon=False)
plt.show()

# %% [markdown]
# The pre-norm stack's falls with depth, about as $1/\sqrt{\text{depth}}$; the post-norm stack's does not: however deep it is, its last block gets the full step at once. That is the reason that Xiong et al. give why post-norm wants a *warm-up* of the learning rate and pre-norm mostly trains without. The price of pre-norm: late blocks
# add little, and the stack needs a norm at its end.
#
# Sequential recommenders mostly have two blocks or three, where either trains: a choice to tune, not the first one to worry about. The loss and the negatives come first (lesson 03).
#
# **When attention collapses.** Nothing bounds $\|W_Q\|$ and $\|W_K\|$. If they grow in training the scores do, the softmax becomes one-hot, its gradient vanishes (lesson 01), and the layer hardly finds back: *entropy collapse*. Watch
# the entropy of each head. Two cures bound the scores themselves: **QK-norm** normalises $q$ and $k$ of each head, **soft-capping** squeezes scores through $c \tanh(\cdot / c)$.

# %%
draw = np.random.RandomState(0)
x, (w_q, w_k) = draw.randn(100, 20, 64), draw.randn(2, 64, 64) / 8


def entropy(scores):
    p = library.softmax.softmax_numpy(scores)
    return -(p * np.log(np.maximum(p, 1e-300))).sum(-1).mean()


ones = np.ones(64)
print(f"entropy of the weights; uniform over 20 is {math.log(20):.2f}")
print("W_Q and W_K ×    plain    soft-capped at 5    QK-norm")
for growth in (1, 2, 4, 8):
    q, k = growth * x @ w_q, growth * x @ w_k
    scores = q @ np.swapaxes(k, -1, -2) / math.sqrt(64)
    q, k = library.rms_norm.rms_norm_numpy(q, ones), library.rms_norm.rms_norm_numpy(k, ones)
    normed = q @ np.swapaxes(k, -1, -2) / math.sqrt(64)
    print(f"{growth:13} {entropy(scores):8.2f} {entropy(5 * np.tanh(scores / 5)):19.2f} {entropy(normed):10.2f}")

# %% [markdown]
# Under the cap several keys share the top and none can take it all, but tanh is flat there, and no gradient brings the scores back; QK-norm does not feel the growth at all (a learned scale gives back the temperature). A warm-up of the learning rate avoids the large first steps that can start it.
#
# ## 6 · Positions
#
# Attention reads a *set*. Shuffle the history and self-attention with any pooling that ignores order gives the same user. How deep does that go? Two encoder blocks; the last event stays last, the earlier ones are
# shuffled; how far does the last output move?

# %%
torch.manual_seed(0)
blocks = [library.encoder_block.EncoderBlock(16, 2, 64).double() for _ in range(2)]
x = torch.randn(1, 10, 16, dtype=torch.float64)
order = torch.cat([torch.randperm(9), torch.tensor([9])])
causal = library.masks.causal_mask(x, x)
places = library.sinusoidal_positions.sinusoidal_positions(torch.arange(10), 16)

with torch.no_grad():
    for depth in (1, 2):
        for name, mask, added in (
            ("no mask, no positions", None, 0 * places),
            ("causal mask, no positions", causal, 0 * places),
            ("no mask, positions", None, places),
        ):
            outs = []
            for each in (x, x[:, order]):
                y = each + added
                for block in blocks[:depth]:
                    y = block(y, mask)
                outs.append(y[0, -1])
            moved = (outs[0] - outs[1]).abs().max().item()
            how = "unmoved" if moved < 1e-12 else f"moves by {moved:.3f}"
            print(f"{depth} block{'s' * (depth > 1):1}  {name:26} {how}")

# %% [markdown]
# Without positions the order is invisible, exactly. A *causal mask* lets some of it in from the second block on: what an earlier event has seen depends on how many stood before it. It is no substitute for positions, but it is why a deep causal
# model can do without any.
#
# | positions | added to | good for |
# |---|---|---|
# | sinusoidal | the input | nothing to learn; any length has a code, though a trained model need not know what to do with it |
# | learned, counted from the end | the input | short histories; "the last click" is row 0 for every user (SASRec pads on the left) |
# | relative (Shaw) | keys and values | how far back, not which index |
# | bias by bucket (T5) | the scores | one number per head and bucket of distances, cheap |
# | rotary (RoPE) | q and k, turned by their position's angle | scores see the distance only; usual in language models (lesson 12) |
# | time gaps (TiSASRec; HSTU) | keys and values; the scores | *how long ago*, where that says more than how many clicks ago |
#
# Why from the end? The same three events, bare and behind two steps of padding; row $i$ of the table is the number $i$:

# %%
rows, learned = torch.arange(8.0)[:, None], library.learned_positions
for name, add in (
    ("from the start", learned.learned_positions),
    ("from the end", learned.learned_positions_from_the_end),
):
    bare, padded = (add(torch.zeros(1, length, 1), rows)[0, -3:, 0].int().tolist() for length in (3, 5))
    print(f"{name:14} rows of the three events: bare {bare}, padded {padded}")

# %% [markdown]
# ### Your turn: sinusoidal positions
#
# $$PE(p)_{2i} = \sin(p / 10000^{2i/d}) \qquad PE(p)_{2i+1} = \cos(p / 10000^{2i/d})$$

# %% tags=["exercise"]
from recattn_mini.attention.sinusoidal_positions import sinusoidal_positions_numpy

# %%
check(sinusoidal_positions_numpy)

# %% [markdown]
# Why a sine *and* a cosine? Each pair is the hand of a clock; moving on by $k$ turns it by an angle that $k$ alone fixes. So the dot product of two codes knows how far apart they are and nothing else, not even which of the two comes first:

# %%
codes = library.sinusoidal_positions.sinusoidal_positions_numpy(np.arange(200), 64)
for k in (0, 1, 5, 50):
    print(f"PE(p) · PE(p + {k:2}) for p = 0, 7, 100:", *(f"{codes[p] @ codes[p + k]:.3f}" for p in (0, 7, 100)))

figure, axes = plt.subplots(figsize=(6, 2.4))
axes.plot(range(-100, 100), codes @ codes[100])
axes.set_xlabel("distance k")
axes.set_ylabel("PE(p) · PE(p + k)")
plt.show()

# %% [markdown]
# (That holds for the codes alone. Once $W_Q$ and $W_K$ stand between, a score can tell before from after.)
#
# **Is there an order worth encoding?** In real data, ask first. MovieLens: how alike are two films that a user rated one after the other, compared with any two films of the same user? (Vectors from who watched what, as in lesson 01; users with at least 50
# ratings.)


# %% tags=["raises-exception"]
films = movielens.load()
watched = np.zeros((len(films.ages), len(films.titles)))
watched[films.users, films.items] = 1
watched /= np.sqrt(np.maximum(watched.sum(0), 1))
_, of_users = np.linalg.eigh(watched @ watched.T)
vectors = watched.T @ of_users[:, -33:-1]  # the largest singular vectors but the first, which is popularity
vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)

draw = np.random.RandomState(0)
gaps = (1, 2, 5, 20)
alike = {gap: [] for gap in (*gaps, "any two")}
for history in films.histories()[1:]:
    if len(history) >= 50:
        for gap in gaps:
            alike[gap].append((vectors[history[gap:]] * vectors[history[:-gap]]).sum(1).mean())
        shuffled = vectors[draw.permutation(history)]
        alike["any two"].append((shuffled[1:] * shuffled[:-1]).sum(1).mean())
for gap, values in alike.items():
    print(
        f"{gap!s:7} apart: cosine {np.mean(values):.3f} ± {np.std(values) / math.sqrt(len(values)):.3f}, {len(values)} users"
    )

# %% [markdown]
# Neighbours are far more alike than two films at random, and it fades over tens of steps: the order says something. Do not call it taste evolving: people rated from lists
# that the site showed them, often many films in one minute, so part of it is the order of the page. Whether a *model* gains from it is an ablation: train it on shuffled histories.
#
# ## 7 · Base models: RNN, CNN or self-attention?
#
# | a layer | steps that wait | from the first event to the last | multiply–adds | takes for granted |
# |---|---|---|---|---|
# | RNN (GRU4Rec, NARM) | $s$ | $s$ steps | $s d^2$ | the recent matters most; one vector is memory enough. A new click is one step |
# | CNN of width $w$ (NAML) | 1 | $s / w$ layers, fewer if dilated | $s w d^2$ | neighbours belong together: words, bursts of clicks |
# | self-attention (SASRec) | 1 | 1 layer | $s d^2 + s^2 d$ | nothing, not even an order: positions, and enough data |
#
# "Which one" is a question about these columns, and attention can be added to each of them.
#
# ### RNN: NARM and DIEN
#
# A GRU's last state has to hold everything. **NARM** keeps all states and lets the last one look back; **STAMP** drops the RNN and lets the last click and the mean ask. **DIEN** goes further: attention to the *candidate* enters the recurrence. First the GRU, of an event $x_t$ and the state $h_{t-1}$, as `nn.GRUCell` has it:
#
# $$r, z = \sigma(W_{r,z}\, x_t + b_{r,z} + U_{r,z}\, h_{t-1} + c_{r,z}) \qquad n = \tanh(W_n x_t + b_n + r \odot (U_n h_{t-1} + c_n)) \qquad h_t = z \odot h_{t-1} + (1 - z) \odot n$$
#
# `w_input` stacks $W_r, W_z, W_n$ in this order, `w_state` the $U$, the biases likewise. Here $z$ *keeps* the state; DIEN's update gate $u_t = 1 - z$ overwrites it. AUGRU scales that gate by the attention $a_t$ from 0 to 1,
# so that events which do not concern this candidate leave the state alone:
#
# $$\tilde u_t = a_t\, u_t, \qquad h_t = (1 - \tilde u_t) \odot h_{t-1} + \tilde u_t \odot n$$
#
# ### Your turn: a step of AUGRU

# %% tags=["exercise"]
from recattn_mini.attention.augru_cell import augru_cell_numpy

# %%
check(augru_cell_numpy)

# %% [markdown]
# Its two ends. And the trap: the authors' released code points the other way. There $a = 0$ is the GRU, and $a = 1$ overwrites the state with $n$ (the "candidate state", no kin of the candidate item):

# %%
torch.manual_seed(0)
cell = nn.GRUCell(5, 8).double()
weights = [p.detach() for p in (cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh)]
event, state = torch.randn(3, 5, dtype=torch.float64), torch.randn(3, 8, dtype=torch.float64)
_, n = library.gru_cell.gru_gates(event, state, *weights)
known = {"a GRU's step": cell(event, state).detach(), "the old state": state, "the candidate state n": n}
for name, form in (("paper", library.augru_cell.augru_cell), ("released", library.augru_cell.augru_cell_released)):
    for a in (0.0, 1.0):
        after = form(event, state, torch.full((3,), a, dtype=torch.float64), *weights)
        print(f"{name:9} a = {a:.0f}:", *(what for what, other in known.items() if torch.allclose(after, other)))

# %% [markdown]
# DIEN's $a_t$ are a softmax over the history, so most are near $1/s$ and $a = 1$ is a limit. A history of 50 events that all concern the candidate equally, against attention that is not normalised:

# %%
torch.manual_seed(0)
layer, x = library.augru_cell.AUGRU(8, 8), torch.randn(64, 50, 8)
with torch.no_grad():
    for name, a in (("a = 1, a GRU", 1.0), ("a = 1/50, a softmax", 1 / 50)):
        print(f"{name:20} size of the last state {layer(x, torch.full((64, 50), a))[:, -1].norm(dim=-1).mean():.2f}")

# %% [markdown]
# NARM's weights have no softmax in the paper (the authors' program has one), nor have STAMP's, so a session of twice as many equal clicks gives a sum twice as long. NARM puts it, the session's main purpose (the paper's *local* encoder), beside the last state (the *global* one):

# %%
torch.manual_seed(0)
narm, states = library.narm_attention.NARMAttention(8, 8), torch.randn(1, 1, 8).expand(1, 10, 8)
stamp = library.stamp_attention.STAMPAttention(8, 8)
with torch.no_grad():
    for n in (5, 10):
        out, memory = narm(states[:, :n], states[:, -1]), stamp(states[:, :n], states[:, -1])
        print(f"{n:2} equal clicks: NARM's sum is {out[0, 8:].norm():.2f} long, STAMP's {memory.norm():.2f}")
    print("NARM's output, last state and sum:", tuple(out.shape))

# %% [markdown]
# ### CNN: NAML, and NRMS beside it
#
# Items that are *texts*. NAML's convolution reads each word with its neighbours; **additive attention** with a learned query then pools words into a title, title, body and category into news, news into a user. NRMS has no convolution: self-attention among the words, then the same pooling.
#
# ### Your turn: additive pooling
#
# $$\mathrm{score}_s = w \cdot \tanh(W x_s + b) \qquad \mathrm{out} = \sum_s \mathrm{softmax}_s(\mathrm{score})\, x_s$$

# %% tags=["exercise"]
from recattn_mini.attention.additive_pooling import additive_pooling

# %%
check(additive_pooling)

# %% [markdown]
# What does the convolution see that self-attention without positions does not? "Man bites dog":

# %%
torch.manual_seed(0)
words = torch.randn(1, 6, 12, dtype=torch.float64)
order = torch.tensor([5, 3, 0, 1, 4, 2])
naml = library.naml_encoder.NAMLWords(12, 16, 8).double()
nrms = library.nrms_encoder.NRMSEncoder(12, 16, 4, 8).double()
with torch.no_grad():
    for name, encode in (("NAML", naml), ("NRMS", nrms)):
        moved = (encode(words) - encode(words[:, order])).abs().max().item()
        how = "give the same vector" if moved < 1e-12 else f"move the vector by {moved:.2f}"
        print(f"{name}: shuffled words {how}")

# %% [markdown]
# Additive pooling's query is a parameter: one question for all users and candidates. So the vectors can be computed and stored beforehand, which is what retrieval wants, and for the same reason it is *not* target attention.
#
# ## 8 · Target attention: DIN, and several interests
#
# DIN asks a small network, not a dot product, how much each event concerns the candidate:
#
# $$\mathrm{score}_s = w \cdot \sigma(W\,[q,\ k_s,\ q - k_s,\ q \odot k_s] + b) \qquad \mathrm{out} = \sum_s \mathrm{score}_s\, k_s$$
#
# No softmax in the paper: the sum keeps the *intensity* of an interest. (The authors' released code divides by √d and takes a softmax; where public code has the four blocks above, the paper has an outer product. Say which one you mean.)
#
# ### Your turn: the local activation unit (局部激活单元)

# %% tags=["exercise"]
from recattn_mini.attention.din_attention import din_attention

# %%
check(din_attention)

# %% [markdown]
# One matching event or ten: the paper's sum counts, the softmax averages.

# %%
torch.manual_seed(0)
unit, match = library.din_attention.DINAttention(8, 16).double(), torch.randn(1, 1, 8, dtype=torch.float64)
weights = unit.hidden.weight, unit.hidden.bias, unit.score.weight[0]
with torch.no_grad():
    for n in (1, 10):
        events = match.expand(1, n, 8)
        raw = library.din_attention.din_attention(match, events, *weights)
        soft = library.din_attention.din_attention_softmax(match, events, *weights)
        print(f"{n:2} matching events: output as in the paper {raw.norm():.2f} long, with a softmax {soft.norm():.2f}")

# %% [markdown]
# **Why a network and not a dot product? And when does the dot win?** The dot product makes "relevant" mean "alike in one space". The network may learn "a phone, then its case", where the two are not alike, and it sees $q$ and $k$ apart. The price: a hidden layer for *each pair*. For a request of
# 500 candidates and 200 events, in float32:

# %%
n, s, d, a = 500, 200, 64, 36
print(f"dot product: scores (n s) {4e-6 * n * s:.1f} MB")
print(f"DIN: hidden layer (n s a) {4e-6 * n * s * a:.1f} MB, and (n s d) products before it {4e-6 * n * s * d:.1f} MB")

# %% [markdown]
# The dot product wins where its assumption holds, or nearly: it needs less data (section 10), it runs as one matrix product over long histories and many candidates, it takes heads, and an index can search the events nearest to a candidate. SIM and TWIN, built for thousands of events and more, use multi-head target attention: shapes
# $(b\,n\,d)$ asks, $(b\,s\,d)$ answers, $(b\,n\,d)$ comes out.
#
# **If you may not see the candidate,** keep several answers ready. ComiRec-SA has several learned queries, each with a softmax over the history; each candidate takes the interest that suits it best. MIND lets the *label* choose among the interests while training, by softmax of the scores to a power $p$, so that $p = 0$ is their mean and a large $p$ the best one alone:

# %%
torch.manual_seed(0)
interests = library.self_attentive_interests.SelfAttentiveInterests(8, 16, 3)(torch.randn(1, 50, 8))
print("a history of 50 events:", tuple(interests.shape), "- three interests")

two, item = torch.tensor([[3.0, 0.0], [1.0, 4.0]]), torch.tensor([1.0, 0.0])  # they score 3 and 1 with the item
for p in (0, 1, 4):
    chosen = library.label_aware_attention.label_aware_attention(two, item, p)
    print(f"p = {p}: the label chooses", chosen.numpy())
print("serving: the larger of the scores,", library.label_aware_attention.multi_interest_scores(two, item[None]).item())

# %% [markdown]
# ## 9 · A bug of public copies: padding
#
# SASRec pads histories on the left with item 0, whose embedding is a vector of zeros. "Zeros do not matter" is wrong: a key of zeros *scores* zero, and $e^0 = 1$ is a fair share. The authors' program masks such keys; a widely used PyTorch copy does not, which was reported, and is easy to measure: three real events at the end of $L$ steps.

# %%
torch.manual_seed(0)
w_q, w_k, w_v, w_o = (torch.randn(16, 16, dtype=torch.float64) / 4 for _ in range(4))
events = torch.randn(200, 3, 16, dtype=torch.float64)
for length in (3, 10, 50):
    x = F.pad(events, (0, 0, length - 3, 0))  # zeros on the left
    items = F.pad(torch.ones(200, 3, dtype=torch.long), (length - 3, 0))
    causal, real = library.masks.causal_mask(x, x), library.masks.padding_mask(items)
    on_padding = sdpa.attention_weights((x @ w_q.mT)[:, -1:], x @ w_k.mT)[..., : length - 3].sum(-1).mean()
    last = [
        library.multi_head_attention.multi_head_attention(x, x, x, w_q, w_k, w_v, w_o, 1, mask)[:, -1]
        for mask in (causal, causal & real)
    ]
    if length == 3:
        bare = last[0]
    alone, both = ((out - bare).norm(dim=-1).mean() / bare.norm(dim=-1).mean() for out in last)
    print(
        f"L = {length:2}: padding is {(length - 3) / length:.2f} of the keys, gets {on_padding:.2f} of the weight; "
        f"output off by {alone:3.0%}, with its mask {both:.0%}"
    )

# %% [markdown]
# The weight is little less than the padding's share of the keys, and short histories, the new users, get the most of it. With the padding mask as well, the first rows have nothing to attend to: `nn.MultiheadAttention` may answer NaN there, and one NaN spoils everything that it meets; ours are zeros:

# %%
torch.manual_seed(0)
theirs, x = nn.MultiheadAttention(16, 1, batch_first=True), torch.randn(1, 5, 16)
padding, causal = torch.tensor([[False, False, True, True, True]]), torch.ones(5, 5, dtype=torch.bool).tril()
with torch.no_grad():
    out = theirs(x, x, x, key_padding_mask=~padding, attn_mask=~causal)[0]
    ours = library.multi_head_attention.MultiHeadAttention(16, 1)(x, x, x, causal & padding[:, None, None])
print("rows with NaN, nn.MultiheadAttention:", out.isnan().any(-1)[0].tolist())
print("rows of zeros, ours:                 ", (ours == 0).all(-1)[0].tolist())

# %% [markdown]
# ## 10 · All designs on one task whose best score is known
#
# A planted world: 200 items of 20 categories, which nobody tells the model; users like three categories. The candidate is clicked with probability $\sigma(2\,(\text{matches} - 2))$, where matches are the events, of ten, that share its category.
# So we know what the best possible model reaches. 16,000 users train (and 160,000, recorded), 4,000 choose the epoch, 10,000 test.

# %%
world = planted.clicks_on_target_category(seed=0, users=30_000)
print("history", *world.histories[0], "- candidate", world.candidates[0], f"- chance {world.chance[0]:.2f}")
print(
    f"AUC of the true chance: over all users {planted.bayes_auc():.3f}, in this test {auc_numpy(world.chance[20_000:], world.clicked[20_000:]):.3f}"
)

# %% [markdown]
# ### Your turn: multi-head attention as a module
#
# What is to be trained needs its parameters kept. `__init__` is given and fixes their names; write `forward`. It may call your function of section 3.

# %%
from recattn_mini.attention.multi_head_attention import head_width  # a ValueError where h does not divide the width

# %% tags=["exercise"]
from recattn_mini.attention.multi_head_attention import MultiHeadAttention

# %%
check(MultiHeadAttention)

# %% [markdown]
# **The model, ported and corrected.** Item ids, not features; the candidate is the query; a padding mask; one pooled vector a user; a network; a *logit*, with binary cross-entropy on it. `pool` is the design under test, everything else is equal:


# %% tags=["planted"]
class ClickModel(nn.Module):
    """Ids → embeddings → pooling (query: the candidate, keys: the history) → a network → the logit of a click."""

    def __init__(self, pool, d=16, product=False):
        super().__init__()
        self.items = nn.Embedding(planted.ITEMS + 1, d, padding_idx=0)
        nn.init.normal_(self.items.weight[1:], std=0.3)
        self.pool, self.product = pool, product
        self.network = nn.Sequential(nn.Linear((3 if product else 2) * d, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, history, candidate):
        q, k = self.items(candidate)[:, None], self.items(history)  # (b 1 d), (b s d)
        user, q = self.pool(q, k, (history != 0)[:, None])[:, 0], q[:, 0]  # (b d), (b d)
        parts = [user, q, user * q] if self.product else [user, q]
        return self.network(torch.cat(parts, dim=-1))[:, 0]


def mean(q, k, mask):
    """The mean of the events that are no padding: (b 1 d), whatever the candidate q."""
    return mask.to(k) @ k / mask.sum(-1, keepdim=True).clamp(min=1)


class SelfAttentionThenMean(library.multi_head_attention.MultiHeadAttention):
    """Projected self-attention over the history, with or without a residual, then the mean."""

    def __init__(self, d, residual):
        super().__init__(d, h=1)
        self.residual = residual

    def forward(self, q, k, mask):
        out = super().forward(k, k, k, mask[:, None])
        return mean(q, out + k if self.residual else out, mask)


class DINWithSoftmax(library.din_attention.DINAttention):
    """DIN as its authors released it."""

    def forward(self, q, k, mask):
        weights = self.hidden.weight, self.hidden.bias, self.score.weight[0]
        return library.din_attention.din_attention_softmax(q, k, *weights, mask)


DESIGNS = {  # a model for each name, freshly drawn
    "copied layer, then mean": lambda: ClickModel(
        lambda q, k, m: mean(q, library.dot_attention.dot_attention(k, k, k, m), m)
    ),
    "mean": lambda: ClickModel(mean),
    "mean, user ⊙ candidate": lambda: ClickModel(mean, product=True),
    "self-attention, then mean": lambda: ClickModel(SelfAttentionThenMean(16, residual=False)),
    "the same with residual": lambda: ClickModel(SelfAttentionThenMean(16, residual=True)),
    "target attention, dot": lambda: ClickModel(lambda q, k, m: sdpa.scaled_dot_product_attention(q, k, k, m)),
    "DIN": lambda: ClickModel(library.din_attention.DINAttention(16, 16)),
    "DIN with a softmax": lambda: ClickModel(DINWithSoftmax(16, 16)),
}


def fit(design, seed, train=16_000, rate=0.02):
    """Train until the validation AUC has not risen for three epochs; the model of the best epoch, and its test AUC."""
    world = planted.clicks_on_target_category(seed, users=train + 14_000)
    validation, test = slice(train, train + 4_000), slice(train + 4_000, None)
    histories, candidates = torch.from_numpy(world.histories), torch.from_numpy(world.candidates)
    clicked = torch.from_numpy(world.clicked).float()

    def score(users):
        with torch.no_grad():
            return auc_numpy(model(histories[users], candidates[users]).numpy(), world.clicked[users])

    torch.manual_seed(seed)
    model = DESIGNS[design]()
    adam = torch.optim.Adam(model.parameters(), lr=rate)
    best, best_epoch, kept = 0.0, 0, {}
    for epoch in range(40):
        for users in torch.randperm(train).split(1000):
            logit = model(histories[users], candidates[users])
            adam.zero_grad()
            F.binary_cross_entropy_with_logits(logit, clicked[users]).backward()
            adam.step()
        if (now := score(validation)) > best:
            best, best_epoch, kept = now, epoch, {name: x.clone() for name, x in model.state_dict().items()}
        elif epoch - best_epoch == 3:
            break
    model.load_state_dict(kept)
    return model, score(test)


# %% tags=["live"]
fitted = {design: fit(design, seed=0) for design in DESIGNS}
print("test AUC, this run, world 0 of 16,000 users")
for design, (_, found) in fitted.items():
    print(f"{design:26} {found:.3f}")

# %% tags=["recorded"]
PLANTED = recorded.read("planted_designs")  # the same training, in worlds 0 to 4
few, many = PLANTED["test AUC, 16,000 users"], PLANTED["test AUC, 160,000 users"]


def span(worlds):
    return f"{np.mean(worlds):.3f} ({min(worlds):.3f} to {max(worlds):.3f})"


print(f"{'test AUC, recorded':26} {'16,000 users, five worlds':25}   160,000 users")
for design in DESIGNS:
    print(f"{design:26} {span(few[design]):25}   {span(many[design])}")
print(f"{'the true chance':26} {planted.bayes_auc():.3f}")
print("\nat a quarter of the learning rate, 16,000 users")
for design, worlds in PLANTED["test AUC, 16,000 users, rate 0.005"].items():
    print(f"{design:26} {span(worlds)}")

figure, axes = plt.subplots(figsize=(7, 3.2))
for by_design, marker, shade, name in ((few, "o", "C0", "16,000 users"), (many, "s", "C2", "160,000 users")):
    for row, design in enumerate(DESIGNS):
        label = f"recorded, five worlds of {name}" if row == 0 else None
        axes.plot(by_design[design], [row] * 5, marker, color=shade, alpha=0.5, label=label)
axes.axvline(planted.bayes_auc(), color="grey", linestyle=":")
axes.text(planted.bayes_auc(), -0.7, "best possible", color="grey", ha="center")
axes.set_yticks(range(len(DESIGNS)), DESIGNS)
axes.invert_yaxis()
axes.set_xlabel("test AUC; the epoch was chosen on validation")
axes.legend(frameon=False, loc="lower left")
plt.show()

# %% [markdown]
# The 16,000 users first, from the left. **Self-attention with projections, averaged, is the worst of all**; the residual brings back nearly half of what it lost; neither reaches the plain mean, nor do they at a quarter of the learning rate (where one world leaves them at a coin toss: three epochs without a gain end it). It mixes
# events with each other before the candidate is asked, and how events match *each other* is what the label does not depend on. **The copied layer** has nothing to learn and is level with the mean.
#
# **Mean pooling with the product** is the baseline to be fair to: no attention, one interaction more for the network, and more than half of the gain. An attention paper that beats the mean *without* it has beaten a handicap.
#
# **Target attention** wins in every world. Dot product and DIN with a softmax are level: here likeness is what decides, and the dot product knows that beforehand. Raw DIN is behind them and spreads more.
#
# **Ten times the users** change the picture. All but self-attention without a residual come within a hundredth of the bound, mean pooling with the product is level with the dot product, and raw DIN, whose sum can count as the label does, is the best in every world, by little. So what target attention bought with few users was *data*: it is told to compare
# candidate and events, which a network over the mean has to learn. In a catalogue with a long tail most items stay at few. And "A beats B" holds at a size of the data: draw the curve.
#
# None of this is a law about attention. It says: *draw what the label depends on first*, then the model.
#
# The corrected model does what the copied one could not:

# %%
torch.manual_seed(0)
model = DESIGNS["target attention, dot"]()  # it need not be trained for that
history, candidate = torch.from_numpy(world.histories[20_000:]), torch.from_numpy(world.candidates[20_000:])
with torch.no_grad():
    bare = model(history, candidate)
    padded = model(F.pad(history, (5, 0)), candidate)
    alone = model(history[:1], candidate[:1])
    shuffled = model(history[:, torch.randperm(10)], candidate)
print("five steps of padding change nothing:", torch.allclose(bare, padded, atol=1e-4))
print("alone and in company the same:       ", torch.allclose(bare[:1], alone, atol=1e-4))
print("the order of events changes nothing: ", torch.allclose(bare, shuffled, atol=1e-4), "(nor does it in this world)")

# %% [markdown]
# Trained, it looks at the right event:


# %% tags=["finds"]
def finds_the_match(model, history, candidate):
    """Where one event of ten is of the candidate's category: how often it has the largest weight."""
    with torch.no_grad():
        weights = sdpa.attention_weights(model.items(candidate)[:, None], model.items(history))[:, 0]
    match = history % 20 == candidate[:, None] % 20
    once = match.sum(1) == 1
    return (weights[once].argmax(1) == match[once].int().argmax(1)).float().mean().item()


# %% tags=["recorded"]
found = PLANTED["one match of ten events has the largest weight, share of users"]
print(
    f"one event of ten is of the candidate's category, and has the largest weight: {min(found):.1%} to {max(found):.1%} of users"
)

# %% tags=["live"]
print(f"in this run: {finds_the_match(fitted['target attention, dot'][0], history, candidate):.1%}")

# %% [markdown] tags=["follow-up"]
# ## Follow-ups
#
# <details><summary><b>5,000 events, 500 candidates, 20 ms: what do you draw? 行为序列 5000、候选 500、时延 20 ms，怎么设计？</b></summary>
#
# Not attention over everything: section 2 has its price. Search first: for each candidate the 50 to 100 events that concern it, by category or by a cheap score (SIM, TWIN), beside the latest 50. Then multi-head target attention
# on those, a dot product and not a network. Keys and values are projected when an event arrives, not when a request does. One padding mask, time gaps as a bias, the pooled vectors into the ranker's network with their product with the candidate. Compare at equal latency with
# the mean of the latest 50.
# </details>
#
# <details><summary><b>DIN, SASRec, BST: which for retrieval, ranking, re-ranking? DIN、SASRec、BST 分别适合召回、精排还是重排？</b></summary>
#
# SASRec's user vector knows no candidate, so it can ask an index: retrieval (and it ranks as well). DIN and BST take the candidate in: DIN as the query, BST as one more
# element of the sequence. That is ranking, on hundreds. Re-ranking is another kind of attention: candidates attend to each other.
# </details>
#
# <details><summary><b>Why must W_Q and W_K differ? What does tying them do? W_Q 与 W_K 为什么要分开？共享会怎样？</b></summary>
#
# Tied, the scores are a Gram matrix: symmetric, and largest on the diagonal for vectors of about one length. Then "a leads to b" equals "b leads to a", and each event mostly reads itself. Their
# product $W_Q^\top W_K$ is what counts: a bilinear form whose rank is at most the head's width. Section 3 has the numbers.
# </details>
#
# <details><summary><b>Why is DIN's score a network and not a dot product? When does the dot win? DIN 为什么用 MLP 打分而不用点积？什么时候点积更好？</b></summary>
#
# With ids the embeddings of candidate and history are one table, and "relevant" need not mean "near". The network sees both sides, the difference and the product, so it can learn complements, and scores may be negative. The dot wins with long
# histories, many candidates, little data, several heads, or when similarity is what decides, as in section 10. A network of concatenated $[q, k]$ alone must first *learn* to multiply; that is what $q \odot k$ is in there for.
# </details>
#
# <details><summary><b>How do you notice attention collapse, and what helps? 如何发现注意力熵坍缩？怎样处理？</b></summary>
#
# Log the mean entropy of each head and the largest score; falling entropy with spiking loss is the sign. QK-norm, soft-capping, smaller or warmed-up learning rate, weight decay on $W_Q$ and $W_K$, pre-norm. The opposite exists too:
# entropy at its maximum from start to end means that a head is mean pooling.
# </details>
#
# <details><summary><b>Causal in training, yet bidirectional encoders exist: why? 训练时为什么要因果掩码？双向编码器又如何训练？</b></summary>
#
# With the next item as label at every position, a position that sees later ones reads its own label. BERT4Rec masks *items* instead and predicts those, so it may look both ways; it then needs a mask token at the end when serving. Target attention needs no causal mask: the whole
# history is before the impression, provided that features are as of that moment.
# </details>
#
# <details><summary><b>Write AUGRU. What is it at a = 1, and why is it slow online? 写出 AUGRU；a = 1 时它是什么？线上为什么慢？</b></summary>
#
# A GRU with its update gate times $a$: at 1 a GRU, at 0 the old state (in the paper; in the released code 0 is the GRU and 1 overwrites the state). The state depends on the candidate, so the recurrence runs for each of them, step after step. DIEN's first layer, the
# plain GRU, can be cached; the second cannot. Rankers of long histories (SIM, TWIN) use target attention without recurrence.
# </details>
#
# <details><summary><b>Which ablation first? 你会先做哪个消融实验？</b></summary>
#
# Replace attention by the mean and keep everything else, with its own learning rate, over several seeds; then uniform weights with the same parameters; then shuffle the history (does order matter?), and hide the candidate from the query. Each removes one claim. And repeat the first at two sizes of the data: section 10 says why.
# </details>
#
# <details><summary><b>Do weights need a loss of their own? 注意力权重需要单独的损失函数吗？</b></summary>
#
# No; the gradient comes through the sum. What can help is a loss on what they weigh: DIEN's auxiliary loss makes each state of its first GRU tell the next event from a sampled one, since one click label at the end is little for many states.
# </details>

# %% [markdown] tags=["trap"]
# ## Traps
#
# - `view(b, h, t, d)` without a transpose: the shape is right, and each head reads positions instead of columns.
# - $\sqrt d$ of the model's width where the head's is meant: with eight heads the softmax starts too flat by $\sqrt 8$.
# - A bias on the keys' projection: it adds one number to all scores of a row, and the softmax forgets it. Its gradient is zero.
# - Mask for `nn.MultiheadAttention` and for SDPA: opposite meanings (lesson 01).
# - A pre-norm block whose residual adds `norm(x)` instead of `x`: nothing reaches the top unchanged. SASRec's paper has $x$; its authors' program adds the normalised queries, and so do well-known copies.
# - AUGRU by the paper or by the released code: at $a = 0$ one keeps the state, the other is a GRU. DIN with or without a softmax: say which.
# - NRMS has no CNN; MIND routes capsules and is not ComiRec's attention. Naming them together is a slip that gets noticed.
# - `Dense(1, activation="sigmoid")` and then a loss "with logits": a sigmoid of a sigmoid never leaves 0.5 to 0.73.

# %%
x = torch.arange(12.0).view(1, 4, 3 * 1).repeat(1, 1, 2)  # four positions, two heads of three equal columns
print("view without transpose, head 0:", x.reshape(1, 2, 4, 3)[0, 0, :, 0].tolist(), "- positions 0 and 1, twice")
print("split_heads, head 0:           ", library.multi_head_attention.split_heads(x, 2)[0, 0, :, 0].tolist())

k = torch.randn(1, 5, 8, generator=torch.Generator().manual_seed(0))
bias = torch.zeros(8, requires_grad=True)
(grad,) = torch.autograd.grad(sdpa.scaled_dot_product_attention(k, k + bias, k).square().sum(), bias)
print("gradient of a bias of the keys:", "below 1e-5" if grad.abs().max() < 1e-5 else grad)
twice = torch.sigmoid(torch.sigmoid(torch.tensor([-100.0, 100.0])))
print("sigmoid of a sigmoid:", *(f"{value:.2f}" for value in twice.tolist()))

# %% [markdown]
# ## Sources
#
# - Vaswani et al.: *Attention Is All You Need*, NeurIPS 2017, [1706.03762](https://arxiv.org/abs/1706.03762)
# - Zhou et al.: *Deep Interest Network for Click-Through Rate Prediction*, KDD 2018, [1706.06978](https://arxiv.org/abs/1706.06978)
# - Zhou et al.: *Deep Interest Evolution Network for Click-Through Rate Prediction*, AAAI 2019, [1809.03672](https://arxiv.org/abs/1809.03672)
# - Kang, McAuley: *Self-Attentive Sequential Recommendation*, ICDM 2018, [1808.09781](https://arxiv.org/abs/1808.09781)
# - Li et al.: *Neural Attentive Session-based Recommendation* (NARM), CIKM 2017, [1711.04725](https://arxiv.org/abs/1711.04725)
# - Liu et al.: *STAMP: Short-Term Attention/Memory Priority Model for Session-based Recommendation*, KDD 2018
# - Wu et al.: *Neural News Recommendation with Attentive Multi-View Learning* (NAML), IJCAI 2019, [1907.05576](https://arxiv.org/abs/1907.05576);
#   *Neural News Recommendation with Multi-Head Self-Attention* (NRMS), EMNLP 2019
# - Yang et al.: *Hierarchical Attention Networks for Document Classification* (additive pooling), NAACL 2016
# - Cen et al.: *Controllable Multi-Interest Framework for Recommendation* (ComiRec), KDD 2020, [2005.09347](https://arxiv.org/abs/2005.09347);
#   Li et al.: *Multi-Interest Network with Dynamic Routing* (MIND), CIKM 2019, [1904.08030](https://arxiv.org/abs/1904.08030)
# - Chen et al.: *Behavior Sequence Transformer for E-commerce Recommendation in Alibaba* (BST), DLP-KDD 2019, [1905.06874](https://arxiv.org/abs/1905.06874)
# - Pi et al.: *Search-based User Interest Modeling with Lifelong Sequential Behavior Data* (SIM), CIKM 2020, [2006.05639](https://arxiv.org/abs/2006.05639);
#   Chang et al.: *TWIN: TWo-stage Interest Network for Lifelong User Behavior Modeling*, KDD 2023, [2302.02352](https://arxiv.org/abs/2302.02352)
# - Sun et al.: *BERT4Rec*, CIKM 2019, [1904.06690](https://arxiv.org/abs/1904.06690)
# - The authors' program of SASRec, its residual and its mask of keys: [kang205/SASRec](https://github.com/kang205/SASRec), modules.py
# - Padding that is attended to: issues 27 and 36 of [pmixer/SASRec.pytorch](https://github.com/pmixer/SASRec.pytorch/issues)
# - Ba, Kiros, Hinton: *Layer Normalization*, 2016, [1607.06450](https://arxiv.org/abs/1607.06450);
#   Xiong et al.: *On Layer Normalization in the Transformer Architecture*, ICML 2020, [2002.04745](https://arxiv.org/abs/2002.04745)
# - Zhai et al.: *Stabilizing Transformer Training by Preventing Attention Entropy Collapse*, ICML 2023, [2303.06296](https://arxiv.org/abs/2303.06296);
#   Henry et al.: *Query-Key Normalization for Transformers*, Findings of EMNLP 2020, [2010.04245](https://arxiv.org/abs/2010.04245)
# - Bhojanapalli et al.: *Low-Rank Bottleneck in Multi-head Attention Models*, ICML 2020, [2002.07028](https://arxiv.org/abs/2002.07028);
#   Kitaev, Kaiser, Levskaya: *Reformer* (shared queries and keys), ICLR 2020, [2001.04451](https://arxiv.org/abs/2001.04451)
# - Su et al.: *RoFormer: Enhanced Transformer with Rotary Position Embedding*, 2021, [2104.09864](https://arxiv.org/abs/2104.09864);
#   Li, Wang, McAuley: *Time Interval Aware Self-Attention for Sequential Recommendation* (TiSASRec), WSDM 2020;
#   Zhai et al.: *Actions Speak Louder than Words* (HSTU), ICML 2024, [2402.17152](https://arxiv.org/abs/2402.17152)
# - Shaw, Uszkoreit, Vaswani: *Self-Attention with Relative Position Representations*, NAACL 2018, [1803.02155](https://arxiv.org/abs/1803.02155);
#   Haviv et al.: *Transformer Language Models without Positional Encodings Still Learn Positional Information*, Findings of EMNLP 2022, [2203.16634](https://arxiv.org/abs/2203.16634);
#   Raffel et al.: *Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer* (T5), JMLR 2020
# - Luong, Pham, Manning: *Effective Approaches to Attention-based Neural Machine Translation* (what Keras's `Attention` computes), EMNLP 2015, [1508.04025](https://arxiv.org/abs/1508.04025)
# - Harper, Konstan: *The MovieLens Datasets: History and Context*, ACM TiiS 5(4):19, 2015. The data belongs to GroupLens
#   and is fetched to your own cache; it may be used for research and not be redistributed.
