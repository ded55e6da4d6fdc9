import importlib
import inspect
import pkgutil
import re

import numpy as np
import pytest
import torch

import recattn_mini.attention
from recattn_mini.attention.additive_pooling import AdditivePooling
from recattn_mini.attention.encoder_block import EncoderBlock
from recattn_mini.shapes import takes


@takes(q="... t d", k="... s d", v="... s e", mask="bool (... t s)", bias="(... t s) | number")
def attend(q, k, v, mask=None, bias=0.0):
    """Say hello."""
    return "called"


@takes(q="... t d", k="... s d", v="... s e", mask="bool (... t s)", bias="(... t s) | number")
def attend_numpy(q, k, v, mask=None, bias=0.0):
    return "called"


@takes(items="int b s", scores="b s")
def history(items, scores=None):
    return "called"


@takes(items="int b s")
def history_numpy(items):
    return "called"


@takes(q="... t d", k="... s c", w="a d+c", w_score="a")
def concat(q, k, w, w_score):
    return "called"


@takes(q="... t d", null_k="(... d)")
def null(q, null_k):
    return "called"


def ones(*shape, dtype=torch.float32):
    return torch.ones(shape, dtype=dtype)


q, k, v, w, w_score = ones(2, 3, 5, 11), ones(2, 3, 7, 11), ones(2, 3, 7, 13), ones(19, 28), ones(19)
k_c, mask, items = ones(2, 3, 7, 17), ones(2, 1, 5, 7, dtype=torch.bool), ones(2, 7, dtype=torch.int64)

