import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from recattn_mini.attention.naml_encoder import NAMLEncoder, NAMLWords, naml_words, naml_words_numpy

BOTH = pytest.mark.parametrize("f", [naml_words, naml_words_numpy])


@pytest.fixture
def conv_then_pool(attend):
    """torch's own convolution and attention, one text at a time, without what is masked."""

    def pool(features, w, b, w_score):  # (s e) -> (e)
        scores = torch.tanh(F.linear(features, w, b)) @ w_score
        return attend(scores[None], features, None)[0]

    def oracle(words, w_conv, b_conv, w, b, w_score, mask=None):
        size, texts = w_conv.shape[-1], []
        real = torch.ones(words.shape[:-1], dtype=torch.bool) if mask is None else mask.expand(words.shape[:-1])
        for text, yes in zip(words.reshape(-1, *words.shape[-2:]), real.reshape(-1, real.shape[-1]), strict=True):
            room = F.pad((text * yes[:, None]).T, ((size - 1) // 2, size // 2))
            features = F.conv1d(room[None], w_conv, b_conv)[0].T.relu()
            texts.append(pool(features[yes], w, b, w_score) if yes.any() else 0 * features.sum(0))
        return torch.stack(texts).reshape(*words.shape[:-2], -1)

    return oracle


CASES = ["no mask", "empty texts", "one mask for all", "logits beyond 1000", "a view", "no leading axes", "one"]
CASES += ["a window of 1", "an even window", "a window longer than the text"]


@pytest.fixture(params=CASES)
def inputs(request, normal):
    words, mask, w_conv = normal("b h s d"), normal("b h s") < 0.4, normal("e d h")
    b_conv, w, b, w_score = normal("e"), normal("a e"), normal("a"), normal("a")
    mask[0, 1], mask[1, 0] = False, True
    match request.param:
        case "no mask":
            mask = None
        case "one mask for all":
            mask = mask[0, 0]
        case "logits beyond 1000":
            w_score = 3000 * w_score
        case "a view":
            words, mask = words.permute(3, 2, 0, 1).contiguous().permute(2, 3, 1, 0), mask[:, :1].expand(-1, 3, -1)
            w_conv = w_conv.permute(2, 0, 1).contiguous().permute(1, 2, 0)
            assert not any(tensor.is_contiguous() for tensor in (words, mask, w_conv))
        case "no leading axes":
            words, mask = words[0, 0], mask[0, 0]
        case "one":
            words, mask = words[:1, :1, :1], None
        case "a window of 1":
            w_conv = w_conv[..., :1]
        case "an even window":
            w_conv = normal("e d b")
        case "a window longer than the text":
            words, mask, w_conv = words[..., :2, :], mask[..., :2], normal("e d s")
    return words, w_conv, b_conv, w, b, w_score, mask


@BOTH
def test_equals_torchs_convolution_and_attention(f, inputs, conv_then_pool, call, close):
    close(call(f, *inputs), conv_then_pool(*inputs))


@BOTH
def test_same_convolution_as_a_layer_with_padding_same(f, normal, call, close):
    """w_score = 0 pools evenly, so what is left is the mean of nn.Conv1d's features."""
    torch.manual_seed(0)
    conv = nn.Conv1d(11, 13, kernel_size=3, padding="same").double().requires_grad_(False)
    words, zero = normal("b s d"), torch.zeros(1, dtype=torch.float64)
    out = call(f, words, conv.weight, conv.bias, torch.zeros(1, 13, dtype=torch.float64), zero, zero)
    close(out, conv(words.mT).relu().mean(-1))


@BOTH
def test_borders_by_hand(f, call, close, tensor):
    """The kernel (1, 10, 100) shows in each digit who stood where: left, middle, right, and zeros outside."""
    words, kernel, zero = tensor([[1], [2], [3]]), tensor([[[1, 10, 100]]]), tensor([0])
    # 0·1 + 1·10 + 2·100 = 210;  1 + 20 + 300 = 321;  2 + 30 + 0 = 32
    close(call(f, words, kernel, zero, zero[None], zero, zero), tensor([(210 + 321 + 32) / 3]))
    w = tensor([[1e-2]])  # tanh is 0.97, 1.00 and 0.31
    parts = [math.exp(50 * math.tanh(x / 100)) for x in (210, 321, 32)]
    by_hand = sum(p * x for p, x in zip(parts, (210, 321, 32), strict=True)) / sum(parts)
    close(call(f, words, kernel, zero, w, zero, tensor([50])), tensor([by_hand]))
    close(call(f, words, kernel, zero, w, zero, tensor([-200])), tensor([32]))


@BOTH
def test_padding_on_either_side_changes_nothing(f, normal, call, close):
    """Neither by its own embedding, nor through the windows of the words beside it, nor by ReLU(b_conv)."""
    words, padding = normal("b s d"), 1e3 * normal("b t d")
    weights = normal("e d h"), 5 + normal("e"), normal("a e"), normal("a"), normal("a")
    real, no = torch.ones(2, 7).bool(), torch.zeros(2, 5).bool()
    alone = call(f, words, *weights)
    close(call(f, torch.cat([padding, words], 1), *weights, torch.cat([no, real], 1)), alone)
    close(call(f, torch.cat([words, padding], 1), *weights, torch.cat([real, no], 1)), alone)


@BOTH
def test_order_matters(f, normal, call):
    words, weights = normal("b s d"), (normal("e d h"), normal("e"), normal("a e"), normal("a"), normal("a"))
    assert (call(f, words, *weights) - call(f, words[:, [1, 0, 2, 3, 4, 5, 6]], *weights)).abs().max() > 0.01


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return NAMLEncoder(d=11, c=17, e=13, a=19).double()


def test_module_equals_torchs_convolution_and_attention(encoder, inputs, conv_then_pool, close):
    words, w_conv, *_, mask = inputs
    if w_conv.shape[-1] == 3:
        module, pooling = encoder.title, encoder.title.pooling
        weights = pooling.hidden.weight, pooling.hidden.bias, pooling.score.weight[0]
        close(module(words, mask), conv_then_pool(words, module.conv.weight, module.conv.bias, *weights, mask))


def test_news_are_pooled_from_their_views_and_users_from_their_news(encoder, normal, attend, close):
    title, body, category = normal("b h s d"), normal("b h t d"), normal("b h c")
    seen, read, mask = normal("b h s") > -1, normal("b h t") > -1, torch.tensor([[True, False, True], [False] * 3])
    news = encoder.news(title, body, category, seen, read)
    texts = encoder.title(title, seen), encoder.body(body, read)
    views = torch.stack([*texts, encoder.category(category).clamp(min=0)], -2)

    def pooled(module, x, mask=None):
        scores = module.score(torch.tanh(module.hidden(x))).mT
        return attend(scores, x, None if mask is None else mask.unsqueeze(-2)).squeeze(-2)

    close(news, pooled(encoder.views, views))
    user = encoder(news, mask)
    close(user, pooled(encoder.history, news, mask))
    assert (user[1] == 0).all()  # who has read nothing


def test_a_window_of_three_words(encoder):
    assert {name: tuple(p.shape) for name, p in encoder.title.named_parameters()} == {
        "conv.weight": (13, 11, 3),
        "conv.bias": (13,),
        "pooling.hidden.weight": (19, 13),
        "pooling.hidden.bias": (19,),
        "pooling.score.weight": (1, 19),
    }
    assert isinstance(encoder.body, NAMLWords)
