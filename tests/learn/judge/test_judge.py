"""Outcomes are told apart, whatever an answer does; nothing of ours shows, and nothing is left behind."""

import contextlib
import fractions
import functools
import math
import os
import signal
import subprocess
import sys
import threading
import time
import types
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from recattn_mini.attention.additive_attention import AdditiveAttention as Key
from recattn_mini.learn.judge import judge as judging
from recattn_mini.learn.judge.judge import judge
from recattn_mini.learn.judge.time_limit import TooLate, TooSlow


def right(x):
    top = x.max(-1, keepdims=True)
    parts = np.exp(x - np.where(top == -np.inf, 0, top))
    total = parts.sum(-1, keepdims=True)
    return parts / np.where(total == 0, 1, total)


def right_in_torch(x):
    top = x.detach().amax(-1, keepdim=True)
    parts = (x - torch.where(top == -torch.inf, 0, top)).exp()
    total = parts.sum(-1, keepdim=True)
    return parts / torch.where(total == 0, 1, total)


def told(verdict):
    return str(verdict)


def answer(body, name="softmax_numpy"):
    def learners(*args):
        return body(*args)

    learners.__name__ = name
    return learners


def sleeps_and_catches(x):
    while True:
        try:
            time.sleep(1)
        except:  # noqa: E722
            pass


def loops(x):
    while True:
        pass


def loops_and_catches(x):
    while True:
        try:
            sum(range(100))
        except Exception:
            pass


OUTCOMES = {
    "a scalar": (lambda x: x.mean(), "wrong", "shape (), expected"),
    "nothing": (lambda x: None, "wrong", "nothing came back"),
    "a tuple": (lambda x: (right(x), x), "wrong", "one array is expected, got a tuple of 2"),
    "a list": (lambda x: right(x).tolist(), "wrong", "one array is expected"),
    "a tensor": (lambda x: torch.from_numpy(right(x)), "wrong", "the _numpy form returns a NumPy array"),
    "float32": (lambda x: right(x).astype(np.float32), "wrong", "dtype float32, expected float64"),
    "longdouble": (lambda x: right(x).astype(np.longdouble), "wrong", "expected float64"),
    "strings": (lambda x: right(x).astype(str), "wrong", "expected float64"),
    "objects": (lambda x: right(x).astype(object), "wrong", "expected float64"),
    "in place": (lambda x: np.exp(x, out=x), "wrong", "the input x came back changed"),
    "an error": (lambda x: 1 / 0, "raised", "ZeroDivisionError: division by zero"),
    "a name": (lambda x: undefined, "raised", "name 'undefined' is not defined"),  # noqa: F821
    "exit": (lambda x: sys.exit(3), "raised", "leaves Python by sys.exit"),
    "recursion": (lambda x: answer(OUTCOMES["recursion"][0])(x), "raised", "RecursionError"),
    "memory": (lambda x: np.ones(10**15), "raised", "MemoryError"),
    "not implemented by PyTorch": (
        lambda x: torch.ones(2, dtype=torch.bool) @ torch.ones(2, dtype=torch.bool),
        "raised",
        "not implemented",
    ),
    "a stub": (lambda x: _your_turn("softmax_numpy"), "raised", "_your_turn is still a stub"),
    "a loop": (loops, "too slow", "while True"),
    "a loop that catches": (loops_and_catches, "too slow", "stopped after"),
    "a sleep that catches all": (sleeps_and_catches, "too slow", "stopped after 0.6 s by the clock"),
    "a long sleep": (lambda x: time.sleep(60), "too slow", "stopped after 0.6 s by the clock: does it sleep"),
    "a lock": (lambda x: _held_lock().acquire(), "too slow", "stopped after 0.6 s by the clock"),
    "pytest.fail": (lambda x: pytest.fail("no"), "raised", "no"),
}


def _held_lock():
    lock = threading.Lock()
    lock.acquire()
    return lock


def _your_turn(name):
    raise NotImplementedError(f"your turn: {name}")


@pytest.mark.parametrize(("body", "outcome", "words"), OUTCOMES.values(), ids=OUTCOMES.keys())
def test_an_outcome(body, outcome, words):
    verdict = judge(answer(body), seconds=0.1 if outcome == "too slow" else 30)  # a busy machine is slow to raise
    assert verdict.outcome == outcome, told(verdict)
    assert words in told(verdict)
    assert "recattn_mini/" not in told(verdict), "no frame of ours"


def test_a_stub_is_not_attempted():
    def softmax_numpy(x):
        raise NotImplementedError("your turn: softmax_numpy")

    assert judge(softmax_numpy).outcome == "not attempted"


