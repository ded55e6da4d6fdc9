"""What every function of attention that `@takes` arguments keeps, whichever it is, and every module.

A new variant is found by itself: its arguments are made from what it declares, no two axes of one size. What is its
own (its oracle, its properties, its traps) stands in `test_<variant>.py`.
"""

import importlib
import inspect
import typing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

from recattn_mini import attention
from recattn_mini.shapes import Expected

FOLDER = Path(attention.__file__).parent
LEAD = (2, 7)  # the axes "..." and "*"


class Sizes(dict):
    """An axis that is not listed gets a size of its own."""

    def __missing__(self, axis):
        return self.setdefault(axis, max(self.values()) + 1)


# h divides d, a and e; distances end early, and are odd; buckets come in fours; a table of m rows is longer than t
SIZES = Sizes(b=2, w=3, h=3, distances=3, t=4, s=5, d=6, n=8, a=9, c=10, f=11, e=12, m=13, k=14, buckets=16)


def defined(kind):
    """Every class or function that a file of attention defines, by its name and its folder's: softmax, fast.softmax."""
    found = {}
    for path in sorted(FOLDER.rglob("[!_]*.py")):
        *folder, file = path.relative_to(FOLDER).with_suffix("").parts
        module = importlib.import_module(".".join([attention.__name__, *folder, file]))
        for name, member in inspect.getmembers(module, kind):
            if member.__module__ == module.__name__ and not name.startswith("_"):
                found[".".join([*folder, name])] = member
    return found


FUNCTIONS = {name: f for name, f in defined(inspect.isfunction).items() if hasattr(f, "expected")}
NUMPY = {name: f for name, f in FUNCTIONS.items() if name.endswith("_numpy")}
TORCH = {name: f for name, f in FUNCTIONS.items() if name not in NUMPY}
MODULES = defined(lambda member: inspect.isclass(member) and issubclass(member, nn.Module))


def parameters(f):
    return inspect.signature(f).parameters


def each(functions):
    return pytest.mark.parametrize("f", [pytest.param(f, id=name) for name, f in functions.items()])


class Argument(NamedTuple):
    value: Any
    expected: Expected | None  # None: a whole number that is not declared
    optional: bool


def array(expected, lead, sizes, random):
    """Float64, or integers from 0, which is padding, to 3, or a mask whose every third row allows nothing."""
    shape = [sum(sizes[part] for part in axis.split("+")) for axis in expected.letters]
    shape = (*lead, *shape) if expected.leading else tuple(shape)
    if expected.dtype == "bool":
        mask = random.rand(*shape) < 0.6
        mask[..., 0] = True
        mask.reshape(-1, shape[-1])[1::3] = False
        return torch.from_numpy(mask)
    return torch.from_numpy(random.randint(0, 4, shape) if expected.dtype == "int" else random.randn(*shape))


def arguments(f, lead=LEAD, sizes=SIZES):
    """What f may be called with, by position."""
    random = np.random.RandomState(0)
    for name, parameter in parameters(f).items():
        expected = f.expected.get(name)
        optional = type(None) in typing.get_args(parameter.annotation)
        if expected is None:
            yield Argument(2, None, optional)
        elif expected.letters == ("count",):
            yield Argument(sizes[name], expected, optional)
        elif parameter.kind is parameter.VAR_POSITIONAL:  # any number, without an axis in common: two that broadcast
            yield from (Argument(array(expected, shape, sizes, random), expected, False) for shape in (LEAD, LEAD[1:]))
        else:
            yield Argument(array(expected, lead, sizes, random), expected, optional)


def values(f, **options):
    return [argument.value for argument in arguments(f, **options)]


def is_float(x):
    return isinstance(x, torch.Tensor) and x.is_floating_point()


def moved(inputs, device, dtype):
    return [x.to(device, dtype if is_float(x) else x.dtype) if isinstance(x, torch.Tensor) else x for x in inputs]


def several(out):
    return out if isinstance(out, tuple) else (out,)


def finite(x):
    """Scores behind a mask are -inf, of which there is no difference: 0 instead."""
    return x.masked_fill(x == -torch.inf, 0)


def with_gradients(f, inputs):
    """The outputs, then the gradient of every floating input under a random upstream gradient."""
    inputs = [x.detach().requires_grad_() if is_float(x) else x for x in inputs]
    out, learn = several(f(*inputs)), [x for x in inputs if is_float(x)]
    floating = [x for x in out if is_float(x)]
    if not (any(x.requires_grad for x in floating) and learn):  # masks, and what is made of sizes or of whole numbers
        return out
    random = np.random.RandomState(1)
    upstream = [torch.from_numpy(random.randint(-127, 128, x.shape) / 64).to(x) for x in floating]  # exact in bfloat16
    return *out, *torch.autograd.grad(floating, learn, upstream, materialize_grads=True)  # zeros where none is used


