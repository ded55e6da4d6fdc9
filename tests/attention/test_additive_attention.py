import math

import pytest
import torch

from recattn_mini.attention.additive_attention import AdditiveAttention, additive_attention, additive_attention_numpy

BOTH = pytest.mark.parametrize("f", [additive_attention, additive_attention_numpy])


def score_of_a_pair(q, k, w_q, w_k, w_score):
    """w_score · tanh(W_q q + W_k k) of Python's own floats, term by term."""
    return math.fsum(
        w * math.tanh(math.fsum(a * x for a, x in zip((*row_q, *row_k), (*q, *k), strict=True)))
        for w, row_q, row_k in zip(w_score, w_q, w_k, strict=True)
    )


def scores_of_all_pairs(q, k, *weights):
    weights = [w.tolist() for w in weights]
    leading, t, s = q.shape[:-2], q.shape[-2], k.shape[-2]
    scores = [
        score_of_a_pair(query, key, *weights)
        for queries, keys in zip(
            q.reshape(-1, *q.shape[-2:]).tolist(), k.reshape(-1, *k.shape[-2:]).tolist(), strict=True
        )
        for query in queries
        for key in keys
    ]
    return torch.tensor(scores, dtype=torch.float64).reshape(*leading, t, s)


@pytest.fixture
def weights(case, normal):
    w_q, w_k, w_score = normal("a d"), normal("a c"), normal("a")
    if case.logits_beyond_1000:  # tanh bounds each term by its weight: one unit sees the query's ±100 and is weighty
        w_q[:, 0], w_q[0], w_q[0, 0] = 0, 0, 1
        w_k[:, 0], w_k[0], w_score[0] = 0, 0, 3000
        assert scores_of_all_pairs(case.q, case.k_c, w_q, w_k, w_score).abs().min() > 1000
    return w_q, w_k, w_score


@BOTH
def test_equals_a_loop_over_floats(f, case, weights, attend, call, close):
    expected = attend(scores_of_all_pairs(case.q, case.k_c, *weights), case.v, case.mask)
    close(call(f, case.q, case.k_c, case.v, *weights, case.mask), expected)


def test_keras_additive_attention(run_keras, keras, normal, attend, error):
    """Keras has no W_q and no W_k, only the vector: its scores are ours with two identities."""
    q, k, v, padding = normal("b t d"), normal("b s d"), normal("b s e"), normal("b s") > -1
    one, w_score = torch.eye(11, dtype=torch.float64), normal("d")
    theirs = run_keras(keras.layers.AdditiveAttention(), q, k, v, padding, weights=[w_score])
    exact = attend(scores_of_all_pairs(q, k, one, one, w_score), v, padding[:, None])
    assert error(theirs, exact) < 1e-6  # their float32 error, by float64
    inputs = q, k, v, one, one, w_score
    assert error(additive_attention(*inputs, padding[:, None]), theirs) <= 1.01 * error(theirs, exact)
    in_float32 = additive_attention(*(x.float() for x in inputs), padding[:, None])
    assert error(in_float32, theirs) <= 3 * error(theirs, exact)


@BOTH
def test_worked_by_hand(f, call, close, tensor):
    q, k, v = tensor([[math.atanh(0.5)], [100]]), tensor([[0], [math.atanh(-0.5)]]), tensor([[8], [4]])
    one, w_score = tensor([[1]]), tensor([2 * math.log(3)])
    # the first query's tanh are ½ and 0, its scores log 3 and 0: odds 3 to 1; the second saturates both: even odds
    close(call(f, q, k, v, one, one, w_score), tensor([[7], [6]]))


@pytest.fixture
def module():
    torch.manual_seed(0)
    return AdditiveAttention(d=11, c=17, a=19).double()


def test_module_equals_a_loop_over_floats(module, case, attend, close):
    scores = scores_of_all_pairs(case.q, case.k_c, module.q_proj.weight, module.k_proj.weight, module.score.weight[0])
    close(module(case.q, case.k_c, case.v, case.mask), attend(scores, case.v, case.mask))


def test_module_has_three_weights_and_no_bias(module):
    shapes = {name: tuple(x.shape) for name, x in module.named_parameters()}
    assert shapes == {"q_proj.weight": (19, 11), "k_proj.weight": (19, 17), "score.weight": (1, 19)}