def test_an_error_that_cannot_be_told():
    class Silent(Exception):
        def __str__(self):
            raise RuntimeError

    def body(x):
        raise Silent

    assert "Silent" in told(judge(answer(body)))


def test_an_interrupt_is_the_learners():
    def body(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        judge(answer(body))


async def awaited(x):
    return right(x)


def test_a_coroutine_is_named():
    awaited.__name__ = "softmax_numpy"
    assert "not by async def" in told(judge(awaited))


def test_an_answer_that_is_right_on_the_inputs_alone_looks_like_nothing():
    """It is right on all inputs, but not on the worked example of one axis."""

    def body(x):
        return right(x[None] if x.ndim == 1 else x)

    verdict = judge(answer(body))
    assert verdict.outcome == "wrong"
    assert "looks like" not in verdict.diagnosis


def test_what_no_check_foresaw_is_no_traceback():
    def additive_attention(q, k, v, w_q, w_k, w_score, mask=None):
        return (q @ w_q.T).sum(-2)

    assert judge(additive_attention).outcome in ("wrong", "cannot be judged")


class Linear(nn.Module):
    def __init__(self, d, c, a):
        super().__init__()
        self.q_proj, self.k_proj = nn.Linear(d, a, bias=False), nn.Linear(a, c, bias=False)
        self.score = nn.Linear(a, 1, bias=False)

    def forward(self, q, k, v, mask=None):
        return q


@pytest.mark.parametrize(
    ("found", "name", "words"),
    [
        (Linear, "AdditiveAttention", "k_proj.weight': (6, 4)"),
        (type("AdditiveAttention", (), {}), "AdditiveAttention", "derived from nn.Module"),
        (lambda *args: 0, "AdditiveAttention", "derived from nn.Module"),
        (type("softmax_numpy", (), {}), "softmax_numpy", "a function is asked for"),
    ],
    ids=["a parameter of another size", "no module", "a function for a class", "a class for a function"],
)
def test_another_kind_is_named(found, name, words):
    found.__name__ = name
    verdict = judge(found)
    assert words in told(verdict), told(verdict)
    assert verdict.outcome in ("wrong", "cannot be judged")


def held(verdict):
    """The checks that were finished, but the worked example, and whether they held."""
    return {r.name: r.held for r in verdict.results if r.held is not None and r.name != "check_worked_example"}


def test_too_slow_keeps_the_checks_that_were_finished():
    def body(x):
        if abs(x).max() > 1000:
            loops(x)
        return right(x)

    verdict = judge(answer(body), seconds=0.3)
    assert held(verdict) == {"check_examples": True, "check_every_axis": True, "check_large_scores": False}, told(
        verdict
    )
    assert verdict.outcome == "too slow"


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (TooSlow, "stopped after 5 s of computing: a loop that does not end?"),
        (TooLate, "stopped after 30 s by the clock: does it sleep, or wait for a lock or for input?"),
    ],
)
def test_each_limit_has_its_own_sentence(limit, words):
    def body(x):
        raise limit

    assert words in told(judge(answer(body)))


def test_waiting_for_a_busy_machine_is_not_slow():
    """As long as it is CPU time that runs out first."""

    def body(x):
        time.sleep(0.03)
        return right(x)

    assert judge(answer(body), seconds=0.1).outcome == "holds"


def test_what_is_too_slow_only_while_the_mistake_is_looked_for_stays_wrong():
    calls = []

    def body(x):
        calls.append(x)
        if len(calls) > 30:
            loops(x)
        return x

    verdict = judge(answer(body), seconds=0.2)
    assert verdict.outcome == "wrong", told(verdict)


def test_prints_are_shown_once_and_not_for_ever(capsys):
    def body(x):
        for n in range(1000):
            print("line", n)
        return right(x)

    assert judge(answer(body)).outcome == "holds"
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 201
    assert lines[0] == "line 0"
    assert "no more" in lines[-1]


def test_output_is_limited_in_characters(capsys):
    def body(x):
        print("o" * 10**6)
        print("e" * 10**6, file=sys.stderr)
        raise ValueError("v" * 10**6)

    verdict = judge(answer(body))
    out, err = capsys.readouterr()
    for text in (out, err, told(verdict)):
        assert 1_000 < len(text) < 25_000
    assert out.endswith("no more of your prints is shown\n")
    assert err.endswith("no more of your prints is shown\n")
    assert "1,000,012 characters" in told(verdict)


