"""The copied model of lesson 02, run by Keras as the lesson prints it: what the lesson records is what Keras says.

Keras is no dependency of a lesson: it shows recorded values beside a port, and this is where they come from.
"""

import os
import re
from types import SimpleNamespace

import jupytext
import numpy as np
import pytest
import torch
from notebooks import ROOT, printing_as_before
from sklearn.metrics import roc_auc_score

CELLS = jupytext.read(ROOT / "lessons" / "source" / "02_design_an_attention_model.py", fmt="py:percent").cells


def cell(tag: str) -> str:
    [source] = [c.source for c in CELLS if tag in c.metadata.get("tags", [])]
    return source


@pytest.fixture(scope="module")
def keras():
    os.environ["KERAS_BACKEND"] = "torch"
    keras = pytest.importorskip("keras")
    assert keras.config.backend() == "torch"
    return keras


@pytest.fixture(scope="module")
def recorded() -> dict:
    """What the lesson says that Keras said."""
    names: dict = {}
    exec(cell("recorded"), names)
    return names["KERAS"]


@pytest.fixture(scope="module")
def lesson() -> dict:
    """The lesson's port, and the numbers that it draws."""
    names: dict = {"np": np, "torch": torch}
    with printing_as_before():
        for source in (cell("imports"), cell("port")):
            exec(source, names)
    return names


@pytest.fixture
def copied(keras):
    """copied(input_shape): the model of the lesson's text, compiled."""
    [source] = re.findall(r"```python\n(import tensorflow.*?)```", cell("copied"), flags=re.DOTALL)

    def build(input_shape):
        names = {"tf": SimpleNamespace(keras=keras), "input_shape": input_shape}
        exec(source.replace("import tensorflow as tf\n", ""), names)
        return names["model"]

    return build


