"""The tests of the tests: every key holds, every known wrong answer is named, every right one accepted.

One exercise after the other, so that what is worked out of one is worked out once.
"""

import ast
import functools
import inspect
import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F

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
from recattn_mini.exercises.spec.common import common_checks, key_of
from recattn_mini.learn.judge.answer import Answer
from recattn_mini.learn.judge.diagnosis import alike, known, ways, ways_of, wrong_answers
from recattn_mini.learn.judge.judge import checks, judge, keys


@pytest.fixture(scope="module", params=exercise_names())
def exercise(request):
    return request.param


@pytest.fixture
def spec(exercise):
    return spec_of(exercise)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def as_learners(function, exercise):
    """The same function as a learner would have named it, in the form that the spec is written for."""
    if exercise not in facts(exercise).answers:  # it has a NumPy form only
        return as_numpy(function, exercise)

    def learners(*args, **named):
        return function(*in_order(args, named, exercise))

    learners.__name__ = exercise
    return learners


def in_order(args, named, exercise):
    """An example may name its arguments, and leave out those with a default."""
    if not named:
        return args
    call = inspect.signature(key_of(spec_of(exercise))).bind(*args, **named)
    call.apply_defaults()
    return call.args


def as_numpy(function, exercise):
    def tensors(x):
        return torch.from_numpy(x) if isinstance(x, np.ndarray) else x

    def arrays(x):
        if isinstance(x, tuple):
            return tuple(map(arrays, x))
        return x if isinstance(x, float) else x.detach().numpy()

    def learners(*args, **named):
        return arrays(function(*map(tensors, in_order(args, named, exercise))))

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


def module_with(forward, key):
    """The library's module, with `forward(module, inputs, mask)` as its own."""
    signature = inspect.signature(key.forward)

    def bound(self, *args, **kwargs):
        given = signature.bind(self, *args, **kwargs)
        given.apply_defaults()
        _, *inputs, mask = given.args
        return forward(self, inputs, mask)

    return type(key.__name__, (key,), {"forward": bound, "__module__": __name__})


def as_module(function, key):
    """The library's module with another `forward`, which has the same parameters."""
    held = MODULES[key]
    return module_with(lambda m, inputs, mask: function(*inputs, *held(m), mask), key)


def right_answers(spec):
    return [f for f in vars(spec).values() if hasattr(f, "is_right")]


@functools.cache
def verdict_on(bad, exercise):
    return judge(as_learners(bad, exercise))


def none_of(failures):
    """Each failure in words, all of them in one message."""
    assert not failures, "\n\n".join(failures)


def test_the_keys_hold(spec):
    none_of([str(verdict) for verdict in map(judge, keys(spec)) if verdict.outcome != "holds"])


def test_wrong_answers_are_named(exercise, spec):
    verdicts = {bad: verdict_on(bad, exercise) for bad in wrong_answers(spec)}
    none_of([f"{bad.__name__}: {bad.hint}\n{v}" for bad, v in verdicts.items() if not is_named(v, bad)])


def is_named(verdict, bad):
    return verdict.outcome in ("wrong", "raised") and verdict.diagnosis == f"looks like: {bad.hint}"


def test_wrong_answers_are_named_in_their_numpy_form_too(exercise, spec):
    if exercise not in facts(exercise).answers:
        return  # it has no other form, and was judged in this one
    failures = []
    for bad in wrong_answers(spec):
        verdict = judge(as_numpy(bad, exercise))
        if alike(outcomes(bad, spec, False), outcomes(key_of(spec), spec, False)):
            if verdict.outcome != "holds":
                failures.append(f"{bad.__name__}: a mistake of the PyTorch form alone; {verdict}")
        elif not is_named(verdict, bad) and alike_in_numpy(bad, exercise):
            failures.append(f"{bad.__name__}: {bad.hint}\n{verdict}")
    none_of(failures)


def outcomes(f, spec, with_gradients):
    return [known(f, way) for way in ways(spec, with_gradients)]


def alike_in_numpy(bad, exercise):
    """Whether the mistake is carried over: arrays have no device, and an error may be NumPy's own."""
    spec = spec_of(exercise)
    answer = Answer(as_numpy(bad, exercise), spec)
    return alike([way.outcome(answer) for way in ways(spec, False)], outcomes(bad, spec, False))


def test_wrong_answers_are_named_in_a_module_too(exercise, spec):
    """A module behaves as the function does, and so is told the same; every tenth is judged, to see that."""
    modules = [key for key in MODULES if exercise_of(key.__name__) == exercise]
    failures = []
    for key, (n, bad) in itertools.product(modules, enumerate(wrong_answers(spec))):
        answer = Answer(as_module(bad, key), spec)
        tried = ways_of(answer, spec, True)
        if not alike([way.outcome(answer) for way in tried], [known(bad, way) for way in tried]):
            failures.append(f"{bad.__name__}: behaves otherwise as a module")
        elif n % 10 == 0:
            verdict, of_key = judge(answer.learners), [known(key_of(spec), way) for way in tried]
            is_none = alike([known(bad, way) for way in tried], of_key)  # it is one only where widths differ
            if not (verdict.outcome == "holds" if is_none else is_named(verdict, bad)):
                failures.append(f"{bad.__name__}: {bad.hint}\n{verdict}")
    none_of(failures)


