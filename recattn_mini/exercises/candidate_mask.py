"""Spec of candidate_mask: many candidates after one history, none of which knows of another."""

import torch
import torch.nn.functional as F

from recattn_mini.attention.candidate_mask import candidate_mask, candidate_mask_numpy
from recattn_mini.exercises.spec import Mistake, but, drawn_once, mistakes_of, right, same, teaching, torch_only, wrong

LEVEL, MINUTES = "medium", 10
HINTS = (
    "Draw the square: rows are queries, columns are keys, history before candidates. Four blocks: what is in each?",
    "History × history is causal, history × candidates empty, candidates × history full, candidates × candidates the "
    "diagonal. Then padding: what may it see, and who may see it?",
    "visible = (key <= query) & ((key < s) | (key == query)), positions from 0 to s + n - 1; real = [history, "
    "candidates] != 0; visible & real as keys [:, None, :] & real as queries [:, :, None]; then an axis for the heads.",
)
FORBIDDEN = ()


@drawn_once
def inputs() -> dict[str, tuple]:
    full = torch.tensor([[5, 3, 8, 1], [4, 4, 6, 5]])
    return {
        "full": (full, torch.tensor([[9, 5, 12], [7, 2, 11]])),
        "a candidate twice": (full, torch.tensor([[9, 5, 9, 9, 12], [5, 5, 5, 8, 8]])),
        "left": (torch.tensor([[0, 0, 50, 181, 7], [0, 3, 1, 256, 2]]), torch.tensor([[9, 5], [3, 12]])),
        "right": (torch.tensor([[5, 3, 8, 0, 0], [4, 6, 1, 5, 0]]), torch.tensor([[9, 5, 1], [3, 8, 512]])),
        "gaps": (torch.tensor([[5, 0, 8, 1, 0, 2], [0, 7, 0, 3, 0, 1]]), torch.tensor([[9, 5], [3, 12]])),
        "a new user": (torch.tensor([[0, 0, 0], [0, 0, 4]]), torch.tensor([[9, 5, 7, 6], [3, 12, 1, 2]])),
        "padded candidates": (full, torch.tensor([[9, 0, 12, 3, 0], [7, 2, 0, 0, 0]])),
        "views": (torch.tensor([[0, 5], [9, 0], [3, 1]]).T, torch.tensor([[7, 8], [1, 4], [2, 2], [6, 3]]).T),
        "ids below 0": (torch.tensor([[0, -1, 5, 3], [2, 7, -4, 1]]), torch.tensor([[-3, 8], [6, -1]])),
        "all sizes equal": (
            torch.tensor([[0, 5, 3], [4, 6, 1], [2, 8, 7]]),
            torch.tensor([[9, 2, 6], [7, 1, 1], [3, 4, 5]]),
        ),
        "one": (torch.tensor([[7]]), torch.tensor([[3]])),
    }


def expected(history, candidates):
    """Pair by pair, in words."""
    s = history.shape[1]

    def may_see(items, query, key):
        if items[query] == 0 or items[key] == 0:
            return False
        if key >= s:  # a candidate is seen by itself alone
            return query == key
        return query >= s or key <= query

    rows = torch.cat([history, candidates], 1).tolist()
    return torch.tensor([[[[may_see(x, i, j) for j in range(len(x))] for i in range(len(x))]] for x in rows])


def _mask(f, history, candidates):
    """What came back, if it is a mask of the right shape; what is right; where the history ends."""
    mask, want = f(history, candidates), expected(history, candidates)
    if not isinstance(mask, torch.Tensor) or (mask.shape, mask.dtype) != (want.shape, want.dtype):
        same(mask, want)
    return mask, want, history.shape[1]


def check_history(f):
    "a history position sees itself and what came before, and no candidate"
    mask, want, s = _mask(f, *inputs()["full"])
    same(mask[:, :, :s], want[:, :, :s])


def check_candidates(f):
    "a candidate sees the whole history and itself, no rival, not even its own double"
    for case in ("full", "a candidate twice"):
        mask, want, s = _mask(f, *inputs()[case])
        same(mask[:, :, s:], want[:, :, s:])


def check_padded_history(f):
    "padding in the history, on whichever side, is seen by nobody and sees nothing; the rest stays visible"
    for case in ("left", "right", "gaps", "a new user", "views", "ids below 0", "all sizes equal"):
        mask, want, s = _mask(f, *inputs()[case])
        padding = (inputs()[case][0] == 0)[:, None]
        same(mask[:, :, s:, :s], want[:, :, s:, :s])
        same(mask[..., :s].mT[padding].any(), torch.tensor(False), what="padding is seen: ")
        same(mask[:, :, :s][padding].any(), torch.tensor(False), what="padding sees something: ")


