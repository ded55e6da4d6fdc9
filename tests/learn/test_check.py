"""What `check` says of something that is no answer at all."""

import pytest

from recattn_mini.learn import check


class Named(type):
    @property
    def __name__(cls):
        raise RuntimeError


class Evil(metaclass=Named):
    pass


def numbered(x):
    return x


numbered.__name__ = "softmax_numpy"
numbered.__module__ = None  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (lambda x: x, "define it by def"),
        (Evil, "its __name__ raises RuntimeError"),
        (5, "takes the function or class itself, as in check(softmax_numpy); got a int"),
        (type("softmaxnumpy", (), {}), "did you mean softmax_numpy?"),
        (numbered, "softmax_numpy: wrong"),
    ],
    ids=["a lambda", "a name that raises", "a number", "a wrong name", "of no module"],
)
def test_what_is_no_answer_is_told_in_a_sentence(given, words, capsys):
    check(given)
    assert words in capsys.readouterr().out