def twin(f):
    """The NumPy form of the same name, wherever it is."""
    return NUMPY[f"{f.__name__}_numpy"]


@each(FUNCTIONS)
def test_declares_every_argument(f):
    undeclared = [p for name, p in parameters(f).items() if name not in f.expected]
    assert all(p.annotation is int for p in undeclared), f"@takes does not say what they must be: {undeclared}"


@each(TORCH)
def test_has_a_numpy_form_with_the_same_arguments(f):
    assert [*parameters(f)] == [*parameters(twin(f))]
    assert f.expected == twin(f).expected


def nothing_optional(x, expected, optional):
    return 0.5 if expected and expected.number else None if optional else x


def one_mask_for_all(x, expected, optional):
    return x.reshape(-1, x.shape[-1])[0] if optional and expected.dtype == "bool" else x


def last_axis_outermost(x, expected, optional):
    return x.permute(*range(x.ndim)[::-1]).contiguous().permute(*range(x.ndim)[::-1]) if hasattr(x, "ndim") else x


def hundredfold(x, expected, optional):
    return 100 * x if is_float(x) else x


@each(TORCH)
@pytest.mark.parametrize("change", [None, nothing_optional, one_mask_for_all, last_axis_outermost, hundredfold])
def test_equals_numpy(f, change, call, close):
    inputs = [change(*argument) if change else argument.value for argument in arguments(f)]
    close(call(f, *inputs), call(twin(f), *inputs))


def of_users(f):
    """Whether it declares an axis of users, `b` or the leading ones."""
    return any(e.leading == "..." or "b" in e.letters for e in f.expected.values())


@each({name: f for name, f in FUNCTIONS.items() if of_users(f)})
def test_every_user_is_alone(f, call, close):
    """One user's arguments give what they give among others'; inputs stay as they were."""

    def one(x, expected):
        if isinstance(x, torch.Tensor) and expected.leading == "...":
            return x[1, 4]
        return x[1:2] if isinstance(x, torch.Tensor) and expected.letters[:1] == ("b",) else x

    every, alone = (
        several(call(f, *inputs)) for inputs in (values(f), [one(x, expected) for x, expected, _ in arguments(f)])
    )
    leading = any(e.leading == "..." for e in f.expected.values())
    picked = [(x[1, 4] if leading else x[1:2], y) for x, y in zip(every, alone, strict=True) if x.shape != y.shape]
    assert picked
    for of_all, of_one in picked:
        close(of_one, of_all)


def hides(f):
    """The axis that its mask hides, if only keys have it."""
    masks = [e.letters for e in f.expected.values() if e.dtype == "bool" and e.broadcasts]
    return next((axes[-1] for axes in masks if axes.count(axes[-1]) == 1), None)


@each({name: f for name, f in FUNCTIONS.items() if hides(f)})
def test_what_the_mask_hides_does_not_matter(f, call, close):
    inputs, others = [], []
    for x, expected, _ in arguments(f):
        if expected and expected.dtype == "bool":
            x[..., -1] = False
        inputs.append(x)
        others.append(x)
        if is_float(x) and hides(f) in expected.letters and not expected.broadcasts:
            axis = expected.letters.index(hides(f)) - len(expected.letters)
            others[-1] = x.clone()
            others[-1].select(axis, -1).fill_(1000)
    close(call(f, *others), call(f, *inputs))


@each(TORCH)
def test_keeps_dtype_and_device(f, place):
    device, dtype = place
    inputs = values(f)
    follows = any(map(is_float, inputs))
    out = zip(several(f(*moved(inputs, *place))), several(f(*inputs)), strict=True)
    for x, in_float64 in out:
        assert in_float64.dtype in (torch.float64, torch.bool, torch.int64)
        kept = dtype if follows and is_float(in_float64) else in_float64.dtype
        assert (x.shape, x.dtype, x.device.type) == (in_float64.shape, kept, device)


@each(NUMPY)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
def test_numpy_keeps_dtype(f, dtype, call):
    inputs = values(f)
    follows = any(map(is_float, inputs))
    out = zip(several(call(f, *moved(inputs, "cpu", dtype))), several(call(f, *inputs)), strict=True)
    for x, in_float64 in out:
        assert x.dtype == (dtype if follows and is_float(in_float64) else in_float64.dtype)


