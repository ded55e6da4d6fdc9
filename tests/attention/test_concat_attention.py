import math

import pytest
import torch

from recattn_mini.attention.additive_attention import additive_attention
from recattn_mini.attention.concat_attention import concat_attention, concat_attention_numpy

BOTH = pytest.mark.parametrize("f", [concat_attention, concat_attention_numpy])


def scores_of_all_pairs(q, k, w, w_score):
    """w_score · tanh(W [q; k]) of Python's own floats, term by term."""
    w, w_score = w.tolist(), w_score.tolist()
    scores = [
        math.fsum(
            weight * math.tanh(math.fsum(a * x for a, x in zip(row, query + key, strict=True)))
            for weight, row in zip(w_score, w, strict=True)
        )
        for queries, keys in zip(
            q.reshape(-1, *q.shape[-2:]).tolist(), k.reshape(-1, *k.shape[-2:]).tolist(), strict=True
        )
        for query in queries
        for key in keys
    ]
    return torch.tensor(scores, dtype=torch.float64).reshape(*q.shape[:-1], k.shape[-2])


@pytest.fixture
def weights(case, normal):
    w, w_score = torch.cat([normal("a d"), normal("a c")], -1), normal("a")
    if case.logits_beyond_1000:  # tanh bounds each term by its weight: one unit sees the query's ±100 and is weighty
        w[:, 0], w[:, 11], w[0], w[0, 0], w_score[0] = 0, 0, 0, 1, 3000
        assert scores_of_all_pairs(case.q, case.k_c, w, w_score).abs().min() > 1000
    return w, w_score


@BOTH
def test_equals_a_loop_over_floats(f, case, weights, attend, call, close):
    expected = attend(scores_of_all_pairs(case.q, case.k_c, *weights), case.v, case.mask)
    close(call(f, case.q, case.k_c, case.v, *weights, case.mask), expected)


@BOTH
def test_is_additive_attention_with_its_matrices_side_by_side(f, case, weights, call, close):
    w, w_score = weights
    split = additive_attention(case.q, case.k_c, case.v, w[:, :11], w[:, 11:], w_score, case.mask)
    close(call(f, case.q, case.k_c, case.v, w, w_score, case.mask), split)


def test_keras_concat_has_no_matrix(run_keras, keras, normal, attend, error):
    """Keras's "concat" sums tanh(q + k): ours with two identities side by side and a vector of ones."""
    q, k, v, padding = normal("b t d"), normal("b s d"), normal("b s e"), normal("b s") > -1
    theirs = run_keras(keras.layers.Attention(score_mode="concat"), q, k, v, padding, weights=[1.0])
    w, w_score = torch.eye(11, dtype=torch.float64).repeat(1, 2), torch.ones(11, dtype=torch.float64)
    exact = attend(scores_of_all_pairs(q, k, w, w_score), v, padding[:, None])
    assert error(theirs, exact) < 1e-6  # their float32 error, by float64
    inputs = q, k, v, w, w_score
    assert error(concat_attention(*inputs, padding[:, None]), theirs) <= 1.01 * error(theirs, exact)
    in_float32 = concat_attention(*(x.float() for x in inputs), padding[:, None])
    assert error(in_float32, theirs) <= 3 * error(theirs, exact)


@BOTH
def test_worked_by_hand(f, call, close, tensor):
    q, k, v = tensor([[math.atanh(0.5), 9]]), tensor([[0], [math.atanh(0.5)]]), tensor([[8], [4]])
    w, w_score = tensor([[1, 0, -1]]), tensor([2 * math.log(3)])
    # the query's two columns of W come first: tanh are ½ and 0, scores log 3 and 0: odds 3 to 1
    close(call(f, q, k, v, w, w_score), tensor([[7]]))
