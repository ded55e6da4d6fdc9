"""Spec of augru_cell: a GRU whose update gate attention scales, in the paper's direction and with PyTorch's weights."""

import math

import torch

from recattn_mini.attention.augru_cell import augru_cell, augru_cell_numpy
from recattn_mini.exercises.spec import (
    but,
    drawn_once,
    finite,
    float64,
    gradients,
    mistakes_of,
    random_tensors,
    right,
    same,
    teaching,
    torch_only,
)

NAMES = ("x", "state", "attention", "w_input", "w_state", "b_input", "b_state")
LEVEL, MINUTES = "medium", 15
HINTS = (
    "Write nn.GRUCell first: h ← z h + (1 - z) n. Which of z and 1 - z lets the event in, and what must a = 0 do?",
    "x W_inputᵀ + b_input and state W_stateᵀ + b_state are (b 3d): split each into r, z, n. r and z are σ of the sums, "
    "n = tanh(n_x + r n_state).",
    "u = attention[:, None] · (1 - z), and h ← (1 - u) h + u n: a = 0 keeps the state, a = 1 is nn.GRUCell.",
)
FORBIDDEN = ("torch.nn.GRUCell", "torch.nn.GRU", "torch.gru_cell", "torch.gru")


@drawn_once
def inputs() -> dict[str, tuple]:
    x, state, attention, *weights = random_tensors((3, 7), (3, 5), (3,), (15, 7), (15, 5), (15,), (15,))
    attention, weights = attention.sigmoid(), [w / 3 for w in weights]
    one_x, one_state = random_tensors((1, 7), (1, 5), seed=2)
    view_x, view_state, view_attention, view_w = random_tensors((7, 3), (5, 6), (3, 2), (7, 15), seed=3)
    x_4, state_4, attention_4, *weights_4 = random_tensors((4, 4), (4, 4), (4,), (12, 4), (12, 4), (12,), (12,), seed=4)
    return {
        "typical": (x, state, attention, *weights),
        "no attention": (x, state, 0 * attention, *weights),
        "hardly any attention": (x, state, 5e-4 * attention, *weights),
        "full attention": (x, state, 0 * attention + 1, *weights),
        "large": (5000 * x, state, attention, *weights),
        "views": (view_x.T, view_state.T[::2], view_attention.sigmoid()[:, 0], view_w.T / 3, *weights[1:]),
        "one": (one_x, one_state, attention[:1], *weights),
        "all sizes equal": (x_4, state_4, attention_4.sigmoid(), *weights_4),
    }


def expected(x, state, attention, *weights):
    """PyTorch's own GRU, and its input a part of the way from the state: ũ = a u makes no other difference."""
    return torch.lerp(state, torch.gru_cell(x, state, *weights), attention[:, None])


def _agrees(f, *cases):
    for case in cases:
        same(f(*inputs()[case]), expected(*inputs()[case]))


@teaching
def check_worked_example(f):
    "z = 3/4 and n = 1/2: of the update gate's 1/4, a = 1/2 leaves 1/8, so 8 becomes 7/8 of 8 and 1/8 of 1/2"
    x, state, attention = float64([[9], [9]]), float64([[8, 4], [8, 4]]), float64([0.5, 0])
    w_input, w_state = float64([[0]] * 6), float64([[0, 0]] * 6)
    b_input = float64([0, 0, math.log(3), math.log(3), math.atanh(0.5), math.atanh(0.5)])
    same(f(x, state, attention, w_input, w_state, b_input, 0 * b_input), float64([[7 + 1 / 16, 3.5 + 1 / 16], [8, 4]]))


@teaching
def check_limits(f):
    "a = 0 keeps the state, a = 1 is nn.GRUCell"
    same(f(*inputs()["no attention"]), inputs()["no attention"][1])
    _agrees(f, "full attention")


def check_values(f):
    "agrees with the formula on unequal sizes, on views, on one user, and for an attention near 0, as of a long history"
    _agrees(f, "typical", "hardly any attention", "views", "one")


def check_equal_sizes(f):
    "the same where all sizes are equal: attention is a number for each user, not for each unit"
    _agrees(f, "all sizes equal")


def check_large(f):
    "gates beyond 1,000 neither overflow nor are cut"
    _agrees(f, "large")


@torch_only
def check_gradient(f):
    "the gradients of x, state, attention and all four weights agree, and are finite where the gates saturate"
    same(gradients(f, *inputs()["typical"]), gradients(augru_cell, *inputs()["typical"]), NAMES)
    finite(gradients(f, *inputs()["large"]), NAMES)


def _new(x, h, r, a, of_rh):
    return x + r * h


def _gate(z, a):
    return a * (1 - z)


def _mix(h, n, u, *_):
    return (1 - u) * h + u * n


