r"""GRU4Rec: a recurrent network reads a history; after every event it says which item comes next. No attention at all.

    h_t = GRU(E[item_t], h_{t-1});   score of item i = W h_last · E_i + b_i

Axes   history (b s) of item ids, 0 = padding on the left; states (b s d); scores (b n+1) by item id.
Rule   GRU4Rec is the baseline that attention has to beat at equal loss, negatives and time; often it does not.
       The GRU has no biases: a zero input then leaves a zero state at zero, so padding on the left changes nothing.
Cost   O(s·d²) and s steps that cannot run side by side; no term in s².
Asked  "SASRec or GRU4Rec on a small data set? What did the papers compare that made the difference look large?"
Source Hidasi et al. 2016. https://arxiv.org/abs/1511.06939
       Hidasi, Karatzoglou 2018 (the losses). https://arxiv.org/abs/1706.03847
"""

import torch
from torch import nn

from recattn_mini.shapes import takes


class GRU4Rec(nn.Module):
    """n items, width d; one layer."""

    def __init__(self, n: int, d: int, dropout: float) -> None:
        super().__init__()
        self.items = nn.Embedding(n + 1, d, padding_idx=0)
        self.dropout = nn.Dropout(dropout)
        self.gru = nn.GRU(d, d, bias=False, batch_first=True)
        self.o_proj = nn.Linear(d, d, bias=False)
        self.bias = nn.Parameter(torch.zeros(n + 1))
        nn.init.normal_(self.items.weight, std=0.02)
        with torch.no_grad():
            self.items.weight[0] = 0

    @takes(history="int b s")
    def forward(self, history: torch.Tensor) -> torch.Tensor:
        """History (b s) -> a state (b s d) after every event; `logits` scores what comes next."""
        states, _ = self.gru(self.dropout(self.items(history)))
        return self.o_proj(self.dropout(states))

    def scores(self, history: torch.Tensor) -> torch.Tensor:
        """History (b s) -> scores (b n+1) of what comes next, by item id; padding has -inf."""
        every = torch.arange(len(self.bias), device=history.device)
        scores = self.logits(self(history)[:, -1], every)
        scores[:, 0] = -torch.inf
        return scores

    def logits(self, states: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """States (... d) and item ids (m) -> how well each item follows each state (... m)."""
        return nn.functional.linear(states, self.items(items), self.bias[items])
