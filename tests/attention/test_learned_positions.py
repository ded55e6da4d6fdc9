import pytest
import torch

from recattn_mini.attention.learned_positions import (
    LearnedPositions,
    LearnedPositionsFromTheEnd,
    learned_positions,
    learned_positions_from_the_end,
    learned_positions_from_the_end_numpy,
    learned_positions_numpy,
)

START = pytest.mark.parametrize("f", [learned_positions, learned_positions_numpy])
END = pytest.mark.parametrize("f", [learned_positions_from_the_end, learned_positions_from_the_end_numpy])
ALL = pytest.mark.parametrize(
    "f",
    [
        learned_positions,
        learned_positions_numpy,
        learned_positions_from_the_end,
        learned_positions_from_the_end_numpy,
    ],
)


@START
def test_worked_by_hand(f, call, close, tensor):
    x = tensor([[[10, 20], [30, 40]], [[0, 0], [0, 0]]])
    table = tensor([[1, 2], [3, 4], [5, 6]])
    close(call(f, x, table), tensor([[[11, 22], [33, 44]], [[1, 2], [3, 4]]]))


@END
def test_worked_by_hand_from_the_end(f, call, close, tensor):
    x = tensor([[[10, 20], [30, 40]], [[0, 0], [0, 0]]])
    table = tensor([[1, 2], [3, 4], [5, 6]])
    close(call(f, x, table), tensor([[[13, 24], [31, 42]], [[3, 4], [1, 2]]]))


@ALL
@pytest.mark.parametrize("t", [1, 5])  # of 5 rows: one step, and as many as there are
def test_equals_a_loop_over_steps(f, t, call, close, normal):
    x, table = normal("d b s").movedim(0, -1)[:, :t], normal("d t").T
    assert not x.is_contiguous()
    assert not table.is_contiguous()
    rows = [t - 1 - p if "from_the_end" in f.__name__ else p for p in range(t)]
    expected = [[[x[b, p, i].item() + table[rows[p], i].item() for i in range(11)] for p in range(t)] for b in range(2)]
    close(call(f, x, table), torch.tensor(expected, dtype=torch.float64))


@END
@pytest.mark.parametrize("padding", [0, 1, 3])
def test_from_the_end_padding_on_the_left_moves_nobody(f, padding, call, close, normal):
    x, table = normal("b t d"), normal("c d")
    padded = torch.cat([torch.zeros(2, padding, 11, dtype=torch.float64), x], 1)
    close(call(f, padded, table)[:, padding:], call(f, x, table))


@START
def test_from_the_start_padding_on_the_left_moves_everybody(f, call, normal):
    x, table = normal("b t d"), normal("c d")
    padded = torch.cat([torch.zeros(2, 1, 11, dtype=torch.float64), x], 1)
    assert (call(f, padded, table)[:, 1:] - call(f, x, table)).abs().amax(-1).min() > 0.1


@ALL
def test_one_step_more_than_rows_is_refused(f, call, normal):
    with pytest.raises(ValueError, match=r"^x has 7 steps and table only 5 rows: extrapolation is impossible"):
        call(f, normal("b s d"), normal("t d"))


@ALL
def test_width_of_the_table_is_that_of_x(f, call, normal):
    with pytest.raises(ValueError, match=r"^table must be \(m d\), d = 11 as in x, got \(17, 13\)$"):
        call(f, normal("b t d"), normal("c e"))


def test_a_row_learns_from_its_own_step(normal, gradients, upstream_of, close):
    """The sum over users of the upstream gradient; a row that no step has used gets none."""
    x, table = normal("b t d"), normal("s d")
    upstream, none = upstream_of(x), torch.zeros(2, 11, dtype=torch.float64)
    of_steps = upstream.sum(0)
    close(gradients(learned_positions, x, table), (upstream, torch.cat([of_steps, none])))
    close(gradients(learned_positions_from_the_end, x, table), (upstream, torch.cat([of_steps.flip(0), none])))


@pytest.mark.parametrize(
    ("module", "last_row"), [(LearnedPositions, 4), (LearnedPositionsFromTheEnd, 0)], ids=["start", "end"]
)
def test_module(module, last_row, normal, upstream_of, close):
    torch.manual_seed(0)
    positions, x = module(m=7, d=11).double(), normal("b t d")
    assert {name: tuple(p.shape) for name, p in positions.named_parameters()} == {"table": (7, 11)}
    assert 0.01 < positions.table.std() < 0.03
    out = positions(x)
    close(out[:, -1], x[:, -1] + positions.table[last_row])
    out.backward(upstream_of(out))
    assert (positions.table.grad.abs().amax(-1) > 0).tolist() == [True] * 5 + [False] * 2
    with pytest.raises(ValueError, match="extrapolation is impossible"):
        positions(normal("b d d"))
