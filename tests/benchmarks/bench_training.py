"""How fast training is, as ratios within one process: pytest tests/benchmarks/bench_training.py

A step of SASRec over the same step of the same model made of nn.TransformerEncoderLayer: loss, gradients, AdamW. And
what the ranking of 1,000 candidates costs in one masked pass, over a pass for each. Ratios are of CPU seconds with one
thread, the least of several runs that take turns.
"""

import time

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from recattn_mini.attention.candidate_mask import candidate_mask
from recattn_mini.attention.encoder_block import EncoderBlock
from recattn_mini.data.sequences import NextItems
from recattn_mini.models.sasrec import SASRec
from recattn_mini.training.next_item import loss_over_all_items

N, D, H, LENGTH, BLOCKS, DROPOUT = 1682, 64, 1, 50, 2, 0.2
EVENTS = 256


class OfTorchsLayers(nn.Module):
    """SASRec, written with torch's own layers."""

    def __init__(self):
        super().__init__()
        self.items = nn.Embedding(N + 1, D, padding_idx=0)
        self.positions = nn.Parameter(0.02 * torch.randn(LENGTH, D))
        self.bias = nn.Parameter(torch.zeros(N + 1))
        self.dropout = nn.Dropout(DROPOUT)
        layer = nn.TransformerEncoderLayer(D, H, D, DROPOUT, batch_first=True, norm_first=True, bias=False)
        self.encoder = nn.TransformerEncoder(layer, BLOCKS, nn.LayerNorm(D, bias=False), enable_nested_tensor=False)
        self.causal = torch.ones(LENGTH, LENGTH, dtype=torch.bool).triu(1)

    def forward(self, history):
        x = self.dropout(self.items(history) + self.positions.flip(0))
        # no padding in these histories: torch's layers give NaN where a query may attend to nothing
        return self.encoder(x, mask=self.causal, src_key_padding_mask=history == 0)

    def logits(self, states, items):
        return nn.functional.linear(states, self.items(items), self.bias[items])


def seconds_of(functions, rounds):
    """The least CPU seconds of each, in turns."""
    least = [float("inf")] * len(functions)
    for _ in range(rounds):
        for i, function in enumerate(functions):
            start = time.process_time()
            function()
            least[i] = min(least[i], time.process_time() - start)
    return least


def operations_of(function):
    """Multiplications and additions in matrix products."""
    with FlopCounterMode(display=False) as counter:
        function()
    return counter.get_total_flops()


def step_of(model, batch):
    optimiser = torch.optim.AdamW(model.parameters())

    def step():
        optimiser.zero_grad()
        loss_over_all_items(model, batch).backward()
        optimiser.step()

    return step


def test_a_step_of_sasrec(capsys):
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    history = torch.randint(1, N + 1, (64, LENGTH + 1))
    batch = NextItems(history[:, :-1], history[:, 1:], history[:0, 0])
    models = SASRec(N, D, H, LENGTH, BLOCKS, DROPOUT), OfTorchsLayers()
    assert sum(p.numel() for p in models[0].parameters()) == sum(p.numel() for p in models[1].parameters())
    ours, theirs = seconds_of([step_of(model, batch) for model in models], rounds=30)
    torch.set_num_threads(threads)
    with capsys.disabled():
        print(f"\na training step of SASRec over one of torch's layers: {ours / theirs:.2f} (aim 1.3)")


def test_a_thousand_candidates(capsys):
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    blocks = nn.ModuleList(EncoderBlock(D, H, D) for _ in range(BLOCKS)).eval()
    items = nn.Embedding(N + 1, D, padding_idx=0)
    history, candidates = torch.randint(1, N + 1, (1, EVENTS)), torch.randperm(N)[None, :1000] + 1

    def states(candidates):
        x, mask = items(torch.cat([history, candidates], dim=1)), candidate_mask(history, candidates)
        for block in blocks:
            x = block(x, mask)
        return x[:, EVENTS:]

    def one_by_one():
        return torch.cat([states(candidates[:, i : i + 1]) for i in range(1000)], dim=1)

    with torch.no_grad():
        torch.testing.assert_close(states(candidates), one_by_one(), rtol=1e-4, atol=1e-4)
        seconds = seconds_of([lambda: states(candidates), one_by_one], rounds=3)
        operations = [operations_of(lambda: states(candidates)), operations_of(one_by_one)]
    torch.set_num_threads(threads)
    with capsys.disabled():
        print(
            f"\n1,000 passes for one candidate each, a history of {EVENTS}, over one masked pass for all: "
            f"{operations[1] / operations[0]:.0f} × operations (aim 50), {seconds[1] / seconds[0]:.0f}× time"
        )