ERRORS = {
    "array for a tensor": (
        lambda: attend(q, k.numpy(), v),
        "k must be a torch.Tensor, got numpy.ndarray",
    ),
    "tensor for an array": (
        lambda: attend_numpy(q.numpy(), k.numpy(), v),
        "v must be a numpy.ndarray, got torch.Tensor",
    ),
    "list": (
        lambda: attend([[1.0]], k, v),
        "q must be a torch.Tensor, got list",
    ),
    "number": (
        lambda: attend(q, 1.0, v),
        "k must be a torch.Tensor, got float",
    ),
    "list for a mask": (
        lambda: attend(q, k, v, [True] * 7),
        "mask must be a torch.Tensor, got list",
    ),
    "integer tensor": (
        lambda: attend(q.long(), k, v),
        "q must be float, got torch.int64",
    ),
    "integer array": (
        lambda: attend_numpy(q.numpy(), k.numpy(), v.numpy().astype(np.int32)),
        "v must be float, got int32",
    ),
    "boolean scores": (
        lambda: attend(q, k.bool(), v),
        "k must be float, got torch.bool",
    ),
    "float mask, as SDPA adds to scores": (
        lambda: attend(q, k, v, torch.zeros(5, 7)),
        "mask must be bool (True = may attend), got torch.float32",
    ),
    "integer mask": (
        lambda: attend_numpy(q.numpy(), k.numpy(), v.numpy(), np.ones((5, 7), dtype=np.uint8)),
        "mask must be bool (True = may attend), got uint8",
    ),
    "boolean bias": (
        lambda: attend(q, k, v, bias=mask),
        "bias must be float, got torch.bool",
    ),
    "float items": (
        lambda: history(items.float()),
        "items must be int, got torch.float32",
    ),
    "mask for items": (
        lambda: history_numpy(np.ones((2, 7), dtype=bool)),
        "items must be int, got bool",
    ),
    "q and k differ in width": (
        lambda: attend(q, ones(2, 3, 7, 12), v),
        "k must be (... s d), ... = 2 3 as in q, d = 11 as in q, got (2, 3, 7, 12)",
    ),
    "k and v differ in number": (
        lambda: attend(q, k, ones(2, 3, 8, 13)),
        "v must be (... s e), ... = 2 3 as in q, s = 7 as in k, got (2, 3, 8, 13)",
    ),
    "leading axes differ": (
        lambda: attend(q, ones(3, 2, 7, 11), v),
        "k must be (... s d), ... = 2 3 as in q, d = 11 as in q, got (3, 2, 7, 11)",
    ),
    "leading axes are not broadcast": (
        lambda: attend(q, ones(2, 1, 7, 11), v),
        "k must be (... s d), ... = 2 3 as in q, d = 11 as in q, got (2, 1, 7, 11)",
    ),
    "fewer leading axes": (
        lambda: attend(q, k[0], v),
        "k must be (... s d), ... = 2 3 as in q, d = 11 as in q, got (3, 7, 11)",
    ),
    "leading axes where there were none": (
        lambda: attend(q[0, 0], k, v),
        "k must be (... s d), ... = none as in q, d = 11 as in q, got (2, 3, 7, 11)",
    ),
    "too few axes": (
        lambda: attend(ones(11), k, v),
        "q must be (... t d), got (11,)",
    ),
    "more axes than allowed": (
        lambda: history(items[None]),
        "items must be (b s), got (1, 2, 7)",
    ),
    "fewer axes than needed": (
        lambda: history(items[0]),
        "items must be (b s), got (7,)",
    ),
    "axes swapped": (
        lambda: history(items, ones(7, 2)),
        "scores must be (b s), b = 2 as in items, s = 7 as in items, got (7, 2)",
    ),
    "mask of another size": (
        lambda: attend(q, k, v, ones(5, 8, dtype=torch.bool)),
        "mask must broadcast to (... t s), ... = 2 3 as in q, t = 5 as in q, s = 7 as in k, got (5, 8)",
    ),
    "mask transposed": (
        lambda: attend(q, k, v, mask.mT),
        "mask must broadcast to (... t s), ... = 2 3 as in q, t = 5 as in q, s = 7 as in k, got (2, 1, 7, 5)",
    ),
    "mask (b s) for a batch of histories": (
        lambda: attend(q, k, v, items.bool()),
        "mask must broadcast to (... t s), ... = 2 3 as in q, t = 5 as in q, s = 7 as in k, got (2, 7)",
    ),
    "mask with more axes": (
        lambda: attend(q[0, 0], k[0, 0], v[0, 0], ones(1, 5, 7, dtype=torch.bool)),
        "mask must broadcast to (... t s), ... = none as in q, t = 5 as in q, s = 7 as in k, got (1, 5, 7)",
    ),
    "bias of another size": (
        lambda: attend(q, k, v, None, ones(7, 7)),
        "bias must broadcast to (... t s), ... = 2 3 as in q, t = 5 as in q, s = 7 as in k, got (7, 7)",
    ),
    "broadcasting argument wider than the axis": (
        lambda: null(q, ones(12)),
        "null_k must broadcast to (... d), ... = 2 3 as in q, d = 11 as in q, got (12,)",
    ),
    "width that is no sum": (
        lambda: concat(q, k_c, ones(19, 22), w_score),
        "w must be (a d+c), d = 11 as in q, c = 17 as in k, got (19, 22)",
    ),
    "sum transposed": (
        lambda: concat(q, k_c, w.mT, w_score),
        "w must be (a d+c), d = 11 as in q, c = 17 as in k, got (28, 19)",
    ),
    "hidden width differs": (
        lambda: concat(q, k_c, w, ones(28)),
        "w_score must be (a), a = 19 as in w, got (28,)",
    ),
    "no keys": (
        lambda: attend(q, k[..., :0, :], v),
        "k has an empty axis, got (2, 3, 0, 11); give an empty history one padding key and mask it",
    ),
    "no items": (
        lambda: history_numpy(np.ones((2, 0), dtype=int)),
        "items has an empty axis, got (2, 0); give an empty history one padding key and mask it",
    ),
}