def check_padded_candidates(f):
    "a padded candidate sees nothing, not even itself"
    mask, _, s = _mask(f, *inputs()["padded candidates"])
    of_padding = mask[:, :, s:][(inputs()["padded candidates"][1] == 0)[:, None]]
    same(of_padding, torch.zeros_like(of_padding))


def check_one_user(f):
    "one user with one step and one candidate keeps all four axes, (b 1 s+n s+n)"
    same(f(*inputs()["one"]), expected(*inputs()["one"]))


@teaching
@torch_only
def check_one_pass(f):
    "one pass over all candidates gives each the output of a pass of its own"
    history, candidates = inputs()["left"]
    items = torch.randn(257, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def outputs(candidates):
        x, mask = items[torch.cat([history, candidates], 1)][:, None], _mask(f, history, candidates)[0]
        for _ in range(2):  # two layers: a leak through the history shows in the second
            x = x + F.scaled_dot_product_attention(x, x, x, mask)
        return x[:, 0, history.shape[1] :]

    together = outputs(candidates)
    for n in range(candidates.shape[1]):
        alone = outputs(candidates[:, n : n + 1])
        if not torch.allclose(together[:, n], alone[:, 0], rtol=0, atol=1e-9):
            raise Mistake(f"candidate {n} gets another output in company than alone: what does it see of its rivals?")


def _all(q, k, *_):
    return (q >= 0) & (k >= 0)


def _none(q, k, *_):
    return (q < 0) & (k < 0)


def _real(m, r):
    return m & r[:, None, :] & r[:, :, None]


def answer(
    h,
    c,
    *,
    given=lambda h, c: (h, c),
    length=lambda s, n: s,
    past=lambda q, k, *_: k <= q,
    ahead=_none,
    history=_all,
    rivals=lambda q, k, *_: k == q,
    is_item=lambda items: items != 0,
    real=_real,
    result=lambda m: m,
):
    """Who sees whom, block by block: history × history, history × candidates, candidates × history and × candidates."""
    items = torch.cat(given(h, c), 1)
    k = torch.arange(items.shape[1], device=items.device)
    block, s = (k[:, None], k, h.shape[1], items[:, :, None] == items[:, None, :]), length(h.shape[1], c.shape[1])
    of_history = torch.where(k < s, past(*block), ahead(*block))
    of_candidates = torch.where(k < s, history(*block), rivals(*block))
    return result(real(torch.where(k[:, None] < s, of_history, of_candidates), is_item(items))[:, None])


def _left(ids):
    return (torch.ones_like(ids).cumsum(1) > (ids == 0).sum(1, keepdim=True)).long()


def _right(ids):
    return (torch.ones_like(ids).cumsum(1) <= (ids != 0).sum(1, keepdim=True)).long()


MISTAKES = mistakes_of(
    answer,
    past={
        "history_without_diagonal": ("the history does not see itself: <=, not <", lambda q, k, *_: k < q),
        "history_sees_its_future": ("the history is not causal: its positions see their future", _all),
        "history_looks_ahead": ("triu for tril: the history sees what comes after it", lambda q, k, *_: k >= q),
        "hidden_for_visible": ("triu(…, 1) is what causal hides: the history sees just that", lambda q, k, *_: k > q),
        "blind_to_its_past": ("a history position sees itself alone: it sees its past too", lambda q, k, *_: k == q),
    },
    ahead={"history_sees_candidates": ("the history sees the candidates: through it they see each other", _all)},
    history={
        "without_history": ("candidates see nothing but themselves: the history is what they are scored by", _none),
        "last_step_only": ("candidates see the last step only: they see all of it", lambda q, k, s, _: k == s - 1),
        "one_step_short": ("candidates miss the last step of the history", lambda q, k, s, _: k != s - 1),
        "aligned_with_the_start": ("candidate i stands at step i: it is after them all", lambda q, k, s, _: k <= q - s),
    },
    rivals={
        "see_each_other": ("candidates see each other: each sees itself alone, besides the history", _all),
        "causal_over_everything": ("causal over everything: later candidates see earlier", lambda q, k, *_: k <= q),
        "blind_to_themselves": ("a candidate does not see itself: the diagonal belongs to it", _none),
        "rivals_but_not_itself": ("a candidate sees its rivals and not itself", lambda q, k, *_: k != q),
        "told_apart_by_id": ("a candidate sees its double: compare positions, not ids", lambda q, k, s, alike: alike),
        "first_double": (
            "of two doubles the second sees the first: compare positions",
            lambda q, k, s, alike: alike & (k <= q),
        ),
    },
    length={"lengths_swapped": ("the history is taken to end after n: it ends after s", lambda s, n: n)},
    is_item={"below_0_too": ("ids below 0 count as padding: only 0 is, so compare with != 0", lambda items: items > 0)},
    real={
        "padding_ignored": (
            "padding is ignored: nobody sees an id of 0, and it sees nothing",
            lambda m, r: m.expand(len(r), -1, -1),
        ),
        "padding_over_queries": ("padding is masked as a query only: mask keys too", lambda m, r: m & r[:, :, None]),
        "padding_over_keys": ("padding is masked as a key only: its rows are empty too", lambda m, r: m & r[:, None]),
        "padding_sees_itself": (
            "padding sees itself: leave False, the attention gives zeros",
            lambda m, r: _real(m, r) | torch.eye(r.shape[1], device=r.device).bool(),
        ),
        "opened": (
            "rows of padding are opened: leave False, zeros come later",
            lambda m, r: _real(m, r) | ~r[:, :, None],
        ),
        "either_is_real": (
            "query or key may be padding: both have to be real, & and not |",
            lambda m, r: m & (r[:, None] | r[:, :, None]),
        ),
        "first_user_for_all": (
            "the first user's padding serves for all: each has its own",
            lambda m, r: _real(m, r[:1]).expand(len(r), -1, -1),
        ),
    },
    given={
        "of_candidates_ignored": ("padding of the candidates is ignored", lambda h, c: (h, torch.ones_like(c))),
        "of_history_ignored": ("padding of the history is ignored", lambda h, c: (torch.ones_like(h), c)),
        "on_the_left": ("padding is taken to be on the left: compare each id with 0", lambda h, c: (_left(h), c)),
        "on_the_right": ("padding is taken to be on the right: compare each id with 0", lambda h, c: (_right(h), c)),
        "lengths": ("lengths for padding, of both: compare each id with 0", lambda h, c: (_right(h), _right(c))),
        "from_the_first": (
            "all from the first item on is real: padding may follow",
            lambda h, c: ((h != 0).cumsum(1), c),
        ),
    },
    result={
        "transposed": ("rows and columns are swapped: rows are queries, columns are keys", lambda m: m.mT),
        "inverted": ("the mask is upside down: True means may attend", torch.logical_not),
        "without_heads": ("the axis of the heads is missing: (b 1 s+n s+n)", lambda m: m[:, 0]),
        "heads_first": ("the heads' axis is before that of the users: (b 1 s+n s+n)", lambda m: m.transpose(0, 1)),
        "one_square": ("one square for all users: padding differs from user to user", lambda m: m[0, 0]),
        "batch_squeezed": ("one user's axis is squeezed away: keep (b 1 s+n s+n)", lambda m: m.squeeze(0)),
        "as_numbers": ("zeros and ones came back: a boolean mask is asked for", lambda m: m.long()),
        "additive": ("0 and -inf came back, to be added: a boolean mask is asked for", lambda m: m.double().log()),
    },
)
padding_alone = but(
    answer, "everything real sees everything real: who sees whom is missing", past=_all, ahead=_all, rivals=_all
)
nobody_sees_itself = but(
    answer, "nobody sees itself: the diagonal belongs to all (<=, not <)", past=lambda q, k, *_: k < q, rivals=_none
)
triu_above = but(
    answer, "triu for tril: the history sees all that comes after it", past=lambda q, k, *_: k >= q, ahead=_all
)


@wrong("candidates stand before the history: it comes first, candidates after it")
def candidates_first(history, candidates):
    order = torch.arange(history.shape[1] + candidates.shape[1], device=history.device).roll(candidates.shape[1])
    return answer(history, candidates)[:, :, order][..., order]


@wrong("only the candidates' rows came back: the history's are needed too, (b 1 s+n s+n)")
def candidates_rows_only(history, candidates):
    return answer(history, candidates)[:, :, history.shape[1] :]


@right
def block_by_block(history, candidates):
    (b, s), n = history.shape, candidates.shape[1]
    mask = torch.zeros(b, 1, s + n, s + n, dtype=torch.bool, device=history.device)
    mask[..., :s, :s] = torch.ones(s, s, dtype=torch.bool, device=history.device).tril()
    mask[..., s:, :s] = True
    mask[..., s:, s:] = torch.eye(n, dtype=torch.bool, device=history.device)
    padding = torch.cat([history == 0, candidates == 0], 1)[:, None]
    return mask.masked_fill(padding[..., None, :], False).masked_fill(padding[..., :, None], False)


@right
def causal_without_rivals(history, candidates):
    items, s = torch.cat([history, candidates], 1), history.shape[1]
    visible = torch.ones(items.shape[1], items.shape[1], device=items.device).tril()
    visible[s:, s:] = torch.eye(items.shape[1] - s, device=items.device)
    real = (items != 0).float()
    return torch.einsum("bi,ij,bj->bij", real, visible, real).bool().unsqueeze(1)
