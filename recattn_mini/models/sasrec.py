r"""SASRec: self-attention reads a history from left to right; after every event it says which item comes next.

    x = E[history] + P;   x = block(x, causal and not padding), several times;   score_i = norm(x_last) · E_i + b_i

Axes   history (b s) of item ids, 0 = padding on the left; states (b s d); scores (b n+1) by item id.
Rule   The mask is causal, or the model would copy the answer: the target of a step is the input of the next. The last
       column is the last event, so positions count from the end. Input and output share one item table. b learns how
       popular each item is; the paper has no b. The published residual adds the *normalised* input; here the block is
       the usual pre-norm one.
Cost   O(s²d + sd²) for a block; the table n·d holds most parameters, nearly all of them where n is large.
Asked  "Why causal in training, when at serving only the last state is used? BERT4Rec is not causal: what does it pay?"
Source Kang, McAuley 2018, sec. III. https://arxiv.org/abs/1808.09781
"""

from typing import cast

import torch
from torch import nn

from recattn_mini.attention.encoder_block import EncoderBlock
from recattn_mini.attention.learned_positions import learned_positions_from_the_end
from recattn_mini.attention.masks import causal_mask, combined_mask, padding_mask
from recattn_mini.attention.multi_head_attention import split_heads
from recattn_mini.attention.scaled_dot_product_attention import attention_weights
from recattn_mini.shapes import takes


class SASRec(nn.Module):
    """n items, width d, h heads, histories of at most `length` events, a stack of `blocks` encoder blocks."""

    def __init__(self, n: int, d: int, h: int, length: int, blocks: int, dropout: float) -> None:
        super().__init__()
        self.items = nn.Embedding(n + 1, d, padding_idx=0)
        self.positions = nn.Parameter(torch.empty(length, d))
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(EncoderBlock(d, h, d, dropout) for _ in range(blocks))
        self.norm = nn.LayerNorm(d, bias=False)
        self.bias = nn.Parameter(torch.zeros(n + 1))
        for table in (self.items.weight, self.positions):  # N(0, 1), the default of nn.Embedding, saturates the softmax
            nn.init.normal_(table, std=0.02)
        with torch.no_grad():
            self.items.weight[0] = 0

    @takes(history="int b s")
    def forward(self, history: torch.Tensor) -> torch.Tensor:
        """History (b s) -> a state (b s d) after every event; `logits` scores what comes next."""
        x, mask = self._begin(history)
        for block in self.blocks:
            x = block(x, mask)
        return self.norm(x)

    def scores(self, history: torch.Tensor) -> torch.Tensor:
        """History (b s) -> scores (b n+1) of what comes next, by item id; padding has -inf."""
        every = torch.arange(len(self.bias), device=history.device)
        scores = self.logits(self(history)[:, -1], every)
        scores[:, 0] = -torch.inf
        return scores

    def logits(self, states: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """States (... d) and item ids (m) -> how well each item follows each state (... m)."""
        return nn.functional.linear(states, self.items(items), self.bias[items])

    @takes(history="int b s")
    def weights(self, history: torch.Tensor) -> torch.Tensor:
        """What the last event looks at in the last block, the mean of its heads: history (b s) -> (b s).

        The weights are the same for all items that are scored: SASRec's query is the user's last event, no candidate.
        """
        x, mask = self._begin(history)
        *before, last = cast(list[EncoderBlock], [*self.blocks])
        for block in before:
            x = block(x, mask)
        y, attention = last.norm_1(x), last.attention
        q, k = (split_heads(proj(y), attention.h) for proj in (attention.q_proj, attention.k_proj))
        return attention_weights(q, k, mask)[:, :, -1].mean(1)

    def _begin(self, history: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.dropout(learned_positions_from_the_end(self.items(history), self.positions))
        return x, combined_mask(causal_mask(x, x), padding_mask(history))