@pytest.mark.parametrize(("call", "message"), ERRORS.values(), ids=ERRORS)
def test_error_names_the_argument_what_came_and_what_was_expected(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()


def test_first_wrong_argument_is_the_one_named():
    with pytest.raises(ValueError, match=r"^k must be"):
        attend(q, ones(2, 3, 7, 12), ones(2, 3, 8, 13), ones(9, 9, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"^v must be"):  # what broadcasts is judged by what does not
        attend(q, k, mask=ones(9, 9, dtype=torch.bool), v=ones(2, 3, 8, 13))


ACCEPTED = {
    "plain": lambda: attend(q, k, v),
    "keywords in any order": lambda: attend(mask=mask, v=v, k=k, q=q),
    "None": lambda: attend(q, k, v, None),
    "whole mask": lambda: attend(q, k, v, mask.expand(2, 3, 5, 7)),
    "mask of ones and sizes": lambda: attend(q, k, v, mask),
    "mask for each key": lambda: attend(q, k, v, mask[0, 0, 0]),
    "mask for each query": lambda: attend(q, k, v, mask[0, 0, :, :1]),
    "mask of one": lambda: attend(q, k, v, torch.tensor(True)),
    "no leading axes": lambda: attend(q[0, 0], k[0, 0], v[0, 0], mask[0, 0]),
    "three leading axes": lambda: attend(q[None], k[None], v[None], mask[None]),
    "float for a bias": lambda: attend(q, k, v, bias=-1.5),
    "integer for a bias": lambda: attend(q, k, v, bias=1),
    "scalar of NumPy for a bias": lambda: attend_numpy(q.numpy(), k.numpy(), v.numpy(), None, np.float64(1.5)),
    "tensor for a bias": lambda: attend(q, k, v, bias=ones(7)),
    "sum of widths": lambda: concat(q, k_c, w, w_score),
    "half precision": lambda: attend(q.half(), k.half(), v.half()),
    "bfloat16": lambda: attend(q.bfloat16(), k.bfloat16(), v.bfloat16()),
    "parameter": lambda: attend(torch.nn.Parameter(q), k, v),
    "small integers": lambda: history(items.to(torch.uint8)),
    "unsigned array": lambda: history_numpy(np.ones((2, 7), dtype=np.uint16)),
    "null for all": lambda: null(q, ones(11)),
    "null for each head": lambda: null(q, ones(3, 11)),
    "no values, only shapes": lambda: attend(q.to("meta"), k.to("meta"), v.to("meta")),
}


@pytest.mark.parametrize("call", ACCEPTED.values(), ids=ACCEPTED)
def test_accepts(call):
    assert call() == "called"


def test_function_keeps_its_name_docstring_and_signature():
    assert (attend.__name__, attend.__doc__) == ("attend", "Say hello.")
    assert list(inspect.signature(attend).parameters) == ["q", "k", "v", "mask", "bias"]


def test_missing_or_unknown_argument_is_still_a_type_error():
    with pytest.raises(TypeError, match="'v'"):
        attend(q, k)
    with pytest.raises(TypeError, match="'dropout'"):
        attend(q, k, v, dropout=0.1)


def test_a_size_is_forgotten_after_the_call():
    attend(q, k, v)
    assert attend(k[..., :2], v[..., :2], q[:, :, [0] * 7]) == "called"


def test_check_leaves_no_trace_in_a_compiled_graph():
    @takes(x="... s", mask="bool (... s)")
    def double(x, mask=None):
        return 2 * x

    graphs = []

    def backend(graph, inputs):
        graphs.append([node.op for node in graph.graph.nodes])
        return graph.forward

    torch.compiler.reset()
    assert torch.equal(torch.compile(double, backend=backend, fullgraph=True)(q), 2 * q)
    assert graphs == [["placeholder", "call_function", "output"]]


def public_functions():
    """Every function of recattn_mini.attention that takes named tensors or arrays; combined_mask takes any number."""
    for info in pkgutil.iter_modules(recattn_mini.attention.__path__, recattn_mini.attention.__name__ + "."):
        module = importlib.import_module(info.name)
        for name, f in inspect.getmembers(module, inspect.isfunction):
            named = all(p.kind is not p.VAR_POSITIONAL for p in inspect.signature(f).parameters.values())
            counts = all(p.annotation is int for p in inspect.signature(f).parameters.values())
            if f.__module__ == info.name and not name.startswith("_") and named and not counts:
                yield pytest.param(f, id=name)


@pytest.mark.parametrize("f", list(public_functions()))
def test_every_public_function_is_checked_at_its_edge(f):
    parameters = inspect.signature(f).parameters.values()
    first, *rest = [p.name for p in parameters if p.default is p.empty]
    kind = "numpy.ndarray" if f.__name__.endswith("_numpy") else "torch.Tensor"
    with pytest.raises(ValueError, match=f"^{first} must be a {kind}, got list$"):
        f(*([1.0] for _ in (first, *rest)))


def test_public_functions_are_found():
    assert len(list(public_functions())) >= 22


@takes(scores="scores u n", gains="gains u r", labels="labels m", chances="chances m", k="count")
def of_values(scores, gains, labels, chances, k):
    return "taken"


def values(**other):
    good = {
        "scores": torch.tensor([[-torch.inf, 1.0]]),
        "gains": torch.tensor([[0, 3, 1]]),
        "labels": torch.tensor([True, False]),
        "chances": torch.tensor([0.0, 1.0], dtype=torch.float64),
        "k": 3,
    }
    return {**good, **other}


def test_values_of_any_dtype_that_means_them_are_taken():
    assert of_values(**values()) == "taken"
    assert (
        of_values(**values(gains=torch.tensor([[0.5, 0.0]]), labels=torch.tensor([0.0, 1.0]), k=np.int64(1))) == "taken"
    )


@pytest.mark.parametrize(
    ("argument", "value", "told"),
    [
        ("scores", torch.tensor([[0.0, torch.nan]]), r"scores must be without NaN, got nan at \(0, 1\)"),
        ("scores", torch.tensor([[0, 1]]), "scores must be floating, got torch.int64"),
        ("gains", torch.tensor([[1.0, -1.0]]), r"gains must be finite and not negative, got -1.0 at \(0, 1\)"),
        ("gains", torch.tensor([[torch.inf]]), r"gains must be finite and not negative, got inf at \(0, 0\)"),
        ("gains", torch.tensor([[torch.nan]]), r"gains must be finite and not negative, got nan at \(0, 0\)"),
        ("labels", torch.tensor([0, 2]), r"labels must be 0 or 1, got 2 at \(1,\)"),
        ("chances", torch.tensor([0.5, 1.5]), r"chances must be probabilities from 0 to 1, got 1.5 at \(1,\)"),
        ("k", 0, "k must be a whole number from 1, got 0"),
        ("k", True, "k must be a whole number from 1, got True"),
        ("k", 2.0, "k must be a whole number from 1, got 2.0"),
    ],
)
def test_a_value_out_of_its_range_is_told_with_its_place(argument, value, told):
    with pytest.raises(ValueError, match=told):
        of_values(**values(**{argument: value}))


def test_a_shape_that_passed_is_remembered_and_another_is_not_taken_for_it():
    @takes(x="b t", mask="bool b t", h="count")
    def f(x, mask, h):
        return h

    x, mask = torch.ones(2, 3), torch.ones(2, 3, dtype=torch.bool)
    for _ in range(2):
        assert f(x, mask, 2) == f(x, mask=mask, h=2) == 2
        for bad in (
            (x, mask, 0),
            (x, mask, True),
            (x, mask, 2.0),
            (x, mask.float(), 2),
            (x.T, mask, 2),
            (x.numpy(), mask, 2),
        ):
            with pytest.raises(ValueError, match="must be"):
                f(*bad)
        with pytest.raises(ValueError, match="must be"):
            f(x, h=2, mask=mask.T)


def test_values_are_looked_at_every_time():
    @takes(p="chances n")
    def f(p):
        return p

    f(torch.tensor([0.5]))
    with pytest.raises(ValueError, match=r"probabilities from 0 to 1, got 1\.5"):
        f(torch.tensor([1.5]))


def test_under_autocast_a_call_may_see_two_dtypes_and_only_there():
    block, x = EncoderBlock(6, 2, 10), torch.ones(2, 3, 6)
    pooling = AdditivePooling(6, 4)
    for _ in range(2):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert pooling(block(x)).isfinite().all()
            assert pooling(x.bfloat16()).dtype == torch.bfloat16
        with pytest.raises(ValueError, match=r"w_hidden must be torch.bfloat16 as x is, got torch.float32"):
            pooling(x.bfloat16())
