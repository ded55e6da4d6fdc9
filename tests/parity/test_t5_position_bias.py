"""The recorded outputs of transformers' T5Attention are still what it returns, wherever transformers is installed.

`pip install transformers` brings it; `record()` wrote the file, and writes it anew.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

RECORDED = Path(__file__).parents[1] / "attention" / "data" / "transformers_t5_attention.json"
B, H, T, D, BUCKETS = 2, 3, 13, 5, 8
PADDED = 4  # steps on the left of the first user


def given():
    """Three decimals, so that the file stays small and says exactly what went in."""
    random = np.random.RandomState(0)
    shapes = {"x": (B, T, H * D), "table": (BUCKETS, H), **{f"w_{name}": (H * D, H * D) for name in "qkv"}}
    scale = {"x": 1.0, "table": 1.0}
    return {name: np.round(random.randn(*shape) * scale.get(name, 0.3), 3).tolist() for name, shape in shapes.items()}


def computed(given):
    """What theirs gives: an encoder's and a decoder's layer with relative bias, W_o the identity, in float64."""
    t5 = pytest.importorskip("transformers.models.t5.modeling_t5")
    given = {name: torch.tensor(x, dtype=torch.float64) for name, x in given.items()}
    lowest = torch.finfo(torch.float64).min
    padding = torch.zeros(B, 1, 1, T, dtype=torch.float64)
    padding[0, ..., :PADDED] = lowest
    future = torch.full((1, 1, T, T), lowest, dtype=torch.float64).triu(1)

    def layer(is_decoder):
        config = t5.T5Config(
            d_model=H * D,
            d_kv=D,
            num_heads=H,
            relative_attention_num_buckets=BUCKETS,
            dropout_rate=0.0,
            is_decoder=is_decoder,
        )
        one = t5.T5Attention(config, has_relative_attention_bias=True, layer_idx=0).double().eval()
        weights = {"relative_attention_bias.weight": given["table"], "o.weight": torch.eye(H * D)}
        one.load_state_dict({**weights, **{f"{name}.weight": given[f"w_{name}"] for name in "qkv"}})
        return lambda mask: one(given["x"], mask=mask, query_length=T)[:2]

    def bucket(bidirectional):
        relative = torch.arange(-200, 201)
        return t5.T5Attention._relative_position_bucket(relative, bidirectional, num_buckets=32, max_distance=128)

    with torch.no_grad():
        (encoder, encoder_bias), (padded, _) = layer(False)(None), layer(False)(padding)
        (_, decoder_bias), (decoder, _) = layer(True)(None), layer(True)(future)
    return {
        "buckets": bucket(True),
        "causal buckets": bucket(False),
        "encoder bias": encoder_bias[0],
        "decoder bias": decoder_bias[0],
        "encoder": encoder,
        "encoder, first user padded": padded,
        "decoder": decoder,
    }


def record():
    transformers = pytest.importorskip("transformers")
    inputs = given()
    file = {
        "provenance": {
            "library": "transformers",
            "version": transformers.__version__,
            "class": "transformers.models.t5.modeling_t5.T5Attention, has_relative_attention_bias=True",
            "made by": "tests/parity/test_t5_position_bias.py, record()",
            "dtype": "float64, but T5Attention takes the softmax in float32: outputs are good to 1e-6",
            "buckets": "of key - query from -200 to 200, 32 buckets, max_distance 128",
        },
        "inputs": inputs,
        "outputs": {name: np.round(x.double().numpy(), 9).tolist() for name, x in computed(inputs).items()},
    }
    RECORDED.write_text(json.dumps(file).replace("]], ", "]],\n") + "\n", "utf-8")


RECORDED_OUTPUTS = json.loads(RECORDED.read_text("utf-8"))["outputs"]


@pytest.fixture(scope="module")
def anew():
    return computed(given())


def test_the_inputs_are_the_recorded_ones():
    assert json.loads(RECORDED.read_text("utf-8"))["inputs"] == given()


@pytest.mark.parametrize("name", RECORDED_OUTPUTS)
def test_recorded_outputs_are_what_transformers_returns(name, anew):
    recorded = torch.tensor(RECORDED_OUTPUTS[name], dtype=torch.float64)
    torch.testing.assert_close(anew[name].double(), recorded, rtol=0, atol=1e-6)