def test_errors_are_shown_from_the_first_call_only(capsys):
    def body(x):
        print("once", file=sys.stderr)
        return right(x)

    assert judge(answer(body)).outcome == "holds"
    assert capsys.readouterr().err == "once\n"


class Lying(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if function in (torch.isclose, torch.allclose, torch.equal, torch.Tensor.isclose, torch.Tensor.eq):
            return torch.ones(args[1].shape, dtype=torch.bool)
        return super().__torch_function__(function, types, args, kwargs or {})


def lying(x):
    return (x * 0).as_subclass(Lying)


def parameter(x):
    return nn.Parameter(right_in_torch(x.detach()))


class Pretender:
    __class__ = torch.Tensor
    dtype, shape = torch.float64, (3,)


@pytest.mark.parametrize("body", [lying, lambda x: Pretender()], ids=["a subclass", "a pretender"])
def test_what_only_calls_itself_a_tensor_is_not_believed(body):
    verdict = judge(answer(body, "softmax"))
    assert verdict.outcome == "wrong", told(verdict)


def test_a_subclass_that_is_right_holds_its_values():
    verdict = judge(answer(parameter, "softmax"))
    assert {name for name, did in held(verdict).items() if not did} == {"check_gradient"}, told(verdict)


PATCHES = {
    "torch.isclose": (torch, "isclose", lambda got, want, **_: torch.ones_like(got, dtype=torch.bool)),
    "torch.softmax": (torch, "softmax", lambda x, dim: x),
    "a method": (torch.Tensor, "softmax", lambda self, dim: self),
    "an operator": (torch.Tensor, "__sub__", lambda a, b: a),
    "numpy.exp": (np, "exp", lambda x: x),
    "math.isnan": (math, "isnan", lambda x: False),
    "nothing left of it": (F, "softmax", None),
}


@pytest.mark.parametrize(("owner", "name", "instead"), PATCHES.values(), ids=PATCHES.keys())
def test_what_an_answer_replaces_judges_neither_itself_nor_the_next(owner, name, instead):
    def body(x):
        if instead is None:
            if hasattr(owner, name):
                delattr(owner, name)
        else:
            setattr(owner, name, instead)
        return x

    had, before = name in vars(owner), getattr(owner, name)
    try:
        verdict = judge(answer(body, "softmax"))
        assert verdict.outcome == "wrong", told(verdict)
        assert (name in vars(owner), getattr(owner, name)) == (had, before)
    finally:
        if had:
            setattr(owner, name, before)
        elif name in vars(owner):
            delattr(owner, name)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_copy_of_the_process_goes_away(tmp_path):
    def body(x):
        if os.fork() == 0:
            (tmp_path / str(os.getpid())).touch()
        return right(x)

    verdict = judge(answer(body))
    assert "it starts a copy of the process (os.fork)" in told(verdict)
    with contextlib.suppress(ChildProcessError):
        while True:  # until all are gone, which they only are if none runs on as pytest
            os.wait()
    assert list(tmp_path.iterdir())


def test_a_wrapper_that_leads_back_to_itself_is_named():
    circle = answer(right)
    circle.__wrapped__ = circle
    verdict = judge(circle)
    assert (verdict.outcome, "__wrapped__ leads back to itself" in told(verdict)) == ("cannot be judged", True)


class Nameless(type):
    @property
    def __name__(cls):
        raise RuntimeError("no name")


class Secret(Exception, metaclass=Nameless):
    pass


def test_an_exception_without_a_name_is_told():
    def body(x):
        raise Secret("but a text")

    verdict = judge(answer(body))
    assert (verdict.outcome, "but a text" in told(verdict)) == ("raised", True)


def adam_step(parameter, gradient, m, v, step, learning_rate, beta_1=0.9, beta_2=0.999, eps=1e-8):
    return adam_in_place(parameter, gradient, m.clone(), v, step, learning_rate, beta_1, beta_2, eps)


def adam_step_numpy(parameter, gradient, m, v, step, learning_rate, beta_1=0.9, beta_2=0.999, eps=1e-8):
    return adam_in_place(parameter, gradient, m.copy(), v, step, learning_rate, beta_1, beta_2, eps)


def adam_in_place(parameter, gradient, m, v, step, learning_rate, beta_1, beta_2, eps):
    m = beta_1 * m + (1 - beta_1) * gradient
    v *= beta_2
    v += (1 - beta_2) * gradient**2
    moved = parameter - learning_rate * (m / (1 - beta_1**step)) / ((v / (1 - beta_2**step)) ** 0.5 + eps)
    return moved, m, v


@pytest.mark.parametrize("learners", [adam_step, adam_step_numpy])
def test_the_argument_that_came_back_changed_is_the_one_that_did(learners):
    """The worked example gives one array of zeros three times."""
    verdict = judge(learners)
    assert "the input v came back changed" in told(verdict)


def test_one_number_in_place_of_a_tensor():
    verdict = judge(answer(lambda x: x.sum().item(), "softmax"))
    assert "a float came back; a tensor is asked for: return it without .item() or float()" in told(verdict)


def test_warnings_and_errstate_of_the_learner_do_not_matter():
    def body(x):
        warnings.warn("mind", stacklevel=1)
        with np.errstate(all="ignore"):
            return right(x) + 0 * np.log(np.zeros(1, x.dtype)).clip(0, 0)

    with np.errstate(all="raise"), warnings.catch_warnings():
        warnings.simplefilter("error")
        assert judge(answer(body)).outcome == "holds"


@pytest.mark.parametrize("body", [right, loops], ids=["an answer", "a loop that is stopped"])
def test_nothing_is_left_behind(body):
    def spoils(x):
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        torch.manual_seed(7)
        np.random.seed(7)
        np.seterr(all="raise")
        sys.stdout.write("")
        return body(x)

    def state():
        return (
            torch.get_default_dtype(),
            torch.is_grad_enabled(),
            torch.get_num_threads(),
            torch.random.get_rng_state().tolist(),
            np.random.get_state()[1].tolist(),
            np.geterr(),
            sys.stdout,
            signal.getsignal(signal.SIGALRM) if hasattr(signal, "SIGALRM") else None,
            signal.getitimer(signal.ITIMER_REAL) if hasattr(signal, "getitimer") else None,
            len(warnings.filters),
        )

    before = state()
    judge(answer(spoils), seconds=0.2)
    assert state() == before


def test_another_default_device_does_not_matter():
    with torch.device("meta"):
        verdict = judge(answer(lambda x: right_in_torch(x) + torch.zeros((), dtype=x.dtype), "softmax"))
    assert verdict.outcome == "holds", told(verdict)


def test_display_and_future_annotations_are_there_in_pytest():
    from recattn_mini.learn import notebook

    source = (
        "from __future__ import annotations\n"
        "from recattn_mini.attention.softmax import softmax_numpy as key\n"
        "def softmax_numpy(x: NoSuch) -> Nor:\n    display(x.shape)\n    return key(x)\n"
    )
    program = notebook.needed(notebook.statements(source, "cell 1"), "softmax_numpy")
    assert "its cell raises" not in told(judging.judge_program("softmax_numpy", program))


SDPA = F.scaled_dot_product_attention
bound = functools.partial(F.scaled_dot_product_attention)


class Helper:
    def attend(self, q, k, v, mask):
        return F.scaled_dot_product_attention(q, k, v, mask)


helper = Helper()


def through_a_helper(q, k, v, mask):
    return SDPA(q, k, v, mask)


def by_alias(q, k, v, mask=None):
    return SDPA(q, k, v, mask)


def by_partial(q, k, v, mask=None):
    return bound(q, k, v, mask)


def by_object(q, k, v, mask=None):
    return helper.attend(q, k, v, mask)


def by_helper(q, k, v, mask=None):
    return through_a_helper(q, k, v, mask)


def by_local_import(q, k, v, mask=None):
    from torch.nn.functional import scaled_dot_product_attention as attend

    return attend(q, k, v, mask)


def by_local_import_of_another_library(x):
    from scipy.special import softmax as theirs

    return theirs(x, -1)


def test_a_library_that_is_not_loaded_is_refused_the_first_time_too():
    """In a fresh process: whatever ran here before may have loaded SciPy. SymPy would make a first check slow."""
    code = (
        "import sys; import test_judge as t; from recattn_mini.learn.judge.judge import judge;"
        "assert judge(t.answer(lambda x: x, 'softmax')).outcome == 'wrong';"
        "assert not {'scipy.special', 'sympy'} & set(sys.modules);"
        "t.by_local_import_of_another_library.__name__ = 'softmax_numpy';"
        "print([judge(t.by_local_import_of_another_library).outcome for _ in range(2)])"
    )
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    environment = {**os.environ, "PYTHONPATH": path}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert ran.stdout == "['forbidden', 'forbidden']\n", ran.stderr


@pytest.mark.parametrize("evasion", [by_alias, by_partial, by_object, by_helper, by_local_import])
def test_a_call_that_gives_it_away_is_found(evasion):
    evasion.__name__ = "scaled_dot_product_attention"
    verdict = judge(evasion)
    assert verdict.outcome == "forbidden", told(verdict)
    assert "torch.nn.functional.scaled_dot_product_attention" in told(verdict)


def by_method(x):
    return x.softmax(-1)


def by_class(x):
    return nn.Softmax(-1)(x)


@pytest.mark.parametrize("evasion", [by_method, by_class])
def test_methods_and_classes_are_found(evasion):
    evasion.__name__ = "softmax"
    assert judge(evasion).outcome == "forbidden"


def test_the_librarys_module_is_no_answer_to_inherit():
    class AdditiveAttention(Key):
        pass

    assert judge(AdditiveAttention).outcome == "forbidden"


own = types.SimpleNamespace(softmax=lambda x: right_in_torch(x))
t = torch.softmax


def with_an_own_softmax(x):
    return own.softmax(x)


def with_a_shadowed_name(t):
    softmax = right_in_torch  # "torch.softmax" in a string or a comment is no call
    return softmax(t)


@pytest.mark.parametrize("innocent", [with_an_own_softmax, with_a_shadowed_name])
def test_what_only_sounds_like_it_is_allowed(innocent):
    innocent.__name__ = "softmax"
    assert judge(innocent).outcome == "holds", told(judge(innocent))


NUMBERS = {
    "a float": float,
    "NumPy's float": np.float64,
    "an array without axes": np.array,
    "a tensor without axes": lambda x: torch.tensor(x, dtype=torch.float64),
    "a tensor that remembers": lambda x: torch.tensor(x, dtype=torch.float64, requires_grad=True) * 1,
    "a fraction": fractions.Fraction,
}
NO_NUMBERS = {
    "an axis of one": (lambda x: np.array([x]), lambda x: torch.tensor([x], dtype=torch.float64), "shape (1,)"),
    "a list": (lambda x: [x], lambda x: [x], "one number is expected, got a list of 1"),
    "nothing": (lambda x: None, lambda x: None, "nothing came back"),
    "a truth value": (lambda x: True, lambda x: True, "one number is expected, got a bool"),
    "NumPy's truth value": (lambda x: np.bool_(True), lambda x: torch.tensor(True), "dtype bool, expected float64"),
    "a complex number": (lambda x: np.array(1j), lambda x: torch.tensor(1j), "dtype complex"),
    "words": (str, str, "one number is expected, got a str"),
}


def weighted_mean(rewards, weights):
    return float((rewards * weights).sum()) / not_zero(float(weights.sum()))


def ips(rewards, weights):
    not_zero(float(weights.sum()))
    return float((rewards * weights).sum()) / len(rewards)


def not_zero(total):
    if total == 0:
        raise ValueError("no weight")
    return total


@pytest.mark.parametrize("name", ["snips", "snips_numpy"])
@pytest.mark.parametrize("form", NUMBERS.values(), ids=NUMBERS.keys())
def test_where_a_float_is_asked_for_any_one_number_will_do(form, name):
    verdict = judge(answer(lambda r, w: form(weighted_mean(r, w)), name))
    assert verdict.outcome == "holds", told(verdict)


@pytest.mark.parametrize("name", ["snips", "snips_numpy"])
@pytest.mark.parametrize("form", NUMBERS.values(), ids=NUMBERS.keys())
def test_a_wrong_number_is_named_in_whatever_form_it_comes(form, name):
    verdict = judge(answer(lambda r, w: form(ips(r, w)), name))
    assert verdict.diagnosis.startswith("looks like: divided by n: that is IPS"), told(verdict)
    assert "\n      got 0.666667, expected 0.5\n" in told(verdict), "a number has no place and is not one of several"


@pytest.mark.parametrize(("array", "tensor", "words"), NO_NUMBERS.values(), ids=NO_NUMBERS.keys())
def test_what_is_not_one_number_is_none(array, tensor, words):
    for name, form in [("snips_numpy", array), ("snips", tensor)]:
        verdict = judge(answer(lambda r, w, form=form: form(weighted_mean(r, w)), name))
        assert verdict.outcome == "wrong", told(verdict)
        assert words in told(verdict)


def test_a_number_of_half_the_digits_and_one_that_is_none():
    verdict = judge(answer(lambda r, w: np.float32(weighted_mean(r, w)), "snips_numpy"))
    assert "a float32 on the way" in told(verdict)
    assert "got NaN, expected 0.5" in told(judge(answer(lambda r, w: float("nan"), "snips")))


def test_where_an_array_is_asked_for_a_float_is_none():
    verdict = judge(answer(lambda x: 0.5))
    assert "one array is expected, got a float" in told(verdict)