def answer(
    *case, given=tuple, blocks=(0, 1, 2), sigmoid=torch.sigmoid, new=_new, squash=torch.tanh, gate=_gate, out=_mix
):
    """The last argument of `new` is the state's part as in Cho 2014, W_n (r h) + b_n."""
    x, h, a, w_input, w_state, b_input, b_state = given(case)
    of_x, of_h = (x @ w_input.mT + b_input).chunk(3, -1), (h @ w_state.mT + b_state).chunk(3, -1)
    r, z = (sigmoid(of_x[i] + of_h[i]) for i in blocks[:2])
    n, a, of_rh = blocks[2], a[:, None], (r * h) @ w_state.chunk(3)[2].mT + b_state.chunk(3)[2]
    return out(h, squash(new(of_x[n], of_h[n], r, a, of_rh)), gate(z, a), z, a)


def _at(i, change):
    return lambda case: (*case[:i], change(case[i]), *case[i + 1 :])


MISTAKES = mistakes_of(
    answer,
    gate={
        "released": ("a = 0 is a GRU, as in the authors' code: here a scales 1 - z", lambda z, a: 1 - (1 - a) * z),
        "keep_gate_scaled": ("a scales z, which keeps: a = 0 overwrites it. Scale 1 - z", lambda z, a: 1 - a * z),
        "z_not_inverted": ("z lets the event in: nn.GRUCell's z keeps the state, u is 1 - z", lambda z, a: a * z),
        "agru": ("attention replaces the gate: that is AGRU. AUGRU multiplies the gate, a (1 - z)", lambda z, a: a),
        "counted_twice": ("the gate counts twice: mix h with n, not with GRU(x, h)", lambda z, a: a * (1 - z) ** 2),
        "along_the_units": ("a is laid along the units: it is a number for each user", lambda z, a: a.mT * (1 - z)),
        "told_by_size": (
            "a is laid along the units where b = d: it is a number for each user",
            lambda z, a: _gate(z, a.mT if z.shape == z.mT.shape else a),
        ),
        "smaller_of_both": ("the smaller of a and 1 - z: ũ is their product", lambda z, a: torch.minimum(a, 1 - z)),
        "mean_of_both": ("the mean of a and 1 - z: ũ is their product", lambda z, a: (a + 1 - z) / 2),
    },
    out={
        "the_other_way": ("ũ weighs the state, 1 - ũ the candidate: swap them", lambda h, n, *x: _mix(n, h, *x)),
        "on_the_candidate": ("a scales n, not u: a = 0 would shrink h", lambda h, n, u, z, a: _mix(h, a * n, 1 - z)),
        "state_kept_whole": ("ũ n is added to the whole state: it is (1 - ũ) h + ũ n", lambda h, n, u, *_: h + u * n),
        "on_gate_and_candidate": ("a scales n too: it scales the gate only", lambda h, n, u, z, a: _mix(h, a * n, u)),
        "on_the_new_state": ("a scales the new state: a = 0 forgets all", lambda h, n, u, z, a: a * _mix(h, n, 1 - z)),
    },
    new={
        "on_both_gates": ("a scales the reset gate too: only the update gate", lambda x, h, r, a, _: x + a * r * h),
        "reset_before_the_product": (
            "r is inside the product, as Cho's: it is r (W_n h + b_n)",
            lambda x, *y: x + y[-1],
        ),
        "no_reset": ("the reset gate is not used", lambda x, h, *_: x + h),
        "reset_of_everything": ("r scales the input's part too: n_x + r n_state", lambda x, h, r, *_: r * (x + h)),
        "reset_of_the_input": ("r scales the input's part: it is n_x + r n_state", lambda x, h, r, *_: r * x + h),
        "reset_inverted": ("1 - r scales the state's part: it is n_x + r n_state", lambda x, h, r, *_: x + (1 - r) * h),
    },
    squash={
        "no_tanh": ("the candidate's tanh is missing: the state is no longer bounded", torch.positive),
        "sigmoid_candidate": ("a sigmoid where the candidate's tanh belongs: below 0 is lost", torch.sigmoid),
        "relu_candidate": ("a ReLU where the candidate's tanh belongs", torch.relu),
    },
    blocks={
        "keras_order": ("the blocks are taken as z, r, n, which is Keras's order: PyTorch's is r, z, n", (1, 0, 2)),
        "candidate_second": ("the blocks are taken as r, n, z: PyTorch's order is r, z, n", (0, 2, 1)),
        "candidate_first": ("the blocks are taken as n, r, z: PyTorch's order is r, z, n", (1, 2, 0)),
        "reversed": ("the blocks are taken as n, z, r: PyTorch's order is r, z, n", (2, 1, 0)),
    },
    sigmoid={
        "hard_sigmoids": ("hard sigmoids, as old Keras had: the gates are σ", lambda y: (0.2 * y + 0.5).clamp(0, 1)),
        "tanh_gates": ("the gates are tanh, from -1 to 1: they are σ, from 0 to 1", torch.tanh),
        "no_sigmoid": ("the σ of the gates is missing: a gate lies between 0 and 1", torch.positive),
        "sigmoid_overflows": (
            "exp(y) / (1 + exp(y)) is inf / inf: use torch.sigmoid, or (1 + tanh(y/2)) / 2",
            lambda y: y.exp() / (1 + y.exp()),
        ),
        "gradient_overflows": ("1 / (1 + exp(-y)) has gradient 0 · inf: torch.sigmoid", lambda y: 1 / (1 + (-y).exp())),
        "clipped": ("gates are clipped at ±10, where σ is not 1 yet", lambda y: y.clamp(-10, 10).sigmoid()),
        "clipped_at_5": ("gates are clipped at ±5, where σ is 0.993", lambda y: y.clamp(-5, 5).sigmoid()),
    },
    given={
        "one_minus_a": ("1 - a scales the gate: a = 0 would be a plain GRU", _at(2, lambda a: 1 - a)),
        "aigru": (
            "a scales the input: that is AIGRU, where a = 0 changes the state",
            lambda c: (c[2][:, None] * c[0], c[1], 0 * c[2] + 1, *c[3:]),
        ),
        "plain_gru": ("attention is not used: that is a plain GRU", _at(2, torch.ones_like)),
        "a_squared": ("attention is applied twice: ũ = a (1 - z), once", _at(2, torch.square)),
        "a_cut": ("an a below 1e-3 becomes 0: in a long history all are as small", _at(2, lambda a: a * (a >= 1e-3))),
        "a_through_sigmoid": ("a is put through a sigmoid: it is a weight, and 0 must stay 0", _at(2, torch.sigmoid)),
        "a_over_users": ("a is normalised over the batch: each user is on their own", _at(2, lambda a: a.softmax(0))),
        "a_detached": ("attention is detached: what makes it learns nothing", _at(2, torch.detach)),
        "h_detached": ("the state is detached: nothing is learned through time", _at(1, torch.detach)),
        "biases_merged": ("both biases are outside: r scales W_n h + b_n", lambda c: (*c[:5], c[5] + c[6], 0 * c[6])),
        "biases_swapped": ("b_input and b_state have changed places", lambda c: (*c[:5], c[6], c[5])),
        "weights_swapped": ("w_input and w_state have changed places", lambda c: (*c[:3], c[4], c[3], *c[5:])),
        "no_state_bias": ("b_state is not used", _at(6, torch.zeros_like)),
        "no_input_bias": ("b_input is not used", _at(5, torch.zeros_like)),
    },
)
released_as_it_is = but(
    answer,
    "that is the authors' released cell as it is: a scales z, not 1 - z, and r stands inside the matrix product",
    new=lambda x, *y: x + y[-1],
    gate=lambda z, a: 1 - (1 - a) * z,
)
on_the_reset_gate = but(
    answer,
    "attention scales the reset gate: it belongs on the update gate",
    new=lambda x, h, r, a, _: x + a * r * h,
    gate=lambda z, a: 1 - z,
)
inside_the_sigmoid = but(
    answer,
    "attention goes into the σ: it scales the gate, not the sum that the gate is computed from",
    sigmoid=torch.positive,
    new=lambda x, h, r, *_: x + r.sigmoid() * h,
    gate=lambda z, a: torch.sigmoid(-a * z),
)


