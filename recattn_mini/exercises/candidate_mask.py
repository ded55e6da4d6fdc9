"""Spec of candidate_mask: many candidates after one history, none of which knows of another."""

import torch
import torch.nn.functional as F

from recattn_mini.attention.candidate_mask import candidate_mask, candidate_mask_numpy
from recattn_mini.exercises.spec import Mistake, right, same, teaching, torch_only, wrong

LEVEL, MINUTES = "medium", 10
HINTS = (
    "Draw the square: rows are queries, columns are keys, history before candidates. Four blocks: what is in each?",
    "History × history is causal, history × candidates empty, candidates × history full, candidates × candidates the "
    "diagonal. Then padding: what may it see, and who may see it?",
    "visible = (key <= query) & ((key < s) | (key == query)), positions from 0 to s + n - 1; real = [history, "
    "candidates] != 0; visible & real as keys [:, None, :] & real as queries [:, :, None]; then an axis for the heads.",
)
FORBIDDEN = ()


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
    """What came back, if it is a mask of the right shape."""
    mask, want = f(history, candidates), expected(history, candidates)
    if not isinstance(mask, torch.Tensor) or (mask.shape, mask.dtype) != (want.shape, want.dtype):
        same(mask, want)
    return mask


@teaching
def check_worked_example(f):
    "two users with history 50, 181 and candidates 7, 9: 7 sees 50, 181 and itself, and so does 9"
    mask = _mask(f, torch.tensor([[50, 181]] * 2), torch.tensor([[7, 9]] * 2))
    same(mask[:, :, 2:], torch.tensor([[[[1, 1, 1, 0], [1, 1, 0, 1]]]] * 2).bool())


def check_history(f):
    "a history position sees itself and what came before, and no candidate"
    history, candidates = inputs()["full"]
    s = history.shape[1]
    same(_mask(f, history, candidates)[:, :, :s], expected(history, candidates)[:, :, :s])


def check_candidates(f):
    "a candidate sees the whole history and itself, no rival, not even its own double"
    for case in ("full", "a candidate twice"):
        history, candidates = inputs()[case]
        s = history.shape[1]
        same(_mask(f, history, candidates)[:, :, s:], expected(history, candidates)[:, :, s:])


def check_padded_history(f):
    "padding in the history, on whichever side, is seen by nobody and sees nothing; the rest stays visible"
    for case in ("left", "right", "gaps", "a new user", "views"):
        history, candidates = inputs()[case]
        s, mask, want = history.shape[1], _mask(f, history, candidates), expected(history, candidates)
        same(mask[:, :, s:, :s], want[:, :, s:, :s])
        padding = (history == 0)[:, None]
        same(mask[..., :s].mT[padding], torch.zeros_like(mask[..., :s].mT[padding]), what="padding as key, ")
        same(mask[:, :, :s][padding], torch.zeros_like(mask[:, :, :s][padding]), what="padding as query, ")


def check_padded_candidates(f):
    "a padded candidate sees nothing, not even itself"
    history, candidates = inputs()["padded candidates"]
    s, mask = history.shape[1], _mask(f, history, candidates)
    of_padding = mask[:, :, s:][(candidates == 0)[:, None]]
    same(of_padding, torch.zeros_like(of_padding))


def check_shape(f):
    "the mask is (b 1 s+n s+n), boolean, for one user with one step and one candidate too"
    for case in inputs().values():
        _mask(f, *case)


