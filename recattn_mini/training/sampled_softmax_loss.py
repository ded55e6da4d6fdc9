r"""Sampled softmax with logQ correction: the softmax over a catalogue, learnt from the target and m negatives.

    loss = mean of log Σ exp(s - log Q) - (s₊ - log Q₊),  summed over the target and all negatives but the hits

Axes    positive (...), negatives (... m); hits (... m), True where a negative is the target itself -> a number.
Why     Q is how often an item is drawn. One candidate is the true next item, the others were drawn. The true one is
        item j with odds P_j / Q_j, and s - log Q learns the logarithm of these odds, so s learns log P for any m, if
        hits are counted in. Without log Q, s learns log P - log Q: popular items are drawn more often and pushed down.
        A second reading: with Q = m q and Q₊ = 1 (the target is there once, undrawn) Σ exp(s - log Q) estimates the
        full sum Σ_n exp(s_n), and the gradient tends to the full softmax's; the bias shrinks like 1/m.
Rule    A hit would push the target down as its own negative. Negatives of a batch are the other users' targets: Q is
        popularity, and of the scores (b b) the diagonal is a hit as well, hits = items[:, None] == items.
Asked   "Derive logQ. Who loses without it? Negatives from the batch: what is Q, what are accidental hits?"
Source  Bengio, Senécal 2008; Yi et al. 2019, https://doi.org/10.1145/3298689.3346996 (from the batch);
        Khrylchenko et al. 2025, https://arxiv.org/abs/2507.09331 (Q₊).
"""

import numpy as np
import torch

from recattn_mini.shapes import takes


@takes(
    positive="...",
    negatives="... m",
    log_q_positive="(...) | number",
    log_q_negatives="(... m) | number",
    hits="bool (... m)",
)
def sampled_softmax_loss_numpy(
    positive: np.ndarray,
    negatives: np.ndarray,
    log_q_positive: np.ndarray | float,
    log_q_negatives: np.ndarray | float,
    hits: np.ndarray | None = None,
) -> float:
    """Scores positive (...), negatives (... m), log Q of both, hits (... m) -> one Python float, the mean in nats.

    A target's loss is log Σ exp(s - log Q) - (s₊ - log Q₊), and the sum runs over the target and its m negatives.
    log_q_positive broadcasts to (...): one for each target, or a number. log_q_negatives broadcasts to (... m) from the
    right: (m) is one log Q for each negative, shared by all targets, also where there are as many targets as negatives;
    (... m) is one for each pair; a number is for all. hits is boolean, broadcasts to (... m) and is True where a
    negative is the target itself: that negative drops out of the sum. A target whose negatives are all hits costs 0.
    Scores beyond ±1,000 neither overflow nor vanish. The arguments stay as they are.

    >>> s, q = np.log([3.0]), np.log([[0.5, 2.0]])  # the target scores log 3; one negative is rare, one often drawn
    >>> round(sampled_softmax_loss_numpy(s, 0 * q, 0.0, q), 4)  # 3 against 1/½ and 1/2: log 5.5/3
    0.6061
    >>> round(sampled_softmax_loss_numpy(s, 0 * q, 0.0, q, np.array([[True, False]])), 4)  # log 3.5/3
    0.1542
    >>> round(sampled_softmax_loss_numpy(s, 0 * q, 5.0, 5.0), 4)  # one log Q for all cancels, as 0.0: log (3 + 1 + 1)/3
    0.5108
    """
    positive, negatives = positive - log_q_positive, negatives - log_q_negatives
    if hits is not None:
        negatives = np.where(hits, -np.inf, negatives)
    logits = np.concatenate([positive[..., None], negatives], axis=-1)  # the target is among its rivals
    top = logits.max(axis=-1)
    return float((np.log(np.exp(logits - top[..., None]).sum(axis=-1)) + top - positive).mean())


@takes(
    positive="...",
    negatives="... m",
    log_q_positive="(...) | number",
    log_q_negatives="(... m) | number",
    hits="bool (... m)",
)
def sampled_softmax_loss(
    positive: torch.Tensor,
    negatives: torch.Tensor,
    log_q_positive: torch.Tensor | float,
    log_q_negatives: torch.Tensor | float,
    hits: torch.Tensor | None = None,
) -> torch.Tensor:
    """Scores positive (...), negatives (... m), log Q of both, hits (... m) -> a tensor without axes, the mean in nats.

    A target's loss is log Σ exp(s - log Q) - (s₊ - log Q₊), and the sum runs over the target and its m negatives.
    log_q_positive broadcasts to (...): one for each target, or a number. log_q_negatives broadcasts to (... m) from the
    right: (m) is one log Q for each negative, shared by all targets, also where there are as many targets as negatives;
    (... m) is one for each pair; a number is for all. hits is boolean, broadcasts to (... m) and is True where a
    negative is the target itself: that negative drops out of the sum. A target whose negatives are all hits costs 0,
    and its gradient is finite. Scores beyond ±1,000 neither overflow nor vanish. The loss has the dtype of the scores.
    The arguments stay as they are.

    >>> items = torch.tensor([50, 181, 50])  # negatives from the batch: one for 50, two for 181
    >>> scores, log_q = torch.zeros(3, 3), torch.tensor([2.0, 1.0, 2.0]).log()  # 50 is twice as popular
    >>> sampled_softmax_loss(scores.diagonal(), scores, log_q, log_q, items[:, None] == items)  # log 3, log 2, log 3
    tensor(0.9635)
    >>> sampled_softmax_loss(scores[0], scores, 5.0, 5.0)  # one log Q for all cancels, as 0.0 would: log (1 + 3)
    tensor(1.3863)
    """
    positive, negatives = positive - log_q_positive, negatives - log_q_negatives
    if hits is not None:
        negatives = negatives.masked_fill(hits, -torch.inf)
    logits = torch.cat([positive[..., None], negatives], -1)  # the target is among its rivals
    return -torch.log_softmax(logits, -1)[..., 0].mean()