@right
def update_gate_of_the_other_sign(x, state, attention, w_input, w_state, b_input, b_state):
    (w_ir, w_iz, w_in), (w_hr, w_hz, w_hn) = w_input.chunk(3), w_state.chunk(3)
    (b_ir, b_iz, b_in), (b_hr, b_hz, b_hn) = b_input.chunk(3), b_state.chunk(3)
    reset = torch.sigmoid(x @ w_ir.mT + state @ w_hr.mT + b_ir + b_hr)
    update = torch.sigmoid(-(x @ w_iz.mT + state @ w_hz.mT + b_iz + b_hz)) * attention.unsqueeze(-1)
    return state + update * (torch.tanh(x @ w_in.mT + b_in + reset * (state @ w_hn.mT + b_hn)) - state)


@right
def user_by_user(x, state, attention, w_input, w_state, b_input, b_state):
    rows = []
    for event, h, a in zip(x, state, attention, strict=True):
        of_x, of_h = w_input @ event + b_input, w_state @ h + b_state
        d = len(h)
        r, z = (of_x[: 2 * d] + of_h[: 2 * d]).sigmoid().split(d)
        n = torch.tanh(of_x[2 * d :] + r * of_h[2 * d :])
        rows.append((1 - a) * h + a * (z * h + (1 - z) * n))
    return torch.stack(rows)
