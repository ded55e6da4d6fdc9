"""The copied model of lesson 02, run by Keras as the lesson prints it: what is recorded of it is what Keras says.

Keras is no dependency of a lesson: it shows recorded values beside a port, and this is where they come from.
"""

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from experiments import run_keras
from experiments.run_keras import answer, copied, numbers
from sklearn.metrics import roc_auc_score

from recattn_mini.data import recorded

KERAS = recorded.read("keras")


@pytest.fixture(scope="module")
def keras() -> ModuleType:
    pytest.importorskip("keras")
    return run_keras.keras_on_torch()


@pytest.fixture(scope="module")
def anew(keras) -> dict[str, Any]:
    """What Keras says now."""
    return run_keras.figures()


@pytest.mark.parametrize("what", sorted(KERAS.keys() - {"provenance"}))
def test_what_is_recorded_is_what_keras_says(anew, what):
    if what.startswith("±"):  # cosines of vectors that are nearly the same, in float32
        assert anew[what] == pytest.approx(KERAS[what], abs=1e-5)
    elif isinstance(KERAS[what], (list, dict)):
        assert anew[what] == pytest.approx(KERAS[what], abs=1e-6)
    else:
        assert anew[what] == KERAS[what]


def test_nothing_else_is_recorded(anew):
    assert anew.keys() == KERAS.keys() - {"provenance"}


def test_no_parameter_of_the_attention_and_17_in_all(keras):
    assert [layer.count_params() for layer in copied(keras, (10, 16)).layers] == [0, 0, 17]


def test_it_cannot_be_fitted_to_one_label_a_user(keras):
    x = np.random.RandomState(0).randn(8, 10, 16).astype("float32")
    with pytest.raises(ValueError, match="must have the same shape"):
        copied(keras, (10, 16)).fit(x, np.ones((8, 1)), verbose=0)
    copied(keras, (10, 16)).fit(x, np.ones((8, 10, 1)), verbose=0)  # one label a step is what it asks for


def test_the_batch_is_taken_for_the_sequence(keras):
    """With input_shape=(16,) it builds. User 0 then has another score in company than alone, as in our port."""
    assert copied(keras, (16,)).output_shape == (None, 1)
    lesson = run_keras.port()
    for seed in range(20):
        users, kernel = lesson["users_and_kernel"](seed)
        ours = [lesson["port"](x, kernel)[0, 0] for x in (users, users[:1])]
        np.testing.assert_allclose(run_keras.together_and_alone(keras, seed), ours, atol=1e-6)  # theirs is float32
    assert KERAS["gap over 20 seeds: mean, largest"][0] > 0.03


def test_its_temperature_is_the_squared_length_of_its_inputs():
    assert KERAS["weight on itself, N(0, 1)"]["64"] == pytest.approx(1, abs=1e-3)  # the identity


def test_on_keras_s_own_embeddings_it_is_mean_pooling(keras):
    layer = keras.layers.Embedding(200, 64)
    layer.build()
    table = numbers(layer.embeddings.value)
    assert np.abs(table).max() <= 0.05 < np.abs(table).max() * 1.01  # the default is what the lesson draws
    assert table.std() == pytest.approx(0.05 / np.sqrt(3), rel=0.02)
    on_itself, to_the_mean, _ = KERAS["±0.05: weight on itself, cosine to the mean, to the input"]
    assert (on_itself, to_the_mean) == pytest.approx((1 / 20, 1), abs=0.003)


def test_a_shuffled_history_gets_the_same_numbers_in_another_order(keras):
    model, draw = copied(keras, (10, 16)), np.random.RandomState(0)
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
