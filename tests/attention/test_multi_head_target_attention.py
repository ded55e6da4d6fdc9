import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from recattn_mini.attention.multi_head_target_attention import (
    multi_head_target_attention,
    multi_head_target_attention_numpy,
)

BOTH = pytest.mark.parametrize("f", [multi_head_target_attention, multi_head_target_attention_numpy])


@pytest.fixture
def inputs(normal):
    """Candidates (b t d), history (b s d) and W_q, W_k, W_v, W_o (d d) for one head or eleven."""
    return normal("b t d"), normal("b s d"), *(normal("d d") / 3 for _ in range(4))


@pytest.fixture
def mask():
    """(b 1 1 s): the second user has one event."""
    return torch.tensor([[False, True, True, False, True, True, True], [False] * 6 + [True]])[:, None, None]


def torch_layer(candidates, history, w_q, w_k, w_v, w_o, h, mask=None):
    layer = nn.MultiheadAttention(candidates.shape[-1], h, bias=False, batch_first=True)
    weights = {"in_proj_weight": torch.cat([w_q, w_k, w_v]), "out_proj.weight": w_o}
    ignored = {} if mask is None else {"key_padding_mask": ~mask[:, 0, 0]}  # True = ignore
    return torch.func.functional_call(layer, weights, (candidates, history, history), ignored)[0]


@BOTH
@pytest.mark.parametrize("h", [1, 11])
def test_equals_torch(f, h, inputs, mask, call, close):
    close(call(f, *inputs, h), torch_layer(*inputs, h))
    close(call(f, *inputs, h, mask), torch_layer(*inputs, h, mask))


@BOTH
def test_equals_torch_beyond_logits_of_1000(f, inputs, mask, call, close):
    candidates, *rest = inputs
    close(call(f, 3000 * candidates, *rest, 1, mask), torch_layer(3000 * candidates, *rest, 1, mask))


@BOTH
def test_what_fuxictr_returns(f, call, close):
    path = Path(__file__).parent / "data" / "fuxictr_target_attention.json"
    case = json.loads(path.read_text("utf-8"))["MultiHeadTargetAttention"]
    inputs, weights, outputs = (
        {name: torch.from_numpy(np.array(x)) for name, x in case[kind].items()}
        for kind in ("inputs", "weights", "outputs")
    )
    assert list(weights) == ["W_q.weight", "W_k.weight", "W_v.weight", "W_o.weight"]
    candidate, history, mask = inputs["candidate"][:, None], inputs["history"], inputs["mask"][:, None, None]
    for h in (1, 2, 3):
        close(call(f, candidate, history, *weights.values(), h, mask)[:, 0], outputs[f"h = {h}"])


@BOTH
def test_worked_by_hand(f, call, close, tensor):
    """Two heads of width 1: the first candidate's ask for odds of 3 to 1 and of 1 to 3, the second's for even ones."""
    log_3, one = np.log(3.0), torch.eye(2, dtype=torch.float64)
    candidates, history = tensor([[[1, -1], [0, 0]]]), tensor([[[log_3, log_3], [0, 0]]])
    out = call(f, candidates, history, one, one, one * 8 / log_3, one, 2)
    close(out, tensor([[[6, 2], [4, 4]]]))


@BOTH
def test_candidates_do_not_see_each_other(f, inputs, mask, call, close):
    candidates, *rest = inputs
    together = call(f, *inputs, 11, mask)
    for n in range(5):
        close(call(f, candidates[:, n : n + 1], *rest, 11, mask), together[:, n : n + 1])


@BOTH
def test_an_empty_history_gives_zeros(f, inputs, mask, call):
    out = call(f, *inputs, 11, mask & torch.tensor([True, False])[:, None, None, None])
    assert (out[1] == 0).all()
    assert (out[0] != 0).all()


def test_bad_input(inputs):
    candidates, history, *weights = inputs
    with pytest.raises(
        ValueError, match=r"^history must be \(b s d\), b = 2 as in candidates, d = 11 as in candidates"
    ):
        multi_head_target_attention(candidates, history[..., :7], *weights, 1)
    with pytest.raises(ValueError, match=r"^h must divide .* got 3"):
        multi_head_target_attention(*inputs, 3)
