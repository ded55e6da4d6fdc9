"""How fast attention is, as ratios within one process: pytest tests/benchmarks/bench_attention.py

The fast forms, and multi-head attention, over torch's math backend, which takes the same steps one after the other;
our NumPy forms over it too; and each plain form over its fast one, which should be within three times. Needs
threadpoolctl, which scikit-learn brings. No part of a plain `pytest`, which only collects test_*.py. A ratio is of CPU
seconds, the least of several runs that take turns, with one thread each: wall time on a busy machine says more about
the machine. The table at the end has each ratio and its aim. Every value that is timed is first compared.
"""

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from recattn_mini import attention
from recattn_mini.attention import fast
from recattn_mini.attention.multi_head_attention import multi_head_attention, multi_head_attention_numpy
from recattn_mini.attention.scaled_dot_product_attention import scaled_dot_product_attention_numpy

Add = Callable[..., None]
SIZES = [  # b h t s d: a small call, a batch of SASRec, its wider form, target attention, long histories
    (1, 1, 1, 50, 16),
    (8, 2, 50, 50, 32),
    (32, 4, 50, 50, 16),
    (64, 2, 1, 200, 32),
    (4, 8, 200, 200, 16),
    (1, 4, 512, 512, 64),
]
OF_EACH_SIZE = pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
MASKED = pytest.mark.parametrize("masked", [False, True], ids=["no mask", "causal"])


def _seconds(f: Callable[[], Any], times: int) -> float:
    start = time.process_time()
    for _ in range(times):
        f()
    return (time.process_time() - start) / times


@pytest.fixture(scope="module")
def table(request: pytest.FixtureRequest) -> Iterator[list[tuple[str, float, str, str]]]:
    rows: list[tuple[str, float, str, str]] = []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.importorskip("threadpoolctl").threadpool_limits(1):  # a second thread of BLAS that waits costs CPU time
        yield rows
    torch.set_num_threads(threads)
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\n\n{'':66}{'measured':>9}  aim")
        for what, ratio, aim, note in rows:
            print(f"{what:66}{ratio:9.2f}  {aim:9}{note}")


@pytest.fixture
def ratio(table: list[tuple[str, float, str, str]]) -> Add:
    """Time two things in turns and put the first over the second into the table."""

    def add(what: str, above: Callable[[], Any], below: Callable[[], Any], aim: str, rounds: int = 9) -> None:
        times = max(1, min(200, int(0.02 / _seconds(below, 3))))  # 20 ms a round: the clock of CPU time is coarse
        pairs = [(_seconds(above, times), _seconds(below, times)) for _ in range(rounds)]
        a, b = (min(side) for side in zip(*pairs, strict=True))
        table.append((what, a / b, aim, f"{1e6 * a:9.0f} µs / {1e6 * b:.0f} µs"))

    return add


def _inputs(size: tuple[int, ...], masked: bool) -> tuple[torch.Tensor, ...]:
    """q, k, v in heads, and the causal mask of a query that may be alone."""
    b, h, t, s, d = size
    rng = np.random.default_rng(0)
    q, k, v = (torch.from_numpy(rng.standard_normal((b, h, n, d), dtype=np.float32)) for n in (t, s, s))
    return q, k, v, *([torch.ones(t, s, dtype=torch.bool).tril(s - t)] if masked else [])


def _of_width(size: tuple[int, ...]) -> tuple[torch.Tensor, ...]:
    """q, k, v before the heads are split, and the four weights."""
    b, h, t, s, d = size
    rng = np.random.default_rng(0)
    shapes = (b, t, h * d), (b, s, h * d), (b, s, h * d), *[(h * d, h * d)] * 4
    *inputs, w_q, w_k, w_v, w_o = (torch.from_numpy(rng.standard_normal(shape, dtype=np.float32)) for shape in shapes)
    return *inputs, *(w / math.sqrt(h * d) for w in (w_q, w_k, w_v, w_o))


def _by_torch(*inputs: torch.Tensor) -> torch.Tensor:
    with sdpa_kernel(SDPBackend.MATH):
        return F.scaled_dot_product_attention(*inputs)


def _heads_by_torch(*inputs: Any) -> torch.Tensor:
    q, k, v, w_q, w_k, w_v, w_o, h, *mask = inputs
    heads = (F.linear(x, w).unflatten(-1, (h, -1)).transpose(1, 2) for x, w in ((q, w_q), (k, w_k), (v, w_v)))
    return F.linear(_by_torch(*heads, *mask).transpose(1, 2).flatten(2), w_o)


def _forward(f: Callable, *inputs: Any) -> Callable[[], torch.Tensor]:
    def run() -> torch.Tensor:
        with torch.no_grad():
            return f(*inputs)

    return run


def _both_ways(f: Callable, *inputs: Any) -> Callable[[], tuple[torch.Tensor, ...]]:
    learn = [x.requires_grad_() for x in inputs if isinstance(x, torch.Tensor) and x.is_floating_point()]
    upstream = torch.ones_like(f(*inputs))
    return lambda: torch.autograd.grad(f(*inputs), learn, upstream)


