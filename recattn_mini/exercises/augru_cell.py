"""Spec of augru_cell: a GRU whose update gate attention scales, in the paper's direction and with PyTorch's weights."""

import math

import torch

from recattn_mini.attention.augru_cell import augru_cell, augru_cell_numpy
from recattn_mini.exercises.spec import (
    finite,
    float64,
    gradients,
    random_tensors,
    right,
    same,
    teaching,
    torch_only,
    wrong,
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


def inputs() -> dict[str, tuple]:
    shapes = (3, 7), (3, 5), (3,), (15, 7), (15, 5), (15,), (15,)
    x, state, attention, *weights = random_tensors(*shapes)
    attention, weights = attention.sigmoid(), [w / 3 for w in weights]
    one_x, one_state = random_tensors((1, 7), (1, 5), seed=2)
    view_x, view_state, view_attention, view_w = random_tensors((7, 3), (5, 6), (3, 2), (7, 15), seed=3)
    views = view_x.T, view_state.T[::2], view_attention.sigmoid()[:, 0], view_w.T / 3, *weights[1:]
    return {
        "typical": (x, state, attention, *weights),
        "no attention": (x, state, 0 * attention, *weights),
        "hardly any attention": (x, state, 5e-4 * attention, *weights),
        "full attention": (x, state, 0 * attention + 1, *weights),
        "large": (5000 * x, state, attention, *weights),
        "views": views,
        "one": (one_x, one_state, attention[:1], *weights),
    }


def expected(x, state, attention, w_input, w_state, b_input, b_state):
    """PyTorch's own GRU, and its input a part of the way from the state: ũ = a u makes no other difference."""
    stepped = torch.gru_cell(x, state, w_input, w_state, b_input, b_state)
    return torch.lerp(state, stepped, attention[:, None])


@teaching
def check_worked_example(f):
    "z = 3/4 and n = 1/2: of the update gate's 1/4, a = 1/2 leaves 1/8, so 8 becomes 7/8 of 8 and 1/8 of 1/2"
    x, state, attention = float64([[9], [9]]), float64([[8, 4], [8, 4]]), float64([0.5, 0])
    w_input, w_state = float64([[0]] * 6), float64([[0, 0]] * 6)
    b_input = float64([0, 0, math.log(3), math.log(3), math.atanh(0.5), math.atanh(0.5)])
    same(f(x, state, attention, w_input, w_state, b_input, 0 * b_input), float64([[7 + 1 / 16, 3.5 + 1 / 16], [8, 4]]))


@teaching
def check_no_attention(f):
    "a = 0 keeps the state"
    same(f(*inputs()["no attention"]), inputs()["no attention"][1])


@teaching
def check_full_attention(f):
    "a = 1 is nn.GRUCell"
    x, state, _, *weights = inputs()["full attention"]
    same(f(*inputs()["full attention"]), torch.gru_cell(x, state, *weights))


def check_values(f):
    "agrees with the formula on unequal sizes, on views, on one user, and for an attention near 0, as of a long history"
    for case in ("typical", "hardly any attention", "views", "one"):
        same(f(*inputs()[case]), expected(*inputs()[case]))


def check_large(f):
    "gates beyond 1,000 neither overflow nor are cut"
    same(f(*inputs()["large"]), expected(*inputs()["large"]))


@torch_only
def check_gradient(f):
    "the gradients of x, state, attention and all four weights agree"
    same(gradients(f, *inputs()["typical"]), gradients(augru_cell, *inputs()["typical"]), NAMES)


@torch_only
def check_gradient_of_large(f):
    "and are finite where the gates saturate"
    finite(gradients(f, *inputs()["large"]), NAMES)


def _gates(x, state, weights, order=(0, 1, 2), sigmoid=torch.sigmoid):
    """r, z, and n's part of the input and of the state; order says which blocks they are."""
    w_input, w_state, b_input, b_state = weights
    of_x, of_h = (x @ w_input.mT + b_input).chunk(3, -1), (state @ w_state.mT + b_state).chunk(3, -1)
    r, z, n = order
    return sigmoid(of_x[r] + of_h[r]), sigmoid(of_x[z] + of_h[z]), of_x[n], of_h[n]


def _reset_inside(r, state, weights):
    """n's part of the state as in Cho 2014: W_n (r h) + b_n."""
    _, w_state, _, b_state = weights
    return (r * state) @ w_state.chunk(3)[2].mT + b_state.chunk(3)[2]


def _mix(attention, state, z, n):
    u = attention[:, None] * (1 - z)
    return (1 - u) * state + u * n


@wrong(
    "the direction of the authors' released code: a = 0 is a plain GRU, a = 1 overwrites. In the paper a scales 1 - z"
)
def released(x, state, attention, *weights):
    r, z, n_x, n_h = _gates(x, state, weights)
    z = (1 - attention[:, None]) * z
    return z * state + (1 - z) * torch.tanh(n_x + r * n_h)


@wrong("that is the authors' released cell as it is: a scales z, not 1 - z, and r stands inside the matrix product")
def released_as_it_is(x, state, attention, *weights):
    r, z, n_x, _ = _gates(x, state, weights)
    z = (1 - attention[:, None]) * z
    return z * state + (1 - z) * torch.tanh(n_x + _reset_inside(r, state, weights))


@wrong("attention scales z, the keep gate of nn.GRUCell: then a = 0 overwrites the state. Scale 1 - z")
def keep_gate_scaled(x, state, attention, *weights):
    r, z, n_x, n_h = _gates(x, state, weights)
    z = attention[:, None] * z
    return z * state + (1 - z) * torch.tanh(n_x + r * n_h)


@wrong("nn.GRUCell's z keeps the state: the paper's update gate is u = 1 - z")
def z_not_inverted(x, state, attention, *weights):
    r, z, n_x, n_h = _gates(x, state, weights)
    return _mix(attention, state, 1 - z, torch.tanh(n_x + r * n_h))


@wrong("state and candidate change places: ũ weighs the candidate, 1 - ũ the state")
def mixed_the_other_way(x, state, attention, *weights):
    r, z, n_x, n_h = _gates(x, state, weights)
    u = attention[:, None] * (1 - z)
    return u * state + (1 - u) * torch.tanh(n_x + r * n_h)


@wrong("1 - a scales the gate: a = 0 would be a plain GRU")
def one_minus_attention(x, state, attention, *weights):
    return augru_cell(x, state, 1 - attention, *weights)


@wrong("attention replaces the gate: that is AGRU, one number for all units. AUGRU multiplies the gate")
def agru(x, state, attention, *weights):
    r, _, n_x, n_h = _gates(x, state, weights)
    return _mix(attention, state, 0, torch.tanh(n_x + r * n_h))


@wrong("attention scales the input: that is AIGRU, where an event without attention still changes the state")
def aigru(x, state, attention, *weights):
    r, z, n_x, n_h = _gates(attention[:, None] * x, state, weights)
    return z * state + (1 - z) * torch.tanh(n_x + r * n_h)


@wrong("attention is not used: that is a plain GRU")
def plain_gru(x, state, attention, *weights):
    return augru_cell(x, state, torch.ones_like(attention), *weights)


@wrong("attention scales the reset gate: it belongs on the update gate")
def on_the_reset_gate(x, state, attention, *weights):
    r, z, n_x, n_h = _gates(x, state, weights)
    return z * state + (1 - z) * torch.tanh(n_x + attention[:, None] * r * n_h)


@wrong("attention scales both gates: the reset gate is left as it is, only the update gate is scaled")
def on_both_gates(x, state, attention, *weights):
    r, z, n_x, n_h = _gates(x, state, weights)
    return _mix(attention, state, z, torch.tanh(n_x + attention[:, None] * r * n_h))


@wrong("attention scales the gate, and the candidate once more: what is let go must be replaced. Scale the gate only")
def on_gate_and_candidate(x, state, attention, *weights):
    r, z, n_x, n_h = _gates(x, state, weights)
    return _mix(attention, state, z, attention[:, None] * torch.tanh(n_x + r * n_h))


@wrong("attention scales what comes in, but not what is let go: a = 0 would shrink the state. Keep 1 - ũ, not z")
def on_the_candidate(x, state, attention, *weights):
    r, z, n_x, n_h = _gates(x, state, weights)
    return z * state + (1 - z) * attention[:, None] * torch.tanh(n_x + r * n_h)


@wrong("what comes in is added to the whole state: as much has to go, (1 - ũ) h + ũ n")
def state_kept_whole(x, state, attention, *weights):
    r, z, n_x, n_h = _gates(x, state, weights)
    return state + attention[:, None] * (1 - z) * torch.tanh(n_x + r * n_h)


@wrong("the gate counts twice: ũ mixes the state with the candidate n, not with what the whole GRU gives")
def gate_counted_twice(x, state, attention, *weights):
    r, z, n_x, n_h = _gates(x, state, weights)
    return _mix(attention, state, z, z * state + (1 - z) * torch.tanh(n_x + r * n_h))


@wrong("attention is applied twice: ũ = a (1 - z), once")
def attention_squared(x, state, attention, *weights):
    return augru_cell(x, state, attention.square(), *weights)


@wrong("attention below 1e-3 is taken for padding: in a history of thousands every weight is as small. Use it as it is")
def small_attention_dropped(x, state, attention, *weights):
    return augru_cell(x, state, torch.where(attention < 1e-3, 0, attention), *weights)


@wrong("attention scales the new state: a = 0 would forget everything. It scales the update gate")
def on_the_new_state(x, state, attention, *weights):
    return attention[:, None] * plain_gru(x, state, attention, *weights)


@wrong("attention goes into the σ: it scales the gate, not the sum that the gate is computed from")
def inside_the_sigmoid(x, state, attention, *weights):
    r, z, n_x, n_h = _gates(x, state, weights, sigmoid=lambda y: y)
    u = torch.sigmoid(-attention[:, None] * z)
    return (1 - u) * state + u * torch.tanh(n_x + r.sigmoid() * n_h)


@wrong("attention is put through a sigmoid: it comes from a softmax already, and a = 0 must stay 0")
def attention_through_sigmoid(x, state, attention, *weights):
    return augru_cell(x, state, attention.sigmoid(), *weights)


@wrong("attention is normalised over the batch: users have nothing to do with each other")
def attention_normalised_over_users(x, state, attention, *weights):
    return augru_cell(x, state, torch.softmax(attention, 0), *weights)


@wrong("one attention for every unit, along the wrong axis: it is a number for each user, attention[:, None]")
def along_the_units(x, state, attention, *weights):
    r, z, n_x, n_h = _gates(x, state, weights)
    u = attention * (1 - z)
    return (1 - u) * state + u * torch.tanh(n_x + r * n_h)


@wrong("the reset gate is applied before the matrix product, as in Cho 2014; nn.GRUCell's r scales W_n h + b_n")
def reset_before_the_product(x, state, attention, *weights):
    r, z, n_x, _ = _gates(x, state, weights)
    return _mix(attention, state, z, torch.tanh(n_x + _reset_inside(r, state, weights)))


@wrong("the two biases of the candidate are added up: the state's one is inside, r (W_n h + b_n)")
def biases_merged(x, state, attention, w_input, w_state, b_input, b_state):
    return augru_cell(x, state, attention, w_input, w_state, b_input + b_state, torch.zeros_like(b_state))


@wrong("the reset gate is not used")
def no_reset(x, state, attention, *weights):
    r, z, n_x, n_h = _gates(x, state, weights)
    return _mix(attention, state, z, torch.tanh(n_x + n_h + 0 * r))


@wrong("the reset gate scales the input's part too: it only decides how much of the state the candidate sees")
def reset_of_everything(x, state, attention, *weights):
    r, z, n_x, n_h = _gates(x, state, weights)
    return _mix(attention, state, z, torch.tanh(r * (n_x + n_h)))


@wrong("the reset gate scales the input's part: it decides how much of the state the candidate sees, n_x + r n_state")
def reset_of_the_input(x, state, attention, *weights):
    r, z, n_x, n_h = _gates(x, state, weights)
    return _mix(attention, state, z, torch.tanh(r * n_x + n_h))


@wrong("the blocks are taken as z, r, n, which is Keras's order; PyTorch's is r, z, n")
def keras_order(x, state, attention, *weights):
    r, z, n_x, n_h = _gates(x, state, weights, order=(1, 0, 2))
    return _mix(attention, state, z, torch.tanh(n_x + r * n_h))


@wrong("the blocks are taken as r, n, z; PyTorch's order is r, z, n")
def candidate_second(x, state, attention, *weights):
    r, z, n_x, n_h = _gates(x, state, weights, order=(0, 2, 1))
    return _mix(attention, state, z, torch.tanh(n_x + r * n_h))


@wrong("the tanh of the candidate is missing: the state is no longer bounded")
def no_tanh(x, state, attention, *weights):
    r, z, n_x, n_h = _gates(x, state, weights)
    return _mix(attention, state, z, n_x + r * n_h)


@wrong("a sigmoid where the candidate's tanh belongs: the state could not go below 0")
def sigmoid_candidate(x, state, attention, *weights):
    r, z, n_x, n_h = _gates(x, state, weights)
    return _mix(attention, state, z, torch.sigmoid(n_x + r * n_h))


@wrong("hard sigmoids, as old Keras had: the gates are σ")
def hard_sigmoids(x, state, attention, *weights):
    r, z, n_x, n_h = _gates(x, state, weights, sigmoid=lambda y: (0.2 * y + 0.5).clamp(0, 1))
    return _mix(attention, state, z, torch.tanh(n_x + r * n_h))


@wrong("b_state is not used")
def no_state_bias(x, state, attention, w_input, w_state, b_input, b_state):
    return augru_cell(x, state, attention, w_input, w_state, b_input, torch.zeros_like(b_state))


@wrong("b_input is not used")
def no_input_bias(x, state, attention, w_input, w_state, b_input, b_state):
    return augru_cell(x, state, attention, w_input, w_state, torch.zeros_like(b_input), b_state)


@wrong("exp(x) / (1 + exp(x)) is inf / inf beyond 710: use torch.sigmoid, in NumPy (1 + tanh(x/2)) / 2")
def sigmoid_overflows(x, state, attention, *weights):
    r, z, n_x, n_h = _gates(x, state, weights, sigmoid=lambda y: y.exp() / (1 + y.exp()))
    return _mix(attention, state, z, torch.tanh(n_x + r * n_h))


@wrong("1 / (1 + exp(-x)) is right below -710, but its gradient 0 · inf is NaN: use torch.sigmoid")
def gradient_overflows(x, state, attention, *weights):
    r, z, n_x, n_h = _gates(x, state, weights, sigmoid=lambda y: 1 / (1 + (-y).exp()))
    return _mix(attention, state, z, torch.tanh(n_x + r * n_h))


@wrong("the gates are clipped at ±10: σ(10) is not 1 yet, and the gradient beyond is lost. sigmoid needs no clipping")
def clipped(x, state, attention, *weights):
    r, z, n_x, n_h = _gates(x, state, weights, sigmoid=lambda y: y.clamp(-10, 10).sigmoid())
    return _mix(attention, state, z, torch.tanh(n_x + r * n_h))


@wrong("the gates are clipped at ±5: σ(5) is 0.993, and a gate could not close or open. sigmoid needs no clipping")
def clipped_at_5(x, state, attention, *weights):
    r, z, n_x, n_h = _gates(x, state, weights, sigmoid=lambda y: y.clamp(-5, 5).sigmoid())
    return _mix(attention, state, z, torch.tanh(n_x + r * n_h))


@wrong("the state is detached: nothing is learned through time")
def state_detached(x, state, attention, *weights):
    return augru_cell(x, state.detach(), attention, *weights)


@wrong("attention is detached: what makes it learns nothing")
def attention_detached(x, state, attention, *weights):
    return augru_cell(x, state, attention.detach(), *weights)


@wrong("axes of size 1 are squeezed away: keep the shape, also of a single user")
def squeezed(x, state, attention, *weights):
    return augru_cell(x, state, attention, *weights).squeeze()


@right
def the_papers_gate(x, state, attention, *weights):
    r, z, n_x, n_h = _gates(x, state, weights)
    return _mix(attention, state, z, torch.tanh(n_x + r * n_h))


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
