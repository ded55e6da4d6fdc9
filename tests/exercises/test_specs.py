"""The tests of the tests: every key holds, every known wrong answer is named, every right one accepted."""

import ast
import inspect

import numpy as np
import pytest
import torch

from recattn_mini.attention import masks
from recattn_mini.exercises import (
    additive_attention,
    additive_pooling,
    answer_names,
    cross_attention,
    din_attention,
    encoder_block,
    exercise_names,
    exercise_of,
    facts,
    multi_head_attention,
    spec_of,
)
from recattn_mini.learn.judge.answer import Answer
from recattn_mini.learn.judge.diagnosis import alike, behaviour, known_wrong, wrong_answers
from recattn_mini.learn.judge.judge import checks, judge, keys

NAMED = {name: spec_of(name) for name in exercise_names()}
KEYS = [pytest.param(key, id=key.__name__) for spec in NAMED.values() for key in keys(spec)]
WRONG = [pytest.param(n, bad, id=f"{n}-{bad.__name__}") for n, s in NAMED.items() for bad in wrong_answers(s)]
RIGHT = [
    pytest.param(n, f, id=f"{n}-{f.__name__}")
    for n, s in NAMED.items()
    for f in vars(s).values()
    if hasattr(f, "is_right")
]
CHECKS = [
    pytest.param(n, c, id=f"{n}-{c.__name__.removeprefix('check_')}")
    for n, s in NAMED.items()
    for c in checks(s)
    if not hasattr(c, "teaches")
]


def as_learners(function, exercise):
    """The same function as a learner would have named it, in the form that the spec is written for."""
    if exercise not in facts(exercise).answers:  # it has a NumPy form only
        return as_numpy(function, exercise)

    def learners(*args):
        return function(*args)

    learners.__name__ = exercise
    return learners


def as_numpy(function, exercise):
    def tensors(x):
        return torch.from_numpy(x) if isinstance(x, np.ndarray) else x

    def arrays(x):
        if isinstance(x, tuple):
            return tuple(map(arrays, x))
        return x if isinstance(x, float) else x.detach().numpy()

    def learners(*args):
        return arrays(function(*map(tensors, args)))

    learners.__name__ = f"{exercise}_numpy"
    return learners


def of_heads(m):
    return m.q_proj.weight, m.k_proj.weight, m.v_proj.weight, m.o_proj.weight, m.h


def of_block(m):
    *projections, h = of_heads(m.attention)
    return *projections, m.w_in.weight, m.w_out.weight, m.norm_1.weight, m.norm_2.weight, h


MODULES = {  # what a module holds, in the order in which the function takes it
    additive_attention.AdditiveAttention: lambda m: (m.q_proj.weight, m.k_proj.weight, m.score.weight[0]),
    additive_pooling.AdditivePooling: lambda m: (m.hidden.weight, m.hidden.bias, m.score.weight[0]),
    cross_attention.CrossAttention: of_heads,
    din_attention.DINAttention: lambda m: (m.hidden.weight, m.hidden.bias, m.score.weight[0]),
    encoder_block.EncoderBlock: of_block,
    multi_head_attention.MultiHeadAttention: of_heads,
}
WRONG_MODULES = [
    pytest.param(key, bad, id=f"{key.__name__}-{bad.__name__}")
    for key in MODULES
    for bad in wrong_answers(spec_of(exercise_of(key.__name__)))
]


def as_module(function, key):
    """The library's module with another `forward`, which has the same parameters."""
    held = MODULES[key]

    def forward(self, *inputs_and_mask):
        *inputs, mask = inputs_and_mask
        return function(*inputs, *held(self), mask)

    return type(key.__name__, (key,), {"forward": forward, "__module__": __name__})


def judged(function, exercise):
    return judge(as_learners(function, exercise))


@pytest.mark.parametrize("key", KEYS)
def test_the_key_holds(key):
    verdict = judge(key)
    assert verdict.outcome == "holds", str(verdict)


@pytest.mark.parametrize(("exercise", "bad"), WRONG)
def test_a_wrong_answer_is_named(exercise, bad):
    verdict = judged(bad, exercise)
    assert verdict.outcome in ("wrong", "raised"), str(verdict)
    assert verdict.diagnosis == f"looks like: {bad.hint}", str(verdict)


@pytest.mark.parametrize(("exercise", "bad"), WRONG)
def test_a_wrong_answer_is_named_in_its_numpy_form_too(exercise, bad):
    verdict = judge(as_numpy(bad, exercise))
    if exercise in answer_names() and alike(
        *(in_numpy(f, exercise) for f in (bad, getattr(NAMED[exercise], exercise)))
    ):
        assert verdict.outcome == "holds", f"a mistake of the PyTorch form alone; {verdict}"
    else:
        assert verdict.diagnosis == f"looks like: {bad.hint}", str(verdict)


