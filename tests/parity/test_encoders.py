"""The recorded outputs of session and multi-interest encoders are what their libraries return, computed anew.

They are no dependencies: `pip install --no-deps recbole==1.2.1 torch-rechub==0.9.0`, and recbole's own imports pandas,
colorlog, texttable, colorama, tensorboard, protobuf. A library that is missing is skipped.
"""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

RECORDED = Path(__file__).parents[1] / "attention" / "data"
ITEMS = torch.tensor([[4, 9, 2, 9, 1, 7, 5], [3, 8, 6, 0, 0, 0, 0], [10, 0, 0, 0, 0, 0, 0]])  # as RecBole pads: right
LENGTHS = torch.tensor([7, 3, 1])


class Catalogue:
    """What RecBole asks of a data set: how many items there are, padding counted."""

    def num(self, field):
        return 11


CONFIG = {
    "USER_ID_FIELD": "user_id",
    "ITEM_ID_FIELD": "item_id",
    "LIST_SUFFIX": "_list",
    "ITEM_LIST_LENGTH_FIELD": "item_length",
    "NEG_PREFIX": "neg_",
    "MAX_ITEM_LIST_LENGTH": 7,
    "device": "cpu",
    "embedding_size": 5,
    "hidden_size": 5,
    "n_layers": 1,
    "dropout_probs": [0.0, 0.0],
    "loss_type": "CE",
}


def model_of(library, name):
    """RecBole's model in float64 with weights from NumPy's frozen stream, and zeros for padding's embedding."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        models = pytest.importorskip(f"{library}.model.sequential_recommender")
        model = getattr(models, name)(CONFIG, Catalogue()).double().eval()
    return with_frozen_weights(model)


def with_frozen_weights(model):
    random = np.random.RandomState(0)
    with torch.no_grad():
        for _, weight in sorted(model.named_parameters()):
            weight.copy_(torch.from_numpy(random.randn(*weight.shape)))
        if hasattr(model, "item_embedding"):
            model.item_embedding.weight[0] = 0
    return model


def recbole_narm():
    model, seen = model_of("recbole", "NARM"), {}
    model.gru.register_forward_hook(lambda module, given, out: seen.update(states=out[0]))
    model.b.register_forward_hook(lambda module, given, out: seen.update(both=given[0]))
    model(ITEMS, LENGTHS)
    return {
        "inputs": {
            "states": seen["states"],
            "last": seen["states"][torch.arange(3), LENGTHS - 1],
            "mask": ITEMS > 0,
        },
        "weights": {"w_last": model.a_2.weight, "w_state": model.a_1.weight, "w_score": model.v_t.weight[0]},
        "outputs": {"local then global": seen["both"]},
    }


def recbole_stamp():
    model, seen = model_of("recbole", "STAMP"), {}
    model.mlp_a.register_forward_hook(lambda module, given, out: seen.update(memory=given[0]))
    scores = model.full_sort_predict({"item_id_list": ITEMS, "item_length": LENGTHS})
    x = model.item_embedding(ITEMS)
    return {
        "inputs": {
            "x": x,
            "last": x[torch.arange(3), LENGTHS - 1],
            "mask": ITEMS > 0,
            "items": model.item_embedding.weight,
        },
        "weights": {
            "w_item": model.w1.weight,
            "w_last": model.w2.weight,
            "w_mean": model.w3.weight,
            "b": model.b_a,
            "w_score": model.w0.weight[0],
            "w_s": model.mlp_a.weight,
            "b_s": model.mlp_a.bias,
            "w_t": model.mlp_b.weight,
            "b_t": model.mlp_b.bias,
        },
        "outputs": {"memory plus mean": seen["memory"], "scores": scores},
    }


def torch_rechub_interests():
    layers = pytest.importorskip("torch_rechub.basic.layers")
    layer = with_frozen_weights(layers.MultiInterestSA(embedding_dim=5, interest_num=3).double())
    x = torch.from_numpy(np.random.RandomState(1).randn(3, 7, 5))
    return {
        "inputs": {"x": x, "mask": ITEMS > 0},
        "weights": {"w": layer.W1.T, "w_score": layer.W2.T},
        "outputs": {"interests": layer(x, (ITEMS > 0)[..., None])},
    }


@pytest.mark.parametrize("compute", [recbole_narm, recbole_stamp, torch_rechub_interests])
def test_recorded_values(compute):
    recorded = json.loads((RECORDED / f"{compute.__name__}.json").read_text("utf-8"))
    for part, arrays in compute().items():
        assert recorded[part].keys() == arrays.keys()
        for name, array in arrays.items():
            want = torch.tensor(recorded[part][name], dtype=array.dtype)
            torch.testing.assert_close(array.detach(), want, rtol=1e-12, atol=1e-12, msg=lambda m, n=name: f"{n}: {m}")
