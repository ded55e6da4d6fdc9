import pytest
import torch
import torch.nn.functional as F
from torch import nn

from recattn_mini.attention.candidate_mask import candidate_mask, candidate_mask_numpy

BOTH = pytest.mark.parametrize("f", [candidate_mask, candidate_mask_numpy])

HISTORIES = {
    "full": [[5, 3, 8, 1, 9, 2, 7], [4, 4, 6, 5, 3, 1, 2]],
    "left": [[0, 0, 50, 18, 7, 3, 3], [0, 3, 1, 25, 16, 9, 2]],
    "right": [[5, 3, 8, 1, 0, 0, 0], [4, 4, 6, 5, 3, 0, 0]],
    "gaps": [[5, 0, 8, 1, 0, 0, 2], [0, 0, 6, 0, 3, 0, 1]],
    "a new user": [[0, 0, 0, 0, 0, 0, 0], [0, 0, 6, 5, 3, 1, 2]],
}
CANDIDATES = {"all real": [[9, 5, 12], [5, 5, 8]], "padded": [[9, 0, 12], [0, 11, 0]]}


@pytest.fixture(params=HISTORIES)
def history(request):
    return torch.tensor(HISTORIES[request.param])


@pytest.fixture(params=CANDIDATES)
def candidates(request):
    return torch.tensor(CANDIDATES[request.param])


def may_see(query, key, s, items):
    """In words, one pair at a time."""
    if items[query] == 0 or items[key] == 0:
        return False
    if key >= s:  # a candidate is seen by itself
        return query == key
    return query >= s or key <= query


@BOTH
def test_equals_the_rule_pair_by_pair(f, history, candidates, call):
    s, users = history.shape[1], torch.cat([history, candidates], 1).tolist()
    expected = [[[[may_see(i, j, s, items) for j in range(len(items))] for i in range(len(items))]] for items in users]
    assert torch.equal(call(f, history, candidates), torch.tensor(expected))


@BOTH
def test_worked_by_hand(f, call):
    expected = [
        [0, 0, 0, 0, 0],  # padding
        [0, 1, 0, 0, 0],
        [0, 1, 1, 0, 0],
        [0, 1, 1, 1, 0],  # the first candidate: the history and itself
        [0, 0, 0, 0, 0],  # a padded one
    ]
    got = call(f, torch.tensor([[0, 5, 8]]), torch.tensor([[8, 0]]))
    assert torch.equal(got, torch.tensor([[expected]]).bool())


class Encoder(nn.Module):
    """Two of torch's own blocks, over items and positions, and a score for each step."""

    def __init__(self):
        super().__init__()
        self.items, self.positions = nn.Embedding(60, 12, padding_idx=0), nn.Embedding(8, 12)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(12, 3, 20, dropout=0.0, batch_first=True, norm_first=True) for _ in range(2)
        )
        self.score = nn.Linear(12, 1)

    def forward(self, items, positions, mask):
        """items (b s), positions (s), mask (b 1 s s), True = may attend -> scores (b s)."""
        blocked = ~mask.expand(-1, 3, -1, -1).flatten(0, 1)  # nn.MultiheadAttention means the opposite
        x = self.items(items) + self.positions(positions)
        for block in self.blocks:
            x = block(x, src_mask=blocked)
        return self.score(x)[..., 0]


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return Encoder().double()


def alone(encoder, history, candidate):
    """The score of one candidate after one history without its padding, under torch's own causal mask."""
    real = history != 0
    items, positions = torch.cat([history[real], candidate[None]])[None], torch.arange(8)[[*real.tolist(), True]]
    blocked = nn.Transformer.generate_square_subsequent_mask(items.shape[1], dtype=torch.float64)
    return encoder(items, positions, (blocked == 0)[None, None])[0, -1]


def in_one_pass(encoder, f, call, history, candidates):
    (_, s), n = history.shape, candidates.shape[1]
    positions = torch.tensor([*range(s), *[s] * n])  # all candidates stand at the same place, after the history
    return encoder(torch.cat([history, candidates], 1), positions, call(f, history, candidates))[:, s:]