@teaching
@torch_only
def check_one_pass(f):
    "one pass over all candidates gives each the output of a pass of its own"
    history, candidates = inputs()["left"]
    items = torch.randn(257, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def outputs(candidates):
        x, mask = items[torch.cat([history, candidates], 1)][:, None], _mask(f, history, candidates)
        for _ in range(2):  # two layers: a leak through the history shows in the second
            x = x + F.scaled_dot_product_attention(x, x, x, mask)
        return x[:, 0, history.shape[1] :]

    together = outputs(candidates)
    for n in range(candidates.shape[1]):
        alone = outputs(candidates[:, n : n + 1])
        if not torch.allclose(together[:, n], alone[:, 0], rtol=0, atol=1e-9):
            raise Mistake(f"candidate {n} gets another output in company than alone: what does it see of its rivals?")


def _parts(history, candidates):
    """Whole square, positions of queries (a column) and keys (a row), where the history ends."""
    size = history.shape[1] + candidates.shape[1]
    key = torch.arange(size)
    return torch.cat([history, candidates], 1) != 0, key[:, None], key, history.shape[1]


def _with_padding(visible, real):
    return (visible & real[:, None, :] & real[:, :, None])[:, None]


def _visible(query, key, s):
    return (key <= query) & ((key < s) | (key == query))


@wrong("candidates see each other: a score then depends on the rivals it was served with. Keep their diagonal alone")
def candidates_see_each_other(history, candidates):
    real, query, key, s = _parts(history, candidates)
    return _with_padding((key <= query) | ((key >= s) & (query >= s)), real)


@wrong("causal over everything: later candidates see earlier ones. Among candidates only the diagonal is visible")
def causal_over_everything(history, candidates):
    real, query, key, _ = _parts(history, candidates)
    return _with_padding(key <= query, real)


@wrong("everything real sees everything real: nothing is causal, and candidates see each other")
def padding_alone(history, candidates):
    real, query, key, _ = _parts(history, candidates)
    return _with_padding((key >= 0) & (query >= 0), real)


@wrong("a candidate does not see itself: then only the residual knows which item is scored. The diagonal belongs to it")
def candidates_blind_to_themselves(history, candidates):
    real, query, key, s = _parts(history, candidates)
    return _with_padding(_visible(query, key, s) & (key < s), real)


@wrong("nobody sees itself: the diagonal belongs to history and candidates alike (<=, not <)")
def nobody_sees_itself(history, candidates):
    real, query, key, s = _parts(history, candidates)
    return _with_padding((key < query) & (key < s), real)


@wrong("history positions do not see themselves: the diagonal belongs to the causal part (<=, not <)")
def history_without_diagonal(history, candidates):
    real, query, key, s = _parts(history, candidates)
    return _with_padding(_visible(query, key, s) & ((key != query) | (key >= s)), real)


@wrong("the history sees the candidates: through it they see each other, and its keys cannot be cached")
def history_sees_candidates(history, candidates):
    real, query, key, s = _parts(history, candidates)
    return _with_padding(_visible(query, key, s) | ((query < s) & (key >= s)), real)


@wrong("the history is not causal: its positions see their future")
def history_sees_its_future(history, candidates):
    real, query, key, s = _parts(history, candidates)
    return _with_padding((key < s) | (key == query), real)


@wrong("candidates see nothing but themselves: the history is what they are scored by")
def candidates_without_history(history, candidates):
    real, query, key, s = _parts(history, candidates)
    return _with_padding(_visible(query, key, s) & ((query < s) | (key >= s)), real)


@wrong("candidates see the last step of the history only: they see all of it")
def last_step_only(history, candidates):
    real, query, key, s = _parts(history, candidates)
    return _with_padding(_visible(query, key, s) & ((query < s) | (key >= s - 1)), real)


@wrong("candidates miss the last step of the history: an index one short, and the newest event is lost")
def one_step_short(history, candidates):
    real, query, key, s = _parts(history, candidates)
    return _with_padding(_visible(query, key, s) & ((query < s) | (key != s - 1)), real)


@wrong("candidate i is aligned with history step i: every candidate stands after the whole history")
def aligned_with_the_start(history, candidates):
    real, query, key, s = _parts(history, candidates)
    return _with_padding(_visible(query, key, s) & ((query < s) | (key <= query - s) | (key >= s)), real)


@wrong("candidates are told apart by id: one that is listed twice sees its double. Compare positions")
def told_apart_by_id(history, candidates):
    real, query, key, s = _parts(history, candidates)
    items = torch.cat([history, candidates], 1)
    doubles = (items[:, None, :] == items[:, :, None]) & (query >= s) & (key >= s)
    return _with_padding(_visible(query, key, s) | doubles, real)


@wrong("candidates are told apart by id in a causal mask: the second of two doubles sees the first. Compare positions")
def second_double_sees_the_first(history, candidates):
    real, query, key, s = _parts(history, candidates)
    items = torch.cat([history, candidates], 1)
    return _with_padding((key <= query) & ((key < s) | (items[:, None, :] == items[:, :, None])), real)


@wrong("padding is ignored: nobody may see an id of 0, and it sees nothing")
def padding_ignored(history, candidates):
    real, query, key, s = _parts(history, candidates)
    return _with_padding(_visible(query, key, s), torch.ones_like(real))


@wrong("padding is masked as a query only: it is as a key that it does harm. Mask both")
def padding_over_queries(history, candidates):
    real, query, key, s = _parts(history, candidates)
    return (_visible(query, key, s) & real[:, :, None])[:, None]


@wrong("padding is masked as a key only: its own rows have to be empty too")
def padding_over_keys(history, candidates):
    real, query, key, s = _parts(history, candidates)
    return (_visible(query, key, s) & real[:, None, :])[:, None]


@wrong("padding sees nothing but itself: the diagonal was opened to avoid NaN. Leave False, the attention gives zeros")
def padding_sees_itself(history, candidates):
    real, query, key, s = _parts(history, candidates)
    return _with_padding(_visible(query, key, s), real) | (key == query)


@wrong("padding is masked where query and key are padding both: either is enough (& of the two, not |)")
def either_is_real(history, candidates):
    real, query, key, s = _parts(history, candidates)
    return (_visible(query, key, s) & (real[:, None, :] | real[:, :, None]))[:, None]


@wrong("padding of the candidates is ignored: lists of candidates differ in length, and an id of 0 is none")
def padding_of_candidates_ignored(history, candidates):
    return candidate_mask(history, torch.ones_like(candidates))


@wrong("padding of the history is ignored: an id of 0 is no event, whichever side it stands on")
def padding_of_history_ignored(history, candidates):
    return candidate_mask(torch.ones_like(history), candidates)


@wrong("padding is taken to stand on the left of the history: compare each id with 0 instead of counting")
def padding_on_the_left(history, candidates):
    s = history.shape[1]
    return candidate_mask((torch.arange(s) >= (history == 0).sum(1, keepdim=True)).long(), candidates)


@wrong("padding is taken to stand on the right of the history: compare each id with 0 instead of counting")
def padding_on_the_right(history, candidates):
    s = history.shape[1]
    return candidate_mask((torch.arange(s) < (history != 0).sum(1, keepdim=True)).long(), candidates)


@wrong("lengths for padding, of history and candidates: it may stand on the left or in between. Compare ids with 0")
def lengths_for_padding(history, candidates):
    def up_to_its_length(ids):
        return (torch.arange(ids.shape[1]) < (ids != 0).sum(1, keepdim=True)).long()

    return candidate_mask(up_to_its_length(history), up_to_its_length(candidates))


@wrong("all from the first item on is taken for real: padding may stand on the right or in between too")
def real_from_the_first_item(history, candidates):
    return candidate_mask(history.cumsum(1), candidates)


@wrong("the first user's padding serves for all: each user has a mask of its own")
def first_user_for_all(history, candidates):
    return candidate_mask(history[:1], candidates[:1]).expand(len(history), -1, -1, -1)


@wrong("triu for tril: every history position sees what comes after it. Causal is tril, the keys up to the query")
def history_looks_ahead(history, candidates):
    real, query, key, s = _parts(history, candidates)
    return _with_padding(((key >= query) & (key < s) & (query < s)) | (_visible(query, key, s) & (query >= s)), real)


@wrong("triu for tril over the whole square: the history sees its future and the candidates. Causal is tril")
def triu_above_the_candidates(history, candidates):
    real, query, key, s = _parts(history, candidates)
    return _with_padding(((key >= query) & (query < s)) | (_visible(query, key, s) & (query >= s)), real)


@wrong("triu(…, 1) is what a causal mask hides, and the history sees just that: True means may attend. It is tril")
def hidden_for_visible(history, candidates):
    real, query, key, s = _parts(history, candidates)
    return _with_padding(((key > query) & (key < s)) | (_visible(query, key, s) & (query >= s)), real)


@wrong("a history position sees itself alone, as a candidate does: it sees what came before too")
def history_blind_to_its_past(history, candidates):
    real, query, key, s = _parts(history, candidates)
    return _with_padding(_visible(query, key, s) & ((query >= s) | (key == query)), real)


@wrong("rows and columns are swapped, or triu stands for tril: rows are queries, columns are keys, the past is tril")
def transposed(history, candidates):
    return candidate_mask(history, candidates).mT


@wrong("the mask is upside down: True means may attend (nn.Transformer's masks mean the opposite)")
def inverted(history, candidates):
    return ~candidate_mask(history, candidates)


@wrong("candidates stand before the history: it comes first, candidates after it")
def candidates_first(history, candidates):
    order = torch.arange(history.shape[1] + candidates.shape[1]).roll(candidates.shape[1])
    return candidate_mask(history, candidates)[:, :, order][..., order]


@wrong("the axis of the heads is missing: (b s+n s+n) would broadcast as (h t s) or not at all. Make it (b 1 s+n s+n)")
def without_heads(history, candidates):
    return candidate_mask(history, candidates)[:, 0]


@wrong("one square (s+n s+n) for all users: padding differs from user to user. Make it (b 1 s+n s+n)")
def one_square(history, candidates):
    _, query, key, s = _parts(history, candidates)
    return _visible(query, key, s)


@wrong("the axis of the heads stands before that of the users: (b 1 s+n s+n)")
def heads_first(history, candidates):
    return candidate_mask(history, candidates).transpose(0, 1)


@wrong("only the candidates' rows came back: the history's are needed too, (b 1 s+n s+n)")
def candidates_rows_only(history, candidates):
    return candidate_mask(history, candidates)[:, :, history.shape[1] :]


@wrong("a mask to be added came back, of 0 and -inf: a boolean one is asked for, True = may attend")
def additive(history, candidates):
    return torch.zeros(1, dtype=torch.float64).where(candidate_mask(history, candidates), -torch.inf)


@wrong("zeros and ones came back as numbers: ~ and masked_fill need booleans")
def as_numbers(history, candidates):
    return candidate_mask(history, candidates).long()


@wrong("axes of size 1 are squeezed away: a batch of one keeps its axis, and so do the heads")
def squeezed(history, candidates):
    mask = candidate_mask(history, candidates)
    return mask.squeeze(0) if len(mask) == 1 else mask


@right
def block_by_block(history, candidates):
    (b, s), n = history.shape, candidates.shape[1]
    mask = torch.zeros(b, 1, s + n, s + n, dtype=torch.bool)
    mask[..., :s, :s] = torch.ones(s, s, dtype=torch.bool).tril()
    mask[..., s:, :s] = True
    mask[..., s:, s:] = torch.eye(n, dtype=torch.bool)
    padding = torch.cat([history == 0, candidates == 0], 1)[:, None]
    return mask.masked_fill(padding[..., None, :], False).masked_fill(padding[..., :, None], False)


@right
def causal_without_rivals(history, candidates):
    items, s = torch.cat([history, candidates], 1), history.shape[1]
    size = items.shape[1]
    visible = torch.ones(size, size).tril()
    visible[s:, s:] = torch.eye(size - s)
    real = (items > 0).float()
    return torch.einsum("bi,ij,bj->bij", real, visible, real).bool().unsqueeze(1)


@right
def pair_by_pair(history, candidates):
    return expected(history, candidates)