def attention_weights(keras, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The output and the weights of Keras's layer where query and value are x."""
    tensor = keras.ops.convert_to_tensor(x.astype("float32"))
    pair = keras.layers.Attention()([tensor, tensor], return_attention_scores=True)
    out, weights = (numbers(each) for each in pair)
    return out, weights


def numbers(x: torch.Tensor) -> np.ndarray:
    """Keras's own `convert_to_numpy` warns with NumPy 2."""
    return x.detach().cpu().numpy().astype(float)


def answer(keras, model, x: np.ndarray) -> np.ndarray:
    """The model's output, without the machinery of `predict`."""
    return numbers(model(keras.ops.convert_to_tensor(x.astype("float32"))))


def error_of(action) -> str:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the text is what is looked at
        action()
    return f"ValueError: {caught.value}"


def test_a_number_is_no_shape(copied, recorded):
    assert error_of(lambda: copied(16)) == recorded["Input(shape=(16))"]


def test_no_parameter_of_the_attention_and_17_in_all(copied, recorded):
    model = copied((10, 16))
    assert [layer.count_params() for layer in model.layers] == [0, 0, 17]
    assert model.layers[1].count_params() == recorded["parameters of the attention"] == 0
    assert model.count_params() == recorded["parameters of the model"] == 17


def test_one_number_for_each_step(copied, recorded):
    assert copied((10, 16)).output_shape == recorded["output"] == (None, 10, 1)


def test_it_cannot_be_fitted_to_one_label_a_user(copied, recorded):
    x = np.random.RandomState(0).randn(8, 10, 16).astype("float32")
    assert error_of(lambda: copied((10, 16)).fit(x, np.ones(8), verbose=0)) == recorded["labels (8,)"]
    with pytest.raises(ValueError, match="must have the same shape"):
        copied((10, 16)).fit(x, np.ones((8, 1)), verbose=0)
    copied((10, 16)).fit(x, np.ones((8, 10, 1)), verbose=0)  # one label a step is what it asks for


def test_the_batch_is_taken_for_the_sequence(keras, copied, recorded, lesson):
    """With input_shape=(16,) it builds. User 0 then has another score in company than alone, over 20 seeds."""
    model, gaps = copied((16,)), []
    assert model.output_shape == (None, 1)
    for seed in range(20):
        users, kernel = lesson["users_and_kernel"](seed)
        model.set_weights([kernel.astype("float32"), np.zeros(1, "float32")])
        together = answer(keras, model, users)[0, 0]
        with pytest.warns(UserWarning, match=recorded["warning, alone"]):  # in company there is none
            alone = answer(keras, model, users[:1])[0, 0]
        ours = [lesson["port"](x, kernel)[0, 0] for x in (users, users[:1])]
        np.testing.assert_allclose([together, alone], ours, atol=1e-6)  # Keras computes in float32
        gaps.append(abs(together - alone))
        if seed == 0:
            assert (together, alone) == pytest.approx(recorded["user 0 in a batch of 8, and alone"], abs=1e-6)
    assert (np.mean(gaps), max(gaps)) == pytest.approx(recorded["gap over 20 seeds: mean, largest"], abs=1e-6)
    assert np.mean(gaps) > 0.03


def test_its_temperature_is_the_squared_length_of_its_inputs(keras, recorded):
    for width, weight in recorded["weight on itself, N(0, 1)"].items():
        x = np.random.RandomState(0).randn(64, 20, width)
        assert np.diagonal(attention_weights(keras, x)[1], axis1=1, axis2=2).mean() == pytest.approx(weight, abs=1e-5)
    assert recorded["weight on itself, N(0, 1)"][64] == pytest.approx(1, abs=1e-3)  # the identity


def test_on_keras_s_own_embeddings_it_is_mean_pooling(keras, recorded):
    layer = keras.layers.Embedding(200, 64)
    layer.build()
    table = numbers(layer.embeddings.value)
    assert np.abs(table).max() <= 0.05 < np.abs(table).max() * 1.01  # the default is what the lesson draws
    assert table.std() == pytest.approx(0.05 / np.sqrt(3), rel=0.02)
    x = np.random.RandomState(0).uniform(-0.05, 0.05, (64, 20, 64))
    out, weights = attention_weights(keras, x)
    found = (
        np.diagonal(weights, axis1=1, axis2=2).mean(),
        cosine(out, x.mean(1, keepdims=True)).mean(),
        cosine(out, x).mean(),
    )
    assert found == pytest.approx(recorded["±0.05: weight on itself, cosine to the mean, to the input"], abs=1e-5)
    assert found[:2] == pytest.approx((1 / 20, 1), abs=0.003)


def cosine(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x * y).sum(-1) / np.linalg.norm(x, axis=-1) / np.linalg.norm(y, axis=-1)


def test_a_shuffled_history_gets_the_same_numbers_in_another_order(keras, copied):
    model, draw = copied((10, 16)), np.random.RandomState(0)
    x, order = draw.randn(3, 10, 16), draw.permutation(10)
    np.testing.assert_allclose(answer(keras, model, x[:, order]), answer(keras, model, x)[:, order], atol=1e-6)


def test_accuracy_at_one_per_cent_is_almost_that_of_never_click(keras):
    draw = np.random.RandomState(0)
    chance = 1 / (1 + np.exp(-draw.normal(-5.85, 1.6, 200_000)))
    clicked = draw.rand(len(chance)) < chance
    accuracy = {}
    for name, p in (("calibrated", chance), ("never", np.zeros_like(chance))):
        metric = keras.metrics.BinaryAccuracy()
        metric.update_state(*(keras.ops.convert_to_tensor(x[:, None].astype("float32")) for x in (clicked, p)))
        accuracy[name] = float(metric.result())
    assert accuracy["never"] == pytest.approx(0.99, abs=0.001)
    assert accuracy["calibrated"] - accuracy["never"] == pytest.approx(0, abs=0.001)
    assert roc_auc_score(clicked, chance) > 0.85
