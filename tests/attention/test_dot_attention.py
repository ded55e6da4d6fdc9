import pytest
import torch
import torch.nn.functional as F

from recattn_mini.attention.dot_attention import dot_attention, dot_attention_numpy

BOTH = pytest.mark.parametrize("f", [dot_attention, dot_attention_numpy])


def oracle(q, k, v, mask=None):
    return F.scaled_dot_product_attention(q, k, v, mask, scale=1.0)


@BOTH
def test_equals_torch_without_its_scale(f, case, call, close):
    if case.logits_beyond_1000:
        assert (case.q @ case.k.mT).abs().min() > 1000
    close(call(f, case.q, case.k, case.v, case.mask), oracle(case.q, case.k, case.v, case.mask))


def test_keras_attention(run_keras, keras, normal, error):
    q, k, v, padding = normal("b t d"), normal("b s d"), normal("b s e"), normal("b s") > -1
    theirs = run_keras(keras.layers.Attention(), q, k, v, padding)
    exact = oracle(q, k, v, padding[:, None])
    assert error(theirs, exact) < 1e-6  # their float32 error, by torch's float64
    assert error(dot_attention(q, k, v, padding[:, None]), theirs) <= 1.01 * error(theirs, exact)
    in_float32 = dot_attention(q.float(), k.float(), v.float(), padding[:, None])
    assert error(in_float32, theirs) <= 3 * error(theirs, exact)


def test_keras_gives_a_padded_user_the_mean_and_we_give_zeros(run_keras, keras, normal, error):
    q, k, v, padding = normal("b t d"), normal("b s d"), normal("b s e"), torch.zeros(2, 7, dtype=torch.bool)
    theirs = run_keras(keras.layers.Attention(), q, k, v, padding)
    assert error(theirs, v.mean(1, keepdim=True).expand(2, 5, 13)) < 1e-6
    assert (dot_attention(q, k, v, padding[:, None]) == 0).all()


@BOTH
def test_doubled_vectors_make_the_scores_four_times_as_large(f, normal, call, close):
    q, k, v = normal("b t d"), normal("b s d"), normal("b s e")
    close(call(f, 2 * q, 2 * k, v), F.scaled_dot_product_attention(q, k, v, scale=4.0))