@each(TORCH)
def test_compiles_into_one_graph(f, close):
    compiled = torch.compile(f, fullgraph=True, backend="aot_eager")
    close(with_gradients(compiled, values(f)), with_gradients(f, values(f)))


def differentiable(f):
    return any(map(is_float, values(f)))


@each({name: f for name, f in TORCH.items() if differentiable(f)})
def test_finite_differences(f):
    def floating(*inputs):
        return tuple(finite(x) for x in several(f(*inputs)) if is_float(x))

    inputs = [x.requires_grad_() if is_float(x) else x for x in values(f, lead=(2,))]
    assert not floating(*inputs) or torch.autograd.gradcheck(floating, inputs, fast_mode=True)


@each({name: f for name, f in TORCH.items() if differentiable(f)})
def test_gradients_are_finite(f):
    """Also where a row may attend to nothing, and where scores are far beyond 1000."""
    inputs = [hundredfold(*argument) for argument in arguments(f)]
    out, *gradients = with_gradients(f, moved(inputs, "cpu", torch.float32))
    assert not out.isnan().any()
    assert all(x.isfinite().all() for x in gradients)


@each({name: f for name, f in TORCH.items() if differentiable(f)})
def test_half_precision_is_near(f, half, device, error):
    """Outputs and gradients are within five times the error that rounding the inputs and the answer costs anyhow."""
    inputs = values(f)
    rounded = moved(inputs, device, half)
    exact, of_rounded = with_gradients(f, inputs), with_gradients(f, moved(rounded, "cpu", torch.float64))
    for ours, wide, x in zip(with_gradients(f, rounded), of_rounded, exact, strict=True):
        if is_float(x):
            ours, wide, x = finite(ours), finite(wide), finite(x)
            of_the_answer = torch.finfo(half).eps / 4 * error(wide, torch.zeros_like(wide))
            assert error(ours, wide) <= 5 * (error(wide, x) + of_the_answer)


def sizes_given(module):
    """What its constructor must be given, by name."""
    return {name: SIZES[name] for name, p in parameters(module).items() if p.default is p.empty}


@pytest.fixture(params=[pytest.param(module, id=name) for name, module in MODULES.items()])
def module(request):
    """An instance in float64."""
    torch.manual_seed(0)
    return request.param(**sizes_given(request.param)).double()


@pytest.fixture
def inputs(module):
    """Those of `forward` as it declares them, or as the function beside it does that takes the same and the weights.

    Such a function may tell more widths apart than the constructor, for which they are all d.
    """
    names, given = [*parameters(module.forward)], sizes_given(type(module))
    beside = [f for f in (module.forward, *TORCH.values()) if f.__module__ == type(module).__module__]
    declared = [f for f in beside if {*names} <= {*getattr(f, "expected", ())}]
    assert declared, f"forward takes {names}, for which no function beside it has a declaration: it needs @takes"
    widths = {e.letters[-1] for name, e in declared[0].expected.items() if name in names and e.dtype == "float"}
    as_d = dict.fromkeys(widths - {*given}, SIZES["d"])
    by_name = dict(zip(parameters(declared[0]), values(declared[0], sizes=Sizes(SIZES | as_d)), strict=True))
    return [by_name[name] for name in names]


def test_module_finite_differences_of_parameters(module, inputs):
    """Those that have no part in the answer count: their gradient is 0 either way."""
    names, parameters = zip(*module.named_parameters(), strict=True)

    def f(*parameters):
        return torch.func.functional_call(module, dict(zip(names, parameters, strict=True)), tuple(inputs))

    assert torch.autograd.gradcheck(f, parameters, fast_mode=True)


def test_module_is_its_state_dict(module, inputs):
    other = type(module)(**sizes_given(type(module))).double()
    other.load_state_dict(module.state_dict())
    assert torch.equal(other(*inputs), module(*inputs))


def test_module_keeps_dtype_and_device(module, inputs, place):
    device, dtype = place
    in_float64 = module(*inputs)
    out = module.to(*place)(*moved(inputs, *place))
    assert (out.shape, out.dtype, out.device.type) == (in_float64.shape, dtype, device)


def test_module_compiles_into_one_graph(module, inputs, close):
    close(torch.compile(module, fullgraph=True, backend="eager")(*inputs), module(*inputs))


def test_module_under_autocast_is_as_near_as_in_bfloat16(module, inputs, error):
    exact = module(*inputs)
    in_bfloat16 = module.bfloat16()(*moved(inputs, "cpu", torch.bfloat16))
    module.float()
    with torch.autocast("cpu", torch.bfloat16):
        mixed = module(*moved(inputs, "cpu", torch.float32))
    assert error(mixed, exact) <= 2 * error(in_bfloat16, exact)
