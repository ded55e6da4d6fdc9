"""What deepctr-torch and fuxictr were recorded to return is still what they return: computed anew where installed.

Neither is a dependency: `pip install --no-deps deepctr-torch==0.3.0`, and `pip install fuxictr==2.3.10`.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

RECORDED = Path(__file__).parents[1] / "attention" / "data"

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs


def recorded(library):
    """{what: {"inputs" | "weights" | "outputs": {name: float64 or bool tensor}}}"""
    data = json.loads((RECORDED / f"{library}_target_attention.json").read_text("utf-8"))
    assert library.replace("_", "-") in data.pop("provenance")
    return {
        what: {
            kind: {name: torch.from_numpy(np.array(x)) for name, x in tensors.items()} for kind, tensors in of.items()
        }
        for what, of in data.items()
    }


@pytest.fixture(scope="module")
def sequence():
    """deepctr-torch's layers; on import a thread of it asks the network for newer versions."""

    def no_network(*_, **__):
        raise OSError

    requests = pytest.importorskip("requests")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(requests, "get", no_network)
        yield pytest.importorskip("deepctr_torch.layers.sequence")


@pytest.fixture(scope="module")
def target_attention():
    return pytest.importorskip("fuxictr.pytorch.layers.attentions.target_attention")


def deepctr_din(sequence, inputs, weights):
    a, four_d = weights["w_hidden"].shape
    outputs = {}
    for name, softmax in [("sum", False), ("softmax", True)]:
        layer = sequence.AttentionSequencePoolingLayer((a,), "sigmoid", softmax, embedding_dim=four_d // 4).double()
        with torch.no_grad():
            hidden, score = layer.local_att.dnn.linears[0], layer.local_att.dense
            hidden.weight.copy_(weights["w_hidden"])
            hidden.bias.copy_(weights["b_hidden"])
            score.weight.copy_(weights["w_score"][None])
            score.bias.zero_()
            lengths = inputs["mask"].sum(-1, keepdim=True)
            outputs[name] = layer(inputs["q"][:, None], inputs["k"], lengths)[:, 0]
    return outputs


def deepctr_cells(sequence, inputs, weights):
    c, d = inputs["x"].shape[-1], inputs["state"].shape[-1]
    outputs = {}
    for name, cell in [("augru", sequence.AUGRUCell(c, d)), ("agru", sequence.AGRUCell(c, d))]:
        cell.load_state_dict(weights, assign=True)
        with torch.no_grad():
            outputs[name] = cell(inputs["x"], inputs["state"], inputs["attention"])
    return outputs


def fuxictr_din(target_attention, inputs, weights):
    a, four_d = weights["w_hidden"].shape
    outputs = {}
    for name, softmax in [("sum", False), ("softmax", True)]:
        layer = target_attention.DIN_Attention(four_d // 4, [a], "Sigmoid", use_softmax=softmax).double()
        with torch.no_grad():
            hidden, _, score = layer.attention_layer.mlp
            hidden.weight.copy_(weights["w_hidden"])
            hidden.bias.copy_(weights["b_hidden"])
            score.weight.copy_(weights["w_score"][None])
            score.bias.zero_()
            outputs[name] = layer(inputs["q"], inputs["k"], inputs["mask"])
    return outputs


def fuxictr_multi_head(target_attention, inputs, weights):
    a, d = weights["W_q.weight"].shape
    outputs = {}
    for h in (1, 2, 3):
        layer = target_attention.MultiHeadTargetAttention(d, a, h).double()
        layer.load_state_dict(weights)
        with torch.no_grad():
            outputs[f"h = {h}"] = layer(inputs["candidate"], inputs["history"], inputs["mask"])
    return outputs


def check(found, expected):
    assert found.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=0, atol=1e-9)


def test_deepctr_din(sequence):
    case = recorded("deepctr_torch")["AttentionSequencePoolingLayer"]
    check(deepctr_din(sequence, case["inputs"], case["weights"]), case["outputs"])


def test_deepctr_cells(sequence):
    case = recorded("deepctr_torch")["AUGRUCell, AGRUCell"]
    check(deepctr_cells(sequence, case["inputs"], case["weights"]), case["outputs"])


def test_fuxictr_din(target_attention):
    case = recorded("fuxictr")["DIN_Attention"]
    check(fuxictr_din(target_attention, case["inputs"], case["weights"]), case["outputs"])


def test_fuxictr_multi_head(target_attention):
    case = recorded("fuxictr")["MultiHeadTargetAttention"]
    check(fuxictr_multi_head(target_attention, case["inputs"], case["weights"]), case["outputs"])
