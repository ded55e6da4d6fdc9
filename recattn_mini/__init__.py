r"""Attention in recommender systems, as interviews ask it: answers that run, exercises that name the mistake.

Read this page first. Every other file keeps to it.

**Where things are.** One concept is one file and has one name: `attention/softmax.py` holds `softmax` (PyTorch) and
`softmax_numpy` (NumPy), `exercises/softmax.py` holds what a right answer does and the wrong ones people give, and
`attention/README.md` has a row `softmax`, built from the docstrings. The library *is* the answer key: lessons and
solutions are built from it.

**Axes** have one letter each, in docstrings and in shape errors alike:

    b  batch                  t  query positions       d  width of q and k      u  users
    h  query heads            s  key positions         e  width of v            n  candidate items
    g  key/value heads        a  width of a score's    c  width of k where it   k  cutoff of a ranking
                                 hidden layer             differs from q's      r  rank, counted from 1
    m  what a user could      f  features of an item;
       have gained;              hidden width of a
       negatives of a loss       feed-forward network

A file that needs a letter more (k interests, m rows of a table of positions) says so. Tensors are laid out
`(b h t d)`. Functions that treat all leading axes alike say `(... t d)`.

**Masks** are boolean and `True` means "may attend", as in `torch.nn.functional.scaled_dot_product_attention`
(`nn.MultiheadAttention` means the opposite). They broadcast to `(... t s)`. A row with nothing to attend to gives
zeros, never NaN, and every gradient stays finite.

**Half precision** is for the PyTorch forms, which widen softmax and norms to float32. The NumPy forms compute in the
dtype that they are given, and float16 overflows there at 65,504.

**Imports point one way**; nothing imports what stands to its right:

    shapes ← attention, metrics, data ← models ← training ← exercises ← learn ← lessons, tests

**Bad input** raises a `ValueError` that names the argument, what came and what was expected (`shapes.takes`).
"""

from recattn_mini._submodules import submodules

__version__ = "0.1.0"
__getattr__, __dir__ = submodules(__name__)