@BOTH
def test_one_pass_equals_a_pass_for_each_candidate(f, history, candidates, encoder, call, close):
    scores = in_one_pass(encoder, f, call, history, candidates)
    assert not scores.isnan().any()
    for user in range(2):
        for n, candidate in enumerate(candidates[user]):
            if candidate != 0:
                close(scores[user, n], alone(encoder, history[user], candidate))


@BOTH
def test_under_a_causal_mask_rivals_would_be_seen(f, encoder, call):
    """What the mask is for: with a plain causal one, the second candidate's score depends on the first."""
    history, candidates = torch.tensor(HISTORIES["full"]), torch.tensor(CANDIDATES["all real"])
    items, positions = torch.cat([history, candidates], 1), torch.tensor([*range(7), 7, 7, 7])
    causal = torch.ones(2, 1, 10, 10, dtype=torch.bool).tril()
    difference = encoder(items, positions, causal)[:, 7:] - in_one_pass(encoder, f, call, history, candidates)
    assert difference[:, 0].abs().max() < 1e-9  # the first sees no rival
    assert difference[:, 1:].abs().min() > 1e-3


@BOTH
def test_scores_permute_with_the_candidates(f, history, candidates, encoder, call, close):
    order = torch.tensor([2, 0, 1])
    scores = in_one_pass(encoder, f, call, history, candidates)
    close(in_one_pass(encoder, f, call, history, candidates[:, order]), scores[:, order])


@BOTH
def test_the_history_does_not_know_its_candidates(f, history, candidates, call):
    """So its keys and values can be cached: rows and columns of the history are those of a causal, padded one."""
    real = history != 0
    expected = torch.ones(7, 7, dtype=torch.bool).tril() & real[:, None, None, :] & real[:, None, :, None]
    mask = call(f, history, candidates)
    assert torch.equal(mask[..., :7, :7], expected)
    assert not mask[..., :7, 7:].any()


@BOTH
def test_gradients_are_finite_and_none_reaches_padding(f, call, normal):
    history, candidates = torch.tensor(HISTORIES["a new user"]), torch.tensor(CANDIDATES["padded"])
    x = torch.cat([normal("b s d"), normal("b h d")], 1)[:, None].requires_grad_()
    out = F.scaled_dot_product_attention(x, x, x, call(f, history, candidates))
    out.backward(torch.ones_like(out) + out.detach())
    padding = torch.cat([history, candidates], 1) == 0
    assert x.grad.isfinite().all()
    assert (x.grad[:, 0][padding] == 0).all()
    assert (x.grad[:, 0][~padding].abs().amax(-1) > 0).all()


@BOTH
@pytest.mark.parametrize(("s", "n"), [(1, 1), (1, 4), (5, 1)])
def test_small_ones(f, s, n, call):
    mask = call(f, torch.ones(1, s, dtype=torch.int64), torch.ones(1, n, dtype=torch.int64))
    assert mask.shape == (1, 1, s + n, s + n)
    assert mask.sum().item() == s * (s + 1) // 2 + n * (s + 1)


@BOTH
def test_ids_of_other_widths_and_views(f, call):
    history, candidates = torch.tensor([[0, 5, 256]] * 4), torch.tensor([[7, 0], [256, 1], [3, 3], [9, 512]])
    views = history.T.contiguous().T, candidates.repeat_interleave(2, 1)[:, ::2]
    assert not any(x.is_contiguous() for x in views)
    expected = call(f, history, candidates)
    assert torch.equal(call(f, *views), expected)
    assert torch.equal(call(f, history.int(), candidates), expected)


@BOTH
def test_bad_input(f, call):
    history, candidates = torch.tensor(HISTORIES["left"]), torch.tensor(CANDIDATES["padded"])
    with pytest.raises(ValueError, match=r"^candidates must be \(b n\), b = 2 as in history, got \(1, 3\)$"):
        call(f, history, candidates[:1])
    with pytest.raises(ValueError, match=r"^history must be int, got"):
        call(f, history.double(), candidates)
    with pytest.raises(ValueError, match=r"^history has an empty axis"):
        call(f, history[:, :0], candidates)