def _compare(ratio: Add, what: str, ours: Callable, theirs: Callable, inputs: tuple, aim: str) -> None:
    for way, run in (("forward", _forward), ("and backward", _both_ways)):
        a, b = run(ours, *inputs), run(theirs, *inputs)
        torch.testing.assert_close(a(), b(), rtol=1e-3, atol=1e-4)
        ratio(f"{what}, {way}", a, b, aim)


@OF_EACH_SIZE
@MASKED
def test_attention_against_the_math_backend(size: tuple[int, ...], masked: bool, ratio: Add) -> None:
    what = f"fast attention {'x'.join(map(str, size))}{', causal' if masked else ''}"
    fast_form = fast.scaled_dot_product_attention.scaled_dot_product_attention
    _compare(ratio, what, fast_form, _by_torch, _inputs(size, masked), "<= 1.5")


@OF_EACH_SIZE
@MASKED
def test_plain_attention_against_the_fast_one(size: tuple[int, ...], masked: bool, ratio: Add) -> None:
    what = f"plain over fast attention {'x'.join(map(str, size))}{', causal' if masked else ''}"
    plain, fast_form = (
        package.scaled_dot_product_attention.scaled_dot_product_attention for package in (attention, fast)
    )
    _compare(ratio, what, plain, fast_form, _inputs(size, masked), "<= 3")


@MASKED
def test_plain_softmax_against_the_fast_one(masked: bool, ratio: Add) -> None:
    q, k, _, *mask = _inputs((32, 4, 50, 50, 16), masked)
    scores = q @ k.mT
    scores = scores.masked_fill(~mask[0], -math.inf) if masked else scores
    what = f"plain over fast softmax {'x'.join(map(str, scores.shape))}{', causal' if masked else ''}"
    _compare(ratio, what, attention.softmax.softmax, fast.softmax.softmax, (scores,), "<= 3")


@pytest.mark.parametrize("size", [(64, 1, 50, 32, 36), (4, 100, 50, 32, 36)], ids=["training", "ranking"])
def test_plain_din_against_the_fast_one(size: tuple[int, ...], ratio: Add) -> None:
    b, t, s, d, a = size
    rng = np.random.default_rng(0)
    shapes = (b, t, d), (b, s, d), (a, 4 * d), (a,), (a,)  # few impressions: sums over many differ in float32
    inputs = (*(torch.from_numpy(rng.standard_normal(shape, dtype=np.float32)) for shape in shapes),)
    plain, fast_form = (package.din_attention.din_attention for package in (attention, fast))
    _compare(ratio, f"plain over fast DIN {'x'.join(map(str, size))}", plain, fast_form, inputs, "<= 3")


@pytest.mark.parametrize("size", [(8, 2, 50, 50, 32), (1, 4, 200, 200, 16)], ids=lambda size: "x".join(map(str, size)))
def test_plain_relative_positions_against_the_fast_ones(size: tuple[int, ...], ratio: Add) -> None:
    q, k, v = _inputs(size, masked=False)
    tables = (*(torch.from_numpy(np.random.default_rng(1).standard_normal((2, 17, size[-1]), dtype=np.float32))),)
    plain, fast_form = (
        package.relative_position_attention.relative_position_attention for package in (attention, fast)
    )
    what = f"plain over fast relative positions {'x'.join(map(str, size))}"
    _compare(ratio, what, plain, fast_form, (q, k, v, *tables), "see Cost")


@OF_EACH_SIZE
@MASKED
def test_multi_head_attention_against_the_math_backend(size: tuple[int, ...], masked: bool, ratio: Add) -> None:
    inputs = *_of_width(size), size[1], *_inputs(size, masked)[3:]
    what = f"multi-head {'x'.join(map(str, size))}{', causal' if masked else ''}"
    _compare(ratio, what, multi_head_attention, _heads_by_torch, inputs, "<= 1.5")


@OF_EACH_SIZE
@MASKED
def test_numpy_against_torch(size: tuple[int, ...], masked: bool, ratio: Add) -> None:
    of_attention = _inputs(size, masked)
    of_heads = *_of_width(size), size[1], *of_attention[3:]
    for name, ours, theirs, inputs in (
        ("attention", scaled_dot_product_attention_numpy, _by_torch, of_attention),
        ("multi-head", multi_head_attention_numpy, _heads_by_torch, of_heads),
    ):
        arrays = [x.numpy() if isinstance(x, torch.Tensor) else x for x in inputs]
        run = _forward(theirs, *inputs)
        np.testing.assert_allclose(ours(*arrays), run().numpy(), rtol=1e-3, atol=1e-4)
        what = f"NumPy {name} {'x'.join(map(str, size))}{', causal' if masked else ''}"
        ratio(what, lambda ours=ours, arrays=arrays: ours(*arrays), run, "<= 3")