def keeps_the_mask(answer):
    def forward(module, inputs, mask):
        module.mask = getattr(module, "mask", None) if mask is None else mask
        return answer(module, inputs, module.mask)

    return forward


def keeps_its_first_input(answer):
    def forward(module, inputs, mask):
        module.x = getattr(module, "x", inputs[0])
        return answer(module, [module.x, *inputs[1:]], mask)

    return forward


def drops_out(answer):
    def forward(module, inputs, mask):
        return F.dropout(answer(module, inputs, mask))

    return forward


@pytest.mark.parametrize("mistake", [keeps_the_mask, keeps_its_first_input, drops_out])
@pytest.mark.parametrize("key", MODULES)
def test_a_module_keeps_nothing(key, mistake):
    held, right = MODULES[key], right_answers(spec_of(exercise_of(key.__name__)))[0]
    forward = mistake(lambda module, inputs, mask: right(*inputs, *held(module), mask))
    verdict = judge(module_with(forward, key))
    failed = {r.name for r in verdict.results if r.held is False}
    assert verdict.outcome == "wrong"
    assert failed == {"check_keeps_nothing"} or (mistake is drops_out and "check_keeps_nothing" in failed)


def test_right_answers_written_differently_hold(exercise, spec):
    forms = [form(good, exercise) for good in right_answers(spec) for form in (as_learners, as_numpy)]
    none_of([str(verdict) for verdict in map(judge, forms) if verdict.outcome != "holds"])


def test_each_check_rejects_what_no_other_does(exercise, spec):
    """Of the spec's own; what every exercise is asked has a mistake that nothing else rejects, or a test of its own."""
    fails = {bad.__name__: failed_by(bad, exercise) for bad in wrong_answers(spec)}
    common = {c.__name__ for c in common_checks(spec)}
    asked = {c.__name__ for c in checks(spec) if not (hasattr(c, "teaches") or hasattr(c, "module_only"))}
    alone = {name for failed in fails.values() if len(failed) == 1 for name in failed}
    alone |= {name for failed in fails.values() if len(failed - common) == 1 for name in failed - common}
    table = "\n".join(f"{name}: {', '.join(sorted(failed))}" for name, failed in fails.items())
    assert asked <= alone, f"{sorted(asked - alone)}: label it @teaching, or sharpen it; what fails which:\n{table}"


def failed_by(bad, exercise):
    """The checks that reject it, those behind the one that named it as well; what teaches does not count."""
    asked = {c.__name__: c for c in checks(spec_of(exercise)) if not hasattr(c, "teaches")}
    results = [r for r in verdict_on(bad, exercise).results if r.name in asked]
    return {r.name for r in results if r.held is False or (r.held is None and not holds(asked[r.name], bad, exercise))}


def holds(check, bad, exercise):
    learners = as_learners(bad, exercise)
    if learners.__name__.endswith("_numpy") and hasattr(check, "torch_only"):
        return True
    try:
        check(Answer(learners, spec_of(exercise)))
        return True
    except Exception:
        return False


def test_a_spec_is_complete(exercise, spec):
    assert len(wrong_answers(spec)) >= 5
    assert len(right_answers(spec)) >= 2
    assert len(spec.HINTS) == 3
    assert all(spec.HINTS)
    assert facts(exercise).level in ("easy", "medium", "hard")
    assert facts(exercise).minutes > 0
    assert facts(exercise).hints == spec.HINTS
    assert set(facts(exercise).answers) == {a.__name__ for a in keys(spec)}
    for check in checks(spec):
        assert check.__doc__, check.__name__
    hints = [bad.hint for bad in wrong_answers(spec)]
    assert len(set(hints)) == len(hints)
    names = [bad.__name__ for bad in wrong_answers(spec)]
    assert len(set(names)) == len(names)


def test_no_two_wrong_answers_behave_alike(spec):
    seen = {bad.__name__: outcomes(bad, spec, True) for bad in wrong_answers(spec)}
    pairs = [(a, b) for a in seen for b in seen if a < b and alike(seen[a], seen[b])]
    assert not pairs


def test_inputs_have_unequal_axes_and_come_anew(spec):
    first, second = spec.inputs(), spec.inputs()
    for name in first:
        assert alike(first[name], second[name]), "inputs must be the same every time"
    assert any(not x.is_contiguous() for case in first.values() for x in case if hasattr(x, "is_contiguous")), "no view"


def test_every_answer_is_a_function_or_a_class_of_the_library():
    for answer, exercise in answer_names().items():
        key = getattr(spec_of(exercise), answer)
        assert inspect.isfunction(inspect.unwrap(key)) or inspect.isclass(key)


def test_a_spec_imports_its_answers_and_what_it_uses(spec):
    """ruff is told to let unused imports be here: only answers may be."""
    tree = ast.parse(inspect.getsource(spec))
    imported = {a.asname or a.name for n in tree.body if isinstance(n, (ast.Import, ast.ImportFrom)) for a in n.names}
    used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    assert {name.split(".")[0] for name in imported} - used <= set(answer_names())
