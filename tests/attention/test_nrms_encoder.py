import pytest
import torch
import torch.nn.functional as F
from torch import nn

from recattn_mini.attention.nrms_encoder import NRMSEncoder, nrms_encoder, nrms_encoder_numpy

BOTH = pytest.mark.parametrize("f", [nrms_encoder, nrms_encoder_numpy])
E = 6  # the width that the three heads share


@pytest.fixture
def text_by_text(attend):
    """torch's own attention, one text and one head at a time, on what is not masked."""

    def oracle(x, w_q, w_k, w_v, h, w, b, w_score, mask=None):
        real = torch.ones(x.shape[:-1], dtype=torch.bool) if mask is None else mask.expand(x.shape[:-1])
        out = []
        for text, yes in zip(x.reshape(-1, *x.shape[-2:]), real.reshape(-1, real.shape[-1]), strict=True):
            words = text[yes]
            if not len(words):
                out.append(0 * (text @ w_v.T).sum(0))
                continue
            projected = zip(*((words @ weight.T).chunk(h, -1) for weight in (w_q, w_k, w_v)), strict=True)
            seen = torch.cat([F.scaled_dot_product_attention(q, k, v) for q, k, v in projected], -1)
            out.append(attend((torch.tanh(F.linear(seen, w, b)) @ w_score)[None], seen, None)[0])
        return torch.stack(out).reshape(*x.shape[:-2], -1)

    return oracle


@pytest.fixture
def weights(normal):
    w_q, w_k, w_v = (normal("h b d").flatten(0, 1) for _ in range(3))
    return w_q, w_k, w_v, 3, normal("a h b").flatten(1), normal("a"), normal("a")


CASES = ["no mask", "empty texts", "one mask for all", "logits beyond 1000", "a view", "no leading axes", "one"]


@pytest.fixture(params=CASES)
def inputs(request, normal, weights):
    x, mask = normal("b h s d"), normal("b h s") < 0.4
    mask[0, 1], mask[1, 0] = False, True
    match request.param:
        case "no mask":
            mask = None
        case "one mask for all":
            mask = mask[0, 0]
        case "logits beyond 1000":
            weights = 1000 * weights[0], *weights[1:-1], 3000 * weights[-1]
        case "a view":
            x, mask = x.permute(3, 2, 0, 1).contiguous().permute(2, 3, 1, 0), mask[:, :1].expand(-1, 3, -1)
            weights = weights[0].T.contiguous().T, *weights[1:]
            assert not any(tensor.is_contiguous() for tensor in (x, mask, weights[0]))
        case "no leading axes":
            x, mask = x[0, 0], mask[0, 0]
        case "one":
            x, mask = x[:1, :1, :1], None
    return x, *weights, mask


@BOTH
def test_equals_torchs_attention_text_by_text(f, inputs, text_by_text, call, close):
    close(call(f, *inputs), text_by_text(*inputs))


@BOTH
def test_multihead_attention_with_an_identity_behind_it(f, normal, attend, call, close):
    """nn.MultiheadAttention packs W_q, W_k, W_v, means the opposite by its mask, and has the W_o that NRMS has not."""
    x, mask = normal("b s h b").flatten(2), normal("b s") > -1
    one = nn.MultiheadAttention(E, 3, bias=False, batch_first=True).double().requires_grad_(False)
    one.in_proj_weight.copy_(normal("h h b h b").reshape(3 * E, E))
    one.out_proj.weight.copy_(torch.eye(E))
    seen = one(x, x, x, key_padding_mask=~mask, need_weights=False)[0]
    w, b, w_score = normal("a h b").flatten(1), normal("a"), normal("a")
    expected = attend((torch.tanh(F.linear(seen, w, b)) @ w_score)[:, None], seen, mask[:, None])[:, 0]
    close(call(f, x, *one.in_proj_weight.chunk(3), 3, w, b, w_score, mask), expected)


@BOTH
def test_shuffled_words_give_the_same_vector(f, normal, weights, call, close):
    """No positions: "dog bites man" is "man bites dog". A CNN tells them apart."""
    x = normal("b s d")
    close(call(f, x[:, [4, 0, 6, 2, 5, 1, 3]], *weights), call(f, x, *weights))


@BOTH
def test_padding_on_either_side_changes_nothing(f, normal, weights, call, close):
    x, padding, real, no = normal("b s d"), 1e3 * normal("b t d"), torch.ones(2, 7).bool(), torch.zeros(2, 5).bool()
    alone = call(f, x, *weights)
    close(call(f, torch.cat([padding, x], 1), *weights, torch.cat([no, real], 1)), alone)
    close(call(f, torch.cat([x, padding], 1), *weights, torch.cat([real, no], 1)), alone)


@BOTH
def test_one_word_is_its_value(f, normal, weights, call, close):
    x = normal("b s d")[:, :1]
    close(call(f, x, *weights), (x @ weights[2].T)[:, 0])


@BOTH
def test_a_matrix_before_the_pooling_may_as_well_stand_behind_it(f, normal, weights, call, close):
    """Why there is no W_o: given to the values, and undone in pooling's W, it only turns the output."""
    x, (w_q, w_k, w_v, _, w, b, w_score) = normal("b s d"), weights
    w_o = normal("h b h b").reshape(E, E)
    out = call(f, x, w_q, w_k, w_o @ w_v, 1, w @ torch.linalg.inv(w_o), b, w_score)
    close(out, call(f, x, w_q, w_k, w_v, 1, w, b, w_score) @ w_o.T)


@pytest.fixture
def module():
    torch.manual_seed(0)
    return NRMSEncoder(d=11, e=E, h=3, a=19).double()


def test_module_equals_torchs_attention_text_by_text(module, inputs, text_by_text, close):
    x, *_, mask = inputs
    pooling = module.pooling.hidden.weight, module.pooling.hidden.bias, module.pooling.score.weight[0]
    weights = module.q_proj.weight, module.k_proj.weight, module.v_proj.weight
    close(module(x, mask), text_by_text(x, *weights, 3, *pooling, mask))


def test_two_levels_from_words_to_users(module, normal, upstream_of):
    of_news = NRMSEncoder(d=E, e=4, h=2, a=5).double()
    words, real = normal("b h s d"), normal("b h s") > -1
    real[1] = False  # who has read nothing but padding
    user = of_news(module(words, real), real.any(-1))
    user.backward(upstream_of(user))
    assert user.shape == (2, 4)
    assert (user[1] == 0).all()
    assert all(p.grad.isfinite().all() and p.grad.any() for p in (*module.parameters(), *of_news.parameters()))


def test_heads_share_the_width(normal, weights):
    with pytest.raises(ValueError, match=r"^h must divide the width that the heads share, a = 6, got 4"):
        nrms_encoder(normal("b s d"), *weights[:3], 4, *weights[4:])
