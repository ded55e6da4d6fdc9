"""What Keras says of the code that lessons 02 and 03 quote; some seconds.

    PYTHONPATH=.:tests python tests/experiments/run_keras.py

The copied model is read from lesson 02, and so are the inputs and weights that its port is given.
tests/test_seed_model.py computes the same again in every test run, and says what it shows.
"""

import os
import re
import warnings
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import jupytext
import numpy as np
import torch
from experiments.recording import write
from notebooks import ROOT, printing_as_before

os.environ["KERAS_BACKEND"] = "torch"  # Keras reads it when it is imported
CELLS = jupytext.read(ROOT / "lessons" / "source" / "02_design_an_attention_model.py", fmt="py:percent").cells
PROTOCOL = "the copied models of lessons 02 and 03 as they stand there; torch backend, float32"


def keras_on_torch() -> ModuleType:
    """Keras; an ImportError where it is not installed."""
    import keras

    if (backend := keras.config.backend()) != "torch":
        raise RuntimeError(f"Keras must have the torch backend, got {backend}: import it first")
    return keras


def cell(tag: str) -> str:
    """The lesson's cell that bears the tag."""
    [source] = [c.source for c in CELLS if tag in c.metadata.get("tags", [])]
    return source


def port() -> dict[str, Any]:
    """The lesson's port, and the numbers that it draws."""
    names: dict[str, Any] = {}
    with printing_as_before():
        for tag in ("imports", "port"):
            exec(cell(tag), names)
    return names


def copied(keras: ModuleType, input_shape: Any) -> Any:
    """The model of the lesson's text, compiled."""
    [source] = re.findall(r"```python\n(import tensorflow.*?)```", cell("copied"), flags=re.DOTALL)
    names = {"tf": SimpleNamespace(keras=keras), "input_shape": input_shape}
    exec(source.replace("import tensorflow as tf\n", ""), names)
    return names["model"]


def numbers(x: torch.Tensor) -> np.ndarray:
    """Keras's own `convert_to_numpy` warns with NumPy 2."""
    return x.detach().cpu().numpy().astype(float)


def answer(keras: ModuleType, model: Any, x: np.ndarray) -> np.ndarray:
    """The model's output, without the machinery of `predict`."""
    return numbers(model(keras.ops.convert_to_tensor(x.astype("float32"))))


def attention(keras: ModuleType, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The output and the weights of Keras's layer where query and value are x."""
    tensor = keras.ops.convert_to_tensor(x.astype("float32"))
    out, weights = keras.layers.Attention()([tensor, tensor], return_attention_scores=True)
    return numbers(out), numbers(weights)


def error_of(action: Callable[[], Any]) -> str:
    """The ValueError that an action raises, as a traceback's last line has it."""
    try:
        action()
    except ValueError as error:
        return f"ValueError: {error}"
    raise AssertionError("no ValueError was raised")


def together_and_alone(keras: ModuleType, seed: int) -> tuple[float, float]:
    """User 0's score in a batch of eight, and alone, where input_shape is (16,)."""
    model = copied(keras, (16,))
    users, kernel = port()["users_and_kernel"](seed)
    model.set_weights([kernel.astype("float32"), np.zeros(1, "float32")])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return answer(keras, model, users)[0, 0], answer(keras, model, users[:1])[0, 0]


def warning_alone(keras: ModuleType) -> str:
    """What Keras warns of when a user is scored alone; in company there is no warning."""
    model = copied(keras, (16,))
    users, _ = port()["users_and_kernel"](0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        answer(keras, model, users)
        assert not caught
        answer(keras, model, users[:1])
    [warning] = caught
    return str(warning.message).split("([")[0]


def weight_on_itself(keras: ModuleType, width: int) -> float:
    """Of 64 histories of 20 standardised events."""
    _, weights = attention(keras, np.random.RandomState(0).randn(64, 20, width))
    return np.diagonal(weights, axis1=1, axis2=2).mean()


def on_small_embeddings(keras: ModuleType) -> tuple[float, float, float]:
    """Weight on itself; cosine of the output to the history's mean, and to the event."""
    x = np.random.RandomState(0).uniform(-0.05, 0.05, (64, 20, 64))
    out, weights = attention(keras, x)
    on_itself = np.diagonal(weights, axis1=1, axis2=2).mean()
    return on_itself, cosine(out, x.mean(1, keepdims=True)).mean(), cosine(out, x).mean()


def cosine(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x * y).sum(-1) / np.linalg.norm(x, axis=-1) / np.linalg.norm(y, axis=-1)


def steps_an_epoch(keras: ModuleType) -> int:
    """Of a data set that comes in three batches of 100, where fit is told batch_size=32."""

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return np.ones((100, 4)), np.ones((100, 1))

    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile(optimizer="sgd", loss="mse")
    model.fit(Batches(), epochs=1, batch_size=32, verbose=0)
    return int(model.optimizer.iterations)


def figures() -> dict[str, Any]:
    """All that the lessons say that Keras said."""
    keras = keras_on_torch()
    model = copied(keras, (10, 16))
    histories = np.random.RandomState(0).randn(8, 10, 16).astype("float32")
    scores = [together_and_alone(keras, seed) for seed in range(20)]
    gaps = [abs(together - alone) for together, alone in scores]
    return {
        "Input(shape=(16))": error_of(lambda: copied(keras, 16)),
        "parameters of the attention": model.layers[1].count_params(),
        "parameters of the model": model.count_params(),
        "output": str(model.output_shape),
        "labels (8,)": error_of(lambda: copied(keras, (10, 16)).fit(histories, np.ones(8), verbose=0)),
        "user 0 in a batch of 8, and alone": rounded(scores[0]),
        "warning, alone": warning_alone(keras),
        "gap over 20 seeds: mean, largest": rounded((np.mean(gaps), max(gaps))),
        "weight on itself, N(0, 1)": {str(d): rounded([weight_on_itself(keras, d)])[0] for d in (4, 16, 64)},
        "±0.05: weight on itself, cosine to the mean, to the input": rounded(on_small_embeddings(keras)),
        "three batches of 100 and batch_size=32: steps an epoch": steps_an_epoch(keras),
    }


def rounded(values: Any) -> list[float]:
    """To what float32 is good for."""
    return [round(float(value), 7) for value in values]


def main() -> None:
    write("keras", figures(), protocol=PROTOCOL, seeds=list(range(20)), packages=["keras", "torch", "numpy"])


if __name__ == "__main__":
    main()