def in_numpy(function, exercise):
    spec = NAMED[exercise]
    return list(behaviour(Answer(as_numpy(function, exercise), spec), spec, with_gradients=False))


@pytest.mark.parametrize(("key", "bad"), WRONG_MODULES)
def test_a_wrong_answer_is_named_in_a_module_too(key, bad):
    exercise = exercise_of(key.__name__)
    spec, module = NAMED[exercise], as_module(bad, key)
    right, of_module = (
        list(behaviour(f, spec, with_gradients=True)) for f in (getattr(spec, exercise), Answer(module, spec))
    )
    verdict = judge(module)
    if alike(of_module, known_wrong(spec)[bad]):
        assert verdict.diagnosis == f"looks like: {bad.hint}", str(verdict)
    elif alike(of_module, right):
        assert verdict.outcome == "holds", f"a mistake of the function alone; {verdict}"
    else:  # a module has one width: where the function's widths differ, it may fail in another way
        assert verdict.diagnosis.startswith(f"in part like: {bad.hint}\n"), str(verdict)


@pytest.mark.parametrize(("exercise", "good"), RIGHT)
def test_a_right_answer_written_differently_holds(exercise, good):
    for form in [as_learners(good, exercise), as_numpy(good, exercise)]:
        verdict = judge(form)
        assert verdict.outcome == "holds", str(verdict)


@pytest.mark.parametrize(("exercise", "check"), CHECKS)
def test_a_check_rejects_what_no_other_does(exercise, check):
    spec = NAMED[exercise]

    def failed_by(bad):
        return {c.__name__ for c in checks(spec) if not holds(c, bad, exercise)}

    assert any(failed_by(bad) == {check.__name__} for bad in wrong_answers(spec)), "label it @teaching, or sharpen it"


def holds(check, bad, exercise):
    learners = as_learners(bad, exercise)
    if learners.__name__.endswith("_numpy") and hasattr(check, "torch_only"):
        return True
    try:
        check(Answer(learners, NAMED[exercise]))
        return True
    except Exception:
        return False


@pytest.mark.parametrize("exercise", NAMED)
def test_a_spec_is_complete(exercise):
    spec = NAMED[exercise]
    right = [f for f in vars(spec).values() if hasattr(f, "is_right")]
    assert len(wrong_answers(spec)) >= 5
    assert len(right) >= 2
    assert len(spec.HINTS) == 3
    assert all(spec.HINTS)
    assert facts(exercise).level in ("easy", "medium", "hard")
    assert facts(exercise).minutes > 0
    assert set(facts(exercise).answers) == {a.__name__ for a in keys(spec)}
    for check in checks(spec):
        assert check.__doc__, check.__name__
    hints = [bad.hint for bad in wrong_answers(spec)]
    assert len(set(hints)) == len(hints)


@pytest.mark.parametrize("exercise", NAMED)
def test_no_two_wrong_answers_behave_alike(exercise):
    spec = NAMED[exercise]
    known = {bad.__name__: list(behaviour(bad, spec, with_gradients=True)) for bad in wrong_answers(spec)}
    pairs = [(a, b) for a in known for b in known if a < b and alike(known[a], known[b])]
    assert not pairs


@pytest.mark.parametrize("exercise", NAMED)
def test_inputs_have_unequal_axes_and_come_anew(exercise):
    spec = NAMED[exercise]
    first, second = spec.inputs(), spec.inputs()
    for name in first:
        assert alike(first[name], second[name]), "inputs must be the same every time"
    assert any(not x.is_contiguous() for case in first.values() for x in case if hasattr(x, "is_contiguous")), "no view"


def test_every_exercise_belongs_to_a_function_of_the_library():
    for answer, exercise in answer_names().items():
        assert inspect.isfunction(inspect.unwrap(getattr(NAMED[exercise], answer))) or inspect.isclass(
            getattr(NAMED[exercise], answer)
        )
    assert masks.causal_mask in keys(NAMED["causal_mask"])


@pytest.mark.parametrize("exercise", NAMED)
def test_a_spec_imports_its_answers_and_what_it_uses(exercise):
    """ruff is told to let unused imports be here: only answers may be."""
    tree = ast.parse(inspect.getsource(NAMED[exercise]))
    imported = {a.asname or a.name for n in tree.body if isinstance(n, (ast.Import, ast.ImportFrom)) for a in n.names}
    used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    assert {name.split(".")[0] for name in imported} - used <= set(answer_names())
